//! Which descriptors a child has, and where: 0, 1, 2, perhaps 3, and the private control socket. Nothing
//! else that the launcher or the engine has open reaches it.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use ipc::message::Streams;
use nix::errno::Errno;

use crate::sys;

/// Where a program finds the stream of its events.
const EVENTS: RawFd = 3;

/// Where the control socket lies while this program is still the one that runs.
const CONTROL: RawFd = 4;

/// The streams of a task, as received: each lies above all the places that they are put to, so that
/// none is overwritten before its turn.
#[derive(Debug)]
pub(crate) struct Descriptors {
    stdin: Option<OwnedFd>,
    outputs: Option<[OwnedFd; 2]>,
    events: Option<OwnedFd>,
}

/// Puts the control socket where it belongs, leads all streams to nowhere, and closes all else. Gives the socket at
/// its new place. The launcher's own stdin must lead nowhere.
pub(crate) fn hold_control(control: &OwnedFd) -> nix::Result<OwnedFd> {
    let nowhere = std::io::stdin();
    sys::place(&nowhere, libc::STDERR_FILENO)?;
    // Kept busy: what is received later lies above.
    sys::place(&nowhere, EVENTS)?;
    let control = sys::place_private(control, CONTROL)?;
    sys::close_range(CONTROL.unsigned_abs() + 1, u32::MAX)?;
    Ok(control)
}

impl Descriptors {
    /// Takes those that came with a task.
    pub(crate) fn new(streams: Streams, received: Vec<OwnedFd>) -> nix::Result<Self> {
        let mut received = received.into_iter().map(lift);
        let mut next = |comes: bool| comes.then(|| received.next().ok_or(Errno::EBADF)?).transpose();
        let stdin = next(streams.input)?;
        let (stdout, stderr) = (next(streams.outputs)?, next(streams.outputs)?);
        Ok(Self {
            stdin,
            outputs: stdout.zip(stderr).map(|(stdout, stderr)| [stdout, stderr]),
            events: next(streams.events)?,
        })
    }

    /// Puts them where they belong and closes all others but the control socket.
    pub(crate) fn arrange(self) -> nix::Result<()> {
        let [stdout, stderr] = self.outputs.map_or([None, None], |outputs| outputs.map(Some));
        let places =
            [(self.stdin, libc::STDIN_FILENO), (stdout, libc::STDOUT_FILENO), (stderr, libc::STDERR_FILENO)];
        for (stream, place) in places.into_iter().filter_map(|(stream, place)| Some((stream?, place))) {
            sys::place(&stream, place)?;
            let _closed_below = stream.into_raw_fd();
        }
        match self.events {
            Some(events) => {
                sys::place(&events, EVENTS)?;
                let _closed_below = events.into_raw_fd();
            }
            None => sys::close_range(EVENTS.unsigned_abs(), EVENTS.unsigned_abs())?,
        }
        sys::close_range(CONTROL.unsigned_abs() + 1, u32::MAX)
    }
}

/// Lets go of the step's streams, so that they end with the step's own processes.
pub(crate) fn release_streams() -> nix::Result<()> {
    sys::close_range(0, EVENTS.unsigned_abs())
}

/// The same descriptor, above all places that descriptors are put to.
pub(crate) fn lift(descriptor: OwnedFd) -> nix::Result<OwnedFd> {
    if descriptor.as_raw_fd() > CONTROL {
        Ok(descriptor)
    } else {
        sys::duplicate_from(&descriptor, CONTROL + 1)
    }
}
