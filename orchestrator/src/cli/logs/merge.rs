//! The lines of the engine and of the programs, in an order that reads well.
//!
//! What a program writes carries no times, so lines cannot be merged one by one: what an attempt wrote stands
//! in one piece, before the line in which the engine tells of its end.

use std::{collections::HashMap, fs, io, path::PathBuf};

use schemas::output::log::LogLine;

use super::{
    engine::EngineLog,
    line::Printer,
    steps::{Attempt, Steps},
};

/// Whether the programs may write more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A line without end may still get one.
    Open,
    /// What is there is all.
    Final,
}

/// The step and number of an attempt: what a line of the engine knows of it.
type About<'a> = (&'a str, u32);

/// Prints everything that was not printed yet.
pub(super) fn merge(
    engine: &mut EngineLog,
    steps: &mut Steps,
    ending: Ending,
    printer: &mut Printer,
) -> io::Result<()> {
    // The engine's lines first: whatever they tell of is on disk then.
    let lines = engine.news()?;
    let attempts: Vec<_> = steps.attempts()?.into_iter().collect();
    let places = places(&lines);
    let mut blocks: HashMap<usize, Vec<(Attempt, PathBuf)>> = HashMap::new();
    let mut untold = Vec::new();
    for (attempt, directory) in attempts {
        match places.get(&(attempt.step.as_str(), attempt.number)) {
            Some(place) => blocks.entry(*place).or_default().push((attempt, directory)),
            None => untold.push((attempt, directory)),
        }
    }
    // The engine's log keeps the newest lines: what it does not tell of is older.
    untold.sort_by_cached_key(|(_, directory)| fs::metadata(directory).and_then(|data| data.modified()).ok());
    print(steps, untold, ending, printer)?;
    for (place, line) in lines.iter().enumerate() {
        print(steps, blocks.remove(&place).unwrap_or_default(), ending, printer)?;
        printer.print(line)?;
    }
    print(steps, blocks.remove(&lines.len()).unwrap_or_default(), ending, printer)?;
    printer.flush()
}

fn print(
    steps: &mut Steps,
    attempts: Vec<(Attempt, PathBuf)>,
    ending: Ending,
    printer: &mut Printer,
) -> io::Result<()> {
    for (attempt, directory) in attempts {
        steps.print(&attempt, &directory, printer)?;
        if ending == Ending::Final {
            steps.finish(&attempt, &directory, printer)?;
        }
    }
    Ok(())
}

/// Before which line what an attempt wrote is printed: before the last one that tells of it; or after all, if
/// there is only the one that tells of its start.
fn places(lines: &[LogLine]) -> HashMap<About<'_>, usize> {
    let mut places = HashMap::new();
    for (place, line) in lines.iter().enumerate() {
        if let Some(about) = line.step.as_deref().zip(line.attempt) {
            places.entry(about).and_modify(|known| *known = place).or_insert(lines.len());
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::output::log::{LOG_VERSION, Level, Stream};

    use super::*;

    #[track_caller]
    fn check(abouts: &[Option<About<'_>>], about: About<'_>, expected: Option<usize>) {
        let lines: Vec<_> = abouts
            .iter()
            .map(|about| LogLine {
                v: LOG_VERSION,
                ts: Timestamp::UNIX_EPOCH,
                run_id: String::new(),
                step: about.map(|(step, _)| step.to_owned()),
                attempt: about.map(|(_, attempt)| attempt),
                stream: Stream::Engine,
                level: Level::Info,
                text: String::new(),
            })
            .collect();
        assert_eq!(places(&lines).get(&about).copied(), expected);
    }

    #[test]
    fn an_attempt_stands_before_the_news_of_its_end() {
        let lines = [None, Some(("a", 1)), Some(("b", 1)), Some(("a", 1)), Some(("a", 2)), None];
        check(&lines, ("a", 1), Some(3));
        check(&lines, ("b", 1), Some(6));
        check(&lines, ("a", 2), Some(6));
        check(&lines, ("c", 1), None);
    }
}
