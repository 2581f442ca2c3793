//! One line of a run's logs: as `logs --json` prints it, and as it stands in the engine's own log file.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words;

/// Version of the shape of [`LogLine`].
pub const LOG_VERSION: u32 = 1;

words! {
    /// Where a line comes from.
    Stream {
        /// The program's standard output.
        Stdout = "stdout",
        /// The program's standard error.
        Stderr = "stderr",
        /// The engine.
        Engine = "engine",
    }
}

words! {
    /// How much a line matters.
    Level {
        /// How it happens.
        Debug = "debug",
        /// What happens.
        Info = "info",
        /// Something is not as it should be.
        Warn = "warn",
        /// Something went wrong.
        Error = "error",
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// [`LOG_VERSION`].
    pub v: u32,
    /// When. What a program wrote is kept as it is, without times: of its lines this is the moment at which
    /// the stream had last been written to when the line was read, so that none is later.
    pub ts: Timestamp,
    /// The run.
    pub run_id: String,
    /// The step, if it is about one.
    pub step: Option<String>,
    /// The attempt, if it is about one.
    pub attempt: Option<u32>,
    /// Where it comes from.
    pub stream: Stream,
    /// How much it matters.
    pub level: Level,
    /// What is said; bytes that are not UTF-8 are replaced.
    pub text: String,
}
