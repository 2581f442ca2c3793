//! Prints the descriptors with which it was started and what they are, one a line.

use std::{
    fs,
    io::{Write, stdout},
};

fn main() {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is there").flatten();
    let numbers: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The descriptor of the listing itself is closed by now.
    let target = |number| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    let mut open: Vec<_> = numbers.into_iter().filter_map(|number| Some((number, target(number)?))).collect();
    open.sort();
    for (number, target) in open {
        writeln!(stdout(), "{number} {}", target.display()).expect("stdout takes a line");
    }
}
