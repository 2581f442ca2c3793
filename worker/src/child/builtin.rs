//! Running a built-in skill in this process.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipc::frame;
use ipc::message::{FromWorker, SkillError, SkillResult, Stage, VERSION};
use ipc::socket;
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use schemas::json::Json;

use crate::birth::{AtStage, Builtin, Failure};
use crate::skills::{self, Context};

/// Exit code of a skill ended by SIGTERM where it is process 1: as a shell tells it.
const EXIT_TERMINATED: i32 = 128 + libc::SIGTERM;

/// Longest text of a value that goes inside a frame; the rest of the frame is a few words.
const MAX_INLINE: usize = frame::MAX_FRAME - 1024;

/// Runs a skill as process 1 of a pid namespace.
pub(super) fn run_as_init(builtin: &Builtin, control: &OwnedFd) -> Result<(), Failure> {
    // The kernel keeps signals without a handler from process 1: pid_namespaces(7). Any other process ends
    // by default.
    let at_once = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(libc::SIGTERM, EXIT_TERMINATED, at_once)
        .at(Stage::Signals)?;
    run(builtin, control)
}

/// Runs a skill and sends its result. An error means that it never began.
pub(super) fn run(builtin: &Builtin, control: &OwnedFd) -> Result<(), Failure> {
    let read;
    let inputs = if let Some(inputs) = &builtin.inputs {
        inputs.as_str()
    } else {
        read = io::read_to_string(io::stdin()).at(Stage::Request)?;
        &read
    };
    send(control, &FromWorker::Started { version: VERSION }, Vec::new())?;
    let context = Context { work_dir: builtin.work_dir.clone() };
    let (result, descriptors) = portable(skills::run(&builtin.skill, inputs, &context));
    match socket::send(control, &FromWorker::Result(result), descriptors) {
        Err(socket::Error::Frame(_)) => send(control, &FromWorker::Result(too_large()), Vec::new()),
        // Without an engine there is nobody to tell.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn send(control: &OwnedFd, message: &FromWorker, descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
    socket::send(control, message, descriptors)
        .map_err(|_| Failure { stage: Stage::Exec, errno: Errno::EPIPE })
}

/// Moves a value that is too long for a frame into a memory file.
fn portable(result: SkillResult) -> (SkillResult, Vec<OwnedFd>) {
    match result {
        SkillResult::Value { value: Some(value) } if value.len() > MAX_INLINE => match memory_file(&value) {
            Ok(file) => (SkillResult::Value { value: None }, vec![file]),
            Err(error) => {
                (SkillResult::Error(internal(format!("failed to keep the result: {error}"))), Vec::new())
            }
        },
        other @ (SkillResult::Value { .. } | SkillResult::Error(_) | SkillResult::BadInput { .. }) => {
            (other, Vec::new())
        }
    }
}

fn memory_file(value: &Json) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"result", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(value.as_str().as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn too_large() -> SkillResult {
    SkillResult::Error(internal("the skill's error is too large to be told".to_owned()))
}

fn internal(message: String) -> SkillError {
    SkillError { code: "INTERNAL".to_owned(), message, retryable: false, details: None }
}
