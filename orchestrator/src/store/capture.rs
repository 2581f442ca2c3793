//! What an attempt writes: `stdout.log` and `stderr.log`, byte for byte up to a cap, and the last lines for
//! the message of a failure. What is secret in it was masked before.

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
};

use super::{
    disk,
    files::{self, Fault, fault},
};

/// How many of the last lines are kept.
const TAIL_LINES: usize = 20;
/// How many of the last bytes are kept.
const TAIL_BYTES: usize = 8 * 1024;

/// One captured stream of an attempt. A silent stream makes no file.
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    cap: u64,
    file: Option<File>,
    written: u64,
    is_cut: bool,
    tail: Vec<u8>,
}

impl Capture {
    /// Captures into `path`, at most `cap` bytes and a line that says so.
    pub fn new(path: PathBuf, cap: u64) -> Self {
        Self { path, cap, file: None, written: 0, is_cut: false, tail: Vec::new() }
    }

    /// Takes what the stream gave next.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.remember(bytes);
        if self.is_cut {
            return Ok(());
        }
        let room = usize::try_from(self.cap - self.written).unwrap_or(usize::MAX);
        let kept = &bytes[..room.min(bytes.len())];
        self.append(kept)?;
        self.written += kept.len() as u64;
        if kept.len() < bytes.len() {
            self.is_cut = true;
            let mark = format!("\n[output cut at {} bytes]\n", self.cap);
            self.append(mark.as_bytes())?;
        }
        Ok(())
    }

    /// Whether the stream went beyond the cap.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The last lines of the stream: at most 20, and at most 8 KiB. What is not UTF-8 is replaced.
    pub fn last_lines(&self) -> Vec<String> {
        let text = self.tail.strip_suffix(b"\n").unwrap_or(&self.tail);
        if text.is_empty() {
            return Vec::new();
        }
        let mut lines: Vec<_> = text.rsplit(|byte| *byte == b'\n').take(TAIL_LINES).collect();
        lines.reverse();
        let plain = |line: &[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            String::from_utf8_lossy(line).into_owned()
        };
        lines.into_iter().map(plain).collect()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        disk::write_all(file, &self.path, bytes).map_err(fault("write", &self.path))
    }

    fn remember(&mut self, bytes: &[u8]) {
        let news = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.tail.len() + news.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus.min(self.tail.len()));
        self.tail.extend_from_slice(news);
    }
}

fn open(path: &std::path::Path) -> Result<File, Fault> {
    if let Some(directory) = path.parent() {
        files::ensure_dir(directory)?;
    }
    files::open_private(path, OpenOptions::new().append(true).create(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(cap: u64, chunks: &[&[u8]]) -> (Option<Vec<u8>>, Capture) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steps/a/1/stdout.log");
        let mut capture = Capture::new(path.clone(), cap);
        for chunk in chunks {
            capture.write(chunk).unwrap();
        }
        (std::fs::read(path).ok(), capture)
    }

    #[track_caller]
    fn check(cap: u64, chunks: &[&str], expected: Option<&str>) {
        let chunks: Vec<_> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
        let (content, capture) = captured(cap, &chunks);
        assert_eq!(content.as_deref(), expected.map(str::as_bytes));
        let total = chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        assert_eq!(capture.is_cut(), total > cap);
    }

    #[test]
    fn bytes_are_kept_up_to_the_cap() {
        check(10, &[], None);
        check(10, &[""], None);
        check(10, &["12345", "67890"], Some("1234567890"));
        check(10, &["12345", "678901", "2"], Some("1234567890\n[output cut at 10 bytes]\n"));
        check(10, &["1234567890", "x", "y"], Some("1234567890\n[output cut at 10 bytes]\n"));
        check(0, &["x"], Some("\n[output cut at 0 bytes]\n"));
    }

    #[track_caller]
    fn check_tail(chunks: &[&[u8]], expected: &[&str]) {
        assert_eq!(captured(5, chunks).1.last_lines(), expected);
    }

    #[test]
    fn the_last_lines_are_known_even_beyond_the_cap() {
        check_tail(&[], &[]);
        check_tail(&[b"\n"], &[]);
        check_tail(&[b"a\nb"], &["a", "b"]);
        check_tail(&[b"a\r\n", b"b\n"], &["a", "b"]);
        check_tail(&[b"one\ntw", b"o\n\nthree\n"], &["one", "two", "", "three"]);
        check_tail(&[b"\xff\n"], &["\u{fffd}"]);
    }

    #[test]
    fn only_so_many_lines_and_bytes_are_kept() {
        let lines = (0..100).map(|number| number.to_string()).collect::<Vec<_>>().join("\n");
        let tail = captured(0, &[lines.as_bytes()]).1.last_lines();
        assert_eq!((tail.len(), tail[0].as_str(), tail[19].as_str()), (20, "80", "99"));
        let long = vec![b'x'; 3000];
        let tail = captured(0, &[&long, &long, &long, &vec![b'y'; 100_000]]).1.last_lines();
        assert_eq!(tail, ["y".repeat(TAIL_BYTES)]);
    }

    #[test]
    fn a_full_disk_is_told() {
        let mut capture = Capture::new("/dev/full".into(), 10);
        capture.file = Some(File::options().write(true).open("/dev/full").unwrap());
        assert!(capture.write(b"x").unwrap_err().is_full());
    }
}
