//! Fresh leaves, and the directory in which the next attempt works, made while the one before it runs. A spare
//! belongs to nobody until it is taken, and is taken once.

use std::{
    cell::{Cell, RefCell},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ipc::message::Sandbox;
use schemas::journal::AttemptId;
use workflow_engine::{run::Spawn, verdict::SetupFailure};

use super::{host::Host, prepare::Refused, worker};
use crate::{
    cgroup::{self, Leaf, Limits},
    store::{disk, files},
};

/// One is taken while the other is on its way.
const SPARES: usize = 2;

/// More than the time between two ticks of the clock from which file systems take their times.
const TICKS: Duration = Duration::from_millis(20);

/// The spares of a run.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// Directories with that of a first attempt in it: in the place of a step, or in `work/.spare-<n>`.
    work: RefCell<Vec<PathBuf>>,
    /// Whether any attempt so far needed a directory.
    works: Cell<bool>,
    numbers: Cell<u64>,
}

impl Spares {
    /// Removes what nobody took.
    pub(super) fn discard(&self) {
        for path in self.work.take() {
            let _best_effort = files::remove_tree(&path);
        }
    }

    fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }
}

/// Makes what is next ahead. What cannot be made ahead is made when it is needed, and its failure told there.
pub fn refill(host: &Host) {
    worker::make_ahead(host);
    if host.spares.works.get() {
        lay_out_directory(host);
    }
}

/// Sees to it that there is a spare directory, where the next step will look for it if that is known.
fn lay_out_directory(host: &Host) {
    let mut spares = host.spares.work.borrow_mut();
    let expected = worker::expected(host).and_then(|step| {
        let step = host.plan.steps[step.index()].id().to_owned();
        let first = host.run.work(&AttemptId { step, turn: Vec::new(), attempt: 1 }).ok()?;
        first.parent().map(Path::to_owned)
    });
    let (Some(spare), Some(expected)) = (spares.last_mut(), &expected) else {
        if spares.is_empty() {
            spares.extend(fresh_directory(host, expected));
        }
        return;
    };
    // A place that is taken is never empty: then it stays where it is.
    if spare != expected && disk::rename(spare, expected).is_ok() {
        spare.clone_from(expected);
    }
}

fn fresh_directory(host: &Host, expected: Option<PathBuf>) -> Option<PathBuf> {
    // One that is there already belongs to somebody.
    let path = match expected.filter(|path| files::make_dir(path).is_ok()) {
        Some(path) => path,
        None => host.run.work_folder().join(format!(".spare-{}", host.spares.number())),
    };
    files::ensure_dir(&path.join("1")).ok().map(|()| path)
}

/// Takes back the directory of an attempt that has ended after this time and of which no process is left, if it was
/// never touched: making a directory costs far more than moving it.
pub(super) fn give_back(host: &Host, id: &AttemptId, lived: Duration) {
    let mut spares = host.spares.work.borrow_mut();
    let Ok(path) = host.run.work(id) else { return };
    if id.attempt == 1
        && spares.len() < SPARES
        && let Some(step) = path.parent()
        && is_untouched(&path, lived).unwrap_or(false)
    {
        // The last one is taken first.
        spares.insert(0, step.to_owned());
    }
}

/// Whether nothing of a directory changed since it was made, which was some time before its attempt began: its contents,
/// owner, mode and attributes all move the time of change, by the ticks of the kernel's clock.
fn is_untouched(path: &Path, lived: Duration) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(path)?;
    let since_epoch = |seconds: i64, nanoseconds: i64| {
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        SystemTime::UNIX_EPOCH
            + seconds
            + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
    };
    let made = found.created()?;
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    Ok(since_epoch(found.ctime(), found.ctime_nsec()) == made && age > lived + TICKS)
}

/// A fresh leaf, with its limits; `None` where there is no tree. A step that asks for it gets a sub-tree in it.
pub(super) fn leaf(host: &Host, limits: &Limits, shut_in: &Sandbox) -> Result<Option<Leaf>, Refused> {
    let failed = |error: cgroup::Error| no_leaf(&error);
    let Some(tree) = &host.tree else { return Ok(None) };
    let mut leaf = tree.leaf(&format!("a{}", host.spares.number())).map_err(failed)?;
    leaf.set_limits(limits, host.controllers()).map_err(failed)?;
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

/// The private directory of an attempt.
pub(super) fn work_dir(host: &Host, spawn: &Spawn) -> Result<PathBuf, Refused> {
    let path = host.run.work(&spawn.id).map_err(|error| {
        Refused::setup("work_dir", &error.to_string(), &io::ErrorKind::InvalidInput.into())
    })?;
    host.spares.works.set(true);
    let mut spares = host.spares.work.borrow_mut();
    if let Some(step) = path.parent() {
        let in_place = spares.iter().position(|spare| spare == step).map(|index| spares.remove(index));
        let is_first = spawn.id.attempt == 1;
        let mut moved = || spares.pop().is_some_and(|spare| disk::rename(&spare, step).is_ok());
        if is_first && (in_place.is_some() || moved()) {
            return Ok(path);
        }
    }
    files::ensure_dir(&path).map_err(Refused::Engine)?;
    Ok(path)
}
