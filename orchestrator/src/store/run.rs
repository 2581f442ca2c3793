//! Making and reopening a run: its directory with the lock and the journal. How it is removed is in `removal`.

use std::{collections::BTreeMap, fs::OpenOptions, io, path::Path};

use schemas::journal::{Event, Now, RunCreated};

use super::{
    disk,
    files::{self, Fault, Trouble, fault},
    home::{Home, RunDir},
    index,
    journal::{self, Record, Writer},
    lock::{self, RunLock},
    names::{self, RunId, SafeName},
};

/// Names of what stands in the folder of a frozen definition.
const DEFINITION: &str = "definition.json";
const SKILLS: &str = "skills";
const AGENTS: &str = "agents";

/// Longest file that a run is frozen with.
const FROZEN_MAX: u64 = 16 * 1024 * 1024;
/// Longest file of all prompts together that is read.
pub(crate) const PROMPTS_MAX: u64 = 256 * 1024 * 1024;

/// Why a run was not made, reopened or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event of its creation holds no id.
    #[error(transparent)]
    Id(#[from] names::Error),
    /// The run is owned, or gone.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// Its journal was not read or written.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The index was not written.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A run that this process owns.
#[derive(Debug)]
pub struct OwnedRun {
    /// Its directory.
    pub dir: RunDir,
    /// The end of its journal.
    pub journal: Writer,
    /// What keeps others from it.
    pub lock: RunLock,
}

/// What a run is frozen with: whatever becomes of the originals, it can be read and gone on with.
#[derive(Debug, Clone, Default)]
pub struct Frozen {
    /// The text of its definition.
    pub definition: Vec<u8>,
    /// The manifests of its external skills.
    pub skills: BTreeMap<SafeName, Vec<u8>>,
    /// The agents that it names and does not hold itself.
    pub agents: BTreeMap<SafeName, Vec<u8>>,
    /// Of the definition at the top: the files of prompts that its agents and those of all others name, by path.
    pub prompts: Option<Vec<u8>>,
    /// The definitions that it calls, directly or by others; those call none here.
    pub called: Vec<Frozen>,
}

/// Makes a run: its directory, what is frozen with it, and the journal with the event of its creation. All of
/// it is durable when this returns, and nothing of it is left after an error.
pub fn create(home: &Home, frozen: &Frozen, now: Now, created: RunCreated) -> Result<OwnedRun, Error> {
    let dir = home.run(created.run_id.parse()?);
    files::ensure_dir_durable(&home.runs())?;
    files::make_dir(dir.path())?;
    let made = fill(home, &dir, frozen, (now, Event::RunCreated(Box::new(created))));
    if made.is_err() {
        // The first error is the one to tell.
        drop(files::remove_tree(dir.path()));
    }
    made
}

fn fill(home: &Home, dir: &RunDir, frozen: &Frozen, created: (Now, Event)) -> Result<OwnedRun, Error> {
    let lock = RunLock::create(dir)?;
    let mut journal = Writer::create(dir, &lock)?;
    freeze_in(dir.path(), frozen)?;
    if let Some(prompts) = &frozen.prompts {
        freeze(&dir.prompts(), prompts)?;
    }
    if !frozen.called.is_empty() {
        let all = dir.all_called();
        files::make_dir(&all)?;
        for (index, called) in frozen.called.iter().enumerate() {
            let folder = dir.called(index);
            files::make_dir(&folder)?;
            freeze_in(&folder, called)?;
            files::sync_dir(&folder)?;
        }
        files::sync_dir(&all)?;
    }
    journal.append(&[created])?;
    // The first commit cannot go into the reserve: there is none before it.
    drop(journal.commit()?);
    files::sync_dir(dir.path())?;
    files::sync_dir(&home.runs())?;
    Ok(OwnedRun { dir: dir.clone(), journal, lock })
}

/// What a run was frozen with, for another one.
pub fn frozen(dir: &RunDir) -> Result<Frozen, Fault> {
    let mut frozen = frozen_in(dir.path())?;
    frozen.prompts = match files::read_capped(&dir.prompts(), PROMPTS_MAX) {
        Ok(prompts) => Some(prompts),
        Err(error) if error.trouble() == Trouble::Missing => None,
        Err(error) => return Err(error),
    };
    for index in 0.. {
        let folder = dir.called(index);
        if !folder.exists() {
            break;
        }
        frozen.called.push(frozen_in(&folder)?);
    }
    Ok(frozen)
}

fn frozen_in(folder: &Path) -> Result<Frozen, Fault> {
    let definition = files::read_capped(&folder.join(DEFINITION), FROZEN_MAX)?;
    let (skills, agents) = (named_in(&folder.join(SKILLS))?, named_in(&folder.join(AGENTS))?);
    Ok(Frozen { definition, skills, agents, ..Frozen::default() })
}

/// The files of a folder by name; none where it is not there.
fn named_in(folder: &Path) -> Result<BTreeMap<SafeName, Vec<u8>>, Fault> {
    let mut found = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(fault("list", folder)(error)),
    };
    for entry in entries {
        let file = entry.map_err(fault("list", folder))?.path();
        let name = file.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        if let Some(name) = name {
            found.insert(name, files::read_capped(&file, FROZEN_MAX)?);
        }
    }
    Ok(found)
}

