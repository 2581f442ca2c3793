//! [`Value`]: a value while an expression is evaluated. Arrays and objects of JSON stay text until something looks
//! into them, and are opened one layer at a time.

use std::{cmp::Ordering, collections::BTreeMap, fmt, sync::Arc};

use schemas::json::Json;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Error,
    budget::Budget,
    time::{Moment, Span},
};

/// Bytes that one element of a list takes, and one member of a map besides its key.
pub(super) const ELEMENT: usize = 32;
pub(super) const MEMBER: usize = 96;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Value>>),
    Map(Arc<BTreeMap<Key, Value>>),
    Timestamp(Moment),
    Duration(Span),
    Type(&'static str),
    /// An array or an object that nobody has looked into.
    Json(Json),
}

/// A key of a map. `1` and `1u` are the same key.
#[derive(Debug, Clone)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(Arc<str>),
}

impl Key {
    fn rank(&self) -> (u8, i128) {
        match self {
            Self::Bool(value) => (0, i128::from(*value)),
            Self::Int(value) => (1, i128::from(*value)),
            Self::Uint(value) => (1, i128::from(*value)),
            Self::Text(_) => (2, 0),
        }
    }

    /// The key that a value is.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Int(*value)),
            Value::Uint(value) => Some(Self::Uint(*value)),
            Value::Text(text) => Some(Self::Text(Arc::clone(text))),
            Value::Double(value) => super::operators::exact_int(*value).map(Self::Int),
            Value::Null
            | Value::Bytes(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Timestamp(_)
            | Value::Duration(_)
            | Value::Type(_)
            | Value::Json(_) => None,
        }
    }

    /// The key as a value.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => Value::Uint(*value),
            Self::Text(text) => Value::Text(Arc::clone(text)),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl Value {
    /// A text, paid for.
    pub(super) fn text(text: &str, budget: &mut Budget) -> Result<Self, Error> {
        budget.bytes(text.len())?;
        Ok(Self::Text(text.into()))
    }

    /// A list, paid for.
    pub(super) fn list(elements: Vec<Self>, budget: &mut Budget) -> Result<Self, Error> {
        budget.bytes(elements.len() * ELEMENT)?;
        Ok(Self::List(Arc::new(elements)))
    }

    /// The name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Json(json) if json.as_str().starts_with('[') => "list",
            Self::Map(_) | Self::Json(_) => "map",
        }
    }

    /// A value that came in as JSON. Whole numbers are int, then uint, then double.
    pub(super) fn from_json(json: &Json, budget: &mut Budget) -> Result<Self, Error> {
        match json.as_str().as_bytes()[0] {
            b'[' | b'{' => Ok(Self::Json(json.clone())),
            _ => Self::from_raw(json.as_str(), budget),
        }
    }

    /// A value from JSON text that was read already.
    fn from_raw(text: &str, budget: &mut Budget) -> Result<Self, Error> {
        match text.as_bytes()[0] {
            b'n' => Ok(Self::Null),
            b't' => Ok(Self::Bool(true)),
            b'f' => Ok(Self::Bool(false)),
            b'"' => {
                budget.bytes(text.len())?;
                let unquoted = if text.contains('\\') {
                    let unescaped = serde_json::from_str::<String>(text);
                    unescaped.map_err(|_| Error::wrong("a string has no form in UTF-8"))?.into()
                } else {
                    text[1..text.len() - 1].into()
                };
                Ok(Self::Text(unquoted))
            }
            b'[' | b'{' => {
                budget.bytes(text.len())?;
                Json::parse(text).map(Self::Json).map_err(|error| Error::wrong(error.to_string()))
            }
            _ => number(text),
        }
    }

    /// The value with its outermost layer opened: never `Json`.
    pub(super) fn open(self, budget: &mut Budget) -> Result<Self, Error> {
        let Self::Json(json) = &self else { return Ok(self) };
        budget.read(json.len())?;
        let mut failed = None;
        let mut reader = serde_json::Deserializer::from_str(json.as_str());
        let layer = Layer { budget, failed: &mut failed };
        let opened = if json.as_str().starts_with('[') {
            reader.deserialize_seq(layer)
        } else {
            reader.deserialize_map(layer)
        };
        opened.map_err(|error| failed.unwrap_or_else(|| Error::wrong(error.to_string())))
    }

    /// The value as JSON text.
    pub(super) fn into_json(self, budget: &mut Budget) -> Result<Json, Error> {
        if let Self::Json(json) = self {
            return Ok(json);
        }
        let mut text = String::new();
        self.write(&mut text, budget)?;
        Json::parse(&text).map_err(|error| Error::wrong(format!("the value has no JSON form: {error}")))
    }

    fn write(&self, out: &mut String, budget: &mut Budget) -> Result<(), Error> {
        budget.steps(1)?;
        let before = out.len();
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Uint(value) => out.push_str(&value.to_string()),
            Self::Double(value) => {
                let number = serde_json::Number::from_f64(*value);
                out.push_str(
                    &number.ok_or_else(|| Error::wrong(format!("{value} has no JSON form")))?.to_string(),
                );
            }
            Self::Text(text) => quoted(text, out),
            Self::Bytes(bytes) => {
                use base64::{Engine as _, engine::general_purpose::STANDARD};
                quoted(&STANDARD.encode(bytes), out);
            }
            Self::List(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    element.write(out, budget)?;
                }
                out.push(']');
            }
            Self::Map(members) => write_members(members, out, budget)?,
            Self::Timestamp(moment) => quoted(&moment.to_string(), out),
            Self::Duration(span) => quoted(&span.to_string(), out),
            Self::Type(name) => quoted(name, out),
            Self::Json(json) => out.push_str(json.as_str()),
        }
        // What is inside was paid for where it was written, and once more here at most for each layer.
        budget.bytes(if matches!(self, Self::List(_) | Self::Map(_)) { 2 } else { out.len() - before })
    }
}

