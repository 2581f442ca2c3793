//! The functions of the language.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is an error of types")]

use jiff::civil::Weekday;

use super::{
    Error,
    budget::Budget,
    time::{Moment, Span},
    value::Value,
};

/// Steps that it costs to compile a pattern that is not known before.
const PATTERN_STEPS: usize = 20_000;
/// Size of a compiled pattern.
const PATTERN_SIZE: usize = 256 << 10;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Bool,
    Dyn,
    Type,
    Timestamp,
    Duration,
    Part(Part),
}

/// A part of a moment or of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    Month,
    DayOfYear,
    DayOfMonth,
    Date,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// Every function: name, whether it is called on a value, numbers of arguments (the receiver included).
const TABLE: &[(&str, Style, usize, usize, Function)] = &[
    ("size", Style::Both, 1, 1, Function::Size),
    ("contains", Style::Receiver, 2, 2, Function::Contains),
    ("startsWith", Style::Receiver, 2, 2, Function::StartsWith),
    ("endsWith", Style::Receiver, 2, 2, Function::EndsWith),
    ("matches", Style::Both, 2, 2, Function::Matches),
    ("int", Style::Global, 1, 1, Function::Int),
    ("uint", Style::Global, 1, 1, Function::Uint),
    ("double", Style::Global, 1, 1, Function::Double),
    ("string", Style::Global, 1, 1, Function::Text),
    ("bytes", Style::Global, 1, 1, Function::Bytes),
    ("bool", Style::Global, 1, 1, Function::Bool),
    ("dyn", Style::Global, 1, 1, Function::Dyn),
    ("type", Style::Global, 1, 1, Function::Type),
    ("timestamp", Style::Global, 1, 1, Function::Timestamp),
    ("duration", Style::Global, 1, 1, Function::Duration),
    ("getFullYear", Style::Receiver, 1, 2, Function::Part(Part::FullYear)),
    ("getMonth", Style::Receiver, 1, 2, Function::Part(Part::Month)),
    ("getDayOfYear", Style::Receiver, 1, 2, Function::Part(Part::DayOfYear)),
    ("getDayOfMonth", Style::Receiver, 1, 2, Function::Part(Part::DayOfMonth)),
    ("getDate", Style::Receiver, 1, 2, Function::Part(Part::Date)),
    ("getDayOfWeek", Style::Receiver, 1, 2, Function::Part(Part::DayOfWeek)),
    ("getHours", Style::Receiver, 1, 2, Function::Part(Part::Hours)),
    ("getMinutes", Style::Receiver, 1, 2, Function::Part(Part::Minutes)),
    ("getSeconds", Style::Receiver, 1, 2, Function::Part(Part::Seconds)),
    ("getMilliseconds", Style::Receiver, 1, 2, Function::Part(Part::Milliseconds)),
];

/// Macros, for messages: the parser expands them.
const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Global,
    Receiver,
    Both,
}

/// The function of a name; the error says what is wrong with the call.
pub(super) fn find(name: &str, receiver: Option<()>, arguments: usize) -> Result<Function, String> {
    let Some((_, style, least, most, function)) = TABLE.iter().find(|row| row.0 == name) else {
        let names = TABLE.iter().map(|row| row.0).chain(MACROS);
        return Err(if MACROS.contains(&name) {
            format!("`{name}` is not called like this")
        } else {
            match crate::load::nearest(name, names) {
                Some(near) => format!("there is no function `{name}`: did you mean `{near}`?"),
                None => format!("there is no function `{name}`"),
            }
        });
    };
    let given = arguments + usize::from(receiver.is_some());
    let fits = match style {
        Style::Global => receiver.is_none(),
        Style::Receiver => receiver.is_some(),
        Style::Both => true,
    };
    if !fits {
        let form = if *style == Style::Receiver { format!("x.{name}(…)") } else { format!("{name}(x)") };
        return Err(format!("`{name}` is called as `{form}`"));
    }
    if !(*least..=*most).contains(&given) {
        return Err(format!("`{name}` does not take {arguments} arguments"));
    }
    Ok(*function)
}

