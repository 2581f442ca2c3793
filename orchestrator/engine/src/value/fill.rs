//! Fills templates in. What comes out of a step is spliced in as it is and never read again as a template.

use schemas::{failure::Code, json::Json};

use super::{
    Part, Reference, Root, Segment, Template,
    splice::{push_string, text_form},
};
use crate::{
    expr::{self, Program},
    load::shortened,
};

/// The values of the moment.
pub trait Scope {
    /// The value at `path` from `root`; `None` where there is none.
    fn resolve(&self, root: &Root, path: &[Segment]) -> Option<Json>;

    /// How many bytes must be read for that, as far as it is known: what is read counts against the bounds of an
    /// expression.
    fn weight(&self, _root: &Root, _path: &[Segment]) -> usize {
        0
    }
}

/// A value cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// A reference leads to no value.
    #[error("`{reference}` has no value")]
    Missing {
        /// The reference as the user wrote it.
        reference: String,
    },
    /// An expression has none.
    #[error("{error}, in `{}`", shortened(.text))]
    Expression {
        /// The expression as the user wrote it.
        text: String,
        /// Why.
        error: expr::Error,
    },
}

impl FillError {
    /// `missing_reference` or `expression_error`.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::MissingReference,
            Self::Expression { error, .. } => error.code(),
        }
    }

    /// The error of an expression.
    pub(crate) fn of(program: &Program, error: expr::Error) -> Self {
        Self::Expression { text: program.source().to_owned(), error }
    }
}

impl Template {
    /// The value with every reference replaced by what it leads to.
    pub fn fill(&self, scope: &impl Scope) -> Result<Json, FillError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Reference(reference) => resolve(reference, scope),
            Self::Expression(program) => evaluate(program, scope),
            Self::Text(_) | Self::Object(_) | Self::Array(_) => {
                let mut out = String::new();
                self.write(scope, &mut out)?;
                Ok(Json::joined(out))
            }
        }
    }

    /// The text form of the filled value: for environment variables and paths.
    pub fn fill_text(&self, scope: &impl Scope) -> Result<String, FillError> {
        match self {
            Self::Text(parts) => join(parts, scope),
            Self::Literal(_)
            | Self::Reference(_)
            | Self::Expression(_)
            | Self::Object(_)
            | Self::Array(_) => Ok(text_form(&self.fill(scope)?).into_owned()),
        }
    }

    fn write(&self, scope: &impl Scope, out: &mut String) -> Result<(), FillError> {
        match self {
            Self::Literal(value) => out.push_str(value.as_str()),
            Self::Reference(reference) => out.push_str(resolve(reference, scope)?.as_str()),
            Self::Expression(program) => out.push_str(evaluate(program, scope)?.as_str()),
            Self::Text(parts) => push_string(&join(parts, scope)?, out),
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_string(name, out);
                    out.push(':');
                    value.write(scope, out)?;
                }
                out.push('}');
            }
            Self::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    element.write(scope, out)?;
                }
                out.push(']');
            }
        }
        Ok(())
    }
}

fn resolve(reference: &Reference, scope: &impl Scope) -> Result<Json, FillError> {
    scope
        .resolve(&reference.root, &reference.path)
        .ok_or_else(|| FillError::Missing { reference: reference.text.clone() })
}

fn evaluate(program: &Program, scope: &impl Scope) -> Result<Json, FillError> {
    program.evaluate(scope).map_err(|error| FillError::of(program, error))
}

fn join(parts: &[Part], scope: &impl Scope) -> Result<String, FillError> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(reference) => out.push_str(&text_form(&resolve(reference, scope)?)),
            Part::Expression(program) => out.push_str(&text_form(&evaluate(program, scope)?)),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `inputs.<name>` from one object.
    struct Inputs(&'static str);

    impl Scope for Inputs {
        fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
            super::super::select(&Json::parse(self.0).unwrap(), path)
        }
    }

    fn reference(name: &str) -> Reference {
        Reference {
            root: Root::Inputs,
            path: vec![Segment::Key(name.to_owned())],
            text: format!("inputs.{name}"),
        }
    }

    const SCOPE: Inputs = Inputs(r#"{"n": 1.50, "s": "${inputs.n} \"", "o": { "k" : [ 1 ] }}"#);

    fn literal(text: &str) -> Template {
        Template::Literal(Json::parse(text).unwrap())
    }

    #[track_caller]
    fn check(template: &Template, expected: &str) {
        assert_eq!(template.fill(&SCOPE).unwrap().as_str(), expected);
    }

    #[test]
    fn a_reference_keeps_its_type() {
        check(&Template::Reference(reference("n")), "1.50");
        check(&Template::Reference(reference("s")), r#""${inputs.n} \"""#);
    }

    #[test]
    fn parts_are_joined_as_text() {
        let parts = vec![
            Part::Text("a ".to_owned()),
            Part::Value(reference("s")),
            Part::Value(reference("o")),
            Part::Value(reference("n")),
        ];
        check(&Template::Text(parts.clone()), r#""a ${inputs.n} \"{\"k\":[1]}1.50""#);
        assert_eq!(Template::Text(parts).fill_text(&SCOPE).unwrap(), r#"a ${inputs.n} "{"k":[1]}1.50"#);
    }

    #[test]
    fn trees_keep_their_order() {
        let array = Template::Array(vec![literal("1"), Template::Reference(reference("n"))]);
        let object = Template::Object(vec![("z\"".to_owned(), literal("null")), ("a".to_owned(), array)]);
        check(&object, r#"{"z\"":null,"a":[1,1.50]}"#);
    }

    #[test]
    fn a_missing_value_names_its_reference() {
        let template = Template::Array(vec![Template::Reference(reference("x"))]);
        assert_eq!(template.fill(&SCOPE).unwrap_err().to_string(), "`inputs.x` has no value");
    }

    #[test]
    fn text_of_a_literal_has_no_quotes() {
        assert_eq!(literal(r#""a""#).fill_text(&SCOPE).unwrap(), "a");
        assert_eq!(literal("7").fill_text(&SCOPE).unwrap(), "7");
    }
}
