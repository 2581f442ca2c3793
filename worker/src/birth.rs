//! The clone: from a birth that was checked to a process that is in its leaf. What the child then does is
//! in [`crate::child`].

mod request;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ipc::message::{BirthKind, Stage};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};

pub(crate) use request::{Request, check_path};

use crate::sandbox::{capabilities::Bounding, seccomp::Filters};
use crate::sys::{self, Cloned, Newborn, Which, errno_of};

/// Where a birth failed, and the kernel's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The stage.
    pub(crate) stage: Stage,
    /// The error number.
    pub(crate) errno: Errno,
}

/// Names the stage of an error.
pub(crate) trait AtStage<T> {
    /// The same result, with the stage in its error.
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

impl<T> AtStage<T> for nix::Result<T> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|errno| Failure { stage, errno })
    }
}

impl<T> AtStage<T> for std::io::Result<T> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|error| Failure { stage, errno: errno_of(&error) })
    }
}

/// What children need to know of the launcher; taken before they are made.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// Readable once the launcher is dead.
    pub(crate) pidfd: OwnedFd,
    /// Who it runs as.
    pub(crate) uid: Uid,
    /// Its group.
    pub(crate) gid: Gid,
    /// Its bounding set.
    pub(crate) bounding: Bounding,
    /// Filters of system calls; `None` where the kernel has none.
    pub(crate) filters: Option<Filters>,
    /// Whether it has a namespace of mounts of its own, in which a minimal `/dev` lies over that of the host.
    pub(crate) shares_devices: bool,
    /// What no child with mounts sees.
    pub(crate) hidden: Vec<PathBuf>,
    /// What no such child may replace.
    pub(crate) guarded: Vec<PathBuf>,
    /// Folders that no such child may move away; empty where they are pinned in the launcher's own namespace.
    pub(crate) pinned: Vec<PathBuf>,
    /// What of `/proc` belongs to the whole machine.
    pub(crate) machine: Vec<&'static str>,
}

/// The leaf that a child is to be born in, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Born in it.
    Inside(&'a Path),
    /// Moved into it before its first step.
    Gated(&'a Path),
    /// Where the launcher is.
    Anywhere,
}

impl<'a> Place<'a> {
    /// The place of a leaf by what the probe found. A leaf that no way leads into is an error: nothing ever
    /// runs outside of the leaf that it was given.
    pub(crate) fn new(leaf: Option<&'a Path>, kind: BirthKind) -> Result<Self, Failure> {
        match (leaf, kind) {
            (None, _) => Ok(Self::Anywhere),
            (Some(leaf), BirthKind::IntoCgroup) => Ok(Self::Inside(leaf)),
            (Some(leaf), BirthKind::Gated) => Ok(Self::Gated(leaf)),
            (Some(_), BirthKind::Plain) => Err(Failure { stage: Stage::Leaf, errno: Errno::ENOTSUP }),
        }
    }
}

/// What holds a child back until it is where it belongs.
#[derive(Debug)]
pub(crate) struct Gate(Option<EventFd>);

impl Gate {
    /// Waits until the launcher lets the child go on. The child must have tied its life to the launcher's
    /// before: nobody else opens.
    pub(crate) fn pass(&self) -> nix::Result<()> {
        self.0.as_ref().map_or(Ok(()), |event| event.read().map(drop))
    }
}

/// Makes a process at `place`, in which `child` runs and gives the exit code. (It may also end by itself, and
/// must if dropping what it owns would close what is closed already.)
pub(crate) fn start(
    place: Place<'_>,
    namespaces: CloneFlags,
    child: impl FnOnce(&Gate) -> i32,
) -> Result<Newborn, Failure> {
    match place {
        Place::Inside(leaf) => {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let cgroup = open(leaf, flags, Mode::empty()).at(Stage::Leaf)?;
            let cloned = sys::clone_into_cgroup(cgroup.as_fd(), namespaces).at(Stage::Clone)?;
            Ok(parent_only(cloned, || child(&Gate(None))))
        }
        Place::Gated(leaf) => gated(leaf, namespaces, child),
        Place::Anywhere => {
            let cloned = sys::clone_in_place(namespaces).at(Stage::Clone)?;
            Ok(parent_only(cloned, || child(&Gate(None))))
        }
    }
}

/// Passes on what the parent got. The child never comes out of here.
fn parent_only(cloned: Cloned, child: impl FnOnce() -> i32) -> Newborn {
    match cloned {
        Cloned::Parent(newborn) => newborn,
        Cloned::Child => sys::exit_now(child()),
    }
}

/// The child waits at a gate until it was moved into the leaf and is seen there.
fn gated(leaf: &Path, namespaces: CloneFlags, child: impl FnOnce(&Gate) -> i32) -> Result<Newborn, Failure> {
    let procs = leaf.join("cgroup.procs");
    let mut members = File::options().read(true).write(true).open(procs).at(Stage::Leaf)?;
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).at(Stage::Gate)?;
    let gate = Gate(Some(event));
    let cloned = sys::clone_in_place(namespaces).at(Stage::Clone)?;
    let newborn = parent_only(cloned, || child(&gate));
    match admit(&mut members, &newborn, &gate).at(Stage::Gate) {
        Ok(()) => Ok(newborn),
        Err(failure) => {
            discard(&newborn);
            Err(failure)
        }
    }
}

fn admit(members: &mut File, newborn: &Newborn, gate: &Gate) -> std::io::Result<()> {
    write!(members, "{}", newborn.pid)?;
    if !is_member(members, newborn.pid)? {
        return Err(Errno::ESRCH.into());
    }
    if let Gate(Some(event)) = gate {
        event.write(1)?;
    }
    Ok(())
}

/// Whether the process is in the cgroup whose `cgroup.procs` this is.
pub(crate) fn is_member(procs: &mut File, pid: i32) -> std::io::Result<bool> {
    let mut text = String::new();
    std::io::Seek::rewind(procs)?;
    procs.read_to_string(&mut text)?;
    let pid = pid.to_string();
    Ok(text.lines().any(|line| line == pid))
}

/// Kills and reaps a process that nobody was told of.
pub(crate) fn discard(newborn: &Newborn) {
    // The only error is that it is dead already.
    let _dead = sys::signal(&newborn.pidfd, Signal::SIGKILL);
    let mut ended = [nix::poll::PollFd::new(newborn.pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
    while nix::poll::poll(&mut ended, nix::poll::PollTimeout::NONE) == Err(Errno::EINTR) {}
    let _reaped = sys::wait(Which::Ended(newborn.pid));
}
