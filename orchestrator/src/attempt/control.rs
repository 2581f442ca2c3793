//! The control socket of one attempt: what the worker says, frame by frame, capped and typed.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
};

use ipc::{
    message::{
        AgentFailure, AgentFailureKind, AgentUpdate, FromWorker, ProcessUsage, SkillResult, Stage, VERSION,
        WaitStatus,
    },
    socket::{Outgoing, Receiver},
};
use schemas::{agent::ToolCall, failure::Code, json::Json};
use tokio::{io::Interest, net::UnixStream};
use workflow_engine::verdict::{OwnError, SkillAnswer, parse_output};

use crate::event_loop::fill;

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The skill or program began.
    Started,
    /// Nothing of the step ran.
    SetupFailed {
        /// Where it failed.
        stage: Stage,
        /// The kernel's error number.
        errno: i32,
    },
    /// The sockets by which its network is bridged.
    Listening(Vec<(u16, TcpListener)>),
    /// A result or an own error.
    Answer(SkillAnswer),
    /// The leader ended.
    LeaderExited(Leader),
    /// A line for the log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The line.
        text: String,
    },
    /// An agent called a tool.
    Tool(ToolCall),
    /// A line for the transcript of an agent.
    Transcript(Json),
    /// An agent says something.
    Agent(AgentUpdate),
    /// It broke the protocol; nothing more is heard.
    Broken(String),
    /// The other end closed it.
    Closed,
}

impl Heard {
    /// Whether it is a sign of life of an agent.
    pub(super) fn is_of_agent(&self) -> bool {
        matches!(self, Self::Tool(_) | Self::Transcript(_) | Self::Agent(_))
    }
}

/// How the leader of a step ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leader {
    pub(super) status: WaitStatus,
    /// How many others lived then.
    pub(super) leftovers: u64,
    pub(super) usage: ProcessUsage,
}

/// The engine's end.
#[derive(Debug)]
pub(super) struct Control {
    socket: Option<UnixStream>,
    receiver: Receiver,
    /// What the socket has not taken yet of the task.
    order: Option<Outgoing>,
    /// Largest result taken.
    cap: u64,
}

impl Control {
    /// Gives the worker its task.
    pub(super) fn new(socket: StdUnixStream, mut order: Outgoing, cap: u64) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // A worker that is gone is heard of as one.
        let waits = order.send(&socket).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        Ok(Self {
            socket: Some(UnixStream::from_std(socket)?),
            receiver: Receiver::new(),
            order: waits.then_some(order),
            cap,
        })
    }

    /// Whether anything can still come.
    pub(super) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Waits for the next thing. Cancelled it loses nothing.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            match self.receiver.take::<FromWorker>() {
                Ok(Some((message, descriptors))) => return self.take(message, descriptors),
                Ok(None) => {}
                Err(error) => return self.broken(format!("the worker broke its protocol: {error}")),
            }
            let Some(socket) = &self.socket else { return std::future::pending().await };
            let interest = match &self.order {
                Some(_) => Interest::READABLE | Interest::WRITABLE,
                None => Interest::READABLE,
            };
            if socket.ready(interest).await.is_err() {
                return self.closed();
            }
            self.order.take_if(|order| {
                let sent = socket.try_io(Interest::WRITABLE, || order.send(socket));
                !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            });
            match fill(&mut self.receiver, socket) {
                Ok(Some(0)) => return self.closed(),
                Ok(Some(_) | None) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.broken(format!("the worker broke its protocol: {error}"));
                }
                Err(_) => return self.closed(),
            }
        }
    }

    fn take(&mut self, message: FromWorker, descriptors: Vec<OwnedFd>) -> Heard {
        match message {
            FromWorker::Started { version: VERSION } => Heard::Started,
            FromWorker::Started { version } => self.broken(format!("the worker speaks version {version}")),
            FromWorker::SetupFailed { stage, errno } => Heard::SetupFailed { stage, errno },
            FromWorker::Listening { ports } => Heard::Listening(
                ports.into_iter().zip(descriptors.into_iter().map(TcpListener::from)).collect(),
            ),
            FromWorker::Tool(call) => Heard::Tool(call),
            FromWorker::Transcript(line) => Heard::Transcript(line),
            FromWorker::Agent(update) => Heard::Agent(update),
            FromWorker::Log { level, text } => Heard::Log { level, text },
            FromWorker::LeaderExited { status, leftovers, usage } => {
                Heard::LeaderExited(Leader { status, leftovers, usage })
            }
            FromWorker::Result(result) => self.answer(result, descriptors),
        }
    }

    fn answer(&mut self, result: SkillResult, descriptors: Vec<OwnedFd>) -> Heard {
        let answer = match result {
            SkillResult::Value { value: Some(value) } if value.len() as u64 > self.cap => {
                SkillAnswer::TooLarge
            }
            SkillResult::Value { value: Some(value) } => SkillAnswer::Value(value),
            SkillResult::Value { value: None } => match large_value(descriptors, self.cap) {
                Ok(answer) => answer,
                Err(what) => return self.broken(what),
            },
            SkillResult::Error(error) => SkillAnswer::Error(OwnError {
                code: error.code,
                message: error.message,
                retryable: error.retryable,
                details: error.details,
            }),
            SkillResult::BadInput { pointer, message } => SkillAnswer::BadInput { pointer, message },
            SkillResult::Agent(failure) => of_agent(failure),
        };
        Heard::Answer(answer)
    }

    fn closed(&mut self) -> Heard {
        self.socket = None;
        match self.receiver.finish() {
            Ok(()) => Heard::Closed,
            Err(error) => Heard::Broken(format!("the worker broke its protocol: {error}")),
        }
    }

    fn broken(&mut self, what: String) -> Heard {
        self.socket = None;
        Heard::Broken(what)
    }
}

fn of_agent(failure: AgentFailure) -> SkillAnswer {
    let AgentFailure { message, retryable, kind } = failure;
    let (code, pointer, guardrail) = match kind {
        AgentFailureKind::Agent => (Code::AgentError, None, None),
        AgentFailureKind::Output { pointer } => (Code::BadOutput, Some(pointer), None),
        AgentFailureKind::Guardrail(name) => (Code::GuardrailExceeded, None, Some(name)),
    };
    SkillAnswer::Failed { code, message, retryable, pointer, guardrail }
}

/// A value in a memory file, read no further than just over the cap.
fn large_value(descriptors: Vec<OwnedFd>, cap: u64) -> Result<SkillAnswer, String> {
    let unreadable = |error: io::Error| format!("the worker's value could not be read: {error}");
    let mut file = File::from(descriptors.into_iter().next().ok_or("the worker sent no value")?);
    let mut bytes = Vec::new();
    file.rewind().map_err(unreadable)?;
    file.take(cap.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > cap {
        return Ok(SkillAnswer::TooLarge);
    }
    parse_output(&bytes).map(SkillAnswer::Value).map_err(|error| error.to_string())
}
