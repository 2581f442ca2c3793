//! [`Budget`]: what one evaluation may use. Expressions are untrusted: without it a line of text could hold the
//! engine for hours.

use super::Error;

/// Steps of one evaluation: about 50 ms at the worst.
const MAX_STEPS: u64 = 400_000;
/// Bytes that one evaluation may make, what it dropped again included. The result is copied once more.
const MAX_BYTES: u64 = 8 << 20;
/// Bytes of text that are read in the time of one step.
const BYTES_A_STEP: usize = 128;

/// What is left for one evaluation.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    bytes: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { steps: MAX_STEPS, bytes: MAX_BYTES }
    }

    /// Takes a number of steps.
    pub(super) fn steps(&mut self, steps: usize) -> Result<(), Error> {
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Error::limit(format!("the expression takes more than {MAX_STEPS} steps"))),
        }
    }

    /// Takes the time to read a text.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Error> {
        self.steps(bytes / BYTES_A_STEP)
    }

    /// Takes memory.
    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), Error> {
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                self.read(bytes)
            }
            None => Err(Error::limit(format!("the expression makes more than {} MiB", MAX_BYTES >> 20))),
        }
    }
}
