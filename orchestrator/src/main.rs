//! The program `q`. One installed file plays two parts: the command line with the engine, and, by a hidden
//! first argument that is handled before anything else, the launcher.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == orchestrator::launcher::ARGUMENT) {
        return worker::launcher::main();
    }
    ExitCode::from(orchestrator::cli::main().code())
}
