//! The controller `io`: bandwidth of disks.

use std::{
    fmt, fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use nix::sys::stat::{major, minor};

use super::{Error, files::Files, mounts};

/// A whole disk, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    major: u64,
    minor: u64,
}

/// Bandwidth, bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of reading.
    pub read: Option<u64>,
    /// Of writing.
    pub write: Option<u64>,
}

/// What went to and from all disks, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) read: Option<u64>,
    pub(super) written: Option<u64>,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Device {
    /// The disk on which a path lies; `None`: it lies on none that the kernel can hold (a file system in memory, over
    /// a network, or made of others).
    pub fn of(path: &Path) -> Option<Self> {
        let blocks = Path::new("/sys/dev/block");
        Self::from_number(fs::metadata(path).ok()?.dev())
            .whole(blocks)
            .or_else(|| Self::mounted(path)?.whole(blocks))
    }

    /// Where a file system has numbers of its own (btrfs): the device that is mounted there.
    fn mounted(path: &Path) -> Option<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let device = fs::metadata(mounts::source_of(&mountinfo, path)?).ok()?;
        device.file_type().is_block_device().then(|| Self::from_number(device.rdev()))
    }

    fn from_number(number: u64) -> Self {
        Self { major: major(number), minor: minor(number) }
    }

    /// Limits are for whole disks: that of a partition lies above it.
    fn whole(self, blocks: &Path) -> Option<Self> {
        let own: PathBuf = blocks.join(self.to_string()).canonicalize().ok()?;
        if !own.join("partition").exists() {
            return Some(self);
        }
        Self::parse(&fs::read_to_string(own.parent()?.join("dev")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim_end().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// Holds the bandwidth of a cgroup on some disks.
pub(super) fn hold(files: Files<'_>, devices: &[Device], bandwidth: Bandwidth) -> Result<(), Error> {
    let limits = [("rbps", bandwidth.read), ("wbps", bandwidth.write)];
    let words: Vec<_> =
        limits.iter().filter_map(|(name, bytes)| Some(format!("{name}={}", (*bytes)?))).collect();
    if words.is_empty() {
        return Ok(());
    }
    devices.iter().try_for_each(|device| {
        let line = format!("{device} {}", words.join(" "));
        files.hold_as("io.max", &line, |found| is_held(found, *device, &words))
    })
}

/// The file has a line for each disk, and in it all limits: cgroup-v2.rst.
fn is_held(found: &str, device: Device, words: &[String]) -> bool {
    let device = device.to_string();
    found.lines().any(|line| {
        let mut parts = line.split_ascii_whitespace();
        let same = parts.next() == Some(device.as_str());
        let held: Vec<&str> = parts.collect();
        same && words.iter().all(|word| held.contains(&word.as_str()))
    })
}

/// Reads what was moved. The file has a line for each disk that was used, and is empty where none was.
pub(super) fn moved(files: Files<'_>) -> Moved {
    let Ok(stat) = files.read("io.stat") else { return Moved::default() };
    let sum = |name: &str| {
        let words = stat.split_ascii_whitespace().filter_map(|word| word.split_once('='));
        let mut bytes = words.filter(|(key, _)| *key == name).map(|(_, bytes)| bytes.parse::<u64>().ok());
        bytes.try_fold(0, |sum: u64, bytes| sum.checked_add(bytes?))
    };
    Moved { read: sum("rbytes"), written: sum("wbytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Device = Device { major: 8, minor: 0 };

    #[track_caller]
    fn check(found: &str, expected: bool) {
        assert_eq!(is_held(found, DISK, &["rbps=1".to_owned(), "wbps=2".to_owned()]), expected, "{found}");
    }

    #[test]
    fn what_is_held_is_read_in_the_kernels_words() {
        check("8:0 rbps=1 wbps=2 riops=max wiops=max", true);
        check("8:16 rbps=1 wbps=2\n8:0 rbps=1 wbps=2 riops=max wiops=max", true);
        check("8:0 rbps=1 wbps=max riops=max wiops=max", false);
        check("8:0 rbps=11 wbps=2 riops=max wiops=max", false);
        check("18:0 rbps=1 wbps=2", false);
        check("", false);
    }

    #[track_caller]
    fn check_moved(stat: &str, read: Option<u64>, written: Option<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files(dir.path());
        files.write("io.stat", stat).unwrap();
        assert_eq!(moved(files), Moved { read, written }, "{stat:?}");
    }

    #[test]
    fn what_was_moved_is_the_sum_over_the_disks() {
        let first = "8:0 rbytes=4096 wbytes=100 rios=1 wios=2 dbytes=7 dios=1\n";
        check_moved(first, Some(4096), Some(100));
        check_moved(&format!("{first}8:16 rbytes=4 wbytes=1 rios=1 wios=1\n"), Some(4100), Some(101));
        check_moved("", Some(0), Some(0));
        // A disk of which nothing is counted.
        check_moved("254:0 \n8:0 rbytes=1 wbytes=2 rios=1 wios=1\n", Some(1), Some(2));
        check_moved("8:0 rbytes=x wbytes=2\n", None, Some(2));
        let most = u64::MAX;
        check_moved(&format!("8:0 rbytes={most} wbytes=1\n8:16 rbytes=1 wbytes=1\n"), None, Some(2));
        assert_eq!(moved(Files(Path::new("/no/such/leaf"))), Moved::default());
    }

    #[test]
    fn numbers_of_devices() {
        assert_eq!(Device::parse("8:0\n"), Some(DISK));
        for wrong in ["", "8", "8:", ":0", "8:0:1", "8:-1", "8 0", "99999999999999999999:0"] {
            assert_eq!(Device::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_disk_of_a_partition_lies_above_it() {
        let sys = tempfile::tempdir().unwrap();
        let blocks = sys.path().join("block");
        let partition = sys.path().join("disk/part");
        for folder in [&blocks, &partition] {
            fs::create_dir_all(folder).unwrap();
        }
        Files(&partition).write("partition", "1\n").unwrap();
        Files(&sys.path().join("disk")).write("dev", "8:0\n").unwrap();
        std::os::unix::fs::symlink(&partition, blocks.join("8:1")).unwrap();
        std::os::unix::fs::symlink(sys.path().join("disk"), blocks.join("8:0")).unwrap();
        assert_eq!(Device { major: 8, minor: 1 }.whole(&blocks), Some(DISK));
        assert_eq!(DISK.whole(&blocks), Some(DISK));
        assert_eq!(Device { major: 0, minor: 21 }.whole(&blocks), None);
    }

    #[test]
    fn what_lies_in_memory_lies_on_no_disk() {
        assert_eq!(Device::of(Path::new("/proc/self")), None);
        assert_eq!(Device::of(Path::new("/no/such/path")), None);
    }
}
