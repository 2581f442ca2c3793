//! Looking for skills (and, by way of [`agents`], for agents): the folders in which they may stand, first wins; built-in ones come last.

pub mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemas::{
    output::skills::Source,
    skill::{self, Manifest, Parse, Quantity},
};
use worker::skills::{self as builtin, program};
use workflow_engine::{
    check::{Catalog, SkillEntry, check_skill, sandbox_of_manifest},
    diagnostic::{Diagnostic, LineIndex, Severity},
    load::{self, Definition},
    plan::{Enforcement, ExternalSkill, Limits, Needs, SkillTarget},
    units::{self, Bytes},
};

use crate::{
    agents,
    store::{files, home::Home, names::SafeName},
};

/// The file in a skill's folder that is for models.
const TEXT_FOR_MODELS: &str = "SKILL.md";

/// Longest manifest that is read.
pub const MANIFEST_MAX: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Everything that the check needs.
    pub catalog: Catalog,
    /// External skills: name to absolute path of the manifest.
    pub manifests: BTreeMap<String, String>,
}

/// Looks for the skills and agents that a definition names. `beside` is its folder, `given` is `--skills-dir`. Skills that it
/// holds itself come first; paths in them start at its folder.
pub fn discover(definition: &Definition, beside: Option<&Path>, home: &Home, given: Option<&Path>) -> Found {
    let places = places(beside, home, given);
    let mut found = Found { catalog: builtins(), ..Found::default() };
    found.catalog.agents = agents::discover(&definition.agents(), beside, home);
    found.catalog.searched = places.iter().map(|place| place.folder.display().to_string()).collect();
    found.catalog.searched.push("built in".to_owned());
    let inline = definition.inline_skills();
    let of_agents = agents::skill_tools(&found.catalog.agents);
    let names = definition.skills().into_iter().chain(definition.skill_tools()).map(str::to_owned);
    let names: BTreeSet<String> = names.chain(of_agents).collect();
    for name in &names {
        if let Ok(safe) = name.parse::<SafeName>() {
            let held = inline.iter().any(|(held, _)| *held == name);
            look_for(&safe, &places, held, &mut found);
        }
    }
    let folder = beside.map_or_else(|| std::env::current_dir().unwrap_or_default(), Path::to_owned);
    for (name, manifest) in inline {
        if let Some(manifest) = manifest {
            hold(name, manifest, &folder, &mut found.catalog);
        }
    }
    if names.iter().any(|name| !found.catalog.skills.contains_key(name)) {
        add_neighbours(&places, &mut found);
    }
    found
}

/// A skill of the definition itself.
fn hold(name: &str, manifest: Manifest, folder: &Path, catalog: &mut Catalog) {
    catalog.broken.remove(name);
    match entry(manifest, folder) {
        Ok(entry) => {
            catalog.skills.insert(name.to_owned(), entry);
        }
        Err(why) => {
            catalog.skills.remove(name);
            catalog.broken.insert(name.to_owned(), why);
        }
    }
}

/// The skills and agents of a definition of a run that exists, from the copies in the folder that it was frozen in. A
/// skill without a copy that can be read is stood in for: what is over needs no more than the name. `source` is the
/// file from which the definition came.
pub fn frozen(
    definition: &Definition,
    folder: &Path,
    source: &str,
    manifests: &BTreeMap<String, String>,
) -> Catalog {
    let mut catalog = builtins();
    catalog.agents = agents::frozen(&definition.agents(), folder);
    for (name, path) in manifests {
        let copy = name.parse::<SafeName>().ok().map(|name| folder.join(format!("skills/{name}.json")));
        let entry = copy.and_then(|copy| manifest(&files::read_capped(&copy, MANIFEST_MAX).ok()?, path).ok());
        if let Some(entry) = entry {
            catalog.skills.insert(name.clone(), entry);
        }
    }
    let beside = Path::new(source).parent().unwrap_or(Path::new("/"));
    for (name, manifest) in definition.inline_skills() {
        if let Some(manifest) = manifest {
            hold(name, manifest, beside, &mut catalog);
        }
    }
    for name in &definition.skills() {
        let stand_in = || SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
        catalog.skills.entry((*name).to_owned()).or_insert_with(stand_in);
    }
    for entry in catalog.skills.values_mut() {
        // What fitted when the run was created is not judged again.
        entry.inputs = None;
        entry.outputs = None;
    }
    catalog
}

