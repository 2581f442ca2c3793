//! What people see of a run: the rules of its fields. The whole shape is in `shape.rs`.

use schemas::{
    failure::Code,
    journal::{AttemptEnded, Event, Now, Outcome, Output, RunCreated},
    view::{
        Enforcer, FilesystemBy, Isolation, KillBy, LargeOutputs, NetworkBy, RunStatus, StepStatus, Usage,
    },
};

use super::{
    Driven, at, completed, created, definition, echo, ended, failed, id, isolation, plan, report, started,
    stop,
};

/// `a`, then `b`.
pub(super) fn two(created: RunCreated) -> Driven {
    let members = format!(
        r#""steps":[{},{}],"outputs":{{"said":"b.text"}}"#,
        echo("a", r#""outputs":["message"]"#),
        echo("b", "")
    );
    Driven::new(plan(&definition(&members)), created)
}

/// Id and status of every step, in the order shown.
fn order(driven: &Driven) -> Vec<(String, StepStatus)> {
    driven.run.view().steps.into_iter().map(|step| (step.id, step.status)).collect()
}

#[test]
fn steps_that_started_come_before_those_to_come() {
    use StepStatus::{Cancelled, Completed, Pending, Running};
    let steps: Vec<_> = ["c", "a", "b"].iter().map(|id| echo(id, "")).collect();
    let plan = plan(&definition(&format!(r#""steps":[{}]"#, steps.join(","))));
    let ids = |statuses: [StepStatus; 3]| -> Vec<_> {
        ["c", "a", "b"].into_iter().map(str::to_owned).zip(statuses).collect()
    };
    let mut driven = Driven::new(plan, created());
    assert_eq!(order(&driven), ids([Pending, Pending, Pending]));
    driven.apply(started());
    assert_eq!(order(&driven), ids([Running, Pending, Pending]));
    driven.apply(ended(id("c", 1), completed("1")));
    assert_eq!(order(&driven), ids([Completed, Running, Pending]));
    driven.apply(stop(true));
    assert_eq!(order(&driven), ids([Completed, Running, Pending]));
    driven.apply(ended(id("a", 1), Outcome::Cancelled));
    assert_eq!(order(&driven), ids([Completed, Cancelled, Pending]));
}

/// What is shown of the outputs of `a`, which gave a text of so many bytes in a file, and of the sequence around it.
fn shown(bytes: usize) -> [(bool, Option<LargeOutputs>); 2] {
    let members =
        format!(r#""steps":[{{"id":"s","type":"sequence","steps":[{}]}},{}]"#, echo("a", ""), echo("b", ""));
    let mut driven = Driven::new(plan(&definition(&members)), created());
    driven.apply(started());
    let value = schemas::json::Json::parse(&format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - 8))).unwrap();
    let file = Output::File { path: "steps/a/1/output.json".to_owned(), bytes: 9, value: Some(value) };
    driven.apply(ended(id("a", 1), Outcome::Completed(file)));
    let kept = serde_json::to_string(&driven.run.kept_view()).unwrap();
    let kept: schemas::view::RunView = serde_json::from_str(&kept).unwrap();
    let whole = driven.run.view().steps;
    assert!(
        whole.iter().all(|step| step.large_outputs.is_none() && (step.id == "b" || step.outputs.is_some()))
    );
    let of = |id: &str| kept.steps.iter().find(|step| step.id == id).expect("it is shown");
    ["a", "s"].map(|id| (of(id).outputs.is_some(), of(id).large_outputs.clone()))
}

#[test]
fn outputs_over_1_mib_are_only_named_in_what_is_kept() {
    let path = Some("steps/a/1/output.json".to_owned());
    let large = |bytes, path| (false, Some(LargeOutputs { bytes, path }));
    assert_eq!(shown(1 << 10), [(true, None), (true, None)]);
    // The sequence's outputs are `{"a":…}`.
    assert_eq!(shown(1 << 20), [(true, None), large((1 << 20) + 6, None)]);
    assert_eq!(shown((1 << 20) + 1), [large((1 << 20) + 1, path), large((1 << 20) + 7, None)]);
}

/// The isolation of a run after the ends of attempts with these, while one more runs.
#[track_caller]
fn weakest(host: Isolation, attempts: &[Option<Isolation>], expected: &Isolation) {
    let ids: Vec<_> = (0..=attempts.len()).map(|index| format!("s{index}")).collect();
    let steps: Vec<_> = ids.iter().map(|id| echo(id, "")).collect();
    let mut driven = Driven::new(plan(&definition(&format!(r#""steps":[{}]"#, steps.join(",")))), created());
    driven.apply(Event::RunStarted { isolation: Box::new(host) });
    for (step, isolation) in ids.iter().zip(attempts) {
        let plain = report(id(step, 1), completed("1"));
        driven.apply(Event::AttemptEnded(Box::new(AttemptEnded { isolation: isolation.clone(), ..plain })));
    }
    assert_eq!(driven.run.view().isolation.as_ref(), Some(expected));
}

#[test]
fn isolation_of_a_run_is_that_of_its_weakest_attempt() {
    let noted = |note: &str| Isolation { notes: vec![note.to_owned()], ..isolation() };
    let bare = Isolation { filesystem: FilesystemBy::None, kill: KillBy::Walk, ..noted("bare") };
    let monitored = Isolation { memory: Enforcer::Monitor, ..noted("monitored") };
    weakest(isolation(), &[], &isolation());
    weakest(isolation(), &[None], &isolation());
    weakest(isolation(), &[None, Some(bare.clone()), None], &bare);
    let both = Isolation {
        memory: Enforcer::Monitor,
        notes: ["host", "bare", "monitored"].map(str::to_owned).to_vec(),
        ..bare.clone()
    };
    weakest(noted("host"), &[Some(bare.clone()), Some(monitored), Some(bare)], &both);
    // In every respect at once, whoever is weak in it.
    let weak = Isolation {
        cpu: Enforcer::None,
        pids: Enforcer::Rlimit,
        io: Enforcer::None,
        network: NetworkBy::Host,
        ..isolation()
    };
    let strong = Isolation { io: Enforcer::CgroupV2, network: NetworkBy::Namespace, ..isolation() };
    weakest(strong.clone(), &[Some(strong.clone()), Some(weak.clone())], &weak);
    weakest(weak.clone(), &[Some(strong)], &weak);
}

#[test]
fn an_attempt_shows_the_isolation_of_the_host_unless_it_had_its_own() {
    let own = Isolation { filesystem: FilesystemBy::None, ..isolation() };
    let mut driven = two(created()).apply_all([started()]);
    let shown = |driven: &Driven, step: usize| {
        driven.run.view().steps[step].attempts[0].isolation.as_deref().cloned()
    };
    assert_eq!(shown(&driven, 0), Some(isolation()));
    let plain = report(id("a", 1), completed(r#"{"message":1}"#));
    driven.apply(Event::AttemptEnded(Box::new(AttemptEnded { isolation: Some(own.clone()), ..plain })));
    assert_eq!(shown(&driven, 0), Some(own));
    assert_eq!(shown(&driven, 1), Some(isolation()));
}

#[test]
fn durations_are_by_the_clock_of_the_run() {
    let mut run = two(created()).run;
    // The wall clock goes backwards, and an hour goes by in which the run had no owner.
    let moment = |wall: &str, up_us: u64| Now { wall: wall.parse().unwrap(), up_us };
    run.apply(&started(), moment("2024-01-01T12:00:00Z", 1_500));
    run.apply(&ended(id("a", 1), completed(r#"{"message":1}"#)), moment("2024-01-01T11:00:00Z", 4_499));
    run.apply(&Event::RunResumed, moment("2024-01-01T13:00:00Z", 5_000));
    run.apply(&ended(id("b", 2), completed("1")), moment("2024-01-01T13:00:01Z", 1_005_499));
    let view = run.view();
    let durations: Vec<_> = view.steps.iter().map(|step| step.duration_ms).collect();
    assert_eq!(durations, [Some(2), Some(1_001)]);
    assert_eq!(view.duration_ms, Some(1_003));
    assert_eq!(view.created_at, at(0).wall);
    assert_eq!(view.started_at, Some("2024-01-01T12:00:00Z".parse().unwrap()));
    assert_eq!(view.finished_at, Some("2024-01-01T13:00:01Z".parse().unwrap()));
}

#[test]
fn a_clock_that_went_backwards_gives_no_duration() {
    let mut run = two(created()).run;
    run.apply(&started(), at(100));
    run.apply(&stop(false), at(90));
    run.apply(&ended(id("a", 1), Outcome::Cancelled), at(80));
    let view = run.view();
    assert_eq!((view.steps[0].duration_ms, view.duration_ms), (Some(0), Some(0)));
}

#[test]
fn what_is_not_over_has_no_duration() {
    let mut driven = two(created());
    for event in [started(), stop(false)] {
        driven.apply(event);
        let view = driven.run.view();
        assert_eq!((view.duration_ms, view.finished_at), (None, None));
        assert_eq!((view.steps[0].duration_ms, view.steps[0].finished_at), (None, None));
    }
}

#[test]
fn a_run_that_never_started_ends_without_a_duration() {
    let driven = two(created()).apply_all([stop(false)]);
    let view = driven.run.view();
    assert_eq!((view.started_at, view.duration_ms), (None, None));
    assert_eq!(view.finished_at, Some(at(10).wall));
    assert_eq!(view.isolation, None);
}

#[track_caller]
fn armed(plan_limit: &str, own_ms: Option<u64>, expected: &str) {
    let members = format!(r#""steps":[{}]{plan_limit}"#, echo("a", ""));
    let created = RunCreated { timeout_ms: own_ms, ..created() };
    let mut driven = Driven::new(plan(&definition(&members)), created);
    let armed = super::told_all(&driven.apply(started()));
    let mut lines = vec![armed];
    driven.apply(Event::RunTimedOut);
    lines.extend(driven.run.error().map(|error| format!("{} {:?}", error.message, error.details.limit)));
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn the_shorter_limit_of_the_run_counts() {
    let plan = r#","resource_limits":{"max_execution_time":"2s"}"#;
    let with = |armed: &str, ms: u64| {
        format!(
            "(run started); arm run {armed}; (a#1 started); spawn a#1\nthe run took longer than its limit of {ms} ms Some({ms})"
        )
    };
    armed(plan, None, &with("2s", 2000));
    armed(plan, Some(500), &with("500ms", 500));
    armed(plan, Some(5000), &with("2s", 2000));
    armed("", Some(500), &with("500ms", 500));
    armed("", None, "(run started); (a#1 started); spawn a#1\nthe run took longer than its limit None");
}

/// What a run used whose six attempts used this: one fails and is tried again, the next fails for good, then come an
/// undo, a step after it, and the last step.
#[track_caller]
fn check_usage(used: [Usage; 6], expected: &Usage) {
    let more = r#""rollback":{"id":"ua","type":"skill","skill":"echo"},
        "error_handling":{"strategy":"retry","max_attempts":2}"#;
    let retried = echo("a", more);
    let members = format!(
        r#""steps":[{retried},{}],"finally":[{}],"error_handling":{{"default":"rollback","rollback":{{"steps":[{}]}}}}"#,
        echo("b", ""),
        echo("last", ""),
        echo("tell", "")
    );
    let mut driven = Driven::new(plan(&definition(&members)), created());
    driven.apply(started());
    assert_eq!(driven.run.view().usage, Usage::default(), "nothing has ended yet");
    let well = || completed("1");
    let ends = [
        (id("a", 1), failed("a", Code::ExitCode)),
        (id("a", 2), well()),
        (id("b", 1), failed("b", Code::ExitCode)),
        (id("ua", 1), well()),
        (id("tell", 1), well()),
        (id("last", 1), well()),
    ];
    for ((id, outcome), usage) in ends.into_iter().zip(used) {
        if id.attempt == 2 {
            driven.apply(Event::RetryDue { id: id.clone() });
        }
        driven.apply(Event::AttemptEnded(Box::new(AttemptEnded { usage, ..report(id, outcome) })));
    }
    let view = driven.run.view();
    assert_eq!(view.status, RunStatus::RolledBack);
    assert_eq!(view.usage, Usage { wall_ms: view.duration_ms, ..expected.clone() });
}

#[test]
fn a_run_used_what_all_its_attempts_used() {
    let of = |number: u64| Usage {
        wall_ms: Some(1000),
        cpu_user_us: Some(10_u64.pow(u32::try_from(number).unwrap())),
        cpu_system_us: (number == 3).then_some(7),
        memory_peak_bytes: (number != 5).then_some(number << 20),
        pids_peak: Some(9 - number),
        oom_kills: Some(u64::from(number < 2)),
        throttled_us: None,
        memory_pressure_us: (number < 2).then_some(3),
        io_read_bytes: (number > 3).then_some(4096),
        io_write_bytes: Some(u64::MAX),
    };
    let expected = Usage {
        wall_ms: None,
        cpu_user_us: Some(111_111),
        cpu_system_us: Some(7),
        memory_peak_bytes: Some(4 << 20),
        pids_peak: Some(9),
        oom_kills: Some(2),
        throttled_us: None,
        memory_pressure_us: Some(6),
        io_read_bytes: Some(8192),
        io_write_bytes: Some(u64::MAX),
    };
    check_usage([0, 1, 2, 3, 4, 5].map(of), &expected);
    check_usage([0; 6].map(|_| Usage::default()), &Usage::default());
}
