//! How one `q` asks another to stop a run: a fifo in the run's directory, `control`, read by the run's owner.
//! A fifo needs no short path, wakes its reader without polling, and nobody else may open it (mode 0600).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use schemas::journal::StopSource;
use tokio::{net::unix::pipe, sync::mpsc};

use crate::{
    dispatcher::Stop,
    store::{
        disk,
        files::{Fault, fault},
        home::RunDir,
    },
};

const GRACEFUL: &[u8] = b"stop\n";
const AT_ONCE: &[u8] = b"kill\n";
/// Requests are one word; whatever else comes is passed over in pieces of this size.
const CHUNK: usize = 64;

/// The path of a run's fifo.
pub fn path(run: &RunDir) -> PathBuf {
    run.path().join("control")
}

/// Makes the fifo, and opens it before anybody can know of the run: what is asked from then on is heard as soon
/// as somebody listens.
pub fn open(path: &Path) -> Result<File, Fault> {
    match disk::make_fifo(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(fault("make fifo", path)(error));
        }
        Ok(()) | Err(_) => {}
    }
    // Open for writing, too: else every writer that goes away would look like the end.
    let both = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).clone();
    disk::open(path, &both).map_err(fault("open", path))
}

/// Hands what comes over the fifo to the dispatcher, for as long as somebody listens there.
pub fn serve(fifo: File, stops: mpsc::UnboundedSender<Stop>) -> io::Result<()> {
    let fifo = pipe::Receiver::from_file(fifo)?;
    tokio::task::spawn_local(async move {
        let mut line = Vec::new();
        while fifo.readable().await.is_ok() {
            let mut chunk = [0; CHUNK];
            let Ok(length) = fifo.try_read(&mut chunk) else { continue };
            for byte in &chunk[..length] {
                line.push(*byte);
                if *byte == b'\n' || line.len() > CHUNK {
                    let asked = match line.as_slice() {
                        GRACEFUL => Some(false),
                        AT_ONCE => Some(true),
                        _ => None,
                    };
                    line.clear();
                    let Some(now) = asked else { continue };
                    if stops.send(Stop { now, by: StopSource::Command }).is_err() {
                        return;
                    }
                }
            }
        }
    });
    Ok(())
}

/// Asks the owner of a run to stop it; `false`: nobody listens.
pub fn request(run: &RunDir, at_once: bool) -> io::Result<bool> {
    let opened = OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(path(run));
    let mut fifo = match opened {
        Ok(fifo) => fifo,
        // No reader (fifo(7)), or no fifo yet.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    fifo.write_all(if at_once { AT_ONCE } else { GRACEFUL })?;
    Ok(true)
}
