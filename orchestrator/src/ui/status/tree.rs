//! The steps of a run as a tree, a line each.

use schemas::view::{AttemptView, RunStatus, RunView, StepView, Usage};

use super::{Reader, branch::branches, elapsed};
use crate::ui::{
    quantity, style,
    table::{Cell, Table},
};

/// From this width on there is room for what a step used.
const WITH_USAGE: usize = 72;
/// From this width on there is room for the types of steps.
const WITH_TYPES: usize = 100;

/// The columns that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    Little,
    Usage,
    Types,
}

/// The steps in start order, each below the step that holds it.
pub(super) fn steps(view: &RunView, reader: &Reader) -> String {
    if view.steps.is_empty() {
        return String::new();
    }
    let mut table = Rows::new(reader, "STEP");
    for branch in branches(&view.steps) {
        let step = branch.step;
        let time = step.duration_ms.or_else(|| running_for(step, view, reader));
        table.row(
            &format!("{}{}", branch.first, label(step)),
            &step.kind,
            Line {
                status: Cell::painted(step.status.as_str(), style::of_step(step.status)),
                time,
                tries: step.attempts.len(),
                usage: sum(&step.attempts),
            },
        );
        if step.attempts.len() > 1 || step.retry_at.is_some() {
            attempts(&mut table, &branch.further, &step.attempts);
        }
        if let Some(at) = step.retry_at {
            let rest = u64::try_from(at.as_millisecond().saturating_sub(reader.now.as_millisecond()));
            let name = format!("{}next try in {}", branch.further, quantity::millis(rest.unwrap_or(0)));
            let status = Cell::from("-");
            table.row(&name, "", Line { status, time: None, tries: 0, usage: Usage::default() });
        }
    }
    table.table.render(reader.columns)
}

/// The undo steps in the order in which they ran.
pub(super) fn rollback(view: &RunView, reader: &Reader) -> String {
    if view.rollback.is_empty() {
        return String::new();
    }
    let mut table = Rows::new(reader, "ROLLBACK");
    for undo in &view.rollback {
        let name =
            undo.of.as_ref().map_or_else(|| undo.id.clone(), |of| format!("{} (undoes {of})", undo.id));
        table.row(
            &name,
            "undo",
            Line {
                status: Cell::painted(undo.status.as_str(), style::of_step(undo.status)),
                time: undo.attempts.iter().map(|attempt| attempt.usage.wall_ms).sum(),
                tries: undo.attempts.len(),
                usage: sum(&undo.attempts),
            },
        );
    }
    table.table.render(reader.columns)
}

/// A step's id, with the turns of the loops around it: `fetch[0.3]`.
pub fn label(step: &StepView) -> String {
    if step.iteration.is_empty() {
        return step.id.clone();
    }
    let turns: Vec<_> = step.iteration.iter().map(u32::to_string).collect();
    format!("{}[{}]", step.id, turns.join("."))
}

fn attempts(table: &mut Rows, prefix: &str, attempts: &[AttemptView]) {
    for attempt in attempts {
        table.row(
            &format!("{prefix}attempt {}", attempt.attempt),
            "",
            Line {
                status: Cell::painted(attempt.status.as_str(), style::of_step(attempt.status)),
                time: attempt.usage.wall_ms,
                tries: 0,
                usage: attempt.usage.clone(),
            },
        );
    }
}

/// How long a step has been running; a run without an engine runs no steps.
fn running_for(step: &StepView, view: &RunView, reader: &Reader) -> Option<u64> {
    let lives = !view.status.is_ended() && view.status != RunStatus::Interrupted;
    elapsed(step.started_at.filter(|_| lives), reader.now)
}

/// What all attempts used together; what one of them does not know is not known.
fn sum(attempts: &[AttemptView]) -> Usage {
    let add = |of: fn(&Usage) -> Option<u64>| {
        attempts.iter().map(|attempt| of(&attempt.usage)).sum::<Option<u64>>()
    };
    let most = |of: fn(&Usage) -> Option<u64>| attempts.iter().filter_map(|attempt| of(&attempt.usage)).max();
    let none = attempts.is_empty();
    Usage {
        cpu_user_us: add(|usage| usage.cpu_user_us).filter(|_| !none),
        cpu_system_us: add(|usage| usage.cpu_system_us).filter(|_| !none),
        memory_peak_bytes: most(|usage| usage.memory_peak_bytes),
        ..Usage::default()
    }
}

/// The cells of a line besides its name and type.
struct Line {
    status: Cell,
    time: Option<u64>,
    /// 0: not shown.
    tries: usize,
    usage: Usage,
}

/// A table with the columns that fit.
struct Rows {
    table: Table,
    detail: Detail,
}

impl Rows {
    fn new(reader: &Reader, name: &'static str) -> Self {
        let detail = match reader.columns {
            WITH_TYPES.. => Detail::Types,
            WITH_USAGE.. => Detail::Usage,
            _ => Detail::Little,
        };
        let mut head = vec![name];
        if detail >= Detail::Types {
            head.push("TYPE");
        }
        head.extend(["STATUS", "TIME"]);
        if detail >= Detail::Usage {
            head.extend(["TRIES", "CPU", "MEMORY"]);
        }
        Self { table: Table::new(head, 0), detail }
    }

    fn row(&mut self, name: &str, kind: &str, line: Line) {
        let shown = |value: Option<String>| Cell::from(value.as_deref().unwrap_or("-"));
        let mut cells = vec![Cell::from(name)];
        if self.detail >= Detail::Types {
            cells.push(Cell::from(kind));
        }
        cells.extend([line.status, shown(line.time.map(quantity::millis))]);
        if self.detail >= Detail::Usage {
            let usage = line.usage;
            let cpu =
                usage.cpu_user_us.zip(usage.cpu_system_us).map(|(user, system)| user.saturating_add(system));
            let tries = if line.tries == 0 { String::new() } else { line.tries.to_string() };
            cells.push(Cell::from(tries));
            cells.push(shown(cpu.map(quantity::micros)));
            cells.push(shown(usage.memory_peak_bytes.map(quantity::bytes)));
        }
        self.table.row(cells);
    }
}
