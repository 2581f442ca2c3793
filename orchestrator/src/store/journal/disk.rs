//! The seam below the writer: every system call that changes the journal goes through [`Disk`], so that a
//! test can let each of them fail once.

use std::{fmt::Debug, fs::File, io, os::unix::fs::FileExt};

use nix::{errno::Errno, fcntl::posix_fallocate};

/// The file of a journal.
pub trait Disk: Debug + Send {
    /// Writes some of the bytes at an offset; gives how many. `pwrite(2)`.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file longer by NUL bytes that have their blocks, from `from` on. `posix_fallocate(3)`.
    fn allocate(&mut self, from: u64, length: u64) -> io::Result<()>;

    /// Makes what was written durable. `fdatasync(2)`.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file. `ftruncate(2)`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A real file.
#[derive(Debug)]
pub struct FileDisk(File);

impl FileDisk {
    /// Takes a file that is open for writing.
    pub fn new(file: File) -> Self {
        Self(file)
    }
}

impl Disk for FileDisk {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn allocate(&mut self, from: u64, length: u64) -> io::Result<()> {
        let signed = |value: u64| i64::try_from(value).map_err(io::Error::other);
        loop {
            match posix_fallocate(&self.0, signed(from)?, signed(length)?) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                // Not every file system can, and not every libc then does it by hand: posix_fallocate(3).
                Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => {
                    return write_zeros(&self.0, from, length);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
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
