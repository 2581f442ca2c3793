//! Ends with exit code 0 when it gets SIGTERM, as if nothing had happened.

use integration_tests::hostile;
use nix::sys::signal::{SigSet, Signal};

fn main() {
    let signals = SigSet::from(Signal::SIGTERM);
    signals.thread_block().expect("signals can be blocked");
    hostile::mark("term-then-exit0.started");
    signals.wait().expect("sigwait(3) takes a signal");
    hostile::mark("term-then-exit0.got-term");
}
