//! Text to [`Definition`]: the tree of a file with the place of every value, judged by the table of keys.
//!
//! What is wrong with the shape of a value is found here and kept beside the tree, so that `check` can report
//! it together with what only it can see. Only a text that gives no tree at all is refused at once.

mod json;
mod members;
mod node;
mod parse;
mod place;
mod pointer;
mod scalar;
mod shape;
mod suggest;
mod yaml;

use std::{borrow::Cow, ops::Range};

use schemas::definition::Shape;

pub use node::{Member, Node, NodeKind, Span};
pub use parse::{MAX_BYTES, MAX_DEPTH};
pub(crate) use place::range_in;
pub(crate) use pointer::node_at;
pub(crate) use scalar::shortened;
use schemas::json::Json;
pub(crate) use shape::each_step;
pub(crate) use suggest::in_words;
pub use suggest::nearest;

use crate::diagnostic::{Diagnostic, Problems};

/// How the text is written; the extension of the file says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// Strict JSON.
    Json,
    /// JSON with comments and trailing commas.
    Jsonc,
    /// YAML 1.2: one document, scalars by the core schema.
    Yaml,
}

/// A definition as it stands in its file.
#[derive(Debug, Clone)]
pub struct Definition {
    pub(crate) text: String,
    pub(crate) root: Node,
    pub(crate) problems: Problems,
}

impl Definition {
    /// The text, without BOM: what the spans of diagnostics refer to.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Name of the workflow, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.root.get("name").and_then(Node::as_text)
    }

    /// Names of the skills that its steps call, wherever they stand, in the order of the text.
    pub fn skills(&self) -> Vec<&str> {
        let mut skills = Vec::new();
        shape::each_step(&self.root, &mut |step, _| {
            skills.extend(step.get("skill").and_then(Node::as_text));
        });
        skills
    }

    /// Names of the workflows that its steps call, wherever they stand, in the order of the text.
    pub fn workflows(&self) -> Vec<&str> {
        let mut workflows = Vec::new();
        shape::each_step(&self.root, &mut |step, _| {
            let is_call = step.get("type").and_then(Node::as_text) == Some("workflow");
            workflows.extend(step.get("workflow").filter(|_| is_call).and_then(Node::as_text));
        });
        workflows
    }

    /// Names of the agents that its steps run and that it does not hold itself, in the order of the text.
    pub fn agents(&self) -> Vec<&str> {
        let inline = self.root.get("agents");
        let mut agents = Vec::new();
        shape::each_step(&self.root, &mut |step, _| {
            agents.extend(step.get("agent").and_then(Node::as_text));
        });
        agents.retain(|name| inline.is_none_or(|inline| inline.get(name).is_none()));
        agents
    }

    /// Names of the skills that are tools of agents: of those that it holds itself, and by the guardrails of its steps.
    pub fn skill_tools(&self) -> Vec<&str> {
        let mut tools = Vec::new();
        for agent in self.root.get("agents").map_or(&[][..], Node::members) {
            tools.extend(skills_in(Some(&agent.value), "allowedTools"));
            tools.extend(skills_in(agent.value.get("guardrails"), "allowed_tools"));
        }
        shape::each_step(&self.root, &mut |step, _| {
            tools.extend(skills_in(step.get("guardrails"), "allowed_tools"));
        });
        tools
    }

    /// What it says, as compact JSON.
    pub fn to_json(&self) -> Json {
        self.root.to_json()
    }

    /// Where the value stands to which a JSON pointer leads, as far down as there is one.
    pub fn place_of(&self, pointer: &str) -> Range<usize> {
        node_at(&self.root, pointer).span.range()
    }

    /// JSON pointer to the innermost value or key at a place in the text.
    pub fn pointer_at(&self, place: &Range<usize>) -> String {
        pointer::pointer_at(&self.root, place)
    }
}

/// The skills that a list of tools names.
fn skills_in<'a>(holder: Option<&'a Node>, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let listed = holder.and_then(|holder| holder.get(key)).map_or(&[][..], Node::elements);
    listed.iter().filter_map(|tool| schemas::agent::named_skill(tool.as_text()?))
}

/// Reads a text. It fails only where the text gives no tree; other problems are kept for `check`.
pub fn load(text: &[u8], syntax: Syntax) -> Result<Definition, Vec<Diagnostic>> {
    read(text, syntax, shape::judge)
}

/// Reads the manifest of a skill as [`load`] reads a definition.
pub fn load_skill(text: &[u8]) -> Result<Definition, Vec<Diagnostic>> {
    read(text, Syntax::Json, shape::judge_skill)
}

fn read(
    text: &[u8],
    syntax: Syntax,
    judge: impl Fn(&Node, &mut Problems),
) -> Result<Definition, Vec<Diagnostic>> {
    let mut problems = Problems::default();
    let tree = parse::decode(text)
        .and_then(|text| parse::parse(text, syntax, &mut problems).map(|root| (text.to_owned(), root)));
    match tree {
        Ok((text, root)) => {
            judge(&root, &mut problems);
            Ok(Definition { text, root, problems })
        }
        Err(diagnostic) => Err(vec![*diagnostic]),
    }
}

/// Reads one value of another file by the shape that it has in a definition; the first problem, if there is one.
pub(crate) fn fragment(text: &str, shape: &'static Shape) -> Result<Node, String> {
    let mut problems = Problems::default();
    let node = parse::parse(text, Syntax::Json, &mut problems).map_err(|refused| refused.message)?;
    shape::judge_value(&node, shape, &mut problems);
    let first = problems.finish(text, |_| String::new()).into_iter().next();
    first.map_or(Ok(node), |first| Err(first.message))
}

/// Reads the file of an agent as [`load`] reads a definition.
pub fn load_agent(text: &[u8], syntax: Syntax) -> Result<Definition, Vec<Diagnostic>> {
    read(text, syntax, shape::judge_agent)
}

/// The text of a file for display, without BOM; bytes that are not UTF-8 are replaced, those before the
/// first such byte keep their offsets. Nothing of a file over the cap is shown.
pub fn display_text(text: &[u8]) -> Cow<'_, str> {
    if text.len() > MAX_BYTES {
        return Cow::Borrowed("");
    }
    String::from_utf8_lossy(parse::without_bom(text))
}
