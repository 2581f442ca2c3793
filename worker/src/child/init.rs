//! Process 1 of a program's pid namespace: starts the program, reaps what it leaves to it, tells how it
//! ended and what it left running. When this process ends, the kernel kills the rest of the namespace.

use std::fs;
use std::os::fd::OwnedFd;

use ipc::message::{FromWorker, Stage, VERSION};
use ipc::socket;
use nix::errno::Errno;
use nix::sys::signal::SigSet;

use super::task::Program;
use crate::birth::{AtStage, Failure};
use crate::sandbox::{descriptors, seccomp::Filters};
use crate::sys::{self, Reaped, Which};

/// Runs the program to its end. An error means that it never began.
pub(super) fn run(program: &Program, no_fork: Option<&Filters>, control: &OwnedFd) -> Result<(), Failure> {
    // Whatever is sent to all processes of the leaf is meant for the program. SIGKILL still ends this one.
    SigSet::all().thread_set_mask().at(Stage::Signals)?;
    let leader = program.spawn(no_fork)?;
    descriptors::release_streams().at(Stage::Descriptors)?;
    tell(control, &FromWorker::Started { version: VERSION });
    let leader = wait_for(leader).at(Stage::Fork)?;
    let (status, usage) = (leader.status, leader.usage);
    tell(control, &FromWorker::LeaderExited { status, leftovers: count_leftovers(), usage });
    Ok(())
}

/// Sends a frame. If the engine is gone there is nobody to tell, and the launcher ends us all.
fn tell(control: &OwnedFd, message: &FromWorker) {
    let _unheard = socket::send(control, message, Vec::new());
}

/// Reaps all that ends until the leader does.
fn wait_for(leader: i32) -> nix::Result<Reaped> {
    loop {
        match sys::wait(Which::NextOfAll)? {
            Some(reaped) if reaped.pid == leader => return Ok(reaped),
            Some(_) | None => {}
        }
    }
}

/// Processes of the namespace that live on without their leader. Zombies are none of them.
pub(super) fn count_leftovers() -> u64 {
    loop {
        match sys::wait(Which::EndedOfAll) {
            Ok(Some(_)) => {}
            // Every process here descends from this one: without children it is alone.
            Err(Errno::ECHILD) => return 0,
            // There are children, so at least one; `/proc` knows the rest.
            Ok(None) | Err(_) => return count_living().max(1),
        }
    }
}

fn count_living() -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let names = entries.flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse::<i32>().ok());
    let living = pids.filter(|pid| {
        *pid != 1 && fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| is_living(&stat))
    });
    u64::try_from(living.count()).unwrap_or(u64::MAX)
}

/// Reads the state from a line of `/proc/<pid>/stat`: what follows the name, which is in brackets and may
/// itself hold any character. proc_pid_stat(5).
fn is_living(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X' | 'x'))
}

#[cfg(test)]
mod tests {
    use super::is_living;

    #[track_caller]
    fn check(stat: &str, expected: bool) {
        assert_eq!(is_living(stat), expected, "{stat:?}");
    }

    #[test]
    fn state_of_a_process() {
        check("7 (sleep) S 1 7 7 0", true);
        check("7 (sleep) R 1", true);
        check("7 (sleep) D 1", true);
        check("7 (sleep) T 1", true);
        check("7 (sleep) Z 1", false);
        check("7 (sleep) X 1", false);
        check("7 (a) Z (b) S 1", true);
        check("7 (a) S\n) Z 1", false);
        check("", false);
        check("7 (sleep)", false);
    }
}
