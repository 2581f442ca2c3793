//! Results of attempts: small ones stand in the journal, large ones in `output.json` of the attempt.

use std::{
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use schemas::{
    journal::{AttemptId, Output},
    json::Json,
};

use super::{
    files::{self, Durability, Fault, fault},
    home::RunDir,
    names,
};

/// Why a result was not stored or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The step's id cannot be a file name.
    #[error(transparent)]
    Name(#[from] names::Error),
    /// The journal names a path that leaves the run's directory.
    #[error("load an output from {path:?}: the path leaves the run's directory")]
    Escapes {
        /// The path.
        path: String,
    },
    /// The file is not as long as the journal says.
    #[error("load {}: {found} bytes instead of {expected}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The file does not hold one JSON value.
    #[error("load {}: it is not JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Stores a result where it belongs; a file is durable when this returns, as the journal will name it.
pub fn write(run: &RunDir, id: &AttemptId, value: &Json) -> Result<Output, Error> {
    if value.len() <= Output::INLINE_MAX {
        return Ok(Output::Inline(value.clone()));
    }
    let attempt = run.attempt(id)?;
    // Up to the run's own directory, which was made durable when the run was created.
    files::ensure_dir_durable(attempt.path())?;
    let path = attempt.output();
    files::replace(&path, Durability::Durable, |file| file.write_all(value.as_str().as_bytes()))?;
    let relative = attempt.relative().join("output.json");
    let path = relative.to_str().expect("the parts of the path are ASCII").to_owned();
    Ok(Output::File { path, bytes: value.len() as u64, value: Some(value.clone()) })
}

/// Loads a result.
pub fn load(run: &RunDir, output: &Output) -> Result<Json, Error> {
    match output {
        Output::Inline(value) => Ok(value.clone()),
        Output::File { path, bytes, .. } => load_file(&file_of(run, path)?, *bytes),
    }
}

/// The file of a result that is not in the journal, checked to lie in the run's directory.
fn file_of(run: &RunDir, relative: &str) -> Result<PathBuf, Error> {
    let stays_inside = Path::new(relative).components().all(|part| matches!(part, Component::Normal(_)));
    if stays_inside && !relative.is_empty() {
        Ok(run.path().join(relative))
    } else {
        Err(Error::Escapes { path: relative.to_owned() })
    }
}

fn load_file(path: &Path, expected: u64) -> Result<Json, Error> {
    let file = files::open_regular(path)?;
    let found = file.metadata().map_err(fault("look at", path))?.len();
    let wrong_length = |found| Error::Length { path: path.to_owned(), expected, found };
    if found != expected {
        return Err(wrong_length(found));
    }
    let capacity = usize::try_from(expected).map_err(io::Error::other).map_err(fault("read", path))?;
    let mut text = String::with_capacity(capacity);
    let read = file.take(expected).read_to_string(&mut text).map_err(fault("read", path))?;
    if read != capacity {
        return Err(wrong_length(read as u64));
    }
    Json::parse(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::view::tests::run_dir;

    const INLINE_MAX: usize = Output::INLINE_MAX;

    fn attempt() -> AttemptId {
        AttemptId { step: "fetch".into(), turn: vec![1, 2], attempt: 3 }
    }

    fn value(bytes: usize) -> Json {
        Json::parse(&format!("\"{}\"", "x".repeat(bytes - 2))).unwrap()
    }

    #[track_caller]
    fn check(bytes: usize, inline: bool) {
        let (_dir, run) = run_dir();
        let output = write(&run, &attempt(), &value(bytes)).unwrap();
        assert_eq!(matches!(output, Output::Inline(_)), inline);
        assert_eq!(load(&run, &output).unwrap(), value(bytes));
        assert_eq!(run.path().join("steps").exists(), !inline);
    }

    #[test]
    fn large_values_go_into_a_file() {
        check(2, true);
        check(INLINE_MAX, true);
        check(INLINE_MAX + 1, false);
        check(5 * INLINE_MAX, false);
    }

    #[test]
    fn the_journal_names_a_relative_path() {
        let (_dir, run) = run_dir();
        let output = write(&run, &attempt(), &value(INLINE_MAX + 1)).unwrap();
        let path = "steps/fetch@1.2/3/output.json".to_owned();
        let value = Some(value(INLINE_MAX + 1));
        assert_eq!(output, Output::File { path, bytes: INLINE_MAX as u64 + 1, value });
    }

    #[test]
    fn paths_that_leave_the_run_are_refused() {
        let (_dir, run) = run_dir();
        for path in ["../x", "/etc/passwd", "steps/../../x", "./x", ""] {
            let output = Output::File { path: path.into(), bytes: 1, value: None };
            assert!(matches!(load(&run, &output), Err(Error::Escapes { .. })), "{path}");
        }
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let (_dir, run) = run_dir();
        let output = write(&run, &attempt(), &value(INLINE_MAX + 1)).unwrap();
        let path = run.attempt(&attempt()).unwrap().output();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(100).unwrap();
        assert!(matches!(load(&run, &output), Err(Error::Length { found: 100, .. })));
        file.set_len(INLINE_MAX as u64 + 1).unwrap();
        assert!(matches!(load(&run, &output), Err(Error::Json { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(load(&run, &output), Err(Error::Fault(_))));
    }
}
