//! The inputs of a skill, by its schema: those that are required, then those that are not. Each may be typed, or be
//! what an earlier step gives.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::prompter::Prompter;
use crate::errors::Result;

/// Asks for each input.
pub(super) fn ask(
    prompter: &mut dyn Prompter,
    schema: Option<&Value>,
    references: &[String],
) -> Result<BTreeMap<String, Value>> {
    let nothing = Value::Null;
    let schema = schema.unwrap_or(&nothing);
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut names: Vec<&String> =
        schema["properties"].as_object().into_iter().flat_map(|all| all.keys()).collect();
    names.sort_by_key(|name| !required.contains(&name.as_str()));
    let mut inputs = BTreeMap::new();
    for name in names {
        let input = Input {
            name,
            schema: &schema["properties"][name],
            is_required: required.contains(&name.as_str()),
        };
        if let Some(value) = input.ask(prompter, references)? {
            inputs.insert(name.clone(), value);
        }
    }
    Ok(inputs)
}

/// Where the value of an input comes from.
#[derive(Debug, Clone, Copy)]
enum Choice<'a> {
    LeaveOut,
    Type,
    Reference(&'a str),
}

/// One input.
struct Input<'a> {
    name: &'a str,
    schema: &'a Value,
    is_required: bool,
}

impl Input<'_> {
    fn ask(&self, prompter: &mut dyn Prompter, references: &[String]) -> Result<Option<Value>> {
        if references.is_empty() && self.is_required {
            return self.typed(prompter).map(Some);
        }
        let leave = (!self.is_required).then(|| ("leave it out".to_owned(), Choice::LeaveOut));
        let typed = ("type it".to_owned(), Choice::Type);
        let earlier = references.iter().map(|reference| {
            (format!("{reference}, of an earlier step"), Choice::Reference(reference.as_str()))
        });
        let (items, choices): (Vec<_>, Vec<_>) = leave.into_iter().chain([typed]).chain(earlier).unzip();
        let chosen = prompter.choose(&format!("Input `{}`{}", self.name, self.about()), &items)?;
        Ok(match choices.get(chosen) {
            Some(Choice::LeaveOut) => None,
            Some(Choice::Reference(reference)) => Some(Value::from(*reference)),
            Some(Choice::Type) | None => Some(self.typed(prompter)?),
        })
    }

    fn typed(&self, prompter: &mut dyn Prompter) -> Result<Value> {
        let judge = |text: &str| self.judge(text);
        let answer = prompter.text(&format!("Value of `{}`{}", self.name, self.about()), "", &judge)?;
        Ok(self.value(&answer))
    }

    /// What the schema says of it.
    fn about(&self) -> String {
        self.schema["description"].as_str().map(|text| format!(" ({text})")).unwrap_or_default()
    }

    /// Text where the schema wants text; else JSON, if it is.
    fn value(&self, answer: &str) -> Value {
        let text = || Value::from(answer);
        if self.schema["type"] == "string" {
            text()
        } else {
            serde_json::from_str(answer).unwrap_or_else(|_| text())
        }
    }

    fn judge(&self, answer: &str) -> std::result::Result<(), String> {
        if answer.is_empty() && self.is_required {
            return Err("it is required".to_owned());
        }
        let value = self.value(answer);
        // What it will hold is known when it runs.
        if value.as_str().is_some_and(|text| text.contains("${") || is_reference(text)) {
            return Ok(());
        }
        match jsonschema::validator_for(self.schema) {
            Ok(validator) => validator.validate(&value).map_err(|error| error.to_string()),
            Err(_) => Ok(()),
        }
    }
}

/// Whether a text may be the path of an output: `step.name`.
fn is_reference(text: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'[' | b']'))
    };
    text.contains('.') && text.split('.').all(is_word) && !text.starts_with(|c: char| c.is_ascii_digit())
}
