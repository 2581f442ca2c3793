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

/// A request that is there for as long as this is: whoever owns the run, or comes to own it, hears it.
#[derive(Debug)]
pub struct Standing {
    _fifo: File,
}

/// Asks whoever owns the run to stop it. An owner that does not listen yet, as one that has just taken the run over,
/// finds the request when it does.
pub fn ask(run: &RunDir, at_once: bool) -> Result<Standing, Fault> {
    let path = path(run);
    let mut fifo = open(&path)?;
    match fifo.write_all(word(at_once)) {
        // So full of requests that one more says nothing new.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        written => written.map_err(fault("write", &path))?,
    }
    Ok(Standing { _fifo: fifo })
}

fn word(at_once: bool) -> &'static [u8] {
    if at_once { AT_ONCE } else { GRACEFUL }
}

/// Asks the owner of a run to stop it, and goes away; `false`: nobody listens.
pub fn request(run: &RunDir, at_once: bool) -> io::Result<bool> {
    let opened = OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(path(run));
    let mut fifo = match opened {
        Ok(fifo) => fifo,
        // No reader (fifo(7)), or no fifo yet.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    fifo.write_all(word(at_once))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{files, home::Home, names::RunId};

    /// What an owner hears who opens the fifo after all this was asked.
    #[track_caller]
    fn check(ask_first: &[bool], expected: &[bool]) {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().to_owned()).run(RunId::generate());
        files::ensure_dir(run.path()).unwrap();
        let _standing: Vec<_> = ask_first.iter().map(|at_once| ask(&run, *at_once).unwrap()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let heard = tokio::task::LocalSet::new().block_on(&runtime, async {
            let (sender, mut stops) = mpsc::unbounded_channel();
            serve(open(&path(&run)).unwrap(), sender).unwrap();
            let mut heard = Vec::new();
            while heard.len() < expected.len() {
                heard.push(stops.recv().await.unwrap().now);
            }
            heard
        });
        assert_eq!(heard, expected);
    }

    #[test]
    fn who_listens_later_hears_what_was_asked_before() {
        check(&[true], &[true]);
        check(&[false, true], &[false, true]);
    }

    #[test]
    fn whoever_does_not_stay_is_told_that_nobody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::at(dir.path().to_owned()).run(RunId::generate());
        files::ensure_dir(run.path()).unwrap();
        assert!(!request(&run, false).unwrap(), "there is no fifo yet");
        let owner = open(&path(&run)).unwrap();
        assert!(request(&run, false).unwrap());
        drop(owner);
        assert!(!request(&run, false).unwrap());
        // Full of requests: one more says nothing new.
        let standing = ask(&run, true).unwrap();
        for _ in 0..20_000 {
            drop(ask(&run, true).unwrap());
        }
        drop(standing);
    }
}
