//! `config.json` of a home, read and judged once: what is wrong in it is named, and nothing starts.

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, time::Duration};

use schemas::{
    config::{self as written, SecretSource},
    exit_code::ExitCode,
    skill::Quantity,
    view::RunStatus,
};
use workflow_engine::{
    queue::Capacity,
    units::{self, Bytes},
};

use crate::{
    errors::{CommandError, Result},
    store::{
        files::{self, Trouble},
        home::Home,
        run_log::Rotation,
    },
};

/// Longest file that is read.
const FILE_MAX: u64 = 1024 * 1024;
/// Runs at once where the file does not say.
const RUNS: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");
/// How runs end of which somebody is told where the file does not say.
const NOTIFIED: [RunStatus; 3] = [RunStatus::Failed, RunStatus::RolledBack, RunStatus::RollbackFailed];
/// Runs that are kept where the file does not say.
const KEEP: u32 = 100;

/// The settings of a home.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// What all runs at once may use together.
    pub capacity: Capacity,
    /// Where secrets come from; one that is not here is a variable of the caller.
    pub secrets: BTreeMap<String, SecretSource>,
    /// What is removed by itself.
    pub retention: Option<Retention>,
    /// The rotation of each run's log.
    pub rotation: Rotation,
    /// Who is told of the ends of runs.
    pub notify: Option<Notify>,
}

/// Who is told of the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Of runs that end like this.
    pub on: Vec<RunStatus>,
    /// A program with its arguments.
    pub command: Option<Vec<String>>,
    /// An address.
    pub webhook: Option<String>,
}

/// Which records of ended runs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Those that ended longer ago than this,
    pub older_than: Duration,
    /// and are not among so many of the newest.
    pub keep: u32,
}

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Fault(#[from] files::Fault),
    /// It is no JSON, or not of the right shape.
    #[error("{path}:{}:{}: {}{source}", source.line(), source.column(), at(pointer))]
    Shape { path: String, pointer: String, source: serde_json::Error },
    /// A value means nothing.
    #[error("{path}: `{key}`: {why}")]
    Value { path: String, key: String, why: String },
}

/// Reads the settings of a home; without a file they are the defaults.
pub fn read(home: &Home) -> Result<Config> {
    let path = home.config();
    load(&path).map_err(|error| {
        let exit = match &error {
            Error::Fault(_) => ExitCode::Engine,
            Error::Shape { .. } | Error::Value { .. } => ExitCode::Invalid,
        };
        let told = CommandError::from_error(exit, &error);
        match &told.hint {
            Some(_) => told,
            None => told.hint("`q workflow schema config` shows what may stand in it"),
        }
    })
}

fn load(path: &Path) -> std::result::Result<Config, Error> {
    let bytes = match files::read_capped(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(fault) if fault.trouble() == Trouble::Missing => return Ok(Config::default()),
        Err(fault) => return Err(fault.into()),
    };
    let shown = path.display().to_string();
    let mut reader = serde_json::Deserializer::from_slice(&bytes);
    let shape = |pointer: String, source| Error::Shape { path: shown.clone(), pointer, source };
    let file: written::Config = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| shape(error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|error| shape(".".to_owned(), error))?;
    resolve(file).map_err(|(key, why)| Error::Value { path: shown, key, why })
}

/// Where in the file, if it is known: the whole file is `.`.
fn at(pointer: &str) -> String {
    if pointer == "." { String::new() } else { format!("`{pointer}`: ") }
}

/// A key and what is wrong with its value.
type Wrong = (String, String);

