//! Looking for skills (and, by way of [`agents`], for agents): the folders in which they may stand, first wins; built-in ones come last.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemas::skill::{self, Manifest, Parse, Quantity};
use worker::skills::{self as builtin, program};
use workflow_engine::{
    check::{Catalog, SkillEntry},
    load::Definition,
    plan::{Enforcement, ExternalSkill, Limits, Needs, Profile, SkillTarget},
    units::{self, Bytes},
};

use crate::{
    agents,
    store::{files, home::Home, names::SafeName},
};

/// Longest manifest that is read.
const MANIFEST_MAX: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Everything that the check needs.
    pub catalog: Catalog,
    /// External skills: name to absolute path of the manifest.
    pub manifests: BTreeMap<String, String>,
}

/// Looks for the skills and agents that a definition names. `beside` is its folder, `given` is `--skills-dir`.
pub fn discover(definition: &Definition, beside: Option<&Path>, home: &Home, given: Option<&Path>) -> Found {
    let names = &definition.skills();
    let places = places(beside, home, given);
    let mut found = Found { catalog: builtins(), ..Found::default() };
    found.catalog.agents = agents::discover(&definition.agents(), beside, home);
    found.catalog.searched = places.iter().map(|place| place.display().to_string()).collect();
    for name in names {
        if !found.manifests.contains_key(*name)
            && let Ok(safe) = name.parse::<SafeName>()
        {
            look_for(&safe, &places, &mut found);
        }
    }
    if names.iter().any(|name| !found.catalog.skills.contains_key(*name)) {
        add_neighbours(&places, &mut found);
    }
    found
}

/// The skills of a definition of a run that exists, from the copies in the folder that it was frozen in. One without a copy that can be read
/// is stood in for, and so are agents: what is over needs no more than the name.
pub fn frozen(definition: &Definition, folder: &Path, manifests: &BTreeMap<String, String>) -> Catalog {
    let mut catalog = builtins();
    catalog.agents = agents::stand_ins(&definition.agents());
    for (name, path) in manifests {
        let copy = name.parse::<SafeName>().ok().map(|name| folder.join(format!("skills/{name}.json")));
        let entry = copy.and_then(|copy| manifest(&files::read_capped(&copy, MANIFEST_MAX).ok()?, path).ok());
        if let Some(entry) = entry {
            catalog.skills.insert(name.clone(), entry);
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
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    entry(manifest, &folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
}

/// The folders in which skills may stand, in order.
fn places(beside: Option<&Path>, home: &Home, given: Option<&Path>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = given.map(Path::to_owned).into_iter().collect();
    places.extend(beside.map(|folder| folder.join("skills")));
    let here = std::env::current_dir().unwrap_or_default();
    let up = here.ancestors().map(|folder| folder.join(".amazonq/workflows/skills"));
    places.extend(up.filter(|folder| folder.is_dir()));
    places.push(home.skills());
    places.push(here.join(".agents/skills"));
    places.extend(std::env::var_os("HOME").map(|user| Path::new(&user).join(".agents/skills")));
    places
}

fn look_for(name: &SafeName, places: &[PathBuf], found: &mut Found) {
    let mut first: Option<PathBuf> = None;
    for folder in places.iter().map(|place| place.join(name.as_str())) {
        let path = folder.join(skill::FILE_NAME);
        if !path.is_file() {
            continue;
        }
        if let Some(first) = &first {
            let which = format!("{} is taken, and hides {}", first.display(), path.display());
            found.catalog.hidden.entry(name.to_string()).or_insert(which);
            continue;
        }
        if builtin::find(name.as_str()).is_some() {
            let which = format!("{} is taken, and hides the built-in one", path.display());
            found.catalog.hidden.insert(name.to_string(), which);
        }
        match read(&path, &folder) {
            Ok(entry) => {
                found.catalog.skills.insert(name.to_string(), entry);
                found.manifests.insert(name.to_string(), path.to_string_lossy().into_owned());
            }
            Err(why) => {
                found.catalog.skills.remove(name.as_str());
                found.catalog.broken.insert(name.to_string(), format!("{}: {why}", path.display()));
            }
        }
        first = Some(path);
    }
}

/// A skill is missing: the names of all others help to say what was meant.
fn add_neighbours(places: &[PathBuf], found: &mut Found) {
    for place in places {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let names: Vec<SafeName> = names.filter_map(|name| name.parse().ok()).collect();
        for name in names {
            if !found.catalog.skills.contains_key(name.as_str()) {
                look_for(&name, std::slice::from_ref(place), found);
            }
        }
    }
}

fn read(path: &Path, folder: &Path) -> Result<SkillEntry, String> {
    let bytes = files::read_capped(path, MANIFEST_MAX).map_err(|fault| fault.to_string())?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    entry(manifest, &folder)
}

fn entry(manifest: Manifest, folder: &Path) -> Result<SkillEntry, String> {
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
    let chosen = manifest.sandbox.as_ref().map(|sandbox| serde_json::from_str(sandbox.as_str()));
    let (sandbox, passed) = match chosen.transpose().map_err(|error| error.to_string())? {
        None => (None, Vec::new()),
        Some(chosen) => sandbox(&chosen)?,
    };
    Ok(SkillEntry {
        target: Arc::new(SkillTarget::External(ExternalSkill {
            folder: folder.to_string_lossy().into_owned(),
            command,
            protocol: manifest.protocol,
            parse_json: manifest.parse == Some(Parse::Json),
            events: manifest.events,
            outputs: manifest.outputs.clone(),
            inputs: manifest.inputs.clone(),
            pass: passed,
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

/// The profile and the names of variables that pass through. What only later versions hold is refused, never
/// dropped: a skill that asks for less than it gets would be told an untruth.
fn sandbox(chosen: &serde_json::Value) -> Result<(Option<Profile>, Vec<String>), String> {
    let profile = |name: &str| match name {
        "none" => Ok(Profile::None),
        "standard" => Ok(Profile::Standard),
        other => Err(format!("the sandbox profile `{other}` is not supported by this version")),
    };
    match chosen {
        serde_json::Value::String(name) => Ok((Some(profile(name)?), Vec::new())),
        serde_json::Value::Object(members) => {
            let mut found = (None, Vec::new());
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("profile", serde_json::Value::String(name)) => found.0 = Some(profile(name)?),
                    ("env", serde_json::Value::Array(names)) => {
                        found.1 = names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
                    }
                    // The profile `standard` gives these to every step.
                    ("network", serde_json::Value::String(network)) if network == "host" => {}
                    ("read" | "write", serde_json::Value::Array(_)) => {}
                    (key, _) => return Err(format!("`sandbox.{key}` is not supported by this version")),
                }
            }
            Ok(found)
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_) => {
            Err("`sandbox` must be the name of a profile or an object".to_owned())
        }
    }
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
