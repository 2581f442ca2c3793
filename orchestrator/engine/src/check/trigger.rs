//! Triggers by the clock: their expressions, zones and inputs. Whether they fire is not looked at here: a
//! definition fires once `schedule add` has been told of it.

use std::time::Duration;

use schemas::schedule::{CatchUp, Overlap};

use super::declared_inputs;
use crate::{
    cron,
    diagnostic::{
        Problems,
        codes::{BAD_CRON, BAD_TRIGGER_INPUT, BAD_ZONE},
    },
    load::{Node, nearest},
    plan::Schedule,
    zone,
};

/// Reports what is wrong with triggers beyond their shapes.
pub(super) fn report(root: &Node, problems: &mut Problems) {
    for trigger in root.get("triggers").map_or(&[][..], Node::elements) {
        if trigger.get("type").and_then(Node::as_text) != Some("schedule") {
            continue;
        }
        if let Some(text) = trigger.get("cron") {
            expression(text, problems);
        }
        if let Some(name) = trigger.get("timezone") {
            time_zone(name, problems);
        }
        inputs(root, trigger, problems);
    }
}

/// The triggers by the clock of a definition in which nothing is wrong.
pub(super) fn schedules(root: &Node) -> Vec<Schedule> {
    let triggers = root.get("triggers").map_or(&[][..], Node::elements).iter();
    triggers
        .filter_map(|trigger| {
            let cron = trigger.get("cron")?.as_text()?.to_owned();
            let text = |key: &str| trigger.get(key).and_then(Node::as_text);
            let inputs = trigger.get("inputs").map_or(&[][..], Node::members);
            Some(Schedule {
                cron,
                timezone: text("timezone").unwrap_or("UTC").to_owned(),
                catch_up: word(CatchUp::ALL, CatchUp::as_str, text("catch_up")),
                overlap: word(Overlap::ALL, Overlap::as_str, text("overlap")),
                enabled: trigger.get("enabled").and_then(Node::as_bool).unwrap_or(true),
                inputs: inputs.iter().map(|one| (one.key.to_string(), one.value.to_json())).collect(),
                jitter: super::duration(trigger, "jitter").unwrap_or(Duration::ZERO),
                max_lag: super::duration(trigger, "max_lag"),
            })
        })
        .collect()
}

/// The variant of a word; what is no word was reported with its shape.
fn word<T: Copy + Default>(all: &[T], name: impl Fn(T) -> &'static str, text: Option<&str>) -> T {
    all.iter().copied().find(|variant| Some(name(*variant)) == text).unwrap_or_default()
}

fn expression(node: &Node, problems: &mut Problems) {
    let Some(Err(error)) = node.as_text().map(cron::Expression::parse) else { return };
    problems
        .report(BAD_CRON, node.span.range(), error.to_string())
        .hint("minute, hour, day of month, month, day of week: `0 9 * * 1-5` is at nine on workdays");
}

fn time_zone(node: &Node, problems: &mut Problems) {
    let Some(name) = node.as_text().filter(|name| zone::by_name(name).is_none()) else { return };
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    let report = problems.report(BAD_ZONE, node.span.range(), format!("there is no time zone `{shown}`"));
    match zone::nearest(name) {
        Some(near) => report.hint(format!("did you mean `{near}`?")),
        None => report.hint("names are those of the IANA table, such as `UTC` or `Europe/Berlin`"),
    };
}

/// The inputs of the runs that a trigger starts, against those that are declared.
fn inputs(root: &Node, trigger: &Node, problems: &mut Problems) {
    let declared = declared_inputs(root);
    let given = trigger.get("inputs");
    for member in given.map_or(&[][..], Node::members) {
        match declared.get(&*member.key) {
            None => {
                let message = format!("the workflow declares no input `{}`", member.key.escape_debug());
                let report = problems.report(BAD_TRIGGER_INPUT, member.key_span.range(), message);
                if let Some(near) = nearest(&member.key, declared.keys().map(String::as_str)) {
                    report.hint(format!("did you mean `{near}`?"));
                }
            }
            Some(declaration) => {
                let kind = declaration.kind.filter(|kind| !kind.takes(&member.value.to_json()));
                if let Some(kind) = kind {
                    let message = format!("the input `{}` must be of type {}", member.key, kind.name());
                    problems.report(BAD_TRIGGER_INPUT, member.value.span.range(), message);
                }
            }
        }
    }
    for (name, declaration) in declared {
        let is_given = given.is_some_and(|given| given.get(&name).is_some());
        if declaration.required && declaration.default.is_none() && !is_given {
            let message = format!("the trigger gives no value for the required input `{name}`");
            problems
                .report(BAD_TRIGGER_INPUT, trigger.opening(), message)
                .hint("give it in `inputs` of the trigger, or declare a default");
        }
    }
}
