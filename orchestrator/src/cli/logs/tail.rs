//! The end of a file that grows: gives whole lines as they come.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use jiff::Timestamp;

use crate::store::files;

/// A longer line is given in pieces.
pub(super) const LINE_MAX: usize = 128 * 1024;

/// A file that is read from its beginning to wherever its end is now.
#[derive(Debug)]
pub(super) struct Tail {
    file: File,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
}

impl Tail {
    /// Opens a regular file; `None` if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        match files::open_regular(path) {
            Ok(file) => Ok(Some(Self { file, partial: Vec::new() })),
            Err(fault) if fault.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault.source),
        }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// When the file was last written to.
    pub(super) fn written(&self) -> Timestamp {
        let modified = self.file.metadata().and_then(|data| data.modified()).ok();
        let moment = modified.and_then(|moment| Timestamp::try_from(moment).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment)
    }

    /// Gives the lines that are whole now, without their line feeds.
    pub(super) fn lines(&mut self, mut visit: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = match self.file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for piece in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
                self.partial.extend_from_slice(piece);
                if self.partial.ends_with(b"\n") || self.partial.len() >= LINE_MAX {
                    visit(self.partial.strip_suffix(b"\n").unwrap_or(&self.partial))?;
                    self.partial.clear();
                }
            }
        }
    }

    /// Gives the last line, if it has no end: nothing more will come.
    pub(super) fn finish(&mut self, visit: impl FnOnce(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.partial.is_empty() { Ok(()) } else { visit(&std::mem::take(&mut self.partial)) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        tail.lines(|line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        })
        .unwrap();
        lines
    }

    fn last(tail: &mut Tail) -> Option<String> {
        let mut last = None;
        tail.finish(|line| {
            last = Some(String::from_utf8_lossy(line).into_owned());
            Ok(())
        })
        .unwrap();
        last
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert!(Tail::open(&path).unwrap().is_none());
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::open(&path).unwrap().unwrap();
        assert_eq!(lines(&mut tail), <[&str; 0]>::default());
        file.write_all(b"one\n\ntw").unwrap();
        assert_eq!(lines(&mut tail), ["one", ""]);
        file.write_all(b"o\nthree").unwrap();
        assert_eq!(lines(&mut tail), ["two"]);
        assert_eq!(last(&mut tail).as_deref(), Some("three"));
        assert_eq!(last(&mut tail), None);
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_a_piece() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::File::create(&path).unwrap().write_all(&vec![b'x'; 5 * LINE_MAX + 7]).unwrap();
        let mut tail = Tail::open(&path).unwrap().unwrap();
        let pieces = lines(&mut tail);
        assert!(pieces.iter().all(|piece| piece.len() < 2 * LINE_MAX));
        let rest = last(&mut tail).unwrap_or_default().len();
        assert_eq!(pieces.iter().map(String::len).sum::<usize>() + rest, 5 * LINE_MAX + 7);
    }
}
