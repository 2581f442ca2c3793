//! The program at the other end of the Agent Client Protocol: its process, and JSON-RPC 2.0 over its stdin and
//! stdout, one message a line. What the messages mean is elsewhere.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};

/// Longest line of an agent.
const LINE_MAX: u64 = 8 * 1024 * 1024;
/// Lines that wait to be looked at; an agent that is quicker than that waits.
const LINES: usize = 64;
/// How long the last words of a program that has ended may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What comes from the outside.
#[derive(Debug)]
pub(super) enum News {
    /// A message.
    Message(Value),
    /// A line that is none: its beginning.
    Garbage(String),
    /// A line over the cap; nothing more is read.
    TooLong,
    /// It closed its stdout.
    Closed,
    /// Its process ended.
    Exited(ExitStatus),
    /// The engine wants the end.
    Told,
}

/// A running program.
#[derive(Debug)]
pub(super) struct Peer {
    group: Pid,
    stdin: Option<ChildStdin>,
    news: mpsc::Receiver<News>,
    exited: Option<ExitStatus>,
    /// After this its process has nothing more to say.
    until: Option<Instant>,
    number: u64,
}

impl Peer {
    /// Starts the program. `told` is readable once the engine wants the end.
    pub(super) fn start(
        argv: &[String],
        (cwd, env): (&str, &[(String, String)]),
        told: Option<UnixStream>,
    ) -> Result<Self, String> {
        let [program, arguments @ ..] = argv else { return Err("there is no program".to_owned()) };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(cwd).env_clear();
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child =
            command.spawn().map_err(|error| format!("`{program}` could not be started: {error}"))?;
        let group = i32::try_from(child.id()).map_err(|error| error.to_string())?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, news) = mpsc::sync_channel(LINES);
        if let Some(stdout) = stdout {
            let sender = sender.clone();
            thread::spawn(move || read_lines(stdout, &sender));
        }
        if let Some(mut told) = told {
            let sender = sender.clone();
            thread::spawn(move || {
                // A byte or the end: both are no reason to go on.
                let _any = told.read(&mut [0]);
                let _over = sender.send(News::Told);
            });
        }
        thread::spawn(move || wait(child, &sender));
        Ok(Self { group: Pid::from_raw(group), stdin, news, exited: None, until: None, number: 0 })
    }

    /// How its process ended, if it did.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        self.exited
    }

    /// Sends a request; gives its id.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<u64, String> {
        self.number += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}))?;
        Ok(self.number)
    }

    /// Sends a notification.
    pub(super) fn notify(&mut self, method: &str, params: &Value) -> Result<(), String> {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Answers a request of the program. Its id is given back as it came.
    pub(super) fn answer(&mut self, id: &Value, result: &Value) -> Result<(), String> {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
    }

    /// Refuses a request of the program.
    pub(super) fn refuse(&mut self, id: &Value, why: &str) -> Result<(), String> {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": why}}))
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let Some(stdin) = &mut self.stdin else { return Err("its stdin is closed".to_owned()) };
        stdin
            .write_all(format!("{message}\n").as_bytes())
            .map_err(|error| format!("it does not listen: {error}"))
    }

    /// Waits for what comes next; `None`: nothing until then.
    pub(super) fn next(&mut self, until: Option<Instant>) -> Option<News> {
        let until = until.into_iter().chain(self.until).min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let news = match left {
            Some(left) => self.news.recv_timeout(left).ok(),
            None => self.news.recv().ok(),
        };
        if let Some(News::Exited(status)) = news {
            self.exited = Some(status);
            self.until = Some(Instant::now() + LAST_WORDS);
        }
        news
    }

    /// Ends it: its stdin closes, then SIGTERM, then SIGKILL, each after so long a wait.
    pub(super) fn end(mut self, polite: Duration, grace: Duration) {
        drop(self.stdin.take());
        for (wait, signal) in [(polite, Signal::SIGTERM), (grace, Signal::SIGKILL)] {
            let until = Instant::now() + wait;
            while self.exited.is_none() && Instant::now() < until {
                self.next(Some(until));
            }
            // Its number may belong to another group once it was waited for. What it left the engine ends.
            if self.exited.is_none() {
                let _gone = killpg(self.group, signal);
            }
        }
    }
}

fn wait(mut child: Child, tell: &mpsc::SyncSender<News>) {
    if let Ok(status) = child.wait() {
        let _over = tell.send(News::Exited(status));
    }
}

/// Hands on each line until the program closes its end or writes a line without end.
fn read_lines(from: impl Read, tell: &mpsc::SyncSender<News>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let last = match (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => None,
            Ok(length) if length as u64 >= LINE_MAX => Some(News::TooLong),
            Ok(_) | Err(_) => Some(News::Closed),
        };
        let is_last = last.is_some();
        let news = last.or_else(|| match serde_json::from_slice(&line) {
            Ok(message @ Value::Object(_)) => Some(News::Message(message)),
            Ok(_) | Err(_) if line.trim_ascii().is_empty() => None,
            Ok(_) | Err(_) => {
                Some(News::Garbage(String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned()))
            }
        });
        if news.is_some_and(|news| tell.send(news).is_err()) || is_last {
            return;
        }
    }
}
