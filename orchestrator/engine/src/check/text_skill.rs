//! Strings of a `text` skill's manifest: templates in which only `inputs` can be named.

use super::{reference, template::end_of_expression};
use crate::{
    expr::{self, Bound, Names, Program},
    value::{Part, Reference, Root, Template},
};

/// Reads one string.
pub fn over_inputs(text: &str) -> Result<Template, String> {
    if !text.contains("${") {
        return match reference::bare(text) {
            Some(path) if path.head == "inputs" => Ok(Template::Reference(to_reference(text, path))),
            Some(_) | None => Ok(Template::Text(vec![Part::Text(text.to_owned())])),
        };
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        let plain = if escaped { format!("{}{{", &rest[..at]) } else { rest[..at].to_owned() };
        parts.push(Part::Text(plain));
        if escaped {
            rest = &rest[at + 2..];
            continue;
        }
        let end =
            end_of_expression(rest, at + 2).ok_or_else(|| format!("`${{` is never closed in `{text}`"))?;
        let inner = rest[at + 2..end].trim();
        parts.push(match reference::expression(inner, |_| false) {
            Some(path) if path.head == "inputs" => Part::Value(to_reference(inner, path)),
            Some(_) => return Err(format!("`{inner}` is no reference to `inputs`")),
            None => Part::Expression(compiled(inner)?),
        });
        rest = &rest[end + 1..];
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(Template::Text(parts))
}

fn compiled(text: &str) -> Result<Program, String> {
    let program = Program::compile(text, &mut OnlyInputs).map_err(|error| error.message)?;
    match program.problems().first() {
        Some(problem) => Err(problem.message.clone()),
        None => Ok(program),
    }
}

/// The one name that there is.
struct OnlyInputs;

impl Names for OnlyInputs {
    fn has(&self, name: &str) -> bool {
        name == "inputs"
    }

    fn bind(&mut self, path: &expr::Path) -> Bound {
        if path.head != "inputs" {
            return Bound::Unknown(format!("`{path}` is no reference to `inputs`"));
        }
        let way = path.segments.iter().map(|(segment, _)| segment.clone()).collect();
        Bound::To(Reference { root: Root::Inputs, path: way, text: path.to_string() })
    }
}

fn to_reference(text: &str, path: reference::Path<'_>) -> Reference {
    let path = path.segments.into_iter().map(|(segment, _)| segment).collect();
    Reference { root: Root::Inputs, path, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use schemas::json::Json;

    use super::*;
    use crate::value::{Scope, Segment, select};

    struct Inputs(Json);

    impl Scope for Inputs {
        fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
            select(&self.0, path)
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let inputs = Inputs(Json::parse(r#"{"name":"it","n":[1,2]}"#).expect("the test's JSON is right"));
        let filled =
            over_inputs(text).and_then(|template| template.fill_text(&inputs).map_err(|e| e.to_string()));
        assert_eq!(filled.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn inputs_are_filled_in() {
        check("plain", Ok("plain"));
        check("inputs.name", Ok("it"));
        check("--x=${inputs.name}!", Ok("--x=it!"));
        check("${ inputs.n }${inputs.n[1]}", Ok("[1,2]2"));
        check("$${inputs.name}", Ok("${inputs.name}"));
        check("other.name", Ok("other.name"));
        check("${has(inputs.none) ? inputs.none : 'no ' + inputs.name}", Ok("no it"));
        check("${size(inputs.n)} in ${inputs['name']}", Ok("2 in it"));
    }

    #[test]
    fn nothing_else_is() {
        check("${context.x}", Err("`context.x` is no reference to `inputs`"));
        check("${inputs.name", Err("`${` is never closed in `${inputs.name`"));
        check("${1 + context.x}", Err("`context.x` is no reference to `inputs`"));
        check("${1 +}", Err("the expression ends too early"));
        assert!(over_inputs("${inputs.none}").is_ok());
    }
}
