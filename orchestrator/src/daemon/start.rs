//! One run of a schedule, as an engine of its own: `q workflow run`, in the folder of the definition.

use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use jiff::Timestamp;
use schemas::{exit_code::ExitCode, schedule::Schedule};

use crate::{
    environment::Withheld,
    errors::{CommandError, Result},
    store::{home::Home, names::RunId},
};

/// As much of what a refused run says as is kept.
const WORDS_MAX: u64 = 4096;

/// What the engine of a run has from the one who starts it, besides what every program inherits.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The cgroup below which it shall be; `None`: it finds one.
    pub(super) base: Option<PathBuf>,
    /// Variables that the starter has taken out of its own environment. The engine has them, and takes out of its own
    /// what its steps are not to see.
    pub(super) withheld: Withheld,
}

impl Surroundings {
    fn around<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(base) = &self.base {
            command.arg("--cgroup-base").arg(base);
        }
        command.envs(self.withheld.iter().cloned()).env_remove("NOTIFY_SOCKET")
    }
}

/// Starts a run and returns when it exists durably. It goes on when the caller goes.
pub fn start(
    home: &Home,
    schedule: &Schedule,
    run: RunId,
    at: Timestamp,
    surroundings: &Surroundings,
) -> Result<Child> {
    let failed = |error: io::Error| {
        CommandError::new(ExitCode::Engine, format!("a run of {} could not be started: {error}", schedule.id))
    };
    let mut command = command(home, schedule, run, at);
    let mut engine = surroundings.around(&mut command).spawn().map_err(failed)?;
    if let Some(mut stdin) = engine.stdin.take() {
        // An engine that refuses the definition never reads them, and says why by itself.
        let _refused = serde_json::to_writer(&mut stdin, &schedule.inputs).map(|()| stdin.flush());
    }
    // Beside stdout: whoever fills one pipe while the other is read would wait for ever.
    let stderr = engine.stderr.take();
    let words = std::thread::spawn(move || stderr.map(beginning).transpose());
    let mut id = String::new();
    if let Some(stdout) = engine.stdout.take() {
        BufReader::new(stdout.take(WORDS_MAX)).read_line(&mut id).map_err(failed)?;
    }
    if id.trim_end() == run.to_string() {
        return Ok(engine);
    }
    let words = words.join().ok().and_then(io::Result::ok).flatten().unwrap_or_default();
    let status = engine.wait().map_err(failed)?;
    let exit = status.code().and_then(|code| u8::try_from(code).ok());
    let exit = ExitCode::TABLE.iter().map(|(exit, _)| *exit).find(|known| Some(known.code()) == exit);
    let words = String::from_utf8_lossy(&words).trim_end().trim_start_matches("error: ").to_owned();
    Err(CommandError::new(
        exit.filter(|exit| *exit != ExitCode::Done).unwrap_or(ExitCode::Engine),
        format!("schedule {}: its run was refused: {words}", schedule.id),
    ))
}

/// Goes on with an interrupted run, as an engine of its own.
pub(super) fn resume(home: &Home, run: RunId, surroundings: &Surroundings) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("q").args(["workflow", "--home"]).arg(home.path()).args([
        "resume",
        &run.to_string(),
        "--detached",
    ]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    surroundings.around(command).spawn().map_err(|error| CommandError::from_error(ExitCode::Engine, &error))
}

/// The first bytes of a stream that is read to its end.
fn beginning(mut stream: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.by_ref().take(WORDS_MAX).read_to_end(&mut bytes)?;
    io::copy(&mut stream, &mut io::sink())?;
    Ok(bytes)
}

fn command(home: &Home, schedule: &Schedule, run: RunId, at: Timestamp) -> Command {
    let (folder, definition) = definition(home, schedule);
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("q")
        .args(["workflow", "--home"])
        .arg(home.path())
        .arg("run")
        .arg(definition)
        .args(["--detached", "--inputs", "/dev/stdin"])
        .args(["--run-id", &run.to_string(), "--trigger", &format!("schedule:{}", schedule.id)])
        .args(["--scheduled-at", &at.to_string()])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The folder in which a run takes place, and the definition by its file.
fn definition(home: &Home, schedule: &Schedule) -> (PathBuf, OsString) {
    let path = match &schedule.path {
        Some(path) => PathBuf::from(path),
        None => home.definitions().join(format!("{}.json", schedule.workflow)),
    };
    let folder = path.parent().filter(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned();
    (folder, path.into_os_string())
}
