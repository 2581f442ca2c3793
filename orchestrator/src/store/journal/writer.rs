//! Writing a journal: events are buffered, and one write and one sync make all of them durable.
//!
//! The file is lengthened ahead by NUL bytes, so that a sync has no metadata to write, and so that the last
//! words still fit when the file system is full.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use schemas::journal::{Event, Now};

use super::{
    Disk, Error, FileDisk, Reader, Record,
    line::{self, LINE_MAX, Link},
};
use crate::store::{
    files::{Fault, fault},
    home::RunDir,
    lock::RunLock,
};

const FIRST_CHUNK: u64 = 64 * 1024;
const CHUNK: u64 = 256 * 1024;
/// Room that is kept for what must be said when there is no more.
const RESERVE: u64 = 16 * 1024;
/// A buffer larger than this is given back after its commit.
const BUFFER_KEPT: usize = 256 * 1024;
/// A piece of padding.
const BLANK: [u8; 4096] = [0; 4096];

/// Whether the disk has room for more, when a commit returns.
#[derive(Debug)]
#[must_use = "a run whose journal goes into the reserve should be stopped"]
pub enum Space {
    /// It has.
    Plenty,
    /// The commit is durable, but it went into the reserve: the file could not be made longer. The run
    /// should be stopped now.
    Reserve(Fault),
}

/// The end of a journal. After an error of [`Writer::commit`] it never writes again.
#[derive(Debug)]
pub struct Writer {
    disk: Box<dyn Disk>,
    path: PathBuf,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    /// The last line, written or buffered.
    last: Link,
    /// Where the next write goes.
    offset: u64,
    /// Length of the file, padding included.
    capacity: u64,
    poisoned: bool,
}

impl Writer {
    /// Starts the journal of a new run, which is empty.
    pub(in crate::store) fn create(run: &RunDir, lock: &RunLock) -> Result<Self, Error> {
        let path = run.journal();
        let disk = FileDisk::new(journal_of(run, lock)?, path.clone());
        Ok(Self::on(Box::new(disk), path))
    }

    /// Starts a journal on an empty disk; `path` is for messages.
    pub fn on(disk: Box<dyn Disk>, path: PathBuf) -> Self {
        let (buffer, last) = (Vec::new(), Link::default());
        Self { disk, path, buffer, last, offset: 0, capacity: 0, poisoned: false }
    }

    /// Goes on with the journal of a run whose owner died: gives every record to `visit`, cuts a torn line,
    /// and makes durable what was written but perhaps not synced.
    pub fn reopen(run: &RunDir, lock: &RunLock, visit: impl FnMut(Record)) -> Result<Self, Error> {
        let disk = FileDisk::new(journal_of(run, lock)?, run.journal());
        Self::resume(Reader::open(run)?, Box::new(disk), run.journal(), visit)
    }

