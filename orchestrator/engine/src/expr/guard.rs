//! What an expression asks for with `has()`, and where the answers hold.

use super::{
    Asked,
    lower::path,
    operators::Operator,
    syntax::{Expression, Shape},
    value::Value,
};

/// What was asked for and surely was answered where `expression` gives `outcome`; of `steps["a"]` the name is `a`.
pub(super) fn asked(expression: &Expression<'_>, outcome: bool, answers: &mut Vec<Asked>) {
    match &expression.shape {
        Shape::Has(..) => answers.extend(name(expression).map(|name| Asked { name, is_there: outcome })),
        Shape::Not(operand) => asked(operand, !outcome, answers),
        Shape::And(parts) if outcome => parts.iter().for_each(|part| asked(part, true, answers)),
        Shape::Or(parts) if !outcome => parts.iter().for_each(|part| asked(part, false, answers)),
        Shape::Binary(Operator::Equal, parts) => match &**parts {
            [part, Expression { shape: Shape::Literal(Value::Bool(value)), .. }]
            | [Expression { shape: Shape::Literal(Value::Bool(value)), .. }, part] => {
                asked(part, *value == outcome, answers);
            }
            _ => {}
        },
        Shape::Literal(_)
        | Shape::Name(_)
        | Shape::Select(..)
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

/// What a path asks for.
fn name(expression: &Expression<'_>) -> Option<String> {
    path(expression).map(|(path, _)| path.name().to_owned())
}
