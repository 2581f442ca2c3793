//! Answers: a definition as text, and what shall become of it.

use std::path::{Path, PathBuf};

use schemas::{definition::workflow::WORKFLOW, exit_code::ExitCode};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    errors::{CommandError, Result},
    store::files::{self, Trouble},
};

/// The longest file of answers.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    /// The definition as JSON text.
    pub(super) definition: String,
    /// Its name; empty if it has none, which the check reports.
    pub(super) name: String,
    /// Where it is saved.
    pub(super) save: Save,
    /// Whether what is there is replaced.
    pub(super) overwrite: bool,
    /// Whether it is run at once.
    pub(super) run: bool,
}

/// Where a definition is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Save {
    /// Nowhere.
    No,
    /// Among the stored definitions, under its name.
    Stored,
    /// In this file.
    File(PathBuf),
}

/// Reads a file of answers.
pub(super) fn read(path: &Path) -> Result<Answers> {
    let shown = super::shown(path);
    let text = files::read_capped(path, FILE_MAX).map_err(|fault| {
        let exit = if fault.trouble() == Trouble::Missing { ExitCode::NotFound } else { ExitCode::Invalid };
        CommandError::from_error(exit, &fault)
    })?;
    parse(&text).map_err(|why| CommandError::new(ExitCode::Invalid, format!("the answers {shown}: {why}")))
}

fn parse(text: &[u8]) -> std::result::Result<Answers, String> {
    let Members(mut members) = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut take = |key: &str| {
        let place = members.iter().position(|(name, _)| name == key)?;
        Some(members.remove(place).1)
    };
    let flag = |value: Option<Box<RawValue>>, key: &str| match value.as_deref().map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(format!("`{key}` must be true or false")),
    };
    let save = match take("save") {
        None => Save::No,
        Some(value) => match serde_json::from_str(value.get()) {
            Ok(serde_json::Value::Bool(false)) => Save::No,
            Ok(serde_json::Value::Bool(true)) => Save::Stored,
            Ok(serde_json::Value::String(path)) if !path.is_empty() => Save::File(path.into()),
            Ok(_) | Err(_) => return Err("`save` must be a path, true or false".to_owned()),
        },
    };
    let overwrite = flag(take("overwrite"), "overwrite")?;
    let run = flag(take("run"), "run")?;
    let name = members.iter().find(|(name, _)| name == "name");
    let name = name.and_then(|(_, value)| serde_json::from_str(value.get()).ok()).unwrap_or_default();
    Ok(Answers { definition: definition(members), name, save, overwrite, run })
}

/// The members in the order of the reference; each value as it was written.
fn definition(mut members: Vec<(String, Box<RawValue>)>) -> String {
    let order = |name: &str| WORKFLOW.keys.iter().position(|key| key.name == name).unwrap_or(usize::MAX);
    members.sort_by_key(|(name, _)| order(name));
    let lines: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("  {}: {}", serde_json::Value::from(name.as_str()), value.get()))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// The members of one object, of which each key stands once.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with the keys of a definition, `save`, `overwrite` and `run`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format!("the key `{name}` is given twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_a_definition_and_what_becomes_of_it() {
        let text = br#"{"save": "a.json", "run": true, "x-team": [1 , 2], "steps": [], "name": "n"}"#;
        let answers = parse(text).unwrap();
        insta::assert_snapshot!(answers.definition, @r#"
        {
          "name": "n",
          "steps": [],
          "x-team": [1 , 2]
        }
        "#);
        assert_eq!((answers.name.as_str(), answers.save), ("n", Save::File("a.json".into())));
        assert_eq!((answers.overwrite, answers.run), (false, true));
        assert_eq!(parse(br#"{"save": true}"#).unwrap().save, Save::Stored);
    }

    #[track_caller]
    fn check_refused(text: &str, words: &str) {
        let why = parse(text.as_bytes()).unwrap_err();
        assert!(why.contains(words), "{text}: {why}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_refused("", "EOF");
        check_refused("[]", "an object with the keys of a definition");
        check_refused(r#"{"save": 1}"#, "`save` must be");
        check_refused(r#"{"run": "yes"}"#, "`run` must be");
        check_refused(r#"{"name": "a", "name": "b"}"#, "`name` is given twice");
    }
}
