//! Running a built-in skill in this process.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipc::frame;
use ipc::message::{FromWorker, ProcessUsage, SkillError, SkillResult, Stage, VERSION, WaitStatus};
use ipc::socket::{self, Outgoing};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use schemas::json::Json;

use super::task::Builtin;
use crate::birth::{AtStage, Failure};
use crate::sandbox::descriptors;
use crate::skills::{self, Context};

/// Exit code of a skill ended by SIGTERM where it is process 1: as a shell tells it.
const EXIT_TERMINATED: i32 = 128 + libc::SIGTERM;

/// Longest text of a value that goes inside a frame; the rest of the frame is a few words.
const MAX_INLINE: usize = frame::MAX_FRAME - 1024;

/// The kernel keeps signals without a handler from process 1: pid_namespaces(7). Any other process ends by default.
pub(super) fn exit_at_sigterm() -> Result<(), Failure> {
    let at_once = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(libc::SIGTERM, EXIT_TERMINATED, at_once)
        .at(Stage::Signals)
        .map(drop)
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
    let context = Context { work_dir: builtin.work_dir.clone(), env: builtin.env.clone() };
    let result = skills::run(&builtin.skill, inputs, &context);
    // Nothing of the step is left but this process, which only ends: the engine need not wait for that.
    descriptors::release_streams().at(Stage::Descriptors)?;
    let ended =
        FromWorker::LeaderExited { status: WaitStatus::Exited(0), leftovers: 0, usage: own_usage_now() };
    tell(control, result, Some(&ended));
    Ok(())
}

/// What this process used so far.
pub(super) fn own_usage_now() -> ProcessUsage {
    getrusage(UsageWho::RUSAGE_SELF).map(|usage| own_usage(&usage)).unwrap_or_default()
}

fn own_usage(usage: &Usage) -> ProcessUsage {
    let micros =
        |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default();
    ProcessUsage {
        user_us: micros(usage.user_time()),
        system_us: micros(usage.system_time()),
        max_rss_bytes: u64::try_from(usage.max_rss()).unwrap_or_default() * 1024,
    }
}

/// Sends the result, whatever its size, and the last frame with it. Without an engine there is nobody to tell.
pub(super) fn tell(control: &OwnedFd, result: SkillResult, ended: Option<&FromWorker>) {
    let (result, descriptors) = portable(result);
    let outgoing = match Outgoing::new(&FromWorker::Result(result), descriptors) {
        Err(socket::Error::Frame(_)) => Outgoing::new(&FromWorker::Result(too_large()), Vec::new()),
        other => other,
    };
    let outgoing = match ended {
        Some(ended) => outgoing.and_then(|outgoing| outgoing.and(ended)),
        None => outgoing,
    };
    let _unheard = outgoing.and_then(|mut outgoing| Ok(outgoing.send(control)?));
}

pub(super) fn send(
    control: &OwnedFd,
    message: &FromWorker,
    descriptors: Vec<OwnedFd>,
) -> Result<(), Failure> {
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
        other @ (SkillResult::Value { .. }
        | SkillResult::Error(_)
        | SkillResult::BadInput { .. }
        | SkillResult::Agent(_)) => (other, Vec::new()),
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn text(length: usize) -> Json {
        Json::parse(&format!("\"{}\"", "x".repeat(length - 2))).expect("json")
    }

    #[test]
    fn values_up_to_the_cap_fit_a_frame() {
        let value = text(MAX_INLINE);
        let (result, descriptors) = portable(SkillResult::Value { value: Some(value.clone()) });
        assert!(descriptors.is_empty());
        assert!(matches!(&result, SkillResult::Value { value: Some(same) } if *same == value));
        assert!(frame::encode(&FromWorker::Result(result)).is_ok());
    }

    #[test]
    fn values_over_the_cap_become_a_file() {
        let value = text(MAX_INLINE + 1);
        let (result, mut descriptors) = portable(SkillResult::Value { value: Some(value.clone()) });
        assert!(matches!(result, SkillResult::Value { value: None }));
        let mut read = String::new();
        File::from(descriptors.pop().expect("one")).read_to_string(&mut read).expect("a file");
        assert_eq!(read, value.as_str());
        assert!(descriptors.is_empty());
    }

    #[test]
    fn an_error_too_large_to_tell_is_told() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket");
        let details = Some(text(frame::MAX_FRAME));
        let error = SkillResult::Error(SkillError { details, ..internal("long".to_owned()) });
        let ours = OwnedFd::from(ours);
        let ended = FromWorker::Started { version: VERSION };
        tell(&ours, error, Some(&ended));
        drop(ours);
        let mut receiver = socket::Receiver::new();
        let told = receiver.wait::<FromWorker>(&theirs).expect("a frame").expect("one");
        assert!(matches!(told.0, FromWorker::Result(SkillResult::Error(error)) if error.code == "INTERNAL"));
        let last = receiver.wait::<FromWorker>(&theirs).expect("a frame").expect("one");
        assert!(matches!(last.0, FromWorker::Started { .. }));
    }
}
