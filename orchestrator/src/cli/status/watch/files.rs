//! News of a run's files, told by the kernel (inotify(7)): the journal, and what the step that is looked at writes.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use crate::{daemon::watched, store::home::RunDir};

/// Room for the events of one read.
const EVENTS: usize = 16 * 1024;

/// The files that are watched.
#[derive(Debug)]
pub(super) struct Files {
    queue: AsyncFd<OwnedFd>,
    /// The directory of the attempt that is looked at.
    attempt: Option<(PathBuf, i32)>,
}

impl Files {
    pub(super) fn new(dir: &RunDir) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&queue, dir.path(), changes())?;
        Ok(Self { queue: watched(queue)?, attempt: None })
    }

    /// Watches the directory of one attempt, and no other any more.
    pub(super) fn look_at(&mut self, attempt: Option<&Path>) {
        if self.attempt.as_ref().map(|(path, _)| path.as_path()) == attempt {
            return;
        }
        if let Some((_, watch)) = self.attempt.take() {
            // It went with its directory.
            let _gone = inotify::remove_watch(self.queue.get_ref(), watch);
        }
        // One that is not there yet, or cannot be watched, is read with the next news of the run.
        let added = attempt.and_then(|path| {
            let watch = inotify::add_watch(self.queue.get_ref(), path, changes()).ok()?;
            Some((path.to_owned(), watch))
        });
        self.attempt = added;
    }

    /// Waits until something changed.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.queue.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); EVENTS];
            let mut reader = inotify::Reader::new(ready.get_inner().as_fd(), &mut buffer);
            let mut heard = false;
            loop {
                match reader.next() {
                    Ok(_) => heard = true,
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            ready.clear_ready();
            if heard {
                return Ok(());
            }
        }
    }
}

fn changes() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR
}