fn write_members(members: &BTreeMap<Key, Value>, out: &mut String, budget: &mut Budget) -> Result<(), Error> {
    out.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        let Key::Text(name) = key else {
            let kind = key.value().type_name();
            return Err(Error::wrong(format!("a map with a key of the type {kind} has no JSON form")));
        };
        if index > 0 {
            out.push(',');
        }
        budget.bytes(name.len())?;
        quoted(name, out);
        out.push(':');
        value.write(out, budget)?;
    }
    out.push('}');
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string has a JSON form"));
}

fn number(text: &str) -> Result<Value, Error> {
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(int) = text.parse() {
            return Ok(Value::Int(int));
        }
        if let Ok(uint) = text.parse() {
            return Ok(Value::Uint(uint));
        }
    }
    text.parse().map(Value::Double).map_err(|_| Error::wrong(format!("{text} is no number")))
}

/// Opens one layer of a JSON text. An error of the budget is handed on in `failed`.
struct Layer<'b> {
    budget: &'b mut Budget,
    failed: &'b mut Option<Error>,
}

impl Layer<'_> {
    fn pay<T, E: serde::de::Error>(
        &mut self,
        act: impl FnOnce(&mut Budget) -> Result<T, Error>,
    ) -> Result<T, E> {
        act(self.budget).map_err(|error| {
            *self.failed = Some(error);
            E::custom("stopped")
        })
    }
}

impl<'de> Visitor<'de> for Layer<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element::<&'de RawValue>()? {
            elements.push(self.pay(|budget| {
                budget.bytes(2 * ELEMENT)?;
                Value::from_raw(element.get(), budget)
            })?);
        }
        Ok(Value::List(Arc::new(elements)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = object.next_key::<std::borrow::Cow<'de, str>>()? {
            let value = object.next_value::<&'de RawValue>()?;
            let value = self.pay(|budget| {
                budget.bytes(MEMBER + name.len())?;
                budget.steps(1)?;
                Value::from_raw(value.get(), budget)
            })?;
            members.insert(Key::Text(name.as_ref().into()), value);
        }
        Ok(Value::Map(Arc::new(members)))
    }
}
