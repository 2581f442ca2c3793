//! What holds for every plan of steps in a row and for every list of events, sense or nonsense. A witness
//! looks at events and actions only, never into the run, and must agree with it at every moment.

mod witness;

use std::sync::Arc;

use proptest::prelude::*;
use schemas::{
    failure::Code,
    journal::{AttemptId, Event, Outcome, StopSource},
    view::StopReason,
};

use super::{Driven, completed, created, definition, echo, ended, failed, plan, started, stop, stopping};
use crate::{
    plan::Plan,
    run::{Run, StepRun},
};
use witness::Witness;

/// A result that has what later steps refer to, or not.
const RESULTS: [&str; 5] =
    [r#"{"x":1,"y":"${s0.x}"}"#, r#"{"x":{"x":[]}}"#, r#"{"y":1}"#, "null", r#""s0.x""#];

/// Something that may happen.
#[derive(Debug, Clone)]
enum Happening {
    /// What ought to come next: the start, else the end of the step that runs.
    Expected(usize),
    /// An attempt ends; `None`: the one that runs.
    Ends(Option<AttemptId>, End),
    /// An attempt must be ended.
    MustEnd(Option<AttemptId>, StopReason),
    /// Anything else.
    Other(Event),
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Completed(usize),
    Failed(Code),
    Cancelled,
}

fn any_attempt() -> impl Strategy<Value = Option<AttemptId>> {
    let stranger = (0..9_u32, 0..3_u32, prop::collection::vec(0..2_u32, 0..2));
    let stranger =
        stranger.prop_map(|(step, attempt, turn)| AttemptId { step: format!("s{step}"), turn, attempt });
    prop_oneof![2 => Just(None), 3 => stranger.prop_map(Some)]
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let end = prop_oneof![
        (0..RESULTS.len()).prop_map(End::Completed),
        prop::sample::select(Code::ALL).prop_map(End::Failed),
        Just(End::Cancelled),
    ];
    let other = prop_oneof![
        Just(started()),
        Just(Event::RunCreated(Box::new(created()))),
        Just(Event::RunResumed),
        Just(Event::RunTimedOut),
        any::<bool>().prop_map(stop),
        any::<bool>().prop_map(|now| Event::StopRequested { now, by: StopSource::SigInt }),
    ];
    prop_oneof![
        12 => (0..RESULTS.len()).prop_map(Happening::Expected),
        3 => (any_attempt(), end).prop_map(|(id, end)| Happening::Ends(id, end)),
        3 => (any_attempt(), prop::sample::select(StopReason::ALL))
            .prop_map(|(id, reason)| Happening::MustEnd(id, reason)),
        2 => other.prop_map(Happening::Other),
    ]
}

/// A step to be written: references to steps before it, `true` to all of what one gave; and whether it names
/// its outputs.
#[derive(Debug)]
struct AnyStep {
    references: Vec<(prop::sample::Index, bool)>,
    names_outputs: bool,
}

impl AnyStep {
    fn text(&self, index: usize) -> String {
        let references = self.references.iter().filter(|_| index > 0);
        let values = references.map(|(to, whole)| {
            let output = if *whole { "data" } else { "x" };
            format!(r#""s{}.{output}""#, to.index(index))
        });
        let values: Vec<_> = values.collect();
        let outputs = if self.names_outputs { r#","outputs":["x","y"]"# } else { "" };
        echo(&format!("s{index}"), &format!(r#""inputs":{{"v":[{}]}}{outputs}"#, values.join(",")))
    }
}

/// Steps `s0`, `s1`, …, and perhaps outputs and a limit of the run.
fn any_plan() -> impl Strategy<Value = Arc<Plan>> {
    let references = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3);
    let step = (references, any::<bool>());
    let step = step.prop_map(|(references, names_outputs)| AnyStep { references, names_outputs });
    let members = [r#","outputs":{"x":"s0.x"}"#, r#","resource_limits":{"max_execution_time":7}"#];
    let members = prop::sample::subsequence(members.to_vec(), 0..=members.len());
    (prop::collection::vec(step, 1..=8), members).prop_map(|(steps, members)| {
        let steps: Vec<_> = steps.iter().enumerate().map(|(index, step)| step.text(index)).collect();
        plan(&definition(&format!(r#""steps":[{}]{}"#, steps.join(","), members.concat())))
    })
}

impl Happening {
    /// The event, given the attempt that runs. Without one it is about a step that is not there.
    fn event(self, witness: &Witness) -> Event {
        let live = || witness.live().cloned().unwrap_or_else(|| super::id("s9", 1));
        match self {
            Self::Expected(_) if !witness.has_started() => started(),
            Self::Expected(result) => ended(live(), completed(RESULTS[result])),
            Self::Ends(id, end) => {
                let id = id.unwrap_or_else(live);
                let outcome = match end {
                    End::Completed(result) => completed(RESULTS[result]),
                    End::Failed(code) => failed(&id.step, code),
                    End::Cancelled => Outcome::Cancelled,
                };
                ended(id, outcome)
            }
            Self::MustEnd(id, reason) => stopping(id.unwrap_or_else(live), reason),
            Self::Other(event) => event,
        }
    }
}

fn replay(driven: &Driven, plan: &Arc<Plan>) -> Run {
    Run::replay(Arc::clone(plan), driven.journal.iter().cloned()).expect("a journal begins with its creation")
}

fn live_attempts(run: &Run) -> Vec<AttemptId> {
    run.steps().filter(|step| step.is_live()).map(|step: &StepRun| step.attempt_id(run.plan())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_witness_agrees(
        plan in any_plan(),
        happenings in prop::collection::vec(any_happening(), 0..40),
    ) {
        let mut driven = Driven::new(Arc::clone(&plan), created());
        let mut witness = Witness::new(&plan);
        for happening in happenings {
            let event = happening.event(&witness);
            let actions = driven.apply(event.clone());
            witness.sees(&event, &actions);
            witness.agrees(&driven.run);
            let again = replay(&driven, &plan);
            prop_assert_eq!(live_attempts(&again), witness.live().cloned().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(again.view(), driven.run.view());
            prop_assert_eq!(again, driven.run.clone());
        }
    }

    #[test]
    fn every_run_can_be_brought_to_its_end(
        plan in any_plan(),
        happenings in prop::collection::vec(any_happening(), 0..20),
    ) {
        let mut driven = Driven::new(Arc::clone(&plan), created());
        let mut witness = Witness::new(&plan);
        for happening in happenings {
            let event = happening.event(&witness);
            witness.sees(&event, &driven.apply(event.clone()));
        }
        // From here on everything goes its way: the start, then the end of each step.
        for _ in 0..=plan.steps.len() {
            let event = Happening::Expected(0).event(&witness);
            witness.sees(&event, &driven.apply(event.clone()));
        }
        witness.agrees(&driven.run);
        prop_assert!(witness.has_finished(), "{:?}", driven.run.phase());
    }

    #[test]
    fn a_run_without_mishap_completes_every_step_in_order(plan in any_plan()) {
        let mut driven = Driven::new(Arc::clone(&plan), created());
        let mut witness = Witness::new(&plan);
        for _ in 0..=plan.steps.len() {
            let event = Happening::Expected(0).event(&witness);
            witness.sees(&event, &driven.apply(event.clone()));
        }
        let view = driven.run.view();
        prop_assert_eq!(view.status, schemas::view::RunStatus::Completed);
        let ids: Vec<_> = view.steps.iter().map(|step| step.id.as_str()).collect();
        let planned: Vec<_> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        prop_assert_eq!(ids, planned);
    }
}
