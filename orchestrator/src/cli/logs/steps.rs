//! What the programs of a run wrote: a pair of files for each attempt.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use schemas::output::log::{LOG_VERSION, Level, LogLine, Stream};

use super::{Wanted, line::Printer, tail::Tail};
use crate::store::home::RunDir;

/// The streams of an attempt with the names of their files.
const FILES: [(Stream, &str); 2] = [(Stream::Stdout, "stdout.log"), (Stream::Stderr, "stderr.log")];

/// One attempt of one turn of a step, as its directory says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attempt {
    step: String,
    turns: Vec<u32>,
    number: u32,
}

/// The captured streams of a run.
#[derive(Debug)]
pub(super) struct Steps {
    run_id: String,
    root: PathBuf,
    /// Directories of steps that were seen.
    known: HashSet<PathBuf>,
    /// Streams by attempt: of steps in the order in which they were begun.
    open: BTreeMap<Attempt, Vec<(Stream, Source)>>,
}

/// A stream that may not be there yet.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    tail: Option<Tail>,
}
