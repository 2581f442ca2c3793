//! Reading the index from its end: the newest runs come first, and nothing older is touched.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
};

use super::{
    entry::{Entry, Filter},
    line::{self, Place, Said},
};
use crate::store::names::RunId;

const FIRST_BLOCK: u64 = 16 * 1024;
const BLOCK: u64 = 256 * 1024;
/// A line longer than this is skipped.
const LINE_MAX: usize = 64 * 1024;

/// Gives the runs of an index that fit to `visit`, in the reverse order of their creation, until it says to
/// stop.
pub(super) fn newest_first(
    file: &File,
    filter: &Filter,
    mut visit: impl FnMut(Entry) -> Flow,
) -> io::Result<()> {
    let mut runs = Runs { filter, pending: HashMap::new(), done: HashSet::new() };
    let mut lines = LinesFromEnd::new(file)?;
    while let Some(line) = lines.next()? {
        if let Some(entry) = runs.line(line)
            && visit(entry) == Flow::Stop
        {
            return Ok(());
        }
    }
    for entry in runs.without_first() {
        if visit(entry) == Flow::Stop {
            break;
        }
    }
    Ok(())
}

/// Whether the reader has seen enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Stop,
}

/// What the lines read so far say of their runs.
struct Runs<'a> {
    filter: &'a Filter,
    /// Runs whose last line was seen and whose first was not.
    pending: HashMap<RunId, Said>,
    /// Runs whose first line was seen: lines before it say nothing more.
    done: HashSet<RunId>,
}

impl Runs<'_> {
    /// Takes the line before; gives a run once its place is known.
    fn line(&mut self, line: &[u8]) -> Option<Entry> {
        let (run, place) = line::peek(line)?;
        if self.done.contains(&run) {
            return None;
        }
        let said = match self.pending.remove(&run) {
            Some(said) => said,
            None => line::parse(line, self.filter)?,
        };
        match place {
            Place::First => {
                self.done.insert(run);
                entry_of(said)
            }
            Place::Later => {
                self.pending.insert(run, said);
                None
            }
        }
    }

    /// Runs whose first line is lost, newest first.
    fn without_first(self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.pending.into_values().filter_map(entry_of).collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.run_id));
        entries
    }
}

fn entry_of(said: Said) -> Option<Entry> {
    match said {
        Said::Stands(entry) => Some(entry),
        Said::Nothing => None,
    }
}

/// The lines of a file, last one first, without their line feeds.
struct LinesFromEnd<'a> {
    file: &'a File,
    /// Offset of what is in `buffer`.
    offset: u64,
    /// Bytes from `offset` up to the last line given.
    buffer: Vec<u8>,
    /// End of what was not given yet.
    end: usize,
}

impl<'a> LinesFromEnd<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, offset: file.metadata()?.len(), buffer: Vec::new(), end: 0 })
    }

    /// The line before the last one that was given. An empty or overlong line is skipped.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            // The byte at `end - 1` is the line feed of the line that comes next, or its last byte.
            let search = &self.buffer[..self.end.saturating_sub(1)];
            let start = match memchr::memrchr(b'\n', search) {
                Some(place) => place + 1,
                None if self.offset == 0 => 0,
                None => {
                    self.read_more()?;
                    continue;
                }
            };
            if start == self.end {
                return Ok(None);
            }
            let end = std::mem::replace(&mut self.end, start);
            let length = end - start;
            if (2..=LINE_MAX).contains(&length) {
                let line = &self.buffer[start..end];
                return Ok(Some(line.strip_suffix(b"\n").unwrap_or(line)));
            }
        }
    }

    /// Puts the block before in front of the buffer.
    fn read_more(&mut self) -> io::Result<()> {
        let block = if self.buffer.is_empty() { FIRST_BLOCK } else { BLOCK }.min(self.offset);
        let from = self.offset - block;
        let length = usize::try_from(block).map_err(io::Error::other)?;
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, from)?;
        // What is left of a line: if it is overlong already, its end is enough to skip it.
        let kept = self.end.min(LINE_MAX + 1);
        buffer.extend_from_slice(&self.buffer[self.end - kept..self.end]);
        (self.offset, self.end, self.buffer) = (from, buffer.len(), buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[track_caller]
    fn check(content: &[u8], expected: &[&[u8]]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let mut lines = LinesFromEnd::new(&file).unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.to_vec());
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_come_last_one_first() {
        check(b"", &[]);
        check(b"\n", &[]);
        check(b"a", &[]);
        check(b"aa", &[b"aa"]);
        check(b"aa\nbb\n", &[b"bb", b"aa"]);
        check(b"aa\n\n\nbb\ncc", &[b"cc", b"bb", b"aa"]);
    }

    #[test]
    fn lines_cross_blocks_and_overlong_ones_are_skipped() {
        let block = usize::try_from(BLOCK).unwrap();
        for length in [1000, 16_383, 16_384, 16_385, LINE_MAX - 1] {
            let long = vec![b'x'; length];
            let content = [&b"first\n"[..], &long, b"\n", &long, b"\nlast\n"].concat();
            check(&content, &[b"last", &long, &long, b"first"]);
        }
        for length in [LINE_MAX, LINE_MAX + 1, block, block * 3 + 7] {
            let content = [&b"first\n"[..], &vec![b'x'; length], b"\nlast\n"].concat();
            check(&content, &[b"last", b"first"]);
        }
    }
}
