//! Removing runs: one, or many with the least work for each. Which of them may go is the caller's matter.
//!
//! A run is gone once its directory has another name. What is left then, its row in the index and its files, is cleared
//! away by whoever removes runs next, if this process dies first.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
};

use super::{
    disk,
    files::{self, Fault, fault},
    home::Home,
    index::Index,
    lock::{self, RunLock},
    names::RunId,
    run::Error,
};

/// How the names of directories begin that are being removed.
const GRAVE: &str = ".deleted-";
/// Runs that are removed together: with one line a run, but one write for all of them, in the index.
const TOGETHER: usize = 128;
/// Removing waits for the disk and not for a processor: so many wait at once.
const REMOVERS: usize = 4;
/// A thread that removes files needs next to no stack.
const STACK: usize = 256 * 1024;

/// Deletes a run that nobody owns. Whether it has ended is the caller's matter.
pub fn delete(home: &Home, id: RunId) -> Result<(), Error> {
    home.refuse_foreign()?;
    let lock = RunLock::try_take(&home.run(id))?;
    bury(home, vec![(id, lock)])
}

/// Deletes those of the runs that nobody owns; gives the ids of these.
pub fn delete_all(home: &Home, ids: &[RunId]) -> Result<Vec<RunId>, Error> {
    home.refuse_foreign()?;
    let mut gone = Vec::with_capacity(ids.len());
    for together in ids.chunks(TOGETHER) {
        let mut ours = Vec::with_capacity(together.len());
        for id in together {
            match RunLock::try_take(&home.run(*id)) {
                Ok(lock) => ours.push((*id, lock)),
                Err(lock::Error::Owned(_) | lock::Error::NoRun(_)) => {}
                Err(error @ (lock::Error::Unsupported(_) | lock::Error::Fault(_))) => {
                    return Err(error.into());
                }
            }
        }
        gone.extend(ours.iter().map(|(id, _)| *id));
        bury(home, ours)?;
    }
    Ok(gone)
}

/// Removes what deletions left behind that were cut short.
pub fn sweep(home: &Home) -> Result<(), Error> {
    let path = home.runs();
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fault("list", &path)(error).into()),
    };
    let (mut graves, mut ids) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(fault("list", &path))?;
        if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_prefix(GRAVE)) {
            graves.push(entry.path());
            ids.extend(name.parse::<RunId>().ok());
        }
    }
    clear(home, &ids, &graves)
}

/// Takes runs that are ours out of the home.
fn bury(home: &Home, runs: Vec<(RunId, RunLock)>) -> Result<(), Error> {
    let (mut ids, mut graves) = (Vec::with_capacity(runs.len()), Vec::with_capacity(runs.len()));
    let mut failed = None;
    for (id, lock) in runs {
        let (dir, grave) = (home.run(id), grave(home, id));
        if let Err(error) = disk::rename(dir.path(), &grave) {
            failed = Some(fault("remove", dir.path())(error));
            break;
        }
        ids.push(id);
        graves.push(grave);
        // A journal that is still open would be freed only here, and not by one of many.
        drop(lock);
    }
    let cleared = clear(home, &ids, &graves);
    failed.map_or(cleared, |failed| Err(failed.into()))
}

fn grave(home: &Home, id: RunId) -> PathBuf {
    home.runs().join(format!("{GRAVE}{id}"))
}

/// Clears away what is left of runs that are gone.
fn clear(home: &Home, ids: &[RunId], graves: &[PathBuf]) -> Result<(), Error> {
    if !ids.is_empty() {
        // While they have their graves: if this is cut short, a sweep finds the rows that are still to go.
        Index::new(home).deleted(ids)?;
    }
    Ok(remove(graves)?)
}

