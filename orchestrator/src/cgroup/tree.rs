//! The engine's own tree: `<base>/q-<boot>-<pid>-<nonce>/`. It is ours for as long as we hold the lock on its
//! directory, which the kernel drops when the engine dies; a tree whose lock is free is swept.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek},
    os::{fd::AsFd, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::poll::{PollFd, PollFlags, poll};

use super::{
    Base, Controllers, Error, Limits,
    files::{Files, is_populated},
    leaf::Leaf,
    memory::Victim,
};

const PREFIX: &str = "q-";

/// How long a sweep waits for the processes of a dead engine to be gone, milliseconds. After a kill the
/// kernel needs 20 to 80 ms, and more on a busy machine.
const SWEEP_WAIT_MS: u16 = 2000;

/// A tree of leaves that this engine owns.
#[derive(Debug)]
pub struct Tree {
    path: PathBuf,
    controllers: Controllers,
    /// Holds the lock; not inherited by the launcher, which is executed anew.
    _lock: File,
}

impl Tree {
    /// Makes a tree below the base.
    pub fn create(base: &Base, boot: &str, nonce: &str) -> Result<Self, Error> {
        let name = format!("{PREFIX}{boot}-{}-{nonce}", std::process::id());
        let path = base.path.join(name);
        fs::create_dir(&path).map_err(|source| Error::Create { path: path.clone(), source })?;
        let lock = lock(&path)?.ok_or_else(|| Error::Base {
            path: path.clone(),
            why: "another engine swept it at its birth".to_owned(),
        })?;
        let tree = Self { path, controllers: base.controllers, _lock: lock };
        for name in base.controllers.names() {
            Files(&tree.path).write("cgroup.subtree_control", &format!("+{name}"))?;
        }
        Ok(tree)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The controllers that its leaves have.
    pub fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// Holds what all its leaves have together. At the limit on memory one of them dies as a whole.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), Error> {
        limits.hold(&self.path, self.controllers, Victim::One)
    }

    /// Makes a fresh leaf. The name is the engine's own: no user text comes into a path here.
    pub fn leaf(&self, name: &str) -> Result<Leaf, Error> {
        Leaf::create(self.path.join(name))
    }

    /// Removes the tree, in which nothing lives any more: leaves that were just killed may be busy for some
    /// milliseconds yet. What cannot be removed is left to the next sweep.
    pub fn remove(self) {
        let remove = || remove_below(&self.path).and_then(|()| fs::remove_dir(&self.path));
        if remove().is_err() {
            let _left_to_the_next_sweep = wait_until_empty(&self.path).and_then(|()| remove());
        }
    }
}

/// Ends and removes every tree below the base whose engine is dead. Returns how many there were.
pub(super) fn sweep(base: &Path) -> u32 {
    let mut swept = 0;
    let Ok(entries) = fs::read_dir(base) else { return 0 };
    for entry in entries.flatten() {
        if !is_ours(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // Held until the tree is gone, so that two sweepers do not meet in it.
        if let Ok(Some(_lock)) = lock(&entry.path()) {
            swept += u32::from(end(&entry.path()));
        }
    }
    swept
}

/// Whether there is a tree with this nonce below the base.
pub(super) fn exists(base: &Path, nonce: &str) -> bool {
    let Ok(mut entries) = fs::read_dir(base) else { return false };
    entries.any(|entry| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            is_ours(&name) && name.ends_with(&format!("-{nonce}"))
        })
    })
}

/// Whether a name is one that [`Tree::create`] gives: `q-<boot>-<pid>-<nonce>`.
fn is_ours(name: &str) -> bool {
    let hex = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().split('-');
    let fits = |part: Option<&str>, fit: &dyn Fn(&str) -> bool| part.is_some_and(fit);
    fits(parts.next(), &hex)
        && fits(parts.next(), &|pid| pid.parse::<u32>().is_ok())
        && fits(parts.next(), &hex)
        && parts.next().is_none()
}

/// Kills whatever lives in a dead engine's tree. The tree is never used again, so that `cgroup.kill` on
/// it harms no later birth. What cannot be removed is left to the next sweep.
fn end(path: &Path) -> bool {
    let _not_there_before_5_14 = Files(path).write("cgroup.kill", "1");
    wait_until_empty(path).is_ok() && remove_below(path).is_ok() && fs::remove_dir(path).is_ok()
}

/// The kernel wakes a poller of `cgroup.events` with `POLLPRI` at each change (cgroup-v2.rst).
fn wait_until_empty(path: &Path) -> std::io::Result<()> {
    let mut events = File::open(path.join("cgroup.events"))?;
    loop {
        let mut text = String::new();
        events.rewind()?;
        events.read_to_string(&mut text)?;
        if !is_populated(&text) {
            return Ok(());
        }
        let mut polled = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        if poll(&mut polled, SWEEP_WAIT_MS)? == 0 {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
    }
}

/// Removes all cgroups below one, in which nothing lives any more.
pub(super) fn remove_below(path: &Path) -> std::io::Result<()> {
    for entry in opened(path, || fs::read_dir(path))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_below(&entry.path())?;
            opened(path, || fs::remove_dir(entry.path()))?;
        }
    }
    Ok(())
}

/// Does something in a cgroup. A step may have shut one of its own sub-tree, by chmod(2): whoever owns it opens it.
fn opened<T>(path: &Path, act: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
    match act() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            act()
        }
        other => other,
    }
}

/// The lock on a tree's directory; `None` where somebody else holds it, or the directory is gone.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let error = |source| Error::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(error(source)),
    };
    match file.try_lock() {
        // Between open and lock a sweeper may have removed it.
        Ok(()) => Ok(path.exists().then_some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(error(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_trees_that_an_engine_made_are_swept() {
        assert!(is_ours("q-a8196907-21913-46756f14"));
        for other in [
            "q-bench-21913",
            "q-",
            "q-a8196907-x-46756f14",
            "q-a8196907-1-46756f14-1",
            "supervisor",
            "xq-a8196907-1-46756f14",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
