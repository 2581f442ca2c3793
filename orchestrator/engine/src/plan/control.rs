//! The steps that hold others: what the plan knows of groups, branches and loops.

use std::{collections::BTreeMap, time::Duration};

use schemas::json::Json;

use super::{InputDeclaration, Rollback, StepId, Strategy};
use crate::{expr::Program, value::Template};

/// Steps that run at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Parallel {
    /// The children.
    pub steps: Vec<StepId>,
    /// When the group completes.
    pub wait_for: WaitFor,
    /// Most children at once.
    pub max_concurrent: Option<u32>,
    /// Whether the first failure stops the others.
    pub fail_fast: bool,
}

/// When a parallel group completes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitFor {
    /// When every child has.
    #[default]
    All,
    /// When the first child has; the others are stopped.
    Any,
    /// At once; the children go on in the background.
    None,
}

/// One of two branches.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditional {
    /// Which branch is taken.
    pub condition: Program,
    /// When it is true.
    pub then: Vec<StepId>,
    /// When it is false; empty when there is none.
    pub otherwise: Vec<StepId>,
    /// Whether there is an `else`.
    pub has_else: bool,
}

/// A branch of a conditional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The condition was true.
    Then,
    /// The condition was false.
    Else,
    /// The condition was false, and there is no `else`.
    None,
}

impl Branch {
    /// The word in the outputs of the conditional.
    pub fn name(self) -> &'static str {
        match self {
            Self::Then => "then",
            Self::Else => "else",
            Self::None => "none",
        }
    }
}

impl Conditional {
    /// The steps of a branch.
    pub fn steps(&self, branch: Branch) -> &[StepId] {
        match branch {
            Branch::Then => &self.then,
            Branch::Else => &self.otherwise,
            Branch::None => &[],
        }
    }
}

/// A body that runs again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// The body, run in order.
    pub steps: Vec<StepId>,
    /// How often.
    pub turns: Turns,
}

/// How often a loop runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Turns {
    /// As long as a condition, checked before each turn, is true.
    While {
        /// The condition.
        condition: Program,
        /// Turns after which the condition must have become false.
        most: u32,
    },
    /// Once for each item.
    ForEach {
        /// The items: what must give an array.
        items: Template,
        /// Most items.
        most: u32,
        /// Most turns at once.
        max_concurrent: u32,
    },
}

/// Another definition as one step: with inputs, a context and outputs of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Subworkflow {
    /// Name of the workflow.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The steps at its top, in the order in which they run.
    pub steps: Vec<StepId>,
    /// The inputs that it is given: what must give an object.
    pub given: Template,
    /// Additional environment of its steps.
    pub env: Vec<(String, Template)>,
    /// Their working directory.
    pub cwd: Option<Template>,
    /// The time that it gives itself.
    pub timeout: Option<Duration>,
    /// Its declared inputs by name.
    pub inputs: BTreeMap<String, InputDeclaration>,
    /// Its `context.readonly`.
    pub readonly: BTreeMap<String, Json>,
    /// Its `context.mutable`: the values at the start.
    pub mutable: BTreeMap<String, Json>,
    /// Its outputs by name, in the order of the file.
    pub outputs: Vec<(String, Template)>,
    /// Most of its steps at once.
    pub max_concurrent_steps: Option<u32>,
    /// The strategy of its leaf steps that have none; at its top it says whether it is rolled back.
    pub default_strategy: Option<Strategy>,
    /// What a rollback of it does.
    pub rollback: Rollback,
    /// The row of steps that run when it has ended.
    pub last: Option<StepId>,
}
