//! Equality, order and arithmetic. Numbers compare by their exact value, whatever their types; arithmetic does not
//! mix types.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is an error of types")]

use std::{cmp::Ordering, sync::Arc};

use super::{
    Error,
    budget::Budget,
    value::{ELEMENT, Key, Value},
};

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    In,
}

const ALL: [Operator; 12] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
    Operator::Add,
    Operator::Subtract,
    Operator::Multiply,
    Operator::Divide,
    Operator::Modulo,
    Operator::In,
];

impl Operator {
    /// The operator by its symbol.
    pub(super) fn of_symbol(symbol: &str) -> Option<Self> {
        ALL.into_iter().find(|operator| operator.symbol() == symbol)
    }

    /// As it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::In => "in",
        }
    }

    /// Applies it.
    pub(super) fn apply(self, left: Value, right: Value, budget: &mut Budget) -> Result<Value, Error> {
        match self {
            Self::Equal => equal(&left, &right, budget).map(Value::Bool),
            Self::NotEqual => equal(&left, &right, budget).map(|equal| Value::Bool(!equal)),
            Self::Less => self.ordered(&left, &right, budget, Ordering::is_lt),
            Self::LessOrEqual => self.ordered(&left, &right, budget, Ordering::is_le),
            Self::Greater => self.ordered(&left, &right, budget, Ordering::is_gt),
            Self::GreaterOrEqual => self.ordered(&left, &right, budget, Ordering::is_ge),
            Self::Add => add(left, right, budget),
            Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo => self.arithmetic(&left, &right),
            Self::In => contains(&left, right, budget).map(Value::Bool),
        }
    }

    fn ordered(
        self,
        left: &Value,
        right: &Value,
        budget: &mut Budget,
        fits: fn(Ordering) -> bool,
    ) -> Result<Value, Error> {
        let order = match (left, right) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) => {
                budget.read(a.len().min(b.len()))?;
                Some(a.cmp(b))
            }
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            _ => match (Number::of(left), Number::of(right)) {
                (Some(a), Some(b)) => a.order(b),
                _ => return Err(self.no_overload(left, right)),
            },
        };
        // Nothing is smaller or greater than NaN.
        Ok(Value::Bool(order.is_some_and(fits)))
    }

    fn arithmetic(self, left: &Value, right: &Value) -> Result<Value, Error> {
        let result = match (left, right) {
            (Value::Int(a), Value::Int(b)) => match self {
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide if *b != 0 => a.checked_div(*b),
                Self::Modulo if *b != 0 => a.checked_rem(*b),
                _ => return Err(Error::wrong("division by zero")),
            }
            .map(Value::Int),
            (Value::Uint(a), Value::Uint(b)) => match self {
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide if *b != 0 => a.checked_div(*b),
                Self::Modulo if *b != 0 => a.checked_rem(*b),
                _ => return Err(Error::wrong("division by zero")),
            }
            .map(Value::Uint),
            (Value::Double(a), Value::Double(b)) if self != Self::Modulo => Some(Value::Double(match self {
                Self::Subtract => a - b,
                Self::Multiply => a * b,
                _ => a / b,
            })),
            (Value::Timestamp(a), Value::Timestamp(b)) if self == Self::Subtract => {
                a.since(*b).map(Value::Duration)
            }
            (Value::Timestamp(a), Value::Duration(b)) if self == Self::Subtract => {
                b.negated().and_then(|b| a.plus(b)).map(Value::Timestamp)
            }
            (Value::Duration(a), Value::Duration(b)) if self == Self::Subtract => {
                b.negated().and_then(|b| a.plus(b)).map(Value::Duration)
            }
            _ => return Err(self.no_overload(left, right)),
        };
        result.ok_or_else(|| out_of_range(self, left))
    }

    /// The error for operands that do not go together.
    fn no_overload(self, left: &Value, right: &Value) -> Error {
        let symbol = self.symbol();
        let mut message = format!("`{symbol}` does not take {} and {}", left.type_name(), right.type_name());
        match (left, right) {
            (Value::Int(_) | Value::Uint(_), Value::Double(_))
            | (Value::Double(_), Value::Int(_) | Value::Uint(_))
                if self != Self::Modulo =>
            {
                message.push_str(": make both a double with `double(x)`");
            }
            (Value::Int(_), Value::Uint(_)) | (Value::Uint(_), Value::Int(_)) => {
                message.push_str(": make both an int with `int(x)`");
            }
            (Value::Text(_), _) | (_, Value::Text(_)) if self == Self::Add => {
                message.push_str(": make both a string with `string(x)`");
            }
            _ => {}
        }
        Error::wrong(message)
    }
}

