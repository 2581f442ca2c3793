//! Work on JSON as text: check, compact, change the strings. No tree is built, since 16 MiB of small
//! objects would become more than a gigabyte of them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Takes text of unknown origin that must be exactly one JSON value, and gives it compact.
///
/// It is stricter than a scan for the end of the value: a number beyond every double and a lone surrogate
/// are errors here, since no later reader could take them. A byte order mark is tolerated.
pub(super) fn checked(text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<Strict>(text)?;
    RawValue::from_string(compact(text))
}

/// A value as plain text: a string as what it says, all else as compact JSON.
pub(super) fn plain_text(value: &RawValue) -> Result<String, serde_json::Error> {
    if value.get().starts_with('"') { serde_json::from_str(value.get()) } else { Ok(compact(value.get())) }
}

/// Changes every string that is a value, not a key, of valid JSON; all else stays as it is, digit for
/// digit.
pub(super) fn map_strings(
    text: &str,
    change: impl Fn(&str) -> String,
) -> Result<Box<RawValue>, serde_json::Error> {
    let compact = compact(text);
    let mut out = String::with_capacity(compact.len());
    let mut rest = compact.as_str();
    while let Some(start) = rest.find('"') {
        let (before, from_quote) = rest.split_at(start);
        let (string, after) = from_quote.split_at(string_length(from_quote));
        out.push_str(before);
        // In compact text a colon follows a key at once, and nothing else.
        if after.starts_with(':') {
            out.push_str(string);
        } else {
            let value: String = serde_json::from_str(string)?;
            out.push_str(&serde_json::to_string(&change(&value))?);
        }
        rest = after;
    }
    out.push_str(rest);
    RawValue::from_string(out)
}

/// Valid JSON less the white space between its tokens.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let (before, from_quote) = rest.split_at(start);
        let (string, after) = from_quote.split_at(string_length(from_quote));
        push_dense(&mut out, before);
        out.push_str(string);
        rest = after;
    }
    push_dense(&mut out, rest);
    out
}

fn push_dense(out: &mut String, text: &str) {
    for run in text.split([' ', '\n', '\r', '\t']) {
        out.push_str(run);
    }
}

/// Length of the string literal with which `text` begins, both quotes counted.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Reads a whole value and keeps nothing of it.
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
        Ok(Strict)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
        while seq.next_element::<Strict>()?.is_some() {}
        Ok(Strict)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        while map.next_entry::<Strict, Strict>()?.is_some() {}
        Ok(Strict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let checked = checked(text).ok();
        assert_eq!(checked.as_deref().map(RawValue::get), expected, "{text}");
    }

    #[test]
    fn keeps_values_and_drops_white_space() {
        check(" { \"a b\" : [ 1 , 2.50 , \"x \\\" y\\\\\" ] ,\n\t\"c\":null }\r\n", {
            Some(r#"{"a b":[1,2.50,"x \" y\\"],"c":null}"#)
        });
        check("\u{feff}[]", Some("[]"));
        check("123456789012345678901234567890", Some("123456789012345678901234567890"));
        check(r#""\ud83d\ude00""#, Some(r#""\ud83d\ude00""#));
        check(r#"{"a":1,"a":2}"#, Some(r#"{"a":1,"a":2}"#));
    }

    #[test]
    fn refuses_what_no_reader_could_take() {
        for text in
            ["", " ", "{", "[1,]", "nul", "NaN", "01", "1 2", "1e999", r#""\ud83d""#, "\"\n\"", "{1:2}"]
        {
            check(text, None);
        }
        check(&"[".repeat(100_000), None);
        check(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), None);
    }

    #[test]
    fn changes_values_only() {
        let shout = |text: &str| text.to_uppercase();
        let changed = map_strings(
            r#" { "key" : "a\"b" , "n" : 1.50 , "l" : [ "x:", "\u00e9", { "k":"v" } ] } "#,
            shout,
        );
        assert_eq!(changed.expect("valid").get(), r#"{"key":"A\"B","n":1.50,"l":["X:","É",{"k":"V"}]}"#);
        assert_eq!(map_strings("\"a\"", shout).expect("valid").get(), "\"A\"");
        assert_eq!(map_strings("{}", shout).expect("valid").get(), "{}");
    }
}