/// The manifests of a run's skills as they are now, to be frozen with it: name to text.
pub fn texts(manifests: &BTreeMap<String, String>) -> Result<BTreeMap<SafeName, Vec<u8>>, files::Fault> {
    let named = manifests.iter().filter_map(|(name, path)| Some((name.parse::<SafeName>().ok()?, path)));
    named.map(|(name, path)| Ok((name, files::read_capped(Path::new(path), MANIFEST_MAX)?))).collect()
}

/// A skill from the text of its manifest, which stands or stood at `path`.
fn manifest(text: &[u8], path: &str) -> Result<SkillEntry, String> {
    let manifest = check_file(text).0.ok_or("it is no manifest")?;
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    entry(manifest, &folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
}

/// A folder in which skills may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    source: Source,
    folder: PathBuf,
}

/// The folders in which skills may stand, in order, each once.
fn places(beside: Option<&Path>, home: &Home, given: Option<&Path>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut add = |source, folder: PathBuf| {
        if !places.iter().any(|place| place.folder == folder) {
            places.push(Place { source, folder });
        }
    };
    let here = std::env::current_dir().unwrap_or_default();
    if let Some(given) = given {
        add(Source::SkillsDir, given.to_owned());
    }
    if let Some(beside) = beside {
        add(Source::Beside, beside.join("skills"));
    }
    let up = here.ancestors().map(|folder| folder.join(".amazonq/workflows/skills"));
    up.filter(|folder| folder.is_dir()).for_each(|folder| add(Source::Project, folder));
    add(Source::Home, home.skills());
    add(Source::Agents, here.join(".agents/skills"));
    if let Some(user) = std::env::var_os("HOME") {
        add(Source::UserAgents, Path::new(&user).join(".agents/skills"));
    }
    places
}

/// What a folder of skills has under a name.
enum Stands {
    /// A manifest.
    Manifest(PathBuf),
    /// A text for models, and no manifest.
    OnlyText(PathBuf),
}

/// What stands there, if anything does.
fn stands(folder: &Path) -> Option<Stands> {
    let manifest = folder.join(skill::FILE_NAME);
    let text = folder.join(TEXT_FOR_MODELS);
    if manifest.is_file() {
        Some(Stands::Manifest(manifest))
    } else {
        text.is_file().then_some(Stands::OnlyText(text))
    }
}

/// Looks for one skill. One that the definition holds itself is taken already.
fn look_for(name: &SafeName, places: &[Place], held: bool, found: &mut Found) {
    let mut first: Option<String> = held.then(|| "the skill of the definition itself".to_owned());
    for folder in places.iter().map(|place| place.folder.join(name.as_str())) {
        let path = match stands(&folder) {
            Some(Stands::Manifest(path)) => path,
            Some(Stands::OnlyText(_)) => {
                let folder = folder.to_string_lossy().into_owned();
                found.catalog.only_text.entry(name.to_string()).or_insert(folder);
                continue;
            }
            None => continue,
        };
        if let Some(first) = &first {
            let which = format!("{first} is taken, and hides {}", path.display());
            found.catalog.hidden.entry(name.to_string()).or_insert(which);
            continue;
        }
        match read(&path).and_then(|(manifest, folder)| entry(manifest, &folder)) {
            Ok(entry) => {
                found.catalog.skills.insert(name.to_string(), entry);
                found.manifests.insert(name.to_string(), path.to_string_lossy().into_owned());
            }
            Err(why) => {
                found.catalog.skills.remove(name.as_str());
                found.catalog.broken.insert(name.to_string(), format!("{}{why}", path.display()));
            }
        }
        first = Some(path.display().to_string());
    }
    if let Some(first) = first
        && builtin::find(name.as_str()).is_some()
    {
        let which = format!("{first} is taken, and hides the built-in one");
        found.catalog.hidden.entry(name.to_string()).or_insert(which);
    }
}

/// A skill is missing: the names of all others help to say what was meant.
fn add_neighbours(places: &[Place], found: &mut Found) {
    for place in places {
        for name in names_in(&place.folder) {
            if !found.catalog.skills.contains_key(name.as_str()) {
                look_for(&name, std::slice::from_ref(place), false, found);
            }
        }
    }
}

