//! One line of the index.
//!
//! ```text
//! {"v":1,"run_id":"…","first":true,"workflow":"…","version":"…","status":"queued","trigger":"manual",…}
//! {"v":1,"run_id":"…","deleted":true}
//! {"v":1,"compacted_bytes":123}
//! ```
//!
//! The last line of a run wins; the place of its `first` line is its place in the order of creation.

use std::borrow::Cow;

use jiff::Timestamp;
use schemas::view::{RunStatus, RunView};
use serde::{Deserialize, Serialize};

use crate::store::names::RunId;

const VERSION: u32 = 1;
const OPENING: &[u8] = b"{\"v\":1,\"run_id\":\"";
const FIRST: &[u8] = b"\",\"first\":true,";
const ID_LENGTH: usize = 36;

/// What the index knows of a run: a row of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the run.
    pub run_id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Version of the workflow.
    pub version: String,
    /// Where the run stood when the line was written. If that is not an end, only the run itself knows
    /// better: its owner may have died.
    pub status: RunStatus,
    /// `manual`, `schedule:<id>` or `workflow:<run>`.
    pub trigger: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first step could start.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Time from start to end by the monotonic clock.
    pub duration_ms: Option<u64>,
}

impl Entry {
    /// The row of a run view; `None` if its id is none.
    pub fn of(view: &RunView) -> Option<Self> {
        Some(Self {
            run_id: view.run_id.parse().ok()?,
            workflow: view.workflow.clone(),
            version: view.version.clone(),
            status: view.status,
            trigger: view.trigger.clone(),
            created_at: view.created_at,
            started_at: view.started_at,
            finished_at: view.finished_at,
            duration_ms: view.duration_ms,
        })
    }
}

/// What a line says of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Stands(Entry),
    Deleted,
}

impl Said {
    pub(super) fn entry(self) -> Option<Entry> {
        match self {
            Self::Stands(entry) => Some(entry),
            Self::Deleted => None,
        }
    }
}

/// Whether a line is the first of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Later,
}

#[derive(Serialize, Deserialize)]
struct RunLine<'a> {
    v: u32,
    #[serde(borrow)]
    run_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_false")]
    first: bool,
    #[serde(borrow)]
    workflow: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    status: RunStatus,
    #[serde(borrow)]
    trigger: Cow<'a, str>,
    created_at: Timestamp,
    #[serde(default)]
    started_at: Option<Timestamp>,
    #[serde(default)]
    finished_at: Option<Timestamp>,
    #[serde(default)]
    duration_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct OtherLine<'a> {
    v: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    run_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_false")]
    first: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compacted_bytes: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The line of a run, with its line feed.
pub(super) fn run_line(entry: &Entry, place: Place) -> Result<Vec<u8>, serde_json::Error> {
    line(&RunLine {
        v: VERSION,
        run_id: entry.run_id.to_string().into(),
        first: place == Place::First,
        workflow: entry.workflow.as_str().into(),
        version: entry.version.as_str().into(),
        status: entry.status,
        trigger: entry.trigger.as_str().into(),
        created_at: entry.created_at,
        started_at: entry.started_at,
        finished_at: entry.finished_at,
        duration_ms: entry.duration_ms,
    })
}

/// The line that a deleted run leaves.
pub(super) fn deleted_line(run: RunId) -> Result<Vec<u8>, serde_json::Error> {
    let run_id = Some(run.to_string().into());
    line(&OtherLine { v: VERSION, run_id, first: false, deleted: true, compacted_bytes: None })
}

/// The first line of an index: how long it was when it held one line a run.
pub(super) fn header_line(compacted_bytes: u64) -> Result<Vec<u8>, serde_json::Error> {
    let compacted_bytes = Some(compacted_bytes);
    line(&OtherLine { v: VERSION, run_id: None, first: false, deleted: false, compacted_bytes })
}

fn line<T: Serialize>(content: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(content)?;
    line.push(b'\n');
    Ok(line)
}

/// Which run a line is about, and at which place; `None` for the header and for what does not parse.
///
/// Most lines of an index are superseded. For those as q writes them no JSON is parsed.
pub(super) fn peek(line: &[u8]) -> Option<(RunId, Place)> {
    let quick = || {
        let (id, rest) = line.strip_prefix(OPENING)?.split_at_checked(ID_LENGTH)?;
        let place = if rest.starts_with(FIRST) { Place::First } else { Place::Later };
        Some((RunId::from_ascii(id)?, place))
    };
    quick().or_else(|| {
        let other: OtherLine<'_> = serde_json::from_slice(line).ok()?;
        let place = if other.first { Place::First } else { Place::Later };
        Some((other.run_id?.parse().ok()?, place))
    })
}

/// What a line says of its run; `None` if it does not parse.
pub(super) fn parse(line: &[u8]) -> Option<Said> {
    if let Ok(run) = serde_json::from_slice::<RunLine<'_>>(line) {
        return Some(Said::Stands(Entry {
            run_id: run.run_id.parse().ok()?,
            workflow: run.workflow.into_owned(),
            version: run.version.into_owned(),
            status: run.status,
            trigger: run.trigger.into_owned(),
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            duration_ms: run.duration_ms,
        }));
    }
    let other: OtherLine<'_> = serde_json::from_slice(line).ok()?;
    other.deleted.then_some(Said::Deleted)
}

/// The length that the header of an index tells; 0 without one.
pub(super) fn compacted_bytes(line: &[u8]) -> u64 {
    serde_json::from_slice::<OtherLine<'_>>(line).ok().and_then(|header| header.compacted_bytes).unwrap_or(0)
}
