//! Which descriptors a child has, and where: 0, 1, 2, perhaps 3, and the private control socket. Nothing
//! else that the launcher or the engine has open reaches it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::sys;

/// Where a program finds the stream of its events.
const EVENTS: RawFd = 3;

/// Where the control socket lies while this program is still the one that runs.
const CONTROL: RawFd = 4;

/// The descriptors of a birth, as received: each lies above all the places that they are put to, so that
/// none is overwritten before its turn.
#[derive(Debug)]
pub(crate) struct Descriptors {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// The socket to the engine.
    pub(crate) control: OwnedFd,
    events: Option<OwnedFd>,
}

impl Descriptors {
    /// Takes them in the order of the frame; events may come last.
    pub(crate) fn new(received: Vec<OwnedFd>) -> nix::Result<Self> {
        let mut received = received.into_iter().map(lift);
        let mut next = || received.next().ok_or(Errno::EBADF)?;
        let (stdin, stdout, stderr, control) = (next()?, next()?, next()?, next()?);
        Ok(Self { stdin, stdout, stderr, control, events: received.next().transpose()? })
    }

    /// Puts them where they belong and closes all others. Gives the control socket at its new place.
    pub(crate) fn arrange(&self) -> nix::Result<OwnedFd> {
        sys::place(&self.stdin, libc::STDIN_FILENO)?;
        sys::place(&self.stdout, libc::STDOUT_FILENO)?;
        sys::place(&self.stderr, libc::STDERR_FILENO)?;
        match &self.events {
            Some(events) => sys::place(events, EVENTS)?,
            None => sys::close_range(EVENTS.unsigned_abs(), EVENTS.unsigned_abs())?,
        }
        let control = sys::place_private(&self.control, CONTROL)?;
        sys::close_range(CONTROL.unsigned_abs() + 1, u32::MAX)?;
        Ok(control)
    }
}

/// Lets go of the step's streams, so that they end with the step's own processes.
pub(crate) fn release_streams() -> nix::Result<()> {
    sys::close_range(0, EVENTS.unsigned_abs())
}

fn lift(descriptor: OwnedFd) -> nix::Result<OwnedFd> {
    if descriptor.as_raw_fd() > CONTROL {
        Ok(descriptor)
    } else {
        sys::duplicate_from(&descriptor, CONTROL + 1)
    }
}
