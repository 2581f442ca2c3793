//! Declared inputs of a run, and which values are of their types.

use std::borrow::Cow;

use schemas::json::Json;

/// Digits of the largest number of 64 bits.
const MAX_DIGITS: usize = 20;

/// One declared input of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct InputDeclaration {
    /// JSON Schema type; `None` takes any.
    pub kind: Option<InputType>,
    /// What it is for.
    pub description: Option<String>,
    /// The value when none is given.
    pub default: Option<Json>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value is never stored.
    pub secret: bool,
}

/// JSON Schema types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
    /// `null`.
    Null,
}

impl InputType {
    /// The word in JSON Schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    /// A value as this type reads it, if it is of this type: `1.0` and `1e0` are the integer `1`, as in JSON Schema.
    pub fn read(self, value: &Json) -> Option<Json> {
        if self == Self::Integer && is_number(value.as_str()) {
            return whole(value.as_str()).and_then(|text| Json::parse(&text).ok());
        }
        self.takes(value).then(|| value.clone())
    }

    /// Whether a value is of this type.
    pub fn takes(self, value: &Json) -> bool {
        let text = value.as_str();
        match self {
            Self::String => text.starts_with('"'),
            Self::Integer => is_number(text) && whole(text).is_some(),
            Self::Number => is_number(text),
            Self::Boolean => text == "true" || text == "false",
            Self::Array => text.starts_with('['),
            Self::Object => text.starts_with('{'),
            Self::Null => text == "null",
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// A number of JSON without point and exponent, if it is a whole one; one beyond 64 bits as it stands.
fn whole(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['.', 'e', 'E']) {
        return Some(Cow::Borrowed(text));
    }
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{after}");
    let significant = digits.trim_end_matches('0').len();
    if significant == 0 {
        return Some(Cow::Borrowed("0"));
    }
    // Where the point stands among the digits.
    let point = i64::try_from(before.len()).ok()?.checked_add(exponent.parse::<i64>().ok()?)?;
    let point = usize::try_from(point).ok().filter(|point| *point >= significant)?;
    if point > MAX_DIGITS {
        return text.parse::<f64>().is_ok_and(f64::is_finite).then_some(Cow::Borrowed(text));
    }
    let shown = format!("{:0<point$}", &digits[..significant]);
    Some(Cow::Owned(format!("{sign}{}", shown.trim_start_matches('0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: InputType, value: &str, expected: Option<&str>) {
        let value = Json::parse(value).unwrap();
        assert_eq!(kind.read(&value).as_ref().map(Json::as_str), expected);
        assert_eq!(kind.takes(&value), expected.is_some());
    }

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let check = |value: &str, expected| check(InputType::Integer, value, expected);
        check("5", Some("5"));
        check("-5", Some("-5"));
        check("1.0", Some("1"));
        check("1e3", Some("1000"));
        check("1E+3", Some("1000"));
        check("-12.50e1", Some("-125"));
        check("1200e-2", Some("12"));
        check("0.0", Some("0"));
        check("-0.0e7", Some("0"));
        check("0.001e3", Some("1"));
        check("0.001e4", Some("10"));
        check("9007199254740993.0", Some("9007199254740993"));
        check("1.8446744073709551615e19", Some("18446744073709551615"));
        check("1e300", Some("1e300"));
        check("99999999999999999999", Some("99999999999999999999"));
        check("1.5", None);
        check("1e-1", None);
        check("1.00000000000000000000000001", None);
        check("12e-3", None);
        check("true", None);
        check("\"1\"", None);
    }

    #[test]
    fn other_types_take_values_as_they_stand() {
        check(InputType::Number, "1.50", Some("1.50"));
        check(InputType::Number, "\"1\"", None);
        check(InputType::String, "\"1.0\"", Some("\"1.0\""));
        check(InputType::String, "1", None);
        check(InputType::Boolean, "false", Some("false"));
        check(InputType::Boolean, "0", None);
        check(InputType::Array, "[1.0]", Some("[1.0]"));
        check(InputType::Object, "{\"a\":1.0}", Some("{\"a\":1.0}"));
        check(InputType::Object, "[]", None);
        check(InputType::Null, "null", Some("null"));
        check(InputType::Null, "false", None);
    }
}
