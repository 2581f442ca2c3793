//! Prints 3 MiB of `[{"a":0},…]`: small as text, a hundred times as large as a tree.

use std::io::{BufWriter, Write, stdout};

fn main() {
    let mut stdout = BufWriter::new(stdout().lock());
    let count = (3 << 20) / 8;
    let written = (|| {
        stdout.write_all(b"[{\"a\":0}")?;
        for _ in 1..count {
            stdout.write_all(b",{\"a\":0}")?;
        }
        stdout.write_all(b"]")?;
        stdout.flush()
    })();
    written.expect("somebody reads");
}
