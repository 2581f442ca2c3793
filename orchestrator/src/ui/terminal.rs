//! The terminal at the other end of stdout, if there is one.

use std::io::{self, IsTerminal as _};

use rustix::termios::tcgetwinsize;

/// Narrower output is not tried.
pub const LEAST_WIDTH: usize = 40;
/// Width where nobody tells: a file or a pipe.
const DEFAULT_WIDTH: usize = 100;
/// Wider output is hard to read.
const MOST_WIDTH: usize = 160;

/// Columns that may be filled: `$COLUMNS`, else what the terminal says.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let told =
        || tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    asked.or_else(told).unwrap_or(DEFAULT_WIDTH).clamp(LEAST_WIDTH, MOST_WIDTH)
}

/// Columns and lines of the terminal at the other end of stderr.
pub fn size_of_stderr() -> (usize, usize) {
    let told = tcgetwinsize(io::stderr()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    told.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Whether stderr is a terminal on which lines can be drawn anew.
pub fn can_redraw() -> bool {
    io::stderr().is_terminal() && is_able()
}

/// The same of stdout.
pub fn can_redraw_stdout() -> bool {
    io::stdout().is_terminal() && is_able()
}

/// Lines of the terminal at the other end of stdout, if there is one.
pub fn lines_of_stdout() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|lines| *lines > 0)
}

/// Whether stdin and stdout are a terminal that can be filled as a whole.
pub fn can_fill() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && is_able()
}

/// A terminal that says `dumb` cannot move its cursor.
fn is_able() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Whether stderr wants colours.
pub fn stderr_has_colours() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Whether a person can be asked: stdin and stderr are a terminal.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
