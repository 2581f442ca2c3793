//! What a leaf's files tell about an attempt. Every field is `None` where the kernel does not say.

use std::path::Path;

use super::{Controllers, cpu, files::Files, io, memory, pids};

/// Counters of a leaf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time in user mode.
    pub user_us: Option<u64>,
    /// CPU time in the kernel.
    pub system_us: Option<u64>,
    /// Time in which it was held back; only with the controller.
    pub throttled_us: Option<u64>,
    /// The most memory in use, bytes.
    pub memory_peak: Option<u64>,
    /// Processes killed for want of memory. Those of a nested cgroup's own limit are not the step's.
    pub oom_kills: Option<u64>,
    /// How often it was the leaf's own limit that left no memory.
    pub own_ooms: Option<u64>,
    /// Time in which some of it waited for memory.
    pub memory_pressure_us: Option<u64>,
    /// The most processes at once.
    pub pids_peak: Option<u64>,
    /// Refused forks.
    pub pids_denied: Option<u64>,
    /// Bytes read from disks.
    pub io_read: Option<u64>,
    /// Bytes written to disks.
    pub io_write: Option<u64>,
}

impl Stats {
    pub(super) fn read(leaf: &Path, controllers: Controllers) -> Self {
        let files = Files(leaf);
        let times = cpu::times(files);
        // Without its controller a file is not there.
        let events = if controllers.memory { memory::events(files) } else { memory::Events::default() };
        let moved = if controllers.io { io::moved(files) } else { io::Moved::default() };
        Self {
            user_us: times.user,
            system_us: times.system,
            throttled_us: times.throttled,
            memory_peak: controllers.memory.then(|| memory::peak(files)).flatten(),
            oom_kills: events.kills,
            own_ooms: events.ooms,
            memory_pressure_us: controllers.memory.then(|| memory::pressure(files)).flatten(),
            pids_peak: controllers.pids.then(|| pids::peak(files)).flatten(),
            pids_denied: controllers.pids.then(|| pids::denied(files)).flatten(),
            io_read: moved.read,
            io_write: moved.written,
        }
    }
}
