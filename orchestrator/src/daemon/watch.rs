//! Changes of `schedules.json`, told by the kernel. It is replaced as a whole, so its folder is watched.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use super::alarm::watched;
use crate::store::home::Home;

/// Names of the home's files are short.
const BUFFER: usize = 4096;

/// The kernel's queue of changes.
#[derive(Debug)]
pub(super) struct Watch {
    queue: AsyncFd<OwnedFd>,
}

impl Watch {
    pub(super) fn new(home: &Home) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let changes =
            WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
        inotify::add_watch(&queue, home.path(), changes | WatchFlags::ONLYDIR)?;
        Ok(Self { queue: watched(queue)? })
    }

    /// Waits until the schedules may have changed.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.queue.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); BUFFER];
            let mut reader = inotify::Reader::new(ready.get_inner().as_fd(), &mut buffer);
            let mut ours = false;
            loop {
                match reader.next() {
                    // Without a name: the queue has run over, and it may have been ours.
                    Ok(event) => ours |= event.file_name().is_none_or(|name| name == c"schedules.json"),
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            ready.clear_ready();
            if ours {
                return Ok(());
            }
        }
    }
}
