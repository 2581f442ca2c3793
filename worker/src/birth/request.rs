//! A birth as it came, checked once and turned into what the child uses. It runs in the launcher, before
//! anything is made.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use ipc::message::{Birth, Network, Sandbox, Seccomp, Stage, UserNamespace};
use nix::errno::Errno;

use super::{AtStage, Failure};
use crate::sandbox::descriptors;

/// One birth, checked.
#[derive(Debug)]
pub(crate) struct Request {
    /// The leaf.
    pub(crate) leaf: Option<PathBuf>,
    /// What it is shut into.
    pub(crate) sandbox: Sandbox,
    /// The worker's end of its control socket, above all places that descriptors are put to.
    pub(crate) control: OwnedFd,
}

impl Request {
    /// Checks a birth and the descriptor that came with it.
    pub(crate) fn parse(birth: Birth, descriptors: Vec<OwnedFd>) -> Result<Self, Failure> {
        let Birth { ticket: _, leaf, sandbox } = birth;
        let leaf = leaf.map(PathBuf::from);
        check_sandbox(&sandbox).at(Stage::Request)?;
        let root = sandbox
            .root
            .iter()
            .flat_map(|root| [&root.read, &root.write, &root.hidden, &root.empty])
            .flatten();
        let visible = sandbox.keep_visible.iter().chain(&sandbox.work).chain(root).map(Path::new);
        for path in leaf.iter().map(PathBuf::as_path).chain(visible) {
            check_path(path).at(Stage::Request)?;
        }
        let control = descriptors.into_iter().next().ok_or(Errno::EBADF).at(Stage::Request)?;
        Ok(Self { leaf, sandbox, control: descriptors::lift(control).at(Stage::Request)? })
    }
}

fn check_sandbox(sandbox: &Sandbox) -> nix::Result<()> {
    let asks_inside =
        sandbox.mounts || sandbox.user_namespace != UserNamespace::None || sandbox.network != Network::Host;
    let lacks_mounts =
        (sandbox.root.is_some() || sandbox.delegate || sandbox.work.is_some()) && !sandbox.mounts;
    let cannot_mount = sandbox.seccomp == Seccomp::Memory && sandbox.mounts;
    if asks_inside && !sandbox.namespaces || lacks_mounts || cannot_mount {
        Err(Errno::EINVAL)
    } else {
        Ok(())
    }
}

/// A path is absolute, and goes nowhere but down.
pub(crate) fn check_path(path: &Path) -> nix::Result<()> {
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if path.is_absolute() && plain { Ok(()) } else { Err(Errno::EINVAL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, valid) in
            [("/", true), ("/a/b", true), ("a", false), ("", false), ("/a/../b", false), ("./a", false)]
        {
            assert_eq!(check_path(Path::new(path)).is_ok(), valid, "{path}");
        }
    }
}
