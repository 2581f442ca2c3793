//! The secrets of a run: their values, from where the home's configuration says, before anything starts. They live
//! in the memory of the engine, and go to the steps that name them and to nobody else.

mod command;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::Path,
    rc::Rc,
};

use schemas::{config::SecretSource, exit_code::ExitCode, json::Json};
use workflow_engine::plan::{Plan, SkillTarget};

use crate::{
    config::Config,
    environment,
    errors::{CommandError, Result},
    mask::{LEAST, Masker},
    store::{
        files::{self, Trouble},
        home::Home,
    },
};

/// Longest value.
pub(crate) const VALUE_MAX: u64 = 64 * 1024;

/// The secrets of a run.
#[derive(Default)]
pub struct Secrets {
    /// Variables by name.
    variables: BTreeMap<String, String>,
    /// Values of secret inputs by name.
    inputs: BTreeMap<String, Json>,
    /// Keys of models, by the variable of the engine's own environment in which they stood.
    model_keys: BTreeMap<String, String>,
    /// Variables of the engine's own environment that no step sees by itself.
    withheld: BTreeSet<String>,
    /// `None`: there is nothing to mask.
    masker: Option<Rc<Masker>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("names", &self.variables.keys()).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Gets the value of every secret that a step of the plan names. What the caller's environment held of them is
    /// taken out of the engine's own.
    pub fn gather(home: &Home, config: &Config, plan: &Plan, inputs: BTreeMap<String, Json>) -> Result<Self> {
        let calls = plan.steps.iter().filter_map(|step| step.kind.skill());
        let names: BTreeSet<&str> = calls.flat_map(|call| &call.secrets).map(String::as_str).collect();
        let mut variables = BTreeMap::new();
        let mut withheld = BTreeSet::new();
        for name in names {
            let source =
                config.secrets.get(name).cloned().unwrap_or_else(|| SecretSource::Env(name.to_owned()));
            if let SecretSource::Env(variable) = &source {
                withheld.insert(variable.clone());
            }
            variables.insert(name.to_owned(), value(home, name, &source)?);
        }
        // Also those of which this run has no need: no step of it is to see them.
        withheld.extend(config.secrets.values().filter_map(|source| match source {
            SecretSource::Env(variable) => Some(variable.clone()),
            SecretSource::File(_) | SecretSource::Command(_) => None,
        }));
        let model_keys = model_keys(plan);
        let is_wiped =
            |name: &[u8]| withheld.iter().chain(model_keys.keys()).any(|wiped| wiped.as_bytes() == name);
        environment::wipe(is_wiped).map_err(|error| {
            CommandError::new(ExitCode::Engine, format!("take secrets out of the environment: {error}"))
        })?;
        let masker = masker(&variables, &inputs)?;
        Ok(Self { variables, inputs, model_keys, withheld, masker })
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The values of secret inputs.
    pub fn inputs(&self) -> &BTreeMap<String, Json> {
        &self.inputs
    }

    /// What masks them; `None`: there is nothing to mask.
    pub fn masker(&self) -> Option<&Rc<Masker>> {
        self.masker.as_ref()
    }

    /// The key of a model that stood in a variable.
    pub fn model_key(&self, variable: &str) -> Option<&str> {
        self.model_keys.get(variable).map(String::as_str)
    }

    /// The engine's own environment without what is withheld. A step sees of it what is passed to all, which no key
    /// of a model is, and what it names.
    pub fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let keys = self.model_keys.iter().map(|(name, value)| (name.into(), value.into()));
        std::env::vars_os()
            .filter(|(name, _)| !name.to_str().is_some_and(|name| self.model_keys.contains_key(name)))
            .chain(keys)
            .filter(|(name, _)| !name.to_str().is_some_and(|name| self.withheld.contains(name)))
    }
}

/// Variables that hold keys of models wherever one is used.
const MODEL_KEYS: [&str; 2] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"];

fn model_keys(plan: &Plan) -> BTreeMap<String, String> {
    let calls = plan.steps.iter().filter_map(|step| step.kind.skill());
    let named = calls.filter_map(|call| match call.target.as_ref() {
        SkillTarget::Agent(agent) => agent.file.api_key_env.as_deref(),
        SkillTarget::Builtin { .. } | SkillTarget::Program { .. } | SkillTarget::External(_) => None,
    });
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    MODEL_KEYS.into_iter().chain(named).filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
}

