//! The scheduler: which runs start when, decided and not done. It holds what is due, what runs and what waits;
//! time, events and fresh ids come in, actions go out. What it decides about a fire is a record first: the state
//! follows from the records, so that a daemon that died goes on where it stood.

mod restore;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use schemas::{
    schedule::{CatchUp, Fire, Overlap, Schedule},
    view::RunStatus,
};

pub use self::restore::Unsettled;
use crate::{
    cron::{self, Expression, Timetable},
    zone,
};

/// The most fires of a schedule that wait for a run before them.
pub const WAITING_MAX: usize = 1000;
/// A fire later than this counts as missed, where a schedule says nothing: the machine slept, or was stopped.
const LAG: Duration = Duration::from_mins(1);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// These are the schedules from now on.
    Schedules(Vec<Schedule>),
    /// Time has passed.
    Tick,
    /// A run that was to be started exists.
    Started {
        /// The run.
        run: String,
    },
    /// A run has ended; without a status it was never there.
    Ended {
        /// The run.
        run: String,
        /// How.
        status: Option<RunStatus>,
    },
    /// No new runs from now on.
    Drain,
}

/// What is to be done, in order. Records must be durable before anything after them is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// What became of a fire.
    Record {
        /// The schedule.
        schedule: String,
        /// The moment for which the fire was meant.
        at: Timestamp,
        /// What became of it.
        fire: Fire,
    },
    /// Start a run.
    Start {
        /// Of this schedule.
        schedule: Box<Schedule>,
        /// Its id.
        run: String,
        /// The moment for which it is meant.
        at: Timestamp,
    },
    /// Ask a run to stop.
    Stop {
        /// The run.
        run: String,
    },
}

/// Which runs start when.
#[derive(Debug, Default)]
pub struct Scheduler {
    entries: BTreeMap<String, Entry>,
    /// When to look at which schedule.
    agenda: BTreeSet<(Timestamp, String)>,
    draining: bool,
}

/// One schedule.
#[derive(Debug, Default)]
struct Entry {
    /// As it is stored; none for one that is gone, or not known yet.
    schedule: Option<Schedule>,
    /// The last fire that something came of.
    last: Option<Timestamp>,
    /// The next fire, and when it is looked at: later, by the jitter.
    due: Option<(Timestamp, Timestamp)>,
    running: Vec<Running>,
    /// Fires that wait, oldest first.
    waiting: VecDeque<Timestamp>,
}

#[derive(Debug)]
struct Running {
    run: String,
    at: Timestamp,
    started: bool,
    stopping: bool,
}

/// One step of the scheduler: its actions, and where new ids come from.
struct Turn<'a> {
    now: Timestamp,
    new_run: &'a mut dyn FnMut() -> String,
    actions: Vec<Action>,
    draining: bool,
}

impl Scheduler {
    /// Takes in what happened and says what to do.
    pub fn apply(
        &mut self,
        event: Event,
        now: Timestamp,
        new_run: &mut dyn FnMut() -> String,
    ) -> Vec<Action> {
        let mut turn = Turn { now, new_run, actions: Vec::new(), draining: self.draining };
        match event {
            Event::Schedules(schedules) => self.schedules(schedules, &mut turn),
            Event::Tick => self.tick(&mut turn),
            Event::Started { run } => self.started(&run, &mut turn),
            Event::Ended { run, status } => self.ended(&run, status, &mut turn),
            Event::Drain => self.draining = true,
        }
        turn.actions
    }

    /// When there is something to do, unless something happens before.
    pub fn wake(&self) -> Option<Timestamp> {
        if self.draining { None } else { self.agenda.first().map(|(moment, _)| *moment) }
    }

