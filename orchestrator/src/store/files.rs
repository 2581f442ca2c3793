//! Files as q makes them: private whatever the umask, replaced whole, read with a cap. Also [`Fault`], the
//! error of a system call on a path, which every module of the store carries.
//!
//! Which files there are and what is in them is the other modules' matter.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::disk::{self, Output};

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A system call that failed: the act, the path, and (as source) what the kernel said.
#[derive(Debug, thiserror::Error)]
#[error("{act} {}", path.display())]
pub struct Fault {
    /// What was tried, as a verb: `write`, `create directory`.
    pub act: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

/// The kinds of [`Fault`] that need an answer of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The file system is full (ENOSPC).
    Full,
    /// The user's quota is used up (EDQUOT).
    Quota,
    /// The device failed (EIO).
    Device,
    /// The file system is read-only (EROFS).
    ReadOnly,
    /// The user may not do this (EACCES, EPERM).
    Denied,
    /// This process, or all of them, have too many files open (EMFILE, ENFILE).
    TooManyFiles,
    /// The path does not exist (ENOENT).
    Missing,
    /// Anything else.
    Other,
}

impl Trouble {
    /// That of what the kernel said.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC) => Self::Full,
            Some(libc::EDQUOT) => Self::Quota,
            Some(libc::EIO) => Self::Device,
            Some(libc::EROFS) => Self::ReadOnly,
            Some(libc::EACCES | libc::EPERM) => Self::Denied,
            Some(libc::EMFILE | libc::ENFILE) => Self::TooManyFiles,
            Some(libc::ENOENT) => Self::Missing,
            _ if error.kind() == io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Other,
        }
    }

    /// What the user can do about it.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Full => Some("free some space on that file system, then try again"),
            Self::Quota => Some("free some of your disk quota, then try again"),
            Self::Device => Some("the device reports errors: see the kernel's log, and back the home up"),
            Self::ReadOnly => {
                Some("that file system is read-only: remount it, or choose another with --home")
            }
            Self::Denied => Some("the home must belong to you: choose another with --home"),
            Self::TooManyFiles => {
                Some("too many files are open: raise the limit (`ulimit -n`), or let fewer steps run at once")
            }
            Self::Missing | Self::Other => None,
        }
    }
}

impl Fault {
    /// The kind of trouble.
    pub fn trouble(&self) -> Trouble {
        Trouble::of(&self.source)
    }

    /// Whether there is no room: by the file system or by the quota.
    pub fn is_full(&self) -> bool {
        matches!(self.trouble(), Trouble::Full | Trouble::Quota)
    }

    /// Whether nothing can be written there at all: read-only, or not ours.
    pub fn is_unwritable(&self) -> bool {
        matches!(self.trouble(), Trouble::ReadOnly | Trouble::Denied)
    }
}

/// Makes the function that gives an [`io::Error`] its act and path; for `map_err`.
pub(crate) fn fault(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Fault {
    move |source| Fault { act, path: path.to_owned(), source }
}

/// Makes a directory and what is missing above it. What exists is left as it is.
pub(crate) fn ensure_dir(path: &Path) -> Result<(), Fault> {
    make_dirs(path, &|_| Ok(()))
}

/// As [`ensure_dir`], and durable when it returns.
pub(crate) fn ensure_dir_durable(path: &Path) -> Result<(), Fault> {
    make_dirs(path, &|path| path.parent().map_or(Ok(()), sync_dir))
}

fn make_dirs(path: &Path, made: &dyn Fn(&Path) -> Result<(), Fault>) -> Result<(), Fault> {
    // First, because a file system may refuse for another reason to make what is there already.
    if path.is_dir() {
        return Ok(());
    }
    match make_dir(path) {
        Ok(()) => made(path),
        // Somebody else was quicker.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.trouble() == Trouble::Missing => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or(error)?;
            make_dirs(parent, made)?;
            match make_dir(path) {
                Ok(()) => made(path),
                Err(_) if path.is_dir() => Ok(()),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes one directory, mode 0700 whatever the umask; it must not exist.
pub(crate) fn make_dir(path: &Path) -> Result<(), Fault> {
    disk::create_dir(path, DIR_MODE).map_err(fault("create directory", path))?;
    let restrict = || {
        // A umask can only take bits away, so this is rare: somebody's own bits were masked.
        if std::fs::metadata(path)?.permissions().mode() & 0o777 != DIR_MODE {
            disk::set_mode(path, DIR_MODE)?;
        }
        Ok(())
    };
    restrict().map_err(fault("set mode of", path))
}

/// Opens a file for writing as `options` say, mode 0600 whatever the umask if it is made. A symbolic link at
/// the end of the path is refused.
pub(crate) fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File, Fault> {
    let options = options.mode(FILE_MODE).custom_flags(libc::O_NOFOLLOW);
    let file = disk::open(path, options).map_err(fault("open for writing", path))?;
    let restrict = || {
        if file.metadata()?.permissions().mode() & FILE_MODE != FILE_MODE {
            disk::set_mode(path, FILE_MODE)?;
        }
        Ok(())
    };
    restrict().map_err(fault("set mode of", path))?;
    Ok(file)
}

/// Opens a regular file for reading. A pipe or device is an error, never a hang.
pub(crate) fn open_regular(path: &Path) -> Result<File, Fault> {
    let open = || {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
    };
    open().map_err(fault("open", path))
}

/// Reads a whole regular file of at most `cap` bytes.
pub(crate) fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, Fault> {
    let file = open_regular(path)?;
    let read = || {
        let length = file.metadata()?.len();
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(cap)).unwrap_or(0));
        (&file).take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > cap {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {cap} bytes")));
        }
        Ok(bytes)
    };
    read().map_err(fault("read", path))
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), Fault> {
    disk::sync_dir(path).map_err(fault("sync directory", path))
}

/// Removes a directory with everything in it, also what its owner forbade itself to change.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Fault> {
    match disk::remove_tree(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => return Err(fault("remove", path)(error)),
    }
    permit(path).and_then(|()| disk::remove_tree(path)).map_err(fault("remove", path))
}

/// Gives the owner all rights to the directories below `path`; links are not followed.
fn permit(path: &Path) -> io::Result<()> {
    disk::set_mode(path, DIR_MODE)?;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            permit(&entry.path())?;
        }
    }
    Ok(())
}

