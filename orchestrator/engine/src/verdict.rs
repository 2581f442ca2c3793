//! The verdict on an attempt: facts of a death in, outcome out. The order is closed:
//! sandbox error, reason recorded before a kill, local OOM, SIGSYS, SIGXFSZ and SIGXCPU, signal, exit
//! code, protocol error, result.

mod answer;
mod output;

#[cfg(test)]
mod tests;

use schemas::{
    failure::{Code, Details, Failure},
    journal::{Outcome, Output},
    json::Json,
    view::StopReason,
};

pub use self::{
    answer::{OwnError, SkillAnswer, Speaks},
    output::{OutputError, parse_output},
};

/// `SIGSYS` on every architecture that we build for (signal(7)).
const SIGSYS: i32 = 31;
/// `SIGXCPU`, likewise.
const SIGXCPU: i32 = 24;
/// `SIGXFSZ`, likewise.
const SIGXFSZ: i32 = 25;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// By `exit`.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
    /// Nobody can tell: the launcher died before it could say.
    Unknown,
}

/// The kernel killed for want of memory inside the attempt's own leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oom {
    /// What was used up.
    pub by: OutOf,
    /// `memory.peak` in bytes.
    pub peak: Option<u64>,
}

/// Whose memory was used up, and its limit in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOf {
    /// That of the step.
    Step(u64),
    /// That of all steps of the run together.
    Run(u64),
    /// That of the machine, or of something around the run.
    Machine,
}

impl OutOf {
    fn limit(self) -> Option<u64> {
        match self {
            Self::Step(limit) | Self::Run(limit) => Some(limit),
            Self::Machine => None,
        }
    }
}

/// The attempt never started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupFailure {
    /// Where the birth failed.
    pub stage: String,
    /// The kernel's error number.
    pub errno: i32,
    /// What the number means, with the name of the thing that it was about.
    pub message: String,
}

/// A guardrail that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    /// Its name.
    pub name: String,
    /// What happened.
    pub message: String,
}

/// Limits of the engine that may be the reason of a stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Wall time of an attempt, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Silence, milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// CPU time, milliseconds.
    pub cpu_time_ms: Option<u64>,
    /// Output, bytes.
    pub output: Option<u64>,
    /// Scratch, bytes.
    pub scratch: Option<u64>,
    /// Memory, bytes.
    pub memory: Option<u64>,
    /// Size of a written file, bytes.
    pub file_size: Option<u64>,
    /// Processes.
    pub pids: Option<u64>,
}

/// Everything that is known of a death.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Id of the step.
    pub step: &'a str,
    /// It never started.
    pub setup: Option<SetupFailure>,
    /// Why the engine ended it; durable before the first signal.
    pub reason: Option<StopReason>,
    /// What broke the protocol, where that was not the reason of a stop.
    pub protocol: Option<String>,
    /// Local OOM.
    pub oom: Option<Oom>,
    /// The most memory that the engine saw, where it is the engine that looks; bytes.
    pub memory_peak: Option<u64>,
    /// The guardrail that an agent reached, whether or not it was ended for that.
    pub guardrail: Option<Guardrail>,
    /// Processes that the limit refused.
    pub pids_denied: u64,
    /// Hosts that it asked the engine's proxy for and may not reach.
    pub hosts_denied: Vec<String>,
    /// How it ended.
    pub death: Death,
    /// Its limits.
    pub bounds: Bounds,
    /// How its answer is to be read.
    pub speaks: Speaks,
    /// What a built-in skill said over its control socket.
    pub skill: Option<SkillAnswer>,
    /// What it wrote on stdout, up to the cap.
    pub stdout: &'a [u8],
    /// It wrote more than that; seen when it had ended, else it was the reason of a stop.
    pub stdout_over: bool,
    /// What it wrote on stderr.
    pub stderr: &'a [u8],
    /// The last lines of stderr.
    pub stderr_tail: Vec<String>,
}

/// Judges.
pub fn judge(facts: &Facts<'_>) -> Outcome {
    if let Some(setup) = &facts.setup {
        return Outcome::Failed(setup_failure(facts, setup).into());
    }
    if let Some(reason) = facts.reason {
        return stopped(facts, reason);
    }
    if let Some(oom) = facts.oom {
        let mut failure = failure(facts, Code::Oom, oom_message(&oom));
        failure.details.limit = oom.by.limit();
        failure.details.peak = oom.peak;
        failure.details.signal = signal_of(facts.death);
        return Outcome::Failed(failure.into());
    }
    // An agent that went beyond a guardrail has no success, however it ended.
    if let Some(guardrail) = &facts.guardrail {
        return Outcome::Failed(guardrail_failure(facts, guardrail).into());
    }
    match facts.death {
        Death::Unknown => {
            Outcome::Failed(failure(facts, Code::EngineCrash, "the launcher died while it ran".into()).into())
        }
        Death::Signaled(signal) => Outcome::Failed(signaled(facts, signal).into()),
        Death::Exited(code) => match answer::read(facts, code) {
            Ok(value) => Outcome::Completed(Output::Inline(value)),
            Err(failure) => Outcome::Failed(failure),
        },
    }
}

/// Judges an attempt whose engine died: what was durable of it is all that is known.
pub fn died(step: &str, reason: Option<StopReason>, bounds: Bounds) -> Outcome {
    let facts = Facts {
        step,
        setup: None,
        reason,
        protocol: None,
        oom: None,
        memory_peak: None,
        guardrail: None,
        pids_denied: 0,
        hosts_denied: Vec::new(),
        death: Death::Unknown,
        bounds,
        speaks: Speaks::Builtin,
        skill: None,
        stdout: &[],
        stdout_over: false,
        stderr: &[],
        stderr_tail: Vec::new(),
    };
    if let Some(reason) = reason {
        return stopped(&facts, reason);
    }
    let message = "the engine died while it ran".to_owned();
    Outcome::Failed(failure(&facts, Code::EngineCrash, message).into())
}

