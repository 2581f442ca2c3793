//! Units that cross a process border, as newtypes.

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Limits that the launcher or the child sets on the new process itself (setrlimit(2)); cgroup limits are
/// written by the engine before the birth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimits {
    /// `RLIMIT_NOFILE`: open descriptors.
    pub open_files: Option<u64>,
    /// `RLIMIT_FSIZE`: size of a written file.
    pub file_size: Option<Bytes>,
    /// `RLIMIT_NPROC`: processes and threads of the user; only in a user namespace of the step's own, where nobody
    /// else is counted.
    pub processes: Option<u64>,
    /// `RLIMIT_CPU` in whole seconds: a backstop behind the engine's own watch.
    pub cpu_seconds: Option<u64>,
}
