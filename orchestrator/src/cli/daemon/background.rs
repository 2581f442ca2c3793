//! `daemon start` and `daemon stop`.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader},
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    process::{Command, Stdio},
};

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use schemas::exit_code::ExitCode;

use crate::{
    cli::output::{self, engine_error},
    daemon::client,
    errors::{CommandError, Result},
    signal::Process,
    store::{home::Home, lock},
    ui,
};

/// What a daemon says when it is at work.
const READY: &str = "ready\n";
/// A log that is longer is begun anew when a daemon starts.
const LOG_MAX: u64 = 4 * 1024 * 1024;

/// Start the daemon in the background.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow daemon start")]
pub(super) struct Start {
    /// How long runs may go on when the daemon ends.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    drain: String,
}

/// End the daemon. Runs that run have the time of its --drain, then they are stopped.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  q workflow daemon stop\n  q workflow daemon stop --now")]
pub(super) struct Stop {
    /// Stop its runs at once.
    #[arg(long)]
    now: bool,
}

/// Returns when the daemon is at work. What goes wrong before, it says itself.
pub(super) fn start(arguments: &Start, home: &Home) -> Result {
    let mut daemon = Command::new("/proc/self/exe")
        .arg0("q")
        .args(["workflow", "--home"])
        .arg(home.path())
        .args(["daemon", "run", "--background", "--drain", &arguments.drain])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| engine_error(&error))?;
    let mut said = String::new();
    if let Some(stdout) = daemon.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).map_err(|error| engine_error(&error))?;
    }
    if said == READY {
        ui::say(&format!(
            "the daemon runs as process {}; it writes to {}\n",
            daemon.id(),
            output::shown(&home.daemon_log())
        ));
        return Ok(ExitCode::Done);
    }
    let code = daemon.wait().map_err(|error| engine_error(&error))?.code();
    let known =
        ExitCode::TABLE.iter().map(|(exit, _)| *exit).find(|exit| Some(i32::from(exit.code())) == code);
    Ok(known.filter(|exit| *exit != ExitCode::Done).unwrap_or(ExitCode::Engine))
}

/// Says that it is at work, and leaves the caller's session and terminal. From now on it writes to its log.
pub(super) fn let_go(home: &Home) -> Result<()> {
    let failed = |error: std::io::Error| engine_error(&error);
    setsid().map_err(|errno| failed(errno.into()))?;
    let path = home.daemon_log();
    let long = std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_MAX);
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    if long {
        log.set_len(0).map_err(failed)?;
    }
    let null = File::options().read(true).write(true).open("/dev/null").map_err(failed)?;
    ui::print(READY).map_err(failed)?;
    dup2_stdin(&null).map_err(|errno| failed(errno.into()))?;
    dup2_stdout(&null).map_err(|errno| failed(errno.into()))?;
    dup2_stderr(&log).map_err(|errno| failed(errno.into()))
}

/// Returns when the daemon has ended.
pub(super) fn stop(arguments: &Stop, home: &Home) -> Result {
    if !lock::is_held(&home.daemon_lock()).map_err(|error| engine_error(&error))? {
        return Err(CommandError::new(ExitCode::NotFound, "no daemon runs for this home")
            .hint("`q workflow daemon start` starts one"));
    }
    let unheard = |error: std::io::Error| {
        CommandError::new(ExitCode::Engine, format!("the daemon does not listen: {error}"))
    };
    // Held before it is asked to end: its number cannot be that of another process.
    let pid = client::status(home).map_err(unheard)?.pid.and_then(|pid| i32::try_from(pid).ok());
    let process = Process::open(pid.unwrap_or_default()).map_err(unheard)?;
    // One that has nothing to wait for is gone before its answer is written.
    for _ in 0..if arguments.now { 2 } else { 1 } {
        let _gone = client::stop(home);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| engine_error(&error))?;
    runtime.block_on(process.ended()).map_err(|error| engine_error(&error))?;
    output::text("stopped\n")?;
    Ok(ExitCode::Done)
}
