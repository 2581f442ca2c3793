//! The child's own view of the file system: a fresh `/proc`, a minimal `/dev`, private `/tmp` and `/dev/shm`, what
//! is hidden, and what must stay visible in spite of that; for the profile `strict` in a root of its own. Runs in a
//! new mount namespace.

use std::collections::BTreeSet;
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
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{AccessFlags, access, chdir, pivot_root};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::devices;
use super::view::{Background, Kind, Wish, acts, is_seen, takes_original, wish};
use crate::birth::{AtStage, Failure, Launcher};
use crate::sys::{self, MountFlags};

/// Files and directories that a private place can hold.
const INODES: u32 = 16_384;

/// Programs and libraries of the host, and its settings: what a root of its own has of them.
pub(crate) const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc"];

/// Parts of `/proc` that belong to the whole machine, and that root may write without any capability: the kernel
/// asks for the user alone.
const MACHINE: [&str; 9] =
    ["acpi", "asound", "bus", "dynamic_debug", "fs", "irq", "scsi", "sys", "sysrq-trigger"];

/// A view that stands but for the attempt's own directory.
#[derive(Debug)]
pub(crate) struct View {
    /// The folder in which that lies, held open from before it was covered, and its path; absent where it is seen
    /// anyway.
    work: Option<(OwnedFd, PathBuf)>,
    /// What covers it, still writable: mount points must be made in it.
    cover: Option<PathBuf>,
    /// Whether it is a root of its own, made at [`STAGE`].
    own_root: bool,
    /// The mask that the step itself will have.
    mask: Mode,
}

/// Where a root of its own is made.
const STAGE: &str = "/tmp";

/// Makes the view of a sandbox.
pub(crate) fn isolate(sandbox: &Sandbox, launcher: &Launcher) -> Result<View, Failure> {
    make_private().at(Stage::Mounts)?;
    let shares_devices = launcher.shares_devices && !names_devices(sandbox, launcher);
    if launcher.shares_devices && !shares_devices {
        devices::unshare().at(Stage::Mounts)?;
    }
    // Mount points are made for everybody to pass, whatever mask the step itself will have.
    let mask = umask(Mode::empty());
    let own_root = sandbox.root.is_some();
    let (work, cover) = match &sandbox.root {
        None => host_view(sandbox, launcher, shares_devices)?,
        Some(root) => make_root(sandbox, root, launcher, shares_devices)?,
    };
    Ok(View { work, cover, own_root, mask })
}

impl View {
    /// Shows the attempt's own directory, and lets nothing of the view be changed any more.
    pub(crate) fn finish(self, work_dir: Option<&Path>) -> io::Result<()> {
        if let (Some((folder, path)), Some(work_dir)) = (&self.work, work_dir) {
            let below_it = work_dir.strip_prefix(path).map_err(|_| Errno::EINVAL)?;
            let original = openat2(folder, below_it, how().resolve(BENEATH))?;
            let place = below(Path::new(if self.own_root { STAGE } else { "/" }), work_dir);
            show(&original, &place)?;
            if self.own_root {
                sys::set_mount_flags(&place, MountFlags::TREE.without_devices(true))?;
            }
        }
        if let Some(cover) = &self.cover {
            sys::set_mount_flags(cover, MountFlags::READ_ONLY)?;
        }
        if self.own_root {
            enter(Path::new(STAGE))?;
        }
        umask(self.mask);
        Ok(())
    }
}

/// The folder of work directories, and what covers it.
type Work = (Option<(OwnedFd, PathBuf)>, Option<PathBuf>);

