//! From what a user types to a run: a whole id, any unique prefix of one, or `@last`.

use std::io;

use schemas::exit_code::ExitCode;

use super::{
    files::{Fault, fault},
    home::Home,
    index::{self, Filter, Index},
    names::RunId,
};

/// How many candidates of an ambiguous prefix are told.
const CANDIDATES_MAX: usize = 10;

/// Why no run was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No run has such an id.
    #[error("find a run {text:?}")]
    Unknown {
        /// What was typed, as far as a message can bear it.
        text: String,
    },
    /// There is no run at all, so none is the last.
    #[error("find the last run: there is none yet")]
    NoRuns,
    /// Several runs' ids begin so.
    #[error("find one run {text:?}: {count} runs begin so")]
    Ambiguous {
        /// What was typed.
        text: String,
        /// How many begin so.
        count: usize,
        /// The newest of them, newest first.
        candidates: Vec<RunId>,
    },
    /// The index was not read.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// The exit code of a command that ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unknown { .. } | Self::NoRuns | Self::Ambiguous { .. } => ExitCode::NotFound,
            Self::Index(_) | Self::Fault(_) => ExitCode::Engine,
        }
    }
}

/// Finds the run that `text` means. A prefix may leave out the hyphens and use upper case.
pub fn resolve(home: &Home, text: &str) -> Result<RunId, Error> {
    if text == "@last" {
        return last(home);
    }
    let unknown = || Error::Unknown { text: text.chars().take(64).collect() };
    if let Ok(id) = text.parse() {
        return if exists(home, id) { Ok(id) } else { Err(unknown()) };
    }
    let prefix = normalize(text).ok_or_else(unknown)?;
    let begins_so = |id: &RunId| id.to_string().replace('-', "").starts_with(&prefix);
    let mut found: Vec<_> = run_ids(home)?.into_iter().filter(begins_so).collect();
    found.retain(|id| exists(home, *id));
    match found[..] {
        [] => Err(unknown()),
        [id] => Ok(id),
        [_, _, ..] => {
            found.sort_unstable_by(|a, b| b.cmp(a));
            let count = found.len();
            found.truncate(CANDIDATES_MAX);
            Err(Error::Ambiguous { text: text.to_owned(), count, candidates: found })
        }
    }
}

/// The ids of all directories in `runs/`, in no order. Their names are read, not the runs.
pub(super) fn run_ids(home: &Home) -> Result<Vec<RunId>, Fault> {
    let path = home.runs();
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("list", &path)(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault("list", &path))?.file_name();
        ids.extend(name.to_str().and_then(|name| name.parse::<RunId>().ok()));
    }
    Ok(ids)
}

/// The newest run by the order of the index; without an index, by the order of the ids.
fn last(home: &Home) -> Result<RunId, Error> {
    let indexed = Index::new(home).newest(1, &Filter::default(), |entry| exists(home, entry.run_id))?;
    if let Some(entry) = indexed.and_then(|entries| entries.into_iter().next()) {
        return Ok(entry.run_id);
    }
    run_ids(home)?.into_iter().filter(|id| exists(home, *id)).max().ok_or(Error::NoRuns)
}

/// A run whose creation was cut short has a directory but no journal: it does not exist.
fn exists(home: &Home, id: RunId) -> bool {
    std::fs::metadata(home.run(id).journal()).is_ok_and(|journal| journal.len() > 0)
}