    /// The runs that have not ended.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.entries.values().flat_map(|entry| &entry.running).map(|running| running.run.as_str())
    }

    /// How many schedules there are that fire.
    pub fn count(&self) -> usize {
        self.agenda.len()
    }

    fn schedules(&mut self, schedules: Vec<Schedule>, turn: &mut Turn<'_>) {
        let mut gone: BTreeSet<String> = self.entries.keys().cloned().collect();
        // Thousands of schedules share a few expressions.
        let mut parsed = HashMap::new();
        for schedule in schedules {
            gone.remove(&schedule.id);
            let entry = self.entries.entry(schedule.id.clone()).or_default();
            if entry.schedule.as_ref() == Some(&schedule) {
                continue;
            }
            if let Some((_, wake)) = entry.due.take() {
                self.agenda.remove(&(wake, schedule.id.clone()));
            }
            let timetable = timetable(&schedule, &mut parsed);
            entry.take(schedule, timetable.as_ref(), turn);
            entry.note_in(&mut self.agenda);
        }
        for id in gone {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if let Some((_, wake)) = entry.due.take() {
                self.agenda.remove(&(wake, id.clone()));
            }
            entry.give_up(&id, "the schedule is gone", turn);
            entry.schedule = None;
            if entry.running.is_empty() {
                self.entries.remove(&id);
            }
        }
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.draining {
            return;
        }
        while let Some((wake, id)) = self.agenda.first().cloned()
            && wake <= turn.now
        {
            self.agenda.remove(&(wake, id.clone()));
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.fall_due(turn);
            entry.note_in(&mut self.agenda);
        }
    }

    fn started(&mut self, run: &str, turn: &mut Turn<'_>) {
        for (id, entry) in &mut self.entries {
            let found = entry.running.iter_mut().find(|running| running.run == run && !running.started);
            if let Some(running) = found {
                running.started = true;
                turn.record(id, running.at, Fire::Started { run: run.to_owned() });
                if running.stopping {
                    turn.actions.push(Action::Stop { run: run.to_owned() });
                }
            }
        }
    }

    fn ended(&mut self, run: &str, status: Option<RunStatus>, turn: &mut Turn<'_>) {
        let mut over = None;
        for (id, entry) in &mut self.entries {
            let Some(place) = entry.running.iter().position(|running| running.run == run) else { continue };
            let running = entry.running.remove(place);
            turn.record(id, running.at, Fire::Ended { run: run.to_owned(), status });
            entry.go_on(turn);
            if entry.schedule.is_none() && entry.running.is_empty() {
                over = Some(id.clone());
            }
            break;
        }
        if let Some(id) = over {
            self.entries.remove(&id);
        }
    }
}

impl Entry {
    /// The schedule is new, or has been changed. Only for one that was not watched before, fires can be missed.
    fn take(&mut self, schedule: Schedule, timetable: Option<&Timetable>, turn: &mut Turn<'_>) {
        let watched = self.schedule.is_some();
        let since = self.last.map_or(schedule.since, |last| last.max(schedule.since));
        let enabled = schedule.enabled;
        self.schedule = Some(schedule);
        let id = self.id();
        let Some(timetable) = timetable.filter(|_| enabled) else {
            self.give_up(&id, "the schedule is disabled", turn);
            return;
        };
        if !watched {
            self.make_up(timetable, since, turn);
        }
        self.go_on(turn);
        self.plan(timetable, turn.now.max(since));
    }

    /// Fires that were missed between two moments.
    fn make_up(&mut self, timetable: &Timetable, since: Timestamp, turn: &mut Turn<'_>) {
        let none_due = timetable.next(since).is_none_or(|fire| fire.at > turn.now);
        let Some(catch_up) = self.schedule.as_ref().map(|schedule| schedule.catch_up).filter(|_| !none_due)
        else {
            return;
        };
        for at in cron::missed(timetable, since, turn.now, catch_up) {
            match catch_up {
                // One after another, whatever is done about fires that overlap.
                CatchUp::All if self.is_busy() => self.wait(at, turn),
                CatchUp::All | CatchUp::Latest | CatchUp::None => self.fire(at, turn),
            }
        }
    }

    /// The next fire is due.
    fn fall_due(&mut self, turn: &mut Turn<'_>) {
        let (Some((at, wake)), Some(schedule)) = (self.due.take(), self.schedule.as_ref()) else { return };
        let Some(timetable) = timetable(schedule, &mut HashMap::new()) else { return };
        let lag = schedule.max_lag_ms.map_or(LAG, Duration::from_millis);
        if turn.now.duration_since(wake) <= SignedDuration::try_from(lag).unwrap_or(SignedDuration::MAX) {
            self.fire(at, turn);
            self.plan(&timetable, at);
        } else {
            let before = at.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(at);
            self.make_up(&timetable, before, turn);
            self.plan(&timetable, turn.now);
        }
    }

