//! Looking for agents: the folders in which their files may stand, first wins; built-in ones come last. Inline
//! agents are part of the definition, and come before all of these.

mod servers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use schemas::agent::{AgentFile, EXTENSION, named_skill};
use serde::{Deserialize, Serialize};
use workflow_engine::{
    check::{AgentEntry, Agents, read_agent},
    diagnostic::{Diagnostic, LineIndex, Severity},
    load::{self, Syntax},
    plan::{AgentTarget, Plan},
};

use crate::store::{
    files,
    home::{Home, RunDir},
    names::SafeName,
    run::PROMPTS_MAX,
};

/// Longest file that is read.
const FILE_MAX: u64 = 1024 * 1024;
/// What stands for the place of built-in agents.
pub const BUILT_IN: &str = "built in";

/// The built-in agents by name.
const BUILTINS: &[(&str, &str)] = &[("code-analyzer", include_str!("agents/code-analyzer.json"))];

/// The file of an agent, read.
#[derive(Debug)]
pub struct Found {
    /// Where it stands; `None`: it is built in.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: Vec<u8>,
    /// What it says; `None` when there is an error.
    pub file: Option<AgentFile>,
    /// Every problem of it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Found {
    /// The first error, with its place, in one line.
    fn error(&self) -> Option<String> {
        let error = self.diagnostics.iter().find(|problem| problem.severity == Severity::Error)?;
        let text = load::display_text(&self.text);
        let at = LineIndex::new(&text).position(error.span.start);
        let path = self.path.as_deref().unwrap_or(Path::new(BUILT_IN)).display();
        Some(format!("{path}:{}:{}: {}", at.line, at.column, error.message))
    }
}

/// Looks for the named agents. `beside` is the folder of the definition.
pub fn discover(names: &[&str], beside: Option<&Path>, home: &Home) -> Agents {
    let places = places(beside, home);
    let mut agents = Agents::default();
    if names.is_empty() {
        return agents;
    }
    agents.searched = places.iter().map(|place| place.display().to_string()).collect();
    agents.searched.push(BUILT_IN.to_owned());
    for name in names.iter().filter_map(|name| name.parse::<SafeName>().ok()) {
        take(&name, &places, &mut agents);
    }
    if names.iter().any(|name| !agents.known.contains_key(*name)) {
        // The names of all others help to say what was meant.
        for name in all_names(&places) {
            if !agents.known.contains_key(name.as_str()) && !agents.broken.contains_key(name.as_str()) {
                take(&name, &places, &mut agents);
            }
        }
    }
    agents
}

/// Names of the skills that are tools of these agents.
pub fn skill_tools(agents: &Agents) -> impl Iterator<Item = String> + '_ {
    let lists = agents.known.values().flat_map(|entry| {
        let own = entry.file.guardrails.as_ref().and_then(|guardrails| guardrails.allowed_tools.as_ref());
        own.into_iter().chain(&entry.file.allowed_tools)
    });
    lists.flatten().filter_map(|tool| named_skill(tool).map(str::to_owned))
}

/// What a run keeps of an agent.
#[derive(Serialize, Deserialize)]
struct Copy {
    /// Where paths in it start.
    folder: Option<String>,
    /// What its file says.
    agent: AgentFile,
}

/// The copies of these agents that a run is frozen with.
pub fn copies(names: &[&str], agents: &Agents) -> BTreeMap<SafeName, Vec<u8>> {
    let known = names.iter().filter_map(|name| Some((name.parse().ok()?, agents.known.get(*name)?)));
    let copy = |entry: &AgentEntry| {
        let copy = Copy { folder: entry.folder.clone(), agent: (*entry.file).clone() };
        serde_json::to_vec(&copy).ok()
    };
    known.filter_map(|(name, entry)| Some((name, copy(entry)?))).collect()
}

/// The agents of a run that exists, from the copies in the folder that its definition was frozen in. One without a
/// copy that can be read is stood in for by one whose prompt is missing: what is over needs no more than the name,
/// and it starts nothing.
pub fn frozen(names: &[&str], folder: &Path) -> Agents {
    let entry = |name: &str| {
        let path = folder.join(format!("agents/{name}.json"));
        let copy = files::read_capped(&path, FILE_MAX).ok();
        let copy = copy.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_else(|| Copy {
            folder: None,
            agent: AgentFile {
                prompt: Some(format!("{PROMPT_FILE}{}", path.display())),
                ..AgentFile::default()
            },
        });
        AgentEntry { file: Arc::new(copy.agent), folder: copy.folder }
    };
    let known = names.iter().map(|name| ((*name).to_owned(), entry(name))).collect();
    Agents { known, ..Agents::default() }
}

