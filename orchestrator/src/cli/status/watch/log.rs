//! The end of what an attempt wrote: its two streams, the one that was written to last behind the other.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    time::SystemTime,
};

use schemas::journal::AttemptId;

use crate::{
    store::{files, home::RunDir},
    ui::text::escape,
};

/// As much of each stream's end is shown.
const TAIL: u64 = 64 * 1024;

/// The last lines of an attempt.
pub(super) fn read(dir: &RunDir, id: &AttemptId) -> Vec<String> {
    let Ok(attempt) = dir.attempt(id) else { return Vec::new() };
    let mut streams: Vec<_> = [(attempt.stdout(), '|'), (attempt.stderr(), '!')]
        .iter()
        .filter_map(|(path, mark)| tail(path, *mark))
        .collect();
    streams.sort_by_key(|(written, _)| *written);
    streams.into_iter().flat_map(|(_, lines)| lines).collect()
}

/// When a stream was last written to, and its last lines. A silent stream has no file.
fn tail(path: &Path, mark: char) -> Option<(SystemTime, Vec<String>)> {
    let mut file = files::open_regular(path).ok()?;
    let metadata = file.metadata().ok()?;
    let skipped = metadata.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(skipped)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // The first one is the end of a line where something was skipped.
    let lines = text.lines().skip(usize::from(skipped > 0));
    Some((metadata.modified().ok()?, lines.map(|line| format!("{mark} {}", escape(line))).collect()))
}
