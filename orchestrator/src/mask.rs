//! Masking of secrets in whatever is captured or handed on: the values themselves, and the forms that programs
//! commonly give them. A program that is bent on telling a secret can still disguise it.

mod forms;
mod search;
mod stream;

use std::borrow::Cow;

use schemas::{failure::Failure, journal::Outcome, journal::Output, json::Json};

use self::search::Search;
pub use self::stream::Stream;

/// What stands in the place of a secret.
pub const MASK: &str = "***";
/// Values shorter than this cannot be secrets: masking them would mask what is none.
pub const LEAST: usize = 6;

/// Why there is no masker.
#[derive(Debug, thiserror::Error)]
#[error("make the search for secrets")]
pub struct Error(#[from] aho_corasick::BuildError);

/// Finds secrets and puts [`MASK`] in their place.
pub struct Masker {
    /// `None`: there are no secrets.
    search: Option<Search>,
    forms: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}

impl Masker {
    /// A masker of these values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let forms = forms::all(values);
        if forms.is_empty() {
            return Ok(Self { search: None, forms });
        }
        Ok(Self { search: Some(Search::new(&forms)?), forms })
    }

    /// Whether there is anything to mask.
    pub fn is_idle(&self) -> bool {
        self.search.is_none()
    }

    /// A text without secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(search) = &self.search else { return Cow::Borrowed(text) };
        let mut masked = String::new();
        let mut done = 0;
        for found in search.all(text.as_bytes()) {
            masked.push_str(&text[done..found.start]);
            masked.push_str(MASK);
            done = found.end;
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        masked.push_str(&text[done..]);
        Cow::Owned(masked)
    }

    /// A value without secrets: whatever way its text is escaped, and numbers too.
    pub fn json(&self, value: &Json) -> Json {
        let text = value.as_str();
        let Some(search) = &self.search else { return value.clone() };
        // Without an escape the text is what it says.
        if !search.is_in(text.as_bytes()) && memchr::memchr(b'\\', text.as_bytes()).is_none() {
            return value.clone();
        }
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            let length = token(rest, first);
            let (token, after) = rest.split_at(length);
            match first {
                b'"' => self.push_string(token, &mut masked),
                b'-' | b'0'..=b'9' if search.is_in(token.as_bytes()) => push_quoted(MASK, &mut masked),
                _ => masked.push_str(token),
            }
            rest = after;
        }
        Json::parse(&masked).unwrap_or_else(|_| Json::null())
    }

    /// The result of an attempt without secrets.
    pub fn outcome(&self, outcome: Outcome) -> Outcome {
        if self.is_idle() {
            return outcome;
        }
        match outcome {
            Outcome::Completed(Output::Inline(value)) => {
                Outcome::Completed(Output::Inline(self.json(&value)))
            }
            Outcome::Failed(failure) => Outcome::Failed(Box::new(self.failure(*failure))),
            outcome @ (Outcome::Completed(Output::File { .. }) | Outcome::Cancelled) => outcome,
        }
    }

    fn failure(&self, failure: Failure) -> Failure {
        let masked = Json::from_serialize(&failure).ok().map(|text| self.json(&text));
        let masked = masked.and_then(|text| serde_json::from_str(text.as_str()).ok());
        // What cannot be told without its secrets is told without its words.
        masked.unwrap_or_else(|| Failure {
            message: MASK.to_owned(),
            details: schemas::failure::Details::default(),
            ..failure
        })
    }

    fn push_string(&self, token: &str, masked: &mut String) {
        let inner = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(plain) = inner.filter(|inner| memchr::memchr(b'\\', inner.as_bytes()).is_none()) {
            // Without an escape it is what it says; nor does the mask need one.
            masked.push('"');
            masked.push_str(&self.text(plain));
            masked.push('"');
            return;
        }
        match serde_json::from_str::<String>(token) {
            Ok(plain) => match self.text(&plain) {
                Cow::Borrowed(_) => masked.push_str(token),
                Cow::Owned(plain) => push_quoted(&plain, masked),
            },
            // The text is JSON, so that this cannot be.
            Err(_) => push_quoted(MASK, masked),
        }
    }
}

fn push_quoted(text: &str, to: &mut String) {
    match serde_json::to_string(text) {
        Ok(quoted) => to.push_str(&quoted),
        Err(_) => to.push_str("null"),
    }
}

