//! A secret that a program prints. It gets half a minute, and is ended after that.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::VALUE_MAX;

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the program prints; else why there is nothing. What it prints itself is never part of the reason.
pub(super) fn output(argv: &[String]) -> Result<Vec<u8>, String> {
    let (program, arguments) = argv.split_first().ok_or("its command is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{program}` could not be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else { return Err(format!("`{program}` has no output")) };
    let (sender, read) = mpsc::channel();
    // On a thread of its own, so that a program that goes on for ever can be ended.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let result = stdout.take(VALUE_MAX + 1).read_to_end(&mut bytes).map(|_| bytes);
        let _too_late = sender.send(result);
    });
    let outcome = read.recv_timeout(PATIENCE);
    if !matches!(&outcome, Ok(Ok(bytes)) if bytes.len() as u64 <= VALUE_MAX) {
        // It has ended, or it is to.
        let _ended = child.kill();
    }
    let status = child.wait().map_err(|error| format!("`{program}` could not be waited for: {error}"))?;
    match outcome {
        Ok(Ok(bytes)) if bytes.len() as u64 > VALUE_MAX => {
            Err(format!("`{program}` printed more than {VALUE_MAX} bytes"))
        }
        Ok(Ok(bytes)) if status.success() => Ok(bytes),
        Ok(Ok(_)) => Err(format!("`{program}` failed: {status}")),
        Ok(Err(error)) => Err(format!("the output of `{program}` could not be read: {error}")),
        Err(_) => Err(format!("`{program}` took longer than {} seconds", PATIENCE.as_secs())),
    }
}
