//! Does not end on SIGTERM, SIGINT or SIGHUP: only SIGKILL ends it.

use integration_tests::hostile;
use nix::sys::signal::{SigSet, Signal};

fn main() {
    // Blocked is as good as ignored, and needs no unsafe call.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().expect("signals can be blocked");
    hostile::mark("ignore-term.started");
    hostile::hang();
}
