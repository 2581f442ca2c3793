//! Finds a value inside a JSON text, layer by layer: what is not on the way is skipped, never built.

use std::collections::BTreeMap;

use schemas::json::{self, Json};

use super::Segment;

/// The value at `path`; `None` where the way ends early. Of a key that stands twice the last counts.
pub fn select(value: &Json, path: &[Segment]) -> Option<Json> {
    if path.is_empty() {
        return Some(value.clone());
    }
    let mut text = value.as_str();
    for segment in path {
        let found = match segment {
            Segment::Key(key) => json::member(text, key)?,
            Segment::Index(index) => json::element(text, *index)?,
        };
        text = found.get();
    }
    Some(value.part(text))
}

/// The value of `key` if it is the only key of an object.
pub fn single_member(value: &Json, key: &str) -> Option<Json> {
    Some(value.part(json::only_member(value.as_str(), key)?.get()))
}

/// The elements of an array; `None`: it is none.
pub fn elements(array: &Json) -> Option<Vec<Json>> {
    let raw: Vec<&serde_json::value::RawValue> = serde_json::from_str(array.as_str()).ok()?;
    Some(raw.into_iter().map(|element| array.part(element.get())).collect())
}

/// The members of an object; `None`: it is none.
pub fn members(object: &Json) -> Option<BTreeMap<String, Json>> {
    let raw: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(object.as_str()).ok()?;
    Some(raw.into_iter().map(|(name, value)| (name, object.part(value.get()))).collect())
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
    fn deep_text_is_walked_without_a_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, &[key("b")], Some("1"));
    }
}
