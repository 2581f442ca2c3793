//! Which namespaces a child is born into, and the identity map of a user namespace.

use std::fs::File;
use std::io::{self, Write};

use ipc::message::{Network, Sandbox, UserNamespace};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

/// All that a program has of its own under the profile `standard`.
pub(crate) const STANDARD: CloneFlags = CloneFlags::CLONE_NEWPID
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWNS);

/// The namespaces of a sandbox. A new uts namespace has the host's name: only changes stay inside.
pub(crate) fn flags(sandbox: &Sandbox) -> CloneFlags {
    let mut flags = CloneFlags::empty();
    if sandbox.namespaces {
        flags |= STANDARD - CloneFlags::CLONE_NEWNS;
    }
    if sandbox.mounts {
        flags |= CloneFlags::CLONE_NEWNS;
    }
    match sandbox.user_namespace {
        UserNamespace::First => flags |= CloneFlags::CLONE_NEWUSER,
        UserNamespace::None | UserNamespace::Last => {}
    }
    match sandbox.network {
        Network::Host => {}
        Network::None | Network::Loopback | Network::Bridge(_) => flags |= CloneFlags::CLONE_NEWNET,
    }
    flags
}

/// A view of the cgroups that begins at this process's own: cgroup_namespaces(7). Not by a flag of the clone: then
/// it would begin at that of the launcher.
pub(crate) fn own_cgroup_root() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP)
}

/// Moves this process into a user namespace in which it is the same user, and to which nothing belongs that was
/// made before.
pub(crate) fn own_user_namespace(uid: Uid, gid: Gid) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    map_to_itself(uid, gid)
}

/// Maps a uid and a gid of outside to themselves: user_namespaces(7). A process may do so for itself, when
/// it has given up setgroups(2) first.
pub(crate) fn map_to_itself(uid: Uid, gid: Gid) -> io::Result<()> {
    put("/proc/self/setgroups", "deny")?;
    put("/proc/self/uid_map", &format!("{uid} {uid} 1"))?;
    put("/proc/self/gid_map", &format!("{gid} {gid} 1"))
}

fn put(path: &str, text: &str) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(text.as_bytes())
}
