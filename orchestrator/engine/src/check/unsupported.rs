//! What the language has and this version cannot run yet: one table, each row an error of its own, never
//! ignored in silence. Whoever teaches the engine a thing deletes its row.

use super::outline::Outline;
use crate::{
    diagnostic::{Problems, codes::UNSUPPORTED},
    load::{Member, Node},
};

/// Keys of steps that hold others, each with the values (compact JSON) that ask for nothing.
const GROUP_KEYS: &[(&str, &[&str])] = &[("trust", &[r#""trusted""#])];

/// Reports everything in the table that a definition uses.
pub(super) fn report(outline: &Outline<'_>, problems: &mut Problems) {
    for step in outline.all() {
        let Some(kind) = step.node.get("type").and_then(Node::as_text) else { continue };
        if step.spot.is_some() && !matches!(kind, "skill" | "agent") {
            keys(step.node, GROUP_KEYS, problems);
        }
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
