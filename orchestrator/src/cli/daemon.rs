//! `daemon`: what fires schedules, in the foreground or in the background.

mod background;
mod install;
mod status;

use std::time::Duration;

use crate::{daemon::serve, errors::Result, store::home::Home};

/// Fire schedules: run the daemon, look at it, end it.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow daemon start\n  \
    q workflow daemon status\n  \
    q workflow daemon stop")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(RunArguments),
    Start(background::Start),
    Stop(background::Stop),
    Status(status::Arguments),
    Install(install::Arguments),
}

/// Run the daemon in the foreground.
///
/// SIGTERM and Ctrl-C: no new runs; those that run have the time of --drain, then they are stopped. A second
/// signal stops them at once.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Example:\n  q workflow daemon run --drain 5m")]
struct RunArguments {
    /// How long runs may go on when the daemon ends.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = super::run::duration)]
    drain: Duration,
    /// Let go of the terminal when at work.
    #[arg(long, hide = true)]
    background: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    match &arguments.command {
        Command::Run(RunArguments { drain, background: true }) => {
            serve::serve(home, *drain, || background::let_go(home))
        }
        Command::Run(RunArguments { drain, background: false }) => serve::serve(home, *drain, || Ok(())),
        Command::Start(arguments) => background::start(arguments, home),
        Command::Stop(arguments) => background::stop(arguments, home),
        Command::Status(arguments) => status::run(arguments, home),
        Command::Install(arguments) => install::run(arguments, home),
    }
}
