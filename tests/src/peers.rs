//! Programs of others that the tests drive: where `tests/install-packages` put them.

use std::path::PathBuf;

use crate::{program::workspace, wait};

/// The folder of the installed packages. `None` where they could not be had, which is said; with `Q_PEERS=required`
/// that is a failure.
#[track_caller]
pub fn folder() -> Option<PathBuf> {
    let place = workspace().join("target/peers");
    let is_there = place.join("installed.json").is_file();
    if !is_there {
        let why = std::fs::read_to_string(place.join("why-not")).unwrap_or_default();
        let why =
            format!("the programs of tests/peers are not installed (tests/install-packages does it) {why}");
        let required = std::env::var_os("Q_PEERS").is_some_and(|value| value == "required");
        assert!(!required, "{why}");
        wait::skip(&why);
    }
    is_there.then(|| place.join("node_modules"))
}
