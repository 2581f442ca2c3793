//! What the screen shows and what the keys do to it. Pure: nothing is read or written here.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use schemas::{
    journal::AttemptId,
    view::{AttemptView, RunStatus, RunView, StepStatus},
};

use crate::{
    live::Use,
    ui::{
        status::{branches, label},
        text::escape,
    },
};

/// Lines that a page key moves by.
const PAGE: usize = 10;

/// What stands in the middle of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The steps, and the end of the log of the one that is looked at.
    Steps,
    /// The log of one step, so many lines above its end.
    Log(usize),
    /// The steps, and the question whether the run shall be stopped.
    Confirm,
}

/// What a key asks for beyond the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Nothing,
    Quit,
    Interrupt,
    Stop,
}

/// A line of the tree.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) status: StepStatus,
    pub(super) times: (Option<jiff::Timestamp>, Option<jiff::Timestamp>),
    pub(super) took: Option<u64>,
    pub(super) attempts: Vec<AttemptView>,
    /// Its last attempt.
    pub(super) id: Option<AttemptId>,
}

/// What an attempt uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) used: Use,
    /// Thousandths of a core since the last look; unknown after the first.
    pub(super) cores_millis: Option<u64>,
}

/// The screen.
#[derive(Debug)]
pub(super) struct State {
    pub(super) view: RunView,
    pub(super) rows: Vec<Row>,
    pub(super) selected: usize,
    /// Whether a key chose what is looked at; else it is what runs.
    pub(super) chosen: bool,
    pub(super) mode: Mode,
    pub(super) loads: HashMap<PathBuf, Load>,
    pub(super) log: Vec<String>,
    /// Something that must be said.
    pub(super) message: Option<String>,
}

impl State {
    pub(super) fn new(view: RunView) -> Self {
        let mut state = Self {
            rows: Vec::new(),
            view,
            selected: 0,
            chosen: false,
            mode: Mode::Steps,
            loads: HashMap::new(),
            log: Vec::new(),
            message: None,
        };
        state.arrange();
        state
    }

    /// Takes the run as it stands now.
    pub(super) fn update(&mut self, view: RunView) {
        self.view = view;
        self.arrange();
    }

    fn arrange(&mut self) {
        let steps = branches(&self.view.steps).into_iter().map(|branch| {
            let step = branch.step;
            Row {
                name: format!("{}{}", branch.first, escape(&label(step))),
                status: step.status,
                times: (step.started_at, step.finished_at),
                took: step.duration_ms,
                attempts: step.attempts.clone(),
                id: last_attempt(step.full_name(), &step.iteration, &step.attempts),
            }
        });
        let undone = self.view.rollback.iter().map(|undo| Row {
            name: format!("undo {}", escape(&undo.id)),
            status: undo.status,
            times: (None, None),
            took: undo.attempts.iter().map(|attempt| attempt.usage.wall_ms).sum(),
            attempts: undo.attempts.clone(),
            id: last_attempt(undo.id.clone(), &[], &undo.attempts),
        });
        self.rows = steps.chain(undone).collect();
        if !self.chosen {
            let runs = |row: &Row| row.status == StepStatus::Running && row.id.is_some();
            let latest = self.rows.iter().rposition(runs);
            self.selected = latest.unwrap_or(self.selected);
        }
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
    }

    /// Whether an engine still works on it.
    pub(super) fn is_alive(&self) -> bool {
        !self.view.status.is_ended() && self.view.status != RunStatus::Interrupted
    }

    /// The attempt whose log is looked at.
    pub(super) fn attempt(&self) -> Option<&AttemptId> {
        self.rows.get(self.selected)?.id.as_ref()
    }

    /// Takes what the programs use now, so long after the last look.
    pub(super) fn measure(&mut self, used: HashMap<PathBuf, Use>, since: Duration) {
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = std::mem::take(&mut self.loads);
        self.loads = used
            .into_iter()
            .map(|(work, used)| {
                let spent = before.get(&work).map(|before| used.cpu_us.saturating_sub(before.used.cpu_us));
                (work, Load { used, cores_millis: spent.map(|spent| spent.saturating_mul(1000) / micros) })
            })
            .collect();
    }

    /// Does what a key says.
    pub(super) fn key(&mut self, key: KeyEvent) -> Order {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Order::Interrupt } else { Order::Nothing };
        }
        self.message = None;
        match self.mode {
            Mode::Confirm => {
                self.mode = Mode::Steps;
                if key.code == KeyCode::Char('y') { Order::Stop } else { Order::Nothing }
            }
            Mode::Steps => self.key_of_steps(key.code),
            Mode::Log(above) => self.key_of_log(key.code, above),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    fn key_of_steps(&mut self, code: KeyCode) -> Order {
        let last = self.rows.len().saturating_sub(1);
        let selected = match code {
            KeyCode::Char('q') | KeyCode::Esc => return Order::Quit,
            KeyCode::Char('s') => {
                if self.is_alive() {
                    self.mode = Mode::Confirm;
                } else {
                    self.message = Some("it has ended already".to_owned());
                }
                return Order::Nothing;
            }
            KeyCode::Enter => {
                self.chosen = true;
                self.mode = Mode::Log(0);
                return Order::Nothing;
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.selected + 1,
            KeyCode::PageUp => self.selected.saturating_sub(PAGE),
            KeyCode::PageDown => self.selected + PAGE,
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => return Order::Nothing,
        };
        self.chosen = true;
        self.selected = selected.min(last);
        Order::Nothing
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    fn key_of_log(&mut self, code: KeyCode, above: usize) -> Order {
        let most = self.log.len().saturating_sub(1);
        self.mode = match code {
            KeyCode::Char('q') => return Order::Quit,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => Mode::Steps,
            KeyCode::Up | KeyCode::Char('k') => Mode::Log((above + 1).min(most)),
            KeyCode::Down | KeyCode::Char('j') => Mode::Log(above.saturating_sub(1)),
            KeyCode::PageUp => Mode::Log((above + PAGE).min(most)),
            KeyCode::PageDown => Mode::Log(above.saturating_sub(PAGE)),
            KeyCode::Home => Mode::Log(most),
            KeyCode::End => Mode::Log(0),
            _ => self.mode,
        };
        Order::Nothing
    }
}

fn last_attempt(step: String, turn: &[u32], attempts: &[AttemptView]) -> Option<AttemptId> {
    let attempt = attempts.last()?.attempt;
    Some(AttemptId { step, turn: turn.to_vec(), attempt })
}
