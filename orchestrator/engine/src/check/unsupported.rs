//! What the language has and this version cannot run yet: one table, each row an error of its own, never
//! ignored in silence. Whoever teaches the engine a thing deletes its row.

use super::outline::Outline;
use crate::{
    diagnostic::{Problems, codes::UNSUPPORTED},
    load::{Member, Node},
};

/// Kinds of steps.
const KINDS: &[&str] = &[];

/// Keys at the top, each with the values (compact JSON) that ask for nothing.
const TOP_KEYS: &[(&str, &[&str])] = &[("handlers", &["[]"]), ("finally", &["[]"])];

/// Keys of `error_handling`, likewise.
const HANDLING_KEYS: &[(&str, &[&str])] = &[("rollback", &[])];

/// Keys of steps, likewise.
const STEP_KEYS: &[(&str, &[&str])] = &[("rollback", &["[]"])];

/// Keys of steps that hold others, likewise: they belong to what runs as processes.
const GROUP_KEYS: &[(&str, &[&str])] = &[
    ("inputs", &["{}"]),
    ("timeout", &[]),
    ("idle_timeout", &[]),
    ("grace", &[]),
    ("env", &["{}"]),
    ("cwd", &[]),
    ("kill_mode", &[]),
    ("on_crash", &[]),
    ("sandbox", &[]),
    ("trust", &[r#""trusted""#]),
];

/// The limits that such steps may have.
const GROUP_LIMITS: &[&str] = &["max_concurrent_steps"];

/// Reports everything in the table that a definition uses. Of what stands inside a step of an unsupported kind
/// only the kind is reported.
pub(super) fn report(root: &Node, outline: &Outline<'_>, problems: &mut Problems) {
    keys(root, TOP_KEYS, problems);
    sandbox(root, problems);
    if let Some(handling) = root.get("error_handling") {
        keys(handling, HANDLING_KEYS, problems);
    }
    for step in outline.all() {
        let kind = step.node.get("type");
        let Some(word) = kind.and_then(Node::as_text) else { continue };
        if let Some(kind) = kind.filter(|_| KINDS.contains(&word)) {
            problems.report(
                UNSUPPORTED,
                kind.span.range(),
                format!("`{word}` steps are not supported by this version"),
            );
        } else if step.spot.is_some() {
            keys(step.node, STEP_KEYS, problems);
            sandbox(step.node, problems);
            if !matches!(word, "skill" | "agent") {
                // A workflow has inputs.
                let table = if word == "workflow" { &GROUP_KEYS[1..] } else { GROUP_KEYS };
                keys(step.node, table, problems);
                group_limits(step.node, problems);
            }
        }
    }
}

/// Parts of a sandbox.
fn sandbox(node: &Node, problems: &mut Problems) {
    let parts = node.get("sandbox").map_or(&[][..], Node::members);
    let delegates = |member: &&Member| &*member.key == "delegate" && member.value.as_bool() == Some(true);
    parts.iter().filter(delegates).for_each(|member| one(member, problems));
}

fn group_limits(step: &Node, problems: &mut Problems) {
    let limits = step.get("resource_limits").map_or(&[][..], Node::members);
    for member in limits.iter().filter(|member| !GROUP_LIMITS.contains(&&*member.key)) {
        one(member, problems);
    }
}

fn keys(node: &Node, table: &[(&str, &[&str])], problems: &mut Problems) {
    for member in node.members() {
        let row = table.iter().find(|(key, _)| *key == &*member.key);
        if row.is_some_and(|(_, harmless)| !is_one_of(&member.value, harmless)) {
            one(member, problems);
        }
    }
}

fn is_one_of(value: &Node, harmless: &[&str]) -> bool {
    !harmless.is_empty() && harmless.contains(&value.to_json().as_str())
}

fn one(member: &Member, problems: &mut Problems) {
    let what = match member.value.as_text() {
        Some(word) if word.len() <= 20 => format!("`{}: {word}`", member.key),
        Some(_) | None => format!("`{}`", member.key),
    };
    problems
        .report(UNSUPPORTED, member.key_span.range(), format!("{what} is not supported by this version"))
        .hint("it is part of the language, and refused rather than ignored");
}
