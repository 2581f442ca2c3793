//! The file of the index: appending, listing, rebuilding and compacting, with many processes at it.
//!
//! Appenders share `index.lock`; who replaces the file holds it alone. Readers take no lock: they see the
//! file as it was when they opened it.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt,
};

use schemas::view::RunView;

use super::{
    entry::{Entry, Filter},
    line::{self, Place},
    scan::{self, Flow},
};
use crate::store::{
    disk,
    files::{self, Durability, Fault, Trouble, fault},
    home::{Home, RunDir},
    lock::{self, FileLock, Mode},
    names::RunId,
    resolve, view,
};

/// An index below this length is not compacted.
const COMPACT_MIN: u64 = 64 * 1024;
/// Of each run's three lines one lives: at this many times the length of the last compaction more than half
/// of all lines are dead.
const COMPACT_FACTOR: u64 = 4;

/// Why the index was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its lock was not taken.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// A line could not be put into JSON.
    #[error("encode a line of the index")]
    Encode(#[from] serde_json::Error),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The index of a home.
#[derive(Debug, Clone)]
pub struct Index {
    home: Home,
}

impl Index {
    /// The index of this home, whether it exists or not.
    pub fn new(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Notes that a run was created.
    pub fn created(&self, entry: &Entry) -> Result<(), Error> {
        self.append_or_drop(entry.run_id, &line::run_line(entry, Place::First)?)
    }

    /// Notes that a run started or ended.
    pub fn changed(&self, entry: &Entry) -> Result<(), Error> {
        self.append_or_drop(entry.run_id, &line::run_line(entry, Place::Later)?)?;
        if entry.status.is_ended() { self.compact_if_due() } else { Ok(()) }
    }

    /// Notes that runs were deleted. Where there is no index, there is nothing to note: it is made from those that are
    /// there.
    pub fn deleted(&self, runs: &[RunId]) -> Result<(), Error> {
        let mut lines = Vec::new();
        for run in runs {
            lines.extend(line::deleted_line(*run)?);
        }
        let _shared = FileLock::take(&self.home.index_lock(), Mode::Shared)?;
        match self.open_to_append()? {
            Some(file) => self.write(&file, &lines),
            None => Ok(()),
        }
    }

    /// The newest runs that fit and for which `keep` is true, newest first, at most `limit`; `keep` may
    /// correct an entry first. `None` if there is no index: then [`Index::rebuild`] it.
    pub fn newest(
        &self,
        limit: usize,
        filter: &Filter,
        keep: impl FnMut(&mut Entry) -> bool,
    ) -> Result<Option<Vec<Entry>>, Error> {
        match self.open()? {
            Some(file) => Ok(Some(self.newest_of(&file, limit, filter, keep)?)),
            None => Ok(None),
        }
    }

    /// As [`Index::newest`]; an index that is missing is rebuilt first, in memory if the home cannot be
    /// written. `fold` gives the view of a run whose `state.json` does not tell its end.
    pub fn list(
        &self,
        limit: usize,
        filter: &Filter,
        mut keep: impl FnMut(&mut Entry) -> bool,
        mut fold: impl FnMut(&RunDir) -> Option<RunView>,
    ) -> Result<Vec<Entry>, Error> {
        if let Some(found) = self.newest(limit, filter, &mut keep)? {
            return Ok(found);
        }
        if !self.home.runs().is_dir() {
            return Ok(Vec::new());
        }
        match self.rebuild(&mut fold) {
            Ok(()) => Ok(self.newest(limit, filter, keep)?.unwrap_or_default()),
            Err(Error::Fault(fault) | Error::Lock(lock::Error::Fault(fault)))
                if fault.is_unwritable() || fault.is_full() =>
            {
                let mut entries = self.derive(&mut fold)?;
                entries.reverse();
                entries.retain_mut(|entry| {
                    let wanted = filter.wants(&entry.workflow, entry.status, || Some(entry.created_at));
                    wanted == Some(true) && keep(entry)
                });
                entries.truncate(limit);
                Ok(entries)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the index anew from the runs, in the order of their ids. It is replaced as a whole.
    pub fn rebuild(&self, mut fold: impl FnMut(&RunDir) -> Option<RunView>) -> Result<(), Error> {
        let _lock = FileLock::take(&self.home.index_lock(), Mode::Exclusive)?;
        let entries = self.derive(&mut fold)?;
        self.replace(&entries)
    }

    /// Leaves one line a run, and drops what does not parse.
    pub fn compact(&self) -> Result<(), Error> {
        let _lock = FileLock::take(&self.home.index_lock(), Mode::Exclusive)?;
        let Some(file) = self.open()? else { return Ok(()) };
        let mut entries = self.newest_of(&file, usize::MAX, &Filter::default(), |_| true)?;
        entries.reverse();
        self.replace(&entries)
    }

    fn compact_if_due(&self) -> Result<(), Error> {
        let path = self.home.index();
        let Some(file) = self.open()? else { return Ok(()) };
        let mut head = [0; 128];
        let read = file.read_at(&mut head, 0).map_err(fault("read", &path))?;
        let first = head[..read].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let length = file.metadata().map_err(fault("look at", &path))?.len();
        if length < COMPACT_MIN.max(line::compacted_bytes(first).saturating_mul(COMPACT_FACTOR)) {
            return Ok(());
        }
        self.compact()
    }

    /// An index that lacks a line would hide a run for ever: it goes, and whoever lists next makes it anew.
    fn append_or_drop(&self, run: RunId, line: &[u8]) -> Result<(), Error> {
        let appended = self.append(run, line);
        if appended.is_err()
            && let Ok(_lock) = FileLock::take(&self.home.index_lock(), Mode::Exclusive)
        {
            // Where nothing can be written, the index that is there is better than none.
            let _best_effort = disk::remove_file(&self.home.index());
        }
        appended
    }

    fn append(&self, run: RunId, line: &[u8]) -> Result<(), Error> {
        {
            let _shared = FileLock::take(&self.home.index_lock(), Mode::Shared)?;
            if let Some(file) = self.open_to_append()? {
                return self.write(&file, line);
            }
        }
        let _lock = FileLock::take(&self.home.index_lock(), Mode::Exclusive)?;
        if let Some(file) = self.open_to_append()? {
            return self.write(&file, line);
        }
        // Runs that no line tells of would be hidden by a new index: whoever lists next rebuilds it.
        if resolve::run_ids(&self.home)?.iter().any(|other| *other != run) {
            return Ok(());
        }
        let header = line::header_line(0)?;
        Ok(files::replace(&self.home.index(), Durability::Derived, |file| {
            file.write_all(&header)?;
            file.write_all(line)
        })?)
    }

    /// One write, so that lines of several processes never mix. A line that its writer did not finish is
    /// closed first.
    fn write(&self, file: &File, line: &[u8]) -> Result<(), Error> {
        let path = self.home.index();
        let length = file.metadata().map_err(fault("look at", &path))?.len();
        let mut last = [0];
        file.read_at(&mut last, length.saturating_sub(1)).map_err(fault("read", &path))?;
        let closed = [b"\n", line].concat();
        let bytes = if last == *b"\n" { line } else { &closed };
        Ok(disk::write_all(file, &path, bytes).map_err(fault("write", &path))?)
    }

    fn open_to_append(&self) -> Result<Option<File>, Error> {
        let path = self.home.index();
        match files::open_private(&path, OpenOptions::new().append(true).read(true)) {
            Ok(file) => not_empty(file, &path),
            Err(error) if error.trouble() == Trouble::Missing => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self) -> Result<Option<File>, Error> {
        let path = self.home.index();
        match files::open_regular(&path) {
            Ok(file) => not_empty(file, &path),
            Err(error) if error.trouble() == Trouble::Missing => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn newest_of(
        &self,
        file: &File,
        limit: usize,
        filter: &Filter,
        mut keep: impl FnMut(&mut Entry) -> bool,
    ) -> Result<Vec<Entry>, Error> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let read = scan::newest_first(file, filter, |mut entry| {
            if keep(&mut entry) {
                found.push(entry);
            }
            if found.len() < limit { Flow::Go } else { Flow::Stop }
        });
        read.map_err(fault("read", &self.home.index()))?;
        Ok(found)
    }

    /// What the runs themselves say, oldest first. A run that cannot be read is not in it.
    fn derive(&self, fold: &mut impl FnMut(&RunDir) -> Option<RunView>) -> Result<Vec<Entry>, Error> {
        let mut runs = resolve::run_ids(&self.home)?;
        runs.sort_unstable();
        let mut entries = Vec::with_capacity(runs.len());
        for run in runs.into_iter().map(|id| self.home.run(id)) {
            // A view of a run that has not ended may be older than its journal.
            let stored = view::read(&run).ok().flatten();
            let view = match stored {
                Some(view) if view.status.is_ended() => Some(view),
                other => fold(&run).or(other),
            };
            entries.extend(view.as_ref().and_then(Entry::of));
        }
        Ok(entries)
    }

    fn replace(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut lines = Vec::new();
        for entry in entries {
            lines.extend(line::run_line(entry, Place::First)?);
        }
        let header = line::header_line(lines.len() as u64)?;
        Ok(files::replace(&self.home.index(), Durability::Durable, |file| {
            file.write_all(&header)?;
            file.write_all(&lines)
        })?)
    }
}

/// An empty file is as good as none: a loss of power can leave one behind.
fn not_empty(file: File, path: &std::path::Path) -> Result<Option<File>, Error> {
    let length = file.metadata().map_err(fault("look at", path))?.len();
    Ok((length > 0).then_some(file))
}
