//! Filters of system calls: seccomp(2). What the launcher can do without itself is refused by a filter that it
//! takes once and all children inherit; the rest is refused by a short one of each child.
//!
//! A refused call is answered with EPERM. clone3(2), whose flags a filter cannot see, is answered with ENOSYS, as
//! by an old kernel: everybody then takes clone(2). A call by the rules of another architecture kills.

mod tree;

use std::collections::BTreeMap;

use ipc::message::Seccomp;
use libc::c_long;
use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};
use tree::{Goes, answer, load_number, program};

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

/// All that a skill needs that works on what it was given: memory, time, what it is handed and what it answers, threads.
/// Nothing here leads to a file, a network, another process or a namespace.
const WORKING: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_close_range,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_lseek,
    libc::SYS_memfd_create,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_gettid,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Flags of clone(2) and unshare(2) that make a namespace.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();

/// The flag of clone(2) without which it makes a process.
const THREAD: u32 = libc::CLONE_THREAD.cast_unsigned();

/// Calls that make a process without saying so by a flag.
#[cfg(target_arch = "x86_64")]
const FORKS: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[c_long] = &[];

/// Bit of the calls of x32, which the kernel counts to x86-64.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

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
        let all = |calls: &[c_long], goes| calls.iter().map(move |call| (*call, goes)).collect::<Vec<_>>();
        let with = |rules: Vec<(c_long, Goes)>, more: &[(c_long, Goes)]| [rules.as_slice(), more].concat();
        let unseen = (libc::SYS_clone3, Goes::Unknown);
        let no_namespaces = Goes::Without(NAMESPACES);
        let threads_only = (libc::SYS_clone, Goes::With(THREAD));
        // Its first argument is a process; 0 is the caller.
        let of_itself = (libc::SYS_prlimit64, Goes::Without(u32::MAX));
        let making = [(libc::SYS_clone, no_namespaces), (libc::SYS_unshare, no_namespaces), unseen];
        Ok(Self {
            inherited: inherited().map_err(|_| Errno::EINVAL)?,
            confined: program(&with(all(MOUNTING, Goes::Refused), &making), Goes::Allowed),
            memory: program(
                &with(all(WORKING, Goes::Allowed), &[threads_only, of_itself, unseen]),
                Goes::Refused,
            ),
            no_fork: program(&with(all(FORKS, Goes::Refused), &[threads_only, unseen]), Goes::Allowed),
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
        load_number(),
        sock_filter { code: tree::JUMP_AT_LEAST, jt: 0, jf: 1, k: X32 },
        answer(libc::SECCOMP_RET_KILL_PROCESS),
    ];
    whole.extend(program);
    whole
}

#[cfg(not(target_arch = "x86_64"))]
fn before_x32(program: BpfProgram) -> BpfProgram {
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: &[sock_filter], call: c_long, argument: i32, expected: i32) {
        let (answer, _) = tree::run(program, call, argument.cast_unsigned());
        let allowed = libc::SECCOMP_RET_ALLOW;
        let refused = libc::SECCOMP_RET_ERRNO | expected.unsigned_abs();
        assert_eq!(answer, if expected == 0 { allowed } else { refused }, "call {call}");
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
    fn built_in_skills_reach_nothing() {
        let memory = Filters::new().expect("they can be made").memory;
        for call in WORKING {
            check(&memory, *call, 1, 0);
        }
        let files =
            [libc::SYS_openat, libc::SYS_openat2, libc::SYS_unlinkat, libc::SYS_chdir, libc::SYS_statx];
        let networks = [libc::SYS_socket, libc::SYS_connect, libc::SYS_bind];
        let programs = [libc::SYS_execve, libc::SYS_execveat];
        // No namespace of its own keeps it from the processes of the host.
        let processes = [
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_pidfd_getfd,
            libc::SYS_process_madvise,
            libc::SYS_setpriority,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setscheduler,
            libc::SYS_ioprio_set,
            libc::SYS_move_pages,
            libc::SYS_ptrace,
            libc::SYS_setpgid,
        ];
        // Nor from what they share.
        let shared = [libc::SYS_shmget, libc::SYS_msgget, libc::SYS_semget, libc::SYS_mq_open];
        let names = [libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_unshare, libc::SYS_setns];
        let all =
            [files.as_slice(), &networks, &programs, &processes, &shared, &names, MOUNTING, FORKS].concat();
        for call in all {
            check(&memory, call, 0, libc::EPERM);
        }
        check(&memory, 10_000, 0, libc::EPERM);
    }

    #[test]
    fn built_in_skills_have_threads_and_limits_of_their_own() {
        let memory = Filters::new().expect("they can be made").memory;
        check(&memory, libc::SYS_clone, libc::CLONE_THREAD | libc::CLONE_VM, 0);
        check(&memory, libc::SYS_clone, libc::SIGCHLD, libc::EPERM);
        check(&memory, libc::SYS_clone3, 0, libc::ENOSYS);
        check(&memory, libc::SYS_prlimit64, 0, 0);
        check(&memory, libc::SYS_prlimit64, 1, libc::EPERM);
        check(&memory, libc::SYS_prlimit64, -1, libc::EPERM);
    }

    #[test]
    fn a_filter_is_quickly_taken() {
        let filters = Filters::new().expect("they can be made");
        for (program, most) in [(&filters.memory, 10), (&filters.confined, 9), (&filters.no_fork, 7)] {
            let deepest = (0..500).map(|call| tree::run(program, call, 0).1).max();
            assert!(deepest.is_some_and(|deepest| deepest <= most), "{deepest:?} of {most}");
            assert!(program.len() <= 64, "{}", program.len());
        }
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
