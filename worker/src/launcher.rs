//! The launcher: a small process with one thread, started by the engine before anything else. It makes
//! the children, reaps them, and ends them all when the engine is gone. It decides nothing.

mod children;
mod end;
mod line;
mod probe;

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use ipc::message::{Birth, BirthKind, Capabilities, FromLauncher, Stage, ToLauncher, VERSION};
use ipc::socket;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, setsid};
use thiserror::Error;

use crate::birth::{self, AtStage, Failure, Launcher, Place, Request};
use crate::sandbox::{capabilities::Bounding, mounts, namespaces};
use crate::sys::{self, Newborn, Which};
use children::{Child, Children};
use line::{Line, Read};

/// Descriptors 3 and 4 are kept busy by the launcher itself, so that those of a child never come to lie
/// where they will be put.
const FIRST_OWN: u32 = 3;

/// How the engine's socket is told apart from children in epoll: no pid is 0.
const ENGINE: u64 = 0;

/// Events taken at once.
const BATCH: usize = 64;

/// Why a launcher ends before its engine.
#[derive(Debug, Error)]
enum Error {
    /// Before the first frame.
    #[error("failed to start the launcher")]
    Start(#[source] Errno),
    /// The socket of the engine.
    #[error("failed to speak with the engine")]
    Engine(#[from] socket::Error),
    /// Waiting.
    #[error("failed to wait for children")]
    Wait(#[source] Errno),
}

/// The whole program of a launcher: its standard input is the socket of the engine. It must be called
/// before anything else is started: no other thread, no handler, no lock.
///
/// The end of that socket is how it learns that the engine is dead. It asks for no parent death signal: that
/// would kill it in the very moment in which it has to end the children and remove their leaves.
pub fn main() -> ExitCode {
    match Server::start().and_then(Server::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            // If even this cannot be written, the exit code is what is left.
            let _unheard = writeln!(std::io::stderr(), "launcher: {error}{}", source.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

/// The engine died while we spoke, or before it had read everything: no error of ours.
fn is_hang_up(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

#[derive(Debug)]
struct Server {
    line: Line,
    /// What epoll was last told to look for on the line.
    interest: EpollFlags,
    identity: Launcher,
    kind: BirthKind,
    /// The most capabilities that a child can have.
    most: Capabilities,
    children: Children,
    epoll: Epoll,
}

impl Server {
    fn start() -> Result<Self, Error> {
        // A terminal's signals are for the engine alone: it decides what ends.
        match setsid() {
            Ok(_) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(Error::Start(errno)),
        }
        Self::arrange().map_err(Error::Start)
    }

    fn arrange() -> nix::Result<Self> {
        sys::default_signals()?;
        sys::close_range(FIRST_OWN, u32::MAX)?;
        let line = Line::new(sys::duplicate_from(&std::io::stdin(), 0)?)?;
        let identity = Launcher {
            pidfd: sys::own_pidfd()?,
            uid: geteuid(),
            gid: getegid(),
            bounding: Bounding::read(),
            filters: None,
            shares_devices: false,
            hidden: Vec::new(),
            guarded: Vec::new(),
            pinned: Vec::new(),
            machine: mounts::machine(),
        };
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        sys::place(&null, libc::STDIN_FILENO)?;
        sys::place(&null, libc::STDOUT_FILENO)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let interest = line.interest();
        epoll.add(&line.socket, EpollEvent::new(interest, ENGINE))?;
        Ok(Self {
            line,
            interest,
            identity,
            kind: BirthKind::Plain,
            most: Capabilities::Kept,
            children: Children::default(),
            epoll,
        })
    }

    /// Serves until the engine is gone; whatever the reason, no child is left then.
    fn serve(mut self) -> Result<(), Error> {
        let outcome = self.serve_engine();
        end::end_all(self.children);
        match outcome {
            Err(Error::Engine(socket::Error::Io(error))) if is_hang_up(&error) => Ok(()),
            other => other,
        }
    }

    fn serve_engine(&mut self) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); BATCH];
        loop {
            self.update_interest().map_err(Error::Wait)?;
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => 0,
                other => other.map_err(Error::Wait)?,
            };
            for event in &events[..count] {
                match i32::try_from(event.data()) {
                    Ok(pid) if pid > 0 => self.reap(pid)?,
                    Ok(_) | Err(_) if self.hear()? == Read::Closed => return Ok(()),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }

    fn update_interest(&mut self) -> nix::Result<()> {
        let interest = self.line.interest();
        if interest != self.interest {
            self.epoll.modify(&self.line.socket, &mut EpollEvent::new(interest, ENGINE))?;
            self.interest = interest;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<Read, Error> {
        self.line.flush()?;
        let read = self.line.read()?;
        while let Some((message, descriptors)) = self.line.take()? {
            self.handle(message, descriptors)?;
        }
        Ok(read)
    }

    fn handle(&mut self, message: ToLauncher, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        match message {
            ToLauncher::Setup { version: _, probe, capabilities, filtered, strict, hidden, guarded } => {
                self.identity.bounding.lower(capabilities).map_err(Error::Start)?;
                self.most = self.most.min(capabilities);
                self.identity.hidden = hidden.into_iter().map(PathBuf::from).collect();
                self.identity.guarded = guarded.into_iter().map(PathBuf::from).collect();
                self.identity.pinned =
                    mounts::to_pin(self.identity.hidden.iter().chain(&self.identity.guarded));
                // A child without a sandbox has the mounts of the host, and may change them.
                if filtered && self.identity.uid.is_root() && !self.identity.shares_devices {
                    self.identity.shares_devices = mounts::share(&self.identity.pinned).is_ok();
                    if self.identity.shares_devices {
                        self.identity.pinned.clear();
                    }
                }
                self.identity.filters = probe::filters(filtered);
                let found = probe::probe(probe.as_deref(), strict, &self.identity);
                self.kind = found.birth;
                self.tell(
                    &FromLauncher::Ready {
                        version: VERSION,
                        birth: found.birth,
                        namespaces: found.namespaces,
                        strict: found.strict,
                        network: found.network,
                        seccomp: self.identity.filters.is_some(),
                        notes: found.notes,
                    },
                    Vec::new(),
                )
            }
            ToLauncher::Birth(birth) => {
                let ticket = birth.ticket;
                match self.give_birth(*birth, descriptors) {
                    Ok((pid, pidfd)) => self.tell(&FromLauncher::Born { ticket, pid }, vec![pidfd]),
                    Err(Failure { stage, errno }) => {
                        self.tell(&FromLauncher::NotBorn { ticket, stage, errno: errno as i32 }, Vec::new())
                    }
                }
            }
        }
    }

    fn tell(&mut self, message: &FromLauncher, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
        Ok(self.line.tell(message, descriptors)?)
    }

    /// Makes a child and gives its pid and a pidfd for the engine.
    fn give_birth(&mut self, birth: Birth, descriptors: Vec<OwnedFd>) -> Result<(i32, OwnedFd), Failure> {
        let ticket = birth.ticket;
        if birth.sandbox.capabilities > self.most {
            return Err(Failure { stage: Stage::Capabilities, errno: Errno::EPERM });
        }
        let request = Request::parse(birth, descriptors)?;
        let leaf = request.leaf.clone();
        let place = Place::new(leaf.as_deref(), self.kind)?;
        let identity = &self.identity;
        let flags = namespaces::flags(&request.sandbox);
        let newborn = birth::start(place, flags, move |gate| crate::child::run(&request, identity, gate))?;
        let pidfd = self.watch(&newborn).at(Stage::Clone).inspect_err(|_| birth::discard(&newborn))?;
        let pid = newborn.pid;
        self.children.add(Child { ticket, newborn, leaf });
        Ok((pid, pidfd))
    }

    fn watch(&self, newborn: &Newborn) -> nix::Result<OwnedFd> {
        let pidfd = sys::duplicate_from(&newborn.pidfd, 0)?;
        let data = u64::from(newborn.pid.unsigned_abs());
        self.epoll.add(&newborn.pidfd, EpollEvent::new(EpollFlags::EPOLLIN, data))?;
        Ok(pidfd)
    }

    fn reap(&mut self, pid: i32) -> Result<(), Error> {
        let Some(reaped) = sys::wait(Which::Ended(pid)).map_err(Error::Wait)? else { return Ok(()) };
        let Some(child) = self.children.remove(pid) else { return Ok(()) };
        // Closing is not enough: the engine has a copy, which would keep the event alive.
        self.epoll.delete(child.newborn.pidfd.as_fd()).map_err(Error::Wait)?;
        let ticket = child.ticket;
        drop(child);
        self.tell(&FromLauncher::Exited { ticket, status: reaped.status, usage: reaped.usage }, Vec::new())
    }
}
