//! Journals of runs, written anew by a test as another q could have written them.

use std::{fmt::Write as _, path::Path};

use crate::fixture::{read_file, write_file};

/// What stands before the checksum of a line, and how many characters it and what follows have.
const CHECKSUM: &str = ",\"crc\":\"";

/// Moves the wall clock of an interrupted run: every moment in its journal is so many years later, or earlier. The
/// checksums are made anew.
///
/// # Panics
///
/// If the file is no journal.
#[track_caller]
pub fn move_clock(journal: &Path, years: i32) {
    let mut moved = String::new();
    let mut last = format!("{:08x}", 0);
    // Behind the last line may stand padding.
    for line in read_file(journal).trim_end_matches('\0').lines() {
        let (body, _) = line.rsplit_once(CHECKSUM).expect("a line ends with its checksum");
        let (before, rest) = body.split_once("\"ts\":\"").expect("a line has a moment");
        let (year, after) = rest.split_at_checked(4).expect("a moment begins with its year");
        let year = year.parse::<i32>().expect("a year is a number") + years;
        let body = format!("{before}\"ts\":\"{year}{after}");
        last = format!("{:08x}", checksum(format!("{last}{body}}}").as_bytes()));
        writeln!(moved, "{body}{CHECKSUM}{last}\"}}").expect("writing to a String does not fail");
    }
    write_file(journal, moved.as_bytes());
}

/// CRC-32 (IEEE), bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let of_byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(!0, of_byte)
}
