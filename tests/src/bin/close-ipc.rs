//! Closes every descriptor that it has and then hangs.

use integration_tests::hostile;
use nix::unistd::close;

fn main() {
    hostile::mark("close-ipc.started");
    for descriptor in 0..1024 {
        // Most are not open.
        let _ = close(descriptor);
    }
    hostile::hang();
}