/// Freezes one definition with its manifests and agents.
fn freeze_in(folder: &Path, frozen: &Frozen) -> Result<(), Fault> {
    freeze(&folder.join(DEFINITION), &frozen.definition)?;
    for (name, all) in [(SKILLS, &frozen.skills), (AGENTS, &frozen.agents)] {
        if all.is_empty() {
            continue;
        }
        let folder = folder.join(name);
        files::make_dir(&folder)?;
        for (name, text) in all {
            freeze(&folder.join(format!("{name}.json")), text)?;
        }
        files::sync_dir(&folder)?;
    }
    Ok(())
}

fn freeze(path: &Path, text: &[u8]) -> Result<(), Fault> {
    let file = files::open_private(path, OpenOptions::new().write(true).create_new(true))?;
    disk::write_all(&file, path, text)
        .and_then(|()| disk::sync_data(&file, path))
        .map_err(fault("write", path))
}

/// Takes over a run whose owner died: gives every record of its journal to `visit`, oldest first.
pub fn reopen(home: &Home, id: RunId, visit: impl FnMut(Record)) -> Result<OwnedRun, Error> {
    home.refuse_foreign()?;
    let dir = home.run(id);
    let lock = RunLock::try_take(&dir)?;
    let journal = Writer::reopen(&dir, &lock, visit)?;
    Ok(OwnedRun { dir, journal, lock })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::journal::{Reader, fixture};

    pub(in crate::store) fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("not/yet/there"));
        (dir, home)
    }

    pub(in crate::store) fn create_in(home: &Home) -> Result<OwnedRun, Error> {
        let (now, Event::RunCreated(created)) = fixture::created() else { unreachable!("it is one") };
        let skills = BTreeMap::from([("s".parse().unwrap(), b"[]".to_vec())]);
        let child = Frozen { definition: b"{}".to_vec(), skills, ..Frozen::default() };
        let called = vec![Frozen { agents: child.skills.clone(), ..child.clone() }];
        create(home, &Frozen { called, prompts: Some(b"{}".to_vec()), ..child }, now, *created)
    }

    fn read(run: &RunDir) -> Vec<Record> {
        Reader::open(run).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_run_is_made_owned_and_taken_over() {
        let (_dir, home) = home();
        let mut run = create_in(&home).unwrap();
        assert_eq!(std::fs::read(run.dir.definition()).unwrap(), b"{}");
        assert_eq!(std::fs::read(run.dir.called(0).join("skills/s.json")).unwrap(), b"[]");
        let again = frozen(&run.dir).unwrap();
        assert_eq!(
            (again.prompts.as_deref(), again.skills.len(), again.agents.len()),
            (Some(&b"{}"[..]), 1, 0)
        );
        assert_eq!(again.called[0].agents.values().collect::<Vec<_>>(), [b"[]"]);
        assert_eq!(read(&run.dir), fixture::records_of(&[fixture::created()]));
        assert!(lock::is_owned(&run.dir).unwrap());
        let taken = reopen(&home, fixture::run(), |_| ());
        assert!(matches!(taken, Err(Error::Lock(lock::Error::Owned(_)))));
        run.journal.append(&[fixture::stop()]).unwrap();
        assert!(matches!(run.journal.commit().unwrap(), journal::Space::Plenty));
        drop(run);

        let mut records = Vec::new();
        let run = reopen(&home, fixture::run(), |record| records.push(record)).unwrap();
        assert_eq!(records, fixture::records_of(&[fixture::created(), fixture::stop()]));
        run.journal.finish().unwrap();
        assert_eq!(read(&run.dir), records);
        assert_eq!(std::fs::read(run.dir.journal()).unwrap().last(), Some(&b'\n'));
    }

    #[test]
    fn the_same_run_is_not_made_twice() {
        let (_dir, home) = home();
        let run = create_in(&home).unwrap();
        let Err(Error::Fault(again)) = create_in(&home) else { panic!("made twice") };
        assert_eq!(again.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&run.dir).len(), 1, "and the first is untouched");
    }

    #[test]
    fn a_failed_creation_leaves_nothing() {
        let (_dir, home) = home();
        let (now, Event::RunCreated(mut created)) = fixture::created() else { unreachable!("it is one") };
        let huge = format!("\"{}\"", "x".repeat(journal::LINE_MAX));
        created.inputs.insert("huge".into(), schemas::json::Json::parse(&huge).unwrap());
        let refused = create(&home, &Frozen::default(), now, *created);
        assert!(matches!(refused, Err(Error::Journal(journal::Error::TooLong { .. }))));
        assert_eq!(std::fs::read_dir(home.runs()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_without_journal_was_never_created() {
        let (_dir, home) = home();
        files::ensure_dir(home.run(fixture::run()).path()).unwrap();
        let reopened = reopen(&home, fixture::run(), |_| ());
        assert!(matches!(reopened, Err(Error::Lock(lock::Error::NoRun(_)))));
        std::fs::File::create(home.run(fixture::run()).journal()).unwrap();
        let reopened = reopen(&home, fixture::run(), |_| ());
        assert!(matches!(reopened, Err(Error::Journal(journal::Error::Empty { .. }))));
    }
}
