//! Prompts that hold the words of other agents. Those are data: they stay apart from the text around them until the
//! prompt is made, where they are put between marks.

use schemas::json::Json;

use crate::value::{Part, Reference, Template};

/// The member of an agent's inputs that has the prompt as it stands.
pub(super) const WHOLE: &str = "prompt";
/// The member that has it in parts, in place of the other.
pub(super) const IN_PARTS: &str = "parts";

/// A prompt in parts, each `{"text": …}` or `{"data": …}`; `None`: it holds no words of an agent. `of_agent` tells
/// whether a reference leads to such words.
pub(super) fn parts(prompt: &Template, of_agent: impl Fn(&Reference) -> bool) -> Option<Template> {
    let whole = |template: &Template, is_data| part(is_data, template.clone());
    let made = match prompt {
        Template::Reference(reference) => vec![whole(prompt, of_agent(reference))],
        Template::Expression(program) => vec![whole(prompt, program.references().iter().any(&of_agent))],
        Template::Text(parts) => parts
            .iter()
            .map(|piece| match piece {
                Part::Text(text) => part(false, Template::Literal(literal(text))),
                Part::Value(reference) => part(of_agent(reference), Template::Reference(reference.clone())),
                Part::Expression(program) => {
                    let is_data = program.references().iter().any(&of_agent);
                    part(is_data, Template::Expression(program.clone()))
                }
            })
            .collect(),
        Template::Literal(_) | Template::Object(_) | Template::Array(_) => Vec::new(),
    };
    let has_data = made.iter().any(|(is_data, _)| *is_data);
    has_data.then(|| Template::Array(made.into_iter().map(|(_, template)| template).collect()))
}

fn part(is_data: bool, template: Template) -> (bool, Template) {
    let name = if is_data { "data" } else { "text" };
    (is_data, Template::Object(vec![(name.to_owned(), template)]))
}

fn literal(text: &str) -> Json {
    Json::from_serialize(&text).unwrap_or_else(|_| Json::null())
}
