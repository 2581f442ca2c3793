//! Finds a value inside a JSON text, layer by layer: what is not on the way is skipped, never built.

use std::fmt;

use schemas::json::Json;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Segment;

/// The value at `path`; `None` where the way ends early. Of a key that stands twice the last counts.
pub fn select(value: &Json, path: &[Segment]) -> Option<Json> {
    if path.is_empty() {
        return Some(value.clone());
    }
    let mut text = value.as_str();
    for segment in path {
        text = match segment {
            Segment::Key(key) => member(text, key)?,
            Segment::Index(index) => element(text, *index)?,
        };
    }
    Json::parse(text).ok()
}

/// The value of `key` if it is the only key of an object.
pub fn single_member(value: &Json, key: &str) -> Option<Json> {
    let mut reader = serde_json::Deserializer::from_str(value.as_str());
    let only = reader.deserialize_map(OnlyMember(key)).ok().flatten()?;
    Json::parse(only.get()).ok()
}

/// The elements of an array; `None`: it is none.
pub fn elements(array: &Json) -> Option<Vec<Json>> {
    let raw: Vec<&RawValue> = serde_json::from_str(array.as_str()).ok()?;
    raw.into_iter().map(|element| Json::parse(element.get()).ok()).collect()
}

/// The text of a member of an object.
pub(super) fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut reader = serde_json::Deserializer::from_str(object);
    reader.deserialize_map(FindMember(key)).ok().flatten().map(RawValue::get)
}

fn element(array: &str, index: u64) -> Option<&str> {
    let mut reader = serde_json::Deserializer::from_str(array);
    reader.deserialize_seq(FindElement(index)).ok().flatten().map(RawValue::get)
}

struct FindMember<'k>(&'k str);

impl<'de> Visitor<'de> for FindMember<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_key) = map.next_key_seed(KeyIs(self.0))? {
            if is_key {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

struct OnlyMember<'k>(&'k str);

impl<'de> Visitor<'de> for OnlyMember<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut others = false;
        while let Some(is_key) = map.next_key_seed(KeyIs(self.0))? {
            found = Some(map.next_value()?);
            others |= !is_key;
        }
        Ok(found.filter(|_| !others))
    }
}

/// Compares a key without keeping it.
struct KeyIs<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

struct FindElement(u64);

impl<'de> Visitor<'de> for FindElement {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = elements.next_element()?;
        // The reader wants the array to be read to its end.
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Segment {
        Segment::Key(key.to_owned())
    }

    #[track_caller]
    fn check(value: &str, path: &[Segment], expected: Option<&str>) {
        let found = select(&Json::parse(value).unwrap(), path);
        assert_eq!(found.as_ref().map(Json::as_str), expected);
    }

    #[test]
    fn walks_objects_and_arrays() {
        let value = r#"{"a": [10, {"b c": null, "d\"": "x"}], "": 1}"#;
        check(value, &[], Some(value));
        check(value, &[key("a"), Segment::Index(0)], Some("10"));
        check(value, &[key("a"), Segment::Index(1), key("b c")], Some("null"));
        check(value, &[key("a"), Segment::Index(1), key("d\"")], Some("\"x\""));
        check(value, &[key("")], Some("1"));
        check(value, &[key("a"), Segment::Index(2)], None);
        check(value, &[key("a"), Segment::Index(u64::MAX)], None);
        check(value, &[key("a"), key("b")], None);
        check(value, &[key("b")], None);
        check(value, &[Segment::Index(0)], None);
        check("7", &[key("a")], None);
    }

    #[test]
    fn the_last_of_two_keys_counts() {
        check(r#"{"a":1,"a":2}"#, &[key("a")], Some("2"));
        check(r#"{"a":1,"\u0061":2}"#, &[key("a")], Some("2"));
    }

    #[test]
    fn a_single_member_has_no_other_beside_it() {
        let single =
            |text: &str| single_member(&Json::parse(text).unwrap(), "error").map(|v| v.as_str().to_owned());
        assert_eq!(single(r#"{"error":{"code":1}}"#).as_deref(), Some(r#"{"code":1}"#));
        assert_eq!(single(r#"{"error":1,"error":2}"#).as_deref(), Some("2"));
        assert_eq!(single(r#"{"error":1,"a":2}"#), None);
        assert_eq!(single(r#"{"a":1}"#), None);
        assert_eq!(single("{}"), None);
        assert_eq!(single("[]"), None);
    }

    #[test]
    fn deep_text_is_walked_without_a_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, &[key("b")], Some("1"));
    }
}
