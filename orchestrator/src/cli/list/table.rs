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
/// A shortened id: what tells apart runs of the same millisecond is in it.
const SHORT_ID: usize = 18;

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
    let with_times = columns >= WITH_TIMES;
    let mut head = vec!["RUN", "WORKFLOW", "STATUS", "TIME"];
    if with_times {
        head.extend(["CREATED", "TRIGGER"]);
    }
    let mut table = Table::new(head, 1);
    for run in runs {
        let id = if columns >= WITH_IDS { &run.run_id } else { run.run_id.get(..SHORT_ID).unwrap_or(&run.run_id) };
        let mut cells = vec![
            Cell::from(id),
            Cell::from(&run.workflow),
            Cell::painted(run.status.as_str(), style::of_run(run.status)),
            Cell::from(run.duration_ms.map_or_else(|| "-".to_owned(), quantity::millis)),
        ];
        if with_times {
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
        let beginning: String = description.lines().next().unwrap_or_default().chars().take(columns).collect();
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
        insta::assert_snapshot!(shown(52), @"");
    }

    #[test]
    fn usual() {
        insta::assert_snapshot!(shown(80), @"");
    }

    #[test]
    fn wide() {
        insta::assert_snapshot!(shown(120), @"");
    }

    #[test]
    fn nothing() {
        let listing = Listing { schema_version: SCHEMA_VERSION, runs: Vec::new(), definitions: Vec::new() };
        assert_eq!(render(&listing, 80, &TimeZone::UTC), "nothing to list\n");
    }
}
