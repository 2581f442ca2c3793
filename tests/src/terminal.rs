//! A `q` at a terminal: what it draws is kept as the picture that a person would see.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{pty::Winsize, sys::signal::Signal};

use crate::{processes, wait};

const LONG: Duration = Duration::from_mins(1);
/// Lines of each terminal.
const LINES: NonZeroU16 = NonZeroU16::new(24).expect("it is not zero");

/// A program at a terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    seen: Arc<Mutex<Seen>>,
    child: Child,
    /// Up to here everything that was written has been answered.
    answered: usize,
}

struct Seen {
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.screen.screen().contents())
    }
}

/// Which streams of the program are the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// All three.
    All,
    /// stdin and stderr: stdout is what the command was given.
    AllButStdout,
}

impl Terminal {
    /// Starts a program at a terminal of 24 lines and so many columns.
    #[track_caller]
    pub fn start(mut command: Command, columns: u16, streams: Streams) -> Self {
        let size = Winsize { ws_row: LINES.get(), ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).expect("there are terminals");
        let side = || Stdio::from(pty.slave.try_clone().expect("a descriptor is free"));
        command.env("TERM", "xterm-256color").stdin(side()).stderr(side());
        if streams == Streams::All {
            command.stdout(side());
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        drop((command, pty.slave));
        let screen = vt100::Parser::new(LINES, columns.try_into().expect("a terminal has columns"), 0);
        let seen = Arc::new(Mutex::new(Seen { screen, raw: Vec::new() }));
        let into = Arc::clone(&seen);
        let mut output = File::from(pty.master.try_clone().expect("a descriptor is free"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal ends with an error when its last program has gone (EIO).
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                seen.screen.process(&bytes[..length]);
                seen.raw.extend_from_slice(&bytes[..length]);
            }
        });
        Self { keys: File::from(pty.master), seen, child, answered: 0 }
    }

    /// Makes the terminal so wide, and tells the program.
    #[track_caller]
    pub fn resize(&self, columns: u16) {
        let size =
            rustix::termios::Winsize { ws_row: LINES.get(), ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.keys, size).expect("it is a terminal");
        let width = columns.try_into().expect("a terminal has columns");
        self.seen().screen.screen_mut().set_size(LINES, width);
        // It is nobody's controlling terminal: the kernel tells nobody.
        assert!(processes::send(self.pid(), Signal::SIGWINCH));
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What a person sees now.
    pub fn screen(&self) -> String {
        self.seen().screen.screen().contents()
    }

    /// Everything that was ever written to the terminal.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen().raw).into_owned()
    }

    /// Whether the terminal is as a program finds it: its first page, with a cursor that can be seen, and in the
    /// mode in which the kernel edits lines.
    pub fn is_whole(&self) -> bool {
        let cooked = nix::sys::termios::tcgetattr(&self.keys).is_ok_and(|modes| {
            modes
                .local_flags
                .contains(nix::sys::termios::LocalFlags::ICANON | nix::sys::termios::LocalFlags::ECHO)
        });
        let seen = self.seen();
        cooked && !seen.screen.screen().hide_cursor() && !seen.screen.screen().alternate_screen()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the picture holds these words.
    #[track_caller]
    pub fn shows(&self, words: &str) {
        let shown = wait::holds_within(LONG, || self.screen().contains(words));
        assert!(shown, "{words:?} is not shown\n{}", self.screen());
    }

    /// Waits until these words have been written, whether they can still be seen or not.
    #[track_caller]
    pub fn has_said(&self, words: &str) {
        let said = wait::holds_within(LONG, || self.raw().contains(words));
        assert!(said, "{words:?} was not said\n{}", self.raw());
    }

    /// Types.
    #[track_caller]
    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits for a question and types the answer.
    #[track_caller]
    pub fn answer(&mut self, question: &str, keys: &str) {
        self.shows(question);
        self.types(keys);
    }

    /// Waits for a question after the last one, and types the answer.
    #[track_caller]
    pub fn asks_next(&mut self, question: &str, keys: &str) {
        let after = self.answered;
        let place = || self.raw().get(after..)?.find(question).map(|place| after + place + question.len());
        let asked = wait::holds_within(LONG, || place().is_some());
        assert!(asked, "{question:?} is not asked\n{}", self.screen());
        // An answer is shown behind its question again, so that what comes until the keys are typed is answered, too.
        self.answered = self.raw().len();
        self.types(keys);
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let mut ended = None;
        let in_time = wait::holds_within(LONG, || {
            ended = self.child.try_wait().expect("it is ours");
            ended.is_some()
        });
        assert!(in_time, "it does not end\n{}", self.screen());
        ended.expect("it has ended")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Whatever fails here, the test has failed already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
