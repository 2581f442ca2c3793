//! `report`: one page about one run, whole in itself: it loads nothing, and is readable on a phone, by day and
//! by night.

mod page;

use std::{io::Write as _, path::PathBuf, process::Command};

use schemas::exit_code::ExitCode;

use super::output::{self, shown};
use crate::{
    errors::{CommandError, Result},
    fold, inputs,
    store::{
        files::{self, Durability},
        home::Home,
    },
    ui,
};

/// Write a page about a run: HTML that loads nothing.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow report @last > run.html\n  \
    q workflow report 01997b1c -o run.html --open")]
pub(super) struct Arguments {
    /// Id of a run, or a unique beginning of one; `@last` is the newest.
    #[arg(value_name = "ID", default_value = "@last")]
    id: String,
    /// Write it to a file instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Open it in a browser.
    #[arg(long, requires = "output")]
    open: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let dir = super::find_run(home, &arguments.id)?;
    let view = fold::current_view(&dir)?;
    let graph = super::graph::of(&fold::folded(&dir, inputs::stand_ins)?.plan, Some(&view));
    let page = page::page(&view, &graph, &dir);
    let Some(path) = &arguments.output else {
        output::text(&page)?;
        return Ok(ExitCode::Done);
    };
    files::replace(path, Durability::Derived, |file| file.write_all(page.as_bytes())).map_err(|fault| {
        let why = fault.source;
        CommandError::new(ExitCode::Engine, format!("{} cannot be written: {why}", shown(path)))
    })?;
    ui::say(&format!("wrote {}\n", shown(path)));
    if arguments.open {
        let opened = Command::new("xdg-open").arg(path).status();
        if !opened.is_ok_and(|status| status.success()) {
            return Err(CommandError::new(ExitCode::Failed, "no browser could be opened: xdg-open failed")
                .hint(format!("open {} yourself", shown(path))));
        }
    }
    Ok(ExitCode::Done)
}
