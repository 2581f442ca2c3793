//! `skills new`: a folder with a manifest and a program that works as it stands.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use schemas::{exit_code::ExitCode, skill::FILE_NAME};

use crate::{
    cli::output,
    errors::{CommandError, Result},
    store::names::SafeName,
    ui,
};

/// Make the folder of a new skill, with a manifest and a program that works as it stands.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills new greet\n  \
    q workflow skills new greet --language sh --in ~/.agents/skills")]
pub(super) struct Arguments {
    /// Name of the skill, and of its folder.
    #[arg(value_name = "NAME")]
    name: SafeName,
    /// What its program is written in.
    #[arg(long, value_enum, default_value_t = Language::Python)]
    language: Language,
    /// The folder in which its folder is made.
    #[arg(long = "in", value_name = "DIR", default_value = "skills")]
    folder: PathBuf,
}

/// Languages that there is a beginning for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Python, with the protocol json-stdio@1.
    Python,
    /// POSIX shell, with the protocol text.
    Sh,
}

/// What is written.
struct Skeleton {
    manifest: &'static str,
    program: &'static str,
    file: &'static str,
}

impl Language {
    fn skeleton(self) -> Skeleton {
        match self {
            Self::Python => Skeleton {
                manifest: include_str!("skeleton/python.json"),
                program: include_str!("skeleton/run.py"),
                file: "run.py",
            },
            Self::Sh => Skeleton {
                manifest: include_str!("skeleton/sh.json"),
                program: include_str!("skeleton/run.sh"),
                file: "run.sh",
            },
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let name = arguments.name.as_str();
    let folder = arguments.folder.join(name);
    let skeleton = arguments.language.skeleton();
    let named = |text: &str| text.replace("NAME", name);
    let failed = |error: io::Error| {
        let exit = ExitCode::Failed;
        CommandError::new(exit, format!("{} could not be made: {error}", output::shown(&folder)))
    };
    fs::create_dir_all(&arguments.folder).map_err(failed)?;
    // Whoever makes the folder owns what is in it: nothing that is there is ever written over.
    fs::create_dir(&folder).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            let message = format!("{} exists already", output::shown(&folder));
            CommandError::new(ExitCode::Failed, message)
                .hint("choose another name, or another folder with --in")
        } else {
            failed(error)
        }
    })?;
    write(&folder.join(skeleton.file), &named(skeleton.program), 0o777).map_err(failed)?;
    write(&folder.join(FILE_NAME), &named(skeleton.manifest), 0o666).map_err(failed)?;
    output::text(&format!("{}\n", output::shown(&folder)))?;
    let shown = output::shown(&folder);
    ui::say(&format!("try it: q workflow skills run {shown} --input '{{\"name\":\"Ann\"}}'\n"));
    Ok(ExitCode::Done)
}

/// A new file of the user's, under the user's umask.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}
