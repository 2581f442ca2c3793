//! Fresh leaves, and the directory in which the next attempt works, made while the one before it runs. A spare
//! belongs to nobody until it is taken, and is taken once.

use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    rc::Rc,
};

use schemas::journal::AttemptId;
use workflow_engine::{run::Spawn, verdict::SetupFailure};

use super::{host::Host, prepare::Refused, worker};
use crate::{
    cgroup::{self, Leaf, Limits},
    store::{disk, files},
};

/// The spares of a run.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// A directory with that of a first attempt in it: in the place of the step that is expected next, or in
    /// `work/.spare-<n>`.
    work: RefCell<Option<PathBuf>>,
    /// Whether any attempt so far needed a directory.
    works: Cell<bool>,
    numbers: Cell<u64>,
}

impl Spares {
    /// Removes what nobody took.
    pub(super) fn discard(&self) {
        if let Some(path) = self.work.take() {
            let _best_effort = files::remove_tree(&path);
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
            *spares.work.borrow_mut() = spare_directory(&host);
        }
    });
}

fn spare_directory(host: &Host) -> Option<PathBuf> {
    let expected = worker::expected(host)
        .and_then(|step| {
            let step = host.plan.steps[step.index()].id().to_owned();
            let first = host.run.work(&AttemptId { step, turn: Vec::new(), attempt: 1 }).ok()?;
            first.parent().map(Path::to_owned)
        })
        // One that is there already belongs to somebody.
        .filter(|path| files::make_dir(path).is_ok());
    let path = match expected {
        Some(path) => path,
        None => host.run.work_folder().join(format!(".spare-{}", host.spares.number())),
    };
    files::ensure_dir(&path.join("1")).ok().map(|()| path)
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
    if let Some(step) = path.parent()
        && let Some(spare) = host.spares.work.take()
    {
        if spawn.id.attempt == 1 && (spare == step || disk::rename(&spare, step).is_ok()) {
            return Ok(path);
        }
        if spare != step {
            host.spares.work.replace(Some(spare));
        }
    }
    files::ensure_dir(&path).map_err(Refused::Engine)?;
    Ok(path)
}