fn masker(
    variables: &BTreeMap<String, String>,
    inputs: &BTreeMap<String, Json>,
) -> Result<Option<Rc<Masker>>> {
    let mut values: Vec<String> = Vec::new();
    for (name, value) in variables {
        long_enough(value, &format!("the secret `{name}`"))?;
        values.push(value.clone());
    }
    for (name, value) in inputs {
        let text = plain(value);
        long_enough(&text, &format!("the secret input `{name}`"))?;
        values.push(text);
    }
    let masker = Masker::new(values.iter().map(String::as_str))
        .map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    Ok((!masker.is_idle()).then(|| Rc::new(masker)))
}

/// The text of a value: what stands in a string, or the JSON of anything else.
fn plain(value: &Json) -> String {
    serde_json::from_str(value.as_str()).unwrap_or_else(|_| value.as_str().to_owned())
}

fn long_enough(value: &str, what: &str) -> Result<()> {
    if value.len() >= LEAST {
        return Ok(());
    }
    let why = format!("{what} has fewer than {LEAST} bytes: masking it would mask what is no secret");
    Err(CommandError::new(ExitCode::Invalid, why))
}

fn value(home: &Home, name: &str, source: &SecretSource) -> Result<String> {
    let missing = |why: String| {
        CommandError::new(ExitCode::Invalid, format!("the secret `{name}` is missing: {why}")).hint(format!(
            "set the variable {name}, or name a source in `secrets` of {}",
            home.config().display()
        ))
    };
    let bytes = match source {
        SecretSource::Env(variable) => match std::env::var_os(variable).filter(|value| !value.is_empty()) {
            Some(value) => std::os::unix::ffi::OsStringExt::into_vec(value),
            None => return Err(missing(format!("the variable {variable} is not set"))),
        },
        SecretSource::File(path) => without_line_feed(read(&home.path().join(path)).map_err(&missing)?),
        SecretSource::Command(argv) => without_line_feed(command::output(argv).map_err(&missing)?),
    };
    match String::from_utf8(bytes) {
        Ok(value) if value.contains('\0') => Err(missing("its value holds a NUL byte".to_owned())),
        Ok(value) => Ok(value),
        Err(_) => Err(missing("its value is not UTF-8".to_owned())),
    }
}

fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    files::read_capped(path, VALUE_MAX).map_err(|fault| match fault.trouble() {
        Trouble::Missing => format!("there is no file {}", path.display()),
        Trouble::Full
        | Trouble::Quota
        | Trouble::Device
        | Trouble::ReadOnly
        | Trouble::Denied
        | Trouble::TooManyFiles
        | Trouble::Other => format!("{fault}: {}", fault.source),
    })
}

/// One line feed at the end is how files end, not a part of the value.
pub(crate) fn without_line_feed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        (dir, home)
    }

    #[track_caller]
    fn check(source: &SecretSource, expected: std::result::Result<&str, &str>) {
        let (_dir, home) = home();
        std::fs::File::create(home.path().join("token")).unwrap().write_all(b"from file\r\n").unwrap();
        let got = value(&home, "TOKEN", source);
        match (got, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected),
            (Err(error), Err(expected)) => {
                assert_eq!(error.exit, ExitCode::Invalid);
                assert!(error.message.contains(expected), "{}", error.message);
            }
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn values_come_from_their_source() {
        check(&SecretSource::File("token".into()), Ok("from file"));
        check(&SecretSource::File("none".into()), Err("`TOKEN` is missing: there is no file"));
        check(&SecretSource::Env("NO_SUCH_VARIABLE_HERE".into()), Err("NO_SUCH_VARIABLE_HERE is not set"));
        let command = |argv: &[&str]| SecretSource::Command(argv.iter().map(ToString::to_string).collect());
        check(&command(&["printf", "a b\\n\\n"]), Ok("a b\n"));
        check(&command(&["sh", "-c", "echo half; exit 3"]), Err("exit status: 3"));
        check(&command(&["no-such-program-here"]), Err("could not be started"));
        check(&command(&["printf", "\\377"]), Err("not UTF-8"));
        check(&command(&["head", "-c", "70000", "/dev/zero"]), Err("more than"));
    }

    #[test]
    fn short_values_are_refused() {
        let of = |value: &str| BTreeMap::from([("A".to_owned(), value.to_owned())]);
        assert!(masker(&of("123456"), &BTreeMap::new()).unwrap().is_some());
        let error = masker(&of("12345"), &BTreeMap::new()).unwrap_err();
        assert!(error.message.contains("`A` has fewer than 6 bytes"), "{}", error.message);
        assert!(masker(&BTreeMap::new(), &BTreeMap::new()).unwrap().is_none());
    }
}