fn resolve(file: written::Config) -> std::result::Result<Config, Wrong> {
    let resources = file.resources.unwrap_or_default();
    let cpu = resources.cpu.map(|cores| units::cpu_from_cores(&cores.to_string()));
    let capacity = Capacity {
        runs: file.max_concurrent_runs.unwrap_or(RUNS),
        memory: resources.memory.map(|memory| size("resources.memory", &memory)).transpose()?,
        cpu_millis: cpu.transpose().map_err(|error| wrong("resources.cpu", &error))?,
    };
    for (name, source) in &file.secrets {
        secret(name, source)?;
    }
    let retention = file.retention.map(|given| retention(&given)).transpose()?;
    let mut rotation = Rotation::default();
    if let Some(logs) = file.logs {
        if let Some(max) = &logs.max_size {
            rotation.max_bytes = size("logs.max_size", max)?.0;
        }
        if let Some(count) = logs.files {
            rotation.files = usize::try_from(count.get()).unwrap_or(usize::MAX);
        }
    }
    let notify = file.notify.map(notify).transpose()?;
    Ok(Config { capacity, secrets: file.secrets, retention, rotation, notify })
}

fn notify(given: written::Notify) -> std::result::Result<Notify, Wrong> {
    let on = given.on.unwrap_or_else(|| NOTIFIED.to_vec());
    if let Some(status) = on.iter().find(|status| !status.is_ended()) {
        return Err(("notify.on".to_owned(), format!("no run ends as {status}")));
    }
    if given.command.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
        return Err(("notify.command".to_owned(), "it names nothing".to_owned()));
    }
    if given.webhook.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        return Err(("notify.webhook".to_owned(), "it is no address of http or https".to_owned()));
    }
    if given.command.is_none() && given.webhook.is_none() {
        return Err(("notify".to_owned(), "it needs a `command` or a `webhook`".to_owned()));
    }
    Ok(Notify { on, command: given.command, webhook: given.webhook })
}

fn retention(given: &written::Retention) -> std::result::Result<Retention, Wrong> {
    let older_than = duration("retention.older_than", &given.older_than)?;
    Ok(Retention { older_than, keep: given.keep.unwrap_or(KEEP) })
}

fn secret(name: &str, source: &SecretSource) -> std::result::Result<(), Wrong> {
    let key = || format!("secrets.{name}");
    if !workflow_engine::check::is_secret_name(name) {
        return Err((key(), "it is no name of an environment variable that a step may have".to_owned()));
    }
    let empty = match source {
        SecretSource::Env(text) | SecretSource::File(text) => text.is_empty(),
        SecretSource::Command(argv) => argv.first().is_none_or(String::is_empty),
    };
    if empty { Err((key(), "it names nothing".to_owned())) } else { Ok(()) }
}

fn duration(key: &str, quantity: &Quantity) -> std::result::Result<Duration, Wrong> {
    let parsed = match quantity {
        Quantity::Number(number) => units::duration_from_number(&number.to_string()),
        Quantity::Text(text) => units::duration_from_text(text),
    };
    parsed.map_err(|error| wrong(key, &error))
}

fn size(key: &str, quantity: &Quantity) -> std::result::Result<Bytes, Wrong> {
    let parsed = match quantity {
        Quantity::Number(number) => units::size_from_number(&number.to_string()),
        Quantity::Text(text) => units::size_from_text(text),
    };
    match parsed {
        Ok(Bytes(0)) => Err(wrong(key, &units::Error::NotPositive)),
        Ok(size) => Ok(size),
        Err(error) => Err(wrong(key, &error)),
    }
}

