//! Becoming another user, for good.

use ipc::message::Identity;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// Takes his numbers, and no group but his.
pub(crate) fn become_user(identity: Identity) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // The kernel forgets it with the change: PR_SET_PDEATHSIG(2const). A launcher that died meanwhile has taken
    // the child with it: until the change the signal was asked for.
    prctl::set_pdeathsig(Signal::SIGKILL)
}
