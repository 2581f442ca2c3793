//! What happens in the same moment, again and again: an exit and a timeout; numbers of processes that are used again.

use std::{fs, process::Command};

use integration_tests::{
    Fixture,
    definition::{exec, shell, with, workflow},
    program,
    view::{attempt, step},
    wait,
};
use serde_json::{Value, json};

/// Steps that end around their timeout.
const STEPS: u32 = 200;
const TIMEOUT_MS: u32 = 300;

#[test]
fn an_exit_and_a_timeout_are_never_both() {
    let fixture = Fixture::new();
    // From a tenth of a second before to a tenth after, a millisecond apart.
    let sleeps = |index: u32| {
        let millis = TIMEOUT_MS - STEPS / 2 + index;
        let step = exec(&format!("s{index}"), &["sleep", &format!("0.{millis:03}")]);
        with(step, json!({"timeout": format!("{TIMEOUT_MS}ms"), "grace": "100ms", "error_handling": "skip"}))
    };
    let steps: Vec<Value> = (0..STEPS).map(sleeps).collect();
    let group =
        json!({"id": "all", "type": "parallel", "fail_fast": false, "max_concurrent": 16, "steps": steps});
    let view = fixture.run(&workflow(&[group])).exits(0).json();
    let mut stopped = 0;
    for index in 0..STEPS {
        let id = format!("s{index}");
        let attempt = attempt(&view, &id);
        let (reason, code) = (&attempt["stop_reason"], &attempt["error"]["code"]);
        if attempt["status"] == "completed" {
            assert_eq!(
                (reason, code, &attempt["exit_code"]),
                (&Value::Null, &Value::Null, &json!(0)),
                "{attempt:#}"
            );
        } else {
            assert_eq!((reason, code), (&json!("timeout"), &json!("timeout")), "{attempt:#}");
            stopped += 1;
        }
    }
    assert!(stopped > 0, "the last of them cannot have ended in time");
}

/// Processes that live in the namespace besides the run, so that free numbers are few.
const BYSTANDERS: usize = 150;
/// The most that a number can be there; the kernel takes no less than 301.
const MOST: u32 = 420;

/// Whether the highest number of a process is an affair of each namespace: since Linux 6.14. Before, the whole machine
/// would have few.
fn limits_numbers_by_namespace() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split(['.', '-']).map(|part| part.trim().parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (6, 14)
}

#[test]
fn numbers_that_are_used_again_hit_nobody_else() {
    let may = Command::new("unshare").args(["-p", "-f", "--mount-proc", "true"]).status();
    if !limits_numbers_by_namespace() || !may.is_ok_and(|status| status.success()) {
        wait::skip("no pid namespace with few numbers: root and Linux 6.14");
        return;
    }
    let fixture = Fixture::new();
    // Hundreds of processes each: the numbers go round several times, also while what is left over is killed.
    let churn =
        "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; setsid sleep 600 & (setsid sleep 600 &)";
    let mut steps = Vec::new();
    for index in 0..4 {
        let sandbox = if index % 2 == 0 { "standard" } else { "none" };
        let killed = with(
            shell(&format!("killed{index}"), &format!("{churn}; exec sleep 600")),
            json!({"timeout": "3s", "grace": "100ms"}),
        );
        let left = shell(&format!("left{index}"), churn);
        for step in [killed, left] {
            steps.push(with(step, json!({"sandbox": sandbox, "error_handling": "skip"})));
        }
    }
    fixture.define(&workflow(&steps));
    let mut command = fixture.command("unshare");
    command.args(["-p", "-f", "--mount-proc", "--kill-child", "sh", "-c"]).arg(format!(
        "echo {MOST} >/proc/sys/kernel/pid_max && i=0 && while [ $i -lt {BYSTANDERS} ]; do sleep 601 & i=$((i+1)); done; \
         $Q workflow run workflow.json --json; code=$?; \
         grep -lx sleep /proc/[0-9]*/comm | wc -l >alive; exit $code"
    ));
    command.env("Q", program::q());
    let view = fixture.start(command).finish().exits(0).json();
    assert_eq!(fixture.read("alive").trim(), BYSTANDERS.to_string(), "those alive of those beside the run");
    for index in 0..4 {
        let killed = step(&view, &format!("killed{index}"));
        assert_eq!(killed["attempts"][0]["error"]["code"], "timeout", "{killed:#}");
        let left = attempt(&view, &format!("left{index}"));
        assert_eq!((&left["status"], &left["exit_code"]), (&json!("completed"), &json!(0)), "{left:#}");
        assert!(left["leftovers_killed"].as_u64() >= Some(2), "{left:#}");
    }
    fixture.assert_nothing_left();
}
