//! Three processes below each other, each in a session of its own; each says that it stands by a file, and
//! none ends by itself.

use integration_tests::hostile;
use nix::unistd::setsid;

fn main() {
    let depth: u32 = hostile::role().map_or(3, |role| role.parse().expect("the role is a number"));
    // The first one leads a session already; the error is that of a leader.
    let _ = setsid();
    if depth > 1 {
        drop(hostile::again(&(depth - 1).to_string()));
    }
    hostile::mark(&format!("three-deep.{depth}"));
    hostile::hang();
}
