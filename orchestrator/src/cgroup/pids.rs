//! The controller `pids`.

use super::{Error, files::Files};

/// Holds the number of processes and threads of a cgroup.
pub(super) fn hold(files: Files<'_>, count: u64) -> Result<(), Error> {
    files.hold("pids.max", &count.to_string())
}

/// The most that were there at once.
pub(super) fn peak(files: Files<'_>) -> Option<u64> {
    files.number("pids.peak")
}

/// How many forks were refused.
pub(super) fn denied(files: Files<'_>) -> Option<u64> {
    files.table("pids.events").get("max")
}
