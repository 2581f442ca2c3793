//! A `/dev` with nothing in it that belongs to the machine.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use ipc::limits::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
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
    mount_at(place)?;
    match make_devices(place) {
        Err(Errno::EPERM) => {
            // In a user namespace, and where a container forbids it: then those of the host.
            umount2(place, MntFlags::MNT_DETACH)?;
            let host = originals();
            mount_at(place)?;
            for ((name, ..), original) in DEVICES.into_iter().zip(host) {
                show(&original?, &place.join(name))?;
            }
        }
        made => made?,
    }
    for (name, target) in LINKS {
        symlink(target, place.join(name))?;
    }
    let (pts, shm) = (place.join("pts"), place.join("shm"));
    fs::create_dir(&pts)?;
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(Some("devpts"), &pts, Some("devpts"), FLAGS, options)?;
    fs::create_dir(&shm)?;
    Ok(private_place(&shm, size)?)
}

const FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC);

fn mount_at(place: &Path) -> nix::Result<()> {
    mount(Some("tmpfs"), place, Some("tmpfs"), FLAGS, Some("mode=755,size=64k,nr_inodes=64"))
}

fn make_devices(place: &Path) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    DEVICES.into_iter().try_for_each(|(name, major, minor)| {
        mknod(&place.join(name), SFlag::S_IFCHR, mode, makedev(major, minor))
    })
}

/// The devices of the host.
fn originals() -> Vec<nix::Result<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let open = |name: &str| open(&Path::new("/dev").join(name), flags, Mode::empty());
    DEVICES.iter().map(|(name, _, _)| open(name)).collect()
}

fn show(original: &OwnedFd, path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    bind(original, path)
}
