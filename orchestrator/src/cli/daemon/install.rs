//! `daemon install`: a unit for the user's systemd.

use std::{io::Write as _, path::PathBuf};

use schemas::exit_code::ExitCode;

use crate::{
    cli::output::{self, engine_error, shown},
    errors::{CommandError, Result},
    store::{
        files::{self, Durability},
        home::Home,
    },
    ui,
};

const NAME: &str = "q-workflow.service";

/// Write a systemd user unit for the daemon.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  q workflow daemon install\n  q workflow daemon install --print")]
pub(super) struct Arguments {
    /// Print the unit instead.
    #[arg(long)]
    print: bool,
    /// Replace a unit that is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let program = std::env::current_exe().map_err(|error| engine_error(&error))?;
    let unit = unit(&program.to_string_lossy(), &home.path().to_string_lossy());
    if arguments.print {
        output::text(&unit)?;
        return Ok(ExitCode::Done);
    }
    let folder = folder()?;
    let path = folder.join(NAME);
    if path.exists() && !arguments.force {
        return Err(CommandError::new(ExitCode::Failed, format!("{} is there already", shown(&path)))
            .hint("--force replaces it"));
    }
    files::ensure_dir(&folder).map_err(|fault| engine_error(&fault))?;
    files::replace(&path, Durability::Durable, |file| file.write_all(unit.as_bytes()))
        .map_err(|fault| engine_error(&fault))?;
    output::text(&format!("{}\n", shown(&path)))?;
    ui::say(&format!(
        "hint: systemctl --user daemon-reload && systemctl --user enable --now {NAME}\n\
         hint: loginctl enable-linger lets it run while you are not logged in\n"
    ));
    Ok(ExitCode::Done)
}

/// Where the units of a user lie (systemd.unit(5)).
fn folder() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    let config = config.ok_or_else(|| {
        CommandError::new(ExitCode::Failed, "neither $XDG_CONFIG_HOME nor $HOME is set")
            .hint("--print prints the unit")
    })?;
    Ok(config.join("systemd/user"))
}

/// `Delegate=yes`: the daemon's runs make cgroups below its own. Of a stop only the daemon hears at first: it
/// gives its runs their time.
fn unit(program: &str, home: &str) -> String {
    format!(
        "[Unit]\n\
         Description=Scheduled workflows of q\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={} workflow --home {} daemon run\n\
         Delegate=yes\n\
         KillMode=mixed\n\
         TimeoutStopSec=120\n\
         Restart=on-failure\n\
         RestartPreventExitStatus=1 2 3\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        quoted(program),
        quoted(home)
    )
}

/// One word of a command line in a unit (systemd.service(5), "Quoting").
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_what_the_daemon_needs() {
        let unit = unit("/usr/bin/q", "/home/a b/50%");
        let line = "ExecStart=\"/usr/bin/q\" workflow --home \"/home/a b/50%%\" daemon run\n";
        assert!(unit.contains(line), "{unit}");
        assert!(unit.contains("\nDelegate=yes\n") && unit.contains("\nType=notify\n"), "{unit}");
        assert_eq!(quoted(r#"a"b\$"#), r#""a\"b\\$$""#);
    }
}
