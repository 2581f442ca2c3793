//! Definitions at random, with everything that can follow a failure in them: strategies at leaves and at what holds
//! them, undo steps, handlers, last steps, workflows in workflows.

use std::{collections::BTreeMap, fmt, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    check::{Catalog, Library, LibraryFile, Named, SkillEntry, check_with},
    load::{Syntax, load},
    plan::{Needs, Plan, SkillTarget},
};

/// What a step does with its failures.
const HANDLINGS: [&str; 10] = [
    r#""skip""#,
    r#""halt""#,
    r#""rollback""#,
    r#"{"strategy":"retry","max_attempts":2}"#,
    r#"{"strategy":"retry","max_attempts":3,"then":"skip"}"#,
    r#"{"strategy":"retry","max_attempts":2,"then":"rollback"}"#,
    r#"{"strategy":"retry","max_attempts":2,"then":{"strategy":"custom","custom_handler":"fix"}}"#,
    r#"{"strategy":"custom","custom_handler":"fix"}"#,
    r#"[{"strategy":"retry","on":["signal"],"max_attempts":2},{"strategy":"skip"}]"#,
    r#"{"strategy":"retry","on":["engine_crash","signal","child_failed"],"max_attempts":3}"#,
];

/// What a definition does with the failures of its leaves.
const DEFAULTS: [&str; 5] = [
    r#""halt""#,
    r#""rollback""#,
    r#""skip""#,
    r#"{"strategy":"retry","max_attempts":2}"#,
    r#"{"strategy":"retry","max_attempts":2,"then":"rollback"}"#,
];

/// What stands beside the steps, at most.
const BESIDE: [&str; 3] = ["", r#"{"strategy":"retry","max_attempts":2}"#, r#""skip""#];

/// A step to be written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    kind: Kind,
    handling: Option<&'static str>,
    undo: Option<&'static str>,
    in_background: bool,
    has_timeout: bool,
    never: bool,
    dies_for_good: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Leaf,
    Called,
    Sequence(Vec<Node>),
    Parallel { wait_for: &'static str, most: Option<u32>, fail_fast: bool, steps: Vec<Node> },
    Conditional { holds: bool, then: Vec<Node>, otherwise: Vec<Node> },
    ForEach { items: u32, at_once: u32, steps: Vec<Node> },
    While { turns: u32, steps: Vec<Node> },
}

/// A definition to be written.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    steps: Vec<Node>,
    default: Option<&'static str>,
    rollback: Option<(bool, &'static str)>,
    last: Option<&'static str>,
}

/// A plan, shown as the definitions that it is made of.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    texts: Vec<String>,
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts.iter().try_for_each(|text| writeln!(f, "{text}"))
    }
}

fn any_node(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Node> {
    let handling = prop::option::weighted(0.4, prop::sample::select(&HANDLINGS[..]));
    let undo = prop::option::weighted(0.3, prop::sample::select(&BESIDE[..]));
    let rare = || prop::bool::weighted(0.15);
    (kind, handling, undo, rare(), rare(), rare(), rare()).prop_map(
        |(kind, handling, undo, in_background, has_timeout, never, dies_for_good)| Node {
            kind,
            handling,
            undo,
            in_background,
            has_timeout,
            never,
            dies_for_good,
        },
    )
}

fn any_tree() -> impl Strategy<Value = Node> {
    let leaf = any_node(prop_oneof![6 => Just(Kind::Leaf), 1 => Just(Kind::Called)]);
    leaf.prop_recursive(2, 8, 3, |inner| {
        let steps = || prop::collection::vec(inner.clone(), 1..4);
        let words = prop::sample::select(vec!["all", "any", "none"]);
        any_node(prop_oneof![
            steps().prop_map(Kind::Sequence),
            (words, prop::option::of(1..3_u32), any::<bool>(), steps()).prop_map(
                |(wait_for, most, fail_fast, steps)| Kind::Parallel { wait_for, most, fail_fast, steps }
            ),
            (any::<bool>(), steps(), prop::collection::vec(inner.clone(), 0..2))
                .prop_map(|(holds, then, otherwise)| Kind::Conditional { holds, then, otherwise }),
            (0..3_u32, 1..3_u32, steps()).prop_map(|(items, at_once, steps)| Kind::ForEach {
                items,
                at_once,
                steps
            }),
            (0..3_u32, steps()).prop_map(|(turns, steps)| Kind::While { turns, steps }),
        ])
    })
}

fn any_flow(most: usize) -> impl Strategy<Value = Flow> {
    let beside = || prop::sample::select(&BESIDE[..]);
    (
        prop::collection::vec(any_tree(), 1..most),
        prop::option::of(prop::sample::select(&DEFAULTS[..])),
        prop::option::of((prop::bool::weighted(0.9), beside())),
        prop::option::of(beside()),
    )
        .prop_map(|(steps, default, rollback, last)| Flow { steps, default, rollback, last })
}

/// A plan of a definition which calls another one, which calls a third.
pub(super) fn any_plan() -> impl Strategy<Value = Planned> {
    (any_flow(4), any_flow(3), any_flow(3)).prop_map(|(top, outer, inner)| planned(&[top, outer, inner]))
}

fn planned(flows: &[Flow]) -> Planned {
    let echo = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
    let catalog = Catalog { skills: BTreeMap::from([("echo".to_owned(), echo)]), ..Catalog::default() };
    let written = |depth: usize| Writer { depth, flows, count: 0 }.flow(&flows[depth]).to_string();
    let texts: Vec<_> = (0..flows.len()).map(written).collect();
    let name = |depth: usize| format!("f{depth}");
    let files: Vec<_> = (1..flows.len())
        .map(|depth| {
            Arc::new(LibraryFile {
                name: name(depth),
                definition: load(texts[depth].as_bytes(), Syntax::Json),
                catalog: catalog.clone(),
                names: BTreeMap::from([(name(depth + 1), Named::File(depth))]),
            })
        })
        .collect();
    let names = BTreeMap::from([(name(1), Named::File(0))]);
    let definition = load(texts[0].as_bytes(), Syntax::Json).expect("it is JSON");
    let checked = check_with(&definition, &catalog, &Library { names, files });
    let Some(plan) = checked.plan else {
        panic!("{texts:?}\n{:?}\n{:?}", checked.diagnostics, checked.library)
    };
    Planned { plan: Arc::new(plan), texts }
}

/// Writes a definition down. Its steps are `s0`, `s1`, … in the order of the text.
struct Writer<'f> {
    depth: usize,
    flows: &'f [Flow],
    count: usize,
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("the constants are JSON")
}

