//! What a new child does, in the order of birth, until its task takes over. It is a copy of the launcher
//! with one thread; whatever happens, it ends in `_exit` or exec and never returns into the launcher's code.

mod agent;
mod builtin;
mod init;
mod program;
mod task;

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ipc::message::{FromWorker, Sandbox, Seccomp, Stage, UserNamespace};
use ipc::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{chdir, getcwd, setsid};

use crate::birth::{AtStage, Failure, Gate, Launcher, Request};
use crate::sandbox::mounts::View;
use crate::sandbox::seccomp::Filters;
use crate::sandbox::{capabilities, descriptors, landlock, mounts, namespaces, network, rlimits, user};
use crate::sys;
use task::{Task, Work};

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
        Err(failure) => return report(&request.control, failure),
    };
    // The socket is at its new place, and the number by which the request knows it is closed.
    match attempt(&request.sandbox, launcher, &control) {
        Ok(()) => 0,
        Err(failure) => report(&control, failure),
    }
}

/// Makes all that can be made before the task is known, waits for it, and does it.
fn attempt(sandbox: &Sandbox, launcher: &Launcher, control: &OwnedFd) -> Result<(), Failure> {
    let view = prepare(sandbox, launcher, control)?;
    let Some(task) = Task::wait(control, sandbox)? else { return Ok(()) };
    let Task { work_dir, limits, cwd, descriptors, work } = task;
    let work_dir = work_dir.as_deref();
    if let Some(view) = view {
        view.finish(work_dir).at(Stage::Mounts)?;
    }
    descriptors.arrange().at(Stage::Descriptors)?;
    if let Some(cwd) = &cwd {
        enter(cwd).at(Stage::Cwd)?;
    }
    // After the mounts, which need a few descriptors; before capabilities, which may raise a limit.
    rlimits::apply(&limits).at(Stage::Limits)?;
    if !is_shut_early(sandbox) {
        shut(sandbox, work_dir, launcher)?;
    }
    perform(&work, sandbox, launcher, control)
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

/// Afterwards nothing but the control socket, which it gives, leads anywhere.
fn arrange(request: &Request, launcher: &Launcher, gate: &Gate) -> Result<OwnedFd, Failure> {
    die_with(launcher)?;
    gate.pass().at(Stage::Gate)?;
    if request.sandbox.user_namespace == UserNamespace::First {
        namespaces::map_to_itself(launcher.uid, launcher.gid).at(Stage::UserNamespace)?;
    }
    // Dispositions are the default already: the launcher has reset them all and handles no signal.
    SigSet::empty().thread_set_mask().at(Stage::Signals)?;
    descriptors::hold_control(&request.control).at(Stage::Descriptors)
}

/// Makes what the sandbox alone decides. Gives the view of the file system, which is finished with the task.
fn prepare(sandbox: &Sandbox, launcher: &Launcher, control: &OwnedFd) -> Result<Option<View>, Failure> {
    let mut view = None;
    if sandbox.mounts {
        namespaces::own_cgroup_root().at(Stage::Mounts)?;
        view = Some(mounts::isolate(sandbox, launcher)?);
    }
    network::arrange(&sandbox.network, control)?;
    // Until an exec, nobody may look into this process or trace it, whoever they are.
    prctl::set_dumpable(false).at(Stage::Privileges)?;
    if is_shut_early(sandbox) {
        if sandbox.namespaces {
            builtin::exit_at_sigterm()?;
        }
        shut(sandbox, None, launcher)?;
    }
    Ok(view)
}

/// Whether all rights go before the task is known: a skill that touches nothing needs none to begin.
fn is_shut_early(sandbox: &Sandbox) -> bool {
    sandbox.seccomp == Seccomp::Memory
}

/// Gives up all rights, for good.
fn shut(sandbox: &Sandbox, work_dir: Option<&Path>, launcher: &Launcher) -> Result<(), Failure> {
    give_up_rights(sandbox, launcher)?;
    // New credentials may have made it so again.
    prctl::set_dumpable(false).at(Stage::Privileges)?;
    prctl::set_no_new_privs().at(Stage::Privileges)?;
    if let Some(root) = &sandbox.root {
        landlock::restrict(root, work_dir, &sandbox.network).at(Stage::Landlock)?;
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
            capabilities::narrow(&launcher.bounding, sandbox).at(Stage::Capabilities)?;
        }
        UserNamespace::None | UserNamespace::First => {
            capabilities::narrow(&launcher.bounding, sandbox).at(Stage::Capabilities)?;
            become_user()?;
        }
    }
    // What keeps no capability could not become another user any more.
    capabilities::lower(sandbox).at(Stage::Capabilities)
}

/// Does the work. An error means that it never began.
fn perform(work: &Work, sandbox: &Sandbox, launcher: &Launcher, control: &OwnedFd) -> Result<(), Failure> {
    let filters = launcher.filters.as_ref().filter(|_| sandbox.no_fork);
    match work {
        Work::Builtin(builtin) => {
            if sandbox.namespaces && !is_shut_early(sandbox) {
                builtin::exit_at_sigterm()?;
            }
            builtin::run(builtin, control)
        }
        Work::Agent(agent) => agent::run(agent, control, sandbox.namespaces),
        Work::Program(program) if sandbox.namespaces => init::run(program, filters, control),
        Work::Program(program) => {
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
