//! Writing to people: stdout is data, stderr is talk. Colour only where the other end is a terminal that
//! wants it (`anstream` sees to it); a reader that goes away is no error.

pub mod agent;
pub mod diagnostics;
pub mod pager;
pub mod quantity;
pub mod status;
pub mod style;
pub mod table;
pub mod terminal;
pub mod text;

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use anstream::{AutoStream, ColorChoice};

/// Writes text to stdout.
pub fn print(text: &str) -> io::Result<()> {
    tolerate_closed(anstream::stdout().lock().write_all(text.as_bytes()))
}

/// Writes text without colours to stdout, for whoever must know when nobody reads any more: `BrokenPipe`.
pub fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes text to stderr, which stays what it was at the first word. Where it is gone there is nobody to tell.
pub fn say(text: &str) {
    static COLOURS: LazyLock<ColorChoice> = LazyLock::new(|| AutoStream::choice(&io::stderr()));
    let _nobody_listens = AutoStream::new(io::stderr().lock(), *COLOURS).write_all(text.as_bytes());
}

/// A reader such as `head` may stop early.
fn tolerate_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
