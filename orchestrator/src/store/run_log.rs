//! The engine's own log of a run: `logs/run.log`, one JSON object a line, rotated by size into `run.log.1`
//! (newer) to `run.log.N` (older).
//!
//! Only the run's owner writes it. It is for people; nothing is derived from it.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use schemas::output::log::{LOG_VERSION, Level, LogLine, Stream};

use super::{
    disk,
    files::{self, Fault, fault},
    home::RunDir,
};

/// The longest text of a line, in bytes.
const TEXT_MAX: usize = 16 * 1024;

/// When to rotate, and how much to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file does not grow beyond this many bytes, unless one line does.
    pub max_bytes: u64,
    /// Number of files, the current one included; at least 1.
    pub files: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 1024 * 1024, files: 3 }
    }
}

/// Writes the log of a run. Nothing is made before the first line.
#[derive(Debug)]
pub struct RunLog {
    run: String,
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
    /// Lines of the open file that are not written yet.
    waiting: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl RunLog {
    /// The log of a run.
    pub fn new(run: &RunDir, rotation: Rotation) -> Self {
        Self { run: run.id().to_string(), path: run.run_log(), rotation, open: None, waiting: Vec::new() }
    }

    /// Adds a line of the engine, about a step and attempt if given, to what [`RunLog::flush`] writes. A text over
    /// 16 KiB is cut.
    pub fn write(
        &mut self,
        ts: Timestamp,
        level: Level,
        about: Option<(&str, u32)>,
        text: &str,
    ) -> Result<(), Fault> {
        let line = LogLine {
            v: LOG_VERSION,
            ts,
            run_id: self.run.clone(),
            step: about.map(|(step, _)| step.to_owned()),
            attempt: about.map(|(_, attempt)| attempt),
            stream: Stream::Engine,
            level,
            text: text[..text.floor_char_boundary(TEXT_MAX)].to_owned(),
        };
        let mut bytes =
            serde_json::to_vec(&line).map_err(io::Error::from).map_err(fault("write", &self.path))?;
        bytes.push(b'\n');
        self.append(&bytes)
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.as_mut().filter(|_| !self.waiting.is_empty()) else { return Ok(()) };
        disk::write_all(&open.file, &self.path, &self.waiting).map_err(fault("write", &self.path))?;
        open.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> Result<(), Fault> {
        let mut length = match &self.open {
            Some(open) => open.length,
            None => self.open.insert(open_log(&self.path)?).length,
        };
        length += self.waiting.len() as u64;
        if length > 0 && length + line.len() as u64 > self.rotation.max_bytes {
            self.flush()?;
            self.open = None;
            rotate(&self.path, self.rotation.files)?;
            self.open = Some(open_log(&self.path)?);
        }
        self.waiting.extend_from_slice(line);
        Ok(())
    }
}

/// The files of a run's log that exist, oldest first.
pub fn files(run: &RunDir) -> Vec<PathBuf> {
    let newest = run.run_log();
    let mut found = Vec::new();
    let mut next = newest.clone();
    while next.exists() {
        found.push(next);
        next = numbered(&newest, found.len());
    }
    found.reverse();
    found
}

fn open_log(path: &Path) -> Result<Open, Fault> {
    if let Some(directory) = path.parent() {
        files::ensure_dir(directory)?;
    }
    let file = files::open_private(path, OpenOptions::new().append(true).create(true))?;
    let length = file.metadata().map_err(fault("look at", path))?.len();
    Ok(Open { file, length })
}

/// Moves `run.log` to `.1`, `.1` to `.2`, …; the oldest is replaced, or removed if there is only one file.
fn rotate(path: &Path, files: usize) -> Result<(), Fault> {
    if files <= 1 {
        return disk::remove_file(path).map_err(fault("remove", path));
    }
    for number in (1..files).rev() {
        let from = if number == 1 { path.to_owned() } else { numbered(path, number - 1) };
        match disk::rename(&from, &numbered(path, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fault("rotate", &from)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    path.with_added_extension(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::view::tests::run_dir;

    fn texts(run: &RunDir) -> Vec<String> {
        let whole: String =
            super::files(run).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        whole.lines().map(|line| serde_json::from_str::<LogLine>(line).unwrap().text).collect()
    }

    fn log(run: &RunDir, rotation: Rotation, numbers: std::ops::Range<u32>) {
        let mut log = RunLog::new(run, rotation);
        for number in numbers {
            log.write(Timestamp::UNIX_EPOCH, Level::Info, Some(("a", 1)), &number.to_string()).unwrap();
        }
        log.flush().unwrap();
    }

    #[track_caller]
    fn check(files: usize, lines: u32, expected: std::ops::Range<u32>, expected_files: usize) {
        let (_dir, run) = run_dir();
        // Four lines of about 150 bytes a file.
        log(&run, Rotation { max_bytes: 680, files }, 0..lines);
        assert_eq!(texts(&run), expected.map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(super::files(&run).len(), expected_files);
    }

    #[test]
    fn files_are_rotated_and_the_oldest_dropped() {
        check(3, 0, 0..0, 0);
        check(3, 4, 0..4, 1);
        check(3, 5, 0..5, 2);
        check(3, 12, 0..12, 3);
        check(3, 13, 4..13, 3);
        check(1, 5, 4..5, 1);
    }

    #[test]
    fn a_next_owner_goes_on_in_the_same_file() {
        let (_dir, run) = run_dir();
        log(&run, Rotation::default(), 0..2);
        log(&run, Rotation::default(), 2..3);
        assert_eq!(texts(&run), ["0", "1", "2"]);
    }

    #[test]
    fn lines_have_the_documented_shape() {
        let (_dir, run) = run_dir();
        let mut log = RunLog::new(&run, Rotation::default());
        log.write(Timestamp::UNIX_EPOCH, Level::Warn, None, "a\nb \u{1b}[31m").unwrap();
        log.flush().unwrap();
        let text = std::fs::read_to_string(run.run_log()).unwrap().replace(&run.id().to_string(), "ID");
        assert_eq!(
            text,
            "{\"v\":1,\"ts\":\"1970-01-01T00:00:00Z\",\"run_id\":\"ID\",\"step\":null,\"attempt\":null,\
             \"stream\":\"engine\",\"level\":\"warn\",\"text\":\"a\\nb \\u001b[31m\"}\n"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let (_dir, run) = run_dir();
        let mut log = RunLog::new(&run, Rotation::default());
        log.write(Timestamp::UNIX_EPOCH, Level::Info, None, &"é".repeat(TEXT_MAX)).unwrap();
        log.flush().unwrap();
        assert_eq!(texts(&run), ["é".repeat(TEXT_MAX / 2)]);
    }
}
