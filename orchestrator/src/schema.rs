//! Checks a value against a skill's JSON Schema. The checker builds a tree of the value, which can be ninety
//! times its text: a value of too many parts is refused before.

use jsonschema::Validator;
use schemas::json::Json;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Most values inside one value that is checked: some 50 MiB as a tree.
const MAX_PARTS: usize = 500_000;

/// How a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer into the value.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

/// Checks a value; the first misfit counts.
pub fn check(schema: &Json, value: &Json) -> Result<(), Misfit> {
    let whole = |message: String| Misfit { pointer: String::new(), message };
    let validator = compile(schema).map_err(whole)?;
    let mut counter = Counter { left: MAX_PARTS };
    let mut stream = serde_json::Deserializer::from_str(value.as_str());
    counter
        .count(&mut stream)
        .map_err(|_| whole(format!("it holds more than {MAX_PARTS} values, too many to check")))?;
    let tree: Value = serde_json::from_str(value.as_str()).map_err(|error| whole(error.to_string()))?;
    validator.validate(&tree).map_err(|error| Misfit {
        pointer: error.instance_path().to_string(),
        message: error.to_string().chars().take(500).collect(),
    })
}

/// Whether a schema is one.
pub fn compile(schema: &Json) -> Result<Validator, String> {
    let schema: Value = serde_json::from_str(schema.as_str()).map_err(|error| error.to_string())?;
    jsonschema::validator_for(&schema).map_err(|error| format!("the schema is wrong: {error}"))
}

/// Counts values without keeping them.
struct Counter {
    left: usize,
}

impl Counter {
    fn count<'de, D: serde::Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn one<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.left = self.left.checked_sub(1).ok_or_else(|| E::custom("too many"))?;
        Ok(())
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for &mut Counter {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.count(deserializer)
    }
}

impl<'de> Visitor<'de> for &mut Counter {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.one()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.one()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.one()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.one()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.one()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.one()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.one()?;
        while seq.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.one()?;
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(&mut *self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn checked(schema: &str, value: &str) -> Option<String> {
        let parse = |text: &str| Json::parse(text).expect("the test's JSON is right");
        check(&parse(schema), &parse(value)).err().map(|misfit| misfit.pointer)
    }

    #[test]
    fn a_misfit_is_named_by_its_pointer() {
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
        assert_eq!(checked(schema, r#"{"n":1}"#), None);
        assert_eq!(checked(schema, r#"{"n":"x"}"#), Some("/n".to_owned()));
        assert_eq!(checked(schema, "{}"), Some(String::new()));
    }

    #[test]
    fn a_value_of_too_many_parts_is_refused_before_it_is_a_tree() {
        let bomb = format!("[{}0]", "0,".repeat(MAX_PARTS));
        assert_eq!(checked("true", &bomb), Some(String::new()));
    }

    #[test]
    fn a_schema_that_refers_elsewhere_is_not_fetched() {
        let schema = r#"{"$ref":"file:///etc/hostname"}"#;
        assert_eq!(checked(schema, "1"), Some(String::new()));
    }
}
