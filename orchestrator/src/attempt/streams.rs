//! The read ends of a step's stdout, stderr and events: read concurrently, kept in files, capped.

use std::{io, os::fd::OwnedFd, rc::Rc};

use tokio::net::unix::pipe;
use workflow_engine::verdict::parse_output;

use super::Said;
use crate::{
    errors::in_one_line,
    mask::{self, Masker},
    store::capture::Capture,
};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Longest line on the events descriptor.
const EVENT_LINE: usize = 64 * 1024;

/// What was read.
#[derive(Debug)]
pub(super) enum Read {
    /// Some output.
    Some,
    /// Events of the program.
    Events(Vec<Said>),
    /// stdout came to its end.
    StdoutClosed,
}

/// The three streams.
#[derive(Debug)]
pub(super) struct Streams {
    stdout: Stream,
    stderr: Stream,
    events: Option<Events>,
    chunk: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Stream {
    pipe: Option<pipe::Receiver>,
    capture: Option<Capture>,
    /// What the capture sees goes through it.
    mask: Option<mask::Stream>,
    /// What is kept for the result: all of it up to the cap.
    kept: Vec<u8>,
    cap: usize,
    over: bool,
    /// Why the file does not hold everything.
    lost: Option<String>,
}

#[derive(Debug)]
struct Events {
    pipe: Option<pipe::Receiver>,
    line: Vec<u8>,
    /// The current line is over the cap: the rest of it is passed over.
    skip: bool,
}

impl Streams {
    pub(super) fn new(
        stdout: (OwnedFd, Capture),
        stderr: (OwnedFd, Capture),
        events: Option<OwnedFd>,
        caps: (usize, usize),
        masker: Option<&Rc<Masker>>,
    ) -> io::Result<Self> {
        let stream = |(fd, capture): (OwnedFd, Capture), cap| {
            io::Result::Ok(Stream {
                pipe: Some(receiver(fd)?),
                capture: Some(capture),
                mask: masker.map(|masker| mask::Stream::new(Rc::clone(masker))),
                kept: Vec::new(),
                cap,
                over: false,
                lost: None,
            })
        };
        Ok(Self {
            stdout: stream(stdout, caps.0)?,
            stderr: stream(stderr, caps.1)?,
            events: events
                .map(|fd| io::Result::Ok(Events { pipe: Some(receiver(fd)?), line: Vec::new(), skip: false }))
                .transpose()?,
            chunk: vec![0; CHUNK].into(),
        })
    }

    /// Those of a process that has none.
    pub(super) fn silent() -> Self {
        Self { stdout: Stream::default(), stderr: Stream::default(), events: None, chunk: Box::default() }
    }

    /// Whether anything can still come.
    pub(super) fn is_open(&self) -> bool {
        let events = self.events.as_ref().is_some_and(|events| events.pipe.is_some());
        self.stdout.pipe.is_some() || self.stderr.pipe.is_some() || events
    }

    /// Whether stdout is over its cap.
    pub(super) fn is_over_cap(&self) -> bool {
        self.stdout.over
    }

    /// Whether what came on stdout is one JSON value.
    pub(super) fn stdout_is_json(&self) -> bool {
        parse_output(&self.stdout.kept).is_ok()
    }

    /// What came on stdout and is kept.
    pub(super) fn stdout(&self) -> &[u8] {
        &self.stdout.kept
    }

    /// What came on stderr and is kept.
    pub(super) fn stderr(&self) -> &[u8] {
        &self.stderr.kept
    }

