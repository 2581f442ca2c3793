//! A transient scope with `Delegate=yes`: a cgroup that is ours, below the machine's systemd for root and below the
//! user's own for everybody else. busctl(1) asks for it over D-Bus, systemctl(1) returns when it stands.
//!
//! Sources: org.freedesktop.systemd1(5), systemd.scope(5), systemd.resource-control(5).

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::unistd::geteuid;

use crate::signal::Process;

/// How long either program may take. A manager that has much to do answers late; one that hangs must not keep a run.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// As much of what a program says as is read.
const WORDS_MAX: u64 = 4096;
/// How the names of our scopes begin.
const PREFIX: &str = "q-";

/// Why systemd gives no scope.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program is the first of this machine, or of this container.
    #[error("no systemd runs here that could give a scope: name a cgroup that is yours with --cgroup-base")]
    NotBooted,
    /// Nobody manages what belongs to this user.
    #[error("no systemd runs for user {0}: `loginctl enable-linger` starts it")]
    NoUserManager(u32),
    /// A program of systemd could not be started.
    #[error("{program} could not be started")]
    Start {
        /// The program.
        program: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// systemd said no.
    #[error("systemd gives no scope: {said}")]
    Refused {
        /// What it said.
        said: String,
    },
    /// It did not answer.
    #[error("systemd did not answer {program} within {} s", ANSWERS_WITHIN.as_secs())]
    Late {
        /// Who asked it.
        program: &'static str,
    },
}

/// Moves this process into a scope of its own, `q-<name>-<pid>.scope`, which goes when its last process has gone.
pub(super) fn enter_scope(name: &str) -> Result<(), Error> {
    let given = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    let manager = Manager::of(geteuid().as_raw(), Path::new("/run"), given)?;
    let pid = std::process::id().to_string();
    let unit = format!("{PREFIX}{name}-{pid}.scope");
    manager.ask("busctl", &start_transient_unit(&unit, &pid))?;
    // The job was only put in line. This joins it, or finds it done.
    manager.ask("systemctl", &["--no-ask-password", "start", &unit])
}

/// The scopes of ours that stand where this one does, with itself: none, if this is no scope of ours.
pub(super) fn scopes_beside(scope: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX) && path.extension() == Some(OsStr::new("scope"))
    };
    let Some(parent) = scope.parent().filter(|_| is_ours(scope)) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| is_ours(path)).collect()
}

/// The call in busctl's words: the signature, then each value, before an array how many it has.
fn start_transient_unit<'a>(unit: &'a str, pid: &'a str) -> [&'a str; 24] {
    [
        "--allow-interactive-authorization=no",
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        unit,
        "fail",
        "4",
        "Description",
        "s",
        "Steps of a q workflow",
        "PIDs",
        "au",
        "1",
        pid,
        "Delegate",
        "b",
        "true",
        // One that failed is forgotten too.
        "CollectMode",
        "s",
        "inactive-or-failed",
        "0",
    ]
}

/// The systemd that manages what belongs to a user.
#[derive(Debug, PartialEq, Eq)]
enum Manager {
    /// The first process of the machine.
    System,
    /// The user's own; programs find it by this directory.
    User(PathBuf),
}

impl Manager {
    /// Whom this user asks. `run` is where the sockets of the machine lie, `given` the directory of the user's own
    /// as the environment has it: a service or a `su` has none.
    fn of(user: u32, run: &Path, given: Option<PathBuf>) -> Result<Self, Error> {
        // sd_booted(3).
        if !run.join("systemd/system").is_dir() {
            return Err(Error::NotBooted);
        }
        if user == 0 {
            return Ok(Self::System);
        }
        let directory = given.unwrap_or_else(|| run.join("user").join(user.to_string()));
        if directory.join("systemd").is_dir() {
            Ok(Self::User(directory))
        } else {
            Err(Error::NoUserManager(user))
        }
    }

