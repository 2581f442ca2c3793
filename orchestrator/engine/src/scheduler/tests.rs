//! Tests of the scheduler: overlaps, missed fires, changes, and a daemon that dies between any two of its steps.

mod crashes;

use jiff::Timestamp;
use schemas::{
    schedule::{Fire, FireRecord, Schedule},
    view::RunStatus,
};

use super::{Action, Event, Scheduler, WAITING_MAX};

fn at(text: &str) -> Timestamp {
    let whole = if text.len() == 5 { format!("2026-01-01T{text}:00Z") } else { text.to_owned() };
    whole.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A schedule that fires every minute, changed by more members.
fn schedule(members: &str) -> Schedule {
    let text = format!(
        r#"{{"id":"s","workflow":"s","since":"2026-01-01T00:00:00Z"{}{members}}}"#,
        if members.contains("\"cron\"") { "" } else { r#","cron":"* * * * *""# }
    );
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A scheduler, and what it did in words.
struct World {
    scheduler: Scheduler,
    runs: u32,
}

impl World {
    fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, runs: 0 }
    }

    fn apply(&mut self, time: &str, event: Event) -> String {
        let runs = &mut self.runs;
        let mut new_run = || {
            *runs += 1;
            format!("run{runs}")
        };
        let actions = self.scheduler.apply(event, at(time), &mut new_run);
        actions.iter().map(told).collect::<Vec<_>>().join(", ")
    }

    fn tick(&mut self, time: &str) -> String {
        self.apply(time, Event::Tick)
    }

    fn ended(&mut self, time: &str, run: &str) -> String {
        self.apply(time, Event::Ended { run: run.to_owned(), status: Some(RunStatus::Completed) })
    }

    fn started(&mut self, time: &str, run: &str) -> String {
        self.apply(time, Event::Started { run: run.to_owned() })
    }
}

fn told(action: &Action) -> String {
    let time = |at: &Timestamp| at.strftime("%H:%M").to_string();
    match action {
        Action::Record { at, fire: Fire::Waiting, .. } => format!("{} waits", time(at)),
        Action::Record { at, fire: Fire::Starting { run }, .. } => format!("{} is {run}", time(at)),
        Action::Record { fire: Fire::Started { run }, .. } => format!("{run} exists"),
        Action::Record { fire: Fire::Ended { run, .. }, .. } => format!("{run} over"),
        Action::Record { at, fire: Fire::Skipped { why }, .. } => format!("{} skipped: {why}", time(at)),
        Action::Start { run, .. } => format!("start {run}"),
        Action::Stop { run } => format!("stop {run}"),
    }
}

/// A world with one schedule since 00:00, of which the first run exists from 00:01 on.
fn running(members: &str) -> World {
    let mut world = World::new(Scheduler::default());
    assert_eq!(world.apply("00:00", Event::Schedules(vec![schedule(members)])), "");
    assert_eq!(world.scheduler.wake(), Some(at("00:01")));
    assert_eq!(world.tick("00:00"), "", "nothing is due");
    assert_eq!(world.tick("00:01"), "00:01 is run1, start run1");
    assert_eq!(world.started("00:01", "run1"), "run1 exists");
    assert_eq!(world.scheduler.wake(), Some(at("00:02")));
    world
}

#[test]
fn skip() {
    let mut world = running("");
    assert_eq!(world.tick("00:02"), "00:02 skipped: a run of it still runs");
    assert_eq!(world.ended("00:02", "run1"), "run1 over");
    assert_eq!(world.tick("00:03"), "00:03 is run2, start run2");
}

#[test]
fn queue() {
    let mut world = running(r#","overlap":"queue""#);
    assert_eq!(world.tick("00:02"), "00:02 waits");
    assert_eq!(world.tick("00:03"), "00:03 waits");
    assert_eq!(world.ended("00:03", "run1"), "run1 over, 00:02 is run2, start run2");
    assert_eq!(world.ended("00:03", "run2"), "run2 over, 00:03 is run3, start run3");
    assert_eq!(world.ended("00:03", "run3"), "run3 over");
}

#[test]
fn a_queue_has_an_end() {
    let mut world = running(r#","overlap":"queue","cron":"* * * * *""#);
    let mut time = at("00:02");
    for _ in 0..WAITING_MAX {
        assert!(world.tick(&time.to_string()).ends_with("waits"));
        time += jiff::SignedDuration::from_mins(1);
    }
    assert!(world.tick(&time.to_string()).ends_with("too many fires of it wait already"));
}

#[test]
fn allow() {
    let mut world = running(r#","overlap":"allow""#);
    assert_eq!(world.tick("00:02"), "00:02 is run2, start run2");
    assert_eq!(world.scheduler.running().collect::<Vec<_>>(), ["run1", "run2"]);
}

#[test]
fn replace() {
    let mut world = running(r#","overlap":"replace""#);
    assert_eq!(world.tick("00:02"), "00:02 waits, stop run1");
    assert_eq!(world.tick("00:03"), "00:02 skipped: replaced by a later fire, 00:03 waits", "stopped once");
    assert_eq!(world.ended("00:03", "run1"), "run1 over, 00:03 is run2, start run2");
    // One that does not exist yet is stopped when it does.
    assert_eq!(world.tick("00:04"), "00:04 waits");
    assert_eq!(world.started("00:04", "run2"), "run2 exists, stop run2");
}

#[test]
fn missed_fires_when_it_starts() {
    for (catch_up, expected) in [
        ("none", ""),
        ("latest", "00:03 is run1, start run1"),
        ("all", "00:01 is run1, start run1, 00:02 waits, 00:03 waits"),
    ] {
        let mut world = World::new(Scheduler::default());
        let schedule = schedule(&format!(r#","catch_up":"{catch_up}""#));
        assert_eq!(world.apply("00:03", Event::Schedules(vec![schedule])), expected, "{catch_up}");
        assert_eq!(world.scheduler.wake(), Some(at("00:04")), "{catch_up}");
    }
}

#[test]
fn fires_that_are_late_are_missed() {
    // The machine slept: one run for all of them.
    let mut world = running("");
    world.ended("00:01", "run1");
    assert_eq!(world.tick("00:30"), "00:30 is run2, start run2");
    assert_eq!(world.scheduler.wake(), Some(at("00:31")));
    let mut world = running(r#","catch_up":"none","max_lag_ms":600000"#);
    world.ended("00:01", "run1");
    // Within the lag that is allowed, each is on time.
    assert_eq!(world.tick("00:03"), "00:02 is run2, start run2, 00:03 skipped: a run of it still runs");
    world.ended("00:03", "run2");
    assert_eq!(world.tick("00:30"), "", "beyond, they are missed");
}

#[test]
fn a_delayed_fire_is_meant_for_its_own_moment() {
    let mut world = World::new(Scheduler::default());
    let schedule = schedule(r#","jitter_ms":30000,"cron":"0 * * * *""#);
    world.apply("00:00", Event::Schedules(vec![schedule]));
    let wake = world.scheduler.wake().unwrap();
    assert!(wake > at("01:00") && wake < at("01:01"), "{wake}");
    assert_eq!(world.tick("01:00"), "");
    assert_eq!(world.tick("01:01"), "01:00 is run1, start run1");
}

#[test]
fn changes_while_it_runs() {
    let mut world = running(r#","overlap":"queue""#);
    let same = schedule(r#","overlap":"queue""#);
    assert_eq!(world.apply("00:01", Event::Schedules(vec![same])), "", "nothing has changed");
    assert_eq!(world.tick("00:02"), "00:02 waits");
    let disabled = schedule(r#","overlap":"queue","enabled":false"#);
    assert_eq!(
        world.apply("00:02", Event::Schedules(vec![disabled])),
        "00:02 skipped: the schedule is disabled"
    );
    assert_eq!((world.scheduler.wake(), world.scheduler.count()), (None, 0));
    assert_eq!(world.tick("00:09"), "");
    let again = schedule(r#","overlap":"queue""#);
    assert_eq!(
        world.apply("00:09", Event::Schedules(vec![again])),
        "",
        "what was due meanwhile is not missed"
    );
    assert_eq!(world.tick("00:10"), "00:10 waits");
    assert_eq!(world.apply("00:10", Event::Schedules(vec![])), "00:10 skipped: the schedule is gone");
    assert_eq!(world.ended("00:10", "run1"), "run1 over");
    assert_eq!(world.scheduler.wake(), None);
}

#[test]
fn nothing_starts_while_it_drains() {
    let mut world = running(r#","overlap":"queue""#);
    world.tick("00:02");
    assert_eq!(world.apply("00:02", Event::Drain), "");
    assert_eq!(world.scheduler.wake(), None);
    assert_eq!(world.tick("00:03"), "");
    assert_eq!(world.ended("00:03", "run1"), "run1 over", "what waits keeps waiting");
    assert_eq!(world.scheduler.running().count(), 0);
}

#[test]
fn words_about_runs_that_are_not_known_move_nothing() {
    let mut world = running("");
    assert_eq!(world.started("00:01", "run1"), "", "known already");
    assert_eq!(world.started("00:01", "nobody"), "");
    assert_eq!(world.ended("00:01", "nobody"), "");
}

#[test]
fn ten_thousand_schedules_are_one_agenda() {
    let mut scheduler = Scheduler::default();
    let one = |number: u32| Schedule {
        id: format!("s{number}"),
        cron: format!("{} {} * * *", number % 60, number / 60 % 24),
        ..schedule("")
    };
    let all: Vec<_> = (0..10_000).map(one).collect();
    let actions = scheduler.apply(Event::Schedules(all), at("00:00"), &mut || unreachable!("nothing is due"));
    assert_eq!((actions, scheduler.count()), (vec![], 10_000));
    assert_eq!(scheduler.wake(), Some(at("00:01")));
}

#[test]
fn it_goes_on_from_records() {
    let record =
        |time: &str, fire: Fire| FireRecord { v: 1, ts: at(time), schedule: "s".into(), at: at(time), fire };
    let run = |name: &str| name.to_owned();
    let records = [
        record("00:01", Fire::Starting { run: run("a") }),
        record("00:01", Fire::Started { run: run("a") }),
        record("00:01", Fire::Ended { run: run("a"), status: None }),
        record("00:02", Fire::Starting { run: run("b") }),
        record("00:03", Fire::Waiting),
    ];
    let mut world = World::new(Scheduler::restore(&records));
    let unsettled = world.scheduler.unsettled();
    assert_eq!((unsettled.len(), unsettled[0].run.as_str(), unsettled[0].started), (1, "b", false));
    let schedules = Event::Schedules(vec![schedule(r#","overlap":"queue""#)]);
    assert_eq!(world.apply("00:03", schedules), "", "all of it was recorded");
    assert_eq!(world.ended("00:03", "b"), "b over, 00:03 is run1, start run1");
}
