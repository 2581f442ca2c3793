//! What the next attempt needs of the kernel, made while the one before it runs: a fresh leaf, a directory to
//! work in. A spare belongs to nobody until it is taken, and is taken once.

use std::{
    cell::{Cell, RefCell},
    io,
    path::PathBuf,
    rc::Rc,
};

use ipc::message::Sandbox;
use workflow_engine::{run::Spawn, verdict::SetupFailure};

use super::{host::Host, prepare::Refused};
use crate::{
    cgroup::{self, Leaf},
    store::{disk, files},
};

/// The spares of a run.
#[derive(Debug, Default)]
pub(super) struct Spares {
    leaf: RefCell<Option<Leaf>>,
    /// `work/.spare-<n>`, with the directory of a first attempt in it.
    work: RefCell<Option<PathBuf>>,
    /// Whether any attempt so far needed a directory.
    works: Cell<bool>,
    numbers: Cell<u64>,
}

impl Spares {
    /// Removes what nobody took; a leaf goes with its tree.
    pub(super) fn discard(&self) {
        if let Some(path) = self.work.take() {
            let _best_effort = files::remove_tree(&path);
        }
    }

    fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }
}

/// Makes spares once there is nothing more urgent. What cannot be made ahead is made when it is needed, and
/// its failure told there.
pub(super) fn refill_later(host: &Rc<Host>) {
    let host = Rc::downgrade(host);
    tokio::task::spawn_local(async move {
        // The run may have ended before its turn came.
        let Some(host) = host.upgrade() else { return };
        let spares = &host.spares;
        if spares.leaf.borrow().is_none() {
            *spares.leaf.borrow_mut() = fresh_leaf(&host).ok().flatten();
        }
        if spares.works.get() && spares.work.borrow().is_none() {
            let path = host.run.path().join(format!("work/.spare-{}", spares.number()));
            *spares.work.borrow_mut() = files::ensure_dir(&path.join("1")).ok().map(|()| path);
        }
    });
}

/// A leaf of its own for an attempt, with its limits; `None` where there is no tree. A step that asks for it gets a sub-tree
/// in it.
pub(super) fn leaf(host: &Host, wanted: &cgroup::Limits, shut_in: &Sandbox) -> Result<Option<Leaf>, Refused> {
    let failed = |error: cgroup::Error| no_leaf(&error);
    let spare = host.spares.leaf.take();
    let leaf = match spare {
        Some(leaf) => Some(leaf),
        None => fresh_leaf(host).map_err(failed)?,
    };
    let Some(mut leaf) = leaf else { return Ok(None) };
    leaf.set_limits(wanted, host.controllers()).map_err(failed)?;
    if shut_in.delegate {
        let owner = shut_in.user.map(|user| (user.uid, user.gid));
        leaf.delegate(host.controllers(), owner).map_err(failed)?;
    }
    Ok(Some(leaf))
}

/// An attempt that cannot be held is refused.
pub(super) fn no_leaf(error: &cgroup::Error) -> Refused {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    let errno = source.and_then(io::Error::raw_os_error).unwrap_or_default();
    Refused::Setup(SetupFailure { stage: "leaf".to_owned(), errno, message: error.to_string() })
}

fn fresh_leaf(host: &Host) -> Result<Option<Leaf>, cgroup::Error> {
    let Some(tree) = &host.tree else { return Ok(None) };
    tree.leaf(&format!("a{}", host.spares.number())).map(Some)
}

/// The private directory of an attempt.
pub(super) fn work_dir(host: &Host, spawn: &Spawn) -> Result<PathBuf, Refused> {
    let path = host.run.work(&spawn.id).map_err(|error| {
        Refused::setup("work_dir", &error.to_string(), &io::ErrorKind::InvalidInput.into())
    })?;
    host.spares.works.set(true);
    if spawn.id.attempt == 1
        && let Some(step) = path.parent()
        && let Some(spare) = host.spares.work.take()
        && disk::rename(&spare, step).is_ok()
    {
        return Ok(path);
    }
    files::ensure_dir(&path).map_err(Refused::Engine)?;
    Ok(path)
}
