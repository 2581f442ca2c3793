//! `schedules.json`: read with a cap and checked, replaced as a whole and durably, by one writer at a time.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    path::PathBuf,
};

use schemas::{
    exit_code::ExitCode,
    schedule::{SCHEDULES_VERSION, Schedule, Schedules},
};
use workflow_engine::{cron, zone};

use super::{
    files::{self, Durability, Fault, Trouble},
    home::Home,
    lock::{self, FileLock, Mode},
    names::SafeName,
};

/// The longest file that is read.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most schedules of one home.
const COUNT_MAX: usize = 100_000;

/// Why schedules were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is too large.
    #[error("{}: larger than {BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is not JSON, or not of the shape of schedules.
    #[error("{}: not the schedules that q writes", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line and column.
        source: serde_json::Error,
    },
    /// A value in it cannot be used.
    #[error("{}: schedule {number}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Its number in the file, counted from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// A newer q wrote it.
    #[error("{}: written by a newer q (version {version})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The lock of the writers.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// The exit code of a command that ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::TooLarge(_) | Self::Shape { .. } | Self::Value { .. } => ExitCode::Invalid,
            Self::Newer { .. } | Self::Lock(_) | Self::Fault(_) => ExitCode::Engine,
        }
    }
}

/// The schedules of a home; none if there is no file.
pub fn read(home: &Home) -> Result<Schedules, Error> {
    let path = home.schedules();
    let text = match files::read_capped(&path, BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.trouble() == Trouble::Missing => return Ok(Schedules::default()),
        Err(error) if error.source.kind() == io::ErrorKind::FileTooLarge => {
            return Err(Error::TooLarge(path));
        }
        Err(error) => return Err(error.into()),
    };
    let schedules: Schedules =
        serde_json::from_slice(&text).map_err(|source| Error::Shape { path: path.clone(), source })?;
    if schedules.schema_version > SCHEDULES_VERSION {
        return Err(Error::Newer { path, version: schedules.schema_version });
    }
    match check(&schedules) {
        Some((number, why)) => Err(Error::Value { path, number, why }),
        None => Ok(schedules),
    }
}

/// Changes the schedules while nobody else does. What `change` refuses is not written.
pub fn change<T, E: From<Error>>(
    home: &Home,
    change: impl FnOnce(&mut Schedules) -> Result<T, E>,
) -> Result<T, E> {
    home.ensure().map_err(Error::from)?;
    let _lock = FileLock::take(&home.schedules_lock(), Mode::Exclusive).map_err(Error::from)?;
    let mut schedules = read(home)?;
    let changed = change(&mut schedules)?;
    write(home, &schedules)?;
    Ok(changed)
}

fn write(home: &Home, schedules: &Schedules) -> Result<(), Error> {
    let replaced = files::replace(&home.schedules(), Durability::Durable, |file| {
        serde_json::to_writer_pretty(&mut *file, schedules)?;
        file.write_all(b"\n")
    });
    Ok(replaced?)
}

/// The first value that cannot be used, with the number of its schedule.
fn check(schedules: &Schedules) -> Option<(usize, String)> {
    if schedules.schedules.len() > COUNT_MAX {
        return Some((COUNT_MAX + 1, format!("more than {COUNT_MAX} schedules")));
    }
    let mut ids = HashSet::new();
    // Thousands of schedules share a few expressions and zones.
    let (mut expressions, mut zones) = (HashSet::new(), HashSet::new());
    for (schedule, number) in schedules.schedules.iter().zip(1..) {
        let why = wrong(schedule, &mut expressions, &mut zones);
        let why = why.or_else(|| {
            (!ids.insert(schedule.id.as_str())).then(|| format!("the id `{}` is given twice", schedule.id))
        });
        if let Some(why) = why {
            return Some((number, why));
        }
    }
    None
}

fn wrong<'a>(
    schedule: &'a Schedule,
    expressions: &mut HashSet<&'a str>,
    zones: &mut HashSet<&'a str>,
) -> Option<String> {
    for name in [&schedule.id, &schedule.workflow] {
        if let Err(error) = name.parse::<SafeName>() {
            return Some(error.to_string());
        }
    }
    if expressions.insert(&schedule.cron)
        && let Err(error) = cron::Expression::parse(&schedule.cron)
    {
        return Some(format!("cron: {error}"));
    }
    if zones.insert(&schedule.timezone) && zone::by_name(&schedule.timezone).is_none() {
        let name: String = schedule.timezone.chars().take(40).flat_map(char::escape_debug).collect();
        return Some(format!("there is no time zone `{name}`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(id: &str) -> Schedule {
        let text =
            format!(r#"{{"id":"{id}","workflow":"w","cron":"0 9 * * *","since":"2026-01-01T00:00:00Z"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        (dir, home)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (_dir, home) = home();
        assert_eq!(read(&home).unwrap(), Schedules::default());
        let added: Result<(), Error> = change(&home, |schedules| {
            schedules.schedules.push(schedule("a"));
            Ok(())
        });
        added.unwrap();
        assert_eq!(read(&home).unwrap().schedules, [schedule("a")]);
        let refused: Result<(), Error> = change(&home, |schedules| {
            schedules.schedules.clear();
            Err(Error::TooLarge(PathBuf::new()))
        });
        assert!(refused.is_err());
        assert_eq!(read(&home).unwrap().schedules.len(), 1, "what is refused is not written");
    }

    #[track_caller]
    fn check_refused(text: &str, exit: ExitCode, words: &str) {
        let (_dir, home) = home();
        home.ensure().unwrap();
        files::replace(&home.schedules(), Durability::Derived, |file| file.write_all(text.as_bytes()))
            .unwrap();
        let error = read(&home).unwrap_err();
        let shown = crate::errors::CommandError::from_error(error.exit_code(), &error).render();
        assert_eq!(error.exit_code(), exit, "{shown}");
        assert!(shown.contains(words) && shown.contains("schedules.json"), "{shown}");
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_and_named() {
        let one = |change: &str| {
            format!(
                r#"{{"schema_version":1,"schedules":[{{"id":"a","workflow":"w","cron":"0 9 * * *","since":"2026-01-01T00:00:00Z"{change}}}]}}"#
            )
        };
        check_refused("", ExitCode::Invalid, "line 1");
        check_refused("{", ExitCode::Invalid, "line 1 column 1");
        check_refused("[]", ExitCode::Invalid, "invalid");
        check_refused(&one(r#","colour":"red""#), ExitCode::Invalid, "unknown field `colour`");
        check_refused(&one(r#","timezone":"Mars""#), ExitCode::Invalid, "no time zone `Mars`");
        check_refused(&one(r#","overlap":"maybe""#), ExitCode::Invalid, "maybe");
        check_refused(&one("").replace("0 9", "99 9"), ExitCode::Invalid, "schedule 1: cron: the field `99`");
        check_refused(&one("").replace("\"w\"", "\"../w\""), ExitCode::Invalid, "schedule 1");
        check_refused(r#"{"schema_version":2,"schedules":[]}"#, ExitCode::Engine, "newer");
    }

    #[test]
    fn an_id_is_given_once() {
        let twice = Schedules { schedules: vec![schedule("a"), schedule("a")], ..Schedules::default() };
        assert_eq!(check(&twice), Some((2, "the id `a` is given twice".to_owned())));
    }
}
