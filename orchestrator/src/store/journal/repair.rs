//! The way back from a damaged journal: cutting it before a line, on a person's order. What is cut is kept
//! beside it.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom},
    path::PathBuf,
};

use super::{Error, Reader};
use crate::store::{
    disk::{self, Output},
    files::{self, fault},
    home::RunDir,
    lock::RunLock,
};

/// What was cut off a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Number of lines, damaged ones included.
    pub lines: u64,
    /// Number of bytes, padding not included.
    pub bytes: u64,
    /// Where they are kept; `None` if nothing but padding was cut.
    pub kept: Option<PathBuf>,
}

/// Cuts the journal of a run before the 1-based `line`. The lines before it must be good, and there must be
/// at least one; a line beyond the end cuts nothing but a torn line and the padding.
pub fn truncate_at(run: &RunDir, lock: &RunLock, line: u64) -> Result<Lost, Error> {
    let path = run.journal();
    if lock.run() != run.id() {
        return Err(Error::WrongLock { wanted: run.id(), held: lock.run() });
    }
    let mut reader = Reader::open(run)?;
    for record in reader.by_ref().take(usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX)) {
        record?;
    }
    let offset = reader.offset();
    if offset == 0 {
        return Err(Error::Empty { path });
    }
    let file = lock.journal().map_err(fault("open", &path))?;
    let lost = keep_rest(run, &file, offset, line)?;
    if lost.kept.is_some() {
        // It was derived from what goes now; whoever finds none asks the journal.
        remove_view(run)?;
    }
    disk::set_length(&file, &path, offset)
        .and_then(|()| disk::sync_data(&file, &path))
        .map_err(fault("cut", &path))?;
    Ok(lost)
}

fn remove_view(run: &RunDir) -> Result<(), Error> {
    let path = run.state();
    match disk::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault("remove", &path)(error).into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copies what stands from `offset` on, up to the padding, into a file beside the journal.
fn keep_rest(run: &RunDir, mut file: &File, offset: u64, line: u64) -> Result<Lost, Error> {
    let path = run.journal();
    file.seek(SeekFrom::Start(offset)).map_err(fault("read", &path))?;
    let mut input = BufReader::new(file);
    let (mut lines, mut bytes, mut at) = (0, 0, 0);
    loop {
        let block = input.fill_buf().map_err(fault("read", &path))?;
        let Some(last) = block.len().checked_sub(1) else { break };
        lines += memchr::memchr_iter(b'\n', block).count() as u64;
        bytes = block.iter().rposition(|byte| *byte != 0).map_or(bytes, |place| at + place as u64 + 1);
        at += last as u64 + 1;
        input.consume(last + 1);
    }
    if bytes == 0 {
        return Ok(Lost { lines: 0, bytes: 0, kept: None });
    }
    let kept = run.path().join(format!("journal.cut-{line}"));
    let copy = files::open_private(&kept, OpenOptions::new().write(true).create(true).truncate(true))?;
    file.seek(SeekFrom::Start(offset)).map_err(fault("read", &path))?;
    let mut output = Output { file: &copy, path: &kept };
    io::copy(&mut io::Read::take(file, bytes), &mut output)
        .and_then(|_| disk::sync_data(&copy, &kept))
        .map_err(fault("write", &kept))?;
    Ok(Lost { lines, bytes, kept: Some(kept) })
}

#[cfg(test)]
mod tests {
    use schemas::view::RunStatus;

    use super::*;
    use crate::store::{
        journal::{Writer, fixture},
        view::{
            self,
            tests::{run_dir_of, view_of},
        },
    };

    /// A run whose journal has five events and this rest; and its whole lines.
    fn damaged(rest: &[u8]) -> (tempfile::TempDir, RunDir, RunLock, Vec<u8>) {
        let (dir, run) = run_dir_of(fixture::run());
        let lock = RunLock::create(&run).unwrap();
        let whole = fixture::journal_of(&fixture::events());
        std::io::Write::write_all(&mut lock.journal().unwrap(), &[&whole, rest].concat()).unwrap();
        (dir, run, lock, whole)
    }

    #[track_caller]
    fn check(rest: &[u8], line: u64, lines: u64, bytes: usize) {
        let (_dir, run, lock, whole) = damaged(rest);
        let lost = truncate_at(&run, &lock, line).unwrap();
        let cut = whole.split_inclusive(|byte| *byte == b'\n').take(usize::try_from(line).unwrap() - 1);
        let left: Vec<u8> = cut.flatten().copied().collect();
        assert_eq!(std::fs::read(run.journal()).unwrap(), left);
        assert_eq!((lost.lines, lost.bytes), (lines, bytes as u64));
        assert_eq!(lost.kept.is_some(), bytes > 0);
        if let Some(kept) = lost.kept {
            let all = [&whole, rest].concat();
            assert_eq!(std::fs::read(kept).unwrap(), all[left.len()..left.len() + bytes]);
        }
        // The next owner goes on from there.
        let mut records = 0;
        drop(Writer::reopen(&run, &lock, |_| records += 1).unwrap());
        assert_eq!(records, (line - 1).min(5));
    }

    #[test]
    fn the_journal_is_cut_and_what_is_lost_is_kept() {
        let bad = b"not a line\n";
        check(bad, 6, 1, bad.len());
        check(&[&bad[..], bad, b"torn"].concat(), 6, 2, 2 * bad.len() + 4);
        check(&[&bad[..], &[0; 9000]].concat(), 6, 1, bad.len());
        check(&[0; 9000], 6, 0, 0);
        check(b"", 6, 0, 0);
        let last = fixture::journal_of(&fixture::events());
        let last = last.split_inclusive(|byte| *byte == b'\n').next_back().unwrap().len();
        check(b"", 5, 1, last);
    }

    #[test]
    fn a_view_of_what_is_lost_goes_with_it() {
        let (_dir, run, lock, _) = damaged(b"bad\n");
        view::write(&run, &view_of(run.id(), RunStatus::Completed)).unwrap();
        assert!(truncate_at(&run, &lock, 3).is_ok());
        assert_eq!(view::read(&run).unwrap(), None);
        view::write(&run, &view_of(run.id(), RunStatus::Completed)).unwrap();
        assert!(matches!(truncate_at(&run, &lock, 1), Err(Error::Empty { .. })));
        assert!(matches!(truncate_at(&run, &lock, 3), Ok(Lost { lines: 0, .. })));
        assert!(view::read(&run).unwrap().is_some(), "nothing was lost");
    }

    #[test]
    fn lines_before_the_cut_must_be_good_and_one_must_stay() {
        let (_dir, run, lock, whole) = damaged(b"bad\nworse\n");
        for line in [0, 1] {
            assert!(matches!(truncate_at(&run, &lock, line), Err(Error::Empty { .. })));
        }
        assert!(matches!(truncate_at(&run, &lock, 7), Err(Error::Damaged { line: 6, .. })));
        assert_eq!(std::fs::read(run.journal()).unwrap(), [&whole[..], b"bad\nworse\n"].concat());
    }
}
