//! The engine's end of the launcher: starts it, asks for births, hears of deaths. One task owns the socket;
//! each birth has a channel on which its news come. A launcher that dies is started again, once.

use std::{
    collections::HashMap,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as StdUnixStream, process::CommandExt as _},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use ipc::{
    message::{
        Birth, BirthKind, Capabilities, FromLauncher, ProcessUsage, Stage, ToLauncher, VERSION, WaitStatus,
    },
    socket::{self, Outgoing, Receiver},
};
use tokio::{
    io::Interest,
    net::UnixStream,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{event_loop::fill, signal::Process};

/// First argument that makes `q` a launcher, handled before anything else.
pub const ARGUMENT: &str = "__launcher";

/// What can go wrong with the launcher itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("the launcher could not be started")]
    Start(#[source] io::Error),
    /// It did not answer as it must.
    #[error("the launcher did not answer")]
    Handshake(#[source] socket::Error),
    /// It ended before it answered.
    #[error("the launcher ended at its start")]
    Gone,
    /// It is another file than this program.
    #[error("the launcher speaks version {0}, this program {VERSION}: q was replaced while it started")]
    Version(u32),
}

/// News of one birth.
#[derive(Debug)]
pub enum News {
    /// The process exists.
    Born {
        /// The process.
        process: Process,
        /// Its number at birth; another process may have it once this one is reaped.
        pid: i32,
    },
    /// It could not be made.
    NotBorn {
        /// Where it failed.
        stage: Stage,
        /// The kernel's error number.
        errno: i32,
    },
    /// It ended and was reaped.
    Exited {
        /// How.
        status: WaitStatus,
        /// What it used.
        usage: ProcessUsage,
    },
}

/// What the launcher found at its start.
#[derive(Debug, Clone)]
pub struct Ready {
    /// How children get into their leaf.
    pub birth: BirthKind,
    /// Whether namespaces can be made.
    pub namespaces: bool,
    /// Whether all parts of the profile `strict` can be had; `false` where it was not asked for.
    pub strict: bool,
    /// Whether network namespaces can be made; `false` where it was not asked for.
    pub network: bool,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// What was found missing.
    pub notes: Vec<String>,
}

/// What a launcher is told at its start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The leaf in which it shall try a birth.
    pub probe: Option<PathBuf>,
    /// The most that a birth will keep.
    pub capabilities: Capabilities,
    /// Whether every birth will be filtered.
    pub filtered: bool,
    /// Whether it shall try what only the profile `strict` needs.
    pub strict: bool,
    /// What no birth with mounts sees.
    pub hidden: Vec<String>,
}

impl Setup {
    /// For births with the profile `standard`, and nothing hidden.
    pub fn standard(probe: Option<PathBuf>) -> Self {
        let capabilities = Capabilities::Standard;
        Self { probe, capabilities, filtered: true, strict: false, hidden: Vec::new() }
    }
}

/// A launcher that was started and has not answered yet.
#[derive(Debug)]
pub struct Starting {
    socket: StdUnixStream,
    child: Child,
}

/// How a launcher that died is started again.
pub type Again = Box<dyn FnOnce() -> Result<Starting, Error>>;

/// A running launcher.
#[derive(Debug, Clone)]
pub struct Launcher {
    requests: mpsc::UnboundedSender<Request>,
    /// `true` once there is none any more.
    lost: watch::Receiver<bool>,
}

#[derive(Debug)]
struct Request {
    birth: Box<Birth>,
    control: OwnedFd,
    news: mpsc::UnboundedSender<News>,
}

/// Starts the launcher. By posix_spawn: no hook, no fork of this process. It gets no environment, so that no step can
/// read ours through it.
pub fn start(setup: &Setup) -> Result<Starting, Error> {
    let (ours, theirs) = StdUnixStream::pair().map_err(Error::Start)?;
    let child = Command::new("/proc/self/exe")
        .arg0("q")
        .arg(ARGUMENT)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(Error::Start)?;
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    // One that was removed while it runs needs no guard.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let setup = ToLauncher::Setup {
        version: VERSION,
        probe: setup.probe.as_ref().map(text),
        capabilities: setup.capabilities,
        filtered: setup.filtered,
        strict: setup.strict,
        hidden: setup.hidden.clone(),
        guarded: own.and_then(|path| path.canonicalize().ok()).as_ref().map(text).into_iter().collect(),
    };
    socket::send(&ours, &setup, Vec::new()).map_err(Error::Handshake)?;
    Ok(Starting { socket: ours, child })
}

impl Starting {
    /// Waits for its answer and hands its socket to a task of the current runtime. The task ends when every
    /// [`Launcher`] is dropped and the process is reaped.
    pub fn ready(self, again: Option<Again>) -> Result<(Launcher, Ready, JoinHandle<()>), Error> {
        let (end, ready) = self.answer()?;
        let (requests, incoming) = mpsc::unbounded_channel();
        let (lost, is_lost) = watch::channel(false);
        let line = Line { end, births: HashMap::new(), again, lost };
        let line = tokio::task::spawn_local(line.serve(incoming));
        Ok((Launcher { requests, lost: is_lost }, ready, line))
    }

