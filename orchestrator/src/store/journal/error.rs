//! What can be wrong with a journal.

use std::path::{Path, PathBuf};

use schemas::{exit_code::ExitCode, journal::FORMAT_VERSION};

use super::line::LINE_MAX;
use crate::store::{files::Fault, names::RunId};

/// Why the journal was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is not what was written. Nothing was changed.
    #[error("read {}:{line}: the line is damaged", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// 1-based number of the line.
        line: u64,
        /// What is wrong with it.
        source: BadLine,
    },
    /// The format is one of the future. Nothing was changed.
    #[error(
        "read {}:1: format {found} was written by a newer q (this one knows formats up to {FORMAT_VERSION})",
        path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// The version that its first line names.
        found: u64,
    },
    /// The journal is that of another run.
    #[error("read {}: it is the journal of run {found:?}", path.display())]
    Foreign {
        /// The journal.
        path: PathBuf,
        /// The run that its first line names.
        found: String,
    },
    /// The journal has no whole line: the run was never created.
    #[error("read {}: it is empty, the run was never created", path.display())]
    Empty {
        /// The journal.
        path: PathBuf,
    },
    /// An event is longer than a line may be.
    #[error("write an event of {bytes} bytes into {}: at most {LINE_MAX} fit", path.display())]
    TooLong {
        /// The journal.
        path: PathBuf,
        /// Length of the event's line.
        bytes: usize,
    },
    /// An event could not be put into JSON.
    #[error("encode an event for {}", path.display())]
    Encode {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// An earlier write failed, so that nobody knows what the file holds beyond the last commit. This
    /// process never writes to it again.
    #[error("write {}: an earlier write failed", path.display())]
    Poisoned {
        /// The journal.
        path: PathBuf,
    },
    /// The lock at hand is that of another run.
    #[error("write the journal of run {wanted} with the lock of run {held}")]
    WrongLock {
        /// The run of the journal.
        wanted: RunId,
        /// The run of the lock.
        held: RunId,
    },
    /// A system call failed: [`Fault::trouble`] says of which kind.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// The exit code of a command that ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Engine
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            // The first line tells what the run is: without it there is nothing to keep.
            Self::Damaged { path, line: line @ 2.., .. } => {
                let run = path.parent().and_then(Path::file_name).unwrap_or_default();
                Some(format!(
                    "`q workflow doctor --run {} --truncate-at {line}` cuts it there, and says what is lost",
                    run.to_string_lossy()
                ))
            }
            Self::Newer { .. } => Some("use the version of q that started the run, or a newer one".into()),
            Self::Fault(fault) => fault.trouble().hint().map(Into::into),
            Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::Empty { .. }
            | Self::TooLong { .. }
            | Self::Encode { .. }
            | Self::Poisoned { .. }
            | Self::WrongLock { .. } => None,
        }
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// It does not end in a checksum.
    #[error("it does not end in a checksum")]
    NoChecksum,
    /// The checksum is not that of this line after the one before.
    #[error("its checksum is {found:08x}, that of the line after the one before is {computed:08x}")]
    Checksum {
        /// The one in the line.
        found: u32,
        /// The one of its bytes.
        computed: u32,
    },
    /// The checksum is right, but the content is not an event.
    #[error(transparent)]
    Content(#[from] serde_json::Error),
    /// The checksum is right, but the number is not the next one.
    #[error("its seq is {found} instead of {expected}")]
    Sequence {
        /// The one in the line.
        found: u64,
        /// The number of the line before and one.
        expected: u64,
    },
    /// The first line is not the creation of a run, or another one is.
    #[error("the creation of the run must be the first line and no other")]
    Creation,
    /// It is longer than any line that q writes.
    #[error("it is longer than {LINE_MAX} bytes")]
    TooLong,
}
