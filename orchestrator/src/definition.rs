//! From what the user named (a file, a stored name, `-`) to a checked plan.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use schemas::{exit_code::ExitCode, json::Json};
use workflow_engine::{
    check::check_with,
    diagnostic::{Diagnostic, Severity},
    load::{self, Syntax},
    plan::Plan,
};

use crate::{
    agents, catalog,
    errors::{CommandError, Result},
    library::{self, Gathered},
    store::{definitions, home::Home, names::SafeName},
};

/// The text of a definition and where it came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the user named it, for messages.
    pub name: String,
    /// Absolute path; `None` for standard input.
    pub path: Option<PathBuf>,
    /// How it is written.
    pub syntax: Syntax,
    /// The bytes, at most one more than the cap.
    pub text: Vec<u8>,
}

/// A definition after the check.
#[derive(Debug)]
pub struct Checked {
    /// The plan; `None` when there is an error.
    pub plan: Option<Plan>,
    /// Every problem, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// External skills that the steps call: name to absolute path of the manifest.
    pub skills: BTreeMap<String, String>,
    /// Copies of the agents that it names, as a run is frozen with them.
    pub agents: BTreeMap<SafeName, Vec<u8>>,
    /// What it calls.
    pub called: Gathered,
    /// Problems of the files that it calls, by their index there.
    pub called_problems: BTreeMap<usize, Vec<Diagnostic>>,
    /// What the text says, as JSON, where it is not JSON itself.
    pub json: Option<Json>,
}

impl Checked {
    /// Whether there is an error, as opposed to warnings.
    pub fn has_errors(&self) -> bool {
        self.problems().any(|problem| problem.severity == Severity::Error)
    }

    /// What is wrong with it and with what it calls.
    pub fn problems(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().chain(self.called_problems.values().flatten())
    }

    /// The files that it calls and with which something is wrong.
    pub fn called_problems(&self) -> impl Iterator<Item = (&Source, &[Diagnostic])> {
        let problems = self.called_problems.iter().filter(|(_, problems)| !problems.is_empty());
        problems.filter_map(|(index, problems)| Some((self.called.sources.get(*index)?, &problems[..])))
    }
}

/// Reads what the user named: an existing file, `-`, or the name of a stored definition.
pub fn read(name: &str, home: &Home) -> Result<Source> {
    if name == "-" {
        let text = read_capped(io::stdin().lock()).map_err(|error| unreadable(name, &error))?;
        let syntax = syntax_of_stdin(&text);
        return Ok(Source { name: "<stdin>".to_owned(), path: None, syntax, text });
    }
    let given = Path::new(name);
    let stored = name.parse::<SafeName>().ok().map(|name| home.definition(&name));
    let path = if given.exists() {
        given.to_owned()
    } else {
        stored.filter(|path| path.exists()).ok_or_else(|| missing(name, home))?
    };
    if path.is_dir() {
        return Err(CommandError::new(
            ExitCode::Invalid,
            format!("{name} is a directory, not a workflow file"),
        )
        .hint("name the workflow file inside it"));
    }
    let text = File::open(&path).and_then(read_capped).map_err(|error| unreadable(name, &error))?;
    let syntax = syntax(&path);
    let path = std::path::absolute(&path).map_err(|error| unreadable(name, &error))?;
    Ok(Source { name: name.to_owned(), path: Some(path), syntax, text })
}

/// The syntax of a file, by its extension.
pub fn syntax(path: &Path) -> Syntax {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonc") => Syntax::Jsonc,
        Some("yaml" | "yml") => Syntax::Yaml,
        Some(_) | None => Syntax::Json,
    }
}

/// The syntax of a text without a name: JSON, unless its first line can only be the beginning of a mapping in YAML.
fn syntax_of_stdin(text: &[u8]) -> Syntax {
    let text = load::display_text(text);
    let first = text.lines().map(str::trim_end).find(|line| !line.is_empty() && !line.starts_with('#'));
    let is_yaml = first.is_some_and(|line| {
        let key = line.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let is_key = key.len() < line.len() && (key == ":" || key.starts_with(": "));
        is_key || line == "---" || line.starts_with("%YAML ")
    });
    if is_yaml { Syntax::Yaml } else { Syntax::Json }
}

/// Checks a definition with the skills that can be found from where it stands.
pub fn check_source(source: &Source, home: &Home, skills_dir: Option<&Path>) -> Checked {
    let definition = match load::load(&source.text, source.syntax) {
        Ok(definition) => definition,
        Err(diagnostics) => {
            return Checked {
                plan: None,
                diagnostics,
                skills: BTreeMap::new(),
                agents: BTreeMap::new(),
                called: Gathered::default(),
                called_problems: BTreeMap::new(),
                json: None,
            };
        }
    };
    let beside = source.path.as_deref().and_then(Path::parent);
    let found = catalog::discover(&definition, beside, home, skills_dir);
    let called = library::gather(&definition, source, home, skills_dir);
    let checked = check_with(&definition, &found.catalog, &called.library);
    let json = match source.syntax {
        Syntax::Json => None,
        Syntax::Jsonc | Syntax::Yaml => checked.plan.is_some().then(|| definition.to_json()),
    };
    Checked {
        plan: checked.plan,
        diagnostics: checked.diagnostics,
        skills: found.manifests,
        agents: agents::copies(&definition.agents(), &found.catalog.agents),
        called,
        called_problems: checked.library,
        json,
    }
}

/// A file over the cap is read to one byte beyond it, so that the loader refuses it with its own words.
fn read_capped(input: impl io::Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    input.take(load::MAX_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> CommandError {
    CommandError::new(ExitCode::Invalid, format!("{name} could not be read: {error}"))
}

fn missing(name: &str, home: &Home) -> CommandError {
    let error = CommandError::new(
        ExitCode::NotFound,
        format!(
            "{name}: no such file, and no stored definition of that name in {}",
            home.definitions().display()
        ),
    );
    let stored = definitions::list(home).unwrap_or_default();
    match load::nearest(name, stored.iter().map(SafeName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`q workflow list --definitions` shows the stored ones"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_the_syntax() {
        let check = |path: &str, expected: Syntax| assert_eq!(syntax(Path::new(path)), expected, "{path}");
        check("a.json", Syntax::Json);
        check("a.jsonc", Syntax::Jsonc);
        check("a.yaml", Syntax::Yaml);
        check("dir.json/a.yml", Syntax::Yaml);
        check("a", Syntax::Json);
    }

    #[test]
    fn a_text_without_a_name_is_json_unless_it_cannot_be() {
        let check =
            |text: &str, expected: Syntax| assert_eq!(syntax_of_stdin(text.as_bytes()), expected, "{text:?}");
        for text in
            ["", "{}", " {\"a: b\": 1}", "[a: b]", "not json", "// name: t", "\"name\": 1", ": x", "a:b"]
        {
            check(text, Syntax::Json);
        }
        for text in [
            "name: t",
            "# a comment\n\nname: t\n",
            "---\nname: t",
            "%YAML 1.2\n---\n",
            "steps:\r\n- a",
            "\u{feff}name: t",
        ] {
            check(text, Syntax::Yaml);
        }
    }
}