/// The hexadecimal digits of a prefix; `None` if it cannot be one.
fn normalize(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let is_prefix = (1..=32).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_prefix.then_some(digits)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::view::RunStatus;

    use super::*;
    use crate::store::{
        files::{self, Durability},
        index::Entry,
        view::tests::view_of,
    };

    const A: &str = "01997b1c-8a4e-7000-8000-000000000001";
    const B: &str = "01997b1c-8a4e-7000-8000-0000000000a2";
    const C: &str = "01997b1d-0000-7000-8000-000000000003";
    const UNBORN: &str = "01997b1e-0000-7000-8000-000000000004";

    fn home_with(ids: &[&str]) -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        for id in ids {
            let run = home.run(id.parse().unwrap());
            files::ensure_dir(run.path()).unwrap();
            if *id != UNBORN {
                files::replace(&run.journal(), Durability::Derived, |file| io::Write::write_all(file, b"x"))
                    .unwrap();
            }
        }
        (dir, home)
    }

    /// Checks what a text means among `A`, `B` and `C`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let (_dir, home) = home_with(&[A, B, C, UNBORN]);
        let found = match resolve(&home, text) {
            Ok(id) => id.to_string(),
            Err(error @ Error::Ambiguous { .. }) => {
                assert_eq!(error.exit_code(), ExitCode::NotFound);
                let Error::Ambiguous { count, candidates, .. } = error else { return };
                let candidates: Vec<_> = candidates.iter().map(RunId::to_string).collect();
                format!("{count}: {}", candidates.join(" "))
            }
            Err(other) => other.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn prefixes_mean_one_run_or_none() {
        check(A, A);
        check(&A[..35], A);
        check(&B[..35], B);
        check("01997b1d", C);
        check("01997b1d-", C);
        check("01997B1D-0", C);
        check("01997b1d0000", C);
        check("01997b1c", &format!("2: {B} {A}"));
        check("0", &format!("3: {C} {B} {A}"));
        check(UNBORN, &format!("find a run {UNBORN:?}"));
        check("01997b1e", "find a run \"01997b1e\"");
        check("", "find a run \"\"");
        check("-", "find a run \"-\"");
        check("xyz", "find a run \"xyz\"");
        check("../..", "find a run \"../..\"");
        check("@first", "find a run \"@first\"");
        check(&format!("{A}0"), &format!("find a run \"{A}0\""));
    }

    #[test]
    fn last_is_the_newest_by_index_order() {
        let (_dir, home) = home_with(&[A, B, C]);
        assert_eq!(resolve(&home, "@last").unwrap().to_string(), C, "without an index, by id");
        let index = Index::new(&home);
        index.rebuild(|run| Some(view_of(run.id(), RunStatus::Running))).unwrap();
        assert_eq!(resolve(&home, "@last").unwrap().to_string(), C);
        // A clock that was set back gives a later run a smaller id.
        let early: RunId = "00000000-0000-7000-8000-000000000009".parse().unwrap();
        let mut view = view_of(early, RunStatus::Queued);
        view.created_at = Timestamp::UNIX_EPOCH;
        index.created(&Entry::of(&view).unwrap()).unwrap();
        assert_eq!(resolve(&home, "@last").unwrap().to_string(), C, "it has no directory");
        files::ensure_dir(home.run(early).path()).unwrap();
        files::replace(&home.run(early).journal(), Durability::Derived, |file| {
            io::Write::write_all(file, b"x")
        })
        .unwrap();
        assert_eq!(resolve(&home, "@last").unwrap(), early);
    }

    #[test]
    fn without_runs_none_is_the_last() {
        let (_dir, home) = home_with(&[]);
        let error = resolve(&home, "@last").unwrap_err();
        assert!(matches!(error, Error::NoRuns));
        assert_eq!(error.exit_code(), ExitCode::NotFound);
        assert!(!home.path().exists(), "asking makes nothing");
    }

    #[test]
    fn only_some_candidates_are_told() {
        let ids: Vec<_> = (0..25).map(|n| format!("01997b1c-8a4e-7000-8000-0000000000{n:02}")).collect();
        let (_dir, home) = home_with(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        match resolve(&home, "01997") {
            Err(Error::Ambiguous { count: 25, candidates, .. }) => {
                assert_eq!(candidates.len(), CANDIDATES_MAX);
                assert_eq!(candidates[0].to_string(), ids[24]);
            }
            other => panic!("{other:?}"),
        }
    }
}
