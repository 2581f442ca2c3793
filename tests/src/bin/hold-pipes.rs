//! Ends at once and leaves a child that holds its stdout and stderr.

use std::io::{Write, stdout};

use integration_tests::hostile;

fn main() {
    if hostile::role().is_some() {
        hostile::hang();
        return;
    }
    drop(hostile::again("holder"));
    writeln!(stdout(), "done").expect("stdout takes a line");
}
