//! The system calls that neither nix nor the standard library offers safely, each behind a safe function.
//! All `unsafe` of this crate is here.
#![expect(unsafe_code, reason = "raw system calls; each block is one call")]

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ipc::message::{ProcessUsage, WaitStatus};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// clone3(2): the child is born in the cgroup of `clone_args.cgroup`. The libc crate's constant is a
/// `c_int`, in which this bit does not fit: it is 0 there and isolates nothing, silently.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// clone3(2): handled signals are back to their default in the child. 0 in the libc crate, as above.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

const CLONE_PIDFD: u64 = 0x1000;

/// What a clone gave: it returns twice.
#[derive(Debug)]
pub(crate) enum Cloned {
    /// In the parent.
    Parent(Newborn),
    /// In the child.
    Child,
}

/// A process just made.
#[derive(Debug)]
pub(crate) struct Newborn {
    /// Its pid, in the caller's namespace.
    pub(crate) pid: i32,
    /// Its pidfd, closed on exec.
    pub(crate) pidfd: OwnedFd,
}

/// Forks a child into a cgroup: clone3(2). The caller must have one thread: then all ordinary code may run
/// in the child, which has a copy of everything.
pub(crate) fn clone_into_cgroup(cgroup: BorrowedFd<'_>, namespaces: CloneFlags) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero clone_args is valid: every field is an integer.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND | CLONE_PIDFD | bits(namespaces);
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    // SAFETY: without CLONE_VM it is a fork; `args` and `pidfd` outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    cloned(pid, pidfd)
}

/// Forks a child where the parent is, by the older clone(2), which sandboxes forbid less often.
pub(crate) fn clone_in_place(namespaces: CloneFlags) -> nix::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    let flags = bits(namespaces) | CLONE_PIDFD | u64::from(libc::SIGCHLD.unsigned_abs());
    let none = 0_u64;
    // SAFETY: without CLONE_VM and with no stack given it is a fork; `pidfd` outlives the call. (The third
    // argument is the place of the pidfd on every architecture; those after it are unused.)
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
    cloned(pid, pidfd)
}

fn bits(namespaces: CloneFlags) -> u64 {
    u64::from(namespaces.bits().cast_unsigned())
}

fn cloned(pid: libc::c_long, pidfd: RawFd) -> nix::Result<Cloned> {
    let pid = i32::try_from(Errno::result(pid)?).map_err(|_| Errno::EOVERFLOW)?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    Ok(Cloned::Parent(Newborn { pid, pidfd: own(pidfd) }))
}

/// Bytes of the stack of a child that is about to execute a program.
const STACK: usize = 64 * 1024;

/// Starts a child that shares this process's memory, which stands still until the child has executed a program or
/// has ended: clone(2), as vfork(2) but on a stack of its own. Nothing is copied, so it costs the same however large
/// this process is. `child` gives the exit code; what it sets stays set here.
///
/// The caller must have one thread, and no handler of signals: CLONE_CLEAR_SIGHAND cannot be asked of this call.
pub(crate) fn spawn<F: FnOnce() -> c_int>(child: F) -> nix::Result<i32> {
    extern "C" fn run<F: FnOnce() -> c_int>(child: *mut libc::c_void) -> c_int {
        // SAFETY: it is the `Option<F>` below, which its owner does not touch until this process is gone.
        let child = unsafe { &mut *child.cast::<Option<F>>() };
        child.take().map_or(0, |child| child())
    }
    let mut child = Some(child);
    let units = STACK / size_of::<u128>();
    let mut stack: Vec<u128> = Vec::with_capacity(units);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let top = stack.as_mut_ptr().wrapping_add(units);
    // SAFETY: the stack and the child outlive its use of them, since CLONE_VFORK holds this process back until then;
    // the stack ends where the pointer is and is aligned.
    let pid = unsafe { libc::clone(run::<F>, top.cast(), flags, (&raw mut child).cast()) };
    Errno::result(pid)
}

/// A pidfd of this process: pidfd_open(2).
pub(crate) fn own_pidfd() -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let raw = Errno::result(raw)?;
    Ok(own(RawFd::try_from(raw).map_err(|_| Errno::EBADF)?))
}

/// Sends a signal to the process of a pidfd; never to another that got its number.
pub(crate) fn signal(pidfd: &impl AsFd, signal: Signal) -> nix::Result<()> {
    let (raw, number) = (pidfd.as_fd().as_raw_fd(), signal as c_int);
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed: the kernel fills it as kill(2) would.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, raw, number, info, 0) };
    Errno::result(result).map(drop)
}

/// Closes the descriptors `first..=last`: close_range(2).
pub(crate) fn close_range(first: u32, last: u32) -> nix::Result<()> {
    // SAFETY: no pointers. The caller gives up whatever owned those descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    Errno::result(result).map(drop)
}

/// Makes `target` a copy of `descriptor`, which stays open in programs executed.
pub(crate) fn place(descriptor: &impl AsFd, target: RawFd) -> nix::Result<()> {
    // SAFETY: no pointers. What was at `target` is closed: the caller gives it up.
    let result = unsafe { libc::dup2(descriptor.as_fd().as_raw_fd(), target) };
    Errno::result(result).map(drop)
}

/// Makes `target` a copy of `descriptor`, which is closed on exec.
pub(crate) fn place_private(descriptor: &impl AsFd, target: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers. What was at `target` is closed: the caller gives it up.
    let result = unsafe { libc::dup3(descriptor.as_fd().as_raw_fd(), target, libc::O_CLOEXEC) };
    Errno::result(result).map(own)
}

