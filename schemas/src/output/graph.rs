//! `graph --json`: the steps of a definition or a run, and what follows what.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{view::StepStatus, words};

words! {
    /// Why one step comes after another.
    EdgeKind {
        /// It is the next of its list.
        Next = "next",
        /// The condition is true.
        Then = "then",
        /// The condition is false.
        Else = "else",
        /// It waits for what the other gives.
        Awaits = "awaits",
    }
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Graph {
    /// Version of this shape.
    pub schema_version: u32,
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// The steps in the order of the text.
    pub nodes: Vec<Node>,
    /// What follows what.
    pub edges: Vec<Edge>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The skill that it calls.
    pub skill: Option<String>,
    /// The step that holds it.
    pub parent: Option<String>,
    /// Whether what comes after it does not wait for it.
    pub background: bool,
    /// Where it stands; `null` without a run, and before it is reached.
    pub status: Option<StepStatus>,
}

/// One step comes after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edge {
    /// The earlier step.
    pub from: String,
    /// The later step.
    pub to: String,
    /// Why.
    pub kind: EdgeKind,
}
