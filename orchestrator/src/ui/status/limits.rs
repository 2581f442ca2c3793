//! Which limits the steps had and who held them.

use std::fmt::Write as _;

use schemas::view::{Limit, RunView};

use crate::ui::{
    quantity,
    style::{Paint, paint},
    text::{escape, pad, wrap},
};

/// Columns for the name and for the value of a limit.
const NAME: usize = 14;
const VALUE: usize = 12;

/// The limits, steps with the same ones together.
pub(super) fn limits(view: &RunView, columns: usize) -> String {
    let mut groups: Vec<(&[Limit], Vec<&str>)> = Vec::new();
    for step in &view.steps {
        // A later attempt may have been given more.
        let Some(limits) = step.attempts.last().map(|attempt| attempt.limits.as_slice()) else { continue };
        if limits.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|(known, _)| *known == limits) {
            // The turns of a loop have the same limits; the id is said once.
            Some((_, steps)) if steps.contains(&step.id.as_str()) => {}
            Some((_, steps)) => steps.push(&step.id),
            None => groups.push((limits, vec![&step.id])),
        }
    }
    groups.into_iter().map(|(limits, steps)| group(limits, &steps, columns)).collect()
}

fn group(limits: &[Limit], steps: &[&str], columns: usize) -> String {
    let mut text = hanging(&format!("limits of {}", escape(&steps.join(", "))), columns);
    for limit in limits {
        text.push_str(&held(limit, columns));
    }
    text
}

/// One limit; who holds it stands in the same line where there is room.
fn held(limit: &Limit, columns: usize) -> String {
    let name = format!("  {} {}", pad(&escape(&limit.name), NAME), pad(&amount(limit), VALUE));
    let holder = match (limit.held, &limit.why) {
        (true, _) => format!("held by {}", limit.by),
        (false, Some(why)) => format!("not held: {}", escape(why)),
        (false, None) => "not held".to_owned(),
    };
    if name.len() + holder.len() < columns {
        return format!("{name} {}\n", painted(limit, &holder));
    }
    let mut text = format!("{}\n", name.trim_end());
    for line in wrap(&holder, columns.saturating_sub(4)) {
        let _infallible = writeln!(text, "    {}", painted(limit, &line));
    }
    text
}

fn painted(limit: &Limit, text: &str) -> String {
    paint(if limit.held { Paint::Plain } else { Paint::Odd }, text)
}

/// A limit in the unit that its name stands for.
fn amount(limit: &Limit) -> String {
    match limit.name.as_ref() {
        "memory" | "scratch" | "output" | "file_size" => quantity::bytes(limit.value),
        "io_read_bps" | "io_write_bps" => format!("{}/s", quantity::bytes(limit.value)),
        "cpu_time" | "timeout" | "idle_timeout" | "max_execution_time" | "grace" => {
            quantity::millis(limit.value)
        }
        "cpu" => quantity::cores(limit.value),
        _ => limit.value.to_string(),
    }
}

/// What this host gave to the steps, and what it lacks.
pub(super) fn isolation(view: &RunView, columns: usize) -> String {
    let Some(isolation) = &view.isolation else { return String::new() };
    let words = [
        ("memory", isolation.memory.as_str()),
        ("cpu", isolation.cpu.as_str()),
        ("pids", isolation.pids.as_str()),
        ("io", isolation.io.as_str()),
        ("kill", isolation.kill.as_str()),
        ("network", isolation.network.as_str()),
        ("filesystem", isolation.filesystem.as_str()),
    ];
    let words: Vec<_> = words.iter().map(|(what, by)| format!("{what} {by}")).collect();
    let mut lines = hanging(&format!("isolation: {}", words.join(", ")), columns);
    for note in &isolation.notes {
        lines.push_str(&hanging(&format!("note: {}", escape(note)), columns));
    }
    lines
}

/// Text broken into lines, all but the first two columns in.
pub(super) fn hanging(text: &str, columns: usize) -> String {
    wrap(text, columns.saturating_sub(2)).join("\n  ") + "\n"
}
