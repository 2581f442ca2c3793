//! What births can do on this host, tried once with real ones. One child is enough where all is well.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use ipc::message::{BirthKind, Stage, WaitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::birth::{self, AtStage, Failure, Launcher, Place, is_member};
use crate::sandbox::{mounts, namespaces};
use crate::sys::{self, Which};

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// How children get into their leaf.
    pub(super) birth: BirthKind,
    /// Whether they can have namespaces.
    pub(super) namespaces: bool,
    /// What is missing, and why.
    pub(super) notes: Vec<String>,
}

/// Whether a trial child makes namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Bare,
    Namespaces,
}

/// Tries births in a fresh and empty leaf.
pub(super) fn probe(leaf: Option<&str>, launcher: &Launcher) -> Found {
    let leaf = leaf.map(Path::new);
    if let Some(leaf) = leaf
        && attempt(Place::Inside(leaf), Trial::Namespaces, launcher).is_ok()
    {
        return Found { birth: BirthKind::IntoCgroup, namespaces: true, notes: Vec::new() };
    }
    let mut notes = Vec::new();
    let birth = leaf.map_or(BirthKind::Plain, |leaf| find_birth(leaf, launcher, &mut notes));
    let namespaces = attempt(Place::Anywhere, Trial::Namespaces, launcher);
    if let Err(failure) = namespaces {
        notes.push(format!("namespaces cannot be made: {}", describe(failure)));
    }
    Found { birth, namespaces: namespaces.is_ok(), notes }
}

fn find_birth(leaf: &Path, launcher: &Launcher, notes: &mut Vec<String>) -> BirthKind {
    let ways = [
        (BirthKind::IntoCgroup, Place::Inside(leaf), "children cannot be born inside their cgroup"),
        (BirthKind::Gated, Place::Gated(leaf), "children cannot be moved into their cgroup"),
    ];
    for (kind, place, complaint) in ways {
        match attempt(place, Trial::Bare, launcher) {
            Ok(()) => return kind,
            Err(failure) => notes.push(format!("{complaint}: {}", describe(failure))),
        }
    }
    BirthKind::Plain
}

fn describe(failure: Failure) -> String {
    format!("{} ({})", failure.errno.desc(), failure.stage.as_str())
}

/// One birth. The child waits until it was seen in its leaf, then does what of a real birth may be
/// forbidden, and must end well: kernel 6.18 kills a child at birth in a leaf that was ever killed.
fn attempt(place: Place<'_>, trial: Trial, launcher: &Launcher) -> Result<(), Failure> {
    let seen = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).at(Stage::Gate)?;
    let flags = flags(trial, launcher);
    let newborn = birth::start(place, flags, |gate| {
        let outcome = crate::child::die_with(launcher).and_then(|()| {
            gate.pass().at(Stage::Gate)?;
            seen.read().at(Stage::Gate)?;
            try_sandbox(trial, launcher)
        });
        outcome.map_or_else(|failure| failure.errno as i32, |()| 0)
    })?;
    let seen_inside = match place {
        Place::Inside(leaf) | Place::Gated(leaf) => {
            File::open(leaf.join("cgroup.procs")).and_then(|mut procs| is_member(&mut procs, newborn.pid))
        }
        Place::Anywhere => Ok(true),
    };
    if !matches!(seen_inside, Ok(true)) {
        birth::discard(&newborn);
        return Err(Failure { stage: Stage::Leaf, errno: Errno::ESRCH });
    }
    seen.write(1).at(Stage::Gate)?;
    while poll(&mut [PollFd::new(newborn.pidfd.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)
        == Err(Errno::EINTR)
    {}
    let reaped = sys::wait(Which::Ended(newborn.pid)).at(Stage::Clone)?;
    match reaped.map(|reaped| reaped.status) {
        Some(WaitStatus::Exited(0)) => Ok(()),
        Some(WaitStatus::Exited(errno)) => {
            Err(Failure { stage: Stage::Mounts, errno: Errno::from_raw(errno) })
        }
        Some(WaitStatus::Signaled { .. }) | None => Err(Failure { stage: Stage::Clone, errno: Errno::EINTR }),
    }
}

/// Root needs no user namespace.
fn flags(trial: Trial, launcher: &Launcher) -> CloneFlags {
    match trial {
        Trial::Bare => CloneFlags::empty(),
        Trial::Namespaces if launcher.uid.is_root() => namespaces::STANDARD,
        Trial::Namespaces => namespaces::STANDARD | CloneFlags::CLONE_NEWUSER,
    }
}

fn try_sandbox(trial: Trial, launcher: &Launcher) -> Result<(), Failure> {
    if trial == Trial::Bare {
        return Ok(());
    }
    if !launcher.uid.is_root() {
        namespaces::map_to_itself(launcher.uid, launcher.gid).at(Stage::UserNamespace)?;
    }
    mounts::make_private().at(Stage::Mounts)?;
    mounts::fresh_proc().at(Stage::Proc)
}