    fn answer(self) -> Result<(End, Ready), Error> {
        let mut receiver = Receiver::new();
        let answer = receiver.wait::<FromLauncher>(&self.socket).map_err(Error::Handshake)?;
        let ready = match answer {
            Some((FromLauncher::Ready { version, .. }, _)) if version != VERSION => {
                return Err(Error::Version(version));
            }
            Some((FromLauncher::Ready { birth, namespaces, strict, network, seccomp, notes, .. }, _)) => {
                let (strict, network) = (strict == Some(true), network == Some(true));
                Ready { birth, namespaces, strict, network, seccomp, notes }
            }
            Some((
                FromLauncher::Born { .. } | FromLauncher::NotBorn { .. } | FromLauncher::Exited { .. },
                _,
            ))
            | None => return Err(Error::Gone),
        };
        self.socket.set_nonblocking(true).map_err(Error::Start)?;
        let socket = UnixStream::from_std(self.socket).map_err(Error::Start)?;
        Ok((End { socket, receiver, child: self.child }, ready))
    }
}

impl Launcher {
    /// Asks for a birth; `control` is the worker's end of its socket. The channel closes without `Exited` when the
    /// launcher dies.
    pub fn birth(&self, birth: Birth, control: OwnedFd) -> mpsc::UnboundedReceiver<News> {
        let (news, receiver) = mpsc::unbounded_channel();
        // A send fails when the task is gone; then `news` is dropped and the receiver sees the end.
        let _launcher_is_dead = self.requests.send(Request { birth: Box::new(birth), control, news });
        receiver
    }

    /// Whether there is none any more: it died, and so did the one that was started in its place.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until there is none any more.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            // The task has ended in order: nothing is lost.
            std::future::pending::<()>().await;
        }
    }
}

/// A launcher that has answered.
#[derive(Debug)]
struct End {
    socket: UnixStream,
    receiver: Receiver,
    child: Child,
}

impl End {
    /// It ends by itself when its socket closes; reaping it leaves no zombie.
    fn close(self) {
        let Self { socket, receiver: _, mut child } = self;
        drop(socket);
        let _ended = child.wait();
    }
}

/// The socket and everything that waits for news from it.
struct Line {
    end: End,
    births: HashMap<u64, mpsc::UnboundedSender<News>>,
    again: Option<Again>,
    lost: watch::Sender<bool>,
}

/// Why a launcher is served no longer.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// Nobody needs it any more.
    Unneeded,
    /// It died.
    Dead,
}

impl Line {
    /// Serves until the engine has dropped every [`Launcher`] and nobody waits for news, or until the
    /// launcher has died twice. Whoever waits for news of one that died hears the end of his channel.
    async fn serve(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        loop {
            let over = self.serve_one(&mut requests).await;
            self.births.clear();
            let again = self.again.take().filter(|_| over == Over::Dead && !requests.is_closed());
            let Some(Ok((end, _))) = again.map(|again| again().and_then(Starting::answer)) else {
                self.lost.send_replace(over == Over::Dead);
                return self.end.close();
            };
            std::mem::replace(&mut self.end, end).close();
        }
    }

    async fn serve_one(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) -> Over {
        let mut open = true;
        while open || !self.births.is_empty() {
            tokio::select! {
                request = requests.recv(), if open => match request {
                    Some(request) => if self.request(request).await.is_err() { return Over::Dead },
                    None => open = false,
                },
                alive = self.hear() => if !matches!(alive, Ok(true)) { return Over::Dead },
            }
        }
        Over::Unneeded
    }

    async fn request(&mut self, request: Request) -> Result<(), socket::Error> {
        let ticket = request.birth.ticket;
        let mut outgoing = match Outgoing::new(&ToLauncher::Birth(request.birth), vec![request.control]) {
            Ok(outgoing) => outgoing,
            Err(_too_large) => {
                let _nobody_waits = request
                    .news
                    .send(News::NotBorn { stage: Stage::Request, errno: nix::errno::Errno::E2BIG as i32 });
                return Ok(());
            }
        };
        self.births.insert(ticket, request.news);
        loop {
            match self.end.socket.try_io(Interest::WRITABLE, || outgoing.send(&self.end.socket)) {
                Ok(()) => return Ok(()),
                // The launcher may wait for us to read before it reads on.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self.end.socket.ready(Interest::READABLE | Interest::WRITABLE).await?;
                    if ready.is_readable() && !self.read()? {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn hear(&mut self) -> Result<bool, socket::Error> {
        self.end.socket.readable().await?;
        self.read()
    }

    /// Reads what is there; `false` at the end of the stream.
    fn read(&mut self) -> Result<bool, socket::Error> {
        if fill(&mut self.end.receiver, &self.end.socket)? == Some(0) {
            return Ok(false);
        }
        while let Some((message, descriptors)) = self.end.receiver.take::<FromLauncher>()? {
            self.deliver(&message, descriptors);
        }
        Ok(true)
    }

    fn deliver(&mut self, message: &FromLauncher, mut descriptors: Vec<OwnedFd>) {
        let (ticket, news) = match *message {
            FromLauncher::Ready { .. } => return,
            FromLauncher::Born { ticket, pid } => {
                let Some(pidfd) = descriptors.pop() else { return };
                (ticket, News::Born { process: Process::from_pidfd(pidfd), pid })
            }
            FromLauncher::NotBorn { ticket, stage, errno } => (ticket, News::NotBorn { stage, errno }),
            FromLauncher::Exited { ticket, status, usage } => (ticket, News::Exited { status, usage }),
        };
        let last = !matches!(news, News::Born { .. });
        if let Some(birth) = self.births.get(&ticket) {
            let _nobody_waits = birth.send(news);
        }
        if last {
            self.births.remove(&ticket);
        }
    }
}
