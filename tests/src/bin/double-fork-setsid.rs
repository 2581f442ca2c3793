//! Makes a daemon: a grandchild in a session of its own that holds the output, while the program itself ends
//! well.

use std::io::{Write, stdout};

use integration_tests::hostile;
use nix::unistd::setsid;

fn main() {
    match hostile::role().as_deref() {
        None => {
            let mut child = hostile::again("child");
            child.wait().expect("the child is ours");
            writeln!(stdout(), "done").expect("stdout takes a line");
        }
        Some("child") => {
            setsid().expect("a child does not lead a group");
            drop(hostile::again("daemon"));
        }
        Some(_) => hostile::hang(),
    }
}
