//! Limits of the process itself: setrlimit(2). They are inherited by all that it starts.

use std::io::{self, ErrorKind};

use ipc::limits::ProcessLimits;
use rlimit::{Resource, getrlimit, setrlimit};

/// Memory that cannot be given back when others need it, bytes: what the kernel gives to everybody since 5.16.
const LOCKED: u64 = 8 << 20;

/// Sets the limits; core files are never written, and little memory is locked.
pub(crate) fn apply(limits: &ProcessLimits) -> io::Result<()> {
    setrlimit(Resource::CORE, 0, 0)?;
    let (_, most) = getrlimit(Resource::MEMLOCK)?;
    let locked = LOCKED.min(most);
    setrlimit(Resource::MEMLOCK, locked, locked)?;
    if let Some(count) = limits.open_files {
        lower(Resource::NOFILE, count, count)?;
    }
    if let Some(size) = limits.file_size {
        lower(Resource::FSIZE, size.0, size.0)?;
    }
    if let Some(count) = limits.processes {
        lower(Resource::NPROC, count, count)?;
    }
    if let Some(seconds) = limits.cpu_seconds {
        // At the soft limit the kernel sends SIGXCPU, which the verdict knows; at the hard one SIGKILL.
        lower(Resource::CPU, seconds, seconds.saturating_add(1))?;
    }
    Ok(())
}

/// Sets a limit. Where only root may raise it so far, what the process was born with is tighter, and stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    match setrlimit(resource, soft, hard) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let (_, most) = getrlimit(resource)?;
            setrlimit(resource, soft.min(most), hard.min(most))
        }
        other => other,
    }
}
