//! What a dead engine may have left: its launcher ends all by itself, and whoever takes the run over makes sure
//! before anything of it starts again.

use std::{path::Path, time::Duration};

use schemas::exit_code::ExitCode;

use super::host;
use crate::{
    attempt, cgroup,
    errors::{CommandError, Result},
    signal::Process,
    store::names::RunId,
};

/// How often the leaves are looked at anew: each look waits for those that are not empty, up to two seconds.
const LOOKS: u32 = 5;
/// How long a process that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(2);

/// Ends the processes of the run's dead engine, and waits until they are gone.
pub(super) fn end(run: RunId, cgroup_base: Option<&Path>) -> Result<()> {
    let (base, _) = cgroup::find(cgroup_base, &run.to_string())
        .map_err(|error| CommandError::from_error(ExitCode::Isolation, &error))?;
    let nonce = host::nonce(run);
    if let Some(base) = &base
        && !(0..LOOKS).any(|_| cgroup::sweep_of(base, &nonce))
    {
        return Err(alive(run, "its cgroup cannot be removed"));
    }
    // Where no cgroup held them, or another base did.
    let left = attempt::left_of(run);
    for process in &left {
        // One that has just gone needs no signal.
        let _gone = process.kill();
    }
    let stays = |process: &&Process| !process.ends_within(GONE).unwrap_or(false);
    match left.iter().find(stays) {
        Some(_) => Err(alive(run, "a process does not end")),
        None => Ok(()),
    }
}

fn alive(run: RunId, why: &str) -> CommandError {
    CommandError::new(
        ExitCode::Engine,
        format!("what the dead engine of run {run} left is still there: {why}"),
    )
    .hint("it may wait for a device; try again when it has gone")
}
