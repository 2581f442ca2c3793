//! What of an attempt is looked at now and then, because the kernel holds it by no limit: memory without a controller,
//! CPU time, a directory for scratch where there is no private `/tmp`. Nothing is looked at that has no limit.

use std::{fs, path::Path, time::Duration};

use schemas::view::StopReason;
use tokio::time::Instant;

use super::{ladder::Members, scratch::Scratch};
use crate::{cgroup::Controllers, signal::Process};

/// Between two looks at memory.
pub(super) const MEMORY_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at a directory.
const SCRATCH_EVERY: Duration = Duration::from_millis(250);
/// Least time between two looks at the CPU time that a leaf counts.
const CPU_STEP: Duration = Duration::from_millis(10);
/// The same where it takes a walk through `/proc`.
const CPU_STEP_OF_WALK: Duration = Duration::from_millis(100);

/// The looks at one attempt.
#[derive(Debug)]
pub(super) struct Sampler {
    began: Instant,
    memory: Option<Look<Memory>>,
    cpu: Option<Look<Duration>>,
    scratch: Option<Look<Scratch>>,
}

/// Something, and when it is looked at next.
#[derive(Debug)]
struct Look<T> {
    at: Instant,
    what: T,
}

/// A limit on memory, bytes.
#[derive(Debug)]
struct Memory {
    limit: u64,
    peak: u64,
}

impl Sampler {
    /// Looks at nothing yet.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, memory: None, cpu: None, scratch: None }
    }

    /// Looks at the memory of the tree.
    pub(super) fn memory(mut self, limit: Option<u64>) -> Self {
        let what = limit.map(|limit| Memory { limit, peak: 0 });
        self.memory = what.map(|what| Look { at: self.began + MEMORY_EVERY, what });
        self
    }

    /// Looks at the CPU time of the tree.
    pub(super) fn cpu_time(mut self, limit: Option<Duration>) -> Self {
        self.cpu = limit.map(|what| Look { at: self.began + cpu_pause(what, CPU_STEP), what });
        self
    }

    /// Looks at a directory.
    pub(super) fn scratch(mut self, scratch: Option<Scratch>) -> Self {
        self.scratch = scratch.map(|what| Look { at: self.began + SCRATCH_EVERY, what });
        self
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        let memory = self.memory.as_ref().map(|look| look.at);
        let cpu = self.cpu.as_ref().map(|look| look.at);
        let scratch = self.scratch.as_ref().map(|look| look.at);
        [memory, cpu, scratch].into_iter().flatten().min()
    }

    /// Looks at what is due; which limit is passed, if one is. `tree` is the attempt's process and how the others are
    /// found, once it is born.
    pub(super) fn look(&mut self, now: Instant, tree: Option<(&Process, Members<'_>)>) -> Option<StopReason> {
        let mut passed = None;
        if let Some(look) = self.memory.as_mut().filter(|look| look.at <= now) {
            look.at = now + MEMORY_EVERY;
            if tree.is_some_and(|(process, members)| look.what.is_over(&members.pids(process))) {
                passed = Some(StopReason::Memory);
            }
        }
        if let Some(look) = self.cpu.as_mut().filter(|look| look.at <= now) {
            let used = tree.and_then(|(process, members)| members.cpu_time(process)).unwrap_or_default();
            let left = look.what.saturating_sub(used);
            let step = match tree {
                Some((_, Members::Leaf(_))) | None => CPU_STEP,
                Some((_, Members::Walk(_))) => CPU_STEP_OF_WALK,
            };
            look.at = now + cpu_pause(left, step);
            if left.is_zero() {
                passed = passed.or(Some(StopReason::CpuTime));
            }
        }
        if let Some(look) = self.scratch.as_mut().filter(|look| look.at <= now) {
            look.at = now + SCRATCH_EVERY;
            if look.what.is_over() {
                passed = passed.or(Some(StopReason::Scratch));
            }
        }
        passed
    }

    /// The most memory that was seen, bytes; `None` where it is not looked at, or was never.
    pub(super) fn memory_peak(&self) -> Option<u64> {
        self.memory.as_ref().map(|look| look.what.peak).filter(|peak| *peak > 0)
    }
}

/// The least time in which the rest of the CPU time can be used up, on all processors at once. Close to the limit the
/// steps are not made ever smaller.
fn cpu_pause(left: Duration, step: Duration) -> Duration {
    let processors =
        std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    (left / processors).max(step)
}

