//! [`Plan`]: a checked definition in the form that runs. Steps stand in an arena, references are resolved
//! to ids, limits and defaults are merged. Whoever holds a plan never looks at the definition again.

mod agent;
mod control;
mod limits;
mod sandbox;
mod strategy;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemas::{
    json::Json,
    schedule::{CatchUp, Overlap},
    skill::Protocol,
};

pub(crate) use self::limits::{least, tightest};
pub use self::{
    agent::{AgentTarget, SkillTool},
    control::{Branch, Conditional, Loop, Parallel, Subworkflow, Turns, WaitFor},
    limits::{Enforcement, Limits},
    sandbox::{Endpoint, Network, Profile, Sandbox, SandboxChoice, Seccomp, User},
    strategy::{Act, Backoff, Final, Jitter, Retry, Rollback, Scale, Strategy, Trigger, Written, seed},
};
use crate::{expr::Program, value::Template};

/// Index of a step in [`Plan::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u32);

impl StepId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A checked definition, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Name of the workflow.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Every step of the file, in the order of the text; a composite comes before its children.
    pub steps: Vec<Step>,
    /// The steps at the top, in the order in which they run.
    pub root: Vec<StepId>,
    /// Declared inputs by name.
    pub inputs: BTreeMap<String, InputDeclaration>,
    /// `context.readonly`.
    pub readonly: BTreeMap<String, Json>,
    /// `context.mutable`: the values at the start.
    pub mutable: BTreeMap<String, Json>,
    /// The run's outputs by name, in the order of the file.
    pub outputs: Vec<(String, Template)>,
    /// Limits of the whole run.
    pub limits: Limits,
    /// The strategy of leaf steps that have none; at the top it ends the run.
    pub default_strategy: Option<Strategy>,
    /// What a rollback does.
    pub rollback: Rollback,
    /// The row of steps that run at the end.
    pub last: Option<StepId>,
    /// `max_execution_time` of the whole run.
    pub timeout: Option<Duration>,
    /// Triggers by the clock, in the order of the file.
    pub schedules: Vec<Schedule>,
}

/// A trigger by the clock. Expression and zone have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Cron expression.
    pub cron: String,
    /// IANA time zone.
    pub timezone: String,
    /// What happens to fires that were missed.
    pub catch_up: CatchUp,
    /// What happens to a fire while a run still runs.
    pub overlap: Overlap,
    /// Whether it fires.
    pub enabled: bool,
    /// Inputs of the runs that it starts.
    pub inputs: BTreeMap<String, Json>,
    /// The longest delay of a fire.
    pub jitter: Duration,
    /// A fire later than this counts as missed.
    pub max_lag: Option<Duration>,
}

/// One declared input of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct InputDeclaration {
    /// JSON Schema type; `None` takes any.
    pub kind: Option<InputType>,
    /// What it is for.
    pub description: Option<String>,
    /// The value when none is given.
    pub default: Option<Json>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value is never stored.
    pub secret: bool,
}

/// JSON Schema types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
    /// `null`.
    Null,
}

