//! Never reads its stdin and does not end.

use integration_tests::hostile;

fn main() {
    hostile::mark("never-read.started");
    hostile::hang();
}
