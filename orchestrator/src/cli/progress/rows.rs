//! The lines that are drawn in place: the steps that run now as a tree, and below them where the run stands.
//! Pure: events in, text out.

use std::{
    collections::HashMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use schemas::{
    events::{EventType, RunEvent},
    journal::AttemptId,
    view::{StepStatus, StepView},
};
use workflow_engine::plan::Plan;

use crate::{
    live::Use,
    store::home::RunDir,
    ui::{
        agent, quantity,
        status::{branches, elapsed, label},
        style::{self, Paint, paint},
        text::{escape, shorten},
    },
};

/// The wheel that shows that something runs.
const WHEEL: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Lines of the terminal that are left free: the cursor's, and one that stays.
const FREE: usize = 2;

/// For what it is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) columns: usize,
    pub(super) lines: usize,
    pub(super) now: Timestamp,
    /// Number of the picture.
    pub(super) frame: usize,
}

/// A step that has not ended.
#[derive(Debug)]
struct Row {
    view: StepView,
    work: Option<PathBuf>,
    /// What it said last, or why it waits.
    note: String,
}

/// What runs now.
#[derive(Debug)]
pub(super) struct Rows {
    plan: Arc<Plan>,
    /// The places of the plan's steps, by name.
    places: HashMap<String, usize>,
    dir: RunDir,
    rows: Vec<Row>,
    ended: usize,
    state: &'static str,
    since: Option<Timestamp>,
}

impl Rows {
    pub(super) fn new(plan: Arc<Plan>, dir: RunDir) -> Self {
        let places = plan.steps.iter().enumerate().map(|(place, step)| (step.name.clone(), place)).collect();
        Self { plan, places, dir, rows: Vec::new(), ended: 0, state: "starting", since: None }
    }

    pub(super) fn workflow(&self) -> &str {
        &self.plan.name
    }

    /// Takes in what happened.
    pub(super) fn hear(&mut self, event: &RunEvent) {
        match event.kind {
            EventType::RunCreated => self.since = Some(event.ts),
            EventType::RunQueued => self.state = "queued",
            EventType::RunStarted => {
                self.state = "running";
                self.since = Some(event.ts);
            }
            EventType::RunStopping => self.state = "stopping",
            EventType::RollbackStarted if event.step.is_none() => self.state = "rolling back",
            EventType::RunEnded => self.rows.clear(),
            EventType::StepWaiting => self.stands(event, StepStatus::Waiting, String::new()),
            EventType::StepStarted => self.stands(event, StepStatus::Running, String::new()),
            EventType::StepRetrying => {
                let wait = event
                    .delay_ms
                    .map_or_else(String::new, |ms| format!("next try in {}", quantity::millis(ms)));
                self.stands(event, StepStatus::Waiting, wait);
            }
            EventType::StepCompleted
            | EventType::StepFailed
            | EventType::StepSkipped
            | EventType::StepCancelled => {
                self.rows.retain(|row| !row.is_of(event));
                self.ended += 1;
            }
            EventType::AgentRequest => {
                let row = self.rows.iter_mut().find(|row| row.is_of(event));
                if let Some((agent, row)) = event.agent.as_deref().zip(row) {
                    row.note = agent::line(agent);
                }
            }
            EventType::ScheduleFired
            | EventType::StepProgress
            | EventType::StepLog
            | EventType::ToolCalled
            | EventType::AgentMessage
            | EventType::AgentThought
            | EventType::AgentPlan
            | EventType::GuardrailExceeded
            | EventType::RollbackStarted
            | EventType::RollbackStep
            | EventType::RollbackEnded => {}
        }
    }

    /// A step stands anew.
    fn stands(&mut self, event: &RunEvent, status: StepStatus, note: String) {
        let Some(name) = &event.step else { return };
        let id = AttemptId {
            step: name.clone(),
            turn: event.iteration.clone(),
            attempt: event.attempt.unwrap_or(1),
        };
        let work = self.dir.work(&id).ok();
        if let Some(row) = self.rows.iter_mut().find(|row| row.is_of(event)) {
            row.view.status = status;
            row.view.started_at = Some(event.ts);
            (row.work, row.note) = (work, note);
            return;
        }
        let view = self.view(name, event, status);
        self.rows.push(Row { view, work, note });
    }

