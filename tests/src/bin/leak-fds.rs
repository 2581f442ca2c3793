//! Prints the descriptors with which it was started and what they are, one a line.

use std::{
    fs,
    io::{Write, stdout},
};

fn main() {
    let entries: Vec<_> = fs::read_dir("/proc/self/fd").expect("/proc is there").flatten().collect();
    let mut open: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?.parse::<u32>().ok()?, entry.path())))
        // The descriptor of the listing itself is closed by now.
        .filter_map(|(number, path)| Some((number, fs::read_link(path).ok()?)))
        .collect();
    open.sort();
    for (number, target) in open {
        writeln!(stdout(), "{number} {}", target.display()).expect("stdout takes a line");
    }
}
