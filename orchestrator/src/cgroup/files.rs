//! The control files of one cgroup: each is written in one call, and what is held is read back. And the shapes in
//! which the kernel tells its numbers.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use super::Error;

/// Most files are shorter.
const READ_SIZE: usize = 4096;

/// The files of the cgroup with this directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files<'a>(pub(super) &'a Path);

impl Files<'_> {
    /// Writes a limit and reads it back.
    pub(super) fn hold(self, name: &str, value: &str) -> Result<(), Error> {
        self.hold_as(name, value, |found| found == value)
    }

    /// The same of a file that says it in its own words.
    pub(super) fn hold_as(
        self,
        name: &str,
        value: &str,
        is_held: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let path = self.0.join(name);
        let found = match write_and_read(&path, value) {
            Ok(found) => found,
            Err(source) => return Err(Error::File { path, source }),
        };
        let found = found.trim_end();
        if is_held(found) {
            return Ok(());
        }
        Err(Error::NotHeld { path, wanted: value.to_owned(), found: found.to_owned() })
    }

    /// The same of a file that not every kernel has.
    pub(super) fn hold_if_there(self, name: &str, value: &str) -> Result<(), Error> {
        match self.hold(name, value) {
            // A cgroup file system makes no files: one that is not there cannot be opened for writing.
            Err(Error::File { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
                    && !self.0.join(name).exists() =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Writes a file: the kernel takes or refuses the text as a whole, in one call.
    pub(super) fn write(self, name: &str, value: &str) -> Result<(), Error> {
        let path = self.0.join(name);
        #[expect(
            clippy::disallowed_methods,
            reason = "a control file is an interface of the kernel, not a file"
        )]
        fs::write(&path, value).map_err(|source| Error::File { path, source })
    }

    /// Reads a file.
    pub(super) fn read(self, name: &str) -> Result<String, Error> {
        let path = self.0.join(name);
        read_text(&path).map_err(|source| Error::File { path, source })
    }

    /// Reads a file of `name value` lines; empty where it is not there.
    pub(super) fn table(self, name: &str) -> Table {
        Table(self.read(name).unwrap_or_default())
    }

    /// Reads a file of one number; `None` where it is not there or says `max`.
    pub(super) fn number(self, name: &str) -> Option<u64> {
        self.read(name).ok()?.trim_end().parse().ok()
    }
}

/// Writes a limit and reads back what the kernel made of it, which is one line. The file is opened once for both.
fn write_and_read(path: &Path, value: &str) -> io::Result<String> {
    let mut file = File::options().read(true).write(true).truncate(true).open(path)?;
    file.write_all(value.as_bytes())?;
    let mut bytes = [0; READ_SIZE];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// Reads a file whose length the kernel does not tell: nobody asks for it.
fn read_text(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut text = Vec::new();
    let mut bytes = [0; READ_SIZE];
    loop {
        match file.read(&mut bytes) {
            Ok(0) => {
                return String::from_utf8(text)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            }
            Ok(length) => text.extend_from_slice(&bytes[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A flat keyed file: lines of `name value` (cgroup-v2.rst).
#[derive(Debug)]
pub(super) struct Table(String);

impl Table {
    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            (key == name).then(|| value.parse().ok())?
        })
    }
}

/// Whether `cgroup.events` tells of a live process.
pub(super) fn is_populated(events: &str) -> bool {
    events.lines().any(|line| line == "populated 1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, expected: Option<u64>) {
        assert_eq!(Table(text.to_owned()).get(name), expected, "{text:?}");
    }

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\n";
        check(text, "oom_kill", Some(2));
        check(text, "oom_k", None);
        check("oom_kill -1\n", "oom_kill", None);
        check("oom_kill 18446744073709551616\n", "oom_kill", None);
        check("oom_kill", "oom_kill", None);
        check("", "x", None);
    }

    #[test]
    fn population_is_a_line_of_its_own() {
        assert!(is_populated("populated 1\nfrozen 0\n"));
        assert!(!is_populated("populated 0\nfrozen 1\n"));
        assert!(!is_populated("unpopulated 1\n"));
        assert!(!is_populated(""));
    }

    #[test]
    fn what_is_not_read_back_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files(dir.path());
        files.write("pids.max", "").unwrap();
        files.hold("pids.max", "7").unwrap();
        let error = files.hold_as("pids.max", "8", |found| found == "9").unwrap_err();
        assert!(error.to_string().ends_with("holds `8` where `8` was written"), "{error}");
        assert_eq!((files.number("pids.max"), files.number("none")), (Some(8), None));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*", name in "[a-z_]{0,12}", lines in "([a-z_]{0,9} ?[0-9-]{0,22}\n?){0,6}") {
            for text in [text, lines] {
                let found = Table(text.clone()).get(&name);
                let told = format!("{name} ");
                prop_assert!(found.is_none() || text.contains(&told));
                prop_assert!(!is_populated(&text) || text.contains("populated 1"));
            }
        }
    }
}
