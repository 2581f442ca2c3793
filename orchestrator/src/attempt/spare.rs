//! Fresh leaves, and the directory in which the next attempt works, made while the one before it runs. A spare
//! belongs to nobody until it is taken, and is taken once.

use std::{
    cell::{Cell, RefCell},
    io,
    path::PathBuf,
    rc::Rc,
};

use workflow_engine::{run::Spawn, verdict::SetupFailure};

use super::{host::Host, prepare::Refused, worker};
use crate::{
    cgroup::{self, Leaf, Limits},
    store::files,
};

/// The spares of a run.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// `work/.spare-<n>`, with the directory of a first attempt in it.
    work: RefCell<Option<PathBuf>>,
    /// Whether any attempt so far needed a directory.
    works: Cell<bool>,
    numbers: Cell<u64>,
}

impl Spares {
    /// Removes what nobody took.
    pub(super) fn discard(&self) {
        if let Some(path) = self.work.take() {
            let _best_effort = std::fs::remove_dir_all(path);
        }
    }

    fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }
}

/// Makes what is next ahead, once there is nothing more urgent. What cannot be made ahead is made when it is needed, and
/// its failure told there.
pub(super) fn refill_later(host: &Rc<Host>) {
    let host = Rc::downgrade(host);
    tokio::task::spawn_local(async move {
        // The run may have ended before its turn came.
        let Some(host) = host.upgrade() else { return };
        let spares = &host.spares;
        worker::make_ahead(&host);
        if spares.works.get() && spares.work.borrow().is_none() {
            let path = host.run.path().join(format!("work/.spare-{}", spares.number()));
            *spares.work.borrow_mut() = files::ensure_dir(&path.join("1")).ok().map(|()| path);
        }
    });
}

/// A fresh leaf, with its limits; `None` where there is no tree.
pub(super) fn leaf(host: &Host, limits: Limits) -> Result<Option<Leaf>, Refused> {
    let failed = |error: cgroup::Error| {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        let errno = source.and_then(io::Error::raw_os_error).unwrap_or_default();
        Refused::Setup(SetupFailure { stage: "leaf".to_owned(), errno, message: error.to_string() })
    };
    let Some(tree) = &host.tree else { return Ok(None) };
    let leaf = tree.leaf(&format!("a{}", host.spares.number())).map_err(failed)?;
    leaf.set_limits(limits, host.controllers()).map_err(failed)?;
    Ok(Some(leaf))
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
        && std::fs::rename(spare, step).is_ok()
    {
        return Ok(path);
    }
    files::ensure_dir(&path)
        .map_err(|fault| Refused::setup("work_dir", "the work directory", &fault.source))?;
    Ok(path)
}
