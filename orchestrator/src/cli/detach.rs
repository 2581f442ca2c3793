//! `--detach`: the same command again as an engine of its own. It does everything from the check on, says
//! the run's id once the run exists durably, and lets go of the terminal.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use schemas::exit_code::ExitCode;

use crate::{
    errors::{CommandError, Result},
    store::names::RunId,
    ui,
};

/// Starts the engine and returns when it has said the id. Whatever goes wrong before that, it says itself.
pub(super) fn start() -> Result {
    let failed = |error: std::io::Error| CommandError::from_error(ExitCode::Engine, &error);
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let mut engine = Command::new("/proc/self/exe")
        .arg0("q")
        .args(arguments)
        .arg("--detached")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut id = String::new();
    if let Some(stdout) = engine.stdout.take() {
        BufReader::new(stdout).read_line(&mut id).map_err(failed)?;
    }
    if id.ends_with('\n') {
        ui::print(&id).map_err(failed)?;
        return Ok(ExitCode::Done);
    }
    let status = engine.wait().map_err(failed)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::TABLE
        .iter()
        .map(|(exit, _)| *exit)
        .find(|exit| Some(exit.code()) == code && *exit != ExitCode::Done)
        .unwrap_or(ExitCode::Engine))
}

/// Says the id, then leaves the session of the caller and its terminal.
pub(super) fn let_go(id: RunId) -> Result<()> {
    let failed = |error: std::io::Error| CommandError::from_error(ExitCode::Engine, &error);
    setsid().map_err(|errno| failed(errno.into()))?;
    ui::print(&format!("{id}\n")).map_err(failed)?;
    let null = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
    for replaced in [dup2_stdin(&null), dup2_stdout(&null), dup2_stderr(&null)] {
        replaced.map_err(|errno| failed(errno.into()))?;
    }
    Ok(())
}
