//! What births can do on this host, tried once with real ones. One child is enough where all is well.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use ipc::message::{BirthKind, Network, Root, Seccomp, Stage, WaitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::birth::{self, AtStage, Failure, Launcher, Place, is_member};
use crate::sandbox::seccomp::Filters;
use crate::sandbox::{landlock, mounts, namespaces};
use crate::sys::{self, Which};

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// How children get into their leaf.
    pub(super) birth: BirthKind,
    /// Whether they can have namespaces.
    pub(super) namespaces: bool,
    /// Whether they can have all that `strict` takes, if that was asked.
    pub(super) strict: Option<bool>,
    /// Whether they can have a network namespace, if that was asked.
    pub(super) network: Option<bool>,
    /// What is missing, and why.
    pub(super) notes: Vec<String>,
}

/// What a trial child makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Bare,
    Namespaces,
    Network,
    Strict,
}

/// Tries births in a fresh and empty leaf, and, if so, what only `strict` needs.
pub(super) fn probe(leaf: Option<&str>, strict: bool, launcher: &Launcher) -> Found {
    let leaf = leaf.map(Path::new);
    let mut found = standard(leaf, launcher);
    if strict {
        let tried = [(Trial::Network, "a network namespace"), (Trial::Strict, "the profile `strict`")];
        let mut outcomes = tried.into_iter().map(|(trial, what)| {
            let outcome = attempt(Place::Anywhere, trial, launcher);
            if let Err(failure) = outcome {
                found.notes.push(format!("{what} cannot be had: {}", describe(failure)));
            }
            outcome.is_ok()
        });
        let (network, strict) = (outcomes.next(), outcomes.next());
        drop(outcomes);
        (found.network, found.strict) = (network, strict);
    }
    found
}

fn standard(leaf: Option<&Path>, launcher: &Launcher) -> Found {
    let found = |birth, namespaces, notes| Found { birth, namespaces, strict: None, network: None, notes };
    if let Some(leaf) = leaf
        && attempt(Place::Inside(leaf), Trial::Namespaces, launcher).is_ok()
    {
        return found(BirthKind::IntoCgroup, true, Vec::new());
    }
    let mut notes = Vec::new();
    let birth = leaf.map_or(BirthKind::Plain, |leaf| find_birth(leaf, launcher, &mut notes));
    let namespaces = attempt(Place::Anywhere, Trial::Namespaces, launcher);
    if let Err(failure) = namespaces {
        notes.push(format!("namespaces cannot be made: {}", describe(failure)));
    }
    found(birth, namespaces.is_ok(), notes)
}

/// The filters of system calls, if the kernel takes them: seccomp(2). Where every birth is to be filtered, the
/// launcher takes its part at once.
pub(super) fn filters(filtered: bool) -> Option<Filters> {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let known = actions.split_ascii_whitespace().any(|action| action == "errno");
    let mut filters = Filters::new().ok().filter(|_| known)?;
    (!filtered || filters.take_inherited().is_ok()).then_some(filters)
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
    let own = if launcher.uid.is_root() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    match trial {
        Trial::Bare => CloneFlags::empty(),
        Trial::Namespaces => namespaces::STANDARD | own,
        Trial::Network | Trial::Strict => namespaces::STANDARD | CloneFlags::CLONE_NEWNET | own,
    }
}

fn try_sandbox(trial: Trial, launcher: &Launcher) -> Result<(), Failure> {
    if trial == Trial::Bare {
        return Ok(());
    }
    let (uid, gid) = (launcher.uid, launcher.gid);
    if !uid.is_root() {
        namespaces::map_to_itself(uid, gid).at(Stage::UserNamespace)?;
    }
    namespaces::own_cgroup_root().at(Stage::Mounts)?;
    mounts::make_private().at(Stage::Mounts)?;
    mounts::protect_sys().at(Stage::Mounts)?;
    mounts::fresh_proc(Path::new("/proc")).at(Stage::Proc)?;
    match trial {
        Trial::Bare | Trial::Namespaces => Ok(()),
        Trial::Network => sys::raise_loopback().at(Stage::Network),
        Trial::Strict => {
            if uid.is_root() {
                namespaces::own_user_namespace(uid, gid).at(Stage::UserNamespace)?;
            }
            nix::sys::prctl::set_no_new_privs().at(Stage::Privileges)?;
            let root = Root { read: Vec::new(), write: Vec::new(), hidden: Vec::new(), empty: Vec::new() };
            landlock::restrict(&root, None, &Network::None).at(Stage::Landlock)?;
            let filters = launcher.filters.as_ref().ok_or(Errno::ENOSYS).at(Stage::Seccomp)?;
            filters.confine(Seccomp::Default).at(Stage::Seccomp)
        }
    }
}
