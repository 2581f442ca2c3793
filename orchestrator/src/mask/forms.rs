//! The forms in which a secret may come: as it is, line by line, escaped for JSON, percent-encoded, in base64.

use std::collections::BTreeSet;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};

use super::LEAST;

/// Columns at which base64 is wrapped: by base64(1) and in mails, and in PEM.
const WRAPPED: [usize; 2] = [76, 64];

/// All forms of these values, each once; none is shorter than [`LEAST`].
pub(super) fn all<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for value in values {
        let lines = value.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        for piece in std::iter::once(value).chain(lines).filter(|piece| piece.len() >= LEAST) {
            forms.extend(of(piece));
        }
    }
    forms.into_iter().map(String::into_bytes).filter(|form| form.len() >= LEAST).collect()
}

fn of(piece: &str) -> Vec<String> {
    let mut forms = vec![piece.to_owned()];
    forms.extend(json(piece));
    forms.extend(percent(piece));
    let bytes = piece.as_bytes();
    for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
        forms.extend((0..3).map(|shift| base64_within(engine, bytes, shift)));
    }
    // A long one that stands alone is wrapped by most programs.
    let alone = base64_within(&BASE64_STANDARD_NO_PAD, bytes, 0);
    for width in WRAPPED.into_iter().filter(|width| alone.len() > *width) {
        forms.extend(alone.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()));
    }
    // Alone, its last character and the padding go with it.
    forms.extend([BASE64_STANDARD.encode(bytes), BASE64_URL_SAFE.encode(bytes)]);
    forms
}

/// Inside a string of JSON: as most write it, and in ASCII only.
fn json(piece: &str) -> Vec<String> {
    let escaped = serde_json::to_string(piece).unwrap_or_default();
    let inner = escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    let ascii = |unit: &dyn Fn(u16) -> String| {
        let mut text = String::new();
        for character in inner.chars() {
            if character.is_ascii() {
                text.push(character);
            } else {
                text.extend(character.encode_utf16(&mut [0; 2]).iter().map(|code| unit(*code)));
            }
        }
        text
    };
    let written =
        [ascii(&|code| format!("\\u{code:04x}")), ascii(&|code| format!("\\u{code:04X}")), inner.to_owned()];
    // Some escape the slash, too.
    let slashes = written.each_ref().map(|text| text.replace('/', "\\/"));
    written.into_iter().chain(slashes).collect()
}

/// In an address or a form: RFC 3986, with either case of the digits, with and without the slash; and with `+` for
/// a space.
fn percent(piece: &str) -> Vec<String> {
    let encode = |kept: &str, upper: bool| {
        let mut text = String::new();
        for byte in piece.bytes() {
            if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                text.push(char::from(byte));
            } else if upper {
                text.extend(hex(byte, b"0123456789ABCDEF"));
            } else {
                text.extend(hex(byte, b"0123456789abcdef"));
            }
        }
        text
    };
    let mut forms = Vec::new();
    for upper in [true, false] {
        let plain = encode("-._~", upper);
        forms.extend([plain.replace("%20", "+"), plain, encode("-._~/", upper)]);
    }
    forms
}

/// A byte as a percent sign and two digits.
fn hex(byte: u8, digits: &[u8; 16]) -> [char; 3] {
    let digit = |half: u8| char::from(digits[usize::from(half)]);
    ['%', digit(byte >> 4), digit(byte & 15)]
}

/// The characters of base64 that depend on nothing but the value when it stands `shift` bytes after a multiple of
/// three.
fn base64_within(engine: &impl Engine, bytes: &[u8], shift: usize) -> String {
    let shifted = [&[0; 2][..shift], bytes].concat();
    let text = engine.encode(&shifted);
    // Characters hold six bits: those with a bit of what stands before or after are not the value's own.
    let from = (shift * 8).div_ceil(6);
    let to = shifted.len() * 8 / 6;
    text.get(from..to).unwrap_or_default().to_owned()
}
