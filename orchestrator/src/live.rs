//! What the programs of a run use at this moment, read from `/proc` by whoever watches: nobody has to keep
//! account of it, and a run that nobody watches pays nothing. It is for the eye; what counts is in the journal.
//!
//! A program is known by the environment that its step got. Built-in skills have none, so nothing is known of them.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use crate::store::home::RunDir;

/// As much of an environment is read.
const ENVIRONMENT_MAX: u64 = 256 * 1024;
/// Where the fields of `/proc/<pid>/stat` stand behind the name: user and system time of the process and of its
/// children that were waited for, in ticks, and the resident pages (proc_pid_stat(5)).
const TIMES: std::ops::Range<usize> = 11..15;
const PAGES: usize = 21;

/// What all programs of an attempt use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// CPU time until now, in microseconds.
    pub cpu_us: u64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

/// What each attempt uses whose programs run now, by its work directory.
pub fn sample(run: &RunDir) -> HashMap<PathBuf, Use> {
    let mark = format!("WORKFLOW_RUN_ID={}", run.id());
    let units = Units::of_this_host();
    let mut used: HashMap<PathBuf, Use> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return used };
    let processes = entries.flatten().filter(|entry| entry.file_name().as_bytes()[0].is_ascii_digit());
    for process in processes.map(|entry| entry.path()) {
        // Whoever ends meanwhile is left out.
        let Ok(environment) = File::open(process.join("environ")) else { continue };
        let mut bytes = Vec::new();
        if environment.take(ENVIRONMENT_MAX).read_to_end(&mut bytes).is_err() {
            continue;
        }
        let Some(attempt) = attempt(&bytes, mark.as_bytes()) else { continue };
        let Ok(stat) = fs::read_to_string(process.join("stat")) else { continue };
        let Some(more) = of_process(&stat, units) else { continue };
        let sum = used.entry(attempt).or_default();
        sum.cpu_us = sum.cpu_us.saturating_add(more.cpu_us);
        sum.memory_bytes = sum.memory_bytes.saturating_add(more.memory_bytes);
    }
    used
}

/// The work directory that an environment names, if it is one of the run.
fn attempt(environment: &[u8], mark: &[u8]) -> Option<PathBuf> {
    let mut variables = environment.split(|byte| *byte == 0);
    variables.clone().any(|variable| variable == mark).then_some(())?;
    let directory = variables.find_map(|variable| variable.strip_prefix(b"WORKFLOW_WORK_DIR="))?;
    Some(PathBuf::from(OsStr::from_bytes(directory)))
}

/// In what the kernel counts.
#[derive(Debug, Clone, Copy)]
struct Units {
    tick_us: u64,
    page_bytes: u64,
}

impl Units {
    fn of_this_host() -> Self {
        use nix::unistd::{SysconfVar, sysconf};
        let ask = |variable| sysconf(variable).ok().flatten().and_then(|value| u64::try_from(value).ok());
        Self {
            tick_us: 1_000_000 / ask(SysconfVar::CLK_TCK).filter(|ticks| *ticks > 0).unwrap_or(100),
            page_bytes: ask(SysconfVar::PAGE_SIZE).unwrap_or(4096),
        }
    }
}

/// Reads a line of `/proc/<pid>/stat`. The name in it may hold anything, brackets too.
fn of_process(stat: &str, units: Units) -> Option<Use> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    let ticks = fields.get(TIMES)?.iter().map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<u64>>()?;
    let pages: u64 = fields.get(PAGES)?.parse().ok()?;
    Some(Use {
        cpu_us: ticks.saturating_mul(units.tick_us),
        memory_bytes: pages.saturating_mul(units.page_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_environment() {
        let run = b"WORKFLOW_RUN_ID=7";
        let of = |text: &[u8]| attempt(text, run);
        let whole = b"A=1\0WORKFLOW_RUN_ID=7\0WORKFLOW_WORK_DIR=/r/work/a@0/2\0";
        assert_eq!(of(whole), Some(PathBuf::from("/r/work/a@0/2")));
        assert_eq!(of(b"WORKFLOW_WORK_DIR=/r/w\0WORKFLOW_RUN_ID=7\0"), Some(PathBuf::from("/r/w")));
        assert_eq!(of(b"WORKFLOW_RUN_ID=70\0WORKFLOW_WORK_DIR=/r/w\0"), None, "another run");
        assert_eq!(of(b"WORKFLOW_RUN_ID=7\0"), None);
        assert_eq!(of(b""), None);
    }

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let units = Units { tick_us: 10_000, page_bytes: 4096 };
        let line = "7 (a) b) S 1 7 7 0 -1 4194304 0 0 0 0 3 4 10 20 20 0 1 0 100 1000 25 0 0\n";
        assert_eq!(of_process(line, units), Some(Use { cpu_us: 370_000, memory_bytes: 25 * 4096 }));
        assert_eq!(of_process("7 (a) S 1", units), None);
        assert_eq!(of_process("", units), None);
    }
}
