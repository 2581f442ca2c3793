//! Reading a journal, one line at a time, while its owner may be writing it.
//!
//! A last line that is not whole, and NUL bytes after the last line feed, end it. Any other line that is not
//! as it was written is an error; nothing is skipped and nothing guessed.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read, Seek, SeekFrom},
    path::PathBuf,
};

use schemas::journal::{Event, FORMAT_VERSION};

use super::{
    error::{BadLine, Error},
    line::{self, LINE_MAX, Link, Record},
};
use crate::store::{
    files::{self, fault},
    home::RunDir,
    names::RunId,
};

/// The unit in which a device loses what was not synced.
const SECTOR: u64 = 512;

/// Where the whole lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Number of bytes of the whole lines.
    pub offset: u64,
    /// Bytes after them that belong to a torn line.
    pub torn: u64,
    /// NUL bytes after them, if nothing is torn.
    pub padding: u64,
}

/// The records of a journal, oldest first.
#[derive(Debug)]
pub struct Reader<R = File> {
    input: BufReader<R>,
    path: PathBuf,
    /// The run whose journal it must be.
    run: RunId,
    line: Vec<u8>,
    /// Number of bytes of the lines read so far.
    offset: u64,
    last: Link,
    end: Option<End>,
    failed: bool,
}

impl Reader {
    /// Opens the journal of a run.
    pub fn open(run: &RunDir) -> Result<Self, Error> {
        let path = run.journal();
        let file = files::open_regular(&path)?;
        Ok(Self::new(file, path, run.id()))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads a journal from its beginning; `path` is for messages, and `run` is whose it must be.
    pub fn new(input: R, path: PathBuf, run: RunId) -> Self {
        let input = BufReader::with_capacity(64 * 1024, input);
        let (line, last) = (Vec::new(), Link::default());
        Self { input, path, run, line, offset: 0, last, end: None, failed: false }
    }

    /// Where the whole lines end; known once the last record was given.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Number of bytes of the lines read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn link(&self) -> Link {
        self.last
    }

    fn next_record(&mut self) -> Result<Option<Record>, Error> {
        self.read_line()?;
        if !self.line_is_whole() {
            return self.finish();
        }
        self.decode().map(Some).or_else(|error| self.look_again(error))
    }

    /// The owner may have been writing this very line while it was read: the pages of a write do not appear
    /// at once, but in order, so that after its end was seen a second look sees all of it.
    fn look_again(&mut self, error: Error) -> Result<Option<Record>, Error> {
        let seen = std::mem::take(&mut self.line);
        self.input.seek(SeekFrom::Start(self.offset)).map_err(fault("read", &self.path))?;
        self.read_line()?;
        if !self.line_is_whole() {
            return self.finish();
        }
        if self.line != seen {
            return self.decode().map(Some);
        }
        if self.line_lost_sectors() && self.rest_is_padding()? { self.finish() } else { Err(error) }
    }

    /// Fills `line` with the next line, its line feed included, or with what is left of the file.
    fn read_line(&mut self) -> Result<(), Error> {
        self.line.clear();
        let mut capped = (&mut self.input).take(LINE_MAX as u64);
        capped.read_until(b'\n', &mut self.line).map_err(fault("read", &self.path))?;
        if !self.line_is_whole() && self.line.len() == LINE_MAX {
            return Err(self.damaged(BadLine::TooLong));
        }
        Ok(())
    }

    fn line_is_whole(&self) -> bool {
        self.line.last() == Some(&b'\n')
    }

    fn decode(&mut self) -> Result<Record, Error> {
        let text = &self.line[..self.line.len() - 1];
        if self.last.seq == 0
            && let Some(found) = line::version_of(text)
            && found > u64::from(FORMAT_VERSION)
        {
            return Err(Error::Newer { path: self.path.clone(), found });
        }
        let (record, link) = line::decode(text, self.last).map_err(|bad| self.damaged(bad))?;
        if let Event::RunCreated(created) = &record.event
            && created.run_id != self.run.to_string()
        {
            return Err(Error::Foreign { path: self.path.clone(), found: created.run_id.clone() });
        }
        self.offset += self.line.len() as u64;
        self.last = link;
        Ok(record)
    }

    /// Notes the end: what is in `line`, and what follows, is torn or padding.
    fn finish<T>(&mut self) -> Result<Option<T>, Error> {
        let is_padding = self.line.iter().all(|byte| *byte == 0);
        let length = self.input.seek(SeekFrom::End(0)).map_err(fault("read", &self.path))?;
        let rest = length.saturating_sub(self.offset);
        let (torn, padding) = if is_padding { (0, rest) } else { (rest, 0) };
        self.end = Some(End { offset: self.offset, torn, padding });
        Ok(None)
    }

    /// Whether `line` has a hole of whole sectors. If it is the last one, power was lost before all of it
    /// was on the device: it was never durable, and is as torn as a line without an end.
    fn line_lost_sectors(&self) -> bool {
        let is_nul = |byte: &u8| *byte == 0;
        let (Some(from), Some(to)) = (self.line.iter().position(is_nul), self.line.iter().rposition(is_nul))
        else {
            return false;
        };
        self.line[from..=to].iter().all(is_nul)
            && (from == 0 || (self.offset + from as u64).is_multiple_of(SECTOR))
            && (self.offset + to as u64 + 1).is_multiple_of(SECTOR)
    }

    /// Whether nothing but NUL bytes follows `line`.
    fn rest_is_padding(&mut self) -> Result<bool, Error> {
        loop {
            let buffer = self.input.fill_buf().map_err(fault("read", &self.path))?;
            let length = buffer.len();
            match buffer.iter().all(|byte| *byte == 0) {
                true if length == 0 => return Ok(true),
                true => self.input.consume(length),
                false => return Ok(false),
            }
        }
    }

    fn damaged(&self, source: BadLine) -> Error {
        Error::Damaged { path: self.path.clone(), line: self.last.seq + 1, source }
    }
}

impl<R: Read + Seek> Iterator for Reader<R> {
    type Item = Result<Record, Error>;

    /// The next record; `None` at the end and after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.end.is_some() {
            return None;
        }
        let next = self.next_record().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}