    fn view(&self, name: &str, event: &RunEvent, status: StepStatus) -> StepView {
        let step = self.places.get(name).map(|place| &self.plan.steps[*place]);
        let parent = step.and_then(|step| step.parent).map(|parent| &self.plan.steps[parent.index()]);
        StepView {
            id: name.rsplit('.').next().unwrap_or(name).to_owned(),
            kind: step.map(|step| step.kind.name()).unwrap_or_default().to_owned(),
            status,
            iteration: event.iteration.clone(),
            parent: parent.filter(|parent| !parent.is_row).map(|parent| parent.id().to_owned()),
            within: name.rsplit_once('.').map(|(within, _)| within.to_owned()),
            started_at: Some(event.ts),
            finished_at: None,
            duration_ms: None,
            outputs: None,
            large_outputs: None,
            error: None,
            skip_reason: None,
            retry_at: None,
            agent: None,
            attempts: Vec::new(),
        }
    }

    /// The lines, each at most as wide as the screen, and not more than it has room for.
    pub(super) fn render(&self, screen: &Screen, used: &HashMap<PathBuf, Use>) -> Vec<String> {
        let views: Vec<_> = self.rows.iter().map(|row| row.view.clone()).collect();
        let room = screen.lines.saturating_sub(FREE + 1).max(1);
        let branches = branches(&views);
        let hidden = branches.len().saturating_sub(room);
        let shown = branches.iter().take(room).filter_map(|branch| {
            let row = self.rows.iter().find(|row| row.is(branch.step))?;
            Some(row.text(&branch.first, screen, used))
        });
        shown.chain(std::iter::once(self.foot(screen, hidden))).collect()
    }

    fn foot(&self, screen: &Screen, hidden: usize) -> String {
        let leaves = self.rows.iter().filter(|row| row.view.status == StepStatus::Running).count();
        let mut text = format!("{} {}: {} done", escape(&self.plan.name), self.state, self.ended);
        if leaves > 0 {
            let _infallible = write!(text, ", {leaves} running");
        }
        if hidden > 0 {
            let _infallible = write!(text, " ({hidden} not shown)");
        }
        if let Some(ms) = elapsed(self.since, screen.now) {
            let _infallible = write!(text, ", {}", quantity::millis(ms));
        }
        paint(Paint::Strong, &shorten(&text, screen.columns))
    }
}

impl Row {
    fn is_of(&self, event: &RunEvent) -> bool {
        event.step.as_deref() == Some(&self.view.full_name()) && event.iteration == self.view.iteration
    }

    fn is(&self, view: &StepView) -> bool {
        self.view.full_name() == view.full_name() && self.view.iteration == view.iteration
    }

    fn text(&self, tree: &str, screen: &Screen, used: &HashMap<PathBuf, Use>) -> String {
        let mark = match self.view.status {
            StepStatus::Running => WHEEL[screen.frame % WHEEL.len()],
            StepStatus::Pending
            | StepStatus::Waiting
            | StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::RolledBack => '·',
        };
        let mut text = format!("{tree}{}", escape(&label(&self.view)));
        let wait = if self.view.status == StepStatus::Waiting { "waiting " } else { "" };
        let time = elapsed(self.view.started_at, screen.now).map(quantity::millis).unwrap_or_default();
        let _infallible = write!(text, "  {wait}{time}");
        let used: Option<&Use> = self.work.as_deref().and_then(|work: &Path| used.get(work));
        if let Some(used) = used {
            let (cpu, memory) = (quantity::micros(used.cpu_us), quantity::bytes(used.memory_bytes));
            let _infallible = write!(text, "  {memory}  {cpu} CPU");
        }
        if !self.note.is_empty() {
            let _infallible = write!(text, "  {}", escape(&self.note));
        }
        let mark = paint(style::of_step(self.view.status), &mark.to_string());
        format!("{mark} {}", shorten(&text, screen.columns.saturating_sub(2)))
    }
}

#[cfg(test)]
mod tests;
