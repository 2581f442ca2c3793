//! An alarm by the wall clock. It also rings when somebody sets the clock: what is due is another matter then.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use jiff::Timestamp;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer of the kernel.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set_for: Option<Timestamp>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: watched(timer)?, set_for: None })
    }

    /// Sets the alarm; none: it rings never.
    pub(super) fn set(&mut self, moment: Option<Timestamp>) -> io::Result<()> {
        if self.set_for == moment {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // All zero would disarm it (timerfd_create(2)): the beginning of time is over anyway.
        let value = moment.map_or(zero, |moment| Timespec {
            tv_sec: moment.as_second().max(0),
            tv_nsec: moment.subsec_nanosecond().max(1).into(),
        });
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(self.timer.get_ref(), flags, &Itimerspec { it_interval: zero, it_value: value })?;
        self.set_for = moment;
        Ok(())
    }

    /// Waits until it rings, or the clock is set.
    pub(super) async fn rang(&mut self) -> io::Result<()> {
        let mut ready = self.timer.readable().await?;
        let mut count = [0; 8];
        match rustix::io::read(ready.get_inner().as_fd(), &mut count) {
            // It is set anew, whether it rang or the clock was set.
            Ok(_) | Err(rustix::io::Errno::CANCELED) => self.set_for = None,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        ready.clear_ready();
        Ok(())
    }
}

/// A descriptor of the kernel's that can be waited for.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "the new form is unsafe for types that may change their descriptor; an owned one cannot"
    )]
    AsyncFd::with_interest(descriptor, tokio::io::Interest::READABLE)
}
