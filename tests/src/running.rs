//! A `q` that runs, and what it left when it ended.

use std::{
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{processes, wait};

/// Bound of everything that is not itself timed.
pub const LONG: Duration = Duration::from_mins(1);

/// A started `q` whose output is being collected. Killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    started: Instant,
    stdout: Collected,
    stderr: Collected,
}

/// How a `q` ended and what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; the negated signal if one ended it.
    pub code: i32,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// Its pid.
    pub pid: u32,
}

#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Takes over a child with piped output.
    pub fn new(mut child: Child) -> Self {
        let stdout = Collected::start(child.stdout.take().expect("stdout is piped"));
        let stderr = Collected::start(child.stderr.take().expect("stderr is piped"));
        Self { child, started: Instant::now(), stdout, stderr }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written on stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written on stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(processes::send(self.pid(), signal), "q has gone already: {}", self.stderr());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    /// Waits for its end, at most a minute.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(LONG)
    }

    /// Waits for its end and for the end of its output.
    #[track_caller]
    pub fn finish_within(mut self, bound: Duration) -> Finished {
        let mut status = None;
        let ended = wait::holds_within(bound, || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        assert!(ended, "q runs for more than {bound:?}\n{}\n{}", self.stdout(), self.stderr());
        let took = self.started.elapsed();
        Finished {
            code: code(status.expect("it has ended")),
            stdout: self.stdout.until_closed(),
            stderr: self.stderr.until_closed(),
            took,
            pid: self.pid(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Whatever fails here, the test has failed already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

impl Finished {
    /// Fails the test unless this was the exit code.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the last check of a test")]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("stdout is not JSON: {error}\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
        })
    }

    /// stdout as one JSON document a line.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not a line of JSON: {error}: {line}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// stdout and stderr.
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails the test unless stdout and stderr together hold each of the words.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the last check of a test")]
    pub fn says(self, words: &[&str]) -> Self {
        let output = self.output();
        for word in words {
            assert!(output.contains(word), "`{word}` is not in the output\n{output}");
        }
        self
    }
}

impl Collected {
    fn start(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let into = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut block = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut block) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&block[..count]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until nobody can write any more: a `q` that leaves a process with its stdout fails here.
    #[track_caller]
    fn until_closed(&mut self) -> String {
        let reader = self.reader.take().expect("ends once");
        let closed = wait::holds_within(Duration::from_secs(5), || reader.is_finished());
        assert!(closed, "q has ended and somebody still holds its output: {}", self.text());
        reader.join().expect("the reader does not panic");
        self.text()
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().expect("ended by a code or by a signal"))
}
