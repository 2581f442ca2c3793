//! Parts of a JSON text: what is not asked for is skipped, never built. Of a key that stands twice the last
//! counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The value of `key`; `None` if there is none, or the text is no object.
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(object).deserialize_map(FindMember(key)).ok()?
}

/// The value of `key` if it is the only key of an object.
pub fn only_member<'a>(object: &'a str, key: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(object).deserialize_map(OnlyMember(key)).ok()?
}

/// The element at `index`, counted from 0; `None` if there is none, or the text is no array.
pub fn element(array: &str, index: u64) -> Option<&RawValue> {
    serde_json::Deserializer::from_str(array).deserialize_seq(FindElement(index)).ok()?
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

    #[track_caller]
    fn check(found: Option<&RawValue>, expected: Option<&str>) {
        assert_eq!(found.map(RawValue::get), expected);
    }

    #[test]
    fn members_are_found_by_their_key() {
        let object = r#"{"a": [1], "d\"": "x", "": null}"#;
        check(member(object, "a"), Some("[1]"));
        check(member(object, "d\""), Some("\"x\""));
        check(member(object, ""), Some("null"));
        check(member(object, "b"), None);
        check(member(r#"{"a":1,"\u0061":2}"#, "a"), Some("2"));
        for other in ["[1]", "7", "\"a\"", "{", ""] {
            check(member(other, "a"), None);
        }
    }

    #[test]
    fn a_single_member_has_no_other_beside_it() {
        check(only_member(r#"{"error":{"code":1}}"#, "error"), Some(r#"{"code":1}"#));
        check(only_member(r#"{"error":1,"error":2}"#, "error"), Some("2"));
        check(only_member(r#"{"error":1,"a":2}"#, "error"), None);
        check(only_member(r#"{"a":1}"#, "error"), None);
        check(only_member("{}", "error"), None);
        check(only_member("[]", "error"), None);
    }

    #[test]
    fn elements_are_counted_from_0() {
        check(element("[10, {}]", 0), Some("10"));
        check(element("[10, {}]", 1), Some("{}"));
        check(element("[10, {}]", 2), None);
        check(element("[10]", u64::MAX), None);
        check(element("{}", 0), None);
    }

    #[test]
    fn deep_text_is_skipped_without_a_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(member(&format!("{{\"a\":{deep},\"b\":1}}"), "b"), Some("1"));
        check(element(&format!("[{deep},1]"), 1), Some("1"));
    }
}