impl Function {
    /// The name.
    pub(super) fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.4 == self).map_or("", |row| row.0)
    }

    /// Calls it; `second` is there where the table says so.
    pub(super) fn call(
        self,
        first: Value,
        second: Option<&Value>,
        budget: &mut Budget,
    ) -> Result<Value, Error> {
        match self {
            Self::Size => size(first, budget),
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches => {
                self.on_texts(&first, second, budget)
            }
            Self::Int => to_int(&first).ok_or_else(|| self.cannot(&first)).map(Value::Int),
            Self::Uint => to_uint(&first).ok_or_else(|| self.cannot(&first)).map(Value::Uint),
            Self::Double => to_double(&first).ok_or_else(|| self.cannot(&first)).map(Value::Double),
            Self::Text if matches!(first, Value::Text(_)) => Ok(first),
            Self::Text => {
                let text = to_text(&first).ok_or_else(|| self.cannot(&first))?;
                Value::text(&text, budget)
            }
            Self::Bytes => match first {
                Value::Bytes(_) => Ok(first),
                Value::Text(text) => {
                    budget.bytes(text.len())?;
                    Ok(Value::Bytes(text.as_bytes().into()))
                }
                other => Err(self.cannot(&other)),
            },
            Self::Bool => to_bool(&first).ok_or_else(|| self.cannot(&first)).map(Value::Bool),
            Self::Dyn => Ok(first),
            Self::Type => Ok(Value::Type(first.type_name())),
            Self::Timestamp => match &first {
                Value::Timestamp(_) => Some(first.clone()),
                Value::Text(text) => Moment::parse(text).map(Value::Timestamp),
                Value::Int(seconds) => Moment::from_seconds(*seconds).map(Value::Timestamp),
                _ => None,
            }
            .ok_or_else(|| self.cannot(&first)),
            Self::Duration => match &first {
                Value::Duration(_) => Some(first.clone()),
                Value::Text(text) => Span::parse(text).map(Value::Duration),
                _ => None,
            }
            .ok_or_else(|| self.cannot(&first)),
            Self::Part(part) => part.of(&first, second),
        }
    }

    fn on_texts(self, first: &Value, second: Option<&Value>, budget: &mut Budget) -> Result<Value, Error> {
        let (Value::Text(text), Some(Value::Text(other))) = (first, second) else {
            let given = second.map_or("nothing", Value::type_name);
            let name = self.name();
            return Err(Error::wrong(format!("`{name}` does not take {} and {given}", first.type_name())));
        };
        budget.read(text.len())?;
        Ok(Value::Bool(match self {
            Self::Contains => text.contains(&**other),
            Self::StartsWith => text.starts_with(&**other),
            Self::EndsWith => text.ends_with(&**other),
            _is_matches => {
                budget.steps(PATTERN_STEPS)?;
                is_match(&pattern(other).map_err(Error::wrong)?, text, budget)?
            }
        }))
    }

    /// The error for a value that a function cannot turn into its own type.
    fn cannot(self, value: &Value) -> Error {
        let shown = match value {
            Value::Int(value) => value.to_string(),
            Value::Uint(value) => value.to_string(),
            Value::Double(value) => value.to_string(),
            Value::Text(text) => format!("'{}'", crate::load::shortened(text)),
            other => other.type_name().to_owned(),
        };
        Error::wrong(format!("`{}` cannot be made of {shown}", self.name()))
    }
}

/// A compiled pattern.
pub(super) fn pattern(text: &str) -> Result<regex::Regex, String> {
    let built = regex::RegexBuilder::new(text).size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        error => {
            let last = error.to_string();
            let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the pattern is wrong: {last}")
        }
    })
}

/// Whether a pattern fits somewhere in a text.
pub(super) fn is_match(pattern: &regex::Regex, text: &str, budget: &mut Budget) -> Result<bool, Error> {
    // A pattern that thrashes its cache takes its size for every byte.
    budget.steps(text.len() / 8 + 1)?;
    Ok(pattern.is_match(text))
}

