//! What holds for every plan with groups, branches and loops in each other, whatever order things end in. An
//! observer looks at events and actions only.

mod observer;

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use proptest::prelude::*;
use schemas::{
    failure::Code,
    journal::{Event, Outcome, RunCreated},
    view::{RunStatus, StepStatus},
};

use super::{Driven, completed, created, definition, echo, ended, failed, started, stop};
use crate::{
    check::{Catalog, SkillEntry, check},
    load::{Syntax, load},
    plan::{Limits, Needs, Plan, SkillTarget},
    run::Run,
};
use observer::Observer;

/// A step to be written.
#[derive(Debug, Clone)]
enum Tree {
    Leaf,
    Background(Box<Tree>),
    Sequence(Vec<Tree>),
    Parallel { wait_for: &'static str, most: Option<u32>, fail_fast: bool, steps: Vec<Tree> },
    Conditional { holds: bool, then: Vec<Tree>, otherwise: Vec<Tree> },
    ForEach { items: u32, at_once: u32, steps: Vec<Tree> },
    While { turns: u32, steps: Vec<Tree> },
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![4 => Just(Tree::Leaf), 1 => Just(Tree::Background(Box::new(Tree::Leaf)))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let steps = || prop::collection::vec(inner.clone(), 1..4);
        let words = prop::sample::select(vec!["all", "any", "none"]);
        prop_oneof![
            steps().prop_map(Tree::Sequence),
            inner.clone().prop_map(|inner| Tree::Background(Box::new(inner))),
            (words, prop::option::of(1..3_u32), any::<bool>(), steps()).prop_map(
                |(wait_for, most, fail_fast, steps)| Tree::Parallel { wait_for, most, fail_fast, steps }
            ),
            (any::<bool>(), steps(), prop::collection::vec(inner.clone(), 0..2))
                .prop_map(|(holds, then, otherwise)| Tree::Conditional { holds, then, otherwise }),
            (0..4_u32, 1..3_u32, steps()).prop_map(|(items, at_once, steps)| Tree::ForEach {
                items,
                at_once,
                steps
            }),
            (0..3_u32, steps()).prop_map(|(turns, steps)| Tree::While { turns, steps }),
        ]
    })
}

/// Writes a tree down. Leaves are `s0`, `s1`, …, in the order of the text, the others `g0`, `g1`, ….
struct Writer<'r> {
    /// Which leaf refers to which.
    references: &'r [(usize, usize)],
    leaves: usize,
    groups: usize,
}

