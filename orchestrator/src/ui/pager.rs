//! A pager for output that is longer than the terminal: `$PAGER`, else `less -FRX`. Nobody but a person at a terminal
//! gets one, and whoever has none, or wants none, gets the text as it is.

use std::{
    io::{self, Write as _},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use super::terminal;
use crate::signal::Interrupts;

/// What is run where `$PAGER` is not set: less quits by itself if one screen is enough, and leaves it as it is.
const DEFAULT: &str = "less -FRX";

/// `--no-pager`.
static DISABLED: AtomicBool = AtomicBool::new(false);

/// Pages nothing from here on.
pub fn disable() {
    DISABLED.store(true, Ordering::Relaxed);
}

/// A pager at work.
#[derive(Debug)]
pub struct Pager {
    child: Child,
    /// Ctrl-C is the pager's, which knows what it means there.
    _interrupts: Option<Interrupts>,
}

impl Pager {
    /// Starts one, if a person looks.
    pub fn start() -> Option<Self> {
        if DISABLED.load(Ordering::Relaxed) || !terminal::can_redraw_stdout() {
            return None;
        }
        let pager = std::env::var("PAGER").unwrap_or_else(|_| DEFAULT.to_owned());
        if pager.trim().is_empty() || pager.trim() == "cat" {
            return None;
        }
        let interrupts = Interrupts::held().ok();
        // A variable that git, too, gives to the shell: it may have flags.
        let child = Command::new("sh").arg("-c").arg(&pager).stdin(Stdio::piped()).spawn().ok()?;
        Some(Self { child, _interrupts: interrupts })
    }

    /// Hands it some text. `BrokenPipe`: it has ended.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        let Some(stdin) = &mut self.child.stdin else { return Ok(()) };
        stdin.write_all(coloured(text).as_bytes())
    }
}

/// Waits until the person has seen enough.
impl Drop for Pager {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // How it ended is nobody's business.
        let _ended = self.child.wait();
    }
}

/// What the terminal behind it may get.
fn coloured(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => super::style::plain(text),
        anstream::ColorChoice::Auto | anstream::ColorChoice::AlwaysAnsi | anstream::ColorChoice::Always => {
            text.to_owned()
        }
    }
}

/// Prints text, through a pager if it is longer than the terminal.
pub fn print(text: &str) -> io::Result<()> {
    let is_long = || terminal::lines_of_stdout().is_some_and(|lines| text.lines().count() >= lines);
    match if is_long() { Pager::start() } else { None } {
        Some(mut pager) => super::tolerate_closed(pager.write(text)),
        None => super::print(text),
    }
}
