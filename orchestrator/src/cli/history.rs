//! `history`: past runs, how long they took, and how many of them went well.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use schemas::{
    exit_code::ExitCode,
    output::{SCHEMA_VERSION, history::History, list::ListedRun},
    view::RunStatus,
};

use super::output;
use crate::{
    errors::{CommandError, Result},
    store::{home::Home, index::Filter, names::SafeName},
    ui::{
        quantity, style,
        table::{Cell, Table},
        terminal,
    },
};

/// The bars of a sparkline, lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// As many of the newest runs are in the sparkline.
const SPARKS: usize = 40;

/// Show past runs with their durations and how many completed.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow history\n  \
    q workflow history deploy --since 7d\n  \
    q workflow history deploy --csv > deploy.csv")]
pub(super) struct Arguments {
    /// Name of a workflow; all of them without it.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only runs created since then: how long ago (90, 10m, 2d), or a time by RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = output::moment)]
    since: Option<Timestamp>,
    /// Runs, at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print lines of comma-separated values, with a headline.
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let filter = Filter { workflow: arguments.name.clone(), status: None, since: arguments.since };
    let runs = super::list::runs_of(home, &filter, arguments.limit)?;
    if let Some(name) = arguments.name.as_deref().filter(|_| runs.is_empty()) {
        known(home, name)?;
    }
    let history = History { schema_version: SCHEMA_VERSION, success_rate: success_rate(&runs), runs };
    if arguments.json {
        output::json(&history)?;
    } else if arguments.csv {
        output::text(&csv(&history.runs))?;
    } else {
        output::text(&table(&history, terminal::width(), &TimeZone::system()))?;
    }
    Ok(ExitCode::Done)
}

/// A workflow without runs is known by its definition.
fn known(home: &Home, name: &str) -> Result<()> {
    let stored = name.parse::<SafeName>().is_ok_and(|name| home.definition(&name).exists());
    if stored {
        return Ok(());
    }
    let name: String = name.chars().take(100).collect();
    Err(CommandError::new(ExitCode::NotFound, format!("there is no run of a workflow named {name:?}"))
        .hint("`q workflow history` shows the runs of all workflows"))
}

/// The part that completed, of the runs that have ended.
fn success_rate(runs: &[ListedRun]) -> Option<f64> {
    let ended = runs.iter().filter(|run| run.status.is_ended()).count();
    let completed = runs.iter().filter(|run| run.status == RunStatus::Completed).count();
    // No more runs are listed than a u32 counts.
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (ended > 0).then(|| number(completed) / number(ended))
}

fn table(history: &History, columns: usize, zone: &TimeZone) -> String {
    if history.runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let mut table = Table::new(vec!["CREATED", "WORKFLOW", "STATUS", "TIME"], 1);
    for run in &history.runs {
        table.row(vec![
            Cell::from(quantity::moment(run.created_at, zone).get(5..16).unwrap_or_default()),
            Cell::from(&run.workflow),
            Cell::painted(run.status.as_str(), style::of_run(run.status)),
            Cell::from(run.duration_ms.map_or_else(|| "-".to_owned(), quantity::millis)),
        ]);
    }
    let mut text = table.render(columns);
    let times: Vec<u64> = history.runs.iter().rev().filter_map(|run| run.duration_ms).collect();
    let newest = &times[times.len().saturating_sub(SPARKS.min(columns - 8))..];
    if newest.len() > 1 {
        let _infallible = writeln!(text, "\ntimes {}", sparkline(newest));
    }
    let ended = history.runs.iter().filter(|run| run.status.is_ended()).count();
    if let Some(rate) = history.success_rate {
        let _infallible = writeln!(text, "\n{:.0} % of {ended} ended runs completed", rate * 100.0);
    }
    text
}

/// A bar for each time, oldest first; the highest is the longest.
fn sparkline(times: &[u64]) -> String {
    let longest = times.iter().copied().max().unwrap_or_default().max(1);
    let bar = |time: &u64| {
        let place = u128::from(*time) * (BARS.len() as u128 - 1) / u128::from(longest);
        usize::try_from(place).ok().and_then(|place| BARS.get(place)).copied().unwrap_or(BARS[0])
    };
    times.iter().map(bar).collect()
}

fn csv(runs: &[ListedRun]) -> String {
    let mut text = String::from(
        "run_id,workflow,version,status,trigger,created_at,started_at,finished_at,duration_ms\n",
    );
    let moment = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    for run in runs {
        let fields = [
            run.run_id.clone(),
            run.workflow.clone(),
            run.version.clone(),
            run.status.to_string(),
            run.trigger.clone(),
            run.created_at.to_string(),
            moment(run.started_at),
            moment(run.finished_at),
            run.duration_ms.map(|millis| millis.to_string()).unwrap_or_default(),
        ];
        text.push_str(&fields.map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::plain;

    fn run(status: RunStatus, duration_ms: Option<u64>) -> ListedRun {
        let moment = Timestamp::from_second(1_790_000_000).unwrap();
        ListedRun {
            run_id: "01997b1c-8a4e-7000-8000-000000000001".to_owned(),
            workflow: "deploy".to_owned(),
            version: "1.0.0".to_owned(),
            status,
            trigger: "schedule:a,b".to_owned(),
            created_at: moment,
            started_at: Some(moment),
            finished_at: None,
            duration_ms,
        }
    }

    fn history() -> History {
        let runs = vec![
            run(RunStatus::Running, None),
            run(RunStatus::Failed, Some(61_000)),
            run(RunStatus::Completed, Some(30_000)),
            run(RunStatus::Completed, Some(0)),
            run(RunStatus::Completed, Some(61_000)),
        ];
        History { schema_version: 1, success_rate: success_rate(&runs), runs }
    }

    #[test]
    fn a_history() {
        insta::assert_snapshot!(plain(&table(&history(), 40, &TimeZone::UTC)), @r"
        CREATED      WORKFLOW  STATUS     TIME
        09-21 14:13  deploy    running    -
        09-21 14:13  deploy    failed     1m01s
        09-21 14:13  deploy    completed  30.0s
        09-21 14:13  deploy    completed  0ms
        09-21 14:13  deploy    completed  1m01s

        times █▁▄█

        75 % of 4 ended runs completed
        ");
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        assert_eq!(success_rate(&[]), None);
        assert_eq!(success_rate(&[run(RunStatus::Running, None)]), None);
        assert_eq!(success_rate(&history().runs), Some(0.75));
    }

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let text = csv(&[run(RunStatus::Running, None)]);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.ends_with(r#",running,"schedule:a,b",2026-09-21T14:13:20Z,2026-09-21T14:13:20Z,,"#),
            "{line}"
        );
        assert_eq!(quoted("a\"b\n"), "\"a\"\"b\n\"");
    }
}
