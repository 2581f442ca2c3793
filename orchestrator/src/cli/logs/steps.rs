//! What the programs of a run wrote: two files for each attempt, below `steps/`.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    io::{Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use schemas::output::log::{LOG_VERSION, Level, LogLine, Stream};

use super::{
    line::Printer,
    tail::{Lines, written},
};
use crate::store::{files, home::RunDir};

/// The streams of an attempt with the names of their files.
const FILES: [(Stream, &str); 2] = [(Stream::Stdout, "stdout.log"), (Stream::Stderr, "stderr.log")];

/// One attempt of one turn of a step, as its directory says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub(super) step: String,
    pub(super) turns: Vec<u32>,
    pub(super) number: u32,
}

impl Attempt {
    /// Reads `<step>[@<i>.<j>]` and `<number>`; `None` for what is no directory of an attempt.
    pub(super) fn parse(step: &str, number: &str) -> Option<Self> {
        let number = number.parse().ok()?;
        let (step, turns) = match step.split_once('@') {
            Some((step, turns)) => (step, turns.split('.').map(str::parse).collect::<Result<_, _>>().ok()?),
            None => (step, Vec::new()),
        };
        Some(Self { step: step.to_owned(), turns, number })
    }
}

/// The captured streams of a run, and how far they were read.
#[derive(Debug)]
pub(super) struct Steps {
    run_id: String,
    root: PathBuf,
    read: HashMap<PathBuf, Read>,
}

/// How far a file was read. It is not kept open: a run may have more attempts than a process has descriptors.
#[derive(Debug, Default)]
struct Read {
    offset: u64,
    lines: Lines,
}

impl Steps {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self { run_id: dir.id().to_string(), root: root(dir), read: HashMap::new() }
    }

    /// The directories of all attempts, by step, turn and number.
    pub(super) fn attempts(&self) -> io::Result<BTreeMap<Attempt, PathBuf>> {
        let mut found = BTreeMap::new();
        for step in directories(&self.root)? {
            for attempt in directories(&step)? {
                found.extend(attempt_of(&attempt).map(|parsed| (parsed, attempt)));
            }
        }
        Ok(found)
    }

    /// Prints what an attempt wrote since it was last read, as far as lines are whole.
    pub(super) fn print(
        &mut self,
        attempt: &Attempt,
        directory: &Path,
        printer: &mut Printer,
    ) -> io::Result<()> {
        for (stream, name) in FILES {
            if printer.wanted().reads(&attempt.step, attempt.number, stream) {
                self.print_stream(attempt, stream, directory.join(name), printer)?;
            }
        }
        Ok(())
    }

    fn print_stream(
        &mut self,
        attempt: &Attempt,
        stream: Stream,
        path: PathBuf,
        printer: &mut Printer,
    ) -> io::Result<()> {
        let mut file = match files::open_regular(&path) {
            Ok(file) => file,
            // A silent stream makes no file.
            Err(fault) if fault.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(fault) => return Err(fault.source),
        };
        let read = self.read.entry(path).or_default();
        file.seek(SeekFrom::Start(read.offset))?;
        let mut line = line(&self.run_id, attempt, stream);
        line.ts = written(&file)?;
        let result = read.lines.read(&mut file, |text| {
            line.text = plain(text);
            printer.print(&line)
        });
        read.offset = file.stream_position()?;
        result
    }

    /// Prints the last line of an attempt's streams, where it has no end: the attempt is over.
    pub(super) fn finish(
        &mut self,
        attempt: &Attempt,
        directory: &Path,
        printer: &mut Printer,
    ) -> io::Result<()> {
        for (stream, name) in FILES {
            let path = directory.join(name);
            let Some(read) = self.read.get_mut(&path) else { continue };
            read.lines.finish(|text| {
                let mut line = line(&self.run_id, attempt, stream);
                line.ts = written(&fs::File::open(&path)?)?;
                line.text = plain(text);
                printer.print(&line)
            })?;
        }
        Ok(())
    }
}

/// The directory with those of the steps.
pub(super) fn root(dir: &RunDir) -> PathBuf {
    dir.path().join("steps")
}

/// The attempt whose directory this is.
pub(super) fn attempt_of(directory: &Path) -> Option<Attempt> {
    let step = directory.parent()?.file_name()?.to_str()?;
    Attempt::parse(step, directory.file_name()?.to_str()?)
}

/// The directories in a directory, which need not exist.
pub(super) fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn line(run_id: &str, attempt: &Attempt, stream: Stream) -> LogLine {
    LogLine {
        v: LOG_VERSION,
        ts: jiff::Timestamp::UNIX_EPOCH,
        run_id: run_id.to_owned(),
        step: Some(attempt.step.clone()),
        attempt: Some(attempt.number),
        stream,
        level: Level::Info,
        text: String::new(),
    }
}

/// A line as text; the carriage return of a DOS line is no part of it.
fn plain(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: &str, number: &str, expected: Option<(&str, &[u32], u32)>) {
        let found = Attempt::parse(step, number);
        let found = found.as_ref().map(|found| (found.step.as_str(), found.turns.as_slice(), found.number));
        assert_eq!(found, expected);
    }

    #[test]
    fn directories_name_their_attempt() {
        check("a", "1", Some(("a", &[], 1)));
        check("a@3.14", "2", Some(("a", &[3, 14], 2)));
        check("a@", "2", None);
        check("a", "x", None);
    }

    #[test]
    fn attempts_are_in_the_order_of_their_turns() {
        let mut attempts = [("b", "1"), ("a@10", "1"), ("a@9", "2"), ("a@9", "1")]
            .map(|(step, number)| Attempt::parse(step, number).expect("it is one"));
        attempts.sort();
        let order: Vec<_> = attempts.iter().map(|a| (a.step.as_str(), a.turns.first(), a.number)).collect();
        assert_eq!(order, [("a", Some(&9), 1), ("a", Some(&9), 2), ("a", Some(&10), 1), ("b", None, 1)]);
    }
}
