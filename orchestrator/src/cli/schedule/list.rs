//! `schedule list`: every schedule, when it fires next, and when it fired last.

use jiff::Zoned;
use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        schedules::{ListedSchedule, ScheduleListing},
    },
};

use super::timetable_of;
use crate::{
    cli::output,
    clock,
    errors::{CommandError, Result},
    store::{fires, home::Home, schedules},
    ui::{
        style::Paint,
        table::{Cell, Table},
        terminal,
    },
};

/// List the schedules.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  q workflow schedule list\n  q workflow schedule list --json")]
pub(in crate::cli) struct Arguments {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let listing = listing(home)?;
    if arguments.json {
        output::json(&listing)?;
    } else {
        output::text(&table(&listing, terminal::width()))?;
    }
    Ok(ExitCode::Done)
}

fn listing(home: &Home) -> Result<ScheduleListing> {
    let stored = schedules::read(home)?;
    let records = fires::read(home).map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    let last = fires::last(&records);
    let now = clock::wall();
    let mut listed = Vec::new();
    for schedule in stored.schedules {
        let next = timetable_of(&schedule)?.next(now).filter(|_| schedule.enabled);
        listed.push(ListedSchedule {
            next: next.map(|fire| fire.at),
            last: last.get(schedule.id.as_str()).copied(),
            id: schedule.id,
            workflow: schedule.workflow,
            cron: schedule.cron,
            timezone: schedule.timezone,
            catch_up: schedule.catch_up,
            overlap: schedule.overlap,
            enabled: schedule.enabled,
        });
    }
    Ok(ScheduleListing { schema_version: SCHEMA_VERSION, schedules: listed })
}

/// From this width on there is room for the zone and for the last fire.
const WHOLE: usize = 60;

fn table(listing: &ScheduleListing, columns: usize) -> String {
    if listing.schedules.is_empty() {
        return "no schedules\n".to_owned();
    }
    let whole = columns >= WHOLE;
    let head = if whole {
        vec!["SCHEDULE", "CRON", "ZONE", "NEXT", "LAST"]
    } else {
        vec!["SCHEDULE", "CRON", "NEXT"]
    };
    let mut table = Table::new(head, 0);
    for schedule in &listing.schedules {
        let zone = workflow_engine::zone::by_name(&schedule.timezone);
        let local = |moment: Option<jiff::Timestamp>| {
            let zoned = moment.zip(zone.clone()).map(|(moment, zone)| Zoned::new(moment, zone));
            zoned.map_or_else(|| "-".to_owned(), |zoned| zoned.strftime("%m-%d %H:%M").to_string())
        };
        let next = if schedule.enabled {
            Cell::from(local(schedule.next))
        } else {
            Cell::painted("disabled", Paint::Dim)
        };
        let mut cells = vec![Cell::from(&schedule.id), Cell::from(&schedule.cron)];
        if whole {
            cells.extend([Cell::from(&schedule.timezone), next, Cell::from(local(schedule.last))]);
        } else {
            cells.push(next);
        }
        table.row(cells);
    }
    table.render(columns)
}