fn remove(graves: &[PathBuf]) -> Result<(), Fault> {
    let one_by_one = |graves: &[PathBuf]| graves.iter().try_for_each(|grave: &PathBuf| remove_one(grave));
    if graves.len() < REMOVERS {
        return one_by_one(graves);
    }
    thread::scope(|scope| {
        let mut removers = Vec::new();
        let mut removed = Ok(());
        for part in graves.chunks(graves.len().div_ceil(REMOVERS)) {
            let remover = thread::Builder::new().name("remover".to_owned()).stack_size(STACK);
            match remover.spawn_scoped(scope, move || one_by_one(part)) {
                Ok(remover) => removers.push(remover),
                // Where there are no threads to be had, this one does it.
                Err(_) => removed = removed.and(one_by_one(part)),
            }
        }
        for remover in removers {
            let done = remover.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            removed = removed.and(done);
        }
        removed
    })
}

/// Two that sweep at once may meet: what is gone is removed.
fn remove_one(grave: &Path) -> Result<(), Fault> {
    match files::remove_tree(grave) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use schemas::view::RunStatus;

    use super::*;
    use crate::store::{
        index::{Entry, Filter},
        run::tests::{create_in, home},
    };

    /// A run that ended, as far as its files go: the journal is what locks it.
    fn ended(home: &Home) -> RunId {
        let id = RunId::generate();
        let dir = home.run(id);
        files::ensure_dir(&dir.path().join("logs")).unwrap();
        std::fs::File::create(dir.journal()).unwrap();
        std::fs::File::create(dir.run_log()).unwrap();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let entry = Entry {
            run_id: id,
            workflow: "w".into(),
            version: "1.0.0".into(),
            status: RunStatus::Completed,
            trigger: "manual".into(),
            created_at: at,
            started_at: Some(at),
            finished_at: Some(at),
            duration_ms: Some(1),
        };
        Index::new(home).created(&entry).unwrap();
        id
    }

    #[track_caller]
    fn check_left(home: &Home, expected: &[RunId]) {
        let listed = Index::new(home).newest(usize::MAX, &Filter::default(), |_| true).unwrap();
        let mut listed: Vec<_> = listed.unwrap().into_iter().map(|entry| entry.run_id).collect();
        listed.reverse();
        assert_eq!(listed, expected);
        assert_eq!(std::fs::read_dir(home.runs()).unwrap().count(), expected.len());
    }

    #[test]
    fn an_owned_run_is_not_deleted_and_a_deleted_one_is_gone() {
        let (_dir, home) = home();
        let run = create_in(&home).unwrap();
        let id = run.dir.id();
        assert!(matches!(delete(&home, id), Err(Error::Lock(lock::Error::Owned(_)))));
        assert_eq!(delete_all(&home, &[id]).unwrap(), []);
        drop(run);
        delete(&home, id).unwrap();
        assert!(matches!(delete(&home, id), Err(Error::Lock(lock::Error::NoRun(_)))));
        assert_eq!(delete_all(&home, &[id]).unwrap(), []);
        assert_eq!(std::fs::read_dir(home.runs()).unwrap().count(), 0);
    }

    #[test]
    fn many_go_together_and_others_stay() {
        let (_dir, home) = home();
        home.ensure().unwrap();
        let all: Vec<_> = (0..TOGETHER + 9).map(|_| ended(&home)).collect();
        let (stay, go) = all.split_at(3);
        let owned = RunLock::try_take(&home.run(go[1])).unwrap();
        let gone = delete_all(&home, go).unwrap();
        assert_eq!((gone.len(), gone.contains(&go[1])), (go.len() - 1, false));
        check_left(&home, &[stay, &[go[1]]].concat());
        drop(owned);
        delete(&home, go[1]).unwrap();
        check_left(&home, stay);
    }

    #[test]
    fn deletions_that_were_cut_short_are_swept() {
        let (_dir, home) = home();
        sweep(&home).unwrap();
        let stays = ended(&home);
        let cut_short: Vec<_> = (0..REMOVERS).map(|_| ended(&home)).collect();
        for id in cut_short {
            std::fs::rename(home.run(id).path(), grave(&home, id)).unwrap();
        }
        files::ensure_dir(&home.runs().join(".deleted-x/steps")).unwrap();
        sweep(&home).unwrap();
        check_left(&home, &[stays]);
    }
}
