//! Pictures of a run, and what keys do to them.

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use schemas::{
    json::Json,
    view::{RunStatus, RunView, SCHEMA_VERSION, StepStatus, StepView, Usage},
};

use super::{
    plain::Told,
    state::{Mode, Order, State},
    *,
};
use crate::{
    live::Use,
    store::{home::Home, names::RunId},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("it is in range")
}

fn dir() -> RunDir {
    let id: RunId = "01997b1c-8a4e-7000-8000-000000000001".parse().expect("it is an id");
    Home::at("/home".into()).run(id)
}

fn step(id: &str, status: StepStatus, from: i64, to: Option<i64>) -> StepView {
    let ended = to.and_then(|to| u64::try_from((to - from) * 1000).ok());
    let attempt = serde_json::json!({"attempt": 1, "status": status.as_str(), "usage": {}, "limits": []});
    let attempt = serde_json::from_value(attempt).expect("what is not known may be left out");
    StepView {
        id: id.to_owned(),
        kind: "skill".to_owned(),
        status,
        iteration: Vec::new(),
        parent: None,
        within: None,
        started_at: Some(at(from)),
        finished_at: to.map(at),
        duration_ms: ended,
        outputs: None,
        large_outputs: None,
        error: None,
        skip_reason: None,
        retry_at: None,
        agent: None,
        attempts: vec![attempt],
    }
}

/// Two of three steps are done, at second 20.
fn running() -> RunView {
    let mut inner = step("load", StepStatus::Running, 10, None);
    inner.parent = Some("both".to_owned());
    let mut group = step("both", StepStatus::Running, 10, None);
    group.attempts.clear();
    RunView {
        schema_version: SCHEMA_VERSION,
        run_id: dir().id().to_string(),
        workflow: "nightly".to_owned(),
        version: "1.0.0".to_owned(),
        status: RunStatus::Running,
        scheduled_at: None,
        created_at: at(0),
        started_at: Some(at(0)),
        finished_at: None,
        duration_ms: None,
        trigger: "manual".to_owned(),
        outputs: Json::parse("{}").expect("it is JSON"),
        error: None,
        isolation: None,
        usage: Usage::default(),
        steps: vec![step("fetch", StepStatus::Completed, 0, Some(10)), group, inner],
        rollback: Vec::new(),
    }
}

fn press(state: &mut State, code: KeyCode) -> Order {
    state.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn picture(state: &State, columns: u16, lines: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).expect("it is memory");
    terminal.draw(|frame| picture::draw(frame, state, &dir(), at(20))).expect("it is memory");
    let buffer = terminal.backend().buffer();
    let row = |line: u16| (0..columns).map(|column| buffer[(column, line)].symbol()).collect::<String>();
    (0..lines).map(|line| row(line).trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_run_fills_the_terminal() {
    let mut state = State::new(running());
    state.log = vec!["| one".to_owned(), "! two".to_owned()];
    let work = dir().work(state.attempt().expect("a step runs")).expect("it is a name");
    let used = |cpu_us| [(work.clone(), Use { cpu_us, memory_bytes: 12 << 20 })].into();
    state.measure(used(1_000_000), Duration::from_secs(1));
    state.measure(used(1_500_000), Duration::from_secs(1));
    insta::assert_snapshot!(picture(&state, 100, 14), @r"
    nightly 1.0.0: running for 20.0s
    run 01997b1c-8a4e-7000-8000-000000000001  memory 12 MiB  CPU 50 %
      STEP                          STATUS      TIME    CPU     MEMORY    TIMELINE
      fetch                         completed   10.0s   -       -         ━━━━━━━━━━━━━━━
      both                          running     10.0s   -       -                        ━━━━━━━━━━━━━━━
    > └ load                        running     10.0s   50 %    12 MiB                   ━━━━━━━━━━━━━━━



     log of load ───────────────────────────────────────────────────────────────────────────────────────
    | one
    ! two

    q quit  s stop  ↑↓ move  enter log
    ");
}

#[test]
fn a_small_terminal_has_the_steps() {
    let state = State::new(running());
    insta::assert_snapshot!(picture(&state, 40, 7), @r"
    nightly 1.0.0: running for 20.0s
    run 01997b1c-8a4e-7000-8000-000000000001
      STEP               STATUS      TIME
      fetch              completed   10.0s
      both               running     10.0s
    > └ load             running     10.0s
    q quit  s stop  ↑↓ move  enter log
    ");
    // However small it is, it is drawn.
    for (columns, lines) in [(1, 1), (3, 2), (10, 3), (200, 4)] {
        picture(&state, columns, lines);
    }
}

#[test]
fn keys_move_and_open_a_log() {
    let mut state = State::new(running());
    assert_eq!((state.selected, state.chosen), (2, false), "what runs is looked at");
    press(&mut state, KeyCode::Up);
    press(&mut state, KeyCode::PageUp);
    press(&mut state, KeyCode::Up);
    assert_eq!((state.selected, state.chosen), (0, true));
    state.update(running());
    assert_eq!(state.selected, 0, "what was chosen stays");
    press(&mut state, KeyCode::End);
    assert_eq!(state.selected, 2);
    state.log = (0..30).map(|line| format!("| {line}")).collect();
    press(&mut state, KeyCode::Enter);
    assert_eq!(state.mode, Mode::Log(0));
    press(&mut state, KeyCode::PageUp);
    press(&mut state, KeyCode::Up);
    insta::assert_snapshot!(picture(&state, 40, 7), @r"
    nightly 1.0.0: running for 20.0s
    run 01997b1c-8a4e-7000-8000-000000000001
     log of load ───────────────────────────
    | 16
    | 17
    | 18
    esc back  ↑↓ move  q quit
    ");
    press(&mut state, KeyCode::Home);
    assert_eq!(state.mode, Mode::Log(29));
    press(&mut state, KeyCode::Esc);
    assert_eq!((state.mode, press(&mut state, KeyCode::Esc)), (Mode::Steps, Order::Quit));
}

#[test]
fn a_stop_is_asked_for_twice() {
    let mut state = State::new(running());
    assert_eq!(press(&mut state, KeyCode::Char('s')), Order::Nothing);
    assert!(picture(&state, 60, 7).contains("stop the run? y"));
    assert_eq!(press(&mut state, KeyCode::Char('n')), Order::Nothing);
    assert_eq!(press(&mut state, KeyCode::Char('y')), Order::Nothing, "nothing was asked");
    press(&mut state, KeyCode::Char('s'));
    assert_eq!(press(&mut state, KeyCode::Char('y')), Order::Stop);
    state.update(RunView { status: RunStatus::Cancelled, ..running() });
    press(&mut state, KeyCode::Char('s'));
    assert_eq!((state.mode, state.message.is_some()), (Mode::Steps, true));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(
        (state.key(interrupt), press(&mut state, KeyCode::Char('q'))),
        (Order::Interrupt, Order::Quit)
    );
}

#[test]
fn without_a_terminal_each_change_is_a_line() {
    let mut told = Told::default();
    insta::assert_snapshot!(told.news(&running()), @r"
    run 01997b1c-8a4e-7000-8000-000000000001 of nightly
      fetch completed (10.0s)
      both running
      load running
    running
    ");
    assert_eq!(told.news(&running()), "");
    let mut next = RunView { status: RunStatus::Completed, duration_ms: Some(12), ..running() };
    next.steps[2] = step("load", StepStatus::Completed, 10, Some(12));
    insta::assert_snapshot!(told.news(&next), @r"
      load completed (2.0s)
    completed (12ms)
    ");
}
