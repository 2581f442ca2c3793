//! The processes of an attempt where no cgroup holds them: found in `/proc` by their parents, their sessions
//! and the environment that the step got, as far as they can be found. A process that left its session, lost
//! its parents and changed its environment is not.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read as _,
    path::PathBuf,
    time::Duration,
};

use schemas::journal::AttemptId;

use crate::{signal::Process, store::names::RunId};

/// How often a tree that goes on forking is looked at anew. A process that was killed forks no more, so that
/// each round leaves fewer who can.
const ROUNDS: usize = 100;
/// As much of an environment is read.
const ENVIRONMENT_MAX: u64 = 256 * 1024;

/// Where to look.
#[derive(Debug)]
pub(super) struct Walk {
    /// The number of the attempt's process.
    root: i32,
    /// When that began, in the kernel's ticks; nobody of the tree is older. 0: not known.
    since: u64,
    /// Variables of the environment that no other attempt has.
    marks: Vec<String>,
}

/// A line of `/proc/<pid>/stat`: proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    pid: i32,
    parent: i32,
    session: i32,
    started: u64,
    /// CPU time of its own and of the children that it waited for, in the kernel's ticks.
    ticks: u64,
    /// Ended, and not reaped yet.
    is_zombie: bool,
    /// Its environment has the marks.
    is_marked: bool,
}

impl Walk {
    /// For the attempt whose process was just born with this number.
    pub(super) fn new(root: i32, run: RunId, attempt: &AttemptId) -> Self {
        let marks = vec![
            format!("WORKFLOW_RUN_ID={run}"),
            format!("WORKFLOW_STEP_ID={}", attempt.step),
            format!("WORKFLOW_ATTEMPT={}", attempt.attempt),
        ];
        Self { root, since: Row::read(root).map_or(0, |row| row.started), marks }
    }

    /// The living processes of the tree, oldest first. `process` is the root, which may have ended.
    pub(super) fn members(&self, process: &Process) -> Vec<Process> {
        self.rows(process).iter().filter_map(Row::open).collect()
    }

    /// Their numbers.
    pub(super) fn pids(&self, process: &Process) -> Vec<i32> {
        self.rows(process).iter().map(|row| row.pid).collect()
    }

    /// The CPU time of the tree: that of the living, and of the dead whom one of them has waited for.
    pub(super) fn cpu_time(&self, process: &Process) -> Option<Duration> {
        let ticks = self.rows(process).iter().map(|row| row.ticks).fold(0, u64::saturating_add);
        let second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten()?;
        Some(Duration::from_millis(ticks.saturating_mul(1000) / u64::try_from(second).ok()?.max(1)))
    }

    /// Kills every living process of the tree, and gives back whom it killed.
    pub(super) fn kill(&self, process: &Process) -> Vec<Process> {
        let mut seen = HashSet::new();
        let mut killed = Vec::new();
        for _ in 0..ROUNDS {
            let fresh: Vec<_> = self.rows(process).into_iter().filter(|row| seen.insert(row.id())).collect();
            if fresh.is_empty() {
                break;
            }
            killed.extend(fresh.iter().filter_map(Row::open).filter(|member| member.kill().is_ok()));
        }
        killed
    }

    fn rows(&self, process: &Process) -> Vec<Row> {
        let mut rows = all_rows();
        for row in &mut rows {
            row.is_marked = row.started >= self.since && !row.is_zombie && is_marked(row.pid, &self.marks);
        }
        // Only while nobody has reaped it can no other process have its number.
        let is_other = |row: &Row| row.pid == self.root && !row.is_zombie && process.has_ended();
        let root = if rows.iter().any(is_other) { None } else { Some(self.root) };
        tree(&rows, root)
    }
}

/// The living processes that a run's dead engine left, as far as they can be found, oldest first.
pub fn left_of(run: RunId) -> Vec<Process> {
    let marks = [format!("WORKFLOW_RUN_ID={run}")];
    let mut rows = all_rows();
    for row in &mut rows {
        row.is_marked = !row.is_zombie && is_marked(row.pid, &marks);
    }
    tree(&rows, None).iter().filter_map(Row::open).collect()
}

fn all_rows() -> Vec<Row> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Row::read).collect()
}

/// The living processes of a tree: its root, whoever is marked, and whoever has one of them as parent or leader
/// of his session.
fn tree(rows: &[Row], root: Option<i32>) -> Vec<Row> {
    let mut pids: HashSet<i32> = root.into_iter().collect();
    pids.extend(rows.iter().filter(|row| row.is_marked).map(|row| row.pid));
    loop {
        let belongs = |row: &&Row| pids.contains(&row.parent) || pids.contains(&row.session);
        let found: Vec<i32> =
            rows.iter().filter(belongs).map(|row| row.pid).filter(|pid| !pids.contains(pid)).collect();
        if found.is_empty() {
            break;
        }
        pids.extend(found);
    }
    let mut tree: Vec<Row> =
        rows.iter().filter(|row| pids.contains(&row.pid) && !row.is_zombie).copied().collect();
    tree.sort_by_key(|row| (row.started, row.pid));
    tree
}

