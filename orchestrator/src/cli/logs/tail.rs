//! Reading a file that grows: gives whole lines as they come.

use std::{
    fs::File,
    io::{self, Read as _},
};

use jiff::Timestamp;

/// A longer line is given in pieces.
pub(super) const LINE_MAX: usize = 128 * 1024;

/// The lines of a file, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
}

impl Lines {
    /// Reads on to the end of the file and gives the lines that are whole, without their line feeds.
    pub(super) fn read(
        &mut self,
        file: &mut File,
        mut visit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let length = match file.read(&mut chunk) {
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

/// When a file was last written to, to the millisecond.
pub(super) fn written(file: &File) -> io::Result<Timestamp> {
    let modified = Timestamp::try_from(file.metadata()?.modified()?).map_err(io::Error::other)?;
    Timestamp::from_millisecond(modified.as_millisecond()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[derive(Default)]
    struct Reading {
        lines: Lines,
        told: Vec<String>,
    }

    impl Reading {
        #[track_caller]
        fn check(&mut self, file: &mut File, expected: &[&str]) {
            let told = &mut self.told;
            self.lines
                .read(file, |line| {
                    told.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                })
                .unwrap();
            assert_eq!(std::mem::take(told), expected);
        }

        fn rest(&mut self) -> Option<usize> {
            let mut rest = None;
            self.lines
                .finish(|line| {
                    rest = Some(line.len());
                    Ok(())
                })
                .unwrap();
            rest
        }
    }

    #[test]
    fn lines_come_when_they_are_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (mut writer, mut reader) = (file.as_file(), file.reopen().unwrap());
        let mut reading = Reading::default();
        reading.check(&mut reader, &[]);
        writer.write_all(b"one\n\ntw").unwrap();
        reading.check(&mut reader, &["one", ""]);
        writer.write_all(b"o\nthree").unwrap();
        reading.check(&mut reader, &["two"]);
        assert_eq!((reading.rest(), reading.rest()), (Some(5), None));
        assert!(written(&reader).unwrap() <= Timestamp::now());
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_a_piece() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all(&vec![b'x'; 5 * LINE_MAX + 7]).unwrap();
        let (mut lines, mut lengths) = (Lines::default(), Vec::new());
        let mut reader = file.reopen().unwrap();
        lines
            .read(&mut reader, |line| {
                lengths.push(line.len());
                Ok(())
            })
            .unwrap();
        assert!(lengths.iter().all(|length| *length < 2 * LINE_MAX), "{lengths:?}");
        lines
            .finish(|line| {
                lengths.push(line.len());
                Ok(())
            })
            .unwrap();
        assert_eq!(lengths.iter().sum::<usize>(), 5 * LINE_MAX + 7);
    }
}
