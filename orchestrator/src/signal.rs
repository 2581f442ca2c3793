//! Processes by pidfd, never by number: a pid can be given to another process, a pidfd cannot. And SIGINT, for those
//! who wait while somebody else has the terminal.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Runtime,
    signal::unix::{Signal as Heard, SignalKind, signal},
};

/// A process that stays the same process however long we hold it (pidfd_open(2)).
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
}

impl Process {
    /// Takes a pidfd that the launcher made at birth.
    pub fn from_pidfd(pidfd: OwnedFd) -> Self {
        Self { pidfd }
    }

    /// The process that has this number now.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pidfd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// Asks it to end, and lets it run if it is stopped, so that it can.
    pub fn terminate(&self) -> io::Result<()> {
        pidfd_send_signal(&self.pidfd, Signal::TERM)?;
        Ok(pidfd_send_signal(&self.pidfd, Signal::CONT)?)
    }

    /// Ends it.
    pub fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, Signal::KILL)?)
    }

    /// Waits until it has ended.
    pub async fn ended(&self) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "the new form is unsafe for types that may change their descriptor; a borrowed one cannot"
        )]
        let pidfd = AsyncFd::with_interest(self.pidfd.as_fd(), Interest::READABLE)?;
        pidfd.readable().await.map(drop)
    }

    /// Waits until it has ended, at most so long; `false`: it has not. Not for the thread of the event loop.
    pub fn ends_within(&self, bound: std::time::Duration) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let bound = Timespec::try_from(bound).map_err(io::Error::other)?;
        Ok(poll(&mut polled, Some(&bound))? > 0)
    }

    /// Whether it has ended, reaped or not: a pidfd is readable from then on.
    pub fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut polled, Some(&at_once)), Ok(ready) if ready > 0)
    }
}

/// While it is held, SIGINT does not end this process: whoever has the terminal meanwhile sees to Ctrl-C.
#[derive(Debug)]
pub struct Interrupts {
    _heard: Heard,
    _runtime: Runtime,
}

impl Interrupts {
    /// Takes SIGINT from now on.
    pub fn held() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let heard = signal(SignalKind::interrupt())?;
        drop(entered);
        Ok(Self { _heard: heard, _runtime: runtime })
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