/// Cuts this namespace off from the one it was copied from: mounts no longer go from one to the other.
pub(crate) fn make_private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// The file system of the host, but for what is covered.
fn host_view(sandbox: &Sandbox, launcher: &Launcher, shares_devices: bool) -> Result<Work, Failure> {
    let wishes = wishes(sandbox, launcher).at(Stage::Mounts)?;
    let acts = acts(Background::Host, wishes);
    let originals = originals(&acts).at(Stage::Mounts)?;
    let work = work(Background::Host, &acts, sandbox).at(Stage::Mounts)?;
    let cover = perform(acts, originals, Path::new("/"), sandbox, shares_devices).at(Stage::Mounts)?;
    if let Some((_, path)) = &work {
        make_directory(path).at(Stage::Mounts)?;
    }
    protect_sys().at(Stage::Mounts)?;
    if sandbox.delegate {
        own_cgroup(Path::new("/sys/fs/cgroup")).at(Stage::Mounts)?;
    }
    fresh_proc(Path::new("/proc")).at(Stage::Proc)?;
    if launcher.uid.is_root() {
        protect_proc(Path::new("/proc"), launcher).at(Stage::Proc)?;
    }
    Ok((work, cover))
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

fn protect_proc(proc: &Path, launcher: &Launcher) -> nix::Result<()> {
    // What belongs to the machine is there in each `/proc`, or in none.
    for part in launcher.machine.iter().map(|part| proc.join(part)) {
        mount(Some(&part), &part, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        sys::set_mount_flags(&part, MountFlags::READ_ONLY)?;
    }
    Ok(())
}

/// What of the machine can be written by `/proc`, on this kernel.
pub(crate) fn machine() -> Vec<&'static str> {
    MACHINE.into_iter().filter(|part| Path::new("/proc").join(part).exists()).collect()
}

/// The cgroup in which the namespace begins, as a hierarchy of its own that can be written.
fn own_cgroup(place: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // The kernel refuses to mount a file system right on itself (EBUSY), and there is one of cgroups only.
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some("mode=755,size=4k,nr_inodes=2"))?;
    mount(Some("cgroup2"), place, Some("cgroup2"), flags, None::<&str>)
}

/// Whether something below the host's `/dev` is to be shown: it must be seen to be shown.
fn names_devices(sandbox: &Sandbox, launcher: &Launcher) -> bool {
    let root = sandbox.root.iter().flat_map(|root| root.read.iter().chain(&root.write));
    let shown = sandbox.keep_visible.iter().chain(&sandbox.work).chain(root).map(Path::new);
    shown.chain(launcher.guarded.iter().map(PathBuf::as_path)).any(|path| path.starts_with(devices::HOST))
}

/// A namespace of mounts of the launcher's own, in which all children share a minimal `/dev`, and what is pinned. What
/// the host mounts still comes into it; nothing goes out.
pub(crate) fn share(pinned: &[PathBuf]) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?;
    for path in pinned {
        is_pinned(bind_path(path, path))?;
    }
    let mask = umask(Mode::empty());
    let shared = devices::share();
    umask(mask);
    shared
}

/// What every view covers and shows.
fn wishes(sandbox: &Sandbox, launcher: &Launcher) -> io::Result<Vec<Wish>> {
    let mut wishes = vec![wish(devices::HOST, Kind::Devices)];
    match fs::canonicalize("/tmp") {
        Ok(tmp) => wishes.push(wish(tmp, Kind::Private)),
        // What is not there hides nothing and needs no hiding.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    wishes.extend(launcher.pinned.iter().map(|path| wish(path, Kind::Pinned)));
    wishes.extend(launcher.hidden.iter().map(|path| wish(path, Kind::Hidden)));
    wishes.extend(launcher.guarded.iter().map(|path| wish(path, Kind::Guarded)));
    wishes.extend(sandbox.keep_visible.iter().map(|path| wish(path, Kind::Shown)));
    Ok(wishes)
}

/// Opens the folder of work directories, where it will not be seen as it is.
fn work(background: Background, acts: &[Wish], sandbox: &Sandbox) -> io::Result<Option<(OwnedFd, PathBuf)>> {
    let Some(folder) = sandbox.work.as_deref().map(Path::new) else { return Ok(None) };
    if is_seen(background, acts, folder) {
        return Ok(None);
    }
    Ok(Some((openat2(AT_FDCWD, folder, how())?, folder.to_owned())))
}

/// Opens what the acts are about.
fn originals(acts: &[Wish]) -> io::Result<Vec<Option<OwnedFd>>> {
    acts.iter().map(original).collect()
}

/// How a path is opened only to know what is there.
fn how() -> OpenHow {
    OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS)
}

/// The same, and never out of the folder where it begins.
const BENEATH: ResolveFlag = ResolveFlag::RESOLVE_NO_SYMLINKS
    .union(ResolveFlag::RESOLVE_NO_MAGICLINKS)
    .union(ResolveFlag::RESOLVE_BENEATH);