/// A failure of this attempt, with what every failure carries.
pub(super) fn failure(facts: &Facts<'_>, code: Code, message: String) -> Failure {
    Failure {
        step: Some(facts.step.to_owned()),
        code,
        message,
        retryable: code.retryable(),
        details: Details { stderr: facts.stderr_tail.clone(), ..Details::default() },
    }
}

fn setup_failure(facts: &Facts<'_>, setup: &SetupFailure) -> Failure {
    let mut failure = failure(facts, Code::SandboxError, setup.message.clone());
    failure.details.stage = Some(setup.stage.clone());
    failure.details.errno = Some(setup.errno);
    failure.details.started = Some(false);
    failure
}

fn guardrail_failure(facts: &Facts<'_>, guardrail: &Guardrail) -> Failure {
    let mut failure = failure(facts, Code::GuardrailExceeded, guardrail.message.clone());
    failure.details.guardrail = Some(guardrail.name.clone());
    failure.details.signal = signal_of(facts.death);
    failure
}

fn stopped(facts: &Facts<'_>, reason: StopReason) -> Outcome {
    let bounds = &facts.bounds;
    let (code, limit, message) = match reason {
        StopReason::RunTimeout | StopReason::Stop | StopReason::Sibling | StopReason::Shutdown => {
            return Outcome::Cancelled;
        }
        StopReason::Guardrail => {
            let unknown = || Guardrail {
                name: "unknown".to_owned(),
                message: "the agent reached a guardrail".to_owned(),
            };
            let guardrail = facts.guardrail.clone().unwrap_or_else(unknown);
            return Outcome::Failed(guardrail_failure(facts, &guardrail).into());
        }
        StopReason::Timeout => (Code::Timeout, bounds.timeout_ms, "took longer than its timeout of {} ms"),
        StopReason::IdleTimeout => (Code::IdleTimeout, bounds.idle_timeout_ms, "was silent for {} ms"),
        StopReason::CpuTime => {
            (Code::CpuTimeExceeded, bounds.cpu_time_ms, "used more than {} ms of CPU time")
        }
        StopReason::Output => (Code::OutputTooLarge, bounds.output, "wrote more than {} bytes on stdout"),
        StopReason::Memory => (Code::Oom, bounds.memory, "used more than {} bytes of memory"),
        StopReason::Scratch => {
            (Code::FileSizeExceeded, bounds.scratch, "wrote more than {} bytes to its directory for scratch")
        }
        StopReason::Protocol => {
            let what = facts.protocol.as_deref().unwrap_or("it broke its protocol");
            return Outcome::Failed(failure(facts, Code::ProtocolError, what.to_owned()).into());
        }
    };
    let limit_text = limit.map_or_else(|| "?".to_owned(), |limit| limit.to_string());
    let mut failure = failure(facts, code, format!("the step {}", message.replace("{}", &limit_text)));
    failure.details.limit = limit;
    failure.details.peak = facts.memory_peak.filter(|_| reason == StopReason::Memory);
    failure.details.signal = signal_of(facts.death);
    Outcome::Failed(failure.into())
}

fn signaled(facts: &Facts<'_>, signal: i32) -> Failure {
    let (code, limit, message) = match signal {
        SIGSYS => (Code::SandboxDenied, None, "the sandbox refused a system call".to_owned()),
        SIGXFSZ => {
            (Code::FileSizeExceeded, facts.bounds.file_size, "a file grew beyond its limit".to_owned())
        }
        SIGXCPU => (Code::CpuTimeExceeded, facts.bounds.cpu_time_ms, "the CPU time was used up".to_owned()),
        other if facts.pids_denied > 0 => (
            Code::PidsExceeded,
            facts.bounds.pids,
            format!("no more processes were allowed; ended by signal {other}"),
        ),
        other => (Code::Signal, None, format!("ended by signal {other}{}", signal_name(other))),
    };
    let mut failure = failure(facts, code, message);
    failure.details.limit = limit;
    failure.details.signal = Some(signal);
    failure
}

fn oom_message(oom: &Oom) -> String {
    match oom.by {
        OutOf::Step(limit) => format!("the kernel killed it: more memory than its limit of {limit} bytes"),
        OutOf::Run(limit) => {
            format!(
                "the kernel killed it: the steps of the run together had more memory than their limit of {limit} bytes"
            )
        }
        OutOf::Machine => "the kernel killed it for want of memory".to_owned(),
    }
}

fn signal_of(death: Death) -> Option<i32> {
    match death {
        Death::Signaled(signal) => Some(signal),
        Death::Exited(_) | Death::Unknown => None,
    }
}

/// The name of a signal that people know by it (signal(7)); the numbers hold on x86 and ARM.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        5 => " (SIGTRAP)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// The value `{"stdout", "stderr", "exit_code"}` of `shell` and `exec`.
pub(super) fn program_result(stdout: &[u8], stderr: &[u8], exit_code: i32) -> Json {
    let text = |bytes: &[u8]| Json::from_serialize(&String::from_utf8_lossy(bytes));
    let members =
        [("stdout", text(stdout)), ("stderr", text(stderr)), ("exit_code", Json::from_serialize(&exit_code))];
    // Text and numbers always serialize.
    let members: Vec<_> =
        members.into_iter().map(|(name, value)| (name, value.unwrap_or_else(|_| Json::null()))).collect();
    crate::value::object(&members)
}
