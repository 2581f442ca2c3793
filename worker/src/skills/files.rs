//! Opening files on behalf of a step: what is not a regular file never blocks, and each failure has a
//! code of its own.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
};

use super::{input::BadInput, run::Failure};

/// Refuses what the kernel would refuse for any file system: the empty path and NUL bytes.
pub(super) fn check_path(path: &str, pointer: &str) -> Result<(), BadInput> {
    if path.is_empty() {
        return Err(BadInput::new(pointer, "the path is empty"));
    }
    if path.contains('\0') {
        return Err(BadInput::new(pointer, "the path contains a NUL character"));
    }
    Ok(())
}

/// Without `O_NONBLOCK` the open of a fifo waits for its other end, open(2).
const NEVER_WAIT: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// Opens a regular file for reading. `None`: there is none.
pub(super) fn open_regular(path: &str) -> Result<Option<File>, Failure> {
    match OpenOptions::new().read(true).custom_flags(NEVER_WAIT).open(path) {
        Ok(file) => regular(path, file).map(Some),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(not_opened(path, &error)),
    }
}

/// Opens a regular file for reading, which must be there.
pub(super) fn open_existing(path: &str) -> Result<File, Failure> {
    open_regular(path)?.ok_or_else(|| Failure::permanent("NOT_FOUND", format!("there is no file `{path}`")))
}

/// Opens a regular file for writing and changes nothing in it; a new one gets these permissions at most.
pub(super) fn open_for_writing(path: &str, new: Option<&Permissions>) -> Result<File, Failure> {
    let mode = new.map_or(0o666, |permissions| permissions.mode() & 0o777);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(mode)
        .custom_flags(NEVER_WAIT)
        .open(path)
        .map_err(|error| not_opened(path, &error))
        .and_then(|file| regular(path, file))
}

fn regular(path: &str, file: File) -> Result<File, Failure> {
    let metadata = file.metadata().map_err(|error| failed("look at", path, &error))?;
    if metadata.is_file() { Ok(file) } else { Err(not_a_file(path)) }
}

/// A socket, a fifo without a reader, a device without a driver: open(2) refuses these with `ENXIO`.
fn not_opened(path: &str, error: &io::Error) -> Failure {
    if error.raw_os_error() == Some(libc::ENXIO) || error.kind() == io::ErrorKind::IsADirectory {
        return not_a_file(path);
    }
    failed("open", path, error)
}

/// Reads to the end and shows what comes, piece by piece.
pub(super) fn for_each_chunk(from: &mut dyn Read, mut show: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => show(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the error says that there is nothing under that name.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A failed act on a file as the skill's own error.
pub(super) fn failed(act: &str, path: &str, error: &io::Error) -> Failure {
    let message = format!("failed to {act} `{path}`: {error}");
    if is_absent(error) {
        return Failure::permanent("NOT_FOUND", message);
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::permanent("PERMISSION_DENIED", message);
    }
    Failure::permanent("IO", message)
}

fn not_a_file(path: &str) -> Failure {
    Failure::permanent("NOT_A_FILE", format!("`{path}` is not a regular file"))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
