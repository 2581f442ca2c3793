//! The controller `cpu`, and the time that every cgroup counts without it.

use super::{Error, files::Files};

/// Period of `cpu.max`, microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;
/// The kernel takes no smaller quota.
const LEAST_US: u64 = 1000;

/// CPU time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) user: Option<u64>,
    pub(super) system: Option<u64>,
    /// Time in which it was held back; only with the controller.
    pub(super) throttled: Option<u64>,
}

/// Holds the share of a cgroup, in thousandths of a core.
pub(super) fn hold(files: Files<'_>, millis: u32) -> Result<(), Error> {
    let quota = (u64::from(millis) * PERIOD_US / 1000).max(LEAST_US);
    files.hold("cpu.max", &format!("{quota} {PERIOD_US}"))
}

/// Reads the times.
pub(super) fn times(files: Files<'_>) -> Times {
    let stat = files.table("cpu.stat");
    Times {
        user: stat.get("user_usec"),
        system: stat.get("system_usec"),
        throttled: stat.get("throttled_usec"),
    }
}
