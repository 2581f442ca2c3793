//! Signals to the engine: the first asks for a graceful stop, the second for one at once.

use std::io;

use schemas::journal::StopSource;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::dispatcher::Stop;

/// Hands signals to the dispatcher. A detached engine outlives the terminal: SIGHUP means nothing to it.
pub(super) fn listen(stops: &mpsc::UnboundedSender<Stop>, detached: bool) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stops = stops.clone();
    tokio::task::spawn_local(async move {
        let mut asked = false;
        loop {
            let by = tokio::select! {
                _ = interrupt.recv() => StopSource::SigInt,
                _ = terminate.recv() => StopSource::SigTerm,
                _ = hangup.recv() => if detached { continue } else { StopSource::SigTerm },
            };
            if stops.send(Stop { now: asked, by }).is_err() {
                return;
            }
            asked = true;
        }
    });
    Ok(())
}
