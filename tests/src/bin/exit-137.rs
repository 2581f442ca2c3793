//! Ends with 137, the code by which a shell says that SIGKILL ended a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(137)
}