fn out_of_range(operator: Operator, left: &Value) -> Error {
    Error::wrong(format!("the result of `{}` is out of the range of {}", operator.symbol(), left.type_name()))
}

fn add(left: Value, right: Value, budget: &mut Budget) -> Result<Value, Error> {
    let sum = match (&left, &right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int),
        (Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint),
        (Value::Double(a), Value::Double(b)) => Some(Value::Double(a + b)),
        (Value::Text(a), Value::Text(b)) => {
            budget.bytes(a.len() + b.len())?;
            Some(Value::Text(format!("{a}{b}").into()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.bytes(a.len() + b.len())?;
            Some(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::Timestamp(a), Value::Duration(b)) | (Value::Duration(b), Value::Timestamp(a)) => {
            a.plus(*b).map(Value::Timestamp)
        }
        (Value::Duration(a), Value::Duration(b)) => a.plus(*b).map(Value::Duration),
        _ => return add_lists(left, right, budget),
    };
    sum.ok_or_else(|| out_of_range(Operator::Add, &left))
}

fn add_lists(left: Value, right: Value, budget: &mut Budget) -> Result<Value, Error> {
    if left.type_name() != "list" || right.type_name() != "list" {
        return Err(Operator::Add.no_overload(&left, &right));
    }
    let (Value::List(a), Value::List(b)) = (left.open(budget)?, right.open(budget)?) else {
        return Err(Error::wrong("this is no list"));
    };
    budget.bytes((a.len() + b.len()) * ELEMENT)?;
    Ok(Value::List(Arc::new(a.iter().chain(b.iter()).cloned().collect())))
}

/// `element in list`, `key in map`.
fn contains(element: &Value, of: Value, budget: &mut Budget) -> Result<bool, Error> {
    match of.open(budget)? {
        Value::List(elements) => {
            for candidate in elements.iter() {
                if equal(element, candidate, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(members) => Ok(Key::of(element).is_some_and(|key| members.contains_key(&key))),
        other => Err(Operator::In.no_overload(element, &other)),
    }
}

/// Whether two values are equal; values of different types are not, numbers aside.
pub(super) fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Error> {
    budget.steps(1)?;
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return Ok(a.order(b) == Some(Ordering::Equal));
    }
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => {
            budget.read(if a.len() == b.len() { a.len() } else { 0 })?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        _ if !matches!(left.type_name(), "list" | "map") || left.type_name() != right.type_name() => false,
        _ => return equal_layers(left.clone().open(budget)?, right.clone().open(budget)?, budget),
    })
}

fn equal_layers(left: Value, right: Value, budget: &mut Budget) -> Result<bool, Error> {
    match (left, right) {
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for ((key, a), (other, b)) in a.iter().zip(b.iter()) {
                if key != other || !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A number of any type.
#[derive(Debug, Clone, Copy)]
enum Number {
    /// An int or a uint.
    Whole(i128),
    Double(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(Self::Whole(i128::from(*value))),
            Value::Uint(value) => Some(Self::Whole(i128::from(*value))),
            Value::Double(value) => Some(Self::Double(*value)),
            Value::Null
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::Type(_)
            | Value::Json(_) => None,
        }
    }

    /// The order of the exact values: 2^53 + 1 is more than 2^53 as a double.
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Double(b)) => whole_to_double(a, b),
            (Self::Double(a), Self::Whole(b)) => whole_to_double(b, a).map(Ordering::reverse),
        }
    }
}

fn whole_to_double(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Beyond 2^64 there is no int and no uint; within, the whole part of a double is exact as an i128.
    if double >= 18_446_744_073_709_551_616.0 {
        return Some(Ordering::Less);
    }
    if double < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was looked at, the fraction is compared below"
    )]
    let floor = double.floor() as i128;
    Some(whole.cmp(&floor).then(if double.fract() == 0.0 { Ordering::Equal } else { Ordering::Less }))
}

/// The int that a double is exactly.
pub(super) fn exact_int(double: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&double);
    #[expect(clippy::cast_possible_truncation, reason = "the range and the fraction were looked at")]
    let int = double as i64;
    (in_range && double.fract() == 0.0).then_some(int)
}
