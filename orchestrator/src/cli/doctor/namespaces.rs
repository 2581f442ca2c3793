//! Which namespaces can be made: each is tried by a process of its own, because unshare(2) changes the process
//! that calls it and a user namespace takes one without threads.

use std::process::{Command, Stdio};

use clap::ValueEnum;
use nix::{
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use schemas::{exit_code::ExitCode, output::doctor::Namespaces};

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// User ids.
    User,
    /// Process ids.
    Pid,
    /// Mounts.
    Mnt,
    /// Network.
    Net,
    /// System V IPC and message queues.
    Ipc,
    /// Host name.
    Uts,
}

/// Tries each kind.
pub(super) fn examine() -> Namespaces {
    Namespaces {
        user: try_in_child(Kind::User),
        pid: try_in_child(Kind::Pid),
        mnt: try_in_child(Kind::Mnt),
        net: try_in_child(Kind::Net),
        ipc: try_in_child(Kind::Ipc),
        uts: try_in_child(Kind::Uts),
    }
}

fn try_in_child(kind: Kind) -> bool {
    let word = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let status = Command::new("/proc/self/exe")
        .args(["workflow", "doctor", "--try-namespace", &word])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Makes one namespace for this process; whoever is not root makes it inside a user namespace, as steps do.
pub(super) fn attempt(kind: Kind) -> ExitCode {
    let flag = match kind {
        Kind::User => CloneFlags::CLONE_NEWUSER,
        Kind::Pid => CloneFlags::CLONE_NEWPID,
        Kind::Mnt => CloneFlags::CLONE_NEWNS,
        Kind::Net => CloneFlags::CLONE_NEWNET,
        Kind::Ipc => CloneFlags::CLONE_NEWIPC,
        Kind::Uts => CloneFlags::CLONE_NEWUTS,
    };
    let flags = if geteuid().is_root() { flag } else { flag | CloneFlags::CLONE_NEWUSER };
    match unshare(flags) {
        Ok(()) => ExitCode::Done,
        Err(_) => ExitCode::Failed,
    }
}
