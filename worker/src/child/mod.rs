//! What a new child does, in the order of birth, until its task takes over. It is a copy of the launcher
//! with one thread; whatever happens, it ends in `_exit` or exec and never returns into the launcher's code.

mod agent;
mod builtin;
mod init;
mod program;

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc::message::{FromWorker, Sandbox, Seccomp, Stage, UserNamespace};
use ipc::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{chdir, getcwd, setsid};

use crate::birth::{AtStage, Failure, Gate, Launcher, Request, Task};
use crate::sandbox::seccomp::Filters;
use crate::sandbox::{capabilities, landlock, mounts, namespaces, network, rlimits, user};
use crate::sys;

/// Exit code of a child that could not begin; the reason went over the control socket.
pub(crate) const EXIT_FAILED: i32 = 125;

/// Exit code of a child whose own code panicked: the code that Rust's runtime has for it.
const EXIT_PANICKED: i32 = 101;

/// Runs the whole life of a child. Called right after the clone.
pub(crate) fn run(request: &Request, launcher: &Launcher, gate: &Gate) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| live(request, launcher, gate)));
    sys::exit_now(code.unwrap_or(EXIT_PANICKED))
}

/// Gives the exit code.
fn live(request: &Request, launcher: &Launcher, gate: &Gate) -> i32 {
    let control = match arrange(request, launcher, gate) {
        Ok(control) => control,
        Err(failure) => return report(&request.descriptors.control, failure),
    };
    // The socket is at its new place, and the number by which the request knows it is closed.
    match shut_in(request, launcher, &control).and_then(|()| work(request, launcher, &control)) {
        Ok(()) => 0,
        Err(failure) => report(&control, failure),
    }
}

/// Ties the life of this process to that of the launcher: PR_SET_PDEATHSIG(2const). First of all, so that
/// no child can outlive a launcher that is killed in the middle of a birth.
///
/// The parent's pid cannot be asked for from a new pid namespace, so the launcher's pidfd tells whether it
/// died before the signal was asked for. setsid(2) in between makes that exact: it waits for the lock
/// under which a dying parent first signals its children and then becomes a zombie.
pub(crate) fn die_with(launcher: &Launcher) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).at(Stage::Privileges)?;
    setsid().at(Stage::Session)?;
    let mut dead = [PollFd::new(launcher.pidfd.as_fd(), PollFlags::POLLIN)];
    if poll(&mut dead, PollTimeout::ZERO).at(Stage::Privileges)? > 0 {
        return Err(Failure { stage: Stage::Privileges, errno: Errno::ESRCH });
    }
    Ok(())
}

/// Afterwards only the step's descriptors and the control socket, which it gives, are open.
fn arrange(request: &Request, launcher: &Launcher, gate: &Gate) -> Result<OwnedFd, Failure> {
    die_with(launcher)?;
    gate.pass().at(Stage::Gate)?;
    if request.sandbox.user_namespace == UserNamespace::First {
        namespaces::map_to_itself(launcher.uid, launcher.gid).at(Stage::UserNamespace)?;
    }
    // Dispositions are the default already: the launcher has reset them all and handles no signal.
    SigSet::empty().thread_set_mask().at(Stage::Signals)?;
    request.descriptors.arrange().at(Stage::Descriptors)
}

fn shut_in(request: &Request, launcher: &Launcher, control: &OwnedFd) -> Result<(), Failure> {
    let sandbox = &request.sandbox;
    if sandbox.mounts {
        namespaces::own_cgroup_root().at(Stage::Mounts)?;
        mounts::isolate(sandbox, launcher)?;
    }
    network::arrange(&sandbox.network, control)?;
    enter(&request.cwd).at(Stage::Cwd)?;
    // After the mounts, which need a few descriptors; before capabilities, which may raise a limit.
    rlimits::apply(&request.limits).at(Stage::Limits)?;
    give_up_rights(sandbox, launcher)?;
    // Until an exec, nobody may look into this process or trace it, whoever they are.
    prctl::set_dumpable(false).at(Stage::Privileges)?;
    prctl::set_no_new_privs().at(Stage::Privileges)?;
    if let Some(root) = &sandbox.root {
        landlock::restrict(root, &sandbox.network).at(Stage::Landlock)?;
    }
    match &launcher.filters {
        Some(filters) => filters.confine(sandbox.seccomp).at(Stage::Seccomp),
        None if sandbox.seccomp == Seccomp::None => Ok(()),
        None => Err(Failure { stage: Stage::Seccomp, errno: Errno::ENOSYS }),
    }
}

/// Goes to the working directory, which must lie in what this process sees as its root.
fn enter(cwd: &CStr) -> nix::Result<()> {
    chdir(cwd)?;
    // A directory of another root has no name here: getcwd(3).
    getcwd().map(drop)
}

/// Becomes the user that the step runs as, and gives up capabilities. What a new user namespace gives is given up
/// after it.
fn give_up_rights(sandbox: &Sandbox, launcher: &Launcher) -> Result<(), Failure> {
    let become_user = || sandbox.user.map_or(Ok(()), user::become_user).at(Stage::User);
    match sandbox.user_namespace {
        UserNamespace::Last => {
            become_user()?;
            let uid = sandbox.user.map_or(launcher.uid, |user| user.uid.into());
            let gid = sandbox.user.map_or(launcher.gid, |user| user.gid.into());
            // Else its maps belong to root, and cannot be written: proc(5).
            prctl::set_dumpable(true).at(Stage::Privileges)?;
            namespaces::own_user_namespace(uid, gid).at(Stage::UserNamespace)?;
            capabilities::lower(&launcher.bounding, sandbox).at(Stage::Capabilities)
        }
        UserNamespace::None | UserNamespace::First => {
            capabilities::lower(&launcher.bounding, sandbox).at(Stage::Capabilities)?;
            become_user()
        }
    }
}

/// Does the task. An error means that it never began.
fn work(request: &Request, launcher: &Launcher, control: &OwnedFd) -> Result<(), Failure> {
    let filters = launcher.filters.as_ref().filter(|_| request.sandbox.no_fork);
    match &request.task {
        Task::Builtin(builtin) if request.sandbox.namespaces => builtin::run_as_init(builtin, control),
        Task::Builtin(builtin) => builtin::run(builtin, control),
        Task::Agent(agent) => agent::run(agent, control, request.sandbox.namespaces),
        Task::Program(program) if request.sandbox.namespaces => init::run(program, filters, control),
        Task::Program(program) => {
            filters.map_or(Ok(()), Filters::forbid_processes).at(Stage::Seccomp)?;
            match program.exec().at(Stage::Exec)? {}
        }
    }
}

/// Tells the engine why the task never began; gives the exit code. When the engine is gone, nobody needs
/// to know.
fn report(control: &OwnedFd, failure: Failure) -> i32 {
    let Failure { stage, errno } = failure;
    let message = FromWorker::SetupFailed { stage, errno: errno as i32 };
    let _unheard = socket::send(control, &message, Vec::new());
    EXIT_FAILED
}
