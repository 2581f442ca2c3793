//! The child's own view of the file system: a fresh `/proc`, a minimal `/dev`, private `/tmp` and `/dev/shm`, what
//! is hidden, and what must stay visible in spite of that; for the profile `strict` in a root of its own. Runs in a
//! new mount namespace.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use ipc::limits::Bytes;
use ipc::message::{Root, Sandbox, Stage};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{chdir, pivot_root};

use super::devices;
use super::view::{Background, Kind, Wish, acts, takes_original, wish};
use crate::birth::{AtStage, Failure, Launcher};
use crate::sys::{self, MountFlags};

/// Files and directories that a private place can hold.
const INODES: u32 = 16_384;

/// Programs and libraries of the host, and its settings: what a root of its own has of them.
pub(crate) const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"];

/// Parts of `/proc` that belong to the whole machine, and that root may write without any capability: the kernel
/// asks for the user alone.
const MACHINE: [&str; 5] = ["sys", "sysrq-trigger", "irq", "bus", "fs"];

/// Makes the view of a sandbox.
pub(crate) fn isolate(sandbox: &Sandbox, launcher: &Launcher) -> Result<(), Failure> {
    make_private().at(Stage::Mounts)?;
    // Mount points are made for everybody to pass, whatever mask the step itself will have.
    let mask = umask(Mode::empty());
    let made = match &sandbox.root {
        None => host_view(sandbox, launcher),
        Some(root) => own_root(sandbox, root, launcher),
    };
    umask(mask);
    made
}

/// Cuts this namespace off from the one it was copied from: mounts no longer go from one to the other.
pub(crate) fn make_private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// The file system of the host, but for what is covered.
fn host_view(sandbox: &Sandbox, launcher: &Launcher) -> Result<(), Failure> {
    let wishes = wishes(sandbox, launcher).at(Stage::Mounts)?;
    perform(acts(Background::Host, wishes), Path::new("/"), sandbox).at(Stage::Mounts)?;
    protect_sys().at(Stage::Mounts)?;
    if sandbox.delegate {
        own_cgroup(Path::new("/sys/fs/cgroup")).at(Stage::Mounts)?;
    }
    fresh_proc(Path::new("/proc")).at(Stage::Proc)?;
    if launcher.uid.is_root() { protect_proc(Path::new("/proc")).at(Stage::Proc) } else { Ok(()) }
}

/// What writes to `/sys` changes the machine, and its cgroups.
pub(crate) fn protect_sys() -> nix::Result<()> {
    match sys::set_mount_flags(Path::new("/sys"), MountFlags::READ_ONLY_TREE) {
        Err(Errno::ENOENT | Errno::EINVAL) => Ok(()),
        other => other,
    }
}

/// Mounts a `/proc` of the own pid namespace.
pub(crate) fn fresh_proc(place: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), place, Some("proc"), flags, None::<&str>)
}

