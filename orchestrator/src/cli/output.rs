//! Data on stdout, as every reading command gives it.

use std::{path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemas::exit_code::ExitCode;
use serde::Serialize;
use workflow_engine::{load, units};

use crate::{
    definition::{Checked, Source},
    errors::{CommandError, Result},
    ui,
};

/// Prints text; where it is longer than the terminal, through a pager.
pub(super) fn text(text: &str) -> Result<()> {
    ui::pager::print(text).map_err(|error| engine_error(&error))
}

/// Prints one JSON document.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    let printed = serde_json::to_string_pretty(document).map_err(|error| engine_error(&error))?;
    text(&(printed + "\n"))
}

/// Says what is wrong with a definition, and with those that it calls.
pub(super) fn problems(source: &Source, checked: &Checked) {
    let own = Some((source, &checked.diagnostics[..])).filter(|(_, problems)| !problems.is_empty());
    for (file, problems) in own.into_iter().chain(checked.called_problems()) {
        let text = load::display_text(&file.text);
        ui::say(&ui::diagnostics::render(&file.name, &text, problems));
    }
}

/// An error that is not the caller's: the disk, the kernel.
pub(super) fn engine_error(error: &dyn std::error::Error) -> CommandError {
    CommandError::from_error(ExitCode::Engine, error)
}

/// Parses a moment of the past: how long ago (`90`, `10m`, `2h30m`), or a time by RFC 3339.
pub(super) fn moment(text: &str) -> std::result::Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ago = if is_number { units::duration_from_number(text) } else { units::duration_from_text(text) };
    let ago =
        ago.map_err(|error| format!("{error} (use 90, 10m, 2h30m, or a time such as 2026-01-31T12:00:00Z)"))?;
    Ok(before(Timestamp::now(), ago))
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    let past = SignedDuration::try_from(ago).ok().and_then(|ago| now.checked_sub(ago).ok());
    past.unwrap_or(Timestamp::MIN)
}

/// A path for messages.
pub(super) fn shown(path: &Path) -> String {
    ui::text::escape(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ago: i64) {
        let moment = moment(text).unwrap().as_second();
        let expected = Timestamp::now().as_second() - ago;
        assert!((moment - expected).abs() <= 1, "{text}: {moment}, not {expected}");
    }

    #[test]
    fn moments_are_so_long_ago() {
        check("90", 90);
        check("10m", 600);
        check("1d2h", 93_600);
        assert_eq!(moment("1970-01-01T00:00:00Z"), Ok(Timestamp::UNIX_EPOCH));
        for text in ["", "soon", "-5", "1.5", "5x"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_beginning_of_time_is_the_oldest_moment() {
        assert_eq!(before(Timestamp::MIN, Duration::from_secs(5)), Timestamp::MIN);
        assert_eq!(before(Timestamp::MAX, Duration::MAX), Timestamp::MIN);
    }
}
