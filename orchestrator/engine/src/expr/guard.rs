//! Which names an expression asks for with `has()`, and where what it says of them holds.

use super::{
    operators::Operator,
    syntax::{Expression, Shape},
    value::Value,
};
use crate::value::Segment;

use super::lower::path;

/// The names of which a part is surely there where `expression` gives `outcome`; of `steps["a"]` it is `a`.
pub(super) fn present(expression: &Expression<'_>, outcome: bool, names: &mut Vec<String>) {
    match &expression.shape {
        Shape::Has(..) if outcome => names.extend(name(expression)),
        Shape::Not(operand) => present(operand, !outcome, names),
        Shape::And(parts) if outcome => parts.iter().for_each(|part| present(part, true, names)),
        Shape::Or(parts) if !outcome => parts.iter().for_each(|part| present(part, false, names)),
        Shape::Binary(Operator::Equal, parts) => match &**parts {
            [part, Expression { shape: Shape::Literal(Value::Bool(value)), .. }]
            | [Expression { shape: Shape::Literal(Value::Bool(value)), .. }, part] => {
                present(part, *value == outcome, names);
            }
            _ => {}
        },
        Shape::Literal(_)
        | Shape::Name(_)
        | Shape::Select(..)
        | Shape::Has(..)
        | Shape::Index(_)
        | Shape::Call(_)
        | Shape::Macro(_)
        | Shape::List(_)
        | Shape::Map(_)
        | Shape::Message(_)
        | Shape::Negate(_)
        | Shape::And(_)
        | Shape::Or(_)
        | Shape::Binary(..)
        | Shape::Choice(_) => {}
    }
}

/// What a path asks for: its head, or the step whose record it is.
fn name(expression: &Expression<'_>) -> Option<String> {
    let (path, _) = path(expression)?;
    match path.segments.first() {
        Some((Segment::Key(id), _)) if path.head == "steps" => Some(id.clone()),
        Some(_) | None => Some(path.head),
    }
}
