//! Filters of system calls: seccomp(2). What the launcher can do without itself is refused by a filter that it
//! takes once and all children inherit; the rest is refused by a short one of each child.
//!
//! A refused call is answered with EPERM. clone3(2), whose flags a filter cannot see, is answered with ENOSYS, as
//! by an old kernel: everybody then takes clone(2). A call by the rules of another architecture kills.

use std::collections::BTreeMap;

use ipc::message::Seccomp;
use libc::c_long;
use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

/// Calls that get at other processes, at the kernel itself, or around what looks at calls.
const REACHING: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// `open_tree_attr`, of Linux 6.15; the libc crate does not have it. New calls have the same number everywhere.
const OPEN_TREE_ATTR: c_long = 467;

/// Calls that change what is mounted, or enter a namespace.
const MOUNTING: &[c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
];

/// Calls that touch a file by its name, a network or another program.
const TOUCHING: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_truncate,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_chdir,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    libc::SYS_renameat,
];

/// Their older forms.
#[cfg(target_arch = "x86_64")]
const TOUCHING_OLD: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const TOUCHING_OLD: &[c_long] = &[];

/// Flags of clone(2) and unshare(2) that make a namespace.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// Bit of the calls of x32, which the kernel counts to x86-64.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

/// All filters, ready to be taken.
#[derive(Debug)]
pub(crate) struct Filters {
    /// What the launcher takes itself.
    inherited: BpfProgram,
    confined: BpfProgram,
    memory: BpfProgram,
    no_fork: BpfProgram,
    /// Whether the launcher has taken its own.
    taken: bool,
}

impl Filters {
    /// Makes them.
    pub(crate) fn new() -> nix::Result<Self> {
        let all = |lists: &[&[c_long]]| lists.concat();
        Ok(Self {
            inherited: inherited().map_err(|_| Errno::EINVAL)?,
            confined: program(MOUNTING, Watched::NAMESPACES),
            memory: program(&all(&[TOUCHING, TOUCHING_OLD, MOUNTING]), Watched::NAMESPACES),
            no_fork: program(FORKS, Watched::PROCESSES),
            taken: false,
        })
    }

    /// Takes what all children shall inherit. It cannot be given back.
    pub(crate) fn take_inherited(&mut self) -> nix::Result<()> {
        if !self.taken {
            take(&self.inherited)?;
            self.taken = true;
        }
        Ok(())
    }

    /// Takes what is chosen for this process and all that it starts.
    pub(crate) fn confine(&self, choice: Seccomp) -> nix::Result<()> {
        let own = match choice {
            Seccomp::None => return Ok(()),
            Seccomp::AllowUserns => None,
            Seccomp::Default => Some(&self.confined),
            Seccomp::Memory => Some(&self.memory),
        };
        if !self.taken {
            take(&self.inherited)?;
        }
        own.map_or(Ok(()), |own| take(own))
    }

    /// From here on this process starts no other, only threads.
    pub(crate) fn forbid_processes(&self) -> nix::Result<()> {
        take(&self.no_fork)
    }
}

fn take(program: &[sock_filter]) -> nix::Result<()> {
    apply_filter(program).map_err(|_| Errno::last())
}

/// The calls that nobody needs who is made by the launcher, nor the launcher itself.
fn inherited() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REACHING.iter().map(|call| (*call, Vec::new())).collect();
    let one_of = |argument: u8, values: &[u32]| {
        let rule = |value: &u32| {
            let value = u64::from(*value);
            let same = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
            SeccompRule::new(vec![same])
        };
        values.iter().map(rule).collect::<Result<Vec<_>, _>>()
    };
    // Typing into a terminal for somebody else: CVE-2017-5226; the console has a form of its own.
    let typing = [libc::TIOCSTI.try_into().unwrap_or(u32::MAX), TIOCLINUX];
    rules.insert(libc::SYS_ioctl, one_of(1, &typing)?);
    rules.insert(libc::SYS_socket, one_of(0, &[libc::AF_VSOCK.unsigned_abs()])?);
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(before_x32(program))
}

/// `TIOCLINUX` of ioctl_console(2): pastes into a virtual console.
const TIOCLINUX: u32 = 0x541C;

#[cfg(target_arch = "x86_64")]
fn before_x32(program: BpfProgram) -> BpfProgram {
    let mut whole = vec![
        load(NUMBER),
        sock_filter { code: JUMP_AT_LEAST, jt: 0, jf: 1, k: X32 },
        answer(libc::SECCOMP_RET_KILL_PROCESS),
    ];
    whole.extend(program);
    whole
}

#[cfg(not(target_arch = "x86_64"))]
fn before_x32(program: BpfProgram) -> BpfProgram {
    program
}

/// Instructions, as `linux/bpf_common.h` has them.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
#[cfg(target_arch = "x86_64")]
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn answer(action: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: action }
}

/// Calls that make a process without saying so by a flag.
#[cfg(target_arch = "x86_64")]
const FORKS: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[c_long] = &[];

