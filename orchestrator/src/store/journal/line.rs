//! One line of the journal.
//!
//! ```text
//! {"seq":2,"ts":"…","up_us":12,"event":{"run_started":{…}},"crc":"1c291ca3"}
//! ```
//!
//! `crc` is the CRC-32 (IEEE) of the eight digits of the line before (`00000000` before the first) followed
//! by the line without its `,"crc":"…"`. A lost, doubled, moved or foreign line therefore does not fit.

use std::io::Write as _;

use jiff::Timestamp;
use schemas::journal::{Event, Now};
use serde::{Deserialize, Serialize};

use super::error::BadLine;

/// Cap on the length of a line, its line feed included.
pub const LINE_MAX: usize = 24 * 1024 * 1024;

/// `,"crc":"` + 8 digits + `"}`.
const TAIL: usize = 18;
const TAIL_OPENING: &[u8] = b",\"crc\":\"";
const TAIL_CLOSING: &[u8] = b"\"}";

/// The place of a line: what the next one continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Link {
    /// `seq` of the last line; 0 before the first.
    pub(super) seq: u64,
    /// Its checksum.
    pub(super) crc: u32,
}

/// One event with its place and moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// 1-based number in the journal.
    pub seq: u64,
    /// When it happened.
    pub now: Now,
    /// What happened.
    pub event: Event,
}

#[derive(Serialize)]
struct Written<'a> {
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    format_version: Option<u32>,
    ts: &'a Timestamp,
    up_us: u64,
    event: &'a Event,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    ts: Timestamp,
    up_us: u64,
    event: Event,
}

#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

/// Appends the line of an event, with its line feed, to `buffer`; gives the link for the next one.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    last: Link,
    now: Now,
    event: &Event,
) -> Result<Link, serde_json::Error> {
    let start = buffer.len();
    let seq = last.seq + 1;
    let written =
        Written { seq, format_version: format_version(event), ts: &now.wall, up_us: now.up_us, event };
    serde_json::to_writer(&mut *buffer, &written)?;
    // Values that only pass through keep the white space of whoever wrote them. Inside of strings JSON has
    // no raw control characters, so these stand between tokens.
    for byte in &mut buffer[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    let crc = checksum(last, &[&buffer[start..]]);
    buffer.pop();
    buffer.extend_from_slice(TAIL_OPENING);
    write!(buffer, "{crc:08x}").expect("writing to a Vec does not fail");
    buffer.extend_from_slice(TAIL_CLOSING);
    buffer.push(b'\n');
    Ok(Link { seq, crc })
}

/// Decodes a line without its line feed, as the one after `last`.
pub(super) fn decode(line: &[u8], last: Link) -> Result<(Record, Link), BadLine> {
    let (body, found) = split(line).ok_or(BadLine::NoChecksum)?;
    let computed = checksum(last, &[body, b"}"]);
    if found != computed {
        return Err(BadLine::Checksum { found, computed });
    }
    let stored: Stored = serde_json::from_slice(line)?;
    let expected = last.seq + 1;
    if stored.seq != expected {
        return Err(BadLine::Sequence { found: stored.seq, expected });
    }
    if matches!(stored.event, Event::RunCreated(_)) != (expected == 1) {
        return Err(BadLine::Creation);
    }
    let now = Now { wall: stored.ts, up_us: stored.up_us };
    Ok((Record { seq: stored.seq, now, event: stored.event }, Link { seq: stored.seq, crc: found }))
}

/// The format version that a first line names, before anything else of it is understood.
pub(super) fn version_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Version>(line).ok().map(|version| version.format_version)
}

fn format_version(event: &Event) -> Option<u32> {
    match event {
        Event::RunCreated(created) => Some(created.format_version),
        Event::RunStarted { .. }
        | Event::AttemptEnded(_)
        | Event::AttemptStopping { .. }
        | Event::RetryDue { .. }
        | Event::RunTimedOut
        | Event::StopRequested { .. }
        | Event::RunResumed => None,
    }
}

fn checksum(last: Link, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(format!("{:08x}", last.crc).as_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// Splits a line into what stands before the checksum, and the checksum.
fn split(line: &[u8]) -> Option<(&[u8], u32)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let digits = tail.strip_prefix(TAIL_OPENING)?.strip_suffix(TAIL_CLOSING)?;
    // Exactly the digits that are written: no sign, no upper case.
    if !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let crc = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((body, crc))
}