impl Writer<'_> {
    fn list(&mut self, trees: &[Tree]) -> String {
        let steps: Vec<_> = trees.iter().map(|tree| self.step(tree, "")).collect();
        format!("[{}]", steps.join(","))
    }

    fn step(&mut self, tree: &Tree, more: &str) -> String {
        let members = match tree {
            Tree::Leaf => return self.leaf(more),
            Tree::Background(inner) => return self.step(inner, r#","async":true"#),
            Tree::Sequence(steps) => format!(r#""type":"sequence","steps":{}"#, self.list(steps)),
            Tree::Parallel { wait_for, most, fail_fast, steps } => {
                let most = most.map(|most| format!(r#","max_concurrent":{most}"#)).unwrap_or_default();
                let steps = self.list(steps);
                format!(
                    r#""type":"parallel","wait_for":"{wait_for}","fail_fast":{fail_fast}{most},"steps":{steps}"#
                )
            }
            Tree::Conditional { holds, then, otherwise } => {
                let (then, otherwise) = (self.list(then), self.list(otherwise));
                format!(r#""type":"conditional","condition":"{holds}","then":{then},"else":{otherwise}"#)
            }
            Tree::ForEach { items, at_once, steps } => {
                let items: Vec<_> = (0..*items).collect();
                let steps = self.list(steps);
                format!(r#""type":"loop","for_each":{items:?},"max_concurrent":{at_once},"steps":{steps}"#)
            }
            Tree::While { turns, steps } => {
                let steps = self.list(steps);
                format!(r#""type":"loop","condition":"index != {turns}","steps":{steps}"#)
            }
        };
        self.groups += 1;
        format!(r#"{{"id":"g{}",{members}{more}}}"#, self.groups - 1)
    }

    fn leaf(&mut self, more: &str) -> String {
        let leaf = self.leaves;
        self.leaves += 1;
        let mut members = String::from(r#""inputs":{"#);
        let own = self.references.iter().filter(|(from, _)| *from == leaf);
        for (index, (_, to)) in own.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _infallible = write!(members, r#"{comma}"r{index}":"s{to}.data""#);
        }
        echo(&format!("s{leaf}"), &format!("{members}}}{more}"))
    }
}

fn planned(trees: &[Tree], references: &[(usize, usize)]) -> Option<Plan> {
    let entry = SkillEntry {
        target: Arc::new(SkillTarget::Builtin { needs: Needs::Nothing }),
        inputs: None,
        outputs: None,
        limits: Limits::default(),
        timeout: None,
        idle_timeout: None,
        grace: None,
        sandbox: crate::plan::SandboxChoice::default(),
        idempotent: true,
    };
    let catalog = Catalog { skills: BTreeMap::from([("echo".to_owned(), entry)]), ..Catalog::default() };
    let steps = Writer { references, leaves: 0, groups: 0 }.list(trees);
    let text = definition(&format!(r#""steps":{steps}"#));
    check(&load(text.as_bytes(), Syntax::Json).expect("it is JSON"), &catalog).0
}

/// A plan, and those references of its leaves that the check lets pass.
#[derive(Debug, Clone)]
struct Planned {
    plan: Arc<Plan>,
    references: Vec<(usize, usize)>,
}

fn any_plan() -> impl Strategy<Value = Planned> {
    let references = prop::collection::vec((0..12_usize, 0..12_usize), 0..6);
    (prop::collection::vec(any_tree(), 1..4), references).prop_map(|(trees, references)| {
        let bare = planned(&trees, &[]).expect("steps without references are right");
        let is_leaf = |leaf: usize| bare.steps.iter().any(|step| step.name == format!("s{leaf}"));
        let allowed = |reference: &&(usize, usize)| {
            is_leaf(reference.0) && is_leaf(reference.1) && planned(&trees, &[**reference]).is_some()
        };
        let references: Vec<_> = references.iter().filter(allowed).copied().collect();
        let plan = planned(&trees, &references).expect("what passes alone passes together");
        Planned { plan: Arc::new(plan), references }
    })
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Completes(prop::sample::Index),
    Fails(prop::sample::Index),
    Stops { at_once: bool },
    TimesOut,
}

fn any_next() -> impl Strategy<Value = Next> {
    prop_oneof![
        30 => any::<prop::sample::Index>().prop_map(Next::Completes),
        3 => any::<prop::sample::Index>().prop_map(Next::Fails),
        1 => any::<bool>().prop_map(|at_once| Next::Stops { at_once }),
        1 => Just(Next::TimesOut),
    ]
}

/// A run that somebody watches.
struct Watched {
    driven: Driven,
    observer: Observer,
}

impl Watched {
    fn new(planned: &Planned, most: Option<u32>) -> Self {
        let created = RunCreated { max_concurrent_steps: most, ..created() };
        let observer = Observer::new(&planned.plan, planned.references.clone(), most);
        let mut watched = Self { driven: Driven::new(Arc::clone(&planned.plan), created), observer };
        watched.apply(&started());
        watched
    }

    #[track_caller]
    fn apply(&mut self, event: &Event) {
        let actions = self.driven.apply(event.clone());
        self.observer.sees(event, &actions);
    }

    #[track_caller]
    fn goes_on(&mut self, next: Next) {
        let live = self.observer.live();
        let event = match next {
            Next::Stops { at_once } => stop(at_once),
            Next::TimesOut => Event::RunTimedOut,
            Next::Completes(_) | Next::Fails(_) if live.is_empty() => return,
            Next::Completes(index) => ended(index.get(&live).clone(), completed(r#"{"x":1}"#)),
            Next::Fails(index) => {
                let id = index.get(&live).clone();
                let outcome = failed(&id.step, Code::Signal);
                ended(id, outcome)
            }
        };
        self.apply(&event);
    }

    /// Everything that runs ends: as it was asked to, else well.
    #[track_caller]
    fn drain(&mut self) {
        while let Some(id) = self.observer.live().first().cloned() {
            let asked = self.observer.is_asked(&id);
            self.apply(&ended(id, if asked { Outcome::Cancelled } else { completed("1") }));
        }
    }

    #[track_caller]
    fn is_over(&self) {
        let view = self.driven.run.view();
        assert!(self.observer.has_finished(), "nothing runs, and the run is {}", view.status);
        self.observer.every_start_has_an_end();
        for step in &view.steps {
            let never_came = step.status == StepStatus::Pending && view.status != RunStatus::Completed;
            let is_final =
                !matches!(step.status, StepStatus::Pending | StepStatus::Waiting | StepStatus::Running);
            assert!(is_final || never_came, "{} is {} in a run that {}", step.id, step.status, view.status);
        }
        let journal = self.driven.journal.iter().cloned();
        let again = Run::replay(Arc::clone(&self.driven.run.plan), journal);
        assert_eq!(again.as_ref(), Some(&self.driven.run), "a replay gives the same");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_ends_first_the_run_ends_in_order(
        planned in any_plan(),
        most in prop::option::of(1..4_u32),
        happenings in prop::collection::vec(any_next(), 0..60),
    ) {
        let mut watched = Watched::new(&planned, most);
        for next in happenings {
            watched.goes_on(next);
        }
        watched.drain();
        watched.is_over();
    }

    #[test]
    fn a_run_without_mishap_completes(
        // A reference to what did not run would be one.
        trees in prop::collection::vec(any_tree(), 1..4),
        most in prop::option::of(1..4_u32),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let plan = planned(&trees, &[]).expect("steps without references are right");
        let mut watched = Watched::new(&Planned { plan: Arc::new(plan), references: Vec::new() }, most);
        for index in order {
            watched.goes_on(Next::Completes(index));
        }
        watched.drain();
        watched.is_over();
        prop_assert_eq!(watched.driven.run.view().status, RunStatus::Completed);
    }

    #[test]
    fn a_stop_at_any_instant_ends_everything(
        planned in any_plan(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        for instant in 0..=order.len() {
            let mut watched = Watched::new(&planned, None);
            for index in &order[..instant] {
                watched.goes_on(Next::Completes(*index));
            }
            watched.goes_on(Next::Stops { at_once: false });
            watched.drain();
            watched.is_over();
        }
    }
}
