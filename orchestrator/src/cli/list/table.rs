//! A listing as tables.

use jiff::tz::TimeZone;
use schemas::output::list::{ListedRun, Listing};

use crate::ui::{
    quantity, style,
    table::{Cell, Table},
};

/// From this width on ids are shown whole.
const WITH_IDS: usize = 110;
/// From this width on there is room for the moment of creation and the trigger.
const WITH_TIMES: usize = 76;
/// From this width on there is room for durations.
const WITH_DURATIONS: usize = 56;
/// A shortened id: the millisecond of creation, and something of what tells apart runs of the same one.
const SHORT_ID: usize = 18;
/// Where there is no room for more: the millisecond.
const SHORTEST_ID: usize = 13;

/// Both tables; what is empty is said in words when nothing else is there.
pub(super) fn render(listing: &Listing, columns: usize, zone: &TimeZone) -> String {
    let mut tables = Vec::new();
    if !listing.runs.is_empty() {
        tables.push(runs(&listing.runs, columns, zone));
    }
    if !listing.definitions.is_empty() {
        tables.push(definitions(listing, columns));
    }
    if tables.is_empty() { "nothing to list\n".to_owned() } else { tables.join("\n") }
}

fn runs(runs: &[ListedRun], columns: usize, zone: &TimeZone) -> String {
    let id_length = match columns {
        WITH_IDS.. => usize::MAX,
        WITH_DURATIONS.. => SHORT_ID,
        _ => SHORTEST_ID,
    };
    let mut head = vec!["RUN", "WORKFLOW", "STATUS"];
    if columns >= WITH_DURATIONS {
        head.push("TIME");
    }
    if columns >= WITH_TIMES {
        head.extend(["CREATED", "TRIGGER"]);
    }
    let mut table = Table::new(head, 1);
    for run in runs {
        let mut cells = vec![
            Cell::from(run.run_id.get(..id_length).unwrap_or(&run.run_id)),
            Cell::from(&run.workflow),
            Cell::painted(run.status.as_str(), style::of_run(run.status)),
        ];
        if columns >= WITH_DURATIONS {
            cells.push(Cell::from(run.duration_ms.map_or_else(|| "-".to_owned(), quantity::millis)));
        }
        if columns >= WITH_TIMES {
            cells.push(Cell::from(quantity::moment(run.created_at, zone)));
            cells.push(Cell::from(&run.trigger));
        }
        table.row(cells);
    }
    table.render(columns)
}

fn definitions(listing: &Listing, columns: usize) -> String {
    let mut table = Table::new(vec!["DEFINITION", "VERSION", "DESCRIPTION"], 2);
    for definition in &listing.definitions {
        let description = definition.description.as_deref().unwrap_or_default();
        // A column is a column: a long text is cut before it is measured.
        let beginning: String =
            description.lines().next().unwrap_or_default().chars().take(columns).collect();
        let version = definition.version.as_deref().unwrap_or("-");
        table.row(vec![Cell::from(&definition.name), Cell::from(version), Cell::from(beginning)]);
    }
    table.render(columns)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::{
        output::{SCHEMA_VERSION, list::ListedDefinition},
        view::RunStatus,
    };

    use super::*;
    use crate::ui::{style::plain, text::width};

    fn run(number: u32, workflow: &str, status: RunStatus, duration_ms: Option<u64>) -> ListedRun {
        let moment = Timestamp::from_second(1_790_000_000 + i64::from(number)).unwrap();
        ListedRun {
            run_id: format!("01997b1c-8a4e-7000-8000-{number:012}"),
            workflow: workflow.to_owned(),
            version: "1.0.0".to_owned(),
            status,
            trigger: "manual".to_owned(),
            created_at: moment,
            started_at: Some(moment),
            finished_at: None,
            duration_ms,
        }
    }

    fn listing() -> Listing {
        let definition = |name: &str, version: Option<&str>, description: Option<&str>| ListedDefinition {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            description: description.map(str::to_owned),
            path: String::new(),
        };
        Listing {
            schema_version: SCHEMA_VERSION,
            runs: vec![
                run(3, "nightly-report-of-everything", RunStatus::Interrupted, None),
                run(2, "deploy", RunStatus::Failed, Some(61_000)),
                run(1, "deploy", RunStatus::Completed, Some(12)),
            ],
            definitions: vec![
                definition("deploy", Some("1.2.0"), Some("Puts the newest build on every host.\nCarefully.")),
                definition("broken", None, None),
            ],
        }
    }

    #[track_caller]
    fn shown(columns: usize) -> String {
        let shown = plain(&render(&listing(), columns, &TimeZone::UTC));
        for line in shown.lines() {
            assert!(width(line) <= columns, "{columns} columns: {line}");
        }
        shown
    }

    #[test]
    fn narrow() {
        insta::assert_snapshot!(shown(40), @r"
        RUN            WORKFLOW      STATUS
        01997b1c-8a4e  nightly-rep…  interrupted
        01997b1c-8a4e  deploy        failed
        01997b1c-8a4e  deploy        completed

        DEFINITION  VERSION  DESCRIPTION
        deploy      1.2.0    Puts the newest bu…
        broken      -
        ");
    }

    #[test]
    fn usual() {
        insta::assert_snapshot!(shown(80), @r"
        RUN                 WORKFLOW    STATUS       TIME   CREATED              TRIGGER
        01997b1c-8a4e-7000  nightly-r…  interrupted  -      2026-09-21 14:13:23  manual
        01997b1c-8a4e-7000  deploy      failed       1m01s  2026-09-21 14:13:22  manual
        01997b1c-8a4e-7000  deploy      completed    12ms   2026-09-21 14:13:21  manual

        DEFINITION  VERSION  DESCRIPTION
        deploy      1.2.0    Puts the newest build on every host.
        broken      -
        ");
    }

    #[test]
    fn wide() {
        insta::assert_snapshot!(shown(120), @r"
        RUN                                   WORKFLOW                      STATUS       TIME   CREATED              TRIGGER
        01997b1c-8a4e-7000-8000-000000000003  nightly-report-of-everything  interrupted  -      2026-09-21 14:13:23  manual
        01997b1c-8a4e-7000-8000-000000000002  deploy                        failed       1m01s  2026-09-21 14:13:22  manual
        01997b1c-8a4e-7000-8000-000000000001  deploy                        completed    12ms   2026-09-21 14:13:21  manual

        DEFINITION  VERSION  DESCRIPTION
        deploy      1.2.0    Puts the newest build on every host.
        broken      -
        ");
    }

    #[test]
    fn nothing() {
        let listing = Listing { schema_version: SCHEMA_VERSION, runs: Vec::new(), definitions: Vec::new() };
        assert_eq!(render(&listing, 80, &TimeZone::UTC), "nothing to list\n");
    }
}
