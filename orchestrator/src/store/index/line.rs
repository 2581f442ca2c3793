//! One line of the index.
//!
//! ```text
//! {"v":1,"run_id":"…","first":true,"workflow":"…","version":"…","status":"queued","trigger":"manual",…}
//! {"v":1,"run_id":"…","deleted":true}
//! {"v":1,"compacted_bytes":123}
//! ```
//!
//! The last line of a run wins; the place of its `first` line is its place in the order of creation. Lines
//! exactly as q writes them are read by hand, a few times faster than any JSON is parsed; all others by serde.

use std::borrow::Cow;

use schemas::view::RunStatus;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Filter};
use crate::store::names::RunId;

const VERSION: u32 = 1;
const OPENING: &str = "{\"v\":1,\"run_id\":\"";
const FIRST: &str = "\"first\":true,";
const ID_LENGTH: usize = 36;

/// What a line says of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It stands so.
    Stands(Entry),
    /// It was deleted, or is not wanted.
    Nothing,
}

/// Whether a line is the first of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Later,
}

/// The line of a run. The order of the fields is that of [`quick`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    #[serde(borrow, default)]
    started_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    finished_at: Option<Cow<'a, str>>,
    #[serde(default)]
    duration_ms: Option<u64>,
}

/// A line about a deleted run, or the header.
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
    let moment = |at: jiff::Timestamp| Cow::Owned(at.to_string());
    line(&RunLine {
        v: VERSION,
        run_id: entry.run_id.to_string().into(),
        first: place == Place::First,
        workflow: entry.workflow.as_str().into(),
        version: entry.version.as_str().into(),
        status: entry.status,
        trigger: entry.trigger.as_str().into(),
        created_at: moment(entry.created_at),
        started_at: entry.started_at.map(moment),
        finished_at: entry.finished_at.map(moment),
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
pub(super) fn peek(line: &[u8]) -> Option<(RunId, Place)> {
    let quick = || {
        let (id, rest) = line.strip_prefix(OPENING.as_bytes())?.split_at_checked(ID_LENGTH)?;
        let first = rest.strip_prefix(b"\",")?.starts_with(FIRST.as_bytes());
        Some((RunId::from_ascii(id)?, first))
    };
    let slow = || {
        let other: OtherLine<'_> = serde_json::from_slice(line).ok()?;
        Some((other.run_id?.parse().ok()?, other.first))
    };
    let (run, first) = quick().or_else(slow)?;
    Some((run, if first { Place::First } else { Place::Later }))
}

/// What a line says of its run to somebody who looks for certain ones; `None` if it does not parse.
pub(super) fn parse(line: &[u8], filter: &Filter) -> Option<Said> {
    let quickly = std::str::from_utf8(line).ok().and_then(quick);
    if let Some(run) = quickly.or_else(|| serde_json::from_slice(line).ok()) {
        let is_wanted = filter.wants(&run.workflow, run.status, || run.created_at.parse().ok())?;
        return if is_wanted { run.into_entry().map(Said::Stands) } else { Some(Said::Nothing) };
    }
    let other: OtherLine<'_> = serde_json::from_slice(line).ok()?;
    other.deleted.then_some(Said::Nothing)
}

/// The length that the header of an index tells; 0 without one.
pub(super) fn compacted_bytes(line: &[u8]) -> u64 {
    serde_json::from_slice::<OtherLine<'_>>(line).ok().and_then(|header| header.compacted_bytes).unwrap_or(0)
}

impl RunLine<'_> {
    fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            run_id: self.run_id.parse().ok()?,
            workflow: self.workflow.into_owned(),
            version: self.version.into_owned(),
            status: self.status,
            trigger: self.trigger.into_owned(),
            created_at: self.created_at.parse().ok()?,
            started_at: self.started_at.map(|at| at.parse()).transpose().ok()?,
            finished_at: self.finished_at.map(|at| at.parse()).transpose().ok()?,
            duration_ms: self.duration_ms,
        })
    }
}

