//! `retry`: a new run that takes over what another one has completed.

use super::{detach, resume::GoingOn, run};
use crate::{errors::Result, owner, store::home::Home};

/// Start a new run from what failed in another one: what has completed there is taken over.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow retry @last\n  \
    q workflow retry 01997b1c --json")]
pub(super) struct Arguments {
    /// Id of a run that failed or was cancelled, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    going_on: GoingOn,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let going_on = &arguments.going_on;
    if going_on.detach {
        return detach::start();
    }
    let old = super::find_run(home, &arguments.id)?;
    let (order, created) = owner::retry(home, &old, &going_on.given, going_on.driving(home)?)?;
    if going_on.detached {
        detach::let_go(created.owned.dir.id())?;
    }
    run::drive(home, created, &order, going_on.shape())
}