/// Calls whose first argument decides.
#[derive(Debug, Clone, Copy)]
struct Watched {
    calls: &'static [c_long],
    flags: i32,
    /// Whether one of the flags refuses the call, or the lack of all.
    refuses: Refuses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuses {
    AnyFlag,
    NoFlag,
}

impl Watched {
    const NAMESPACES: Self =
        Self { calls: &[libc::SYS_clone, libc::SYS_unshare], flags: NAMESPACES, refuses: Refuses::AnyFlag };
    const PROCESSES: Self =
        Self { calls: &[libc::SYS_clone], flags: libc::CLONE_THREAD, refuses: Refuses::NoFlag };
}

/// A filter that refuses some calls, and others by their first argument. The architecture was looked at by the
/// filter that is taken before.
fn program(refused: &[c_long], watched: Watched) -> BpfProgram {
    let tests: Vec<(c_long, Goes)> = refused
        .iter()
        .map(|call| (*call, Goes::Refused))
        .chain(watched.calls.iter().map(|call| (*call, Goes::Watched)))
        .chain([(libc::SYS_clone3, Goes::Unknown)])
        .collect();
    let mut program = vec![load(NUMBER)];
    for (index, (call, goes)) in tests.iter().enumerate() {
        // After the tests: allowed, load, flags, allowed, refused, unknown.
        let left = tests.len() - index - 1;
        let skipped = match goes {
            Goes::Watched => left + 1,
            Goes::Refused => left + 4,
            Goes::Unknown => left + 5,
        };
        let (jt, k) = (u8::try_from(skipped).unwrap_or(u8::MAX), u32::try_from(*call).unwrap_or(u32::MAX));
        program.push(sock_filter { code: JUMP_EQUAL, jt, jf: 0, k });
    }
    let (jt, jf) = if watched.refuses == Refuses::AnyFlag { (1, 0) } else { (0, 1) };
    program.extend([
        answer(libc::SECCOMP_RET_ALLOW),
        load(FIRST_ARGUMENT),
        sock_filter { code: JUMP_ANY_BIT, jt, jf, k: watched.flags.cast_unsigned() },
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs()),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()),
    ]);
    program
}

#[derive(Debug, Clone, Copy)]
enum Goes {
    Refused,
    Watched,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a filter of ours answers, by the rules of `bpf(4)`.
    fn run(program: &[sock_filter], call: c_long, argument: i32) -> u32 {
        let mut accumulator = 0;
        let mut at = 0;
        loop {
            let step = &program[at];
            let jump = |taken: bool| 1 + usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                LOAD if step.k == NUMBER => accumulator = u32::try_from(call).expect("a number"),
                LOAD => accumulator = argument.cast_unsigned(),
                JUMP_EQUAL => {
                    at += jump(accumulator == step.k);
                    continue;
                }
                JUMP_ANY_BIT => {
                    at += jump(accumulator & step.k != 0);
                    continue;
                }
                RETURN => return step.k,
                other => panic!("instruction {other:#x}"),
            }
            at += 1;
        }
    }

    #[track_caller]
    fn check(program: &[sock_filter], call: c_long, argument: i32, expected: i32) {
        let answer = run(program, call, argument);
        let allowed = libc::SECCOMP_RET_ALLOW;
        let refused = libc::SECCOMP_RET_ERRNO | expected.unsigned_abs();
        assert_eq!(answer, if expected == 0 { allowed } else { refused });
    }

    #[test]
    fn confined_programs_make_processes_but_no_namespaces() {
        let filters = Filters::new().expect("they can be made");
        let confined = &filters.confined;
        check(confined, libc::SYS_clone, libc::SIGCHLD, 0);
        check(confined, libc::SYS_clone, libc::CLONE_THREAD | libc::CLONE_VM, 0);
        check(confined, libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, libc::EPERM);
        check(confined, libc::SYS_clone3, 0, libc::ENOSYS);
        check(confined, libc::SYS_unshare, libc::CLONE_FILES, 0);
        check(confined, libc::SYS_unshare, libc::CLONE_NEWNS, libc::EPERM);
        check(confined, libc::SYS_openat, 0, 0);
        for call in MOUNTING {
            check(confined, *call, 0, libc::EPERM);
        }
    }

    #[test]
    fn built_in_skills_touch_nothing() {
        let filters = Filters::new().expect("they can be made");
        for call in TOUCHING.iter().chain(TOUCHING_OLD).chain(MOUNTING) {
            check(&filters.memory, *call, 0, libc::EPERM);
        }
        for call in [libc::SYS_read, libc::SYS_write, libc::SYS_sendmsg, libc::SYS_mmap, libc::SYS_futex] {
            check(&filters.memory, call, 0, 0);
        }
        // Each instruction costs a microsecond when the filter is taken.
        assert!(filters.memory.len() <= 64, "{}", filters.memory.len());
        assert!(filters.confined.len() <= 32, "{}", filters.confined.len());
    }

    #[test]
    fn threads_are_no_processes() {
        let filters = Filters::new().expect("they can be made");
        check(&filters.no_fork, libc::SYS_clone, libc::CLONE_THREAD | libc::CLONE_VM, 0);
        check(&filters.no_fork, libc::SYS_clone, libc::SIGCHLD, libc::EPERM);
        check(&filters.no_fork, libc::SYS_clone3, 0, libc::ENOSYS);
        for call in FORKS {
            check(&filters.no_fork, *call, 0, libc::EPERM);
        }
        check(&filters.no_fork, libc::SYS_execve, 0, 0);
    }
}
