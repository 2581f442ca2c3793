//! What `run`, `resume` and `retry` show while it goes on: the running steps in place on a terminal, plain lines
//! on another stderr, or the event stream on stdout.

mod line;
mod live;
mod rows;

use std::sync::Arc;

use schemas::{events::RunEvent, exit_code::ExitCode, json::member};
use serde_json::value::RawValue;
use workflow_engine::{plan::Plan, run::Run};

use self::{live::Live, rows::Rows};
use crate::{
    dispatcher::Watcher,
    errors::{CommandError, Result},
    store::home::RunDir,
    ui::{self, terminal},
};

/// Shows a run to whoever started it.
#[derive(Debug)]
pub(super) struct Progress {
    shape: Shape,
    workflow: String,
    /// What is drawn in place, where lines are wanted and stderr is a terminal.
    live: Option<Live>,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nobody looks.
    Silent,
    /// Lines for people.
    Lines,
    /// The same, and in the end this output alone, bare.
    Output(&'static str),
    /// Every event as JSON.
    Events,
    /// The final view as JSON.
    View,
}

impl Progress {
    pub(super) fn new(shape: Shape, plan: &Arc<Plan>, dir: &RunDir) -> Self {
        let live = match shape {
            Shape::Lines | Shape::Output(_) if terminal::can_redraw() => {
                Some(Live::start(Rows::new(Arc::clone(plan), dir.clone()), dir.clone()))
            }
            Shape::Silent | Shape::Lines | Shape::Output(_) | Shape::Events | Shape::View => None,
        };
        Self { shape, workflow: plan.name.clone(), live }
    }

    /// The end: data on stdout.
    pub(super) fn end(mut self, run: &Run) -> Result<()> {
        // What is drawn in place goes first.
        self.live = None;
        let view = run.streamed_view();
        let text = match self.shape {
            Shape::Silent | Shape::Events => return Ok(()),
            Shape::View => serde_json::to_string_pretty(&view).map(|text| text + "\n"),
            Shape::Lines | Shape::Output(_) if view.outputs.as_str() == "{}" => return Ok(()),
            Shape::Lines => serde_json::to_string_pretty(&view.outputs).map(|text| text + "\n"),
            Shape::Output(name) => {
                let output = member(view.outputs.as_str(), name).map_or("null", RawValue::get);
                Ok(format!("{output}\n"))
            }
        };
        let text = text.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
        ui::print(&text).map_err(|error| CommandError::from_error(ExitCode::Engine, &error))
    }
}

impl Watcher for Progress {
    fn events(&mut self, events: &[RunEvent]) {
        match self.shape {
            Shape::Silent | Shape::View => {}
            Shape::Events => {
                let lines = events.iter().filter_map(|event| serde_json::to_string(event).ok());
                // A reader that went away does not stop the run.
                let _reader_is_gone = ui::print(&lines.map(|line| line + "\n").collect::<String>());
            }
            Shape::Lines | Shape::Output(_) => {
                if let Some(live) = &self.live {
                    for event in events {
                        live.tell(event);
                    }
                    return;
                }
                let lines: String =
                    events.iter().filter_map(|event| line::line(event, &self.workflow)).collect();
                if !lines.is_empty() {
                    ui::say(&lines);
                }
            }
        }
    }
}
