//! Telling somebody that a run did not end well: `notify` of `config.json`. It is a process of its own, so that nobody
//! who is slow, or not there, holds up or changes the end of a run.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    process::{Command, Stdio},
    time::Duration,
};

use schemas::{
    exit_code::ExitCode,
    output::{SCHEMA_VERSION, notice::Notice},
    view::{RunStatus, RunView},
};

use super::output::engine_error;
use crate::{
    clock,
    config::{self, Config},
    errors::Result,
    fold,
    signal::Process,
    store::{
        home::{Home, RunDir},
        names::RunId,
    },
    ui,
};

/// How long a program or an address may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Tell whom `notify` of config.json names of the end of a run.
#[derive(Debug, clap::Parser)]
pub(super) struct Arguments {
    /// Id of the run.
    run: RunId,
}

/// Begins to tell of a run that has ended, if somebody wants to know; does not wait for it.
pub(super) fn begin(home: &Home, config: &Config, run: &RunDir, status: RunStatus) {
    if !config.notify.as_ref().is_some_and(|notify| notify.on.contains(&status)) {
        return;
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg0("q").args(["workflow", "--home"]).arg(home.path()).args(["notify", &run.id().to_string()]);
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = started {
        ui::say(&format!("warning: nobody could be notified: {error}\n"));
    }
}

/// Tells them. What came of it is a line in `logs/notify.log` of the run.
pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    // The terminal of the run's caller is no more ours than his Ctrl-C. It fails where we lead a session already.
    let _leads = nix::unistd::setsid();
    let dir = home.run(arguments.run);
    let Some(notify) = config::read(home)?.notify else { return Ok(ExitCode::Done) };
    let view = fold::current_view(&dir)?;
    let notice = serde_json::to_vec(&of(&view)).map_err(|error| engine_error(&error))?;
    let mut log = log(&dir).map_err(|error| engine_error(&error))?;
    if let Some(argv) = &notify.command {
        let came = tell_program(argv, &view, &notice, &log).unwrap_or_else(|error| error.to_string());
        writeln!(log, "{} command: {came}", clock::wall()).map_err(|error| engine_error(&error))?;
    }
    if let Some(url) = &notify.webhook {
        // The address may hold a key: it is not repeated.
        let came = post(url, &notice);
        writeln!(log, "{} webhook: {came}", clock::wall()).map_err(|error| engine_error(&error))?;
    }
    Ok(ExitCode::Done)
}

fn of(view: &RunView) -> Notice<'_> {
    Notice {
        schema_version: SCHEMA_VERSION,
        run_id: &view.run_id,
        workflow: &view.workflow,
        version: &view.version,
        status: view.status,
        trigger: &view.trigger,
        created_at: view.created_at,
        finished_at: view.finished_at,
        duration_ms: view.duration_ms,
        error: view.error.as_ref(),
    }
}

fn log(dir: &RunDir) -> std::io::Result<File> {
    let path = dir.run_log().with_file_name("notify.log");
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Runs the program, and says how it ended.
fn tell_program(argv: &[String], view: &RunView, notice: &[u8], log: &File) -> std::io::Result<String> {
    let (program, arguments) = argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs([
            ("RUN_ID", view.run_id.as_str()),
            ("RUN_WORKFLOW", &view.workflow),
            ("RUN_STATUS", view.status.as_str()),
        ])
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read is judged by its end.
        let _unread = stdin.write_all(notice);
    }
    let process = Process::open(i32::try_from(child.id()).map_err(std::io::Error::other)?)?;
    if !process.ends_within(PATIENCE)? {
        process.kill()?;
    }
    Ok(child.wait()?.to_string())
}

/// Posts it, and says what was answered.
fn post(url: &str, notice: &[u8]) -> String {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(config.max_redirects(0).build());
    match agent.post(url).header("content-type", "application/json").send(notice) {
        Ok(answer) => answer.status().to_string(),
        Err(error) => error.to_string(),
    }
}
