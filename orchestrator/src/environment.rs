//! The engine's own environment, out of which secrets are taken: whoever reads `/proc/<pid>/environ` of the engine
//! finds none.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
};

/// Most of an environment; execve(2) takes far less.
const MOST: u64 = 64 * 1024 * 1024;

/// Overwrites the values of these variables with NUL bytes where the kernel shows them. Only for the start of the
/// program: nobody else may read the environment meanwhile.
///
/// That memory belongs to this process, and is written through `/proc/self/mem` (proc_pid_mem(5)): to set or remove
/// a variable would leave the bytes that `/proc/<pid>/environ` shows as they were.
pub fn wipe(names: &BTreeSet<String>) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let place = place(&std::fs::read_to_string("/proc/self/stat")?)?;
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    let length = usize::try_from((place.end - place.start).min(MOST)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, place.start)?;
    for value in values(&bytes, names) {
        blank(&memory, place.start + value.start as u64, value.len())?;
    }
    Ok(())
}

fn blank(memory: &File, at: u64, length: usize) -> io::Result<()> {
    memory.write_all_at(&vec![0; length], at)
}

/// Where the environment lies: fields 50 and 51 of proc_pid_stat(5).
fn place(stat: &str) -> io::Result<Range<u64>> {
    let unknown = || io::Error::other("the place of the environment is not in /proc/self/stat");
    let (_, rest) = stat.rsplit_once(')').ok_or_else(unknown)?;
    // Counted from the state, which is field 3.
    let mut fields = rest.split_ascii_whitespace().skip(50 - 3);
    let mut field = || fields.next()?.parse::<u64>().ok();
    match (field(), field()) {
        (Some(start), Some(end)) if start <= end => Ok(start..end),
        (_, _) => Err(unknown()),
    }
}

/// Where the values of the named variables stand.
fn values(bytes: &[u8], names: &BTreeSet<String>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for variable in bytes.split(|byte| *byte == 0) {
        let equals = memchr::memchr(b'=', variable);
        let name = equals.and_then(|equals| std::str::from_utf8(&variable[..equals]).ok());
        if let (Some(equals), Some(name)) = (equals, name)
            && names.contains(name)
        {
            found.push(start + equals + 1..start + variable.len());
        }
        start += variable.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_named_are_found() {
        let names = BTreeSet::from(["B".to_owned(), "EMPTY".to_owned()]);
        let bytes = b"A=1\0B=two=2\0EMPTY=\0BB=3\0noequals\0";
        let found: Vec<_> = values(bytes, &names).into_iter().map(|value| &bytes[value]).collect();
        assert_eq!(found, [&b"two=2"[..], b""]);
    }

    #[test]
    fn the_place_is_read_behind_the_name() {
        let fields: Vec<_> = (3..=52).map(|number| number.to_string()).collect();
        let stat = format!("1 (a ) b) {}", fields.join(" "));
        assert_eq!(place(&stat).unwrap(), 50..51);
        assert!(place("1 (q) R 2 3").is_err());
    }
}
