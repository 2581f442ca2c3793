//! The picture of a run on a whole terminal: head, steps with their timeline, the end of a log, the keys.

use std::fmt::Write as _;

use jiff::Timestamp;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table, TableState},
};
use schemas::view::StepStatus;

use super::state::{Load, Mode, Row, State};
use crate::{
    store::home::RunDir,
    ui::{
        quantity,
        status::elapsed,
        style::{self, Paint},
        text::escape,
    },
};

/// From this height on there is room for the end of a log.
const WITH_LOG: u16 = 14;
/// From these widths on there is room for what a step uses, and for its bar on the timeline.
const WITH_USE: u16 = 60;
const WITH_TIMELINE: u16 = 90;
/// Columns of the timeline.
const TIMELINE: u16 = 30;

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, dir: &RunDir, now: Timestamp) {
    let area = frame.area();
    let log = if area.height >= WITH_LOG { area.height / 3 } else { 0 };
    let layout = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(2),
        Constraint::Length(if matches!(state.mode, Mode::Log(_)) { 0 } else { log }),
        Constraint::Length(1),
    ]);
    let [head, middle, below, foot] = layout.areas(area);
    frame.render_widget(Paragraph::new(header(state, now)), head);
    match state.mode {
        Mode::Log(above) => draw_log(frame, middle, state, above),
        Mode::Steps | Mode::Confirm => {
            draw_steps(frame, middle, state, dir, now);
            if log > 0 {
                draw_log(frame, below, state, 0);
            }
        }
    }
    frame.render_widget(Paragraph::new(keys(state)), foot);
}

fn header(state: &State, now: Timestamp) -> Vec<Line<'static>> {
    let view = &state.view;
    let took = view.duration_ms.or_else(|| elapsed(view.started_at, now)).map(quantity::millis);
    let word = if view.status.is_ended() { "in" } else { "for" };
    let took = took.map(|took| format!(" {word} {took}")).unwrap_or_default();
    let first = Line::from(vec![
        Span::styled(format!("{} {}: ", escape(&view.workflow), escape(&view.version)), bold()),
        Span::styled(view.status.as_str(), painted(style::of_run(view.status))),
        Span::raw(took),
    ]);
    let mut second = format!("run {}", escape(&view.run_id));
    if !state.loads.is_empty() {
        let memory: u64 = state.loads.values().map(|load| load.used.memory_bytes).sum();
        let _infallible = write!(second, "  memory {}", quantity::bytes(memory));
        if let Some(cores) = state.loads.values().map(|load| load.cores_millis).sum::<Option<u64>>() {
            let _infallible = write!(second, "  CPU {}", percent(cores));
        }
    }
    vec![first, Line::raw(second)]
}

