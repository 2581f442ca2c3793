//! Stops itself with SIGSTOP: a stopped process does not see SIGTERM.

use integration_tests::hostile;
use nix::sys::signal::{Signal, raise};

fn main() {
    hostile::mark("stop-self.started");
    raise(Signal::SIGSTOP).expect("SIGSTOP can be raised");
    hostile::hang();
}
