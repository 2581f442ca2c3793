//! What the hostile programs of `src/bin/` share. Each is bounded in time and number, so that it is harmless
//! where nothing holds it.

use std::{
    env,
    fs::File,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// After this a program that nobody ended goes by itself.
const BOUND: Duration = Duration::from_mins(2);

/// Says that the program stands, by a file in its working directory.
pub fn mark(name: &str) {
    // Where the working directory is not writable nobody waits for the file.
    drop(File::create(name));
}

/// Does nothing, for ever as far as a test can see.
pub fn hang() {
    let end = Instant::now() + BOUND;
    while Instant::now() < end {
        thread::park_timeout(BOUND);
    }
}

/// The first argument: the part that this process plays in the program.
pub fn role() -> Option<String> {
    env::args().nth(1)
}

/// Starts the same program again in another role; its output is ours.
pub fn again(role: &str) -> Child {
    let path = env::current_exe().expect("the program knows its own path");
    Command::new(path).arg(role).spawn().expect("a program can start itself")
}
