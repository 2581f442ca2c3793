//! The file below the writer, as a trait: a test brings one in memory, of which each call fails once.

use std::{fmt::Debug, fs::File, io, path::PathBuf};

use crate::store::disk;

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
pub struct FileDisk {
    file: File,
    path: PathBuf,
}

impl FileDisk {
    /// Takes a file that is open for writing.
    pub fn new(file: File, path: PathBuf) -> Self {
        Self { file, path }
    }
}

impl Disk for FileDisk {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        disk::write_at(&self.file, &self.path, bytes, offset)
    }

    fn allocate(&mut self, from: u64, length: u64) -> io::Result<()> {
        disk::allocate(&self.file, &self.path, from, length)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        disk::sync_data(&self.file, &self.path)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        disk::set_length(&self.file, &self.path, length)
    }
}
