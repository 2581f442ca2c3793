//! What a command says when it cannot do its work: the exit code, what happened, how to mend it.

use std::{fmt::Write as _, io};

use schemas::exit_code::ExitCode;

use crate::store::files::Trouble;

/// An error that ends a command.
#[derive(Debug)]
pub struct CommandError {
    /// What the shell sees.
    pub exit: ExitCode,
    /// What happened: a fragment in lower case.
    pub message: String,
    /// What it came from, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CommandError {
    /// An error of its own.
    pub fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// An error with its sources. Where the state could not be read or written, what to do follows from the last of
    /// them.
    pub fn from_error(exit: ExitCode, error: &dyn std::error::Error) -> Self {
        let system = sources(error).find_map(|source| source.downcast_ref::<io::Error>());
        let hint = system.filter(|_| exit == ExitCode::Engine).and_then(|error| Trouble::of(error).hint());
        Self {
            exit,
            message: error.to_string(),
            causes: causes(error).collect(),
            hint: hint.map(str::to_owned),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The text for stderr.
    pub fn render(&self) -> String {
        let mut text = format!("error: {}", self.message);
        for cause in &self.causes {
            let _infallible = write!(text, ": {cause}");
        }
        text.push('\n');
        if let Some(hint) = &self.hint {
            let _infallible = writeln!(text, "hint: {hint}");
        }
        text
    }
}

/// An error and what it came from, in one line.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| text + ": " + &cause)
}

/// What an error came from, outermost first.
fn causes(error: &dyn std::error::Error) -> impl Iterator<Item = String> {
    sources(error).map(ToString::to_string)
}

fn sources(error: &dyn std::error::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}

/// What every command gives back.
pub type Result<T = ExitCode> = std::result::Result<T, CommandError>;
