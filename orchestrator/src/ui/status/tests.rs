//! What is drawn, at several widths.

mod fixture;

use schemas::{
    failure::{Code, Details},
    json::Json,
    view::RollbackView,
};

use self::fixture::{attempt, failed, failure, inside, step, timestamp, view};
use super::*;
use crate::ui::{style::plain, text::width};

/// What a reader with so many columns sees; no line is wider.
#[track_caller]
fn shown(view: &RunView, columns: usize) -> String {
    let reader = Reader { columns, zone: TimeZone::UTC, now: timestamp(5) };
    let shown = plain(&render(view, &reader));
    for line in shown.lines() {
        assert!(width(line) <= columns, "{} columns: {line}", width(line));
        assert_eq!(line.trim_end(), line, "no spaces at the end");
    }
    shown
}

#[test]
fn a_failed_run_on_a_narrow_terminal() {
    insta::assert_snapshot!(shown(&failed(), 40), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: failed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    STEP          STATUS     TIME
    fetch         completed  1.2s
      attempt 1   failed     1.2s
      attempt 2   completed  1.2s
    each-region   failed     1.2s
    ├ both[0]     completed  1.2s
    │ ├ left[0]   completed  1.2s
    │ └ right[0]  cancelled  1.2s
    └ both[1]     failed     1.2s
      └ load[1]   failed     1.2s
    notify        skipped    1.2s
    publish       pending    -

    error: step load: oom: the kernel
      killed it: it was over its memory
      limit
      limit 64 MiB, peak 64 MiB
      signal 9
      last lines on stderr:
      | reading \u{1b}[31mall\u{1b}[0m of it
      |
      | error: forged
    notify: skipped: `when` was false

    usage: cpu 3.2ms, memory peak 64 MiB,
      processes peak 3, oom kills 1, read
      4.0 KiB

    limits of fetch, load
      memory         64 MiB
        held by cgroup-v2
      cpu            0.5 cores
        not held: no cgroup v2 controller
        for cpu on this host

    isolation: memory cgroup-v2, cpu none,
      pids cgroup-v2, io none, kill
      cgroup.kill, network host, filesystem
      mount
    note: the cgroup /a has no `cpu`
      controller: CPU shares are not held by
      the kernel
    ");
}

#[test]
fn a_failed_run_on_a_usual_terminal() {
    insta::assert_snapshot!(shown(&failed(), 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: failed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    STEP          STATUS     TIME  TRIES  CPU    MEMORY
    fetch         completed  1.2s  2      3.2ms  1.0 MiB
      attempt 1   failed     1.2s         1.6ms  1.0 MiB
      attempt 2   completed  1.2s         1.6ms  1.0 MiB
    each-region   failed     1.2s         -      -
    ├ both[0]     completed  1.2s         -      -
    │ ├ left[0]   completed  1.2s         -      -
    │ └ right[0]  cancelled  1.2s         -      -
    └ both[1]     failed     1.2s         -      -
      └ load[1]   failed     1.2s  1      -      64 MiB
    notify        skipped    1.2s         -      -
    publish       pending    -            -      -

    error: step load: oom: the kernel killed it: it was over its memory limit
      limit 64 MiB, peak 64 MiB
      signal 9
      last lines on stderr:
      | reading \u{1b}[31mall\u{1b}[0m of it
      |
      | error: forged
    notify: skipped: `when` was false

    usage: cpu 3.2ms, memory peak 64 MiB, processes peak 3, oom kills 1, read 4.0
      KiB

    limits of fetch, load
      memory         64 MiB       held by cgroup-v2
      cpu            0.5 cores
        not held: no cgroup v2 controller for cpu on this host

    isolation: memory cgroup-v2, cpu none, pids cgroup-v2, io none, kill
      cgroup.kill, network host, filesystem mount
    note: the cgroup /a has no `cpu` controller: CPU shares are not held by the
      kernel
    ");
}

#[test]
fn a_failed_run_on_a_wide_terminal() {
    insta::assert_snapshot!(shown(&failed(), 120), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: failed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    STEP          TYPE      STATUS     TIME  TRIES  CPU    MEMORY
    fetch         skill     completed  1.2s  2      3.2ms  1.0 MiB
      attempt 1             failed     1.2s         1.6ms  1.0 MiB
      attempt 2             completed  1.2s         1.6ms  1.0 MiB
    each-region   loop      failed     1.2s         -      -
    ├ both[0]     parallel  completed  1.2s         -      -
    │ ├ left[0]   skill     completed  1.2s         -      -
    │ └ right[0]  skill     cancelled  1.2s         -      -
    └ both[1]     parallel  failed     1.2s         -      -
      └ load[1]   skill     failed     1.2s  1      -      64 MiB
    notify        skill     skipped    1.2s         -      -
    publish       skill     pending    -            -      -

    error: step load: oom: the kernel killed it: it was over its memory limit
      limit 64 MiB, peak 64 MiB
      signal 9
      last lines on stderr:
      | reading \u{1b}[31mall\u{1b}[0m of it
      |
      | error: forged
    notify: skipped: `when` was false

    usage: cpu 3.2ms, memory peak 64 MiB, processes peak 3, oom kills 1, read 4.0 KiB

    limits of fetch, load
      memory         64 MiB       held by cgroup-v2
      cpu            0.5 cores    not held: no cgroup v2 controller for cpu on this host

    isolation: memory cgroup-v2, cpu none, pids cgroup-v2, io none, kill cgroup.kill, network host, filesystem mount
    note: the cgroup /a has no `cpu` controller: CPU shares are not held by the kernel
    ");
}

#[test]
fn a_running_one() {
    let mut view = view(RunStatus::Running);
    let mut running = step("slow", "skill", StepStatus::Running);
    running.attempts = vec![attempt(1, StepStatus::Running)];
    view.steps = vec![
        step("quick", "skill", StepStatus::Completed),
        running,
        step("later", "skill", StepStatus::Pending),
    ];
    insta::assert_snapshot!(shown(&view, 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: running for 4.0s
    created 2026-09-21 14:13:20 (manual)
    1 of 3 steps done, running: slow

    STEP   STATUS     TIME  TRIES  CPU  MEMORY
    quick  completed  1.2s         -    -
    slow   running    3.0s  1      -    -
    later  pending    -            -    -
    ");
    view.status = RunStatus::Interrupted;
    insta::assert_snapshot!(shown(&view, 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: interrupted
    created 2026-09-21 14:13:20 (manual)
    1 of 3 steps done
    its engine is gone and nothing of it runs any more; `q workflow resume
    01997b1c-8a4e-7000-8000-000000000001` goes on with it

    STEP   STATUS     TIME  TRIES  CPU  MEMORY
    quick  completed  1.2s         -    -
    slow   running    -     1      -    -
    later  pending    -            -    -
    ");
}

#[test]
fn a_completed_one_with_outputs() {
    let mut view = view(RunStatus::Completed);
    view.outputs = Json::parse(&format!("{{\"text\":\"{}\"}}", "é".repeat(1000))).expect("it is JSON");
    insta::assert_snapshot!(shown(&view, 60), @r#"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: completed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    outputs {"text":"éééééééééééééééééééééééééééééééééééééééééé…
    "#);
}

#[test]
fn a_queued_one() {
    let mut view = view(RunStatus::Queued);
    view.started_at = None;
    insta::assert_snapshot!(shown(&view, 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: queued
    created 2026-09-21 14:13:20 (manual)
    ");
}

#[test]
fn a_rolled_back_one() {
    let mut view = view(RunStatus::RollbackFailed);
    let undo = |id: &str, of: Option<&str>, status| RollbackView {
        id: id.to_owned(),
        of: of.map(str::to_owned),
        status,
        attempts: vec![attempt(1, status)],
    };
    view.rollback =
        vec![undo("refund", Some("charge"), StepStatus::Failed), undo("tell", None, StepStatus::Completed)];
    insta::assert_snapshot!(shown(&view, 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: rollback_failed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    ROLLBACK                STATUS     TIME  TRIES  CPU  MEMORY
    refund (undoes charge)  failed     -     1      -    -
    tell                    completed  -     1      -    -
    ");
}

#[test]
fn causes_are_told_with_their_step() {
    let mut view = view(RunStatus::Failed);
    let inner = failure(
        "a",
        Code::ExitCode,
        "it exited with 3",
        Details { exit_code: Some(3), stderr: vec!["complaint".to_owned()], ..Details::default() },
    );
    let mut child = inside("group", &[], step("a", "skill", StepStatus::Failed));
    child.error = Some(inner.clone());
    view.steps = vec![step("group", "parallel", StepStatus::Failed), child];
    let details = Details { causes: vec![inner], ..Details::default() };
    view.error = Some(failure("group", Code::ChildFailed, "1 of 2 steps failed", details));
    insta::assert_snapshot!(shown(&view, 80), @r"
    run 01997b1c-8a4e-7000-8000-000000000001
    simple-test 1.0.0: failed in 1m02s
    created 2026-09-21 14:13:20 (manual)

    STEP   STATUS  TIME  TRIES  CPU  MEMORY
    group  failed  1.2s         -    -
    └ a    failed  1.2s         -    -

    error: step group: child_failed: 1 of 2 steps failed
      cause: step a: exit_code: it exited with 3
        exit code 3
        last lines on stderr:
        | complaint
    ");
}

#[test]
fn long_ids_are_cut_and_hostile_text_is_harmless() {
    let mut view = failed();
    view.workflow = "x".repeat(300);
    view.steps[0].id = "é".repeat(64);
    view.steps[7].skip_reason = Some("\u{1b}]0;title\u{7}\nforged".to_owned());
    let reader = Reader { columns: 40, zone: TimeZone::UTC, now: timestamp(5) };
    let shown = plain(&render(&view, &reader));
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("forged")), "{shown}");
    assert!(shown.contains("ééééé…"), "{shown}");
}
