//! Locks on files that the kernel drops when their holder dies.
//!
//! They are open-file-description locks (`fcntl(2)`, `F_OFD_SETLK`) and not `flock(2)`: of these the kernel
//! tells whether somebody holds one without taking it (`F_OFD_GETLK`), so that a reader who asks whether a
//! run is owned never makes its next owner fail. The descriptors are closed on exec; whoever forks without
//! exec must close them.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};

use super::{
    disk,
    files::{self, Fault, Trouble, fault},
    home::RunDir,
    names::RunId,
};

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else owns the run.
    #[error("lock run {0}: another q owns it")]
    Owned(RunId),
    /// There is no such run (any more).
    #[error("lock run {0}: it does not exist")]
    NoRun(RunId),
    /// The file system has no locks, so that two owners could not be kept apart.
    #[error("lock {}: this file system has no locks; choose another with --home", .0.display())]
    Unsupported(PathBuf),
    /// Another system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Whether others may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// A held lock on a file. Dropping it, or the death of the process, frees it.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock if it is free; `None` if somebody holds it. Makes the file, not its directory.
    pub fn try_take(path: &Path, mode: Mode) -> Result<Option<Self>, Error> {
        Self::try_on(open_lock_file(path)?, path, mode)
    }

    /// Takes the lock on an open file if it is free.
    pub(super) fn try_on(file: File, path: &Path, mode: Mode) -> Result<Option<Self>, Error> {
        match disk::lock(&file, path, FcntlArg::F_OFD_SETLK(&range(mode.kind()))) {
            Ok(()) => Ok(Some(Self { file })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(refusal(errno, path)),
        }
    }

    /// Takes the lock, sleeping until it is free. Not for the thread of the event loop.
    pub fn take(path: &Path, mode: Mode) -> Result<Self, Error> {
        Self::on(open_lock_file(path)?, path, mode)
    }

    /// Takes the lock on an open file, sleeping until it is free.
    fn on(file: File, path: &Path, mode: Mode) -> Result<Self, Error> {
        loop {
            match disk::lock(&file, path, FcntlArg::F_OFD_SETLKW(&range(mode.kind()))) {
                Ok(()) => return Ok(Self { file }),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(refusal(errno, path)),
            }
        }
    }

    /// Whether the locked file is still the one at `path`: it could have been removed before it was locked.
    pub fn is_at(&self, path: &Path) -> Result<bool, Fault> {
        let locked = self.file.metadata().map_err(fault("look at", path))?;
        match std::fs::symlink_metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(fault("look at", path)(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing would free it too, but not while a child between fork and exec still has a copy. The
        // only failure is that of a lock that is gone already.
        let _ = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&range(libc::F_UNLCK)));
    }
}

/// Whether somebody (this process included) holds the lock alone. Takes nothing and writes nothing.
pub fn is_held(path: &Path) -> Result<bool, Error> {
    let file = match files::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.trouble() == Trouble::Missing => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut found = range(libc::F_RDLCK);
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut found)).map_err(|errno| refusal(errno, path))?;
    Ok(i32::from(found.l_type) != libc::F_UNLCK)
}

/// The ownership of a run: at most one process has it. It is the lock on the run's journal.
#[derive(Debug)]
pub struct RunLock {
    run: RunId,
    lock: FileLock,
}

impl RunLock {
    /// Makes the empty journal of a new run, and takes its ownership. The run's directory must exist.
    pub(super) fn create(run: &RunDir) -> Result<Self, Error> {
        let path = run.journal();
        let file = files::open_private(&path, OpenOptions::new().read(true).write(true).create_new(true))?;
        Self::on(file, run)
    }

    /// Takes the ownership of a run, if it is free.
    pub fn try_take(run: &RunDir) -> Result<Self, Error> {
        match files::open_private(&run.journal(), OpenOptions::new().read(true).write(true)) {
            Ok(file) => Self::on(file, run),
            Err(fault) if fault.trouble() == Trouble::Missing => Err(Error::NoRun(run.id())),
            Err(fault) => Err(fault.into()),
        }
    }

    fn on(file: File, run: &RunDir) -> Result<Self, Error> {
        let path = run.journal();
        let lock = FileLock::try_on(file, &path, Mode::Exclusive)?.ok_or(Error::Owned(run.id()))?;
        if lock.is_at(&path)? { Ok(Self { run: run.id(), lock }) } else { Err(Error::NoRun(run.id())) }
    }

    /// The run that is owned.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The journal, open for reading and writing.
    pub(super) fn journal(&self) -> io::Result<File> {
        self.lock.file.try_clone()
    }
}

/// Whether a process owns the run: a run that has not ended and is not owned is interrupted.
pub fn is_owned(run: &RunDir) -> Result<bool, Error> {
    is_held(&run.journal())
}

/// Sleeps until nobody owns the run, or it is gone. Not for the thread of the event loop.
///
/// When it returns, somebody else may own the run already: whoever wants to, takes it.
pub fn wait_until_free(run: &RunDir) -> Result<(), Error> {
    wait_until_released(&run.journal())
}

