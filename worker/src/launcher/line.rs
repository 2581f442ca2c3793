//! The launcher's end of the engine's socket. Nothing here waits: what the engine does not take yet is kept
//! in order, so that an engine which is busy writing itself is never in each other's way with us.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use ipc::message::{FromLauncher, ToLauncher};
use ipc::socket::{Error, Outgoing, Receiver};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::EpollFlags;

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Perhaps messages.
    Open,
    /// The engine is gone.
    Closed,
}

/// The socket, and what is on its way.
#[derive(Debug)]
pub(super) struct Line {
    /// The socket.
    pub(super) socket: OwnedFd,
    receiver: Receiver,
    /// How many frames wait is bounded by the births and ends that the engine has asked for.
    waiting: VecDeque<Outgoing>,
}

impl Line {
    /// Takes over the socket.
    pub(super) fn new(socket: OwnedFd) -> nix::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL)?);
        fcntl(&socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { socket, receiver: Receiver::new(), waiting: VecDeque::new() })
    }

    /// Reads once; then take all messages.
    pub(super) fn read(&mut self) -> Result<Read, Error> {
        match self.receiver.fill(&self.socket) {
            Ok(0) => self.receiver.finish().map(|()| Read::Closed),
            Ok(_) => Ok(Read::Open),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Read::Open),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message that was read.
    pub(super) fn take(&mut self) -> Result<Option<(ToLauncher, Vec<OwnedFd>)>, Error> {
        self.receiver.take()
    }

    /// Sends a message now or, when the engine is slow, later.
    pub(super) fn tell(&mut self, message: &FromLauncher, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        self.waiting.push_back(Outgoing::new(message, descriptors)?);
        self.flush()
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        while let Some(next) = self.waiting.front_mut() {
            match next.send(&self.socket) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> EpollFlags {
        if self.waiting.is_empty() { EpollFlags::EPOLLIN } else { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT }
    }
}
