//! Writes 64 MiB on its stdout without the end of a line, and ends well. A skill gives it the event descriptor
//! there.

use std::io::{Write, stdout};

fn main() {
    let block = [b'x'; 1 << 14];
    let mut stdout = stdout().lock();
    for _ in 0..4096 {
        // Whoever reads may hang up; that is no reason to stop being hostile.
        if stdout.write_all(&block).is_err() {
            break;
        }
    }
}