fn draw_steps(frame: &mut Frame<'_>, area: Rect, state: &State, dir: &RunDir, now: Timestamp) {
    let (with_use, with_timeline) = (area.width >= WITH_USE, area.width >= WITH_TIMELINE);
    let mut head = vec!["STEP", "STATUS", "TIME"];
    let mut widths = vec![Constraint::Fill(1), Constraint::Length(11), Constraint::Length(7)];
    if with_use {
        head.extend(["CPU", "MEMORY"]);
        widths.extend([Constraint::Length(7), Constraint::Length(9)]);
    }
    if with_timeline {
        head.push("TIMELINE");
        widths.push(Constraint::Length(TIMELINE));
    }
    let rows = state.rows.iter().map(|row| {
        let load = row.id.as_ref().and_then(|id| state.loads.get(&dir.work(id).ok()?));
        let took = row.took.or_else(|| elapsed(row.times.0, now).filter(|_| state.is_alive()));
        let mut cells = vec![
            Cell::new(row.name.clone()),
            Cell::new(Span::styled(row.status.as_str(), painted(style::of_step(row.status)))),
            Cell::new(took.map_or_else(|| "-".to_owned(), quantity::millis)),
        ];
        if with_use {
            let (cpu, memory) = usage(row, load.filter(|_| row.status == StepStatus::Running));
            cells.extend([Cell::new(cpu), Cell::new(memory)]);
        }
        if with_timeline {
            cells.push(Cell::new(Span::styled(bar(state, row, now), painted(style::of_step(row.status)))));
        }
        TableRow::new(cells)
    });
    let table = Table::new(rows, widths)
        .header(TableRow::new(head).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ");
    let mut selected = TableState::new().with_selected(Some(state.selected));
    frame.render_stateful_widget(table, area, &mut selected);
}

/// CPU and memory: what it uses now, or what it has used.
fn usage(row: &Row, load: Option<&Load>) -> (String, String) {
    let unknown = || "-".to_owned();
    if let Some(load) = load {
        let cpu = load.cores_millis.map_or_else(unknown, percent);
        return (cpu, quantity::bytes(load.used.memory_bytes));
    }
    let spent = |attempt: &schemas::view::AttemptView| {
        attempt.usage.cpu_user_us.zip(attempt.usage.cpu_system_us).map(|(user, system)| user + system)
    };
    let cpu = row.attempts.iter().map(spent).sum::<Option<u64>>().filter(|_| !row.attempts.is_empty());
    let memory = row.attempts.iter().filter_map(|attempt| attempt.usage.memory_peak_bytes).max();
    (cpu.map_or_else(unknown, quantity::micros), memory.map_or_else(unknown, quantity::bytes))
}

/// Of one core.
fn percent(cores_millis: u64) -> String {
    format!("{} %", cores_millis / 10)
}

/// From its start to its end, on the line from the run's start until now.
fn bar(state: &State, row: &Row, now: Timestamp) -> String {
    let view = &state.view;
    let (Some(zero), Some(from)) = (view.started_at, row.times.0) else { return String::new() };
    let whole = elapsed(Some(zero), view.finished_at.unwrap_or(now)).unwrap_or(0).max(1);
    let place = |moment: Timestamp| {
        let after = elapsed(Some(zero), moment).unwrap_or(0).min(whole);
        usize::try_from(after * u64::from(TIMELINE) / whole).unwrap_or(0)
    };
    let begin = place(from).min(usize::from(TIMELINE) - 1);
    let end = place(row.times.1.unwrap_or(now)).max(begin + 1);
    format!("{}{}", " ".repeat(begin), "━".repeat(end - begin))
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, state: &State, above: usize) {
    let name = state.rows.get(state.selected).map(|row| row.name.trim_start_matches(['│', '├', '└', ' ']));
    let title = format!(" log of {} ", name.unwrap_or("nothing yet"));
    let block = Block::new().borders(Borders::TOP).title(title);
    let room = usize::from(block.inner(area).height);
    let end = state.log.len().saturating_sub(above);
    let lines = state.log[end.saturating_sub(room)..end].iter().map(|line| Line::raw(line.as_str()));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn keys(state: &State) -> Line<'static> {
    if let Some(message) = &state.message {
        return Line::styled(message.clone(), bold());
    }
    match state.mode {
        Mode::Confirm => Line::styled("stop the run? y: yes, any other key: no", bold()),
        Mode::Log(_) => Line::raw("esc back  ↑↓ move  q quit"),
        Mode::Steps if state.is_alive() => Line::raw("q quit  s stop  ↑↓ move  enter log"),
        Mode::Steps => Line::raw("q quit  ↑↓ move  enter log"),
    }
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn painted(paint: Paint) -> Style {
    match paint {
        Paint::Plain => Style::new(),
        Paint::Dim => Style::new().add_modifier(Modifier::DIM),
        Paint::Strong => bold(),
        Paint::Good => Style::new().fg(Color::Green),
        Paint::Bad => Style::new().fg(Color::Red),
        Paint::Active => Style::new().fg(Color::Cyan),
        Paint::Odd => Style::new().fg(Color::Yellow),
    }
}
