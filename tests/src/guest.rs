//! What the tests inside the virtual machines share: whether one is there, proofs, and the limits that its kernel holds.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    definition::{shell, with},
    view::attempt,
};

/// 1,048,576 bytes.
pub const MIB: u64 = 1024 * 1024;

/// Whether this is the guest with this name (`$Q_VM`); elsewhere it is said on stderr that the proof was not given.
/// A proof that is not in the list would be missed by nobody.
#[track_caller]
pub fn is_inside(name: &str, proof: &str, required: &str) -> bool {
    assert!(required.lines().any(|line| line == proof), "{proof} is in no list of required proofs");
    let is_inside = env::var("Q_VM").as_deref() == Ok(name);
    if !is_inside {
        say(&format!("SKIPPED outside the virtual machine: {proof}"));
    }
    is_inside
}

/// Prints the line that `tests/vm/check-proofs` looks for.
pub fn proven(proof: &str) {
    say(&format!("PROOF {proof} uid={}", own_uid()));
}

/// A step that wants 200 MiB and may have 32: `tail` keeps the whole of a line that does not end.
pub fn hungry() -> Value {
    with(
        shell("hungry", "head -c 200m /dev/zero | tail | wc -c"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    )
}

/// The last attempt of the step names the limit as held by the kernel, with this value.
#[track_caller]
pub fn assert_held(view: &Value, id: &str, name: &str, value: u64) {
    let limits = attempt(view, id)["limits"].as_array().map(Vec::as_slice).unwrap_or_default();
    let limit = limits.iter().find(|limit| limit["name"] == name);
    let limit = limit.unwrap_or_else(|| panic!("no limit {name} in the attempt of {id}: {view:#}"));
    assert_eq!(limit["by"], "cgroup-v2", "{view:#}");
    assert_eq!(limit["held"], true, "{view:#}");
    assert_eq!(limit["value"], value, "{view:#}");
}

/// No note of the run's isolation holds this word: what the notes with it say is missing is there.
#[track_caller]
pub fn assert_no_note(view: &Value, word: &str) {
    let notes = view["isolation"]["notes"].as_array().expect("isolation has notes");
    let found = notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains(word)));
    assert!(!found, "{notes:#?}");
}

/// The user of this process.
pub fn own_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

/// The directories in `parent`.
#[track_caller]
pub fn directories(parent: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    entries.map(|entry| entry.expect("an entry can be read").path()).filter(|path| path.is_dir()).collect()
}

/// A line on stderr, past the capture of the test runner, which may have left the cursor behind the test's name.
fn say(line: &str) {
    io::stderr().write_all(format!("\n{line}\n").as_bytes()).expect("stderr can be written");
}
