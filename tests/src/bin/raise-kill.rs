//! Kills itself with SIGKILL: from outside it looks like a kill for want of memory.

use nix::sys::signal::{Signal, raise};

fn main() {
    raise(Signal::SIGKILL).expect("SIGKILL can be raised");
}
