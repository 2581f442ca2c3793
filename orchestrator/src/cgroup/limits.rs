//! What controllers hold for a cgroup: one file a controller.

use std::path::Path;

use super::{
    Controllers, Error, cpu,
    files::Files,
    io::{self, Bandwidth, Device},
    memory::{self, Victim},
    pids,
};

/// Limits that controllers hold; absent: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max`, bytes. Swap is shut with it.
    pub memory: Option<u64>,
    /// `cpu.max`, thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// `pids.max`.
    pub pids: Option<u64>,
    /// `io.max`, on these disks.
    pub io: Option<(Vec<Device>, Bandwidth)>,
}

impl Limits {
    /// Writes what the controllers can hold, and reads it back.
    pub(super) fn hold(&self, path: &Path, controllers: Controllers, victim: Victim) -> Result<(), Error> {
        let files = Files(path);
        match self.memory {
            Some(bytes) if controllers.memory => memory::hold(files, bytes, victim)?,
            None if controllers.memory && victim == Victim::All => memory::die_together(files)?,
            Some(_) | None => {}
        }
        if let Some(millis) = self.cpu_millis.filter(|_| controllers.cpu) {
            cpu::hold(files, millis)?;
        }
        if let Some(count) = self.pids.filter(|_| controllers.pids) {
            pids::hold(files, count)?;
        }
        if let Some((devices, bandwidth)) = self.io.as_ref().filter(|_| controllers.io) {
            io::hold(files, devices, *bandwidth)?;
        }
        Ok(())
    }
}
