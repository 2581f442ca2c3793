//! `skills validate`: every problem of every manifest, drawn or as JSON, as `validate` does for definitions.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use schemas::{
    exit_code::ExitCode,
    output::{SCHEMA_VERSION, validate::Validation},
    skill::{FILE_NAME, Manifest},
};
use workflow_engine::{
    diagnostic::{Diagnostic, Severity, codes},
    load,
};

use crate::{
    catalog::{self, list::What},
    cli::{
        output,
        validate::{described, drawn},
    },
    errors::{CommandError, Result},
    store::{files, home::Home},
    ui,
};

/// Check skills and show every problem at once, without running anything.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow skills validate skills/greet\n  \
    q workflow skills validate skills/*/skill.json --strict\n  \
    q workflow skills validate greet --json")]
pub(super) struct Arguments {
    /// Folders of skills, manifests, or names of skills.
    #[arg(value_name = "FOLDER|FILE|NAME", required = true)]
    skills: Vec<String>,
    /// A folder of skills that is searched first.
    #[arg(long, value_name = "DIR")]
    skills_dir: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let mut unread = None;
    let mut validation = Validation { schema_version: SCHEMA_VERSION, valid: true, files: Vec::new() };
    for named in &arguments.skills {
        let checked = match manifest_of(named, arguments, home).and_then(|path| check(path.as_deref(), named))
        {
            Ok(checked) => checked,
            Err(error) => {
                ui::say(&error.render());
                unread.get_or_insert(error.exit);
                continue;
            }
        };
        let worst = if arguments.strict { Severity::Warning } else { Severity::Error };
        validation.valid &= !checked.diagnostics.iter().any(|problem| problem.severity <= worst);
        if arguments.json {
            validation.files.push(described(checked.file, &checked.text, &checked.diagnostics));
        } else {
            output::text(&drawn(&checked.file, &checked.text, &checked.diagnostics))?;
        }
    }
    validation.valid &= unread.is_none();
    if arguments.json && !validation.files.is_empty() {
        output::json(&validation)?;
    }
    let invalid = if validation.valid { ExitCode::Done } else { ExitCode::Invalid };
    Ok(unread.unwrap_or(invalid))
}

/// A manifest after the check.
struct Checked {
    file: String,
    text: Vec<u8>,
    diagnostics: Vec<Diagnostic>,
}

/// The manifest that the user means; `None` for a built-in skill, which has none.
fn manifest_of(named: &str, arguments: &Arguments, home: &Home) -> Result<Option<PathBuf>> {
    let path = Path::new(named);
    if path.is_file() {
        return Ok(Some(path.to_owned()));
    }
    if path.is_dir() {
        let manifest = path.join(FILE_NAME);
        if manifest.is_file() {
            return Ok(Some(manifest));
        }
        let message = format!("{} has no {FILE_NAME}", output::shown(path));
        return Err(CommandError::new(ExitCode::NotFound, message)
            .hint("a folder with only a SKILL.md is a text for models and cannot be called"));
    }
    let all = super::all(home, arguments.skills_dir.as_deref())?;
    // One that is broken is what this command is for.
    let broken = all.other(named).and_then(|other| other.path.clone());
    if let Some(path) = broken.filter(|path| all.find(named).is_none() && path.ends_with(FILE_NAME)) {
        return Ok(Some(path));
    }
    match &super::find(&all, named)?.what {
        What::BuiltIn(_) => Ok(None),
        What::External { path, .. } => Ok(Some(path.clone())),
    }
}

fn check(path: Option<&Path>, named: &str) -> Result<Checked> {
    let Some(path) = path else {
        return Ok(Checked { file: named.to_owned(), text: Vec::new(), diagnostics: Vec::new() });
    };
    let text = files::read_capped(path, catalog::MANIFEST_MAX)
        .map_err(|fault| CommandError::from_error(ExitCode::Invalid, &fault))?;
    let (manifest, mut diagnostics) = catalog::check_file(&text);
    let folder = folder_of(path)
        .map_err(|error| CommandError::new(ExitCode::Invalid, format!("{}: {error}", output::shown(path))))?;
    if let Some(manifest) = manifest {
        diagnostics.extend(beyond_the_text(&manifest, &text, &folder));
    }
    Ok(Checked { file: output::shown(path), text, diagnostics })
}

fn folder_of(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).canonicalize()
}

/// What only the folder tells, or what no skill can be made of.
fn beyond_the_text(manifest: &Manifest, text: &[u8], folder: &Path) -> Vec<Diagnostic> {
    let Ok(file) = load::load_skill(text) else { return Vec::new() };
    let mut found = Vec::new();
    let mut report = |code, pointer: &str, message: String, hint: &str| {
        let mut problem = Diagnostic::new(code, file.place_of(pointer), message);
        problem.hint(hint);
        pointer.clone_into(&mut problem.pointer);
        found.push(problem);
    };
    let called = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if manifest.name != called {
        report(
            codes::OTHER_NAME,
            "/name",
            format!("steps call this skill `{called}`"),
            "the name of its folder is what counts: give both the same name",
        );
    }
    if let Some(why) = manifest.command.first().and_then(|program| not_executable(program, folder)) {
        report(
            codes::BAD_PROGRAM,
            "/command/0",
            why,
            "a program with a slash starts at the skill's folder, one without is looked up in PATH",
        );
    }
    if let Err(why) = catalog::entry(manifest.clone(), folder) {
        report(codes::BAD_VALUE, "", why, "a step that calls the skill is refused");
    }
    found.sort_by_key(|problem| problem.span.start);
    found
}

/// Why a program cannot be executed, as far as that can be seen.
fn not_executable(program: &str, folder: &Path) -> Option<String> {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let shown = ui::text::escape(program);
    if !program.contains('/') {
        let places = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&places).any(|place| is_program(&place.join(program)));
        return (!found).then(|| format!("there is no program `{shown}` in PATH"));
    }
    let path = folder.join(program);
    match path.metadata() {
        Err(error) => Some(format!("`{shown}` cannot be executed: {error}")),
        Ok(file) if !file.is_file() => Some(format!("`{shown}` is no file")),
        Ok(_) => (!is_program(&path)).then(|| format!("`{shown}` is not executable")),
    }
}