fn wrong(key: &str, error: &units::Error) -> Wrong {
    (key.to_owned(), error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn of(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        std::fs::File::create(home.config()).unwrap().write_all(text.as_bytes()).unwrap();
        read(&home).map_err(|mut error| {
            error.message = error.message.replace(&*dir.path().to_string_lossy(), "HOME");
            error
        })
    }

    #[test]
    fn every_key_is_read() {
        let config = of(r#"{
            "$schema": "./config.schema.json", "max_concurrent_runs": 2,
            "resources": {"memory": "8GiB", "cpu": 1.5},
            "secrets": {"A": {"env": "X"}, "B": {"file": "b"}, "C": {"command": ["c", "d"]}},
            "retention": {"older_than": "30d", "keep": 7},
            "logs": {"max_size": "2MiB", "files": 5},
            "notify": {"on": ["failed"], "command": ["tell"], "webhook": "http://localhost/x"}
        }"#)
        .unwrap();
        assert_eq!(config.capacity.runs.get(), 2);
        assert_eq!(config.capacity.memory, Some(Bytes(8 << 30)));
        assert_eq!(config.capacity.cpu_millis, Some(1500));
        assert_eq!(config.secrets["C"], SecretSource::Command(vec!["c".into(), "d".into()]));
        let retention = config.retention.unwrap();
        assert_eq!((retention.older_than, retention.keep), (Duration::from_hours(30 * 24), 7));
        assert_eq!(config.rotation, Rotation { max_bytes: 2 << 20, files: 5 });
        let notify = config.notify.unwrap();
        assert_eq!((notify.on, notify.command), (vec![RunStatus::Failed], Some(vec!["tell".to_owned()])));
    }

    #[test]
    fn without_a_file_and_with_an_empty_one_the_defaults_hold() {
        let nowhere = Home::at("/nowhere".into());
        assert_eq!(read(&nowhere).unwrap(), Config::default());
        assert_eq!(of("{}").unwrap(), Config::default());
        assert_eq!(Config::default().capacity.runs.get(), 4);
    }

    #[track_caller]
    fn check_wrong(text: &str, message: &str) {
        let error = of(text).unwrap_err();
        assert_eq!((error.exit, error.message.as_str()), (ExitCode::Invalid, message));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_wrong("", "HOME/config.json:1:0: EOF while parsing a value at line 1 column 0");
        check_wrong("{} x", "HOME/config.json:1:4: trailing characters at line 1 column 4");
        check_wrong(
            r#"{"max_concurrent_runs": 0}"#,
            "HOME/config.json:1:25: `max_concurrent_runs`: invalid value: integer `0`, expected a nonzero u32 at line 1 column 25",
        );
        check_wrong(
            r#"{"secrets": {"A": {"vault": "x"}}}"#,
            "HOME/config.json:1:26: `secrets.A`: unknown variant `vault`, expected one of `env`, `file`, `command` at line 1 column 26",
        );
        check_wrong(
            r#"{"resources": {"memory": "much"}}"#,
            "HOME/config.json: `resources.memory`: is not a size",
        );
        check_wrong(
            r#"{"resources": {"memory": 0}}"#,
            "HOME/config.json: `resources.memory`: must be greater than 0",
        );
        check_wrong(
            r#"{"resources": {"cpu": 0}}"#,
            "HOME/config.json: `resources.cpu`: must be greater than 0",
        );
        check_wrong(
            r#"{"retention": {"older_than": "soon"}}"#,
            "HOME/config.json: `retention.older_than`: is not a duration",
        );
        check_wrong(
            r#"{"secrets": {"LD_PRELOAD": {"env": "x"}}}"#,
            "HOME/config.json: `secrets.LD_PRELOAD`: it is no name of an environment variable that a step may have",
        );
        check_wrong(
            r#"{"secrets": {"A": {"command": []}}}"#,
            "HOME/config.json: `secrets.A`: it names nothing",
        );
        check_wrong(r#"{"notify": {}}"#, "HOME/config.json: `notify`: it needs a `command` or a `webhook`");
        check_wrong(r#"{"notify": {"command": []}}"#, "HOME/config.json: `notify.command`: it names nothing");
        check_wrong(
            r#"{"notify": {"webhook": "file:///x"}}"#,
            "HOME/config.json: `notify.webhook`: it is no address of http or https",
        );
        check_wrong(
            r#"{"notify": {"on": ["running"], "command": ["x"]}}"#,
            "HOME/config.json: `notify.on`: no run ends as running",
        );
        assert!(of(r#"{"max_concurent_runs": 1}"#).unwrap_err().message.contains("max_concurent_runs"));
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_no_default() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        std::fs::create_dir(home.config()).unwrap();
        assert_eq!(read(&home).unwrap_err().exit, ExitCode::Engine);
    }
}
