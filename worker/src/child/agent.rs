//! Running an agent in this process: what it says goes to the engine as it is said.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipc::message::{FromWorker, Stage, VERSION, WaitStatus};
use nix::errno::Errno;
use schemas::agent::{AgentTask, Kind};

use super::builtin::{exit_at_sigterm, own_usage_now, send, tell};
use super::init::count_leftovers;
use super::task::Agent;
use crate::agent::{self, Said};
use crate::birth::{AtStage, Failure};
use crate::sandbox::descriptors;

/// Runs the agent and sends its result. An error means that it never began.
pub(super) fn run(agent: &Agent, control: &OwnedFd, is_init: bool) -> Result<(), Failure> {
    let text = io::read_to_string(io::stdin()).at(Stage::Request)?;
    let task: AgentTask =
        serde_json::from_str(&text).map_err(|_| Failure { stage: Stage::Request, errno: Errno::EINVAL })?;
    let told = heed_sigterm(task.kind, is_init).at(Stage::Signals)?;
    send(control, &FromWorker::Started { version: VERSION }, Vec::new())?;
    let mut say = |said| {
        let message = match said {
            Said::Tool(call) => FromWorker::Tool(call),
            Said::Transcript(line) => FromWorker::Transcript(line),
            Said::Update(update) => FromWorker::Agent(update),
        };
        // Without an engine there is nobody to tell, and the launcher ends us.
        let _unheard = send(control, &message, Vec::new());
    };
    let result = agent::run(&task, &agent.env, told, &mut say);
    descriptors::release_streams().at(Stage::Descriptors)?;
    // Without namespaces nobody here knows what is left: then the engine looks.
    let leftovers = if is_init { count_leftovers() } else { 0 };
    let ended = FromWorker::LeaderExited { status: WaitStatus::Exited(0), leftovers, usage: own_usage_now() };
    tell(control, result, is_init.then_some(&ended));
    Ok(())
}

/// What SIGTERM does here: the loop of model and tools just ends. A program gets the signal itself, and this process
/// waits for it; one that can be asked to cancel is asked, once what is given is readable.
fn heed_sigterm(kind: Kind, is_init: bool) -> io::Result<Option<UnixStream>> {
    match kind {
        Kind::Builtin if is_init => exit_at_sigterm().map(|()| None).map_err(|failure| failure.errno.into()),
        Kind::Builtin => Ok(None),
        Kind::Command => {
            let unread = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(libc::SIGTERM, unread).map(|_| None)
        }
        Kind::Acp => {
            let (told, tell) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(libc::SIGTERM, tell)?;
            Ok(Some(told))
        }
    }
}
