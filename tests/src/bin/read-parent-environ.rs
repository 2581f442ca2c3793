//! Looks for the text of its first argument in the environment of every process that it can see, and prints the
//! pids that have it.

use std::{
    fs,
    io::{Write, stdout},
};

use integration_tests::hostile;

fn main() {
    let secret = hostile::role().expect("the text to look for is an argument");
    for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.windows(secret.len()).any(|window| window == secret.as_bytes()) {
            writeln!(stdout(), "{}", entry.file_name().display()).expect("stdout takes a line");
        }
    }
}