/// The length of the string, the number or the other character with which a JSON text goes on.
fn token(rest: &str, first: u8) -> usize {
    let bytes = rest.as_bytes();
    match first {
        b'"' => {
            let mut at = 1;
            while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
                at += found;
                if bytes[at] == b'"' {
                    return at + 1;
                }
                at += 2;
            }
            bytes.len()
        }
        b'-' | b'0'..=b'9' => {
            let ends = |byte: &u8| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
            bytes.iter().position(ends).unwrap_or(bytes.len())
        }
        _ => rest.chars().next().map_or(1, char::len_utf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "pass word/1+ü\"\n";

    fn masker() -> Masker {
        Masker::new([SECRET, "123456", "first line\nsecond line\nend"]).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(masker().text(text), expected);
    }

    #[test]
    fn values_and_their_forms_are_masked() {
        check("nothing here", "nothing here");
        check(&format!("a{SECRET}b{SECRET}"), "a***b***");
        check("a: 1234567", "a: ***7");
        check(r#"{"a":"pass word/1+ü\"\n"}"#, r#"{"a":"***"}"#);
        check(r#"{"a":"pass word/1+\u00fc\"\n"}"#, r#"{"a":"***"}"#);
        check("q=pass%20word%2F1%2B%C3%BC%22%0A&", "q=***&");
        check("q=pass%20word%2f1%2b%c3%bc%22%0a&", "q=***&");
        check("q=pass+word%2F1%2B%C3%BC%22%0A&", "q=***&");
    }

    #[test]
    fn lines_of_a_value_are_masked_alone() {
        check("x second line y", "x *** y");
        check("first line", "***");
        // Too short to be told from what is no secret.
        check("the end", "the end");
    }

    #[test]
    fn base64_is_masked_at_every_alignment() {
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
        let secret = "\u{ff}\u{fe}~~token??>>";
        let masker = Masker::new([secret]).unwrap();
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "z", "zz"] {
                let plain = format!("{before}{secret}{after}");
                for text in [BASE64_STANDARD.encode(&plain), BASE64_URL_SAFE.encode(&plain)] {
                    let masked = masker.text(&text).into_owned();
                    assert!(masked.contains(MASK), "{plain}: {text}");
                    // What is left beside the mask holds at most a part of a byte at either end.
                    assert!(masked.len() <= MASK.len() + 12, "{plain}: {masked}");
                }
            }
        }
    }

    #[test]
    fn base64_in_lines_is_masked() {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let secret: String = (0..200).map(|number| char::from(b'!' + number % 90)).collect();
        let masker = Masker::new([secret.as_str()]).unwrap();
        for width in [64, 76] {
            let encoded = BASE64_STANDARD.encode(format!("{secret}\n"));
            let lines: Vec<_> = encoded.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
            let masked = masker.text(&lines.join("\n")).into_owned();
            assert!(masked.lines().all(|line| line.starts_with(MASK) && line.len() < 10), "{masked}");
        }
    }

    #[track_caller]
    fn check_json(value: &str, expected: &str) {
        let masked = masker().json(&Json::parse(value).unwrap());
        assert_eq!(masked.as_str(), expected);
    }

    #[test]
    fn values_stay_json() {
        check_json(r#"{"a":[1,true,null,"x\ny"]}"#, r#"{"a":[1,true,null,"x\ny"]}"#);
        check_json(r#"{"pin":123456,"more":-99123456.5e3}"#, r#"{"pin":"***","more":"***"}"#);
        check_json(r#"{"a123456":"\u0031\u00323456"}"#, r#"{"a***":"***"}"#);
        check_json(r#"["pass word\/1\u002b\u00FC\u0022\u000a"]"#, r#"["***"]"#);
        check_json(r#""\\\"123456""#, r#""\\\"***""#);
        check_json("\"ü\"", "\"ü\"");
        check_json("\"\"", "\"\"");
        // The quotes around a text are no part of a secret that ends, or begins, with one.
        let quoted = Masker::new(["foobar\"", "\"foobaz"]).unwrap();
        let value = Json::parse(r#"["foobar","foobaz"]"#).unwrap();
        assert_eq!(quoted.json(&value).as_str(), value.as_str());
    }

    #[test]
    fn failures_are_masked_and_stay_failures() {
        let failure = Failure {
            step: Some("a".to_owned()),
            code: schemas::failure::Code::ExitCode,
            message: "it said 123456".to_owned(),
            retryable: true,
            details: schemas::failure::Details {
                stderr: vec!["x second line".to_owned()],
                ..Default::default()
            },
        };
        let Outcome::Failed(masked) = masker().outcome(Outcome::Failed(Box::new(failure.clone()))) else {
            unreachable!("a failure stays one")
        };
        assert_eq!(masked.message, "it said ***");
        assert_eq!(masked.details.stderr, ["x ***"]);
        assert_eq!((masked.step, masked.code), (failure.step, failure.code));
    }

    #[test]
    fn without_secrets_nothing_is_done() {
        let idle = Masker::new([]).unwrap();
        assert!(idle.is_idle());
        assert_eq!(idle.text("123456"), "123456");
    }
}
