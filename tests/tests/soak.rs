//! Many faulty steps at once, in an order that is drawn: each verdict is exact, and nothing is left. And an engine
//! that is killed somewhere among them. `Q_SOAK=2000` runs so many steps instead of a few, `Q_KILLS=50` kills so many
//! engines.

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use integration_tests::{
    Draw, Fixture,
    definition::{echo, exec, with, workflow},
    program,
    running::LONG,
    view::step,
    wait,
};
use serde_json::{Value, json};

/// Steps of one run.
const BATCH: usize = 12;
/// Steps in all, where nobody asks for more.
const STEPS: usize = 24;
/// Engines that are killed, likewise.
const KILLS: usize = 2;

/// One kind of faulty step: its program, what the step has besides, and the code of its failure; `None`: it completes.
struct Fault {
    program: &'static str,
    more: Value,
    code: Option<&'static str>,
}

fn faults() -> Vec<Fault> {
    let short = || json!({"timeout": "300ms", "grace": "100ms"});
    let fault = |program, more, code| Fault { program, more, code };
    vec![
        fault(program!("ignore-term"), short(), Some("timeout")),
        fault(program!("term-then-exit0"), short(), Some("timeout")),
        fault(program!("stop-self"), short(), Some("timeout")),
        fault(program!("three-deep"), short(), Some("timeout")),
        fault(program!("raise-kill"), json!({}), Some("signal")),
        fault(program!("exit-137"), json!({}), Some("exit_code")),
        fault(program!("abort-core"), json!({}), Some("signal")),
        fault(program!("double-fork-setsid"), json!({}), None),
        fault(program!("hold-pipes"), json!({}), None),
        fault(program!("leak-fds"), json!({}), None),
        fault("/no/such/program", json!({}), Some("sandbox_error")),
    ]
}

#[test]
fn faulty_steps_in_any_order_get_their_verdicts() {
    let asked = env::var("Q_SOAK").ok().and_then(|count| count.parse().ok());
    let faults = faults();
    let mut draw = Draw(1);
    let fixture = Fixture::new();
    for _ in 0..asked.unwrap_or(STEPS).div_ceil(BATCH) {
        let drawn: Vec<&Fault> = (0..BATCH).map(|_| &faults[draw.below(faults.len())]).collect();
        let steps: Vec<Value> = drawn
            .iter()
            .enumerate()
            .map(|(index, fault)| with(exec(&format!("s{index}"), &[fault.program]), fault.more.clone()))
            .collect();
        let group =
            json!({"id": "all", "type": "parallel", "fail_fast": false, "max_concurrent": 4, "steps": steps});
        let finished = fixture.run(&workflow(&[group]));
        assert!([0, 1].contains(&finished.code), "{}", finished.stderr);
        let view = finished.json();
        for (index, fault) in drawn.iter().enumerate() {
            let error = &step(&view, &format!("s{index}"))["error"];
            assert_eq!(error["code"].as_str(), fault.code, "{}: {error:#}", fault.program);
        }
        fixture.assert_nothing_left();
    }
    fixture.run(&workflow(&[echo("after", json!({})), exec("too", &["true"])])).exits(0);
}

#[test]
fn an_engine_killed_among_five_deep_trees_leaves_nothing() {
    let fixture = Fixture::new();
    let mut draw = Draw(2);
    let asked = env::var("Q_KILLS").ok().and_then(|count| count.parse().ok());
    for _ in 0..asked.unwrap_or(KILLS) {
        let trees: Vec<Value> =
            (0..5).map(|index| exec(&format!("t{index}"), &[program!("three-deep")])).collect();
        let group = json!({"id": "all", "type": "parallel", "steps": trees});
        let running = fixture.spawn_run(&workflow(&[group]));
        // Somewhere between the first process and the fifteenth, with their inits.
        let stand = 1 + draw.below(15);
        wait::eventually("some of the trees stand", LONG, || fixture.processes().len() >= stand);
        let killed = Instant::now();
        fixture.kill_engine(running);
        let gone = wait::holds_within(Duration::from_secs(2), || fixture.processes().is_empty());
        assert!(gone, "left after {:?}: {:#?}", killed.elapsed(), fixture.processes());
    }
    // The next start sweeps what the dead engines could not remove.
    fixture.run(&workflow(&[echo("after", json!({}))])).exits(0);
    assert_eq!(fixture.cgroups_of_killed(), <[PathBuf; 0]>::default());
}
