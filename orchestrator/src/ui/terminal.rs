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

/// Whether a person can be asked: stdin and stderr are a terminal.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
