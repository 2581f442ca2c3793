//! Executing a program: looking it up as execvp(3) does, but never falling back to a shell, and in the
//! environment of the step.

use std::convert::Infallible;
use std::ffi::{CStr, CString};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::{AccessFlags, access, execve};

use crate::birth::Program;

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