impl InputType {
    /// The word in JSON Schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    /// Whether a value is of this type. `1.0` is an integer, as in JSON Schema.
    pub fn takes(self, value: &Json) -> bool {
        let text = value.as_str();
        match self {
            Self::String => text.starts_with('"'),
            Self::Integer => is_number(text) && text.parse::<f64>().is_ok_and(|number| number.fract() == 0.0),
            Self::Number => is_number(text),
            Self::Boolean => text == "true" || text == "false",
            Self::Array => text.starts_with('['),
            Self::Object => text.starts_with('{'),
            Self::Null => text == "null",
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The id that people gave it; of a step of a sub-workflow behind those of the workflow steps around it, with
    /// dots between them (no id has one): unique in the run.
    pub name: String,
    /// The composite that holds it.
    pub parent: Option<StepId>,
    /// Its place among the steps of its parent (of its branch), from 0.
    pub position: u32,
    /// Whether what comes after it does not wait for it: `async`, or a child of a group that waits for none.
    pub background: bool,
    /// Steps that it refers to and that may still run when its turn comes: it waits for them.
    pub awaits: Box<[StepId]>,
    /// What it does.
    pub kind: StepKind,
    /// Whether it runs at all: false, and it is skipped.
    pub when: Option<Program>,
    /// Names of the outputs that later steps may use; empty: every key of the result.
    pub outputs: Vec<String>,
    /// Keys of the mutable context that get new values when it completes, in order.
    pub assign: Vec<(String, Template)>,
    /// Wall-clock limit of one attempt.
    pub timeout: Option<Duration>,
    /// Limit on silence.
    pub idle_timeout: Option<Duration>,
    /// Time between SIGTERM and kill.
    pub grace: Duration,
    /// What it does with its failures: the first that fits acts.
    pub strategies: Box<[Strategy]>,
    /// The row of steps that undo it.
    pub undo: Option<StepId>,
    /// Whether it is a row beside the run: nobody wrote it, it only holds its steps.
    pub is_row: bool,
    /// What to do with an attempt whose engine died.
    pub on_crash: OnCrash,
    /// Whether SIGTERM goes to the leader only.
    pub kill_mode: KillMode,
}

impl Step {
    /// The id that people gave it.
    pub fn id(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The name of the workflow step around it, if it belongs to a sub-workflow.
    pub fn within(&self) -> Option<&str> {
        self.name.rsplit_once('.').map(|(within, _)| within)
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Calls a skill, or an agent: whatever runs as processes.
    Skill(Box<SkillCall>),
    /// Runs its steps in order.
    Sequence(Vec<StepId>),
    /// Runs its steps at once.
    Parallel(Box<Parallel>),
    /// Runs one of two branches.
    Conditional(Box<Conditional>),
    /// Runs its body again and again.
    Loop(Box<Loop>),
    /// Runs another definition.
    Workflow(Box<Subworkflow>),
}

impl StepKind {
    /// The word in `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Skill(call) if call.agent().is_some() => "agent",
            Self::Skill(_) => "skill",
            Self::Sequence(_) => "sequence",
            Self::Parallel(_) => "parallel",
            Self::Conditional(_) => "conditional",
            Self::Loop(_) => "loop",
            Self::Workflow(_) => "workflow",
        }
    }

    /// The call of a skill, if it is one: what runs as processes. All others only hold steps.
    pub fn skill(&self) -> Option<&SkillCall> {
        match self {
            Self::Skill(call) => Some(call),
            Self::Sequence(_)
            | Self::Parallel(_)
            | Self::Conditional(_)
            | Self::Loop(_)
            | Self::Workflow(_) => None,
        }
    }
}

/// The call of a skill or of an agent, with everything that the shell needs to start it.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillCall {
    /// Name of the skill or the agent.
    pub skill: String,
    /// What it is.
    pub target: Arc<SkillTarget>,
    /// The inputs: always an object template; `{}` when absent.
    pub inputs: Template,
    /// Additional environment, in the order of the file.
    pub env: Vec<(String, Template)>,
    /// Names of its secrets: variables that it gets, and no other step.
    pub secrets: Vec<String>,
    /// Working directory, relative to the run's base.
    pub cwd: Option<Template>,
    /// Limits of one attempt: the tightest of step, manifest and run. Shared, since most steps have the same.
    pub limits: Arc<Limits>,
    /// What it can see and do. Shared, since most steps have the same.
    pub sandbox: Arc<Sandbox>,
}

impl SkillCall {
    /// The agent, if it calls one.
    pub fn agent(&self) -> Option<&AgentTarget> {
        match self.target.as_ref() {
            SkillTarget::Agent(agent) => Some(agent),
            SkillTarget::Builtin { .. } | SkillTarget::Program { .. } | SkillTarget::External(_) => None,
        }
    }
}

/// What a skill is.
#[derive(Debug, Clone, PartialEq)]
pub enum SkillTarget {
    /// Part of this program; runs in the worker.
    Builtin {
        /// What it touches.
        needs: Needs,
    },
    /// `shell` or `exec`: a program given by the inputs.
    Program {
        /// `true`: by `sh -c`.
        shell: bool,
    },
    /// A folder with a `skill.json`.
    External(ExternalSkill),
    /// An agent. Its inputs are an object of two members: `prompt` (or `null`), or in place of it `parts`, where words
    /// of agents stand apart; and `inputs`.
    Agent(Box<AgentTarget>),
}

/// What a built-in skill touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing outside its memory.
    Nothing,
    /// Files.
    Files,
    /// The network.
    Network,
}

/// An external skill, as its manifest describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalSkill {
    /// What it does, for people and models.
    pub description: Option<String>,
    /// Absolute path of its folder.
    pub folder: String,
    /// The program and its arguments; at least one. The first is absolute, or has no slash and is looked up
    /// in `PATH`.
    pub command: Vec<String>,
    /// How it speaks.
    pub protocol: Protocol,
    /// Whether stdout of a `text` skill is JSON.
    pub parse_json: bool,
    /// Whether descriptor 3 takes events.
    pub events: bool,
    /// JSON Schema of its outputs.
    pub outputs: Option<Json>,
    /// JSON Schema of its inputs.
    pub inputs: Option<Json>,
    /// Variables of the program; with the protocol `text` their values are templates over `inputs`.
    pub env: Vec<(String, String)>,
    /// Whether it may run again after a crash.
    pub idempotent: bool,
}

/// What to do with an attempt whose engine died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnCrash {
    /// Run it again.
    #[default]
    Rerun,
    /// Count it as failed.
    Fail,
}

/// Whom SIGTERM goes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KillMode {
    /// All processes of the leaf.
    #[default]
    Group,
    /// The leader only.
    Leader,
}
