//! `config.json` of a home, as people write it: how many runs at once, what they may use together, where
//! secrets come from, what is kept. Durations and sizes are judged where they are used, not here.

use std::{collections::BTreeMap, num::NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{skill::Quantity, view::RunStatus};

/// A whole `config.json`; every key may be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For editors; means nothing to the engine.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Runs at once, over all processes that share the home; the others are queued. Default: 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<NonZeroU32>,
    /// What all runs at once may use together; absent: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the values of secrets come from: name to source. One that is not named here is the variable of
    /// its name in the caller's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
    /// Which records of ended runs are removed by themselves, as `prune` does; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The rotation of each run's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<Logs>,
    /// Who is told of runs that did not end well; absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

/// What all runs at once may use together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// CPU; 1.0 is one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A variable of the caller's environment.
    Env(String),
    /// A file; a relative path starts at the home. One line feed at its end is not part of the value.
    File(String),
    /// What a program prints; one line feed at its end is not part of the value.
    Command(#[schemars(length(min = 1))] Vec<String>),
}

/// Which records of ended runs are removed: those older than an age that are not among the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The age, from the end of the run.
    pub older_than: Quantity,
    /// This many of the newest runs stay, however old they are. Default: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
}

/// The rotation of a log by size.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Size at which a new file is begun. Default: 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Quantity>,
    /// Number of files that are kept. Default: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<NonZeroU32>,
}

/// Who is told of the end of a run. What they are told is one JSON object about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Runs that end like this. Default: `failed`, `rolled_back` and `rollback_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<RunStatus>>,
    /// A program with its arguments: it reads the object on its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// An address to which the object is posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}
