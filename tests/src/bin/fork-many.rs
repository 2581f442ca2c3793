//! Starts 300 children, each in a session of its own, and does not end.

use integration_tests::hostile;
use nix::unistd::setsid;

fn main() {
    if hostile::role().is_some() {
        setsid().expect("a child does not lead a group");
        hostile::hang();
        return;
    }
    let children: Vec<_> = (0..300).map(|_| hostile::again("child")).collect();
    hostile::mark("fork-many.started");
    hostile::hang();
    drop(children);
}