/// Sleeps until nobody holds the lock alone, or the file is gone. Not for the thread of the event loop.
pub fn wait_until_released(path: &Path) -> Result<(), Error> {
    match files::open_regular(path) {
        // For the moment in which it is held, the shared lock keeps a next owner out, but not readers.
        Ok(file) => FileLock::on(file, path, Mode::Shared).map(drop),
        Err(fault) if fault.trouble() == Trouble::Missing => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

impl Mode {
    fn kind(self) -> i32 {
        match self {
            Self::Shared => libc::F_RDLCK,
            Self::Exclusive => libc::F_WRLCK,
        }
    }
}

fn open_lock_file(path: &Path) -> Result<File, Fault> {
    // For reading too: a shared lock needs a descriptor that can read, an exclusive one that can write.
    files::open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// The whole file, also beyond its end.
fn range(kind: i32) -> libc::flock {
    let kind = i16::try_from(kind).expect("the kinds of locks are 0, 1 and 2");
    let start = i16::try_from(libc::SEEK_SET).expect("SEEK_SET is 0");
    // `l_pid` must be 0 for locks of open file descriptions: fcntl(2).
    libc::flock { l_type: kind, l_whence: start, l_start: 0, l_len: 0, l_pid: 0 }
}

fn refusal(errno: Errno, path: &Path) -> Error {
    if matches!(errno, Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) {
        Error::Unsupported(path.to_owned())
    } else {
        fault("lock", path)(errno.into()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::home::Home;

    fn lock_file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        (dir, path)
    }

    #[test]
    fn an_exclusive_lock_is_seen_and_freed() {
        let (_dir, path) = lock_file();
        assert!(!is_held(&path).unwrap(), "a missing file is not locked");
        let lock = FileLock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_none());
        assert!(FileLock::try_take(&path, Mode::Shared).unwrap().is_none());
        drop(lock);
        assert!(!is_held(&path).unwrap());
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_some());
    }

    #[test]
    fn shared_locks_keep_only_exclusive_ones_out() {
        let (_dir, path) = lock_file();
        let _one = FileLock::take(&path, Mode::Shared).unwrap();
        let _two = FileLock::try_take(&path, Mode::Shared).unwrap().unwrap();
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_none());
        assert!(!is_held(&path).unwrap(), "nobody has it alone");
    }

    #[test]
    fn asking_never_disturbs_taking() {
        let (_dir, path) = lock_file();
        drop(FileLock::take(&path, Mode::Exclusive).unwrap());
        std::thread::scope(|scope| {
            let asker = scope.spawn(|| (0..2000).filter(|_| is_held(&path).unwrap()).count());
            while !asker.is_finished() {
                assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_some());
            }
        });
    }

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_a_dropped_lock() {
        let (_dir, path) = lock_file();
        let lock = FileLock::take(&path, Mode::Exclusive).unwrap();
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(!is_held(&path).unwrap());
    }

    #[test]
    fn a_run_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().to_owned()).run(RunId::generate());
        assert!(matches!(RunLock::try_take(&run), Err(Error::NoRun(_))));
        files::ensure_dir(run.path()).unwrap();
        assert!(matches!(RunLock::try_take(&run), Err(Error::NoRun(_))));
        assert!(!is_owned(&run).unwrap());
        let lock = RunLock::create(&run).unwrap();
        assert_eq!(lock.run(), run.id());
        assert!(is_owned(&run).unwrap());
        assert!(matches!(RunLock::try_take(&run), Err(Error::Owned(_))));
        assert!(matches!(RunLock::create(&run), Err(Error::Fault(_))), "it is there already");
        // The writer's own descriptor does not keep it.
        let _journal = lock.journal().unwrap();
        drop(lock);
        assert!(!is_owned(&run).unwrap());
        assert!(RunLock::try_take(&run).is_ok());
    }

    #[test]
    fn the_end_of_an_owner_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().to_owned()).run(RunId::generate());
        wait_until_free(&run).unwrap();
        files::ensure_dir(run.path()).unwrap();
        let lock = RunLock::create(&run).unwrap();
        let freed = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                wait_until_free(&run).unwrap();
                freed.load(std::sync::atomic::Ordering::SeqCst)
            });
            freed.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(lock);
            assert!(waiter.join().unwrap());
        });
        assert!(RunLock::try_take(&run).is_ok());
    }

    #[test]
    fn a_removed_lock_file_is_noticed() {
        let (_dir, path) = lock_file();
        let lock = FileLock::take(&path, Mode::Exclusive).unwrap();
        assert!(lock.is_at(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!lock.is_at(&path).unwrap());
        drop(open_lock_file(&path).unwrap());
        assert!(!lock.is_at(&path).unwrap(), "another file of that name");
    }

    #[test]
    fn a_file_system_without_locks_is_refused() {
        for errno in [Errno::ENOLCK, Errno::EOPNOTSUPP, Errno::ENOSYS] {
            assert!(matches!(refusal(errno, Path::new("/x")), Error::Unsupported(_)));
        }
        assert!(matches!(refusal(Errno::EIO, Path::new("/x")), Error::Fault(_)));
    }
}
