//! A look at the text before the parser sees it: caps that keep the parser within bounds, and declared names with
//! hyphens, which become names of the same length so that every place stays what it was.

use std::{collections::BTreeMap, ops::Range};

use super::CompileError;

/// Longest expression in bytes.
pub const MAX_SOURCE: usize = 4 << 10;
/// Brackets within brackets.
const MAX_BRACKETS: usize = 48;
/// Operators, dots, commas and brackets of one expression.
const MAX_SYMBOLS: usize = 1000;

/// An expression as the parser gets it.
#[derive(Debug)]
pub(super) struct Source {
    /// The text, of the length of the original, hyphens in names replaced.
    pub(super) text: String,
    /// Names with hyphens by the place where they begin.
    pub(super) renamed: BTreeMap<usize, String>,
    /// Names with hyphens that can be read as subtractions too.
    pub(super) ambiguous: Vec<Range<usize>>,
}

impl Source {
    /// Looks at a text. `is_name` tells declared names.
    pub(super) fn read(original: &str, is_name: &dyn Fn(&str) -> bool) -> Result<Self, CompileError> {
        if original.len() > MAX_SOURCE {
            let message = format!("the expression has {} bytes, {MAX_SOURCE} are the most", original.len());
            return Err(CompileError::new(message, 0..0));
        }
        let mut reader = Reader {
            original,
            at: 0,
            brackets: 0,
            symbols: 0,
            after_dot: false,
            source: Self { text: original.to_owned(), renamed: BTreeMap::new(), ambiguous: Vec::new() },
        };
        while reader.at < original.len() {
            reader.token(is_name)?;
        }
        Ok(reader.source)
    }
}

struct Reader<'a> {
    original: &'a str,
    at: usize,
    brackets: usize,
    symbols: usize,
    after_dot: bool,
    source: Source,
}

impl Reader<'_> {
    fn token(&mut self, is_name: &dyn Fn(&str) -> bool) -> Result<(), CompileError> {
        let rest = &self.original[self.at..];
        let first = rest.as_bytes()[0];
        match first {
            b'/' if rest.starts_with("//") => self.at += rest.find('\n').unwrap_or(rest.len()),
            b'"' | b'\'' => self.at += string_length(rest, false),
            b'0'..=b'9' => self.at += rest.find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len()),
            _ if is_word(char::from(first)) => self.name(rest, is_name),
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.at += 1;
                return Ok(());
            }
            _ => return self.symbol(rest),
        }
        self.after_dot = false;
        Ok(())
    }

    fn symbol(&mut self, rest: &str) -> Result<(), CompileError> {
        let symbol = rest.chars().next().unwrap_or(' ');
        let place = self.at..self.at + symbol.len_utf8();
        match symbol {
            '(' | '[' | '{' => self.brackets += 1,
            ')' | ']' | '}' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.symbols += 1;
        if self.brackets > MAX_BRACKETS {
            return Err(CompileError::new(format!("more than {MAX_BRACKETS} brackets are open"), place));
        }
        if self.symbols > MAX_SYMBOLS {
            return Err(CompileError::new(
                format!("the expression has more than {MAX_SYMBOLS} operators and brackets"),
                place,
            ));
        }
        self.after_dot = symbol == '.';
        self.at = place.end;
        Ok(())
    }

    /// A word: a name, perhaps with hyphens, or the prefix of a string.
    fn name(&mut self, rest: &str, is_name: &dyn Fn(&str) -> bool) {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if rest[end..].starts_with(['"', '\'']) && is_string_prefix(word) {
            let raw = word.contains(['r', 'R']);
            self.at += end + string_length(&rest[end..], raw);
            return;
        }
        let hyphenated = if self.after_dot { None } else { longest_name(rest, is_name) };
        let Some(name) = hyphenated else {
            self.at += end;
            return;
        };
        let place = self.at..self.at + name.len();
        if name.split('-').all(is_name) {
            self.source.ambiguous.push(place.clone());
        }
        self.source.text.replace_range(place.clone(), &name.replace('-', "_"));
        self.source.renamed.insert(place.start, name.to_owned());
        self.at = place.end;
    }
}

/// The longest declared name with hyphens at the beginning of a text.
fn longest_name<'t>(rest: &'t str, is_name: &dyn Fn(&str) -> bool) -> Option<&'t str> {
    let end = rest.find(|c: char| !is_word(c) && c != '-').unwrap_or(rest.len());
    let mut candidate = &rest[..end];
    while let Some(cut) = candidate.rfind('-') {
        if !candidate.ends_with('-') && is_name(candidate) {
            return Some(candidate);
        }
        candidate = &candidate[..cut];
    }
    None
}

/// Bytes of the string that a text begins with, quotes included; all of it where the string does not end.
fn string_length(text: &str, raw: bool) -> usize {
    let bytes = text.as_bytes();
    let quote = if text.starts_with("\"\"\"") || text.starts_with("'''") { &text[..3] } else { &text[..1] };
    let mut at = quote.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' && !raw {
            at += 2;
        } else if text.is_char_boundary(at) && text[at..].starts_with(quote) {
            return at + quote.len();
        } else {
            at += 1;
        }
    }
    // An escape at the very end may have led into the middle of a character, or beyond.
    bytes.len()
}

fn is_string_prefix(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "r" | "b" | "rb" | "br")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(original: &str, expected: &str, renamed: &[(usize, &str)], ambiguous: usize) {
        let source =
            Source::read(original, &|name| ["a", "b", "a-b", "x-y", "x-y-z"].contains(&name)).unwrap();
        assert_eq!(source.text, expected);
        assert_eq!(source.text.len(), original.len());
        let found: Vec<_> = source.renamed.iter().map(|(at, name)| (*at, name.as_str())).collect();
        assert_eq!(found, renamed);
        assert_eq!(source.ambiguous.len(), ambiguous);
    }

    #[test]
    fn declared_names_with_hyphens_are_one_name() {
        check("x-y.v + 1", "x_y.v + 1", &[(0, "x-y")], 0);
        check("x-y-z == x-y", "x_y_z == x_y", &[(0, "x-y-z"), (9, "x-y")], 0);
        check("x-y-q", "x_y-q", &[(0, "x-y")], 0);
        check("a-b", "a_b", &[(0, "a-b")], 1);
        check("a - b", "a - b", &[], 0);
        check("b-a", "b-a", &[], 0);
        check("q.x-y", "q.x-y", &[], 0);
    }

    #[test]
    fn strings_and_comments_are_left_alone() {
        check(r#"'x-y' + "a\"x-y" + r'\' + x-y"#, r#"'x-y' + "a\"x-y" + r'\' + x_y"#, &[(26, "x-y")], 0);
        check("'''x-y'x-y''' // x-y", "'''x-y'x-y''' // x-y", &[], 0);
        check("'x-y", "'x-y", &[], 0);
        check("'\\", "'\\", &[], 0);
        check("'\\é", "'\\é", &[], 0);
    }

    #[test]
    fn texts_that_would_tire_the_parser_are_refused() {
        let check = |text: String, part: &str| {
            let message = Source::read(&text, &|_| false).unwrap_err().message;
            assert!(message.contains(part), "{message}");
        };
        check("(".repeat(49), "brackets");
        check("-".repeat(1001), "operators");
        check("a".repeat(4097), "4096");
        Source::read(&format!("'{}'", "(".repeat(4000)), &|_| false).unwrap();
    }
}
