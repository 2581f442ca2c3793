//! A `/dev` with nothing in it that belongs to the machine.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use ipc::limits::Bytes;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::mounts::{bind, private_place};
use crate::sys::{self, MountFlags};

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

/// Where that of the host lies.
pub(crate) const HOST: &str = "/dev";

/// Mounts what all children share of it over that of the host, in the launcher's own namespace: nothing of it can be
/// written, and each adds its own terminals and memory.
pub(crate) fn share() -> io::Result<()> {
    let place = Path::new(HOST);
    mount_at(place)?;
    let made = fill(place).and_then(|()| Ok(sys::set_mount_flags(place, MountFlags::READ_ONLY)?));
    if made.is_err() {
        // Then each child makes its own.
        umount2(place, MntFlags::MNT_DETACH)?;
    }
    made
}

/// Uncovers that of the host again, in this namespace only.
pub(crate) fn unshare() -> nix::Result<()> {
    umount2(HOST, MntFlags::MNT_DETACH)
}

/// Makes it at `place`, with a private `shm` of this size: of what is shared, if it is.
pub(crate) fn isolate(place: &Path, size: Bytes, is_shared: bool) -> io::Result<()> {
    if !is_shared {
        mount_at(place)?;
        fill_or_borrow(place)?;
    } else if place != Path::new(HOST) {
        mount(Some(HOST), place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    let options = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(Some("devpts"), &place.join(TERMINALS), Some("devpts"), FLAGS, options)?;
    Ok(private_place(&place.join(MEMORY), size)?)
}

const TERMINALS: &str = "pts";
const MEMORY: &str = "shm";

/// Fills it; in a user namespace, and where a container forbids devices, with those of the host.
fn fill_or_borrow(place: &Path) -> io::Result<()> {
    match fill(place) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        made => return made,
    }
    umount2(place, MntFlags::MNT_DETACH)?;
    let host = originals();
    mount_at(place)?;
    for ((name, ..), original) in DEVICES.into_iter().zip(host) {
        show(&original?, &place.join(name))?;
    }
    furnish(place)
}

fn fill(place: &Path) -> io::Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    for (name, major, minor) in DEVICES {
        mknod(&place.join(name), SFlag::S_IFCHR, mode, makedev(major, minor))?;
    }
    furnish(place)
}

fn furnish(place: &Path) -> io::Result<()> {
    for (name, target) in LINKS {
        symlink(target, place.join(name))?;
    }
    fs::create_dir(place.join(TERMINALS))?;
    fs::create_dir(place.join(MEMORY))
}

const FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC);

fn mount_at(place: &Path) -> nix::Result<()> {
    mount(Some("tmpfs"), place, Some("tmpfs"), FLAGS, Some("mode=755,size=64k,nr_inodes=64"))
}

/// The devices of the host.
fn originals() -> Vec<nix::Result<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let open = |name: &str| open(&Path::new(HOST).join(name), flags, Mode::empty());
    DEVICES.iter().map(|(name, _, _)| open(name)).collect()
}

fn show(original: &OwnedFd, path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    bind(original, path)
}