impl Members<'_> {
    /// The numbers of its living processes.
    fn pids(&self, process: &Process) -> Vec<i32> {
        match self {
            Members::Leaf(leaf) => leaf.processes().unwrap_or_default(),
            Members::Walk(walk) => walk.pids(process),
        }
    }

    /// The CPU time that it used.
    fn cpu_time(&self, process: &Process) -> Option<Duration> {
        match self {
            Members::Leaf(leaf) => {
                let stats = leaf.stats(Controllers::default());
                Some(Duration::from_micros(stats.user_us?.saturating_add(stats.system_us?)))
            }
            Members::Walk(walk) => walk.cpu_time(process),
        }
    }
}

impl Memory {
    /// Looks at the processes; whether they have more than the limit.
    fn is_over(&mut self, pids: &[i32]) -> bool {
        // Pages that are shared count for each: never too little, and quickly had.
        let mut used = sum(pids, resident);
        if used > self.limit {
            used = sum(pids, |pid| proportional(pid).or_else(|| resident(pid)));
        }
        self.peak = self.peak.max(used);
        used > self.limit
    }
}

fn sum(pids: &[i32], of: impl Fn(i32) -> Option<u64>) -> u64 {
    pids.iter().filter_map(|pid| of(*pid)).fold(0, u64::saturating_add)
}

/// What a process has resident, as `/proc/<pid>/statm` tells.
fn resident(pid: i32) -> Option<u64> {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten()?;
    let text = fs::read_to_string(proc_file(pid, "statm")).ok()?;
    pages_resident(&text)?.checked_mul(u64::try_from(page).ok()?)
}

/// The second number of `statm`: proc_pid_statm(5).
fn pages_resident(statm: &str) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The same, each page by its share: proc_pid_smaps(5).
fn proportional(pid: i32) -> Option<u64> {
    share(&fs::read_to_string(proc_file(pid, "smaps_rollup")).ok()?)
}

/// The line `Pss:`, bytes.
fn share(rollup: &str) -> Option<u64> {
    let kibibytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    kibibytes.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn proc_file(pid: i32, name: &str) -> impl AsRef<Path> {
    format!("/proc/{pid}/{name}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_share(rollup: &str, expected: Option<u64>) {
        assert_eq!(share(rollup), expected, "{rollup}");
    }

    #[test]
    fn the_share_is_read() {
        check_share("00400000-7fff r\nRss:  8 kB\nPss:                 3 kB\nPss_Dirty: 1 kB\n", Some(3072));
        check_share("Pss: 18446744073709551615 kB\n", None);
        check_share("Pss: x kB\n", None);
        check_share("Pss: 3\n", None);
        check_share("", None);
        assert_eq!(pages_resident("10 4 3 1 0 2 0\n"), Some(4));
        assert_eq!(pages_resident("10"), None);
    }

    proptest! {
        #[test]
        fn any_text_of_proc_is_read(text in "(Pss: *|[0-9]{0,21} ?| kB|\n|\\PC){0,12}") {
            let _numbers = (share(&text), pages_resident(&text));
        }
    }

    #[test]
    fn this_process_has_some_memory_and_one_that_is_gone_none() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut small = Memory { limit: 1, peak: 0 };
        assert!(small.is_over(&[own]));
        assert!(small.peak > 4096, "{small:?}");
        assert!(!Memory { limit: 1 << 50, peak: 0 }.is_over(&[own]));
        assert!(!Memory { limit: 0, peak: 0 }.is_over(&[i32::MAX]));
    }

    #[test]
    fn nothing_without_a_limit_is_looked_at() {
        let began = Instant::now();
        let mut none = Sampler::new(began).memory(None).cpu_time(None).scratch(None);
        assert_eq!((none.next(), none.look(began, None), none.memory_peak()), (None, None, None));
        let mut sampler = Sampler::new(began).memory(Some(1)).cpu_time(Some(Duration::from_mins(1)));
        assert_eq!(sampler.next(), Some(began + MEMORY_EVERY));
        assert_eq!(sampler.look(began, None), None);
        assert_eq!(sampler.next(), Some(began + MEMORY_EVERY), "nothing was due");
        // Before its birth there is nothing to see.
        assert_eq!(sampler.look(began + MEMORY_EVERY, None), None);
        assert_eq!(sampler.next(), Some(began + 2 * MEMORY_EVERY));
    }
}
