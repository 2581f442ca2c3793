//! `skills list --json` and `skills show --json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{json::Json, words};

words! {
    /// Where a skill was found, in the order in which the places are searched.
    Source {
        /// The folder of `--skills-dir`.
        SkillsDir = "skills-dir",
        /// `skills/` beside the definition; without a definition, in the working directory.
        Beside = "beside",
        /// `.amazonq/workflows/skills` in the working directory or above it.
        Project = "project",
        /// `skills/` in the home of q.
        Home = "home",
        /// `.agents/skills` in the working directory.
        Agents = "agents",
        /// `~/.agents/skills`.
        UserAgents = "user-agents",
        /// Part of q.
        BuiltIn = "built-in",
    }
}

words! {
    /// Why something that stands among skills is not one that can be called.
    Reason {
        /// One of the same name stands in a place that is searched earlier.
        Hidden = "hidden",
        /// Its manifest cannot be used.
        Broken = "broken",
        /// Its folder has a `SKILL.md` and no `skill.json`: a text for models.
        OnlyText = "only-text",
    }
}

/// `skills list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SkillList {
    /// Version of this shape.
    pub schema_version: u32,
    /// The skills that can be called, by name.
    pub skills: Vec<ListedSkill>,
    /// What stands among them and cannot be called.
    pub warnings: Vec<SkillWarning>,
}

/// One skill that can be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedSkill {
    /// Name by which steps call it.
    pub name: String,
    /// Its version, if it says one; of a built-in skill that of q.
    pub version: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Where it was found.
    pub source: Source,
    /// Its manifest; `null` for a built-in skill.
    pub path: Option<String>,
}

/// Something that cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SkillWarning {
    /// Name of the folder, or of the built-in skill.
    pub name: String,
    /// Where it was found.
    pub source: Source,
    /// Its manifest, or its `SKILL.md`; `null` for a built-in skill.
    pub path: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

/// `skills show --json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ShownSkill {
    /// Version of this shape.
    pub schema_version: u32,
    /// Name by which steps call it.
    pub name: String,
    /// Its version, if it says one; of a built-in skill that of q.
    pub version: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Where it was found.
    pub source: Source,
    /// Its manifest; `null` for a built-in skill.
    pub path: Option<String>,
    /// The program and its arguments; `null` for a built-in skill.
    pub command: Option<Vec<String>>,
    /// How the program is spoken to; `null` for a built-in skill.
    pub protocol: Option<String>,
    /// How the text of the protocol `text` is read, if not as text.
    pub parse: Option<String>,
    /// JSON Schema of the inputs; `null`: any.
    pub inputs: Option<Json>,
    /// JSON Schema of the result; `null`: any.
    pub outputs: Option<Json>,
    /// Its own limits, as the manifest has them.
    pub limits: Option<Json>,
    /// The sandbox that it asks for, as the manifest has it.
    pub sandbox: Option<Json>,
    /// Variables of the program, as the manifest has them.
    pub env: BTreeMap<String, String>,
    /// Whether it writes events on descriptor 3.
    pub events: bool,
    /// Whether it may run again after a crash of the engine.
    pub idempotent: bool,
}
