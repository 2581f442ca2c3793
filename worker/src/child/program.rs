//! Executing a program: looking it up as execvp(3) does, but never falling back to a shell, and in the
//! environment of the step.

use std::convert::Infallible;
use std::ffi::{CStr, CString};

use ipc::message::Stage;
use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::{execve, setsid};

use super::EXIT_FAILED;
use super::task::Program;
use crate::birth::{AtStage, Failure};
use crate::sandbox::seccomp::Filters;
use crate::sys;

/// Where to look when the environment has no `PATH`: what execvp(3) takes.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl Program {
    /// Starts a child that leads a session of its own and blocks no signal. It has begun to execute the
    /// program when this returns. With `no_fork` it can start no other.
    pub(super) fn spawn(&self, no_fork: Option<&Filters>) -> Result<i32, Failure> {
        let mut refusal = None;
        let child = || {
            let Err(errno) = self.become_leader(no_fork);
            refusal = Some(errno);
            EXIT_FAILED
        };
        let leader = sys::spawn(child).at(Stage::Fork)?;
        match refusal {
            None => Ok(leader),
            Some(errno) => Err(Failure { stage: Stage::Exec, errno }),
        }
    }

    fn become_leader(&self, no_fork: Option<&Filters>) -> nix::Result<Infallible> {
        setsid()?;
        SigSet::empty().thread_set_mask()?;
        no_fork.map_or(Ok(()), Filters::forbid_processes)?;
        self.exec()
    }

    /// Replaces this process: by the program of that name, or by the first of `PATH` that does not fail for lack of
    /// a file.
    pub(super) fn exec(&self) -> nix::Result<Infallible> {
        let name = &self.argv[0];
        let execute = |path: &CStr| execve(path, &self.argv, &self.env);
        if name.to_bytes().contains(&b'/') {
            return execute(name);
        }
        let mut refusal = Errno::ENOENT;
        for directory in self.path.as_deref().unwrap_or(DEFAULT_PATH).split(':') {
            match execute(join(directory, name)?.as_c_str()) {
                Err(Errno::EACCES) => refusal = Errno::EACCES,
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(refusal)
    }
}

/// An empty part of `PATH` is the working directory.
fn join(directory: &str, name: &CStr) -> nix::Result<CString> {
    let mut path = directory.as_bytes().to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    CString::new(path).map_err(|_| Errno::EINVAL)
}