/// How a prompt begins that stands in a file.
const PROMPT_FILE: &str = "file://";
/// Longest file of a prompt.
const PROMPT_MAX: u64 = 1024 * 1024;

/// The file in which the prompt of an agent stands; `None`: it stands in the agent. `usual` is where paths start in
/// an agent of the definition itself.
pub fn prompt_file(agent: &AgentTarget, usual: &Path) -> Option<PathBuf> {
    let path = agent.file.prompt.as_deref()?.strip_prefix(PROMPT_FILE)?;
    Some(agent.folder.as_deref().map_or(usual, Path::new).join(path))
}

/// The command of an agent that is a program. One that is named by a relative path starts at the folder of the agent's
/// file; `usual` is where paths start in an agent of the definition itself.
pub fn in_folder(mut command: Vec<String>, agent: &AgentTarget, usual: &Path) -> Vec<String> {
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        let folder = agent.folder.as_deref().map_or(usual, Path::new);
        *program = folder.join(&*program).to_string_lossy().into_owned();
    }
    command
}

/// The files of prompts that the agents of a plan name, as the run is frozen with them; `None`: there are none. One
/// that cannot be read is not among them: the attempt says so.
pub fn prompts(plan: &Plan, usual: &Path) -> Option<Vec<u8>> {
    let agents = plan.steps.iter().filter_map(|step| step.kind.skill()?.agent());
    let paths: BTreeSet<PathBuf> = agents.filter_map(|agent| prompt_file(agent, usual)).collect();
    let read = |path: PathBuf| Some((path.to_string_lossy().into_owned(), prompt_at(&path).ok()?));
    let texts: BTreeMap<String, String> = paths.into_iter().filter_map(read).collect();
    if texts.is_empty() { None } else { serde_json::to_vec(&texts).ok() }
}

/// The text of a file of a prompt: as the run was frozen with it.
pub fn frozen_prompt(run: &RunDir, path: &Path) -> Result<String, files::Fault> {
    let frozen = files::read_capped(&run.prompts(), PROMPTS_MAX).ok();
    let mut texts: BTreeMap<String, String> =
        frozen.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    texts.remove(&*path.to_string_lossy()).map_or_else(|| prompt_at(path), Ok)
}

fn prompt_at(path: &Path) -> Result<String, files::Fault> {
    let bytes = files::read_capped(path, PROMPT_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The folders in which the files of agents may stand, in order.
pub fn places(beside: Option<&Path>, home: &Home) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = beside.map(|folder| folder.join("agents")).into_iter().collect();
    let here = std::env::current_dir().unwrap_or_default();
    places.push(here.join(".amazonq/cli-agents"));
    places.push(here.join(".kiro/agents"));
    places.push(home.agents());
    if let Some(user) = std::env::var_os("HOME").map(PathBuf::from) {
        places.push(user.join(".aws/amazonq/cli-agents"));
        places.push(user.join(".kiro/agents"));
    }
    places
}

/// The names of all agents that there are, in order.
pub fn all_names(places: &[PathBuf]) -> Vec<SafeName> {
    let mut names: BTreeMap<String, SafeName> = BTreeMap::new();
    let mut add = |name: &str| {
        if let Ok(safe) = name.parse::<SafeName>() {
            names.insert(name.to_owned(), safe);
        }
    };
    for (name, _) in BUILTINS {
        add(name);
    }
    for place in places {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
            {
                add(stem);
            }
        }
    }
    names.into_values().collect()
}

/// Where an agent of that name stands: the first place counts, the others are hidden by it.
pub fn standing(name: &SafeName, places: &[PathBuf]) -> Vec<PathBuf> {
    let file = |place: &PathBuf| place.join(format!("{name}.{EXTENSION}"));
    let mut found: Vec<PathBuf> = places.iter().map(file).filter(|path| path.is_file()).collect();
    found.dedup();
    found
}

/// The agent of that name as it is taken; `None`: there is none.
pub fn find(name: &SafeName, places: &[PathBuf]) -> Option<Found> {
    if let Some(path) = standing(name, places).into_iter().next() {
        return Some(read(path));
    }
    let (_, text) = BUILTINS.iter().find(|(known, _)| *known == name.as_str())?;
    Some(judged(None, text.as_bytes().to_vec()))
}