/// What must be on the device when a replacement returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing: the content is derived, and a torn file is answered from its source.
    Derived,
    /// The new content and its name.
    Durable,
}

/// Replaces a file as a whole: readers see the old content or the new, never a mixture.
pub(crate) fn replace(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut BufWriter<Output<'_>>) -> io::Result<()>,
) -> Result<(), Fault> {
    publish(path, durability, write, disk::rename)
}

/// As [`replace`], durable, but the file must not exist (`AlreadyExists`).
pub(crate) fn create_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<Output<'_>>) -> io::Result<()>,
) -> Result<(), Fault> {
    publish(path, Durability::Durable, write, |from, to| {
        // link(2) is the rename that refuses to replace, on every file system.
        disk::link(from, to)?;
        disk::remove_file(from)
    })
}

fn publish(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut BufWriter<Output<'_>>) -> io::Result<()>,
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> Result<(), Fault> {
    let temporary = temporary_beside(path);
    let result = write_temporary(&temporary, durability, write).and_then(|()| {
        name(&temporary, path).map_err(fault("move into place", path))?;
        match (durability, path.parent()) {
            (Durability::Durable, Some(parent)) => sync_dir(parent),
            (Durability::Durable, None) | (Durability::Derived, _) => Ok(()),
        }
    });
    if result.is_err() {
        // The first error is the one to tell; a temporary file that stays is named so that it is ignored.
        drop(disk::remove_file(&temporary));
    }
    result
}

fn write_temporary(
    temporary: &Path,
    durability: Durability,
    write: impl FnOnce(&mut BufWriter<Output<'_>>) -> io::Result<()>,
) -> Result<(), Fault> {
    let file = open_private(temporary, OpenOptions::new().write(true).create(true).truncate(true))?;
    let mut buffered = BufWriter::with_capacity(64 * 1024, Output { file: &file, path: temporary });
    let written = write(&mut buffered).and_then(|()| buffered.flush());
    // Dropping a writer whose flush failed would try, and ignore, one more write.
    drop(buffered.into_parts());
    written.map_err(fault("write", temporary))?;
    match durability {
        Durability::Durable => disk::sync_data(&file, temporary).map_err(fault("sync", temporary)),
        Durability::Derived => Ok(()),
    }
}

/// A name beside `path` that no other writer uses: it begins with a dot and ends in `.tmp`.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[track_caller]
    fn check_trouble(errno: i32, expected: Trouble) {
        let fault = Fault { act: "write", path: "/x".into(), source: io::Error::from_raw_os_error(errno) };
        assert_eq!(fault.trouble(), expected);
        assert_eq!(fault.to_string(), "write /x");
    }

    #[test]
    fn troubles_are_told_apart() {
        check_trouble(libc::ENOSPC, Trouble::Full);
        check_trouble(libc::EDQUOT, Trouble::Quota);
        check_trouble(libc::EIO, Trouble::Device);
        check_trouble(libc::EROFS, Trouble::ReadOnly);
        check_trouble(libc::EACCES, Trouble::Denied);
        check_trouble(libc::ENOENT, Trouble::Missing);
        check_trouble(libc::EMFILE, Trouble::TooManyFiles);
        check_trouble(libc::ENFILE, Trouble::TooManyFiles);
        check_trouble(libc::EINVAL, Trouble::Other);
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_content_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        replace(&path, Durability::Durable, |file| file.write_all(b"old")).unwrap();
        let error = replace(&path, Durability::Derived, |file| {
            file.write_all(b"new")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        });
        assert_eq!(error.unwrap_err().trouble(), Trouble::Full);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_is_capped_and_refuses_pipes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, Durability::Derived, |file| file.write_all(b"12345")).unwrap();
        assert_eq!(read_capped(&path, 5).unwrap(), b"12345");
        assert_eq!(read_capped(&path, 4).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_capped(&pipe, 4).is_err());
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        create_whole(&path, |file| file.write_all(b"first")).unwrap();
        let error = create_whole(&path, |file| file.write_all(b"second")).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_tree_is_removed_whatever_its_modes() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, tree) = (dir.path().join("outside"), dir.path().join("tree"));
        ensure_dir(&tree.join("a/b")).unwrap();
        ensure_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        std::fs::set_permissions(tree.join("a"), Permissions::from_mode(0o500)).unwrap();
        permit(&tree).unwrap();
        assert_eq!(std::fs::metadata(tree.join("a")).unwrap().permissions().mode() & 0o777, DIR_MODE);
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.is_dir());
    }

    #[test]
    fn links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
        assert!(open_private(&link, OpenOptions::new().append(true).create(true)).is_err());
        assert!(!dir.path().join("target").exists());
    }
}