/// The names under which something may stand in a folder, in order.
fn names_in(folder: &Path) -> Vec<SafeName> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<SafeName> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort_unstable();
    names
}

/// The manifest in a file and the folder in which it stands. What is wrong is said with its place, to follow the
/// path of the file.
fn read(path: &Path) -> Result<(Manifest, PathBuf), String> {
    let plain = |why: String| format!(": {why}");
    let bytes = files::read_capped(path, MANIFEST_MAX).map_err(|fault| plain(fault.to_string()))?;
    let (manifest, diagnostics) = check_file(&bytes);
    let Some(manifest) = manifest else {
        let text = load::display_text(&bytes);
        let worst = diagnostics.iter().find(|problem| problem.severity == Severity::Error);
        let why = worst.map(|problem| {
            let place = LineIndex::new(&text).position(problem.span.start);
            let hint = problem.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!(":{}:{}: {}{hint}", place.line, place.column, problem.message)
        });
        return Err(why.unwrap_or_else(|| plain("it is not a manifest".to_owned())));
    };
    let folder = path.parent().unwrap_or(Path::new(".")).canonicalize();
    Ok((manifest, folder.map_err(|error| plain(error.to_string()))?))
}

/// The manifest in the text of a file, and everything that is wrong with it.
pub fn check_file(text: &[u8]) -> (Option<Manifest>, Vec<Diagnostic>) {
    match load::load_skill(text) {
        Ok(file) => check_skill(&file),
        Err(diagnostics) => (None, diagnostics),
    }
}

/// What the check needs to know of a skill in this folder; an error says why there is none.
pub fn entry(manifest: Manifest, folder: &Path) -> Result<SkillEntry, String> {
    let mut command = manifest.command;
    let program =
        command.first().filter(|program| !program.is_empty()).ok_or("`command` names no program")?;
    if program.contains('/') {
        command[0] = folder.join(program).to_string_lossy().into_owned();
    }
    let given = manifest.limits.unwrap_or_default();
    let timeouts = [
        time_limit("timeout", given.timeout.as_ref())?,
        time_limit("max_execution_time", given.max_execution_time.as_ref())?,
    ];
    let sandbox = manifest.sandbox.as_ref().map(sandbox_of_manifest).transpose()?.unwrap_or_default();
    Ok(SkillEntry {
        target: Arc::new(SkillTarget::External(ExternalSkill {
            description: manifest.description,
            folder: folder.to_string_lossy().into_owned(),
            command,
            protocol: manifest.protocol,
            parse_json: manifest.parse == Some(Parse::Json),
            events: manifest.events,
            outputs: manifest.outputs.clone(),
            inputs: manifest.inputs.clone(),
            env: manifest.env.into_iter().collect(),
            idempotent: manifest.idempotent,
        })),
        inputs: manifest.inputs,
        outputs: manifest.outputs,
        limits: limits(&given)?,
        timeout: timeouts.into_iter().flatten().min(),
        idle_timeout: time_limit("idle_timeout", given.idle_timeout.as_ref())?,
        grace: given.grace.as_ref().map(|quantity| duration("grace", quantity)).transpose()?,
        sandbox,
        idempotent: manifest.idempotent,
    })
}

fn limits(given: &skill::Limits) -> Result<Limits, String> {
    let size = |name: &str, quantity: &Option<Quantity>| quantity.as_ref().map(|q| size(name, q)).transpose();
    let mebibytes = given.max_memory_mb.map(|count| Bytes(count.saturating_mul(1024 * 1024)));
    let percent = given.max_cpu_percent.map(|percent| units::cpu_from_percent(&percent.to_string()));
    let cores = given.cpu.map(|cores| units::cpu_from_cores(&cores.to_string()));
    let cpu = percent
        .into_iter()
        .chain(cores)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("cpu: {error}"))?;
    Ok(Limits {
        memory: [size("memory", &given.memory)?, mebibytes].into_iter().flatten().min(),
        cpu_millis: cpu.into_iter().min(),
        cpu_time: time_limit("cpu_time", given.cpu_time.as_ref())?,
        pids: given.pids.map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
        open_files: given.open_files,
        file_size: size("file_size", &given.file_size)?,
        scratch: size("scratch", &given.scratch)?,
        output: size("output", &given.output)?,
        io_read_bps: size("io_read_bps", &given.io_read_bps)?,
        io_write_bps: size("io_write_bps", &given.io_write_bps)?,
        max_concurrent_steps: None,
        enforcement: match given.enforcement {
            Some(skill::Enforcement::Required) => Enforcement::Required,
            Some(skill::Enforcement::BestEffort) | None => Enforcement::BestEffort,
        },
    })
}