/// Reads the line of a run that is exactly as [`run_line`] writes it, and has nothing escaped.
fn quick(line: &str) -> Option<RunLine<'_>> {
    let mut rest = line.strip_prefix(OPENING)?;
    let run_id = text(&mut rest)?;
    rest = rest.strip_prefix(',')?;
    let first = rest.starts_with(FIRST);
    rest = rest.strip_prefix(FIRST).unwrap_or(rest).strip_prefix("\"workflow\":\"")?;
    let workflow = text(&mut rest)?;
    rest = rest.strip_prefix(",\"version\":\"")?;
    let version = text(&mut rest)?;
    rest = rest.strip_prefix(",\"status\":\"")?;
    let status = text(&mut rest)?;
    rest = rest.strip_prefix(",\"trigger\":\"")?;
    let trigger = text(&mut rest)?;
    rest = rest.strip_prefix(",\"created_at\":\"")?;
    let created_at = text(&mut rest)?;
    rest = rest.strip_prefix(",\"started_at\":")?;
    let started_at = text_or_null(&mut rest).ok()?;
    rest = rest.strip_prefix(",\"finished_at\":")?;
    let finished_at = text_or_null(&mut rest).ok()?;
    let duration = rest.strip_prefix(",\"duration_ms\":")?.strip_suffix('}')?;
    Some(RunLine {
        v: VERSION,
        run_id: run_id.into(),
        first,
        workflow: workflow.into(),
        version: version.into(),
        status: *RunStatus::ALL.iter().find(|known| known.as_str() == status)?,
        trigger: trigger.into(),
        created_at: created_at.into(),
        started_at: started_at.map(Cow::Borrowed),
        finished_at: finished_at.map(Cow::Borrowed),
        duration_ms: number_or_null(duration).ok()?,
    })
}

/// Takes the rest of a string and its closing quote; `None` if something in it is escaped.
fn text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
    let (text, after) = rest.split_at(end);
    *rest = after.strip_prefix('"')?;
    Some(text)
}

/// The line is not as q writes it.
struct Unusual;

fn text_or_null<'a>(rest: &mut &'a str) -> Result<Option<&'a str>, Unusual> {
    if let Some(after) = rest.strip_prefix("null") {
        *rest = after;
        return Ok(None);
    }
    *rest = rest.strip_prefix('"').ok_or(Unusual)?;
    text(rest).map(Some).ok_or(Unusual)
}

fn number_or_null(text: &str) -> Result<Option<u64>, Unusual> {
    if text == "null" { Ok(None) } else { text.parse().map(Some).map_err(|_| Unusual) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::view::tests::view_of;

    fn entry(workflow: &str, status: RunStatus) -> Entry {
        let mut view = view_of(RunId::generate(), status);
        view.workflow = workflow.into();
        view.started_at = status.is_ended().then_some(view.created_at);
        Entry::of(&view).unwrap()
    }

    #[track_caller]
    fn check(workflow: &str, is_quick: bool) {
        for place in [Place::First, Place::Later] {
            for status in RunStatus::ALL {
                let entry = entry(workflow, *status);
                let line = run_line(&entry, place).unwrap();
                let line = line.strip_suffix(b"\n").unwrap();
                let text = std::str::from_utf8(line).unwrap();
                let read: RunLine<'_> = serde_json::from_str(text).unwrap();
                assert_eq!(quick(text), is_quick.then_some(read));
                assert_eq!(peek(line), Some((entry.run_id, place)));
                assert_eq!(parse(line, &Filter::default()), Some(Said::Stands(entry)));
            }
        }
    }

    #[test]
    fn lines_are_read_by_hand_as_by_serde() {
        check("simple-test", true);
        check("Zoë", true);
        check("", true);
        check("a\"b\\c\nd", false);
    }

    #[test]
    fn changed_lines_are_not_read_by_hand() {
        let line = run_line(&entry("w", RunStatus::Completed), Place::First).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert!(quick(text.trim_end()).is_some());
        for (from, to) in
            [(",\"v", ", \"v"), ("completed", "done"), ("null", "nil"), ("12}", "1x}"), ("}", "")]
        {
            assert_eq!(quick(text.trim_end().replace(from, to).as_str()), None, "{from} to {to}");
        }
    }

    #[track_caller]
    fn check_filter(filter: &Filter, status: RunStatus, wanted: bool) {
        let line = run_line(&entry("w", status), Place::First).unwrap();
        let said = parse(line.strip_suffix(b"\n").unwrap(), filter).unwrap();
        assert_eq!(matches!(said, Said::Stands(_)), wanted, "{filter:?} {status}");
    }

    #[test]
    fn filters_leave_what_is_wanted_or_unsure() {
        use RunStatus::{Completed, Failed, Interrupted, Running};
        let workflow = |name: &str| Filter { workflow: Some(name.into()), ..Filter::default() };
        check_filter(&workflow("w"), Failed, true);
        check_filter(&workflow("x"), Failed, false);
        let status = |status| Filter { status: Some(status), ..Filter::default() };
        check_filter(&status(Failed), Failed, true);
        check_filter(&status(Failed), Completed, false);
        check_filter(&status(Failed), Running, true);
        check_filter(&status(Interrupted), Running, true);
        check_filter(&status(Interrupted), Completed, false);
        let created = entry("w", Failed).created_at;
        let since = |since| Filter { since: Some(since), ..Filter::default() };
        check_filter(&since(created), Failed, true);
        check_filter(&since(created + jiff::Span::new().milliseconds(1)), Failed, false);
    }
}
