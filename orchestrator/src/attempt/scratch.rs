//! A directory for scratch, where a step has the `/tmp` of the host: its size is looked at, and it goes with the
//! attempt.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::store::{
    disk,
    files::{self, Fault},
};

/// As many files as a private `/tmp` holds.
const INODES: u64 = 16_384;
/// As deep is looked; whoever builds deeper is over the limit.
const DEPTH: u32 = 64;
/// The kernel counts blocks of this size: stat(2).
const BLOCK: u64 = 512;

/// A directory, and the bytes that it may hold.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    limit: u64,
}

impl Scratch {
    /// Makes it beside a work directory.
    pub(super) fn make(work_dir: &Path, limit: u64) -> Result<Self, Fault> {
        let mut name = work_dir.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let path = work_dir.with_file_name(name);
        files::ensure_dir(&path)?;
        Ok(Self { path, limit })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it holds more than it may.
    pub(super) fn is_over(&self) -> bool {
        let mut count = Count { bytes: 0, inodes: 0 };
        count.add(&self.path, DEPTH).is_none() || count.bytes > self.limit || count.inodes > INODES
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed goes with the run.
        let _left = disk::remove_tree(&self.path);
    }
}

struct Count {
    bytes: u64,
    inodes: u64,
}

impl Count {
    /// Adds what lies in a directory, following no link; `None`: there is too much to count. What vanishes meanwhile,
    /// or cannot be read, counts nothing.
    fn add(&mut self, path: &Path, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            self.inodes += 1;
            self.bytes = self.bytes.saturating_add(found.blocks().saturating_mul(BLOCK));
            if self.inodes > INODES {
                return None;
            }
            if found.is_dir() {
                self.add(&entry.path(), depth)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u64, fill: impl Fn(&Path), expected: bool) {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(&dir.path().join("1"), limit).unwrap();
        fill(scratch.path());
        assert_eq!(scratch.is_over(), expected);
        drop(scratch);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    fn file(path: &Path, bytes: usize) {
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), &vec![b'x'; bytes]).unwrap();
    }

    #[test]
    fn what_lies_in_it_is_counted() {
        check(0, |_| {}, false);
        check(1 << 20, |path| file(&path.join("a"), 1000), false);
        check(8192, |path| file(&path.join("a"), 100_000), true);
        let nested = |path: &Path| {
            fs::create_dir_all(path.join("b/c")).unwrap();
            file(&path.join("b/c/d"), 100_000);
        };
        check(8192, nested, true);
        check(1 << 20, nested, false);
        // A link is a link, whatever it leads to.
        check(65_536, |path| std::os::unix::fs::symlink("/", path.join("root")).unwrap(), false);
        let deep = |path: &Path| {
            let mut path = path.to_owned();
            (0..DEPTH).for_each(|_| path.push("d"));
            fs::create_dir_all(path).unwrap();
        };
        check(1 << 30, deep, true);
    }
}
