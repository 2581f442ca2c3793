//! The engine's own environment, out of which secrets are taken: whoever reads `/proc/<pid>/environ` of the engine
//! finds none.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    ops::Range,
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _},
    sync::Arc,
};

/// Most of an environment; execve(2) takes far less.
const MOST: u64 = 64 * 1024 * 1024;

/// Variables that hold no secret, of those that q reads or hands on.
const PLAIN: [&[u8]; 15] = [
    b"PATH",
    b"HOME",
    b"USER",
    b"LOGNAME",
    b"SHELL",
    b"PWD",
    b"LANG",
    b"TZ",
    b"TERM",
    b"TMPDIR",
    b"NO_COLOR",
    b"COLUMNS",
    b"PAGER",
    b"NOTIFY_SOCKET",
    b"RUST_BACKTRACE",
];
/// How the names of others like them begin.
const PLAIN_PREFIXES: [&[u8]; 3] = [b"LC_", b"XDG_", b"Q_"];

/// Variables that were taken out of the environment, for the programs that are to have them all the same.
pub type Withheld = Arc<[(OsString, OsString)]>;

/// Takes out of the environment whatever could be a secret. A daemon starts runs of which it knows nothing when it
/// starts itself, so it cannot know which variables these will name.
pub fn withhold() -> io::Result<Withheld> {
    let taken = std::env::vars_os().filter(|(name, _)| !is_plain(name.as_bytes())).collect();
    wipe(|name| !is_plain(name))?;
    Ok(taken)
}

fn is_plain(name: &[u8]) -> bool {
    PLAIN.contains(&name) || PLAIN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Overwrites the values of variables with NUL bytes where the kernel shows them. Only for the start of the program:
/// nobody else may read the environment meanwhile.
///
/// That memory belongs to this process, and is written through `/proc/self/mem` (proc_pid_mem(5)): to set or remove
/// a variable would leave the bytes that `/proc/<pid>/environ` shows as they were.
pub fn wipe(taken: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    if !std::env::vars_os().any(|(name, _)| taken(name.as_bytes())) {
        return Ok(());
    }
    let place = place(&std::fs::read_to_string("/proc/self/stat")?)?;
    let memory = OpenOptions::new().read(true).write(true).open("/proc/self/mem")?;
    let length = usize::try_from((place.end - place.start).min(MOST)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, place.start)?;
    for value in values(&bytes, taken) {
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
fn values(bytes: &[u8], taken: impl Fn(&[u8]) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for variable in bytes.split(|byte| *byte == 0) {
        if let Some(equals) = memchr::memchr(b'=', variable)
            && taken(&variable[..equals])
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
        let bytes = b"A=1\0B=two=2\0EMPTY=\0BB=3\0noequals\0";
        let named = |name: &[u8]| [&b"B"[..], b"EMPTY"].contains(&name);
        let found: Vec<_> = values(bytes, named).into_iter().map(|value| &bytes[value]).collect();
        assert_eq!(found, [&b"two=2"[..], b""]);
    }

    #[test]
    fn what_could_be_a_secret_is_not_plain() {
        for name in ["PATH", "LC_ALL", "XDG_RUNTIME_DIR", "Q_WORKFLOW_HOME", "NOTIFY_SOCKET"] {
            assert!(is_plain(name.as_bytes()), "{name}");
        }
        for name in ["OPENAI_API_KEY", "GITHUB_TOKEN", "MY_MODEL", "DATABASE_URL", "PATH_TO", ""] {
            assert!(!is_plain(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn the_place_is_read_behind_the_name() {
        let fields: Vec<_> = (3..=52).map(|number| number.to_string()).collect();
        let stat = format!("1 (a ) b) {}", fields.join(" "));
        assert_eq!(place(&stat).unwrap(), 50..51);
        assert!(place("1 (q) R 2 3").is_err());
    }
}
