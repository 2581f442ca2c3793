//! What a new child does, in the order of birth, until its task takes over. It is a copy of the launcher
//! with one thread; whatever happens, it ends in `_exit` or exec and never returns into the launcher's code.

mod agent;
mod builtin;
mod init;
mod program;

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc::message::{FromWorker, Stage};
use ipc::socket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{chdir, setsid};

use crate::birth::{AtStage, Failure, Gate, Launcher, Request, Task};
use crate::sandbox::{capabilities, mounts, namespaces, rlimits};
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
    match shut_in(request, launcher).and_then(|()| work(request, &control)) {
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
    if request.sandbox.user_namespace {
        namespaces::map_to_itself(launcher.uid, launcher.gid).at(Stage::UserNamespace)?;
    }
    // Dispositions are the default already: the launcher has reset them all and handles no signal.
    SigSet::empty().thread_set_mask().at(Stage::Signals)?;
    request.descriptors.arrange().at(Stage::Descriptors)
}

fn shut_in(request: &Request, launcher: &Launcher) -> Result<(), Failure> {
    let sandbox = &request.sandbox;
    if sandbox.mounts {
        mounts::isolate(sandbox)?;
    }
    chdir(request.cwd.as_c_str()).at(Stage::Cwd)?;
    // After the mounts, which need a few descriptors; before capabilities, which may raise a limit.
    rlimits::apply(&request.limits).at(Stage::Limits)?;
    capabilities::lower(&launcher.bounding, sandbox).at(Stage::Capabilities)?;
    // Until an exec, nobody may look into this process or trace it, whoever they are.
    prctl::set_dumpable(false).at(Stage::Privileges)?;
    prctl::set_no_new_privs().at(Stage::Privileges)
}

/// Does the task. An error means that it never began.
fn work(request: &Request, control: &OwnedFd) -> Result<(), Failure> {
    match &request.task {
        Task::Builtin(builtin) if request.sandbox.namespaces => builtin::run_as_init(builtin, control),
        Task::Builtin(builtin) => builtin::run(builtin, control),
        Task::Agent(agent) => agent::run(agent, control, request.sandbox.namespaces),
        Task::Program(program) if request.sandbox.namespaces => init::run(program, control),
        Task::Program(program) => match program.exec().at(Stage::Exec)? {},
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