/// Reads the file of an agent.
pub fn read(path: PathBuf) -> Found {
    match files::read_capped(&path, FILE_MAX) {
        Ok(text) => judged(Some(path), text),
        Err(fault) => {
            let code = workflow_engine::diagnostic::codes::BAD_AGENT;
            let diagnostics = vec![Diagnostic::new(code, 0..0, fault.to_string())];
            Found { path: Some(path), text: Vec::new(), file: None, diagnostics }
        }
    }
}

fn judged(path: Option<PathBuf>, text: Vec<u8>) -> Found {
    let (file, diagnostics) = match load::load_agent(&text, Syntax::Json) {
        Ok(definition) => read_agent(&definition),
        Err(diagnostics) => (None, diagnostics),
    };
    Found { path, text, file, diagnostics }
}

fn take(name: &SafeName, places: &[PathBuf], agents: &mut Agents) {
    let standing = standing(name, places);
    let is_builtin = BUILTINS.iter().any(|(known, _)| *known == name.as_str());
    match standing.as_slice() {
        [first, second, ..] => {
            let which = format!("{} is taken, and hides {}", first.display(), second.display());
            agents.hidden.insert(name.to_string(), which);
        }
        [first] if is_builtin => {
            let which = format!("{} is taken, and hides the built-in one", first.display());
            agents.hidden.insert(name.to_string(), which);
        }
        [_] | [] => {}
    }
    let Some(found) = find(name, places) else { return };
    let error = found.error();
    let file = found.file.map(|mut file| {
        let here = std::env::current_dir().unwrap_or_default();
        let user = std::env::var_os("HOME").map(PathBuf::from);
        servers::add(&mut file, &here, user.as_deref()).map(|()| file)
    });
    match (file, error) {
        (Some(Ok(file)), None) => {
            let folder = found.path.as_deref().and_then(Path::parent);
            let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
            agents.known.insert(name.to_string(), AgentEntry { file: Arc::new(file), folder });
        }
        (file, error) => {
            let why = error.or(file.and_then(Result::err)).unwrap_or_default();
            agents.broken.insert(name.to_string(), why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_agents_are_right() {
        for (name, text) in BUILTINS {
            let found = judged(None, text.as_bytes().to_vec());
            assert!(found.diagnostics.is_empty(), "{name}: {:?}", found.diagnostics);
            assert_eq!(found.file.and_then(|file| file.name).as_deref(), Some(*name));
        }
    }

    #[test]
    fn a_relative_program_starts_at_the_folder_of_its_agent() {
        #[track_caller]
        fn check(program: &str, folder: Option<&str>, expected: &str) {
            let agent = AgentTarget {
                file: Arc::default(),
                folder: folder.map(str::to_owned),
                guardrails: schemas::agent::Guardrails::default(),
                skills: Vec::new(),
                output_schema: None,
            };
            let command = vec![program.to_owned(), "./x".to_owned()];
            assert_eq!(in_folder(command, &agent, Path::new("/work")), [expected, "./x"], "{program}");
        }
        check("codex", Some("/agents"), "codex");
        check("/opt/codex", Some("/agents"), "/opt/codex");
        check("./mine.py", Some("/agents"), "/agents/./mine.py");
        check("bin/mine", None, "/work/bin/mine");
    }

    #[test]
    fn the_first_place_counts_and_a_broken_file_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let beside = folder.path().join("work");
        crate::store::files::ensure_dir(&beside.join("agents")).unwrap();
        crate::store::files::ensure_dir(&home.agents()).unwrap();
        let write = |path: PathBuf, text: &str| {
            use std::io::Write as _;
            std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        write(beside.join("agents/one.json"), r#"{"description":"first"}"#);
        write(home.agents().join("one.json"), r#"{"description":"second"}"#);
        write(beside.join("agents/torn.json"), "{\n \"model\": ");
        write(home.agents().join("torn.json"), "{}");
        let agents = discover(&["one", "torn", "nowhere"], Some(&beside), &home);
        assert_eq!(agents.known["one"].file.description.as_deref(), Some("first"));
        assert!(agents.hidden["one"].contains("is taken, and hides"), "{:?}", agents.hidden);
        assert!(agents.broken["torn"].contains("torn.json:2:"), "{:?}", agents.broken);
        assert!(!agents.known.contains_key("torn") && !agents.known.contains_key("nowhere"));
        assert!(agents.known.contains_key("code-analyzer"), "the others are there for their names");
    }
}
