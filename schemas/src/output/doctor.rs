//! `doctor --json`: what this machine can enforce.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    view::{Enforcer, Isolation},
    words,
};

words! {
    /// Which hierarchies of cgroups the machine has.
    CgroupMode {
        /// Only v2.
        Unified = "unified",
        /// v2 beside v1.
        Hybrid = "hybrid",
        /// Only v1.
        Legacy = "legacy",
        /// None is mounted.
        None = "none",
    }
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doctor {
    /// Version of this shape.
    pub schema_version: u32,
    /// Release of the kernel.
    pub kernel: String,
    /// The user as whom runs of this caller run.
    pub uid: u32,
    /// cgroups.
    pub cgroup: Cgroup,
    /// Namespaces that could be made.
    pub namespaces: Namespaces,
    /// Landlock.
    pub landlock: Landlock,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Who holds which limit, by its key in `resource_limits`.
    pub limits: BTreeMap<String, HeldLimit>,
    /// Who enforces what for a step with each profile, in the words of the run view; `null` where this machine refuses
    /// the profile.
    pub isolation: BTreeMap<String, Option<Isolation>>,
    /// What is missing, and how to mend it.
    pub gaps: Vec<Gap>,
}

/// What runs of this caller get of cgroup v2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cgroup {
    /// Which hierarchies there are.
    pub mode: CgroupMode,
    /// Where v2 is mounted.
    pub mount: Option<String>,
    /// The cgroup below which those of a run are made.
    pub base: Option<String>,
    /// Controllers that the cgroups of a run get.
    pub controllers: Vec<String>,
    /// Whether cgroups can be made there.
    pub delegated: bool,
    /// Whether a whole cgroup can be killed at once.
    pub kill: bool,
    /// Whether a whole cgroup can be stopped and continued.
    pub freeze: bool,
}

/// Which namespaces could be made; each was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Namespaces {
    /// User ids.
    pub user: bool,
    /// Process ids.
    pub pid: bool,
    /// Mounts.
    pub mnt: bool,
    /// Network.
    pub net: bool,
    /// System V IPC and message queues.
    pub ipc: bool,
    /// Host name.
    pub uts: bool,
}

/// Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Landlock {
    /// Version of the kernel's interface; `null` where there is none.
    pub abi: Option<u32>,
}

/// Who holds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldLimit {
    /// Who.
    pub by: Enforcer,
    /// Whether it is held.
    pub held: bool,
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// The command that mends it; `null` where none does.
    pub fix: Option<String>,
}
