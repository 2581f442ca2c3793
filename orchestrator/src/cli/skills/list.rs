//! `skills list`: what can be called, and what stands among it and cannot.

use std::path::{Path, PathBuf};

use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        skills::{ListedSkill, SkillList, SkillWarning},
    },
};

use crate::{
    catalog::list::{All, Callable, What},
    cli::output,
    errors::Result,
    store::home::Home,
    ui::{
        self,
        table::{Cell, Table},
        terminal,
    },
};

/// List the skills that a definition in the working directory could call.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills list\n  \
    q workflow skills list --skills-dir ./more-skills --json")]
pub(super) struct Arguments {
    /// A folder of skills that is searched first.
    #[arg(long, value_name = "DIR")]
    skills_dir: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let list = describe(super::all(home, arguments.skills_dir.as_deref())?);
    if arguments.json {
        output::json(&list)?;
        return Ok(ExitCode::Done);
    }
    for warning in &list.warnings {
        let message = ui::text::escape(&warning.message);
        ui::say(&format!("warning: the skill `{}`: {message}\n", warning.name));
    }
    output::text(&table(&list, terminal::width()))?;
    Ok(ExitCode::Done)
}

fn describe(all: All) -> SkillList {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let warnings = all.others.into_iter().map(|other| SkillWarning {
        name: other.name,
        source: other.source,
        path: other.path.map(text),
        reason: other.reason,
        message: other.message,
    });
    SkillList {
        schema_version: SCHEMA_VERSION,
        skills: all.callable.into_iter().map(listed).collect(),
        warnings: warnings.collect(),
    }
}

fn listed(skill: Callable) -> ListedSkill {
    let (version, description) = (super::show::version(&skill.what), super::show::description(&skill.what));
    let path = match skill.what {
        What::BuiltIn(_) => None,
        What::External { path, .. } => Some(path.to_string_lossy().into_owned()),
    };
    ListedSkill { name: skill.name, version, description, source: skill.source, path }
}

fn table(list: &SkillList, columns: usize) -> String {
    let mut table = Table::new(vec!["SKILL", "VERSION", "FROM", "DESCRIPTION"], 3);
    for skill in &list.skills {
        let folder = skill.path.as_deref().and_then(|path| Path::new(path).parent());
        let from = folder.map_or_else(|| skill.source.to_string(), output::shown);
        let description = skill.description.as_deref().unwrap_or_default();
        // A column is a column: a long text is cut before it is measured.
        let beginning: String =
            description.lines().next().unwrap_or_default().chars().take(columns).collect();
        let version = skill.version.as_deref().unwrap_or("-");
        table.row(vec![
            Cell::from(&skill.name),
            Cell::from(version),
            Cell::from(from),
            Cell::from(beginning),
        ]);
    }
    table.render(columns)
}
