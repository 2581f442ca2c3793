//! Processes as /proc shows them: which belong to a test, and who is whose child.

use std::{fs, time::Duration};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// Its arguments, for messages.
    pub command: String,
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The processes that carry `marker` in their environment, arguments or working directory; not this one.
pub fn marked(marker: &str) -> Vec<Process> {
    let mut found = all();
    found.retain(|process| process.pid != std::process::id() && carries(process.pid, marker));
    found
}

/// The processes below `pid`, at any depth.
pub fn below(pid: u32) -> Vec<Process> {
    let everything = all();
    let mut parents = vec![pid];
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for process in everything.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// Sends a signal; `false` if the process is gone.
pub fn send(pid: u32, signal: Signal) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid fits"));
    signal::kill(pid, signal).is_ok()
}

/// The number of open descriptors of a process.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The highest resident size that a process has had, in KiB.
pub fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The time that the processor has worked for a process, whatever else runs; to a hundredth of a second.
pub fn worked(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // In user mode and in the kernel: fields 14 and 15.
    let ticks = after_name(&stat)?.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok());
    Some(Duration::from_millis(10 * ticks.sum::<Option<u64>>()?))
}

/// The fields of `proc_pid_stat(5)` from the third on: the second is in parentheses and may itself hold anything.
fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(") ").map(|(_, rest)| rest)
}

fn read(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = after_name(&stat)?.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Some(Process { pid, parent, state, command: String::from_utf8_lossy(&command).replace('\0', " ") })
}

fn carries(pid: u32, marker: &str) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).is_ok_and(|bytes| holds(&bytes));
    file("environ")
        || file("cmdline")
        || fs::read_link(format!("/proc/{pid}/cwd"))
            .is_ok_and(|path| holds(path.as_os_str().as_encoded_bytes()))
}
