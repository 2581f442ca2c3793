//! The whole shape of a run as people see it: keys, order, and what is `null`.

use schemas::{
    failure::Code,
    journal::{AttemptEnded, Event, RunCreated},
    view::{Enforcer, Limit, StopReason, Usage},
};

use super::{completed, created, ended, failed, id, report, started, stop, stopping, view::two};
use crate::run::Run;

/// The view as `run --json` shows it.
fn shown(run: &Run) -> String {
    serde_json::to_string_pretty(&run.view()).unwrap()
}

/// An end of which everything is known.
fn full_end() -> Event {
    let plain = report(id("a", 1), completed(r#"{"message":"Hello","more":1}"#));
    let usage = Usage {
        wall_ms: Some(3),
        cpu_user_us: Some(900),
        cpu_system_us: Some(700),
        memory_peak_bytes: Some(1 << 20),
        pids_peak: Some(1),
        oom_kills: Some(0),
        throttled_us: Some(0),
        memory_pressure_us: None,
        io_read_bytes: Some(4096),
        io_write_bytes: None,
    };
    let limit = Limit {
        name: "memory".into(),
        value: 1 << 29,
        by: Enforcer::None,
        held: false,
        why: Some("no controller".into()),
    };
    Event::AttemptEnded(Box::new(AttemptEnded {
        leftovers_killed: Some(2),
        pids_denied: Some(0),
        core_dumped: Some(false),
        unkillable: false,
        usage,
        limits: vec![limit],
        ..plain
    }))
}

#[test]
fn shape_of_a_run_that_waits() {
    insta::assert_snapshot!(shown(&two(created()).run), @r#"
    {
      "schema_version": 1,
      "run_id": "r1",
      "workflow": "flow",
      "version": "1.2.3",
      "status": "queued",
      "scheduled_at": null,
      "created_at": "2023-11-14T22:13:20Z",
      "started_at": null,
      "finished_at": null,
      "duration_ms": null,
      "trigger": "manual",
      "outputs": {},
      "error": null,
      "isolation": null,
      "usage": {
        "wall_ms": null,
        "cpu_user_us": null,
        "cpu_system_us": null,
        "memory_peak_bytes": null,
        "pids_peak": null,
        "oom_kills": null,
        "throttled_us": null,
        "io_read_bytes": null,
        "io_write_bytes": null
      },
      "steps": [
        {
          "id": "a",
          "type": "skill",
          "status": "pending",
          "iteration": [],
          "parent": null,
          "started_at": null,
          "finished_at": null,
          "duration_ms": null,
          "outputs": null,
          "error": null,
          "skip_reason": null,
          "attempts": []
        },
        {
          "id": "b",
          "type": "skill",
          "status": "pending",
          "iteration": [],
          "parent": null,
          "started_at": null,
          "finished_at": null,
          "duration_ms": null,
          "outputs": null,
          "error": null,
          "skip_reason": null,
          "attempts": []
        }
      ],
      "rollback": []
    }
    "#);
}

#[test]
fn shape_of_a_run_that_completed() {
    let scheduled = RunCreated {
        trigger: "schedule:flow".to_owned(),
        scheduled_at: Some("2024-02-29T09:00:00Z".parse().unwrap()),
        ..created()
    };
    let driven = two(scheduled).apply_all([started(), full_end(), ended(id("b", 1), completed(r#""bye""#))]);
    insta::assert_snapshot!(shown(&driven.run), @r#"
    {
      "schema_version": 1,
      "run_id": "r1",
      "workflow": "flow",
      "version": "1.2.3",
      "status": "completed",
      "scheduled_at": "2024-02-29T09:00:00Z",
      "created_at": "2023-11-14T22:13:20Z",
      "started_at": "2023-11-14T22:13:20.02Z",
      "finished_at": "2023-11-14T22:13:20.06Z",
      "duration_ms": 20,
      "trigger": "schedule:flow",
      "outputs": {"said":"bye"},
      "error": null,
      "isolation": {
        "memory": "cgroup-v2",
        "cpu": "cgroup-v2",
        "pids": "cgroup-v2",
        "io": "none",
        "kill": "cgroup.kill",
        "network": "host",
        "filesystem": "mount",
        "notes": []
      },
      "usage": {
        "wall_ms": 20,
        "cpu_user_us": 900,
        "cpu_system_us": 700,
        "memory_peak_bytes": 1048576,
        "pids_peak": 1,
        "oom_kills": 0,
        "throttled_us": 0,
        "io_read_bytes": 4096,
        "io_write_bytes": null
      },
      "steps": [
        {
          "id": "a",
          "type": "skill",
          "status": "completed",
          "iteration": [],
          "parent": null,
          "started_at": "2023-11-14T22:13:20.02Z",
          "finished_at": "2023-11-14T22:13:20.04Z",
          "duration_ms": 10,
          "outputs": {"message":"Hello"},
          "error": null,
          "skip_reason": null,
          "attempts": [
            {
              "attempt": 1,
              "status": "completed",
              "started": true,
              "exit_code": 0,
              "signal": null,
              "error": null,
              "stop_reason": null,
              "leftovers_killed": 2,
              "pids_denied": 0,
              "core_dumped": false,
              "usage": {
                "wall_ms": 3,
                "cpu_user_us": 900,
                "cpu_system_us": 700,
                "memory_peak_bytes": 1048576,
                "pids_peak": 1,
                "oom_kills": 0,
                "throttled_us": 0,
                "io_read_bytes": 4096,
                "io_write_bytes": null
              },
              "limits": [
                {
                  "name": "memory",
                  "value": 536870912,
                  "by": "none",
                  "held": false,
                  "why": "no controller"
                }
              ],
              "isolation": {
                "memory": "cgroup-v2",
                "cpu": "cgroup-v2",
                "pids": "cgroup-v2",
                "io": "none",
                "kill": "cgroup.kill",
                "network": "host",
                "filesystem": "mount",
                "notes": []
              }
            }
          ]
        },
        {
          "id": "b",
          "type": "skill",
          "status": "completed",
          "iteration": [],
          "parent": null,
          "started_at": "2023-11-14T22:13:20.04Z",
          "finished_at": "2023-11-14T22:13:20.06Z",
          "duration_ms": 10,
          "outputs": {"data":"bye"},
          "error": null,
          "skip_reason": null,
          "attempts": [
            {
              "attempt": 1,
              "status": "completed",
              "started": true,
              "exit_code": 0,
              "signal": null,
              "error": null,
              "stop_reason": null,
              "leftovers_killed": null,
              "pids_denied": null,
              "core_dumped": null,
              "usage": {
                "wall_ms": null,
                "cpu_user_us": null,
                "cpu_system_us": null,
                "memory_peak_bytes": null,
                "pids_peak": null,
                "oom_kills": null,
                "throttled_us": null,
                "io_read_bytes": null,
                "io_write_bytes": null
              },
              "limits": [],
              "isolation": {
                "memory": "cgroup-v2",
                "cpu": "cgroup-v2",
                "pids": "cgroup-v2",
                "io": "none",
                "kill": "cgroup.kill",
                "network": "host",
                "filesystem": "mount",
                "notes": []
              }
            }
          ]
        }
      ],
      "rollback": []
    }
    "#);
}

#[test]
fn shape_of_a_run_that_is_being_stopped() {
    let driven =
        two(created()).apply_all([started(), stopping(id("a", 1), StopReason::Timeout), stop(false)]);
    let step = &driven.run.view().steps[0];
    insta::assert_snapshot!(serde_json::to_string_pretty(step).unwrap(), @r#"
    {
      "id": "a",
      "type": "skill",
      "status": "running",
      "iteration": [],
      "parent": null,
      "started_at": "2023-11-14T22:13:20.02Z",
      "finished_at": null,
      "duration_ms": null,
      "outputs": null,
      "error": null,
      "skip_reason": null,
      "attempts": [
        {
          "attempt": 1,
          "status": "running",
          "started": null,
          "exit_code": null,
          "signal": null,
          "error": null,
          "stop_reason": "timeout",
          "leftovers_killed": null,
          "pids_denied": null,
          "core_dumped": null,
          "usage": {
            "wall_ms": null,
            "cpu_user_us": null,
            "cpu_system_us": null,
            "memory_peak_bytes": null,
            "pids_peak": null,
            "oom_kills": null,
            "throttled_us": null,
            "io_read_bytes": null,
            "io_write_bytes": null
          },
          "limits": [],
          "isolation": {
            "memory": "cgroup-v2",
            "cpu": "cgroup-v2",
            "pids": "cgroup-v2",
            "io": "none",
            "kill": "cgroup.kill",
            "network": "host",
            "filesystem": "mount",
            "notes": []
          }
        }
      ]
    }
    "#);
}

#[test]
fn shape_of_a_step_that_failed() {
    let driven = two(created()).apply_all([started(), ended(id("a", 1), failed("a", Code::Oom))]);
    let view = driven.run.view();
    insta::assert_snapshot!(serde_json::to_string_pretty(&view.steps[0].error).unwrap(), @r#"
    {
      "step": "a",
      "code": "oom",
      "message": "oom happened",
      "retryable": true,
      "details": {}
    }
    "#);
    assert_eq!(view.error, view.steps[0].error);
    assert_eq!(view.steps[0].attempts[0].error, view.steps[0].error);
}
