//! What later steps may use of a step's result.

use schemas::json::{self, Json};

use super::{
    Segment,
    select::select,
    splice::{object, string, text_form},
};

/// The output `name` of a step that gave `result` and declares `declared` (empty: every key may be used).
/// `data` is the whole result, `text` its text form; both shadow keys of these names.
pub fn output(result: &Json, declared: &[String], name: &str) -> Option<Json> {
    match name {
        "data" => return Some(result.clone()),
        "text" => return Some(string(&text_form(result))),
        _ => {}
    }
    if !declared.is_empty() && !declared.iter().any(|output| output == name) {
        return None;
    }
    let found = select(result, &[Segment::Key(name.to_owned())]);
    // One name and a result that has no such key: the name stands for the whole result.
    if found.is_none() && declared.len() == 1 { Some(result.clone()) } else { found }
}

/// All outputs as one object: the declared ones, else the result itself; a result that is no object is `data`.
pub fn outputs_object(result: &Json, declared: &[String]) -> Json {
    if declared.is_empty() {
        let is_object = result.as_str().starts_with('{');
        return if is_object { result.clone() } else { object(&[("data", result.clone())]) };
    }
    let outputs = declared.iter().filter_map(|name| Some((name.as_str(), output(result, declared, name)?)));
    object(&outputs.collect::<Vec<_>>())
}

/// The first declared output that the result lacks. A single name is never missing: it stands for the result.
pub fn missing_output(result: &Json, declared: &[String]) -> Option<String> {
    if declared.len() < 2 {
        return None;
    }
    let given = |name: &str| matches!(name, "data" | "text") || json::member(result.as_str(), name).is_some();
    declared.iter().find(|name| !given(name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[track_caller]
    fn check(result: &str, declared: &[&str], name: &str, expected: Option<&str>) {
        let found = output(&Json::parse(result).unwrap(), &names(declared), name);
        assert_eq!(found.as_ref().map(Json::as_str), expected);
    }

    #[test]
    fn every_key_without_a_list() {
        check(r#"{"a":1,"b":2}"#, &[], "b", Some("2"));
        check(r#"{"a":1}"#, &[], "b", None);
        check("[1]", &[], "a", None);
    }

    #[test]
    fn only_named_keys_with_a_list() {
        check(r#"{"a":1,"b":2}"#, &["a"], "a", Some("1"));
        check(r#"{"a":1,"b":2}"#, &["a"], "b", None);
        check(r#"{"a":1,"b":2}"#, &["a", "b"], "b", Some("2"));
    }

    #[test]
    fn a_single_name_stands_for_the_result() {
        check("[1, 2]", &["all"], "all", Some("[1, 2]"));
        check(r#"{"b":2}"#, &["all"], "all", Some(r#"{"b":2}"#));
        check(r#"{"all":null}"#, &["all"], "all", Some("null"));
        check("7", &["a", "b"], "a", None);
    }

    #[test]
    fn data_and_text_shadow_keys() {
        check(r#"{"data":1,"text":2}"#, &[], "data", Some(r#"{"data":1,"text":2}"#));
        check(r#"{ "text" : 2 }"#, &["x"], "text", Some(r#""{\"text\":2}""#));
        check(r#""plain""#, &[], "text", Some(r#""plain""#));
    }

    #[test]
    fn outputs_as_one_object() {
        let check = |result: &str, declared: &[&str], expected: &str| {
            let outputs = outputs_object(&Json::parse(result).unwrap(), &names(declared));
            assert_eq!(outputs.as_str(), expected);
        };
        check(r#"{"a":1,"b":2}"#, &[], r#"{"a":1,"b":2}"#);
        check(r#"{"a":1,"b":2}"#, &["b"], r#"{"b":2}"#);
        check("7", &["n"], r#"{"n":7}"#);
        check("7", &[], r#"{"data":7}"#);
    }

    #[test]
    fn missing_outputs_are_named() {
        let missing =
            |result: &str, declared: &[&str]| missing_output(&Json::parse(result).unwrap(), &names(declared));
        assert_eq!(missing(r#"{"a":1}"#, &["a", "b"]), Some("b".to_owned()));
        assert_eq!(missing(r#"{"a":1}"#, &["b"]), None);
        assert_eq!(missing(r#"{"a":1}"#, &["a", "data"]), None);
        assert_eq!(missing("1", &[]), None);
    }
}