fn size(value: Value, budget: &mut Budget) -> Result<Value, Error> {
    let length = match &value {
        Value::Text(text) => {
            budget.read(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(elements) => elements.len(),
        Value::Map(members) => members.len(),
        Value::Json(json) if json.as_str().starts_with('[') => {
            budget.read(json.len())?;
            serde_json::from_str::<Counted>(json.as_str()).map_or(0, |counted| counted.0)
        }
        Value::Json(_) => match value.open(budget)? {
            Value::Map(members) => members.len(),
            other => return size(other, budget),
        },
        other => return Err(Error::wrong(format!("`size` does not take {}", other.type_name()))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// Counts the elements of an array without keeping them.
struct Counted(usize);

impl<'de> serde::Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> serde::de::Visitor<'de> for Count {
            type Value = Counted;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut array: A) -> Result<Counted, A::Error> {
                let mut count = 0;
                while array.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Counted(count))
            }
        }
        deserializer.deserialize_seq(Count)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is looked at first")]
fn to_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        // Both ends are out: as doubles they may stand for ints beyond them.
        Value::Double(value) if value.abs() < 9_223_372_036_854_775_808.0 => Some(*value as i64),
        Value::Text(text) => text.parse().ok(),
        Value::Timestamp(moment) => Some(moment.seconds()),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is looked at first")]
fn to_uint(value: &Value) -> Option<u64> {
    match value {
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Uint(value) => Some(*value),
        Value::Double(value) if (0.0..18_446_744_073_709_551_616.0).contains(value) => Some(*value as u64),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is what the function gives")]
fn to_double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Uint(value) => Some(value.to_string()),
        Value::Double(value)
            if *value != 0.0 && !(1e-6..1e21).contains(&value.abs()) && value.is_finite() =>
        {
            Some(format!("{value:e}"))
        }
        Value::Double(value) => Some(value.to_string()),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Value::Timestamp(moment) => Some(moment.to_string()),
        Value::Duration(span) => Some(span.to_string()),
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Type(_) | Value::Json(_) => {
            None
        }
    }
}

impl Part {
    fn of(self, value: &Value, zone: Option<&Value>) -> Result<Value, Error> {
        let part = match (value, zone) {
            (Value::Timestamp(moment), None | Some(Value::Text(_))) => {
                let zone =
                    zone.and_then(|zone| if let Value::Text(zone) = zone { Some(&**zone) } else { None });
                let civil = moment.civil(zone).ok_or_else(|| {
                    let zone = crate::load::shortened(zone.unwrap_or_default());
                    Error::wrong(format!("there is no time zone '{zone}'"))
                })?;
                Some(self.of_civil(civil))
            }
            (Value::Duration(span), None) => self.of_span(*span),
            _ => None,
        };
        let name = Function::Part(self).name();
        part.map(Value::Int)
            .ok_or_else(|| Error::wrong(format!("`{name}` does not take {}", value.type_name())))
    }

    fn of_civil(self, civil: jiff::civil::DateTime) -> i64 {
        match self {
            Self::FullYear => civil.year().into(),
            Self::Month => i64::from(civil.month()) - 1,
            Self::DayOfYear => i64::from(civil.day_of_year()) - 1,
            Self::DayOfMonth => i64::from(civil.day()) - 1,
            Self::Date => civil.day().into(),
            Self::DayOfWeek => Weekday::Sunday.until(civil.weekday()).into(),
            Self::Hours => civil.hour().into(),
            Self::Minutes => civil.minute().into(),
            Self::Seconds => civil.second().into(),
            Self::Milliseconds => civil.millisecond().into(),
        }
    }

    fn of_span(self, span: Span) -> Option<i64> {
        match self {
            Self::Hours => Some(span.whole(3_600_000_000_000)),
            Self::Minutes => Some(span.whole(60_000_000_000)),
            Self::Seconds => Some(span.whole(1_000_000_000)),
            Self::Milliseconds => Some(span.whole(1_000_000) % 1000),
            Self::FullYear
            | Self::Month
            | Self::DayOfYear
            | Self::DayOfMonth
            | Self::Date
            | Self::DayOfWeek => None,
        }
    }
}
