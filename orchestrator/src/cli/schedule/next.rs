//! `schedule next`: the next fires, of stored schedules or of an expression that is only asked about.

use jiff::{Timestamp, Zoned, civil::DateTime, tz::TimeZone};
use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        schedules::{Fires, NextFire},
    },
};
use workflow_engine::cron::{Fire, Timetable};

use super::{find, timetable, timetable_of};
use crate::{
    cli::output,
    clock,
    errors::{CommandError, Result},
    store::{home::Home, schedules},
};

/// Show when schedules fire next.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow schedule next nightly -n 3\n  \
    q workflow schedule next --cron '30 2 * * *' --timezone Europe/Berlin --from 2026-03-28T00:00:00Z")]
pub(in crate::cli) struct Arguments {
    /// Id of a schedule; all of them without it.
    #[arg(value_name = "ID", conflicts_with = "cron")]
    id: Option<String>,
    /// How many fires.
    #[arg(short, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    number: u16,
    /// Fires after this moment: a time by RFC 3339, or one without offset in the zone of the schedule [default:
    /// now].
    #[arg(long, value_name = "TIME", value_parser = from)]
    from: Option<From>,
    /// An expression that need not be stored.
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Its time zone [default: UTC].
    #[arg(long, value_name = "ZONE", requires = "cron")]
    timezone: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// A moment, or a time of the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Moment(Timestamp),
    Local(DateTime),
}

/// Parses `--from` and the like.
pub(super) fn from(text: &str) -> std::result::Result<From, String> {
    if let Ok(moment) = text.parse() {
        return Ok(From::Moment(moment));
    }
    let local = text.parse().map(From::Local);
    local
        .map_err(|_| "use a time such as 2026-01-31T12:00:00Z, or 2026-01-31T12:00 for local time".to_owned())
}

impl From {
    /// The moment, in a zone.
    pub(super) fn moment(self, zone: &TimeZone) -> Result<Timestamp> {
        match self {
            Self::Moment(moment) => Ok(moment),
            Self::Local(local) => zone.to_timestamp(local).map_err(|error| {
                CommandError::new(ExitCode::Usage, format!("{local} is out of range: {error}"))
            }),
        }
    }
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let asked = asked(arguments, home)?;
    let mut fires: Vec<(Fire, NextFire)> = Vec::new();
    for (id, table) in &asked {
        let from = arguments.from.map_or_else(|| Ok(clock::wall()), |from| from.moment(table.zone()))?;
        let next = table.after(from).take(arguments.number.into());
        fires.extend(next.map(|fire| {
            let told = told(&fire, id.clone(), table.zone());
            (fire, told)
        }));
    }
    // Stable: what fires at the same moment stays in the order of the schedules.
    fires.sort_by_key(|(fire, _)| fire.at);
    fires.truncate(arguments.number.into());
    let fires: Vec<_> = fires.into_iter().map(|(_, told)| told).collect();
    if arguments.json {
        output::json(&Fires { schema_version: SCHEMA_VERSION, fires })?;
    } else if fires.is_empty() {
        output::text("nothing fires\n")?;
    } else {
        output::text(&lines(&fires))?;
    }
    Ok(ExitCode::Done)
}

/// The timetables that are asked about, with the ids of their schedules.
fn asked(arguments: &Arguments, home: &Home) -> Result<Vec<(Option<String>, Timetable)>> {
    if let Some(cron) = &arguments.cron {
        return Ok(vec![(None, timetable(cron, arguments.timezone.as_deref().unwrap_or("UTC"))?)]);
    }
    let stored = schedules::read(home)?;
    let chosen: Vec<_> = match &arguments.id {
        Some(id) => vec![&stored.schedules[find(&stored, id)?]],
        None => stored.schedules.iter().filter(|schedule| schedule.enabled).collect(),
    };
    let each =
        |schedule: &schemas::schedule::Schedule| Ok((Some(schedule.id.clone()), timetable_of(schedule)?));
    chosen.into_iter().map(each).collect()
}

fn told(fire: &Fire, schedule: Option<String>, zone: &TimeZone) -> NextFire {
    let local = Zoned::new(fire.at, zone.clone());
    let at = local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    NextFire { at, note: fire.note.map(|note| note.to_string()), schedule }
}

fn lines(fires: &[NextFire]) -> String {
    let mut text = String::new();
    for fire in fires {
        text.push_str(&fire.at);
        for more in [&fire.schedule, &fire.note].into_iter().flatten() {
            text.push_str("  ");
            text.push_str(&crate::ui::text::escape(more));
        }
        text.push('\n');
    }
    text
}
