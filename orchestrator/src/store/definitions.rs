//! Stored definitions: `definitions/<name>.json`, as text. What is in them is the engine's matter.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use schemas::exit_code::ExitCode;

use super::{
    disk,
    files::{self, Durability, Fault, Trouble, fault},
    home::Home,
    names::SafeName,
};

/// The longest definition that is read, in bytes.
pub const DEFINITION_MAX: u64 = 16 * 1024 * 1024;

/// Why a definition was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("find a definition named {0}")]
    Missing(SafeName),
    /// There is one of that name already.
    #[error("store definition {0}: the name is taken")]
    Exists(SafeName),
    /// It is larger than a definition may be.
    #[error("read {}: larger than {DEFINITION_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// The exit code of a command that ends because of it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Missing(_) => ExitCode::NotFound,
            Self::Exists(_) => ExitCode::Failed,
            Self::TooLarge(_) => ExitCode::Invalid,
            Self::Fault(_) => ExitCode::Engine,
        }
    }
}

/// What happens to a definition of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is stored.
    Keep,
    /// It is replaced.
    Replace,
}

/// The names of all stored definitions, sorted.
pub fn list(home: &Home) -> Result<Vec<SafeName>, Error> {
    let directory = home.definitions();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("list", &directory)(error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(fault("list", &directory))?;
        let name = entry.file_name().to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
        names.extend(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The text of a definition.
pub fn read(home: &Home, name: &SafeName) -> Result<Vec<u8>, Error> {
    let path = home.definition(name);
    files::read_capped(&path, DEFINITION_MAX).map_err(|error| {
        if error.trouble() == Trouble::Missing {
            Error::Missing(name.clone())
        } else if error.source.kind() == io::ErrorKind::FileTooLarge {
            Error::TooLarge(path)
        } else {
            error.into()
        }
    })
}

/// Stores a definition as a whole, durably.
pub fn write(home: &Home, name: &SafeName, text: &[u8], existing: Existing) -> Result<(), Error> {
    home.ensure()?;
    files::ensure_dir_durable(&home.definitions())?;
    let path = home.definition(name);
    match existing {
        Existing::Replace => Ok(files::replace(&path, Durability::Durable, |file| file.write_all(text))?),
        Existing::Keep => files::create_whole(&path, |file| file.write_all(text)).map_err(|error| {
            if error.source.kind() == io::ErrorKind::AlreadyExists {
                Error::Exists(name.clone())
            } else {
                error.into()
            }
        }),
    }
}

/// Removes a definition, durably.
pub fn delete(home: &Home, name: &SafeName) -> Result<(), Error> {
    home.refuse_foreign()?;
    let path = home.definition(name);
    match disk::remove_file(&path).map_err(fault("remove", &path)) {
        Ok(()) => Ok(files::sync_dir(&home.definitions())?),
        Err(error) if error.trouble() == Trouble::Missing => Err(Error::Missing(name.clone())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        (dir, home)
    }

    fn name(text: &str) -> SafeName {
        text.parse().unwrap()
    }

    #[test]
    fn definitions_are_stored_listed_and_deleted() {
        let (_dir, home) = home();
        assert_eq!(list(&home).unwrap(), []);
        assert!(!home.path().exists(), "reading makes nothing");
        write(&home, &name("b"), b"{}", Existing::Keep).unwrap();
        write(&home, &name("a"), b"[]", Existing::Replace).unwrap();
        assert_eq!(list(&home).unwrap(), [name("a"), name("b")]);
        assert_eq!(read(&home, &name("a")).unwrap(), b"[]");
        delete(&home, &name("a")).unwrap();
        assert_eq!(list(&home).unwrap(), [name("b")]);
    }

    #[test]
    fn a_missing_one_is_told() {
        let (_dir, home) = home();
        assert_eq!(read(&home, &name("a")).unwrap_err().exit_code(), ExitCode::NotFound);
        assert_eq!(delete(&home, &name("a")).unwrap_err().exit_code(), ExitCode::NotFound);
    }

    #[test]
    fn one_of_the_same_name_stays_unless_told_otherwise() {
        let (_dir, home) = home();
        write(&home, &name("a"), b"1", Existing::Keep).unwrap();
        let refused = write(&home, &name("a"), b"2", Existing::Keep).unwrap_err();
        assert_eq!(refused.exit_code(), ExitCode::Failed);
        assert_eq!(read(&home, &name("a")).unwrap(), b"1");
        write(&home, &name("a"), b"3", Existing::Replace).unwrap();
        assert_eq!(read(&home, &name("a")).unwrap(), b"3");
    }

    #[test]
    fn a_file_over_the_cap_is_refused() {
        let (_dir, home) = home();
        write(&home, &name("a"), b"1", Existing::Keep).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(home.definition(&name("a"))).unwrap();
        file.set_len(DEFINITION_MAX).unwrap();
        assert_eq!(read(&home, &name("a")).unwrap().len() as u64, DEFINITION_MAX);
        file.set_len(DEFINITION_MAX + 1).unwrap();
        assert_eq!(read(&home, &name("a")).unwrap_err().exit_code(), ExitCode::Invalid);
    }

    #[test]
    fn strange_files_in_the_directory_are_not_definitions() {
        let (_dir, home) = home();
        write(&home, &name("a"), b"1", Existing::Keep).unwrap();
        for strange in [".a.json.1-1.tmp", "notes.txt", " .json", ".json"] {
            std::fs::File::create(home.definitions().join(strange)).unwrap();
        }
        assert_eq!(list(&home).unwrap(), [name("a")]);
    }
}
