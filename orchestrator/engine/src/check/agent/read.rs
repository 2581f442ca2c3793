//! From the text of an agent's file to what it says.

use schemas::agent::{AgentFile, Kind, PRESETS, preset};

use crate::{
    diagnostic::{
        Diagnostic, Problems,
        codes::{BAD_AGENT, INCOMPLETE_AGENT},
    },
    load::{Definition, Node, in_words},
};

/// What an agent's file says, and every problem of it; the first is there exactly when no error is.
pub fn read_agent(definition: &Definition) -> (Option<AgentFile>, Vec<Diagnostic>) {
    let mut problems = definition.problems.clone();
    let root = &definition.root;
    report_incomplete(root, &mut problems);
    let file = file(root);
    if let (Err(error), 0) = (&file, problems.errors()) {
        problems.report(BAD_AGENT, root.opening(), error.to_string());
    }
    let file = file.ok().filter(|_| problems.errors() == 0);
    (file, problems.finish(definition.text(), |place| definition.pointer_at(place)))
}

/// An agent as its node says; what is wrong with its shape was reported with that.
pub(super) fn file(node: &Node) -> Result<AgentFile, serde_json::Error> {
    serde_json::from_str(node.to_json().as_str())
}

/// Keys that the kind of an agent needs.
pub(super) fn report_incomplete(node: &Node, problems: &mut Problems) {
    let kind = match node.get("kind").and_then(Node::as_text) {
        Some("acp") => Kind::Acp,
        Some("command") => Kind::Command,
        Some(_) | None => Kind::Builtin,
    };
    let known = || in_words(PRESETS.iter().filter(|preset| preset.kind == kind).map(|preset| preset.name));
    if kind == Kind::Builtin {
        for key in ["command", "preset", "prompt_via"] {
            if let Some(member) = node.member(key) {
                problems
                    .report(
                        INCOMPLETE_AGENT,
                        member.key_span.range(),
                        format!("`{key}` has no meaning in an agent of the kind `builtin`"),
                    )
                    .hint("add `\"kind\": \"command\"` or `\"kind\": \"acp\"`");
            }
        }
        return;
    }
    if let Some(name) = node.get("preset") {
        let word = name.as_text().unwrap_or_default();
        if preset(word, kind).is_none() {
            problems
                .report(
                    INCOMPLETE_AGENT,
                    name.span.range(),
                    format!("there is no preset `{word}` of this kind"),
                )
                .hint(format!("known: {}", known()));
        }
    } else if node.get("command").is_none() {
        problems
            .report(
                INCOMPLETE_AGENT,
                node.opening(),
                format!("an agent of the kind `{kind}` needs its program"),
            )
            .hint(format!("give `command`, or one of the presets {}", known()));
    }
}
