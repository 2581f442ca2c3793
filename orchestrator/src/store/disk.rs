//! The one seam below all that is written into a home: every call that changes something there stands here and
//! nowhere else, and asks first whether it shall fail. `tests/tests/tidy.rs` sees to it that there is no other way.
//!
//! Nobody asks for failures but tests in the same process: there is no variable and no option for it. What to do
//! about a failure is the callers' matter.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _},
    path::Path,
    sync::OnceLock,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl, posix_fallocate},
    sys::stat::Mode,
    unistd::mkfifo,
};

/// Says whether a change fails: the act, as the message of the failure calls it, and the path.
pub type Check = dyn Fn(&'static str, &Path) -> io::Result<()> + Send + Sync;

static CHECK: OnceLock<Box<Check>> = OnceLock::new();

/// Asks `check` before every change from now on, as long as this process lives. The first one stays.
pub fn intercept(check: Box<Check>) {
    CHECK.get_or_init(|| check);
}

fn ask(act: &'static str, path: &Path) -> io::Result<()> {
    CHECK.get().map_or(Ok(()), |check| check(act, path))
}

/// Makes a directory of this mode, less the umask. `mkdir(2)`
pub(super) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    ask("create directory", path)?;
    DirBuilder::new().mode(mode).create(path)
}

/// Opens a file so that it can be changed. `open(2)`
pub(crate) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    ask("open for writing", path)?;
    options.open(path)
}

/// Sets the mode of a file or directory. `chmod(2)`
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    ask("set mode of", path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Gives a file another name, in place of what has it. `rename(2)`
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    ask("rename", from)?;
    std::fs::rename(from, to)
}

/// Gives a file one more name, which nothing has. `link(2)`
pub(super) fn link(from: &Path, to: &Path) -> io::Result<()> {
    ask("link", from)?;
    std::fs::hard_link(from, to)
}

/// Removes a file. `unlink(2)`
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    ask("remove", path)?;
    std::fs::remove_file(path)
}

/// Removes a directory and all in it; links are removed, not followed.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    ask("remove", path)?;
    std::fs::remove_dir_all(path)
}

/// Makes a fifo of mode 0600. `mkfifo(3)`
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    ask("make fifo", path)?;
    Ok(mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

/// Makes the names in a directory durable. `fsync(2)`
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    ask("sync directory", path)?;
    File::open(path)?.sync_all()
}

/// Writes all of the bytes where the file stands. `write(2)`
pub(super) fn write_all(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    ask("write", path)?;
    file.write_all(bytes)
}

/// Writes some of the bytes at an offset; gives how many. `pwrite(2)`
pub(super) fn write_at(file: &File, path: &Path, bytes: &[u8], offset: u64) -> io::Result<usize> {
    ask("write", path)?;
    file.write_at(bytes, offset)
}

/// Makes what was written durable. `fdatasync(2)`
pub(super) fn sync_data(file: &File, path: &Path) -> io::Result<()> {
    ask("sync", path)?;
    file.sync_data()
}

/// Cuts or lengthens a file. `ftruncate(2)`
pub(super) fn set_length(file: &File, path: &Path, length: u64) -> io::Result<()> {
    ask("cut", path)?;
    file.set_len(length)
}

/// Makes a file longer by NUL bytes that have their blocks, from `from` on. `posix_fallocate(3)`
pub(super) fn allocate(file: &File, path: &Path, from: u64, length: u64) -> io::Result<()> {
    ask("allocate room for", path)?;
    let signed = |value: u64| i64::try_from(value).map_err(io::Error::other);
    loop {
        match posix_fallocate(file, signed(from)?, signed(length)?) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            // Not every file system can, and not every libc then does it by hand: posix_fallocate(3).
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => {
                return write_zeros(file, from, length);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn write_zeros(file: &File, mut from: u64, length: u64) -> io::Result<()> {
    const ZEROS: [u8; 8192] = [0; 8192];
    let end = from + length;
    while from < end {
        let now = usize::try_from(end - from).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file.write_all_at(&ZEROS[..now], from)?;
        from += now as u64;
    }
    Ok(())
}

/// Locks a file, or frees it. `fcntl(2)`
pub(super) fn lock(file: &File, path: &Path, how: FcntlArg<'_>) -> Result<(), Errno> {
    let asked = ask("lock", path);
    asked.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    fcntl(file, how).map(drop)
}

/// A file to which a writer of another kind writes: one call at a time.
#[derive(Debug)]
pub struct Output<'a> {
    pub(super) file: &'a File,
    pub(super) path: &'a Path,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ask("write", self.path)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_lengthen_a_file_that_cannot_be_allocated() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        write_zeros(&file, 3, 20_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 20_003);
        let mut bytes = vec![1; 20_003];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes.starts_with(b"abc") && bytes[3..].iter().all(|byte| *byte == 0));
    }
}
