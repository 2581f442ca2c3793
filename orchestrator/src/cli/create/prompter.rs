//! Who is asked: a person at the terminal, or a script of a test.

use std::io;

use dialoguer::{Confirm, Input, Select, console::Term, theme::ColorfulTheme};
use schemas::exit_code::ExitCode;

use crate::{
    cli::output::engine_error,
    errors::{CommandError, Result},
    signal::Interrupts,
};

/// Judges an answer: why it is not one.
pub(super) type Judge<'a> = &'a dyn Fn(&str) -> std::result::Result<(), String>;

/// Somebody who answers.
pub(super) trait Prompter {
    /// A text; asked again until it is right.
    fn text(&mut self, question: &str, default: &str, judge: Judge<'_>) -> Result<String>;
    /// The place of one of several.
    fn choose(&mut self, question: &str, items: &[String]) -> Result<usize>;
    /// Yes or no.
    fn confirm(&mut self, question: &str, default: bool) -> Result<bool>;
    /// Something to read.
    fn show(&mut self, text: &str);
}

/// The person at the terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Ctrl-C is an answer, after which the terminal is put in order.
    _interrupts: Interrupts,
}

impl Terminal {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { _interrupts: Interrupts::held().map_err(|error| engine_error(&error))? })
    }
}

impl Prompter for Terminal {
    fn text(&mut self, question: &str, default: &str, judge: Judge<'_>) -> Result<String> {
        let theme = ColorfulTheme::default();
        let mut input = Input::<String>::with_theme(&theme).with_prompt(question).allow_empty(true);
        if !default.is_empty() {
            input = input.default(default.to_owned());
        }
        input.validate_with(|answer: &String| judge(answer)).interact_text().map_err(|error| gone(&error))
    }

    fn choose(&mut self, question: &str, items: &[String]) -> Result<usize> {
        let theme = ColorfulTheme::default();
        let select = Select::with_theme(&theme).with_prompt(question).items(items).default(0);
        select.interact().map_err(|error| gone(&error))
    }

    fn confirm(&mut self, question: &str, default: bool) -> Result<bool> {
        let theme = ColorfulTheme::default();
        Confirm::with_theme(&theme)
            .with_prompt(question)
            .default(default)
            .interact()
            .map_err(|error| gone(&error))
    }

    fn show(&mut self, text: &str) {
        crate::ui::say(text);
    }
}

/// Ctrl-C, or a terminal that went away.
fn gone(dialoguer::Error::IO(error): &dialoguer::Error) -> CommandError {
    // A list hides the cursor while it is there.
    let _gone = Term::stderr().show_cursor();
    if error.kind() == io::ErrorKind::Interrupted {
        CommandError::new(ExitCode::SigInt, "interrupted: nothing was saved")
    } else {
        engine_error(error)
    }
}