fn is_marked(pid: i32, marks: &[String]) -> bool {
    let mut environment = Vec::new();
    // Gone, or of another user.
    let read = File::open(proc_file(pid, "environ"))
        .and_then(|file| file.take(ENVIRONMENT_MAX).read_to_end(&mut environment));
    read.is_ok() && has_marks(&environment, marks)
}

fn has_marks(environment: &[u8], marks: &[String]) -> bool {
    let variables: HashSet<&[u8]> = environment.split(|byte| *byte == 0).collect();
    marks.iter().all(|mark| variables.contains(mark.as_bytes()))
}

impl Row {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(proc_file(pid, "stat")).ok()?)
    }

    fn parse(pid: i32, stat: &str) -> Option<Self> {
        // The name is in brackets and may itself hold any character.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Counted from the state, which is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            pid,
            is_zombie: matches!(field(3)?, "Z" | "X" | "x"),
            parent: field(4)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
            // utime, stime, cutime, cstime; the last two are signed.
            ticks: (14..=17)
                .filter_map(|number| field(number)?.parse::<u64>().ok())
                .fold(0, u64::saturating_add),
            is_marked: false,
        })
    }

    /// What no two processes have in common.
    fn id(&self) -> (i32, u64) {
        (self.pid, self.started)
    }

    /// The process itself, if it still is the one that was found.
    fn open(&self) -> Option<Process> {
        let process = Process::open(self.pid).ok()?;
        let now = Self::read(self.pid)?;
        (now.id() == self.id()).then_some(process)
    }
}

fn proc_file(pid: i32, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(pid: i32, parent: i32, session: i32) -> Row {
        let started = u64::from(pid.unsigned_abs());
        Row { pid, parent, session, started, ticks: 0, is_zombie: false, is_marked: false }
    }

    #[track_caller]
    fn check(rows: &[Row], root: Option<i32>, expected: &[i32]) {
        let found: Vec<i32> = tree(rows, root).iter().map(|row| row.pid).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_tree_is_whom_parents_sessions_and_marks_tell() {
        let world = [row(1, 0, 1), row(10, 1, 10), row(11, 10, 10), row(20, 11, 20)];
        let with = |more: &[Row]| [&world[..], more].concat();
        check(&world, Some(20), &[20]);
        check(&world, None, &[]);
        // Children, whatever their session, found in any order.
        check(&with(&[row(23, 22, 22), row(22, 21, 22), row(21, 20, 20)]), Some(20), &[20, 21, 22, 23]);
        // Orphans in the session of the root, which is gone.
        check(&with(&[row(31, 1, 30)]), Some(30), &[31]);
        // A daemon and its child: only the mark tells.
        let daemon = Row { is_marked: true, ..row(40, 1, 40) };
        check(&with(&[daemon, row(41, 40, 40)]), Some(20), &[20, 40, 41]);
        check(&with(&[daemon, row(41, 40, 40)]), None, &[40, 41]);
        // Zombies lead to others and are none themselves.
        let zombie = Row { is_zombie: true, ..row(21, 20, 20) };
        check(&with(&[zombie, row(22, 21, 22)]), Some(20), &[20, 22]);
        // A process that has not left the session of those who started it does not bring them in.
        let newborn = Row { is_marked: true, ..row(50, 11, 10) };
        check(&with(&[newborn]), None, &[50]);
    }

    #[track_caller]
    fn check_stat(stat: &str, expected: Option<Row>) {
        assert_eq!(Row::parse(7, stat), expected, "{stat:?}");
    }

    #[test]
    fn rows_of_proc() {
        let rest = "3 7 5 0 -1 4194560 1 0 0 0 5 6 7 8 20 0 1 0 99 8 1 2";
        let found =
            Row { pid: 7, parent: 3, session: 5, started: 99, ticks: 26, is_zombie: false, is_marked: false };
        check_stat(&format!("7 (sleep) S {rest}"), Some(found));
        check_stat(&format!("7 (a) Z (b) R {rest}"), Some(found));
        check_stat(&format!("7 (a b\n) Z {rest}"), Some(Row { is_zombie: true, ..found }));
        for torn in ["", "7 (sleep)", "7 (sleep) S 3 7", "7 (sleep) S x 7 5 0"] {
            check_stat(torn, None);
        }
    }

    proptest! {
        #[test]
        fn any_row_of_proc_is_read(stat in "[0-9]{0,6} ?\\(?\\PC{0,20}\\)?( [SZRx-]|( -?[0-9]{0,21}){0,25})") {
            if let Some(row) = Row::parse(7, &stat) {
                prop_assert_eq!(row.pid, 7);
            }
        }
    }

    #[test]
    fn marks_are_whole_variables() {
        let marks = ["A=1".to_owned(), "B=2".to_owned()];
        assert!(has_marks(b"X=0\0B=2\0A=1\0", &marks));
        for environment in [&b""[..], b"A=1\0", b"A=11\0B=2\0", b"XA=1\0B=2\0", b"A=1 B=2\0"] {
            assert!(!has_marks(environment, &marks), "{environment:?}");
        }
    }
}
