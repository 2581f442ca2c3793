//! The controller `memory`.

use super::{Error, files::Files};

/// Who dies when there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// Everybody in the cgroup: a step is one thing.
    All,
    /// What the kernel chooses, with all of its own cgroup: a run is many.
    One,
}

/// What the kernel did for want of memory in one cgroup itself. What happened in a cgroup that a step made below is
/// not its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// How often the limit of this very cgroup left nothing.
    pub(super) ooms: Option<u64>,
    /// Processes killed, counted once too often where all of the cgroup was.
    pub(super) kills: Option<u64>,
}

/// A step dies as a whole, whoever's limit it was that left nothing.
pub(super) fn die_together(files: Files<'_>) -> Result<(), Error> {
    files.hold("memory.oom.group", "1")
}

/// Holds the memory of a cgroup; swap is shut with it.
pub(super) fn hold(files: Files<'_>, bytes: u64, victim: Victim) -> Result<(), Error> {
    files.hold("memory.max", &page_floor(bytes).to_string())?;
    if victim == Victim::All {
        die_together(files)?;
    }
    // Where the kernel has no swap accounting there is no file.
    files.hold_if_there("memory.swap.max", "0")
}

/// The most that was in use, bytes.
pub(super) fn peak(files: Files<'_>) -> Option<u64> {
    files.number("memory.peak")
}

/// Time in which some process waited for memory, microseconds: psi.rst.
pub(super) fn pressure(files: Files<'_>) -> Option<u64> {
    let text = files.read("memory.pressure").ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|word| word.strip_prefix("total="))?.trim_end().parse().ok()
}

/// Reads what happened.
pub(super) fn events(files: Files<'_>) -> Events {
    let local = files.table("memory.events.local");
    Events { ooms: local.get("oom"), kills: local.get("oom_kill").max(local.get("oom_group_kill")) }
}

/// The kernel keeps limits in whole pages.
fn page_floor(bytes: u64) -> u64 {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    let page = page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096);
    bytes / page * page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ooms: Option<u64>, kills: Option<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files(dir.path());
        files.write("memory.events.local", text).unwrap();
        assert_eq!(events(files), Events { ooms, kills }, "{text:?}");
    }

    #[test]
    fn kills_are_those_of_either_count() {
        let rest = "low 0\nhigh 0\nmax 9\n";
        check(&format!("{rest}oom 1\noom_kill 3\noom_group_kill 1\n"), Some(1), Some(3));
        check(&format!("{rest}oom 1\noom_kill 0\noom_group_kill 1\n"), Some(1), Some(1));
        // Before 5.17 there is no count of groups.
        check(&format!("{rest}oom 0\noom_kill 2\n"), Some(0), Some(2));
        check("", None, None);
    }

    #[track_caller]
    fn check_pressure(text: &str, expected: Option<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files(dir.path());
        files.write("memory.pressure", text).unwrap();
        assert_eq!(pressure(files), expected, "{text:?}");
    }

    #[test]
    fn pressure_is_the_time_in_which_some_waited() {
        let full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let some = "some avg10=1.50 avg60=0.00 avg300=0.00 total=20912\n";
        check_pressure(&format!("{some}{full}"), Some(20_912));
        check_pressure(full, None);
        check_pressure("some avg10=0.00 total=", None);
        check_pressure("", None);
    }
}
