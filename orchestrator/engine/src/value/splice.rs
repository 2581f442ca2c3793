//! Puts JSON texts together and takes strings out of them.

use std::borrow::Cow;

use schemas::json::Json;

/// An object of the given members, in their order.
pub fn object(members: &[(&str, Json)]) -> Json {
    let mut text = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_string(name, &mut text);
        text.push(':');
        text.push_str(value.as_str());
    }
    text.push('}');
    Json::joined(text)
}

/// An array of the given elements.
pub fn array(elements: &[Json]) -> Json {
    let texts: Vec<_> = elements.iter().map(Json::as_str).collect();
    Json::joined(format!("[{}]", texts.join(",")))
}

/// The text form of a value: a string as it is, any other value as compact JSON.
pub fn text_form(value: &Json) -> Cow<'_, str> {
    let text = value.as_str();
    if text.starts_with('"') {
        // A string that has no form in UTF-8 (a lone surrogate) is refused where outputs come in.
        return serde_json::from_str(text).map_or(Cow::Borrowed(text), Cow::Owned);
    }
    compact(text)
}

/// JSON text without white space between its tokens.
fn compact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut kept = 0;
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if byte.is_ascii_whitespace() {
            out.push_str(&text[kept..at]);
            kept = at + 1;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// Appends a string as JSON.
pub(super) fn push_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a string has a JSON form"));
}

/// A string as a JSON value.
pub(super) fn string(text: &str) -> Json {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(text, &mut out);
    Json::joined(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(text_form(&Json::parse(value).unwrap()), expected);
    }

    #[test]
    fn strings_are_taken_out_and_other_values_compacted() {
        check(r#""a \"b\" \u00e4""#, "a \"b\" ä");
        check("{ \"a b\" : [ 1 ,\n 2 ] }", r#"{"a b":[1,2]}"#);
        check(r#"{"a":"x \" \\"  ,  "b":1}"#, r#"{"a":"x \" \\","b":1}"#);
        check("1.50", "1.50");
        check("null", "null");
    }

    #[test]
    fn a_lone_surrogate_stays_text() {
        check(r#""\ud800""#, r#""\ud800""#);
    }

    #[test]
    fn objects_keep_order_and_escape_names() {
        let one = Json::parse("1").unwrap();
        assert_eq!(object(&[("b\"", one.clone()), ("a", one)]).as_str(), r#"{"b\"":1,"a":1}"#);
        assert_eq!(object(&[]).as_str(), "{}");
    }
}
