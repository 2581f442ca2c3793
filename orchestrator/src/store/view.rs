//! `state.json`: the run view beside its journal, for readers in a hurry. It is derived: whoever finds it
//! missing, damaged or newer than he can read asks the journal.

use std::io::BufReader;

use schemas::view::{RunView, SCHEMA_VERSION};
use serde::{Deserialize, Serialize};

use super::{
    files::{self, Durability, Fault, Trouble, fault},
    home::RunDir,
};

/// A view larger than this is not read: folding the journal costs less memory.
const VIEW_MAX: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Replaces the view as a whole. It is not synced: after a loss of power it is derived again.
pub fn write<Steps: Serialize>(run: &RunDir, view: &RunView<Steps>) -> Result<(), Fault> {
    files::replace(&run.state(), Durability::Derived, |file| {
        serde_json::to_writer(&mut *file, view)?;
        std::io::Write::write_all(file, b"\n")
    })
}

/// Reads the view. `None`: there is none that can be understood, fold the journal instead.
pub fn read(run: &RunDir) -> Result<Option<RunView>, Fault> {
    let path = run.state();
    let file = match files::open_regular(&path) {
        Ok(file) => file,
        // Also if it is no file at all.
        Err(error) if matches!(error.trouble(), Trouble::Missing | Trouble::Other) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata().map_err(fault("look at", &path))?.len() > VIEW_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut BufReader::new(file), &mut bytes).map_err(fault("read", &path))?;
    Ok(parse(&bytes).filter(|view| view.run_id == run.id().to_string()))
}

fn parse(bytes: &[u8]) -> Option<RunView> {
    let version: Version = serde_json::from_slice(bytes).ok()?;
    if version.schema_version > SCHEMA_VERSION {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::atomic::AtomicBool};

    use jiff::Timestamp;
    use schemas::{
        json::Json,
        view::{RunStatus, Usage},
    };

    use super::*;
    use crate::store::{home::Home, names::RunId};

    /// A view of a run, for tests.
    pub(in crate::store) fn view_of(id: RunId, status: RunStatus) -> RunView {
        RunView {
            schema_version: SCHEMA_VERSION,
            run_id: id.to_string(),
            workflow: "simple-test".into(),
            version: "1.0.0".into(),
            status,
            scheduled_at: None,
            created_at: Timestamp::from_millisecond(1_790_000_000_000).unwrap(),
            started_at: None,
            finished_at: None,
            duration_ms: status.is_ended().then_some(12),
            trigger: "manual".into(),
            outputs: Json::parse("{}").unwrap(),
            error: None,
            isolation: None,
            usage: Usage::default(),
            steps: Vec::new(),
            rollback: Vec::new(),
        }
    }

    /// A run's directory in a home of its own.
    pub(in crate::store) fn run_dir() -> (tempfile::TempDir, RunDir) {
        run_dir_of(RunId::generate())
    }

    /// The directory of this run in a home of its own.
    pub(in crate::store) fn run_dir_of(id: RunId) -> (tempfile::TempDir, RunDir) {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().join("home")).run(id);
        files::ensure_dir(run.path()).unwrap();
        (dir, run)
    }

    #[track_caller]
    fn check_unread(content: &[u8]) {
        let (_dir, run) = run_dir();
        files::replace(&run.state(), Durability::Derived, |file| std::io::Write::write_all(file, content))
            .unwrap();
        assert_eq!(read(&run).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_understood_is_as_good_as_missing() {
        check_unread(b"");
        check_unread(b"garbage");
        check_unread(b"{\"schema_version\":1}");
        let (_dir, run) = run_dir();
        assert_eq!(read(&run).unwrap(), None);
        let view = view_of(run.id(), RunStatus::Running);
        let text = serde_json::to_string(&view).unwrap();
        check_unread(text.replace("\"schema_version\":1", "\"schema_version\":2").as_bytes());
        check_unread(&text.as_bytes()[..text.len() - 1]);
        // A view of another run.
        check_unread(text.as_bytes());
    }

    #[test]
    fn a_directory_in_its_place_is_as_good_as_missing() {
        let (_dir, run) = run_dir();
        files::ensure_dir(&run.state()).unwrap();
        assert_eq!(read(&run).unwrap(), None);
    }

    #[test]
    fn readers_always_find_a_whole_view() {
        let (_dir, run) = run_dir();
        let mut view = view_of(run.id(), RunStatus::Running);
        write(&run, &view).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(read(&run).unwrap().is_some());
                    seen += 1;
                }
                seen
            });
            for round in 0..300 {
                view.workflow = "x".repeat(round * 50);
                write(&run, &view).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(reader.join().unwrap() > 0);
        });
        assert_eq!(read(&run).unwrap(), Some(view));
        assert_eq!(std::fs::metadata(run.state()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
