//! Bytes that a program wrote to one JSON value: checked and copied in one streaming pass, without a tree.
//!
//! The copy is compact; numbers beyond 64 bits become doubles; a number that is no double (`1e999`), a lone
//! surrogate and nesting beyond 128 are errors. A duplicate key stays: whoever reads takes the last.

use std::fmt;

use schemas::json::Json;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Why output is not one JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// There is none.
    #[error("the program ended without a result on stdout")]
    Empty,
    /// There is more than one.
    #[error("the program wrote more than one result on stdout (byte {at})")]
    Second {
        /// Where the second one begins.
        at: usize,
    },
    /// It is not text.
    #[error("the output is not UTF-8 (byte {at})")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// It is not JSON.
    #[error("the output is not JSON: {why}")]
    NotJson {
        /// What the parser says, with line and column.
        why: String,
    },
}

/// Takes a program's whole stdout as one JSON value.
pub fn parse_output(bytes: &[u8]) -> Result<Json, OutputError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| OutputError::NotUtf8 { at: error.valid_up_to() })?;
    if text.trim_ascii().is_empty() {
        return Err(OutputError::Empty);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut stream = serde_json::Deserializer::from_str(text);
    Copy { out: &mut out }.deserialize(&mut stream).map_err(|error| not_json(&error))?;
    if let Err(error) = stream.end() {
        return Err(second_or_garbage(text, &error));
    }
    let text = String::from_utf8(out)
        .map_err(|error| OutputError::NotUtf8 { at: error.utf8_error().valid_up_to() })?;
    Ok(Json::joined(text))
}

fn not_json(error: &serde_json::Error) -> OutputError {
    OutputError::NotJson { why: error.to_string() }
}

/// After a whole value comes something: another whole value is a second result, anything else is garbage.
fn second_or_garbage(text: &str, error: &serde_json::Error) -> OutputError {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next();
    let at = values.byte_offset();
    match values.next() {
        Some(Ok(_)) => OutputError::Second { at },
        Some(Err(_)) | None => not_json(error),
    }
}

/// Copies one value into `out`.
struct Copy<'a> {
    out: &'a mut Vec<u8>,
}

impl Copy<'_> {
    fn put<T: Serialize + ?Sized, E: serde::de::Error>(self, value: &T) -> Result<(), E> {
        value.serialize(&mut serde_json::Serializer::new(self.out)).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        serde_json::Serializer::new(self.out).serialize_unit().map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("number out of range"));
        }
        self.put(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        let start = self.out.len();
        loop {
            let before = self.out.len();
            if before > start {
                self.out.push(b',');
            }
            if seq.next_element_seed(Copy { out: self.out })?.is_none() {
                self.out.truncate(before);
                break;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let start = self.out.len();
        loop {
            let before = self.out.len();
            if before > start {
                self.out.push(b',');
            }
            if map.next_key_seed(Copy { out: self.out })?.is_none() {
                self.out.truncate(before);
                break;
            }
            if self.out.last() != Some(&b'"') {
                return Err(A::Error::custom("a key that is no string"));
            }
            self.out.push(b':');
            map.next_value_seed(Copy { out: self.out })?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: Result<&str, &str>) {
        let got = parse_output(input);
        let got = got.as_ref().map(Json::as_str).map_err(ToString::to_string);
        assert_eq!(got.as_ref().map(|text| *text).map_err(String::as_str), expected);
    }

    #[test]
    fn values_are_copied_compactly() {
        check(
            b" {\"a\" : [1, 2.5, -3, null, true, \"x\\n\"], \"b\":{}}\n",
            Ok(r#"{"a":[1,2.5,-3,null,true,"x\n"],"b":{}}"#),
        );
        check(b"[]", Ok("[]"));
        check(b"[[],[[]]]", Ok("[[],[[]]]"));
        check("\"\\u00e4\"".as_bytes(), Ok("\"ä\""));
    }

    #[test]
    fn numbers_beyond_64_bits_become_doubles() {
        check(b"18446744073709551615", Ok("18446744073709551615"));
        check(b"18446744073709551616", Ok("1.8446744073709552e+19"));
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        check(b"", Err("the program ended without a result on stdout"));
        check(b" \n", Err("the program ended without a result on stdout"));
        check(b"{} {}", Err("the program wrote more than one result on stdout (byte 2)"));
        check(b"{} x", Err("the output is not JSON: trailing characters at line 1 column 4"));
        check(b"\xff", Err("the output is not UTF-8 (byte 0)"));
        check(b"1e999", Err("the output is not JSON: number out of range at line 1 column 5"));
        check(b"NaN", Err("the output is not JSON: expected value at line 1 column 1"));
        check(br#""\ud800""#, Err("the output is not JSON: unexpected end of hex escape at line 1 column 8"));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(parse_output(&deep(127)).is_ok());
        assert!(parse_output(&deep(128)).is_err());
        assert!(parse_output(&vec![b'['; 100_000]).is_err());
    }

    #[test]
    fn a_bomb_of_small_objects_stays_at_its_size() {
        let bomb = format!("[{}{{}}]", "{\"a\":0},".repeat(100_000));
        let value = parse_output(bomb.as_bytes()).map(|value| value.len());
        assert_eq!(value, Ok(bomb.len()));
    }
}
