//! The questions: name, steps with their inputs, what happens when they fail, limits; then a look at the whole.

use std::{collections::BTreeMap, path::Path};

use schemas::definition::MAX_NAME;
use serde_json::Value;
use workflow_engine::{
    check::SkillEntry,
    load::{self, Syntax},
    units,
};

use super::{
    answers::{Answers, Save},
    draft::{Draft, ErrorHandling, Limits, Step},
    prompter::Prompter,
};
use crate::{
    agents, catalog,
    cli::output::engine_error,
    errors::Result,
    store::{definitions, home::Home, names::SafeName},
};

/// What steps can call.
struct Known {
    skills: BTreeMap<String, SkillEntry>,
    agents: Vec<String>,
}

/// Asks everything.
pub(super) fn ask(prompter: &mut dyn Prompter, home: &Home) -> Result<Answers> {
    let known = known(home);
    let mut draft = Draft { version: "1.0.0".to_owned(), ..Draft::default() };
    draft.name = prompter.text("Name of the workflow", "", &is_name)?;
    draft.description = prompter.text("What it does (may stay empty)", "", &|_| Ok(()))?;
    loop {
        let step = step(prompter, &known, &draft)?;
        draft.steps.push(step);
        if !prompter.confirm("Another step?", false)? {
            break;
        }
    }
    let definition = serde_json::to_string_pretty(&draft).map_err(|error| engine_error(&error))? + "\n";
    prompter.show(&definition);
    let (save, overwrite) = place(prompter, home, &draft.name)?;
    let run = prompter.confirm("Run it now?", false)?;
    Ok(Answers { definition, name: draft.name, save, overwrite, run })
}

/// The skills and agents that can be found from the home.
fn known(home: &Home) -> Known {
    let names = std::fs::read_dir(home.skills()).map(|entries| {
        let names =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<SafeName>().ok());
        names
            .filter(|name| home.skill(name).is_file())
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    });
    let steps: Vec<_> = names
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(place, skill)| Step {
            id: format!("s{place}"),
            kind: "skill",
            skill: Some(skill),
            ..Step::default()
        })
        .collect();
    // The check knows skills by the steps that call them.
    let asking = Draft { name: "known".to_owned(), version: "1.0.0".to_owned(), steps, ..Draft::default() };
    let text = serde_json::to_vec(&asking).unwrap_or_default();
    let found =
        load::load(&text, Syntax::Json).map(|definition| catalog::discover(&definition, None, home, None));
    let agents = agents::all_names(&agents::places(None, home));
    Known {
        skills: found.map(|found| found.catalog.skills).unwrap_or_default(),
        agents: agents.into_iter().map(|name| name.as_str().to_owned()).collect(),
    }
}

fn step(prompter: &mut dyn Prompter, known: &Known, draft: &Draft) -> Result<Step> {
    let id =
        prompter.text("Id of the step", &format!("step{}", draft.steps.len() + 1), &|id| is_id(id, draft))?;
    let is_agent = !known.agents.is_empty() && {
        let kinds = ["a skill".to_owned(), "an agent".to_owned()];
        prompter.choose("What does it call?", &kinds)? == 1
    };
    let mut step = Step { id, ..Step::default() };
    if is_agent {
        step.kind = "agent";
        let place = prompter.choose("Which agent?", &known.agents)?;
        step.agent = known.agents.get(place).cloned();
    } else {
        step.kind = "skill";
        let names: Vec<_> = known.skills.keys().cloned().collect();
        let place = prompter.choose("Which skill?", &names)?;
        step.skill = names.get(place).cloned();
        let entry = step.skill.as_ref().and_then(|name| known.skills.get(name));
        step.inputs = inputs(prompter, entry, draft)?;
    }
    step.error_handling = error_handling(prompter)?;
    let timeout = prompter.text("Time limit, such as 30s or 5m (may stay empty)", "", &|text| {
        optional(text, |text| units::duration_from_text(text).map(drop).map_err(|error| error.to_string()))
    })?;
    step.timeout = Some(timeout).filter(|timeout| !timeout.is_empty());
    let memory = prompter.text("Memory limit, such as 256MiB (may stay empty)", "", &|text| {
        optional(text, |text| units::size_from_text(text).map(drop).map_err(|error| error.to_string()))
    })?;
    step.resource_limits = Some(memory).filter(|memory| !memory.is_empty()).map(|memory| Limits { memory });
    Ok(step)
}

/// The inputs of a skill by its schema: those that are required, then those that are not.
fn inputs(
    prompter: &mut dyn Prompter,
    entry: Option<&SkillEntry>,
    draft: &Draft,
) -> Result<BTreeMap<String, Value>> {
    let schema = entry.and_then(|entry| entry.inputs.as_ref());
    let schema: Value =
        schema.and_then(|schema| serde_json::from_str(schema.as_str()).ok()).unwrap_or_default();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut names: Vec<&String> =
        schema["properties"].as_object().into_iter().flat_map(|all| all.keys()).collect();
    names.sort_by_key(|name| !required.contains(&name.as_str()));
    let earlier: Vec<_> = draft.steps.iter().map(|step| step.id.as_str()).collect();
    let wired = if earlier.is_empty() {
        String::new()
    } else {
        format!(
            "; outputs of earlier steps: {}",
            earlier.iter().map(|id| format!("{id}.…")).collect::<Vec<_>>().join(", ")
        )
    };
    let mut inputs = BTreeMap::new();
    for name in names {
        let needed = required.contains(&name.as_str());
        let more = if needed { "" } else { ", may stay empty" };
        let judge = |text: &str| {
            if needed && text.is_empty() { Err("it is required".to_owned()) } else { Ok(()) }
        };
        let answer = prompter.text(&format!("Input `{name}`{more}{wired}"), "", &judge)?;
        if !answer.is_empty() {
            inputs.insert(name.clone(), value(&answer, &schema["properties"][name]));
        }
    }
    Ok(inputs)
}

