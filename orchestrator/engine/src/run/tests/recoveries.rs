//! What holds for every plan, whatever it does with its failures: strategies at leaves and groups, undo steps, handlers,
//! last steps, workflows in workflows, limits on time. Whatever happens, in whatever order; and after a crash at every
//! instant of it.

mod judge;
mod writer;

use std::sync::Arc;

use proptest::prelude::*;
use schemas::{
    failure::Code,
    journal::{Event, Outcome},
    view::{RunStatus, StepStatus, StopReason},
};

use super::{Driven, completed, created, ended, failed, started, stop, stopping};
use crate::run::{Run, Timer};
use judge::Judge;
use writer::{Planned, any_plan};

/// Events after which a run must have come to its end.
const MANY: usize = 5000;

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Completes(prop::sample::Index),
    Fails(prop::sample::Index, bool),
    IsDue(prop::sample::Index),
    Stops { at_once: bool },
    TimesOut,
    Dies,
}

fn any_next() -> impl Strategy<Value = Next> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        20 => index().prop_map(Next::Completes),
        8 => (index(), any::<bool>()).prop_map(|(index, is_signal)| Next::Fails(index, is_signal)),
        8 => index().prop_map(Next::IsDue),
        1 => prop::bool::weighted(0.3).prop_map(|at_once| Next::Stops { at_once }),
        1 => Just(Next::TimesOut),
        2 => Just(Next::Dies),
    ]
}

/// A run that somebody watches.
#[derive(Debug, Clone)]
struct Watched {
    driven: Driven,
    judge: Judge,
}

impl Watched {
    fn new(planned: &Planned) -> Self {
        let mut watched = Self {
            driven: Driven::new(Arc::clone(&planned.plan), created()),
            judge: Judge::new(&planned.plan),
        };
        watched.apply(&started());
        watched
    }

    #[track_caller]
    fn apply(&mut self, event: &Event) {
        let actions = self.driven.apply(event.clone());
        self.judge.sees(event, &actions);
    }

    #[track_caller]
    fn goes_on(&mut self, next: Next) {
        let live = self.judge.live();
        let event = match next {
            Next::Stops { at_once } => stop(at_once),
            Next::TimesOut => Event::RunTimedOut,
            Next::Dies => Event::RunResumed,
            Next::IsDue(_) if self.judge.timers().is_empty() => return,
            Next::Completes(_) | Next::Fails(..) if live.is_empty() => return,
            Next::IsDue(index) => due(index.get(self.judge.timers())),
            Next::Completes(index) => ended(index.get(&live).clone(), completed(r#"{"x":1}"#)),
            Next::Fails(index, is_signal) => {
                let id = index.get(&live).clone();
                let outcome = failed(&id.step, if is_signal { Code::Signal } else { Code::BadOutput });
                ended(id, outcome)
            }
        };
        self.apply(&event);
    }

    /// Everything goes its way from here: what runs ends, as it was asked to, else well; what waits is due.
    #[track_caller]
    fn drains(&mut self) {
        for _ in 0..MANY {
            let waits = self.judge.timers().iter().find(|timer| matches!(timer, Timer::Retry(_)));
            let event = match (self.judge.live().first().cloned(), waits) {
                (Some(id), _) => {
                    let asked = self.judge.is_asked(&id);
                    ended(id, if asked { Outcome::Cancelled } else { completed("1") })
                }
                (None, Some(timer)) => due(timer),
                (None, None) => break,
            };
            self.apply(&event);
        }
        let view = self.driven.run.view();
        assert!(self.judge.has_finished(), "nothing runs or waits, and the run is {}", view.status);
        for step in &view.steps {
            let never_came = step.status == StepStatus::Pending && view.status != RunStatus::Completed;
            let is_final =
                !matches!(step.status, StepStatus::Pending | StepStatus::Waiting | StepStatus::Running);
            assert!(is_final || never_came, "{} is {} in a run that {}", step.id, step.status, view.status);
        }
    }

    #[track_caller]
    fn replays(&self) {
        let journal = self.driven.journal.iter().cloned();
        let again = Run::replay(Arc::clone(&self.driven.run.plan), journal);
        assert_eq!(again.as_ref(), Some(&self.driven.run), "a replay gives the same");
    }
}

/// A timer has run down.
fn due(timer: &Timer) -> Event {
    match timer {
        Timer::Run => Event::RunTimedOut,
        Timer::Step(id) => stopping(id.clone(), StopReason::Timeout),
        Timer::Retry(id) => Event::RetryDue { id: id.clone() },
    }
}

fn any_happenings() -> impl Strategy<Value = Vec<Next>> {
    prop::collection::vec(any_next(), 0..60)
}

/// Cases of a test that goes through all instants of each.
fn few() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whatever_fails_the_run_ends_in_order(planned in any_plan(), happenings in any_happenings()) {
        let mut watched = Watched::new(&planned);
        for next in happenings {
            watched.goes_on(next);
        }
        watched.drains();
        watched.replays();
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn after_a_crash_at_any_instant_it_goes_on(planned in any_plan(), happenings in any_happenings()) {
        let mut watched = Watched::new(&planned);
        for next in happenings {
            let mut crashed = watched.clone();
            // What a new owner reads is what the dead one wrote.
            crashed.replays();
            crashed.apply(&Event::RunResumed);
            crashed.drains();
            watched.goes_on(next);
        }
    }

    #[test]
    fn a_stop_at_any_instant_ends_everything(
        planned in any_plan(),
        happenings in any_happenings(),
        at_once in any::<bool>(),
    ) {
        let mut watched = Watched::new(&planned);
        for next in happenings {
            let mut stopped = watched.clone();
            stopped.apply(&stop(at_once));
            stopped.drains();
            watched.goes_on(next);
        }
    }
}
