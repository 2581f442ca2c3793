//! Executing a program: looking it up as execvp(3) does, but never falling back to a shell, and in the
//! environment of the step.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Write};

use ipc::message::Stage;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::{AccessFlags, access, execve, pipe2, setsid};

use super::EXIT_FAILED;
use crate::birth::{AtStage, Failure, Program};
use crate::sandbox::seccomp::Filters;
use crate::sys::{self, Cloned};

/// Where to look when the environment has no `PATH`: what execvp(3) takes.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl Program {
    /// Replaces this process.
    pub(super) fn exec(&self) -> nix::Result<Infallible> {
        self.look_up(|path| execve(path, &self.argv, &self.env))
    }

    /// Starts a child that leads a session of its own and blocks no signal. It has begun to execute the
    /// program when this returns.
    pub(super) fn spawn(&self) -> nix::Result<i32> {
        let mut attributes = PosixSpawnAttr::init()?;
        let new_session = PosixSpawnFlags::from_bits_retain(i32::from(libc::POSIX_SPAWN_SETSID));
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | new_session)?;
        attributes.set_sigmask(&SigSet::empty())?;
        let actions = PosixSpawnFileActions::init()?;
        self.look_up(|path| posix_spawn(path, &actions, &attributes, &self.argv, &self.env))
            .map(nix::unistd::Pid::as_raw)
    }

    /// The same of a child that can start no other: what forbids that cannot be asked of posix_spawn(3), so that
    /// it takes a fork of this small process.
    pub(super) fn spawn_alone(&self, filters: &Filters) -> Result<i32, Failure> {
        let (news, told) = pipe2(OFlag::O_CLOEXEC).at(Stage::Fork)?;
        let leader = match sys::clone_in_place(CloneFlags::empty()).at(Stage::Fork)? {
            Cloned::Parent(leader) => leader,
            Cloned::Child => {
                let errno = match self.become_alone(filters) {
                    Ok(never) => match never {},
                    Err(errno) => errno,
                };
                let _unheard = File::from(told).write_all(&(errno as i32).to_ne_bytes());
                sys::exit_now(EXIT_FAILED)
            }
        };
        drop(told);
        let mut errno = [0; 4];
        // The pipe closes with the exec: then nothing comes.
        match File::from(news).read(&mut errno).at(Stage::Fork)? {
            0 => Ok(leader.pid),
            _ => Err(Failure { stage: Stage::Exec, errno: Errno::from_raw(i32::from_ne_bytes(errno)) }),
        }
    }

    fn become_alone(&self, filters: &Filters) -> nix::Result<Infallible> {
        setsid()?;
        SigSet::empty().thread_set_mask()?;
        filters.forbid_processes()?;
        self.exec()
    }

    /// Tries the program's name, or each place of `PATH`, until one does not fail for lack of a file.
    fn look_up<T>(&self, start: impl Fn(&CStr) -> nix::Result<T>) -> nix::Result<T> {
        let name = &self.argv[0];
        if name.to_bytes().contains(&b'/') {
            return start(name);
        }
        let mut refusal = Errno::ENOENT;
        for directory in self.path.as_deref().unwrap_or(DEFAULT_PATH).split(':') {
            let candidate = join(directory, name)?;
            let started = access(candidate.as_c_str(), AccessFlags::X_OK).and_then(|()| start(&candidate));
            match started {
                Ok(started) => return Ok(started),
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
