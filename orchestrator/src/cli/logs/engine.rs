//! The engine's own log of a run, across its rotation.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use schemas::output::log::{LOG_VERSION, Level, LogLine, Stream};

use super::tail::Tail;
use crate::store::{
    home::RunDir,
    run_log::{self, LogLine as Stored},
};

/// Reads the log from its oldest line on, and goes on wherever its end moves to.
#[derive(Debug)]
pub(super) struct EngineLog {
    dir: RunDir,
    /// The file that was the newest when it was last read.
    current: Option<Tail>,
}

impl EngineLog {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self { dir: dir.clone(), current: None }
    }

    /// The directory in which its files lie.
    pub(super) fn directory(dir: &RunDir) -> PathBuf {
        dir.run_log().parent().map_or_else(|| dir.path().to_owned(), PathBuf::from)
    }

    /// The lines that were written since the last call, oldest first.
    pub(super) fn news(&mut self) -> io::Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        if let Some(current) = &mut self.current {
            read(current, &mut lines)?;
        }
        for mut next in self.newer()? {
            // What was written between the last read and the rotation.
            if let Some(current) = &mut self.current {
                read(current, &mut lines)?;
            }
            read(&mut next, &mut lines)?;
            self.current = Some(next);
        }
        Ok(lines)
    }

    /// The files newer than the current one, oldest first. They are opened from the newest on: one that is
    /// rotated meanwhile is met again under its older name, and known by its inode.
    fn newer(&self) -> io::Result<Vec<Tail>> {
        let mut newer: Vec<Tail> = Vec::new();
        let known = self.current.as_ref().map(|tail| inode(tail.file())).transpose()?;
        for path in run_log::files(&self.dir).iter().rev() {
            let Some(tail) = Tail::open(path)? else { continue };
            let inode_of_it = inode(tail.file())?;
            if known == Some(inode_of_it) {
                break;
            }
            let met = newer.last().map(|last| inode(last.file())).transpose()?;
            if met != Some(inode_of_it) {
                newer.push(tail);
            }
        }
        newer.reverse();
        Ok(newer)
    }
}

fn inode(file: &File) -> io::Result<(u64, u64)> {
    let data = file.metadata()?;
    Ok((data.dev(), data.ino()))
}

/// Lines that are no lines of a log are passed over.
fn read(tail: &mut Tail, lines: &mut Vec<LogLine>) -> io::Result<()> {
    tail.lines(|line| {
        lines.extend(serde_json::from_slice::<Stored>(line).ok().map(told));
        Ok(())
    })
}

fn told(line: Stored) -> LogLine {
    LogLine {
        v: LOG_VERSION,
        ts: line.ts,
        run_id: line.run_id.to_string(),
        step: line.step,
        attempt: line.attempt,
        stream: match line.stream {
            run_log::Stream::Stdout => Stream::Stdout,
            run_log::Stream::Stderr => Stream::Stderr,
            run_log::Stream::Engine => Stream::Engine,
        },
        level: match line.level {
            run_log::Level::Error => Level::Error,
            run_log::Level::Warn => Level::Warn,
            run_log::Level::Info => Level::Info,
            run_log::Level::Debug => Level::Debug,
        },
        text: line.text,
    }
}

/// The attempts that these lines tell of: the number of the line that tells of the end, or of the last line, if
/// there are several.
pub(super) fn last_lines(lines: &[LogLine]) -> HashMap<(String, u32), usize> {
    let mut last = HashMap::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some((step, attempt)) = line.step.clone().zip(line.attempt) {
            last.insert((step, attempt), number);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::{
        files,
        home::Home,
        names::RunId,
        run_log::{Rotation, RunLog},
    };

    /// Some four lines fit into a file.
    const ROTATION: Rotation = Rotation { max_bytes: 680, files: 3 };

    fn run() -> (tempfile::TempDir, RunDir) {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().to_owned()).run(RunId::generate());
        files::ensure_dir(run.path()).unwrap();
        (dir, run)
    }

    fn write(log: &mut RunLog, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let level = run_log::Level::Info;
            log.write(Timestamp::UNIX_EPOCH, level, Some(("a", 1)), &number.to_string()).unwrap();
        }
    }

    #[track_caller]
    fn check_news(engine: &mut EngineLog, expected: std::ops::Range<u32>) {
        let texts: Vec<_> = engine.news().unwrap().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, expected.map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn no_line_is_lost_or_told_twice_by_a_rotation() {
        let (_dir, run) = run();
        let (mut engine, mut log) = (EngineLog::new(&run), RunLog::new(&run, ROTATION));
        check_news(&mut engine, 0..0);
        write(&mut log, 0..2);
        check_news(&mut engine, 0..2);
        check_news(&mut engine, 2..2);
        write(&mut log, 2..6);
        check_news(&mut engine, 2..6);
        write(&mut log, 6..14);
        check_news(&mut engine, 6..14);
    }

    #[test]
    fn what_was_rotated_away_is_gone_but_the_rest_is_told() {
        let (_dir, run) = run();
        let (mut engine, mut log) = (EngineLog::new(&run), RunLog::new(&run, ROTATION));
        write(&mut log, 0..13);
        check_news(&mut engine, 4..13);
    }
}
