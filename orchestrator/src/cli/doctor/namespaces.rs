//! Which namespaces can be made: tried by a process of its own, because unshare(2) changes the process that calls
//! it and a user namespace takes one without threads.

use std::process::{Command, Stdio};

use clap::ValueEnum;
use nix::{
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use schemas::{exit_code::ExitCode, output::doctor::Namespaces};

use crate::{cli::output, errors::Result};

/// A kind of namespace. That of users is the first: see [`attempt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
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

impl Kind {
    fn flag(self) -> CloneFlags {
        match self {
            Self::User => CloneFlags::CLONE_NEWUSER,
            Self::Pid => CloneFlags::CLONE_NEWPID,
            Self::Mnt => CloneFlags::CLONE_NEWNS,
            Self::Net => CloneFlags::CLONE_NEWNET,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
        }
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Tries each kind.
pub(super) fn examine() -> Namespaces {
    let tried = Command::new("/proc/self/exe")
        .args(["workflow", "doctor", "--try-namespaces"])
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let said = tried.map(|tried| String::from_utf8_lossy(&tried.stdout).into_owned()).unwrap_or_default();
    let made = |kind: Kind| said.split_ascii_whitespace().any(|word| word == kind.word());
    Namespaces {
        user: made(Kind::User),
        pid: made(Kind::Pid),
        mnt: made(Kind::Mnt),
        net: made(Kind::Net),
        ipc: made(Kind::Ipc),
        uts: made(Kind::Uts),
    }
}

/// Makes one namespace of each kind for this process, and prints the kinds of which it could. Whoever is not root
/// makes them inside a user namespace, as steps do: that one is made first then, and last by root.
pub(super) fn attempt() -> Result {
    let mut kinds = Kind::value_variants().to_vec();
    if geteuid().is_root() {
        kinds.rotate_left(1);
    }
    let made = kinds.iter().filter(|kind| unshare(kind.flag()).is_ok());
    output::text(&made.map(|kind| kind.word() + "\n").collect::<String>())?;
    Ok(ExitCode::Done)
}