    /// Runs a program of systemd to its end. It sees of our environment only where programs lie.
    fn ask(&self, program: &'static str, arguments: &[&str]) -> Result<(), Error> {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| (OsString::from("PATH"), path)));
        match self {
            Self::System => command.arg("--system"),
            Self::User(directory) => command.arg("--user").env("XDG_RUNTIME_DIR", directory),
        };
        command.args(arguments);
        run(program, command, ANSWERS_WITHIN)
    }
}

fn run(program: &'static str, mut command: Command, bound: Duration) -> Result<(), Error> {
    let failed = |source| Error::Start { program, source };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let process = Process::open(child.id().cast_signed()).map_err(failed)?;
    if !process.ends_within(bound).map_err(failed)? {
        process.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        return Err(Error::Late { program });
    }
    if child.wait().map_err(failed)?.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What it said is there by now; whoever else still has the pipe is not waited for.
        rustix::io::ioctl_fionbio(&stderr, true).map_err(|errno| failed(errno.into()))?;
        let _up_to_its_end_or_to_what_is_there = stderr.take(WORDS_MAX).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    Err(Error::Refused { said: said.lines().next().unwrap_or(program).to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(user: u32, made: &[&str], given: Option<&str>, expected: &str) {
        let run = tempfile::tempdir().unwrap();
        for directory in made {
            fs::create_dir_all(run.path().join(directory)).unwrap();
        }
        let found = match Manager::of(user, run.path(), given.map(|path| run.path().join(path))) {
            Ok(Manager::System) => "system".to_owned(),
            Ok(Manager::User(path)) => path.strip_prefix(run.path()).unwrap().display().to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn each_user_asks_the_systemd_that_manages_him() {
        check(0, &["systemd/system"], None, "system");
        check(0, &["systemd/system", "user/0/systemd"], Some("user/0"), "system");
        check(1000, &["systemd/system", "user/1000/systemd"], None, "user/1000");
        check(1000, &["systemd/system", "own/systemd"], Some("own"), "own");
        check(
            1000,
            &["systemd/system", "user/1001/systemd"],
            None,
            "no systemd runs for user 1000: `loginctl enable-linger` starts it",
        );
        check(
            1000,
            &["systemd/system", "user/1000"],
            Some("user/1000"),
            "no systemd runs for user 1000: `loginctl enable-linger` starts it",
        );
        // Directories that a program of another init made.
        let not_here = Error::NotBooted.to_string();
        check(0, &["systemd/machines"], None, &not_here);
        check(1000, &["user/1000/systemd"], None, &not_here);
    }

    #[track_caller]
    fn check_run(script: &str, bound: Duration, expected: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        let said = match run("sh", shell, bound) {
            Ok(()) => "done".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "{script}");
    }

    #[test]
    fn what_systemd_says_is_handed_on() {
        let long = Duration::from_mins(1);
        check_run("echo words", long, "done");
        check_run("echo no >&2; echo more >&2; exit 1", long, "systemd gives no scope: no");
        check_run("exit 3", long, "systemd gives no scope: sh");
        // Somebody keeps its stderr, who is not waited for.
        check_run("sleep 5 </dev/null >/dev/null & echo no >&2; exit 1", long, "systemd gives no scope: no");
        check_run("kill -9 $$", long, "systemd gives no scope: sh");
        check_run("exec sleep 60", Duration::from_millis(10), "systemd did not answer sh within 10 s");
        let missing = run("busctl", Command::new("/nonexistent/busctl"), long).unwrap_err();
        assert_eq!(missing.to_string(), "busctl could not be started");
    }

    #[test]
    fn only_scopes_of_ours_are_looked_into() {
        let slice = tempfile::tempdir().unwrap();
        for name in ["q-a-1.scope", "q-b-2.scope", "session-3.scope", "q-workflow.service"] {
            fs::create_dir(slice.path().join(name)).unwrap();
        }
        let mut beside = scopes_beside(&slice.path().join("q-a-1.scope"));
        beside.sort();
        assert_eq!(beside, ["q-a-1.scope", "q-b-2.scope"].map(|name| slice.path().join(name)));
        for other in ["session-3.scope", "q-workflow.service"] {
            assert_eq!(scopes_beside(&slice.path().join(other)), Vec::<PathBuf>::new());
        }
    }
}