    /// As [`Writer::reopen`], on any disk.
    fn resume<R: io::Read + io::Seek>(
        mut reader: Reader<R>,
        disk: Box<dyn Disk>,
        path: PathBuf,
        mut visit: impl FnMut(Record),
    ) -> Result<Self, Error> {
        for record in &mut reader {
            visit(record?);
        }
        let end = reader.end().expect("a reader knows its end once it gave its last record");
        let last = reader.link();
        if last.seq == 0 {
            return Err(Error::Empty { path });
        }
        let (offset, capacity) = (end.offset, end.offset + end.padding);
        let mut writer = Self { disk, path, buffer: Vec::new(), last, offset, capacity, poisoned: false };
        if end.torn > 0 {
            writer.disk.truncate(offset).map_err(fault("cut", &writer.path))?;
        }
        writer.disk.sync_data().map_err(fault("sync", &writer.path))?;
        Ok(writer)
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the last event, committed or not; 0 if there is none.
    pub fn seq(&self) -> u64 {
        self.last.seq
    }

    /// Adds events to what the next commit writes: all of them or, on an error, none.
    pub fn append(&mut self, events: &[(Now, Event)]) -> Result<(), Error> {
        let (length, last) = (self.buffer.len(), self.last);
        let result = events.iter().try_for_each(|(now, event)| self.append_one(*now, event));
        if result.is_err() {
            self.buffer.truncate(length);
            self.last = last;
        }
        result
    }

    fn append_one(&mut self, now: Now, event: &Event) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned { path: self.path.clone() });
        }
        let start = self.buffer.len();
        self.last = line::encode(&mut self.buffer, self.last, now, event)
            .map_err(|source| Error::Encode { path: self.path.clone(), source })?;
        let bytes = self.buffer.len() - start;
        if bytes > LINE_MAX {
            return Err(Error::TooLong { path: self.path.clone(), bytes });
        }
        Ok(())
    }

    /// Makes everything that was appended durable, by one write and one sync.
    ///
    /// On an error the writer is poisoned: what the file holds beyond the last commit is then known only to
    /// the next owner, who reads it (after a failed `fdatasync(2)` the kernel may have dropped the pages).
    pub fn commit(&mut self) -> Result<Space, Error> {
        if self.poisoned {
            return Err(Error::Poisoned { path: self.path.clone() });
        }
        if self.buffer.is_empty() {
            return Ok(Space::Plenty);
        }
        let result = self.write_and_sync();
        if result.is_err() {
            self.poisoned = true;
            self.blank();
        }
        Ok(result?)
    }

    /// Cuts the padding, once the run has ended.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned { path: self.path });
        }
        if self.capacity > self.offset {
            self.disk.truncate(self.offset).map_err(fault("cut", &self.path))?;
        }
        Ok(())
    }

    fn write_and_sync(&mut self) -> Result<Space, Fault> {
        let space = self.make_room()?;
        let mut written = 0;
        while written < self.buffer.len() {
            let at = self.offset + written as u64;
            written += match self.disk.write_at(&self.buffer[written..], at) {
                Ok(0) => return Err(fault("write", &self.path)(io::ErrorKind::WriteZero.into())),
                Ok(some) => some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(fault("write", &self.path)(error)),
            };
        }
        self.disk.sync_data().map_err(fault("sync", &self.path))?;
        self.offset += written as u64;
        self.capacity = self.capacity.max(self.offset);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        Ok(space)
    }

    /// What was written and may not be durable becomes padding again: no reader takes it for what happened. If that
    /// cannot be written either, the next owner finds out what is there.
    fn blank(&mut self) {
        let mut at = self.offset;
        let end = (self.offset + self.buffer.len() as u64).min(self.capacity);
        while at < end {
            let length = usize::try_from(end - at).map_or(BLANK.len(), |left| left.min(BLANK.len()));
            match self.disk.write_at(&BLANK[..length], at) {
                Ok(written @ 1..) => at += written as u64,
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Lengthens the file, so that the buffer fits and the reserve stays.
    fn make_room(&mut self) -> Result<Space, Fault> {
        let needed = self.offset + self.buffer.len() as u64;
        if needed + RESERVE <= self.capacity {
            return Ok(Space::Plenty);
        }
        let chunk = if self.capacity == 0 { FIRST_CHUNK } else { CHUNK };
        let capacity = (needed + RESERVE).next_multiple_of(chunk);
        match self.disk.allocate(self.capacity, capacity - self.capacity) {
            Ok(()) => {
                self.capacity = capacity;
                Ok(Space::Plenty)
            }
            Err(error) => {
                let fault = fault("allocate room for", &self.path)(error);
                if fault.is_full() && needed <= self.capacity {
                    Ok(Space::Reserve(fault))
                } else {
                    Err(fault)
                }
            }
        }
    }
}

fn journal_of(run: &RunDir, lock: &RunLock) -> Result<File, Error> {
    if lock.run() != run.id() {
        return Err(Error::WrongLock { wanted: run.id(), held: lock.run() });
    }
    Ok(lock.journal().map_err(fault("open", &run.journal()))?)
}

#[cfg(test)]
impl Writer {
    /// [`Writer::resume`] for the tests of the whole journal, which bring their own disk.
    pub(super) fn resume_on(
        reader: Reader<io::Cursor<Vec<u8>>>,
        disk: Box<dyn Disk>,
        visit: impl FnMut(Record),
    ) -> Result<Self, Error> {
        Self::resume(reader, disk, "/test/journal.jsonl".into(), visit)
    }
}