    /// A fire: it starts a run, unless one runs and the schedule says otherwise.
    fn fire(&mut self, at: Timestamp, turn: &mut Turn<'_>) {
        let overlap = self.schedule.as_ref().map_or(Overlap::Skip, |schedule| schedule.overlap);
        if overlap == Overlap::Allow || !self.is_busy() {
            self.start(at, turn);
            return;
        }
        match overlap {
            Overlap::Allow | Overlap::Skip => self.skip(at, "a run of it still runs", turn),
            Overlap::Queue => self.wait(at, turn),
            Overlap::Replace => {
                let id = self.id();
                self.give_up(&id, "replaced by a later fire", turn);
                self.wait(at, turn);
                for running in self.running.iter_mut().filter(|running| !running.stopping) {
                    running.stopping = true;
                    // One that does not exist yet is stopped when it does.
                    if running.started {
                        turn.actions.push(Action::Stop { run: running.run.clone() });
                    }
                }
            }
        }
    }

    fn start(&mut self, at: Timestamp, turn: &mut Turn<'_>) {
        let Some(schedule) = self.schedule.clone() else { return };
        let run = (turn.new_run)();
        self.last = self.last.max(Some(at));
        self.running.push(Running { run: run.clone(), at, started: false, stopping: false });
        turn.record(&schedule.id, at, Fire::Starting { run: run.clone() });
        turn.actions.push(Action::Start { schedule: Box::new(schedule), run, at });
    }

    fn wait(&mut self, at: Timestamp, turn: &mut Turn<'_>) {
        if self.waiting.len() >= WAITING_MAX {
            self.skip(at, "too many fires of it wait already", turn);
            return;
        }
        self.last = self.last.max(Some(at));
        self.waiting.push_back(at);
        turn.record(&self.id(), at, Fire::Waiting);
    }

    fn skip(&mut self, at: Timestamp, why: &str, turn: &mut Turn<'_>) {
        self.last = self.last.max(Some(at));
        turn.record(&self.id(), at, Fire::Skipped { why: why.to_owned() });
    }

    /// Nothing that waits will start.
    fn give_up(&mut self, id: &str, why: &str, turn: &mut Turn<'_>) {
        for at in self.waiting.drain(..) {
            turn.record(id, at, Fire::Skipped { why: why.to_owned() });
        }
    }

    /// What waits longest starts, if nothing runs.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        if self.running.is_empty()
            && !turn.draining
            && self.schedule.is_some()
            && let Some(at) = self.waiting.pop_front()
        {
            self.start(at, turn);
        }
    }

    fn is_busy(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    fn plan(&mut self, timetable: &Timetable, after: Timestamp) {
        let jitter = self.schedule.as_ref().map_or(0, |schedule| schedule.jitter_ms);
        self.due = timetable.next(after).map(|fire| {
            let delay = cron::delay(&self.id(), fire.at, Duration::from_millis(jitter));
            let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
            (fire.at, fire.at.checked_add(delay).unwrap_or(Timestamp::MAX))
        });
    }

    fn note_in(&self, agenda: &mut BTreeSet<(Timestamp, String)>) {
        if let Some((_, wake)) = self.due {
            agenda.insert((wake, self.id()));
        }
    }

    fn id(&self) -> String {
        self.schedule.as_ref().map(|schedule| schedule.id.clone()).unwrap_or_default()
    }
}

impl Turn<'_> {
    fn record(&mut self, schedule: &str, at: Timestamp, fire: Fire) {
        self.actions.push(Action::Record { schedule: schedule.to_owned(), at, fire });
    }
}

/// When a schedule fires; none for one that was stored by a q that knew more.
fn timetable(schedule: &Schedule, parsed: &mut HashMap<String, Option<Expression>>) -> Option<Timetable> {
    let parse = || Expression::parse(&schedule.cron).ok();
    let expression = match parsed.get(&schedule.cron) {
        Some(known) => known.clone(),
        None => parsed.entry(schedule.cron.clone()).or_insert_with(parse).clone(),
    };
    Some(Timetable::new(expression?, zone::by_name(&schedule.timezone)?))
}