    /// Captures what was held back, because it could have been the beginning of a secret.
    pub(super) fn finish(&mut self) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            if let Some(mut mask) = stream.mask.take() {
                let mut rest = Vec::new();
                mask.finish(&mut rest);
                stream.capture(&rest);
            }
        }
    }

    /// Why a file does not hold everything that came, if so.
    pub(super) fn lost(&mut self) -> Option<String> {
        self.stdout.lost.take().or(self.stderr.lost.take())
    }

    /// The last lines of stderr.
    pub(super) fn stderr_tail(&self) -> Vec<String> {
        self.stderr.capture.as_ref().map(Capture::last_lines).unwrap_or_default()
    }

    /// Reads once from whichever stream has something. Cancelled between waiting and reading it loses
    /// nothing.
    pub(super) async fn read(&mut self) -> Read {
        let events = self.events.as_ref().and_then(|events| events.pipe.as_ref());
        tokio::select! {
            () = readable(self.stdout.pipe.as_ref()) => {
                self.stdout.read(&mut self.chunk);
                if self.stdout.pipe.is_none() { Read::StdoutClosed } else { Read::Some }
            }
            () = readable(self.stderr.pipe.as_ref()) => {
                self.stderr.read(&mut self.chunk);
                Read::Some
            }
            () = readable(events) => {
                Read::Events(self.events.as_mut().map(|events| events.read(&mut self.chunk)).unwrap_or_default())
            }
        }
    }
}

impl Stream {
    fn read(&mut self, chunk: &mut [u8]) {
        let Some(bytes) = read_some(&mut self.pipe, chunk) else { return };
        let room = self.cap - self.kept.len();
        self.over |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match self.mask.take() {
            None => self.capture(bytes),
            Some(mut mask) => {
                let mut masked = Vec::with_capacity(bytes.len());
                mask.push(bytes, &mut masked);
                self.mask = Some(mask);
                self.capture(&masked);
            }
        }
    }

    /// The result does not depend on the file; that it is not whole must be said.
    fn capture(&mut self, bytes: &[u8]) {
        if let Some(Err(fault)) = self.capture.as_mut().map(|capture| capture.write(bytes)) {
            self.lost.get_or_insert_with(|| in_one_line(&fault));
        }
    }
}

impl Events {
    fn read(&mut self, chunk: &mut [u8]) -> Vec<Said> {
        let mut said = Vec::new();
        let Some(bytes) = read_some(&mut self.pipe, chunk) else {
            return said;
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = piece.ends_with(b"\n");
            if !self.skip && self.line.len() + piece.len() > EVENT_LINE {
                self.skip = true;
                said.push(refused(format!("an event over {EVENT_LINE} bytes was passed over")));
            }
            if !self.skip {
                self.line.extend_from_slice(piece);
            }
            if whole {
                if !self.skip {
                    said.extend(event(&self.line));
                }
                self.line.clear();
                self.skip = false;
            }
        }
        said
    }
}

/// One line of the events descriptor: `{"type":"log","level","text"}`, `{"type":"artifact",…}`, or anything else as
/// progress.
fn event(line: &[u8]) -> Option<Said> {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "type")]
        kind: Option<String>,
        level: Option<String>,
        text: Option<String>,
        message: Option<String>,
    }
    if line.trim_ascii().is_empty() {
        return None;
    }
    let Ok(parsed) = serde_json::from_slice::<Line>(line) else {
        return Some(refused("a line on the events descriptor is no JSON object".to_owned()));
    };
    if parsed.kind.as_deref() == Some("log") {
        let text = parsed.text.or(parsed.message).unwrap_or_default();
        return Some(Said::Log { level: parsed.level.unwrap_or_else(|| "info".to_owned()), text });
    }
    let is_artifact = parsed.kind.as_deref() == Some("artifact");
    parse_output(line).ok().map(if is_artifact { Said::Artifact } else { Said::Progress })
}

fn refused(text: String) -> Said {
    Said::Log { level: "warn".to_owned(), text }
}

fn receiver(fd: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(fd)
}

async fn readable(pipe: Option<&pipe::Receiver>) {
    match pipe {
        // An error shows again at the read.
        Some(pipe) => drop(pipe.readable().await),
        None => std::future::pending().await,
    }
}

/// Reads what is there. At the end of the stream the pipe is dropped; `None`: nothing came.
fn read_some<'a>(pipe: &mut Option<pipe::Receiver>, chunk: &'a mut [u8]) -> Option<&'a [u8]> {
    match pipe.as_ref()?.try_read(chunk) {
        Ok(0) => {
            *pipe = None;
            None
        }
        Ok(length) => Some(&chunk[..length]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(_) => {
            *pipe = None;
            None
        }
    }
}
