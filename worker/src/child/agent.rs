//! Running an agent in this process: what it says goes to the engine as it is said.

use std::io;
use std::os::fd::OwnedFd;

use ipc::message::{FromWorker, Stage, VERSION, WaitStatus};

use super::builtin::{exit_at_sigterm, own_usage_now, send, tell};
use super::init::count_leftovers;
use super::task::Agent;
use crate::agent::{self, Said};
use crate::birth::{AtStage, Failure};
use crate::sandbox::descriptors;

/// Runs the agent and sends its result. An error means that it never began.
pub(super) fn run(agent: &Agent, control: &OwnedFd, is_init: bool) -> Result<(), Failure> {
    if is_init {
        exit_at_sigterm()?;
    }
    let task = io::read_to_string(io::stdin()).at(Stage::Request)?;
    send(control, &FromWorker::Started { version: VERSION }, Vec::new())?;
    let mut say = |said| {
        let message = match said {
            Said::Tool(call) => FromWorker::Tool(call),
            Said::Transcript(line) => FromWorker::Transcript(line),
        };
        // Without an engine there is nobody to tell, and the launcher ends us.
        let _unheard = send(control, &message, Vec::new());
    };
    let result = agent::run(&task, &agent.env, &mut say);
    descriptors::release_streams().at(Stage::Descriptors)?;
    // Without namespaces nobody here knows what is left: then the engine looks.
    let leftovers = if is_init { count_leftovers() } else { 0 };
    let ended = FromWorker::LeaderExited { status: WaitStatus::Exited(0), leftovers, usage: own_usage_now() };
    tell(control, result, is_init.then_some(&ended));
    Ok(())
}