/// A step beside the others.
fn beside(id: &str, handling: &str) -> Value {
    let mut step = json!({"id": id, "type": "skill", "skill": "echo"});
    if !handling.is_empty() {
        step["error_handling"] = parsed(handling);
    }
    step
}

impl Writer<'_> {
    fn flow(&mut self, flow: &Flow) -> Value {
        let mut written = json!({
            "name": format!("f{}", self.depth), "version": "1.0.0", "steps": self.list(&flow.steps),
            "handlers": [beside("fix", BESIDE[1])], "error_handling": {},
        });
        if let Some(default) = flow.default {
            written["error_handling"]["default"] = parsed(default);
        }
        if let Some((enabled, handling)) = flow.rollback {
            written["error_handling"]["rollback"] =
                json!({"enabled": enabled, "steps": ["fix", beside("tell", handling)]});
        }
        if let Some(handling) = flow.last {
            written["finally"] = json!([beside("last1", handling), beside("last2", "")]);
        }
        written
    }

    fn list(&mut self, nodes: &[Node]) -> Value {
        nodes.iter().map(|node| self.step(node)).collect()
    }

    fn step(&mut self, node: &Node) -> Value {
        let id = format!("s{}", self.count);
        self.count += 1;
        let mut step = self.kind(&node.kind);
        step["id"] = json!(id);
        if let Some(handling) = node.handling {
            step["error_handling"] = parsed(handling);
        }
        if let Some(handling) = node.undo {
            step["rollback"] = json!([beside(&format!("u{id}"), handling), beside(&format!("v{id}"), "")]);
        }
        if node.in_background {
            step["async"] = json!(true);
        }
        if node.never {
            step["when"] = json!("1 > 2");
        }
        let is_leaf = matches!(node.kind, Kind::Leaf);
        if is_leaf && node.dies_for_good {
            step["on_crash"] = json!("fail");
        }
        if !is_leaf && node.has_timeout {
            step["timeout"] = json!("1h");
        }
        step
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Called if self.depth + 1 < self.flows.len() => {
                json!({"type": "workflow", "workflow": format!("f{}", self.depth + 1)})
            }
            Kind::Leaf | Kind::Called => json!({"type": "skill", "skill": "echo"}),
            Kind::Sequence(steps) => json!({"type": "sequence", "steps": self.list(steps)}),
            Kind::Parallel { wait_for, most, fail_fast, steps } => {
                let mut group = json!({
                    "type": "parallel", "wait_for": wait_for, "fail_fast": fail_fast, "steps": self.list(steps)
                });
                if let Some(most) = most {
                    group["max_concurrent"] = json!(most);
                }
                group
            }
            Kind::Conditional { holds, then, otherwise } => json!({
                "type": "conditional", "condition": holds.to_string(),
                "then": self.list(then), "else": self.list(otherwise)
            }),
            Kind::ForEach { items, at_once, steps } => {
                let items: Vec<_> = (0..*items).collect();
                json!({"type": "loop", "for_each": items, "max_concurrent": at_once, "steps": self.list(steps)})
            }
            Kind::While { turns, steps } => {
                json!({"type": "loop", "condition": format!("index != {turns}"), "steps": self.list(steps)})
            }
        }
    }
}
