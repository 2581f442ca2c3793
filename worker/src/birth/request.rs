//! A birth as it came, checked once and turned into what the child uses. It runs in the launcher, before
//! anything is made.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use ipc::limits::ProcessLimits;
use ipc::message::{Birth, Network, Sandbox, Stage, UserNamespace, Work};
use nix::errno::Errno;
use schemas::json::Json;

use super::{AtStage, Failure};
use crate::sandbox::descriptors::Descriptors;

/// One birth, checked.
#[derive(Debug)]
pub(crate) struct Request {
    /// The leaf.
    pub(crate) leaf: Option<PathBuf>,
    /// What it is shut into.
    pub(crate) sandbox: Sandbox,
    /// Limits of the process.
    pub(crate) limits: ProcessLimits,
    /// Working directory.
    pub(crate) cwd: CString,
    /// Its descriptors.
    pub(crate) descriptors: Descriptors,
    /// What it does.
    pub(crate) task: Task,
}

/// What a child does.
#[derive(Debug)]
pub(crate) enum Task {
    /// Runs a skill.
    Builtin(Builtin),
    /// Runs an agent.
    Agent(Agent),
    /// Executes a program.
    Program(Program),
}

/// An agent; its task is all of stdin.
#[derive(Debug)]
pub(crate) struct Agent {
    /// What its programs see.
    pub(crate) env: Vec<(String, String)>,
}

/// A skill of this program.
#[derive(Debug)]
pub(crate) struct Builtin {
    /// Its name.
    pub(crate) skill: String,
    /// Its inputs; `None`: all of stdin.
    pub(crate) inputs: Option<Json>,
    /// The attempt's directory.
    pub(crate) work_dir: String,
    /// What it sees of an environment.
    pub(crate) env: Vec<(String, String)>,
}

/// A program to execute.
#[derive(Debug)]
pub(crate) struct Program {
    /// The program and its arguments; never empty.
    pub(crate) argv: Vec<CString>,
    /// `NAME=value`, all of it.
    pub(crate) env: Vec<CString>,
    /// The value of `PATH` in `env`.
    pub(crate) path: Option<String>,
}

impl Request {
    /// Checks a birth and the descriptors that came with it.
    pub(crate) fn parse(birth: Birth, descriptors: Vec<OwnedFd>) -> Result<Self, Failure> {
        let Birth { ticket: _, leaf, sandbox, limits, env, cwd, events: _, work } = birth;
        let task = match work {
            Work::Builtin { skill, inputs, work_dir } => {
                Task::Builtin(Builtin { skill, inputs, work_dir, env })
            }
            Work::Agent => Task::Agent(Agent { env }),
            Work::Program { argv } => Task::Program(program(argv, env).at(Stage::Request)?),
        };
        let leaf = leaf.map(PathBuf::from);
        check_sandbox(&sandbox, &task).at(Stage::Request)?;
        let paths = leaf.iter().map(PathBuf::as_path).chain([Path::new(&cwd)]);
        let root = sandbox
            .root
            .iter()
            .flat_map(|root| [&root.read, &root.write, &root.hidden, &root.empty])
            .flatten();
        for path in paths.chain(sandbox.keep_visible.iter().chain(root).map(Path::new)) {
            check_path(path).at(Stage::Request)?;
        }
        Ok(Self {
            leaf,
            sandbox,
            limits,
            cwd: c_string(cwd).at(Stage::Request)?,
            descriptors: Descriptors::new(descriptors).at(Stage::Request)?,
            task,
        })
    }
}

fn check_sandbox(sandbox: &Sandbox, task: &Task) -> nix::Result<()> {
    let asks_inside =
        sandbox.mounts || sandbox.user_namespace != UserNamespace::None || sandbox.network != Network::Host;
    let lacks_mounts = (sandbox.root.is_some() || sandbox.delegate) && !sandbox.mounts;
    // The init counts what a program leaves behind in the namespace's own /proc.
    let lacks_proc = matches!(task, Task::Program(_)) && sandbox.namespaces && !sandbox.mounts;
    if asks_inside && !sandbox.namespaces || lacks_proc || lacks_mounts { Err(Errno::EINVAL) } else { Ok(()) }
}

fn check_path(path: &Path) -> nix::Result<()> {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && plain { Ok(()) } else { Err(Errno::EINVAL) }
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
#[path = "request_tests.rs"]
mod tests;
