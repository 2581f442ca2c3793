//! The end of everything when the engine is gone: no process and no leaf stays.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::children::Children;
use crate::sys::{self, Newborn, Which};

/// Within this, all is dead and gone, or the kernel cannot end it.
const PATIENCE: Duration = Duration::from_secs(2);

/// rmdir(2) of a leaf that is empty may still fail with EBUSY while the kernel lets go of the last process.
const RETRY: Duration = Duration::from_millis(5);

/// Kills and reaps all children, with all that lives in their leaves, and removes the leaves.
pub(super) fn end_all(children: Children) {
    let deadline = Instant::now() + PATIENCE;
    let (mut living, leaves) = children.into_parts();
    for leaf in &leaves {
        // Gone already, or a kernel older than 5.14: then the init of the pid namespace takes all with it.
        let _gone = kill(leaf);
    }
    for child in &living {
        // Already dead.
        let _dead = sys::signal(&child.pidfd, Signal::SIGKILL);
    }
    while !living.is_empty() && Instant::now() < deadline {
        await_any(&living, deadline);
        living.retain(|child| matches!(sys::wait(Which::Ended(child.pid)), Ok(None)));
    }
    for leaf in &leaves {
        // What cannot be removed in time, the next start of an engine sweeps.
        let _left = remove(leaf, deadline);
    }
}

fn kill(leaf: &Path) -> io::Result<()> {
    io::Write::write_all(&mut File::options().write(true).open(leaf.join("cgroup.kill"))?, b"1")
}

fn await_any(living: &[Newborn], deadline: Instant) {
    let mut ends: Vec<PollFd<'_>> =
        living.iter().map(|child| PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)).collect();
    // An error or a time-out: the caller looks again and knows the time.
    let _woken = poll(&mut ends, left_until(deadline));
}

/// Removes a leaf as soon as it is empty.
fn remove(leaf: &PathBuf, deadline: Instant) -> io::Result<()> {
    let mut events = match File::open(leaf.join("cgroup.events")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    loop {
        let populated = is_populated(&mut events)?;
        if !populated {
            match fs::remove_dir(leaf) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                other => return other,
            }
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        // The kernel raises POLLPRI whenever the file changes; after the last change only time helps.
        let wait = if populated { left_until(deadline) } else { left_until(deadline.min(now + RETRY)) };
        poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], wait)?;
    }
}

fn is_populated(events: &mut File) -> io::Result<bool> {
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "populated 1"))
}

fn left_until(deadline: Instant) -> PollTimeout {
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up: 0 would make the last millisecond a busy loop.
    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}
