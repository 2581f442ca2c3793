//! The agent of a step, as the plan knows it.

use std::{sync::Arc, time::Duration};

use schemas::{
    agent::{AgentFile, Guardrails},
    json::Json,
};

use super::SkillTarget;

/// An agent, and the guardrails within which the step has it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTarget {
    /// What its file says.
    pub file: Arc<AgentFile>,
    /// Where paths in its file start; `None`: the folder of the definition.
    pub folder: Option<String>,
    /// What holds for it here.
    pub guardrails: Guardrails,
    /// The skills with a manifest that are tools of it.
    pub skills: Vec<SkillTool>,
    /// JSON Schema of its result: that of the step, else its own.
    pub output_schema: Option<Json>,
}

/// A skill with a manifest that is a tool of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillTool {
    /// Its name.
    pub name: String,
    /// What it is: an external skill.
    pub target: Arc<SkillTarget>,
    /// Its own wall-clock limit.
    pub timeout: Option<Duration>,
}