fn protect_proc(proc: &Path) -> nix::Result<()> {
    for part in MACHINE.map(|part| proc.join(part)) {
        match mount(Some(&part), &part, None::<&str>, MsFlags::MS_BIND, None::<&str>) {
            Ok(()) => sys::set_mount_flags(&part, MountFlags::READ_ONLY)?,
            // Not in this kernel.
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The cgroup in which the namespace begins, as a hierarchy of its own that can be written.
fn own_cgroup(place: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // The kernel refuses to mount a file system right on itself (EBUSY), and there is one of cgroups only.
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=755,size=4k,nr_inodes=2"))?;
    mount(Some("cgroup2"), place, Some("cgroup2"), flags, None::<&str>)
}

/// What every view covers and shows.
fn wishes(sandbox: &Sandbox, launcher: &Launcher) -> io::Result<Vec<Wish>> {
    let mut wishes = vec![wish("/dev", Kind::Devices)];
    match fs::canonicalize("/tmp") {
        Ok(tmp) => wishes.push(wish(tmp, Kind::Private)),
        // What is not there hides nothing and needs no hiding.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    wishes.extend(launcher.hidden.iter().map(|path| wish(path, Kind::Hidden)));
    wishes.extend(launcher.guarded.iter().map(|path| wish(path, Kind::Guarded)));
    wishes.extend(sandbox.keep_visible.iter().map(|path| wish(path, Kind::Shown)));
    Ok(wishes)
}

/// Does what is to be done, below `root`.
fn perform(acts: Vec<Wish>, root: &Path, sandbox: &Sandbox) -> io::Result<()> {
    let originals = acts.iter().map(original).collect::<io::Result<Vec<_>>>()?;
    perform_with(acts, originals, root, sandbox)
}

/// What is shown is held open from before anything is covered. A hidden path is looked at too: what is gone
/// needs no hiding.
fn original(act: &Wish) -> io::Result<Option<OwnedFd>> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(AT_FDCWD, &act.path, how) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(Errno::ENOENT) if !takes_original(act.kind) || act.kind == Kind::Guarded => Ok(None),
        Err(_) if !takes_original(act.kind) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn perform_with(
    acts: Vec<Wish>,
    originals: Vec<Option<OwnedFd>>,
    root: &Path,
    sandbox: &Sandbox,
) -> io::Result<()> {
    let own_root = sandbox.root.is_some();
    let mut covers = Vec::new();
    for (act, original) in acts.into_iter().zip(originals) {
        let place = below(root, &act.path);
        match (act.kind, original) {
            (Kind::Private, _) => {
                make_directory(&place)?;
                private_place(&place, sandbox.tmp_size)?;
            }
            (Kind::Devices, _) => {
                make_directory(&place)?;
                devices::isolate(&place, sandbox.tmp_size)?;
            }
            (Kind::Hidden, Some(original)) => {
                if cover(&place, &original)? {
                    covers.push(place);
                }
            }
            (Kind::ReadOnly | Kind::Guarded, Some(original)) => {
                show(&original, &place)?;
                sys::set_mount_flags(&place, MountFlags::READ_ONLY_TREE.without_devices(own_root))?;
            }
            (Kind::Shown, Some(original)) => {
                show(&original, &place)?;
                if own_root {
                    sys::set_mount_flags(&place, MountFlags::TREE.without_devices(true))?;
                }
            }
            (Kind::Hidden | Kind::ReadOnly | Kind::Guarded | Kind::Shown, None) => {}
        }
    }
    // Only now: mount points had to be made in them.
    Ok(covers.iter().try_for_each(|cover| sys::set_mount_flags(cover, MountFlags::READ_ONLY))?)
}

/// A root in which only what is named is. The old one is let go of.
fn own_root(sandbox: &Sandbox, root: &Root, launcher: &Launcher) -> Result<(), Failure> {
    let mut wishes = wishes(sandbox, launcher).at(Stage::Mounts)?;
    let mut links = Vec::new();
    for path in SYSTEM {
        match fs::read_link(path) {
            Ok(target) => links.push((path, target)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => wishes.push(wish(path, Kind::ReadOnly)),
        }
    }
    wishes.extend(root.read.iter().map(|path| wish(path, Kind::ReadOnly)));
    wishes.extend(root.hidden.iter().map(|path| wish(path, Kind::Hidden)));
    wishes.extend(root.write.iter().map(|path| wish(path, Kind::Shown)));
    let acts = acts(Background::Empty, wishes);
    let originals = acts.iter().map(original).collect::<io::Result<Vec<_>>>().at(Stage::Mounts)?;
    let new = Path::new("/tmp");
    let stage = || -> io::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), new, Some("tmpfs"), flags, Some("mode=755,size=1m,nr_inodes=4096"))?;
        for (path, target) in links {
            symlink(target, below(new, Path::new(path)))?;
        }
        for path in ["/proc", "/run", "/var"].into_iter().chain(root.empty.iter().map(String::as_str)) {
            make_directory(&below(new, Path::new(path)))?;
        }
        symlink("/run", new.join("var/run"))?;
        perform_with(acts, originals, new, sandbox)
    };
    stage().at(Stage::Mounts)?;
    if sandbox.delegate {
        let place = new.join("sys/fs/cgroup");
        make_directory(&place).at(Stage::Mounts)?;
        own_cgroup(&place).at(Stage::Mounts)?;
    }
    // Before the old one goes: in a user namespace the kernel mounts no `/proc` unless a whole one is in sight.
    let proc = new.join("proc");
    fresh_proc(&proc).at(Stage::Proc)?;
    if launcher.uid.is_root() {
        protect_proc(&proc).at(Stage::Proc)?;
    }
    enter(new).at(Stage::Mounts)
}

/// Makes `new` the root: pivot_root(2), "pivot_root(".", ".")".
fn enter(new: &Path) -> nix::Result<()> {
    sys::set_mount_flags(new, MountFlags::READ_ONLY)?;
    chdir(new)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

/// A private place in memory.
pub(crate) fn private_place(place: &Path, size: Bytes) -> nix::Result<()> {
    let options = format!("mode=1777,size={},nr_inodes={INODES}", size.0);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options.as_str()))
}

/// Covers a path; whether the cover is a directory, in which mount points can still be made.
fn cover(place: &Path, original: &OwnedFd) -> io::Result<bool> {
    if !is_directory(original)? {
        // Whoever opens it finds it empty; whoever connects to it finds no socket.
        mount(Some("/dev/null"), place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        return Ok(false);
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=755,size=64k,nr_inodes=256"))?;
    Ok(true)
}

/// Puts something of the host's at a path.
fn show(original: &OwnedFd, place: &Path) -> io::Result<()> {
    if !place.exists() {
        if is_directory(original)? {
            make_directory(place)?;
        } else {
            place.parent().map_or(Ok(()), make_directory)?;
            File::create_new(place)?;
        }
    }
    bind(original, place)
}

/// Mounts what a descriptor leads to.
pub(crate) fn bind(original: &impl AsFd, place: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", original.as_fd().as_raw_fd());
    // Recursive: in a user namespace the kernel refuses to uncover what is mounted below.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source.as_str()), place, None::<&str>, flags, None::<&str>)?)
}

fn is_directory(descriptor: &OwnedFd) -> nix::Result<bool> {
    let mode = fstat(descriptor)?.st_mode;
    Ok(SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR)
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
