//! What the language has and this version cannot run yet: one table, each row an error of its own, never
//! ignored in silence. Whoever teaches the engine a thing deletes its row.

use super::outline::Outline;
use crate::{
    diagnostic::{Problems, codes::UNSUPPORTED},
    load::{Member, Node},
};

/// Reports everything in the table that a definition uses.
pub(super) fn report(root: &Node, outline: &Outline<'_>, problems: &mut Problems) {
    sandbox(root, problems);
    for step in outline.all() {
        if step.spot.is_some() {
            sandbox(step.node, problems);
        }
    }
}

/// Parts of a sandbox.
fn sandbox(node: &Node, problems: &mut Problems) {
    let parts = node.get("sandbox").map_or(&[][..], Node::members);
    let delegates = |member: &&Member| &*member.key == "delegate" && member.value.as_bool() == Some(true);
    parts.iter().filter(delegates).for_each(|member| one(member, problems));
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
