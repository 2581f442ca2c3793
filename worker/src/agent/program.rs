//! Programs of an agent: a command line of the tool `execute_bash`, and the whole of an agent that is a program. They
//! run in the sandbox of this process, with the environment of the step.

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ipc::message::AgentUpdate;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use schemas::{
    agent::{AgentTask, OutputForm, PromptVia},
    json::Json,
};
use serde_json::Value;

use super::{Error, Said, Tell, outcome, reported};

/// Most bytes that are kept of what a program prints.
const PRINTED_MAX: u64 = 8 * 1024 * 1024;
/// Longer than any agent runs: guardrails on time end it from outside.
const NO_LIMIT: Duration = Duration::from_hours(24 * 365);

/// What came of a program.
#[derive(Debug)]
pub(super) struct Printed {
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// `None`: a signal ended it.
    pub(super) code: Option<i32>,
}

impl Printed {
    /// How a program that failed ended, with its last words.
    pub(super) fn ending(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        let last = self.stderr.trim_end().lines().next_back().unwrap_or_default();
        format!("{code}: {last}")
    }
}

/// What is said of a tool whose time is up.
pub(super) fn too_long(limit: Duration) -> String {
    format!("it took longer than {} ms, and was ended", limit.as_millis())
}

/// Runs a program to its end, or until its time is up; then its whole group is ended.
pub(super) fn printed(
    argv: &[String],
    (cwd, env): (&str, &[(String, String)]),
    input: Option<&str>,
    limit: Duration,
) -> Result<Printed, String> {
    let [program, arguments @ ..] = argv else { return Err("there is no program".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(cwd).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("`{program}` could not be started: {error}"))?;
    let (tell, told) = mpsc::channel();
    let stdout = collect(child.stdout.take(), tell.clone());
    let stderr = collect(child.stderr.take(), tell);
    let writer = child.stdin.take().zip(input.map(str::to_owned)).map(|(mut stdin, text)| {
        // A program that does not read to the end is judged by what it prints.
        thread::spawn(move || drop(stdin.write_all(text.as_bytes())))
    });
    // Both streams end with the program, and with whatever it left that holds them.
    let until = Instant::now() + limit;
    let ended = (0..2).all(|_| told.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok());
    if !ended {
        kill(&child);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    drop(writer);
    if !ended {
        return Err(too_long(limit));
    }
    let text = |stream: thread::JoinHandle<String>| stream.join().unwrap_or_default();
    Ok(Printed { stdout: text(stdout), stderr: text(stderr), code: status.code() })
}

fn collect(from: Option<impl Read + Send + 'static>, tell: mpsc::Sender<()>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What was read before an error counts; what is over the cap is read and dropped.
            drop(from.by_ref().take(PRINTED_MAX).read_to_end(&mut bytes));
            drop(std::io::copy(&mut from, &mut std::io::sink()));
        }
        let _nobody_waits = tell.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends a program and all of its process group.
fn kill(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // The only error is that it is dead already.
        let _dead = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Runs an agent that is a program, once.
pub(super) fn run(task: &AgentTask, env: &[(String, String)], tell: &mut Tell<'_>) -> Result<Json, Error> {
    let input = match task.prompt_via {
        PromptVia::Arg => None,
        PromptVia::Stdin => Some(task.prompt.as_str()),
    };
    let printed = printed(&task.command, (&task.cwd, env), input, NO_LIMIT).map_err(Error::permanent)?;
    let line = serde_json::json!({
        "type": "program", "command": task.command, "exit_code": printed.code,
        "stdout": printed.stdout, "stderr": printed.stderr,
    });
    if let Ok(line) = Json::from_serialize(&line) {
        tell(Said::Transcript(line));
    }
    if printed.code != Some(0) {
        return Err(Error::passing(format!("`{}` ended with {}", task.command[0], printed.ending())));
    }
    let misfit = |message: &str| Error::Output { pointer: String::new(), message: message.to_owned() };
    let value = match task.output {
        OutputForm::Text => outcome::of_text(&printed.stdout),
        OutputForm::Json => {
            let value = serde_json::from_str::<Value>(printed.stdout.trim())
                .map_err(|_| misfit("what it printed is not one JSON value"))?;
            say_used(std::slice::from_ref(&value), tell);
            reported::answer(&value).ok_or_else(|| misfit("what it printed holds no result"))?
        }
        OutputForm::Jsonl => {
            let lines = printed.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
            let values: Vec<Value> = lines.collect();
            say_used(&values, tell);
            let answer = values.iter().rev().find_map(reported::answer);
            answer.ok_or_else(|| misfit("no line that it printed is a JSON value with a result"))?
        }
    };
    outcome::check(task.output_schema.as_ref(), &value)?;
    Ok(value)
}

fn say_used(values: &[Value], tell: &mut Tell<'_>) {
    if let Some(used) = reported::used(values.iter()) {
        tell(Said::Update(AgentUpdate::Used(used)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: Option<&str>, limit: Duration) -> Result<Printed, String> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        printed(&argv, ("/", &[("PATH".to_owned(), "/usr/bin:/bin".to_owned())]), input, limit)
    }

    #[test]
    fn a_program_is_run_to_its_end() {
        let printed =
            shell("cat; echo oops >&2; exit 3", Some("in"), Duration::from_secs(20)).expect("it ran");
        assert_eq!((printed.stdout.as_str(), printed.stderr.as_str()), ("in", "oops\n"));
        assert_eq!(printed.code, Some(3));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_its_group() {
        let why = shell("sleep 600 & sleep 600", None, Duration::from_millis(50)).expect_err("it was ended");
        assert!(why.contains("longer than 50 ms"), "{why}");
    }
}
