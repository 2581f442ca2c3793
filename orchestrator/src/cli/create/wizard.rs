//! The questions: name, steps with their inputs, what happens when they fail, limits; then a look at the whole.

mod inputs;
mod known;
#[cfg(test)]
mod tests;

use std::path::Path;

use schemas::definition::MAX_NAME;
use workflow_engine::units;

use self::known::{Known, Skill};

use super::{
    answers::{Answers, Save},
    draft::{Draft, ErrorHandling, Limits, Step},
    prompter::Prompter,
};
use crate::{
    cli::output::engine_error,
    errors::Result,
    store::{definitions, home::Home, names::SafeName},
};

/// Asks everything.
pub(super) fn ask(prompter: &mut dyn Prompter, home: &Home) -> Result<Answers> {
    let known = Known::of(home);
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
        let prompt = prompter.text("What shall it do?", "", &|text| {
            if text.is_empty() { Err("it is required".to_owned()) } else { Ok(()) }
        })?;
        step.prompt = Some(prompt);
    } else {
        step.kind = "skill";
        let items: Vec<_> = known.skills.iter().map(Skill::shown).collect();
        let place = prompter.choose("Which skill?", &items)?;
        let skill = known.skills.get(place);
        step.skill = skill.map(|skill| skill.name.clone());
        step.inputs = inputs::ask(prompter, skill.map(|skill| &skill.inputs), &known.references(draft))?;
    }
    step.error_handling = error_handling(prompter)?;
    let timeout = prompter.text("Time limit, such as 30s or 5m (may stay empty)", "", &|text| {
        optional(text, |text| units::duration_from_text(text).map(drop).map_err(|error| error.to_string()))
    })?;
    step.timeout = Some(timeout).filter(|timeout| !timeout.is_empty());
    step.resource_limits = limits(prompter)?;
    step.sandbox = sandbox(prompter)?;
    Ok(step)
}

fn error_handling(prompter: &mut dyn Prompter) -> Result<Option<ErrorHandling>> {
    let choices = ["end the run", "try again, three times in all", "go on without it"].map(str::to_owned);
    Ok(match prompter.choose("If it fails?", &choices)? {
        1 => Some(ErrorHandling { strategy: "retry", max_attempts: Some(3) }),
        2 => Some(ErrorHandling { strategy: "skip", max_attempts: None }),
        _ => None,
    })
}

fn limits(prompter: &mut dyn Prompter) -> Result<Option<Limits>> {
    let memory = prompter.text("Memory limit, such as 256MiB (may stay empty)", "", &|text| {
        optional(text, |text| units::size_from_text(text).map(drop).map_err(|error| error.to_string()))
    })?;
    let cpu = prompter.text("CPU limit in cores, such as 0.5 (may stay empty)", "", &|text| {
        optional(text, |text| units::cpu_from_cores(text).map(drop).map_err(|error| error.to_string()))
    })?;
    let limits = Limits {
        memory: Some(memory).filter(|memory| !memory.is_empty()),
        cpu: serde_json::from_str(&cpu).ok(),
    };
    Ok(Some(limits).filter(|limits| limits.memory.is_some() || limits.cpu.is_some()))
}

fn sandbox(prompter: &mut dyn Prompter) -> Result<Option<&'static str>> {
    let choices = [
        "standard: what steps have unless they say something else",
        "strict: a file system, a network and a user of its own",
        "none: as the caller",
    ];
    Ok(match prompter.choose("Which sandbox?", &choices.map(str::to_owned))? {
        1 => Some("strict"),
        2 => Some("none"),
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
