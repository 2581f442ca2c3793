//! Stream sockets that carry messages and descriptors (`SCM_RIGHTS`, unix(7)). Everything here follows the
//! mode of the socket: a blocking one waits, a non-blocking one answers `WouldBlock`, so the same code
//! serves the launcher, the worker, and the engine's event loop.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use thiserror::Error;

use crate::frame::{self, Decoder};
use crate::message::Message;

/// Most descriptors with one frame, and most that may wait for their frame.
pub const MAX_DESCRIPTORS: usize = 8;

/// Bytes asked of the kernel at once.
const READ_SIZE: usize = 4 * 1024;

/// What can go wrong on a socket. Each is final for the socket.
#[derive(Debug, Error)]
pub enum Error {
    /// A bad frame.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// The kernel's error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame came without the descriptors that belong to it.
    #[error("frame needs {needed} descriptors and {found} came")]
    MissingDescriptors {
        /// What the message says.
        needed: usize,
        /// What is there.
        found: usize,
    },
    /// Descriptors came that belong to no frame.
    #[error("{count} descriptors belong to no frame")]
    SurplusDescriptors {
        /// How many.
        count: usize,
    },
    /// The kernel had to drop descriptors: too many in one message, or none free in this process.
    #[error("descriptors were lost on the way")]
    LostDescriptors,
}

/// The receiving half: reads, and gives whole messages with their descriptors.
#[derive(Debug, Default)]
pub struct Receiver {
    decoder: Decoder,
    descriptors: VecDeque<OwnedFd>,
    /// Whether the last read found the end of what was there.
    drained: bool,
}

impl Receiver {
    /// One that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads once. 0 is the end of the stream: then [`Receiver::finish`]. Take all messages before the
    /// next call, that bounds what is held.
    pub fn fill(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let mut bytes = [0; READ_SIZE];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        let waiting = self.descriptors.len();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                self.descriptors.extend(descriptors);
            }
        }
        // The kernel reads no further than the bytes with which descriptors came: unix(7).
        self.drained = message.bytes < READ_SIZE && self.descriptors.len() == waiting;
        if message.flags.contains(ReturnFlags::CTRUNC) || self.descriptors.len() > 2 * MAX_DESCRIPTORS {
            self.descriptors.clear();
            return Err(io::Error::new(io::ErrorKind::InvalidData, Error::LostDescriptors));
        }
        self.decoder.feed(&bytes[..message.bytes]);
        Ok(message.bytes)
    }

    /// Whether the last read took all that was there then, so that another one would find nothing.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Takes the next whole message; `None`: read on.
    pub fn take<M: Message>(&mut self) -> Result<Option<(M, Vec<OwnedFd>)>, Error> {
        let Some(message) = self.decoder.take::<M>()? else {
            // A read can bring the descriptors of a later frame, but never without a byte of it.
            let count = self.descriptors.len();
            let surplus = self.decoder.is_empty() && count > 0;
            return if surplus { Err(Error::SurplusDescriptors { count }) } else { Ok(None) };
        };
        let needed = message.descriptors();
        let found = self.descriptors.len();
        if found < needed {
            return Err(Error::MissingDescriptors { needed, found });
        }
        Ok(Some((message, self.descriptors.drain(..needed).collect())))
    }

    /// Waits for one message on a blocking socket; `None` is the end of the stream.
    pub fn wait<M: Message>(&mut self, socket: &impl AsFd) -> Result<Option<(M, Vec<OwnedFd>)>, Error> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if self.fill(socket)? == 0 {
                self.finish()?;
                return Ok(None);
            }
        }
    }

    /// To be called at the end of the stream: an end inside a frame is an error.
    pub fn finish(&self) -> Result<(), Error> {
        Ok(self.decoder.finish()?)
    }
}

/// One message on its way out. It owns its descriptors until they are sent.
#[derive(Debug)]
pub struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Outgoing {
    /// Encodes a message.
    pub fn new<M: Message>(message: &M, descriptors: Vec<OwnedFd>) -> Result<Self, Error> {
        let (needed, found) = (message.descriptors(), descriptors.len());
        if found < needed {
            return Err(Error::MissingDescriptors { needed, found });
        }
        if found > needed {
            return Err(Error::SurplusDescriptors { count: found - needed });
        }
        Ok(Self { bytes: frame::encode(message)?, sent: 0, descriptors })
    }

    /// Adds a message that has no descriptors: both go together.
    pub fn and<M: Message>(mut self, message: &M) -> Result<Self, Error> {
        let Self { bytes, .. } = Self::new(message, Vec::new())?;
        self.bytes.extend_from_slice(&bytes);
        Ok(self)
    }

    /// Sends what is left of it. After `WouldBlock`, call again when the socket is writable.
    pub fn send(&mut self, socket: &impl AsFd) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            let descriptors: Vec<BorrowedFd<'_>> = self.descriptors.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, Error::LostDescriptors));
            }
            let parts = [IoSlice::new(&self.bytes[self.sent..])];
            match sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.sent += length;
                    self.descriptors.clear();
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// Sends one message on a blocking socket.
///
/// There is no deadline: a peer that only pauses must lose nothing, and a peer that dies ends the wait
/// with an error. So whoever speaks to the launcher must read while it writes.
pub fn send<M: Message>(socket: &impl AsFd, message: &M, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
    Ok(Outgoing::new(message, descriptors)?.send(socket)?)
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
