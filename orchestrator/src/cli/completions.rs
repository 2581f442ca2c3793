//! `completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory as _;
use clap_complete::Shell;
use schemas::exit_code::ExitCode;

use super::output;
use crate::errors::Result;

/// Print the completions of a shell.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow completions bash > ~/.local/share/bash-completion/completions/q\n  \
    q workflow completions zsh > ~/.zfunc/_q\n  \
    q workflow completions fish > ~/.config/fish/completions/q.fish")]
pub(super) struct Arguments {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "q", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::Done)
}