/// A copy of a descriptor at the lowest free place from `least` on, closed on exec.
pub(crate) fn duplicate_from(descriptor: &impl AsFd, least: RawFd) -> nix::Result<OwnedFd> {
    let raw = descriptor.as_fd().as_raw_fd();
    // SAFETY: no pointers.
    let result = unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, least) };
    Errno::result(result).map(own)
}

fn own(raw: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for the caller, and nobody else knows its number.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

/// What is to become of a mount, and whether of all below it too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MountFlags {
    set: u64,
    tree: bool,
}

impl MountFlags {
    /// Nothing can be written by this mount.
    pub(crate) const READ_ONLY: Self = Self { set: libc::MOUNT_ATTR_RDONLY, tree: false };
    /// Nor by those below it.
    pub(crate) const READ_ONLY_TREE: Self = Self { set: libc::MOUNT_ATTR_RDONLY, tree: true };
    /// As it is, and all below it.
    pub(crate) const TREE: Self = Self { set: 0, tree: true };

    /// The same; and, if so, devices there are none, and set-user-ID bits mean nothing.
    pub(crate) fn without_devices(self, so: bool) -> Self {
        let more = if so { libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID } else { 0 };
        Self { set: self.set | more, ..self }
    }
}

/// Changes a mount, in this namespace only: mount_setattr(2).
pub(crate) fn set_mount_flags(path: &Path, flags: MountFlags) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let attributes = libc::mount_attr { attr_set: flags.set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let at = libc::AT_SYMLINK_NOFOLLOW | if flags.tree { libc::AT_RECURSIVE } else { 0 };
    let (here, size) = (libc::AT_FDCWD, size_of_val(&attributes));
    // SAFETY: the path and the attributes outlive the call, which only reads them.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, here, path.as_ptr(), at, &raw const attributes, size)
    };
    Errno::result(result).map(drop)
}

/// Brings up the loopback of this process's network namespace: netdevice(7).
pub(crate) fn raise_loopback() -> nix::Result<()> {
    let kind = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, kind, None)?;
    // SAFETY: an all-zero ifreq is valid: a name that is empty, and integers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = LOOPBACK_UP;
    // SAFETY: the kernel reads the name and the flags, which outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(result).map(drop)
}

/// `IFF_UP | IFF_RUNNING`.
const LOOPBACK_UP: libc::c_short = 0x41;

/// Which children to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// This one; the answer `None` means that it has not ended.
    Ended(i32),
    /// Any; waits until one ends.
    NextOfAll,
    /// Any that has ended; the answer `None` means that there are others, which live.
    EndedOfAll,
}

/// A child that ended and was reaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    /// Its pid.
    pub(crate) pid: i32,
    /// How it ended.
    pub(crate) status: WaitStatus,
    /// What it and its reaped descendants used.
    pub(crate) usage: ProcessUsage,
}

/// wait4(2). (nix's waitpid has no usage and reaps, but cannot tell, a death by a real-time signal.)
pub(crate) fn wait(which: Which) -> nix::Result<Option<Reaped>> {
    let (pid, options) = match which {
        Which::Ended(pid) => (pid, libc::WNOHANG),
        Which::NextOfAll => (-1, 0),
        Which::EndedOfAll => (-1, libc::WNOHANG),
    };
    let mut status: c_int = 0;
    // SAFETY: an all-zero rusage is valid: every field is an integer.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = loop {
        // SAFETY: both places are ours and outlive the call.
        match Errno::result(unsafe { libc::wait4(pid, &raw mut status, options, &raw mut usage) }) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some(Reaped { pid, status: wait_status(status), usage: process_usage(&usage) }))
}

fn wait_status(raw: c_int) -> WaitStatus {
    if libc::WIFSIGNALED(raw) {
        return WaitStatus::Signaled { signal: libc::WTERMSIG(raw), core_dumped: libc::WCOREDUMP(raw) };
    }
    WaitStatus::Exited(libc::WEXITSTATUS(raw))
}

fn process_usage(raw: &libc::rusage) -> ProcessUsage {
    let microseconds = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000).saturating_add(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    ProcessUsage {
        user_us: microseconds(raw.ru_utime),
        system_us: microseconds(raw.ru_stime),
        max_rss_bytes: u64::try_from(raw.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    }
}

/// Sets every signal back to its default, and blocks none. What it replaces is what the shell or the
/// service manager left, and what the Rust runtime set (SIGPIPE ignored, handlers of stack overflow).
pub(crate) fn default_signals() -> nix::Result<()> {
    /// The kernel's `struct sigaction`, larger than on any architecture; all zero is the default.
    const DEFAULT: [u64; 4] = [0; 4];
    /// Bytes of the kernel's signal set.
    const SET: usize = 8;
    // Not by sigaction(3): the C library refuses the two real-time signals that it keeps for itself, which a
    // parent may well have left ignored.
    for signal in (1..=libc::SIGRTMAX()).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        let nowhere = std::ptr::null::<u64>();
        // SAFETY: the kernel only reads the action, which outlives the call and runs no code of ours.
        let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), nowhere, SET) };
        Errno::result(result)?;
    }
    SigSet::empty().thread_set_mask()
}

/// Ends this process at once: no destructor, no exit handler, no flush.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: it takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}

/// The error number of an error of the standard library, `EIO` where it has none.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
