//! What the reading commands print with `--json`: one document each, but for lines of logs and answers.

pub mod agents;
pub mod daemon;
pub mod doctor;
pub mod eval;
pub mod explain;
pub mod graph;
pub mod history;
pub mod list;
pub mod log;
pub mod notice;
pub mod plan;
pub mod schedules;
pub mod skills;
pub mod validate;

/// Version of the shapes of all of them.
pub const SCHEMA_VERSION: u32 = 1;
