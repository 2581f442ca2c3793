//! The engine's own log of a run, across its rotation.

use std::{fs::File, io, os::unix::fs::MetadataExt as _};

use schemas::output::log::LogLine;

use super::tail::Lines;
use crate::store::{files, home::RunDir, run_log};

/// Reads the log from its oldest line on, and goes on wherever its end moves to.
#[derive(Debug)]
pub(super) struct EngineLog {
    dir: RunDir,
    /// The file that was the newest when it was last read.
    current: Option<File>,
    lines: Lines,
}

impl EngineLog {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self { dir: dir.clone(), current: None, lines: Lines::default() }
    }

    /// The lines that were written since the last call, oldest first.
    pub(super) fn news(&mut self) -> io::Result<Vec<LogLine>> {
        let mut news = Vec::new();
        // Opened before the current one is read: what is written into that one until it is rotated away is
        // there when it is read.
        let newer = self.newer()?;
        self.read(&mut news)?;
        for next in newer {
            self.current = Some(next);
            self.lines = Lines::default();
            self.read(&mut news)?;
        }
        Ok(news)
    }

    /// Lines that are no lines of a log are passed over.
    fn read(&mut self, news: &mut Vec<LogLine>) -> io::Result<()> {
        let Some(file) = &mut self.current else { return Ok(()) };
        self.lines.read(file, |line| {
            news.extend(serde_json::from_slice::<LogLine>(line));
            Ok(())
        })
    }

    /// The files newer than the current one, oldest first. They are opened from the newest on: one that is
    /// rotated meanwhile is met again under its older name, and known by its inode.
    fn newer(&self) -> io::Result<Vec<File>> {
        let mut newer: Vec<File> = Vec::new();
        let mut met = None;
        let known = self.current.as_ref().map(inode).transpose()?;
        for path in run_log::files(&self.dir).iter().rev() {
            let Ok(file) = files::open_regular(path) else { continue };
            let found = Some(inode(&file)?);
            if found == known {
                break;
            }
            if found != met {
                met = found;
                newer.push(file);
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use jiff::Timestamp;
    use schemas::output::log::Level;

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
            log.write(Timestamp::UNIX_EPOCH, Level::Info, Some(("a", 1)), &number.to_string()).unwrap();
        }
        log.flush().unwrap();
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
    fn torn_and_strange_lines_are_passed_over() {
        let (_dir, run) = run();
        let (mut engine, mut log) = (EngineLog::new(&run), RunLog::new(&run, ROTATION));
        write(&mut log, 0..1);
        let mut file = File::options().append(true).open(run.run_log()).unwrap();
        file.write_all(b"{\"v\":1,\"ts\n\xff\n{}\n").unwrap();
        write(&mut log, 1..2);
        check_news(&mut engine, 0..2);
    }

    #[test]
    fn what_was_rotated_away_is_gone_but_the_rest_is_told() {
        let (_dir, run) = run();
        let (mut engine, mut log) = (EngineLog::new(&run), RunLog::new(&run, ROTATION));
        write(&mut log, 0..13);
        check_news(&mut engine, 4..13);
    }
}
