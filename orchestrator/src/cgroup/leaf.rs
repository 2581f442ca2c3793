//! One leaf: a fresh cgroup for one attempt, never used twice. Limits are written before the birth and read
//! back.

use std::{
    fs,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::{Controllers, Error, Stats, write_control};

/// Period of `cpu.max`, microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

/// Limits that controllers hold; absent: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max`, bytes. Swap is shut with it and an OOM takes the whole leaf.
    pub memory: Option<u64>,
    /// `cpu.max`, thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// `pids.max`.
    pub pids: Option<u64>,
}

/// A cgroup without children that holds one attempt.
#[derive(Debug)]
pub struct Leaf {
    path: PathBuf,
}

impl Leaf {
    pub(super) fn create(path: PathBuf) -> Result<Self, Error> {
        fs::create_dir(&path).map_err(|source| Error::Create { path: path.clone(), source })?;
        let leaf = Self { path };
        leaf.write("cgroup.max.descendants", "0")?;
        Ok(leaf)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the limits that the controllers can hold and reads them back.
    pub fn set_limits(&self, limits: Limits, controllers: Controllers) -> Result<(), Error> {
        if let Some(bytes) = limits.memory.filter(|_| controllers.memory) {
            self.hold("memory.max", &page_floor(bytes).to_string())?;
            self.write("memory.oom.group", "1")?;
            // Not there where the kernel has no swap accounting; then there is no swap to hold either.
            let _no_swap = self.write("memory.swap.max", "0");
        }
        if let Some(millis) = limits.cpu_millis.filter(|_| controllers.cpu) {
            let quota = (u64::from(millis) * CPU_PERIOD_US / 1000).max(1000);
            self.hold("cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
        }
        if let Some(pids) = limits.pids.filter(|_| controllers.pids) {
            self.hold("pids.max", &pids.to_string())?;
        }
        Ok(())
    }

    /// Kills everything in it. No process can be born into it afterwards (seen on kernel 6.18): that is
    /// why a leaf is never used twice.
    pub fn kill(&self) -> Result<(), Error> {
        self.write("cgroup.kill", "1")
    }

    /// Processes in it, zombies left out by the kernel's own rule for `cgroup.procs` of a dead leader.
    pub fn processes(&self) -> Result<Vec<i32>, Error> {
        Ok(self.read("cgroup.procs")?.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Whether a live process is in it.
    pub fn is_populated(&self) -> Result<bool, Error> {
        Ok(is_populated(&self.read("cgroup.events")?))
    }

    /// Waits until no live process is in it. The kernel wakes us when `cgroup.events` changes.
    pub async fn emptied(&self) -> Result<(), Error> {
        let path = self.path.join("cgroup.events");
        let error = |source| Error::File { path: path.clone(), source };
        let file = fs::File::open(&path).map_err(error)?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe for types that may change their descriptor; a `File` cannot"
        )]
        let mut file = AsyncFd::with_interest(file, Interest::PRIORITY).map_err(error)?;
        loop {
            let mut text = String::new();
            file.get_mut().rewind().map_err(error)?;
            file.get_mut().read_to_string(&mut text).map_err(error)?;
            if !is_populated(&text) {
                return Ok(());
            }
            file.ready(Interest::PRIORITY).await.map_err(error)?.clear_ready();
        }
    }

    /// What the kernel counted.
    pub fn stats(&self, controllers: Controllers) -> Stats {
        Stats::read(&self.path, controllers)
    }

    /// Removes it. A leaf that was just killed is busy for a while.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn hold(&self, name: &str, value: &str) -> Result<(), Error> {
        self.write(name, value)?;
        let found = self.read(name)?;
        if found.trim_end() == value {
            return Ok(());
        }
        Err(Error::NotHeld {
            path: self.path.join(name),
            wanted: value.to_owned(),
            found: found.trim_end().to_owned(),
        })
    }

    fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        write_control(&self.path.join(name), value)
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.path.join(name);
        fs::read_to_string(&path).map_err(|source| Error::File { path, source })
    }
}

/// Whether `cgroup.events` tells of a live process.
pub(super) fn is_populated(events: &str) -> bool {
    events.lines().any(|line| line == "populated 1")
}

/// The kernel keeps limits in whole pages.
fn page_floor(bytes: u64) -> u64 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096);
    bytes / page * page
}
