//! Sends SIGKILL to its parent, to process 1 and to everybody, and ends well. Only in a pid namespace of its
//! own: the argument is the namespace in which it must do nothing.

use std::{
    fs,
    io::{Write, stdout},
};

use integration_tests::hostile;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getppid},
};

fn main() {
    let outer = hostile::role().expect("the namespace of the test is an argument");
    let own = fs::read_link("/proc/self/ns/pid").expect("/proc is there");
    if own.as_os_str() == outer.as_str() {
        writeln!(stdout(), "not held").expect("stdout takes a line");
        return;
    }
    for target in [getppid(), Pid::from_raw(1), Pid::from_raw(-1)] {
        // Refused or without effect is what should happen.
        let _ = kill(target, Signal::SIGKILL);
    }
    writeln!(stdout(), "survived").expect("stdout takes a line");
}
