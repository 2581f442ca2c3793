//! `resume`: goes on with a run whose engine died.

use std::path::PathBuf;

use super::{detach, progress::Shape, run};
use crate::{
    config,
    errors::Result,
    inputs::Given,
    owner::{self, Driving},
    store::home::Home,
};

/// Go on with an interrupted run: what has completed does not run again.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow resume @last\n  \
    q workflow resume 01997b1c --json")]
pub(super) struct Arguments {
    /// Id of a run, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    going_on: GoingOn,
}

/// How `resume` and `retry` drive their run.
#[derive(Debug, clap::Args)]
pub(super) struct GoingOn {
    #[command(flatten)]
    pub(super) given: Given,
    /// Print the run's id and return; the run goes on in a session of its own.
    #[arg(long, conflicts_with_all = ["json", "events"])]
    pub(super) detach: bool,
    /// Print the final run view as JSON.
    #[arg(long, conflicts_with = "events")]
    json: bool,
    /// Print every event as a line of JSON.
    #[arg(long)]
    events: bool,
    /// Place in the line when there is no free slot: the higher goes first, then who came first.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// A cgroup v2 directory that is ours to use.
    #[arg(long, value_name = "PATH")]
    cgroup_base: Option<PathBuf>,
    /// The engine of a detached run: prints the id and lets go of the terminal.
    #[arg(long, hide = true)]
    pub(super) detached: bool,
}

impl GoingOn {
    pub(super) fn driving(&self, home: &Home) -> Result<Driving> {
        Ok(Driving {
            cgroup_base: self.cgroup_base.clone(),
            detached: self.detached,
            priority: self.priority,
            config: config::read(home)?,
        })
    }

    pub(super) fn shape(&self) -> Shape {
        match (self.detached, self.events, self.json) {
            (true, _, _) => Shape::Silent,
            (false, true, _) => Shape::Events,
            (false, false, true) => Shape::View,
            (false, false, false) => Shape::Lines,
        }
    }
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let going_on = &arguments.going_on;
    if going_on.detach {
        return detach::start();
    }
    let dir = super::find_run(home, &arguments.id)?;
    let (order, taken) = owner::resume(home, &dir, &going_on.given, going_on.driving(home)?)?;
    if going_on.detached {
        detach::let_go(dir.id())?;
    }
    run::drive(home, taken, &order, going_on.shape())
}
