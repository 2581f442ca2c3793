//! Writes up to 256 MiB, on stdout or, with the argument `stderr`, there, and ends well.

use std::io::{Write, stderr, stdout};

use integration_tests::hostile;

fn main() {
    let mut line = [b'x'; 1 << 12];
    line[line.len() - 1] = b'\n';
    let mut target: Box<dyn Write> = match hostile::role().as_deref() {
        Some("stderr") => Box::new(stderr()),
        _ => Box::new(stdout()),
    };
    for _ in 0..(1 << 16) {
        if target.write_all(&line).is_err() {
            break;
        }
    }
}
