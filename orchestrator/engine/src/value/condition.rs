//! [`Condition`]: what decides over a branch or a further turn.

use schemas::json::Json;

use super::{MissingReference, Reference, Scope};

/// A condition, parsed once, asked at each use.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `true` or `false`, written out.
    Always(bool),
    /// A value that must be `true` or `false`.
    Value(Reference),
    /// Whether a value is, or is not, a constant.
    Equals {
        /// The value.
        value: Reference,
        /// The constant: a string, a whole number, `true`, `false` or `null`.
        constant: Json,
        /// The answer where they are equal.
        answer: bool,
    },
}

/// A condition has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// A value that it needs is not there.
    #[error(transparent)]
    Missing(#[from] MissingReference),
    /// It gives something else.
    #[error("the condition `{text}` is neither true nor false")]
    NoBool {
        /// The condition as the user wrote it.
        text: String,
    },
}

impl Condition {
    /// The answer at this moment.
    pub fn holds(&self, scope: &impl Scope) -> Result<bool, NoAnswer> {
        match self {
            Self::Always(answer) => Ok(*answer),
            Self::Value(reference) => match value(reference, scope)?.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(NoAnswer::NoBool { text: reference.text.clone() }),
            },
            Self::Equals { value: reference, constant, answer } => {
                Ok(equal(&value(reference, scope)?, constant) == *answer)
            }
        }
    }
}

fn value(reference: &Reference, scope: &impl Scope) -> Result<Json, MissingReference> {
    scope
        .resolve(&reference.root, &reference.path)
        .ok_or_else(|| MissingReference { reference: reference.text.clone() })
}

/// Equality with a constant: of strings by their characters, of whole numbers by value.
fn equal(value: &Json, constant: &Json) -> bool {
    let (value, constant) = (value.as_str(), constant.as_str());
    if value == constant {
        return true;
    }
    if constant.starts_with('"') && value.starts_with('"') {
        let text = |json: &str| serde_json::from_str::<String>(json).ok();
        return text(value).is_some_and(|value| Some(value) == text(constant));
    }
    // A whole number of another type: `1.0` is 1, `1e2` is 100.
    constant.parse::<i64>().is_ok_and(|constant| whole(value) == Some(constant))
}

/// The whole number that a number is, if it is one that a double holds exactly.
fn whole(number: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = number.parse() {
        return Some(number);
    }
    let number: f64 = number.parse().ok()?;
    if number.fract() != 0.0 || number.abs() > EXACT {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Root, Segment, select};

    struct Inputs;

    impl Scope for Inputs {
        fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
            select(
                &Json::parse(r#"{"yes":true,"one":1.0,"word":"\u0061","big":9007199254740993}"#).ok()?,
                path,
            )
        }
    }

    fn reference(name: &str) -> Reference {
        let path = vec![Segment::Key(name.to_owned())];
        Reference { root: Root::Inputs, path, text: format!("inputs.{name}") }
    }

    #[track_caller]
    fn check(name: &str, constant: &str, expected: bool) {
        let constant = Json::parse(constant).unwrap();
        let condition = Condition::Equals { value: reference(name), constant, answer: true };
        assert_eq!(condition.holds(&Inputs), Ok(expected));
    }

    #[test]
    fn values_are_compared_not_texts() {
        check("yes", "true", true);
        check("yes", "1", false);
        check("one", "1", true);
        check("one", "2", false);
        check("word", "\"a\"", true);
        check("word", "1", false);
        check("big", "9007199254740992", false);
        check("big", "9007199254740993", true);
    }

    #[test]
    fn what_is_no_bool_is_no_answer() {
        assert_eq!(Condition::Always(true).holds(&Inputs), Ok(true));
        assert_eq!(Condition::Value(reference("yes")).holds(&Inputs), Ok(true));
        let told = |name: &str| Condition::Value(reference(name)).holds(&Inputs).unwrap_err().to_string();
        assert_eq!(told("one"), "the condition `inputs.one` is neither true nor false");
        assert_eq!(told("none"), "`inputs.none` has no value");
    }
}
