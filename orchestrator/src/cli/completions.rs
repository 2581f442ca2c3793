//! `completions`: what a shell needs to complete commands, flags, runs, names and steps.

use clap::ValueEnum;
use schemas::exit_code::ExitCode;

use super::{
    complete,
    output::{self, engine_error},
};
use crate::errors::Result;

/// Print what makes a shell complete: commands, flags, ids of runs, names, steps.
///
/// The shell asks q itself while you type, so that what it offers is what there is. Load it when the shell starts, and
/// it fits the q that is installed.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    echo 'source <(q workflow completions bash)' >> ~/.bashrc\n  \
    echo 'source <(q workflow completions zsh)' >> ~/.zshrc\n  \
    echo 'q workflow completions fish | source' > ~/.config/fish/completions/q.fish")]
pub(super) struct Arguments {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells that can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let code = complete::registration(arguments.shell.name()).map_err(|error| engine_error(&error))?;
    output::text(&String::from_utf8_lossy(&code))?;
    Ok(ExitCode::Done)
}
