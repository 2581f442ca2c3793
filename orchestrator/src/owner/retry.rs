//! A new run from what another one has completed. Its journal holds all of it: the old one is not needed again.

use std::rc::Rc;

use schemas::{
    exit_code::ExitCode,
    journal::{FORMAT_VERSION, RunCreated},
    view::RunStatus,
};

use super::{Created, Driving, Order, Start, create::create};
use crate::{
    errors::{CommandError, Result},
    fold::{self, Folded},
    inputs::{self, Given},
    secrets::Secrets,
    store::{
        home::{Home, RunDir},
        names::RunId,
        run,
    },
};

/// Makes the new run; secret inputs are `given` again. The old one must have ended, and not well.
pub fn retry(home: &Home, old: &RunDir, given: &Given, driving: Driving) -> Result<(Order, Created)> {
    refuse(old, fold::current_view(old)?.status)?;
    let Folded { plan, run, secret, .. } = fold::folded(old, |plan| inputs::again(plan, given))?;
    let id = RunId::generate();
    let mut created = RunCreated {
        format_version: FORMAT_VERSION,
        q: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: id.to_string(),
        trigger: "manual".to_owned(),
        ..run.created().clone()
    };
    created.inputs.retain(|name, _| !secret.contains_key(name));
    let secrets = Rc::new(Secrets::gather(home, &driving.config, &plan, secret)?);
    let frozen = run::frozen(old).map_err(|fault| CommandError::from_error(ExitCode::Engine, &fault))?;
    let order = Order { plan, created, secrets, driving };
    super::refuse_unheld(&order)?;
    let made = create(home, &order, &frozen)?;
    Ok((order, Created { start: Start::Reusing(Box::new(run)), ..made }))
}

fn refuse(old: &RunDir, status: RunStatus) -> Result<()> {
    let id = old.id();
    let refused = |why: String| Err(CommandError::new(ExitCode::Failed, why));
    match status {
        RunStatus::Failed | RunStatus::Cancelled | RunStatus::RolledBack | RunStatus::RollbackFailed => {
            Ok(())
        }
        RunStatus::Completed => refused(format!("nothing to retry: run {id} is completed")),
        RunStatus::Interrupted => refused(format!("run {id} is interrupted, not ended"))
            .map_err(|error| error.hint(format!("`q workflow resume {id}` goes on with it"))),
        RunStatus::Queued | RunStatus::Running | RunStatus::Stopping | RunStatus::RollingBack => {
            refused(format!("run {id} has not ended: it is {status}"))
        }
    }
}