/// What is shown is held open from before anything is covered. A hidden path is looked at too: what is gone
/// needs no hiding.
fn original(act: &Wish) -> io::Result<Option<OwnedFd>> {
    match openat2(AT_FDCWD, &act.path, how()) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(Errno::ENOENT) if !takes_original(act.kind) || act.kind == Kind::Guarded => Ok(None),
        // A link in the place of what was there leads whoever follows it past what would be covered.
        Err(errno @ Errno::ELOOP) => Err(errno.into()),
        Err(_) if !takes_original(act.kind) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Does what is to be done, below `root`. Gives the cover over the folder of work directories, which is still
/// writable.
fn perform(
    acts: Vec<Wish>,
    originals: Vec<Option<OwnedFd>>,
    root: &Path,
    sandbox: &Sandbox,
    shares_devices: bool,
) -> io::Result<Option<PathBuf>> {
    let own_root = sandbox.root.is_some();
    let work = sandbox.work.as_deref().map(|folder| below(root, Path::new(folder)));
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
                devices::isolate(&place, sandbox.tmp_size, shares_devices)?;
            }
            (Kind::Hidden, Some(original)) => {
                if cover(&place, &original)? {
                    covers.push(place);
                }
            }
            (Kind::Pinned, Some(original)) => {
                is_pinned(show(&original, &place))?;
                if own_root {
                    sys::set_mount_flags(&place, MountFlags::TREE.without_devices(true))?;
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
            (Kind::Pinned | Kind::Hidden | Kind::ReadOnly | Kind::Guarded | Kind::Shown, None) => {}
        }
    }
    let over_work =
        covers.iter().rposition(|cover| work.as_ref().is_some_and(|work| work.starts_with(cover)));
    let over_work = over_work.map(|index| covers.remove(index));
    // Only now: mount points had to be made in them.
    covers.iter().try_for_each(|cover| sys::set_mount_flags(cover, MountFlags::READ_ONLY))?;
    Ok(over_work)
}

/// A root in which only what is named is. It is entered when it is whole.
fn make_root(
    sandbox: &Sandbox,
    root: &Root,
    launcher: &Launcher,
    shares_devices: bool,
) -> Result<Work, Failure> {
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
    let originals = originals(&acts).at(Stage::Mounts)?;
    let work = work(Background::Empty, &acts, sandbox).at(Stage::Mounts)?;
    let new = Path::new(STAGE);
    let stage = || -> io::Result<Option<PathBuf>> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), new, Some("tmpfs"), flags, Some("mode=755,size=1m,nr_inodes=4096"))?;
        for (path, target) in links {
            symlink(target, below(new, Path::new(path)))?;
        }
        for path in ["/proc", "/run", "/var"].into_iter().chain(root.empty.iter().map(String::as_str)) {
            make_directory(&below(new, Path::new(path)))?;
        }
        symlink("/run", new.join("var/run"))?;
        let cover = perform(acts, originals, new, sandbox, shares_devices)?;
        if let Some((_, path)) = &work {
            make_directory(&below(new, path))?;
        }
        Ok(cover)
    };
    let cover = stage().at(Stage::Mounts)?;
    if sandbox.delegate {
        let place = new.join("sys/fs/cgroup");
        make_directory(&place).at(Stage::Mounts)?;
        own_cgroup(&place).at(Stage::Mounts)?;
    }
    // Before the old one goes: in a user namespace the kernel mounts no `/proc` unless a whole one is in sight.
    let proc = new.join("proc");
    fresh_proc(&proc).at(Stage::Proc)?;
    if launcher.uid.is_root() {
        protect_proc(&proc, launcher).at(Stage::Proc)?;
    }
    Ok((work, cover))
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
    bind_path(Path::new(&source), place)
}

fn bind_path(source: &Path, place: &Path) -> io::Result<()> {
    // Recursive: in a user namespace the kernel refuses to uncover what is mounted below.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), place, None::<&str>, flags, None::<&str>)?)
}

/// What is gone cannot be moved; what must not be bound twice (mount_namespaces(7), unbindable mounts) stays as it is.
fn is_pinned(bound: io::Result<()>) -> io::Result<()> {
    match bound {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => Ok(()),
        other => other,
    }
}

/// The folders around what is hidden or guarded, which nobody may move away with it: rename(2) refuses a mount point
/// (EBUSY). Only where this user could.
pub(crate) fn to_pin<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let around: BTreeSet<&Path> = paths.flat_map(|path| path.ancestors().skip(1)).collect();
    let can_be_moved = |path: &&Path| {
        path.parent().is_some_and(|parent| access(parent, AccessFlags::W_OK).is_ok()) && !is_mount_point(path)
    };
    around.into_iter().filter(can_be_moved).map(Path::to_owned).collect()
}

fn is_mount_point(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
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
