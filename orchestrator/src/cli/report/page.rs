//! The page of a run as text. Everything that comes from a run is escaped.

use std::{
    fmt::Write as _,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use jiff::Timestamp;
use schemas::{
    journal::AttemptId,
    output::graph::Graph,
    view::{RunView, StepView},
};

use crate::{
    cli::graph::svg::{self, escaped},
    store::{files, home::RunDir},
    ui::quantity,
};

/// Bytes of each stream's end that are shown.
const TAIL: u64 = 4096;
/// Attempts whose streams are shown: a page must open.
const TAILS: usize = 200;

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--soft:#59636e;--line:#d1d9e0;--good:#1a7f37;--bad:#cf222e;--odd:#9a6700;--on:#0969da}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--soft:#9198a1;--line:#3d444d;--good:#3fb950;--bad:#f85149;--odd:#d29922;--on:#4493f8}}
*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:70rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}.soft{color:var(--soft)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line);border-radius:6px;font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere}
.completed{color:var(--good)}.failed,.rollback_failed{color:var(--bad)}.cancelled,.rolled_back,.interrupted,.stopping{color:var(--odd)}.running,.waiting,.queued,.rolling_back{color:var(--on)}
.gantt{display:grid;grid-template-columns:minmax(6rem,14rem) 1fr;gap:.2rem .6rem;font-size:.85rem}.gantt span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.track{position:relative;height:1.2rem;border-bottom:1px solid var(--line)}.bar{position:absolute;top:.1rem;height:.9rem;min-width:2px;border-radius:3px;background:currentColor}";

/// The whole page.
pub(super) fn page(view: &RunView, graph: &Graph, dir: &RunDir) -> String {
    let title = format!("{} {}: {}", view.workflow, view.version, view.status);
    let sections = [
        head(view),
        error(view),
        section("Timeline", &gantt(view)),
        section("Steps", &format!("<div class=\"wide\">{}</div>", table(view))),
        section("Graph", &format!("<div class=\"wide\">{}</div>", svg::draw(graph))),
        section("Logs", &logs(view, dir)),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        escaped(&title),
        sections.concat()
    )
}

fn section(title: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<h2>{title}</h2>\n{content}\n") }
}

fn head(view: &RunView) -> String {
    let took = view.duration_ms.map(|millis| format!(" in {}", quantity::millis(millis))).unwrap_or_default();
    let scheduled = view.scheduled_at.map(|at| format!(", scheduled for {at}")).unwrap_or_default();
    format!(
        "<h1>{} <span class=\"soft\">{}</span>: <span class=\"{status}\">{status}</span>{took}</h1>\n\
         <p class=\"soft\">run {}<br>created {} ({}){scheduled}</p>\n",
        escaped(&view.workflow),
        escaped(&view.version),
        escaped(&view.run_id),
        view.created_at,
        escaped(&view.trigger),
        status = view.status,
    )
}

fn error(view: &RunView) -> String {
    let Some(error) = &view.error else { return String::new() };
    let step = error.step.as_ref().map(|step| format!("step {step}: ")).unwrap_or_default();
    let told = format!("{step}{}: {}", error.code.as_str(), error.message);
    let lines = error.details.stderr.join("\n");
    section("Why", &format!("<pre class=\"failed\">{}</pre>", escaped(&format!("{told}\n{lines}"))))
}

fn label(step: &StepView) -> String {
    let turns: Vec<_> = step.iteration.iter().map(ToString::to_string).collect();
    if turns.is_empty() { step.id.clone() } else { format!("{}[{}]", step.id, turns.join(".")) }
}

/// A bar for each step, from its start to its end.
fn gantt(view: &RunView) -> String {
    let begin = view.started_at.unwrap_or(view.created_at);
    let ends = view.steps.iter().filter_map(end);
    let end_of_run = view.finished_at.into_iter().chain(ends).max().unwrap_or(begin);
    let whole = between(begin, end_of_run).max(1);
    let mut rows = String::new();
    for step in &view.steps {
        let Some(start) = step.started_at else { continue };
        let left = thousandths(between(begin, start), whole);
        let width = thousandths(between(start, end(step).unwrap_or(end_of_run)), whole).min(1000 - left);
        let time = step.duration_ms.map(quantity::millis).unwrap_or_default();
        let _infallible = writeln!(
            rows,
            "<span>{}</span><div class=\"track\"><div class=\"bar {}\" style=\"left:{}.{}%;width:{}.{}%\" title=\"{}\"></div></div>",
            escaped(&label(step)),
            step.status,
            left / 10,
            left % 10,
            width / 10,
            width % 10,
            escaped(&time),
        );
    }
    if rows.is_empty() { rows } else { format!("<div class=\"gantt\">\n{rows}</div>") }
}

fn end(step: &StepView) -> Option<Timestamp> {
    step.finished_at
}

/// Milliseconds; a clock that was set back makes none.
fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or_default()
}

fn thousandths(part: u64, whole: u64) -> u64 {
    (part.saturating_mul(1000) / whole).min(1000)
}

fn table(view: &RunView) -> String {
    let mut rows = String::new();
    for step in &view.steps {
        let sum = |of: fn(&schemas::view::Usage) -> Option<u64>| {
            step.attempts.iter().filter_map(|attempt| of(&attempt.usage)).reduce(u64::saturating_add)
        };
        let cpu = sum(|usage| Some(usage.cpu_user_us?.saturating_add(usage.cpu_system_us?)));
        let memory = step.attempts.iter().filter_map(|attempt| attempt.usage.memory_peak_bytes).max();
        let unknown = || "-".to_owned();
        let _infallible = writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td class=\"{status}\">{status}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&label(step)),
            escaped(&step.kind),
            step.duration_ms.map_or_else(unknown, quantity::millis),
            step.attempts.len(),
            cpu.map_or_else(unknown, quantity::micros),
            memory.map_or_else(unknown, quantity::bytes),
            status = step.status,
        );
    }
    format!(
        "<table>\n<tr><th>Step</th><th>Type</th><th>Status</th><th>Time</th><th>Attempts</th><th>CPU</th><th>Memory</th></tr>\n{rows}</table>"
    )
}

/// The end of what each attempt wrote.
fn logs(view: &RunView, dir: &RunDir) -> String {
    let mut text = String::new();
    let attempts =
        view.steps.iter().flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)));
    for (step, attempt) in attempts.take(TAILS) {
        let id = AttemptId { step: step.id.clone(), turn: step.iteration.clone(), attempt: attempt.attempt };
        let Ok(folder) = dir.attempt(&id) else { continue };
        for (stream, path) in [("stdout", folder.stdout()), ("stderr", folder.stderr())] {
            let tail = tail(&path).unwrap_or_default();
            if !tail.is_empty() {
                let _infallible = writeln!(
                    text,
                    "<p class=\"soft\">{} attempt {}, {stream}</p>\n<pre>{}</pre>",
                    escaped(&label(step)),
                    attempt.attempt,
                    escaped(&tail)
                );
            }
        }
    }
    text
}

fn tail(path: &Path) -> Option<String> {
    let mut file: File = files::open_regular(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // Cut before a line, unless it is a line without end.
    let whole = if length > TAIL { text.split_once('\n').map(|(_, rest)| rest.to_owned()) } else { None };
    Some(whole.unwrap_or(text))
}
