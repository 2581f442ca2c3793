//! Waiting: a predicate with a bound, the only wait of these tests.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `holds`, at most `bound`; whether it did.
pub fn holds_within(bound: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + bound;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        // The one pause of the tests: what is waited for happens in other processes, which do not wake us.
        thread::park_timeout(PAUSE);
    }
}

/// Waits until `holds`, at most `bound`, and fails the test with `what` if it does not.
#[track_caller]
pub fn eventually(what: &str, bound: Duration, holds: impl FnMut() -> bool) {
    assert!(holds_within(bound, holds), "not within {bound:?}: {what}");
}

/// Says on stderr that the host lacks what a test needs. In the virtual machine it fails the test: there
/// everything must be.
#[track_caller]
pub fn skip(reason: &str) {
    use std::io::Write;

    assert!(std::env::var_os("Q_VM").is_none(), "skipped in the virtual machine: {reason}");
    // Straight to the descriptor: the test runner captures the macros, and a skip must be seen.
    writeln!(std::io::stderr(), "SKIPPED: {reason}").expect("stderr takes a line");
}
