//! A `/dev` with nothing in it that belongs to the machine.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use ipc::limits::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::mounts::{bind, private_place};

/// The devices that every program may expect, and their numbers: `Documentation/admin-guide/devices.txt`.
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts it at `place`, with a private `shm` of this size.
pub(crate) fn isolate(place: &Path, size: Bytes) -> io::Result<()> {
    let host = originals();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=755,size=64k,nr_inodes=64"))?;
    for ((name, major, minor), original) in DEVICES.into_iter().zip(host) {
        let path = place.join(name);
        match mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor)) {
            Ok(()) => {}
            // In a user namespace, and where a container forbids it: then those of the host.
            Err(Errno::EPERM) => show(&original?, &path)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    for (name, target) in LINKS {
        symlink(target, place.join(name))?;
    }
    let (pts, shm) = (place.join("pts"), place.join("shm"));
    fs::create_dir(&pts)?;
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(Some("devpts"), &pts, Some("devpts"), flags, options)?;
    fs::create_dir(&shm)?;
    Ok(private_place(&shm, size)?)
}

/// The devices of the host, held open from before they are covered.
fn originals() -> Vec<nix::Result<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let open = |name: &str| open(&Path::new("/dev").join(name), flags, Mode::empty());
    DEVICES.iter().map(|(name, _, _)| open(name)).collect()
}

fn show(original: &OwnedFd, path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    bind(original, path)
}