/// Text where the schema wants text; else JSON, if it is.
fn value(answer: &str, schema: &Value) -> Value {
    let text = || Value::from(answer);
    if schema["type"] == "string" { text() } else { serde_json::from_str(answer).unwrap_or_else(|_| text()) }
}

fn error_handling(prompter: &mut dyn Prompter) -> Result<Option<ErrorHandling>> {
    let choices = ["end the run", "try again, three times in all", "go on without it"].map(str::to_owned);
    Ok(match prompter.choose("If it fails?", &choices)? {
        1 => Some(ErrorHandling { strategy: "retry", max_attempts: Some(3) }),
        2 => Some(ErrorHandling { strategy: "skip", max_attempts: None }),
        _ => None,
    })
}

/// Where it is saved, and whether that replaces something.
fn place(prompter: &mut dyn Prompter, home: &Home, name: &str) -> Result<(Save, bool)> {
    let choices = ["with the stored definitions", "in a file", "nowhere: print it"].map(str::to_owned);
    let (save, taken) = match prompter.choose("Where shall it be saved?", &choices)? {
        0 => {
            let stored = definitions::list(home).unwrap_or_default();
            (Save::Stored, stored.iter().any(|known| known.as_str() == name))
        }
        1 => {
            let judge = |text: &str| if text.is_empty() { Err("a path".to_owned()) } else { Ok(()) };
            let path = prompter.text("Path of the file", &format!("{name}.json"), &judge)?;
            let taken = Path::new(&path).exists();
            (Save::File(path.into()), taken)
        }
        _ => return Ok((Save::No, false)),
    };
    let overwrite = taken && prompter.confirm("It is there already. Replace it?", false)?;
    Ok((save, overwrite))
}

fn optional(
    text: &str,
    judge: impl Fn(&str) -> std::result::Result<(), String>,
) -> std::result::Result<(), String> {
    if text.is_empty() { Ok(()) } else { judge(text) }
}

fn is_name(text: &str) -> std::result::Result<(), String> {
    let fits = text.len() <= MAX_NAME && text.parse::<SafeName>().is_ok();
    if fits {
        Ok(())
    } else {
        Err("letters, digits, `.`, `_` and `-`, beginning with a letter or digit".to_owned())
    }
}

fn is_id(id: &str, draft: &Draft) -> std::result::Result<(), String> {
    if draft.steps.iter().any(|step| step.id == id) {
        return Err("another step has this id".to_owned());
    }
    let begins = id.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let fits = id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
    if begins && fits { Ok(()) } else { Err("letters, digits, `_` and `-`, at most 64".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{super::prompter::Judge, *};

    /// Answers in the order in which they are asked for; those that a judge refuses are asked for again.
    struct Script {
        answers: VecDeque<&'static str>,
        refused: usize,
    }

    impl Script {
        fn next(&mut self) -> &'static str {
            self.answers.pop_front().expect("no more questions than answers")
        }
    }

    impl Prompter for Script {
        fn text(&mut self, _: &str, default: &str, judge: Judge<'_>) -> Result<String> {
            loop {
                let answer = self.next();
                let answer = if answer.is_empty() { default } else { answer };
                if judge(answer).is_ok() {
                    return Ok(answer.to_owned());
                }
                self.refused += 1;
            }
        }

        fn choose(&mut self, _: &str, items: &[String]) -> Result<usize> {
            let answer = self.next();
            let place = items.iter().position(|item| item.starts_with(answer));
            Ok(place.unwrap_or_else(|| panic!("{answer} is none of {items:?}")))
        }

        fn confirm(&mut self, _: &str, _: bool) -> Result<bool> {
            Ok(self.next() == "yes")
        }

        fn show(&mut self, _: &str) {}
    }

    #[test]
    fn a_conversation_becomes_a_definition() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let answers = [
            "not a name",
            "wizardry",
            "",
            "",
            "a skill",
            "json-parse",
            "{\"a\": 1}",
            "",
            "end the run",
            "",
            "",
            "yes",
            "step1",
            "second",
            "a skill",
            "sleep",
            "",
            "step1.parsed",
            "try again",
            "soon",
            "30s",
            "256MiB",
            "no",
            "with the stored",
            "no",
        ];
        let mut script = Script { answers: answers.into_iter().collect(), refused: 0 };
        let made = ask(&mut script, &home).unwrap();
        assert_eq!((script.answers.len(), script.refused), (0, 4));
        assert_eq!((&made.save, made.overwrite, made.run), (&Save::Stored, false, false));
        insta::assert_snapshot!(made.definition, @r#"
        {
          "name": "wizardry",
          "version": "1.0.0",
          "steps": [
            {
              "id": "step1",
              "type": "skill",
              "skill": "json-parse",
              "inputs": {
                "data": {
                  "a": 1
                }
              }
            },
            {
              "id": "second",
              "type": "skill",
              "skill": "sleep",
              "inputs": {
                "duration": "step1.parsed"
              },
              "timeout": "30s",
              "resource_limits": {
                "memory": "256MiB"
              },
              "error_handling": {
                "strategy": "retry",
                "max_attempts": 3
              }
            }
          ]
        }
        "#);
    }
}
