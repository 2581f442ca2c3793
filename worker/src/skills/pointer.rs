//! JSON pointers (RFC 6901) into JSON text. One layer is scanned at a time and nothing is built: the text
//! may come from anywhere.

use std::borrow::Cow;

use schemas::json;
use serde_json::value::RawValue;

/// Why a pointer gave nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// It is not a JSON pointer.
    #[error("not a JSON pointer: it is empty or begins with `/`, and `~` stands before `0` or `1` only")]
    Syntax,
    /// There is no value at this place; the text is the pointer so far.
    #[error("there is no value at `{0}`")]
    NotFound(String),
}

/// Appends one reference token, escaped.
pub(super) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

/// The value in `text` (valid JSON) at which `pointer` points. Of a repeated key the last one counts.
pub(super) fn resolve<'a>(text: &'a RawValue, pointer: &str) -> Result<&'a RawValue, Error> {
    let mut value = text;
    let mut seen = String::new();
    for token in tokens(pointer)? {
        push(&mut seen, &token);
        value = step(value, &token).ok_or_else(|| Error::NotFound(seen.clone()))?;
    }
    Ok(value)
}

fn tokens(pointer: &str) -> Result<Vec<Cow<'_, str>>, Error> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or(Error::Syntax)?;
    rest.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Result<Cow<'_, str>, Error> {
    if !token.contains('~') {
        return Ok(Cow::Borrowed(token));
    }
    if token.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        return Err(Error::Syntax);
    }
    Ok(Cow::Owned(token.replace("~1", "/").replace("~0", "~")))
}

/// One layer down.
fn step<'a>(value: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => json::member(text, token),
        b'[' => json::element(text, array_index(token)?),
        _ => None,
    }
}

/// An array index has no sign and no leading zero.
fn array_index(token: &str) -> Option<u64> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    canonical.then(|| token.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"~1":9,"k\"l":6,
        "deep":[{"x":1},{"x":{"y":[10,20,30]}}],"twice":1,"twice":2,"é":"e","nothing":null}"#;

    #[track_caller]
    fn check(pointer: &str, expected: &Result<&str, Error>) {
        let document: &RawValue = serde_json::from_str(DOCUMENT).expect("valid");
        assert_eq!(&resolve(document, pointer).map(RawValue::get), expected, "{pointer}");
    }

    #[test]
    fn finds_what_the_rfc_says() {
        check("", &Ok(DOCUMENT));
        check("/foo", &Ok(r#"["bar","baz"]"#));
        check("/foo/0", &Ok(r#""bar""#));
        check("/foo/1", &Ok(r#""baz""#));
        check("/", &Ok("0"));
        check("/a~1b", &Ok("1"));
        check("/m~0n", &Ok("8"));
        check("/~01", &Ok("9"));
        check("/k\"l", &Ok("6"));
        check("/deep/1/x/y/2", &Ok("30"));
        check("/twice", &Ok("2"));
        check("/é", &Ok("\"e\""));
        check("/nothing", &Ok("null"));
    }

    #[test]
    fn says_where_the_way_ends() {
        let missing = |at: &str| Err(Error::NotFound(at.to_owned()));
        check("/bar", &missing("/bar"));
        check("/foo/2", &missing("/foo/2"));
        check("/foo/-", &missing("/foo/-"));
        check("/foo/00", &missing("/foo/00"));
        check("/foo/+1", &missing("/foo/+1"));
        check("/foo/99999999999999999999999", &missing("/foo/99999999999999999999999"));
        check("/foo/0/x/y", &missing("/foo/0/x"));
        check("/nothing/a~1b", &missing("/nothing/a~1b"));
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        for pointer in ["foo", "#/foo", "/~", "/a~2", "/~0~"] {
            check(pointer, &Err(Error::Syntax));
        }
    }
}
