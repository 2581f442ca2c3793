//! One line on stdout, as JSON or for people.

use std::io;

use schemas::output::log::{LogLine, Stream};

use super::Wanted;
use crate::ui::{self, pager::Pager, text::escape};

/// Lines are gathered up to this many bytes.
const BUFFER: usize = 64 * 1024;

/// How lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Json,
    /// With the step and the stream before it.
    Marked,
    /// By itself.
    Alone,
}

/// Prints the lines that are wanted.
#[derive(Debug)]
pub(super) struct Printer {
    form: Form,
    wanted: Wanted,
    buffer: String,
    /// Where a person reads what is there; `None`: stdout.
    pager: Option<Pager>,
}

impl Printer {
    pub(super) fn new(form: Form, wanted: Wanted, pager: Option<Pager>) -> Self {
        Self { form, wanted, buffer: String::new(), pager }
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Prints a line if it is wanted. `BrokenPipe`: nobody reads any more.
    pub(super) fn print(&mut self, line: &LogLine) -> io::Result<()> {
        if !self.wanted.has(line) {
            return Ok(());
        }
        self.buffer.push_str(&formatted(self.form, line)?);
        self.buffer.push('\n');
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Hands on what was gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let result = match &mut self.pager {
            _ if self.buffer.is_empty() => Ok(()),
            Some(pager) => pager.write(&self.buffer),
            None => ui::write(&self.buffer),
        };
        self.buffer.clear();
        result
    }
}

fn formatted(form: Form, line: &LogLine) -> io::Result<String> {
    let text = escape(&line.text);
    Ok(match form {
        Form::Json => serde_json::to_string(line)?,
        Form::Alone => text.into_owned(),
        Form::Marked => {
            let step = line.step.as_deref().map(escape).unwrap_or_default();
            let attempt = line.attempt.filter(|attempt| *attempt > 1).map(|attempt| format!("#{attempt}"));
            let about = format!("{step}{}", attempt.unwrap_or_default());
            match line.stream {
                Stream::Engine if about.is_empty() => format!("engine | {text}"),
                Stream::Engine => format!("engine | {about}: {text}"),
                Stream::Stdout => format!("{about} | {text}"),
                Stream::Stderr => format!("{about} ! {text}"),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::output::log::{LOG_VERSION, Level};

    use super::*;

    #[track_caller]
    fn check(form: Form, about: Option<(&str, u32)>, stream: Stream, text: &str, expected: &str) {
        let line = LogLine {
            v: LOG_VERSION,
            ts: Timestamp::UNIX_EPOCH,
            run_id: "ID".to_owned(),
            step: about.map(|(step, _)| step.to_owned()),
            attempt: about.map(|(_, attempt)| attempt),
            stream,
            level: Level::Info,
            text: text.to_owned(),
        };
        assert_eq!(formatted(form, &line).unwrap(), expected);
    }

    #[test]
    fn lines_say_where_they_come_from() {
        check(Form::Marked, None, Stream::Engine, "run.started", "engine | run.started");
        check(Form::Marked, Some(("a", 1)), Stream::Engine, "step.started", "engine | a: step.started");
        check(Form::Marked, Some(("a", 1)), Stream::Stdout, "x", "a | x");
        check(Form::Marked, Some(("a", 2)), Stream::Stderr, "x", "a#2 ! x");
        check(Form::Alone, Some(("a", 2)), Stream::Stderr, "x", "x");
    }

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}\rengine | forged\u{9b}31m";
        let shown = "\\u{1b}[2J\\u{1b}]0;x\\u{7}\\rengine | forged\\u{9b}31m";
        check(Form::Alone, Some(("a", 1)), Stream::Stdout, hostile, shown);
        check(Form::Marked, Some(("a", 1)), Stream::Stdout, hostile, &format!("a | {shown}"));
        check(
            Form::Marked,
            Some(("a", 1)),
            Stream::Stdout,
            "one\nengine | forged",
            "a | one\\nengine | forged",
        );
    }

    #[test]
    fn json_has_the_text_as_it_was_written() {
        let expected = "{\"v\":1,\"ts\":\"1970-01-01T00:00:00Z\",\"run_id\":\"ID\",\"step\":\"a\",\"attempt\":1,\
                        \"stream\":\"stdout\",\"level\":\"info\",\"text\":\"\\u001b[2J\\n\"}";
        check(Form::Json, Some(("a", 1)), Stream::Stdout, "\u{1b}[2J\n", expected);
    }
}
