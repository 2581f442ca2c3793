//! What a child is to do: waited for on its control socket, checked once.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ipc::limits::ProcessLimits;
use ipc::message::{self, Sandbox, Seccomp, Stage, ToWorker};
use ipc::socket::{Error, Receiver};
use nix::errno::Errno;
use schemas::json::Json;

use crate::birth::{AtStage, Failure, check_path};
use crate::sandbox::descriptors::Descriptors;
use crate::sys;

/// A task, checked.
#[derive(Debug)]
pub(super) struct Task {
    /// The attempt's own directory, below the sandbox's folder of such.
    pub(super) work_dir: Option<PathBuf>,
    /// Limits of the process.
    pub(super) limits: ProcessLimits,
    /// Working directory.
    pub(super) cwd: Option<CString>,
    /// Its descriptors.
    pub(super) descriptors: Descriptors,
    /// What it does.
    pub(super) work: Work,
}

/// What a child does.
#[derive(Debug)]
pub(super) enum Work {
    /// Runs a skill.
    Builtin(Builtin),
    /// Runs an agent.
    Agent(Agent),
    /// Executes a program.
    Program(Program),
}

/// An agent; its task is all of stdin.
#[derive(Debug)]
pub(super) struct Agent {
    /// What its programs see.
    pub(super) env: Vec<(String, String)>,
}

/// A skill of this program.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Its name.
    pub(super) skill: String,
    /// Its inputs; `None`: all of stdin.
    pub(super) inputs: Option<Json>,
    /// The attempt's directory.
    pub(super) work_dir: String,
    /// What it sees of an environment.
    pub(super) env: Vec<(String, String)>,
}

/// A program to execute.
#[derive(Debug)]
pub(super) struct Program {
    /// The program and its arguments; never empty.
    pub(super) argv: Vec<CString>,
    /// `NAME=value`, all of it.
    pub(super) env: Vec<CString>,
    /// The value of `PATH` in `env`.
    pub(super) path: Option<String>,
}

impl Task {
    /// Waits for the task. `None`: there is none, the engine has no use for this process.
    pub(super) fn wait(control: &OwnedFd, sandbox: &Sandbox) -> Result<Option<Self>, Failure> {
        match Receiver::new().wait::<ToWorker>(control) {
            Ok(Some((ToWorker::Task(task), descriptors))) => {
                Self::parse(*task, descriptors, sandbox).at(Stage::Request).map(Some)
            }
            Ok(None) => Ok(None),
            Err(Error::Io(error)) => Err(Failure { stage: Stage::Request, errno: sys::errno_of(&error) }),
            Err(_unknown) => Err(Failure { stage: Stage::Request, errno: Errno::EPROTO }),
        }
    }

    fn parse(task: message::Task, descriptors: Vec<OwnedFd>, sandbox: &Sandbox) -> nix::Result<Self> {
        let message::Task { work_dir, limits, env, cwd, streams, work } = task;
        let is_program = matches!(work, message::Work::Program { .. });
        let work = match work {
            message::Work::Builtin { skill, inputs, work_dir } => {
                Work::Builtin(Builtin { skill, inputs, work_dir, env })
            }
            message::Work::Agent => Work::Agent(Agent { env }),
            message::Work::Program { argv } => Work::Program(program(argv, env)?),
        };
        // The init counts what a program leaves behind in the namespace's own /proc.
        let lacks_proc = is_program && sandbox.namespaces && !sandbox.mounts;
        // What is let through in the end is the filter's matter; a directory cannot even be entered behind it.
        let is_shut = cwd.is_some() && sandbox.seccomp == Seccomp::Memory;
        let is_elsewhere = match (&work_dir, &sandbox.work) {
            (Some(path), Some(folder)) => !Path::new(path).starts_with(folder),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if lacks_proc || is_shut || is_elsewhere {
            return Err(Errno::EINVAL);
        }
        for path in work_dir.iter().chain(&cwd) {
            check_path(Path::new(path))?;
        }
        Ok(Self {
            work_dir: work_dir.map(PathBuf::from),
            limits,
            cwd: cwd.map(c_string).transpose()?,
            descriptors: Descriptors::new(streams, descriptors)?,
            work,
        })
    }
}

fn program(argv: Vec<String>, env: Vec<(String, String)>) -> nix::Result<Program> {
    if argv.first().is_none_or(String::is_empty) {
        return Err(Errno::EINVAL);
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let argv = argv.into_iter().map(c_string).collect::<nix::Result<_>>()?;
    let env = env.into_iter().map(|(name, value)| variable(&name, &value)).collect::<nix::Result<_>>()?;
    Ok(Program { argv, env, path })
}

fn variable(name: &str, value: &str) -> nix::Result<CString> {
    if name.is_empty() || name.contains('=') {
        return Err(Errno::EINVAL);
    }
    c_string(format!("{name}={value}"))
}

/// The kernel's strings end at the first NUL: one inside would cut the text silently.
fn c_string(text: String) -> nix::Result<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_path_of(env: &[(&str, &str)], expected: Option<&str>) {
        let env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let program = program(vec!["a".to_owned()], env).expect("valid");
        assert_eq!(program.path.as_deref(), expected);
    }

    #[test]
    fn the_last_path_counts() {
        check_path_of(&[], None);
        check_path_of(&[("PATH", "/a"), ("B", "c")], Some("/a"));
        check_path_of(&[("PATH", "/a"), ("PATH", "/b")], Some("/b"));
    }

    #[test]
    fn variables() {
        for (name, value, expected) in [
            ("A", "b=c", Ok(c"A=b=c")),
            ("A", "", Ok(c"A=")),
            ("", "b", Err(Errno::EINVAL)),
            ("A=", "b", Err(Errno::EINVAL)),
        ] {
            assert_eq!(variable(name, value).as_deref(), expected.as_ref().copied());
        }
    }
}