/// A limit on time; as in a definition, none at all is not a limit but a mistake.
fn time_limit(name: &str, quantity: Option<&Quantity>) -> Result<Option<Duration>, String> {
    match quantity.map(|quantity| duration(name, quantity)).transpose()? {
        Some(limit) if limit.is_zero() => Err(format!("{name}: it must be longer than 0")),
        limit => Ok(limit),
    }
}

fn duration(name: &str, quantity: &Quantity) -> Result<Duration, String> {
    let parsed = match quantity {
        Quantity::Number(number) => units::duration_from_number(&number.to_string()),
        Quantity::Text(text) => units::duration_from_text(text),
    };
    parsed.map_err(|error| format!("{name}: {error}"))
}

fn size(name: &str, quantity: &Quantity) -> Result<Bytes, String> {
    let parsed = match quantity {
        Quantity::Number(number) => units::size_from_number(&number.to_string()),
        Quantity::Text(text) => units::size_from_text(text),
    };
    parsed.map_err(|error| format!("{name}: {error}"))
}

/// The skills that are part of this program.
fn builtins() -> Catalog {
    let entries = builtin::catalog().iter().map(|skill| {
        let target = match (program::Kind::from_name(skill.name), skill.needs) {
            (Some(kind), _) => SkillTarget::Program { shell: kind == program::Kind::Shell },
            (None, builtin::Needs::Nothing) => SkillTarget::Builtin { needs: Needs::Nothing },
            (None, builtin::Needs::Network) => SkillTarget::Builtin { needs: Needs::Network },
            (None, builtin::Needs::Files | builtin::Needs::Program) => {
                SkillTarget::Builtin { needs: Needs::Files }
            }
        };
        let schema = |text: &str| schemas::json::Json::parse(text).ok();
        let entry = SkillEntry {
            inputs: schema(skill.inputs),
            outputs: schema(skill.outputs),
            idempotent: skill.idempotent,
            ..SkillEntry::new(target)
        };
        (skill.name.to_owned(), entry)
    });
    Catalog { skills: entries.collect(), ..Catalog::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_limits(limits: &str) -> Result<SkillEntry, String> {
        let manifest = format!(r#"{{"name":"a","command":["b"],"limits":{limits}}}"#);
        entry(serde_json::from_str(&manifest).expect("a manifest"), Path::new("/skills/a"))
    }

    #[test]
    fn times_of_a_manifest_are_read() {
        let all = r#"{"timeout":"9s","max_execution_time":8,"idle_timeout":"7s","grace":0,"cpu_time":6}"#;
        let entry = read_limits(all).expect("they are right");
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!((entry.timeout, entry.idle_timeout), (seconds(8), seconds(7)));
        assert_eq!((entry.grace, entry.limits.cpu_time), (seconds(0), seconds(6)));
        let entry = read_limits("{}").expect("there are none");
        assert_eq!((entry.timeout, entry.idle_timeout, entry.grace), (None, None, None));
    }

    #[track_caller]
    fn check_refused(limits: &str, why: &str) {
        assert_eq!(read_limits(limits).expect_err("they are wrong"), why);
    }

    #[test]
    fn times_that_are_none_are_refused() {
        check_refused(r#"{"timeout":0}"#, "timeout: it must be longer than 0");
        check_refused(r#"{"max_execution_time":"0s"}"#, "max_execution_time: it must be longer than 0");
        check_refused(r#"{"idle_timeout":"0s"}"#, "idle_timeout: it must be longer than 0");
        check_refused(r#"{"cpu_time":0}"#, "cpu_time: it must be longer than 0");
        check_refused(r#"{"idle_timeout":"7"}"#, "idle_timeout: lacks a unit");
        check_refused(r#"{"grace":"soon"}"#, "grace: is not a duration");
    }
}
