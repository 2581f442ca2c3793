//! Tokens of an expression, each with its bytes. Declared names with hyphens are one token. Texts that are too long, or
//! have too many parts for what is done with them later, end here.

use std::{ops::Range, sync::Arc};

use super::{CompileError, quoted};

/// Longest expression in bytes.
pub const MAX_SOURCE: usize = 4 << 10;
/// Brackets within brackets.
const MAX_BRACKETS: usize = 48;
/// Operators, dots, commas and brackets of one expression.
const MAX_SYMBOLS: usize = 1000;
/// All of them, the longer ones before those that they begin with.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "+", "-", "*", "/",
    "%", "!", "<", ">",
];

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or a keyword; with hyphens only where such a name is declared.
    Name(&'t str),
    /// A whole number, its sign not included.
    Int(&'t str),
    /// A whole number with a `u`, which is not included.
    Uint(&'t str),
    /// A number with a point or an exponent.
    Double(&'t str),
    /// A string.
    Text(Arc<str>),
    /// A string of bytes.
    Bytes(Arc<[u8]>),
    /// An operator, a bracket or the like.
    Symbol(&'static str),
}

/// A token and its bytes.
pub(super) type Placed<'t> = (Token<'t>, Range<usize>);

/// A text as tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens<'t> {
    pub(super) tokens: Vec<Placed<'t>>,
    /// Names with hyphens that can be read as subtractions too.
    pub(super) ambiguous: Vec<Range<usize>>,
}

impl<'t> Tokens<'t> {
    /// Reads a text. `is_name` tells declared names.
    pub(super) fn read(text: &'t str, is_name: &dyn Fn(&str) -> bool) -> Result<Self, CompileError> {
        if text.len() > MAX_SOURCE {
            let message = format!("the expression has {} bytes, {MAX_SOURCE} are the most", text.len());
            return Err(CompileError::new(message, 0..0));
        }
        let mut reader = Reader { text, at: 0, brackets: 0, symbols: 0, read: Self::default() };
        while reader.at < text.len() {
            if let Some(token) = reader.token(is_name)? {
                reader.read.tokens.push(token);
            }
        }
        Ok(reader.read)
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    brackets: usize,
    symbols: usize,
    read: Tokens<'t>,
}

impl<'t> Reader<'t> {
    /// The next token; of white space and comments none.
    fn token(&mut self, is_name: &dyn Fn(&str) -> bool) -> Result<Option<Placed<'t>>, CompileError> {
        let start = self.at;
        let rest = &self.text[start..];
        let bytes = rest.as_bytes();
        let token = match bytes[0] {
            b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' => {
                self.at += 1;
                return Ok(None);
            }
            b'/' if bytes.get(1) == Some(&b'/') => {
                self.at += rest.find('\n').unwrap_or(rest.len());
                return Ok(None);
            }
            b'0'..=b'9' => self.number(rest),
            b'.' if bytes.get(1).is_some_and(u8::is_ascii_digit) => self.number(rest),
            b'"' | b'\'' => self.string(rest, 0)?,
            first if is_word(first) => match quoted::prefix(rest) {
                Some(length) => self.string(rest, length)?,
                None => self.name(rest, is_name),
            },
            _ => self.symbol(rest)?,
        };
        Ok(Some((token, start..self.at)))
    }

    fn symbol(&mut self, rest: &str) -> Result<Token<'t>, CompileError> {
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
            let character = rest.chars().next().unwrap_or(' ');
            let place = self.at..self.at + character.len_utf8();
            return Err(CompileError::new(
                format!("`{}` is not expected here", character.escape_debug()),
                place,
            ));
        };
        let place = self.at..self.at + symbol.len();
        match symbol {
            "(" | "[" | "{" => self.brackets += 1,
            ")" | "]" | "}" => self.brackets = self.brackets.saturating_sub(1),
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
        self.at = place.end;
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self, rest: &'t str) -> Token<'t> {
        let bytes = rest.as_bytes();
        let digits = |from: usize| run(rest, from, |byte| byte.is_ascii_digit());
        let hex = rest.strip_prefix("0x").map_or(0, |rest| run(rest, 0, |byte| byte.is_ascii_hexdigit()));
        let mut end = if hex > 0 { hex + 2 } else { digits(0) };
        let mut is_double = false;
        if hex == 0 {
            if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1);
                is_double = true;
            }
            if matches!(bytes.get(end), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
                let exponent = digits(end + 1 + sign);
                if exponent > end + 1 + sign {
                    end = exponent;
                    is_double = true;
                }
            }
        }
        self.at += end;
        let number = &rest[..end];
        if is_double {
            return Token::Double(number);
        }
        if matches!(bytes.get(end), Some(b'u' | b'U')) {
            self.at += 1;
            return Token::Uint(number);
        }
        Token::Int(number)
    }

    /// A string after a prefix of some bytes.
    fn string(&mut self, rest: &str, prefix: usize) -> Result<Token<'t>, CompileError> {
        let start = self.at;
        let (string, length) = quoted::read(&rest[..prefix], &rest[prefix..]).map_err(|wrong| {
            let place = start + prefix + wrong.place.start..start + prefix + wrong.place.end;
            CompileError::new(wrong.message, place)
        })?;
        self.at += prefix + length;
        Ok(match string {
            quoted::Quoted::Text(text) => Token::Text(text.into()),
            quoted::Quoted::Bytes(bytes) => Token::Bytes(bytes.into()),
        })
    }

    fn name(&mut self, rest: &'t str, is_name: &dyn Fn(&str) -> bool) -> Token<'t> {
        let after_dot = matches!(self.read.tokens.last(), Some((Token::Symbol("."), _)));
        let hyphenated = if after_dot { None } else { longest_name(rest, is_name) };
        let name = hyphenated.unwrap_or_else(|| &rest[..run(rest, 0, is_word)]);
        let place = self.at..self.at + name.len();
        if hyphenated.is_some() && is_ambiguous(name, is_name) {
            self.read.ambiguous.push(place.clone());
        }
        self.at = place.end;
        Token::Name(name)
    }
}

/// Whether a name with hyphens can be read as a subtraction of declared names too.
pub fn is_ambiguous(name: &str, is_name: &dyn Fn(&str) -> bool) -> bool {
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    // Where an operand may begin.
    let mut starts = vec![0];
    for end in ends {
        let is_whole = |start: usize| start == 0 && end == name.len();
        let is_operand = |start: &usize| !is_whole(*start) && is_name(&name[*start..end]);
        if starts.iter().any(is_operand) {
            starts.push(end + 1);
        }
    }
    starts.last() == Some(&(name.len() + 1))
}

/// The longest declared name with hyphens at the beginning of a text.
fn longest_name<'t>(rest: &'t str, is_name: &dyn Fn(&str) -> bool) -> Option<&'t str> {
    let mut candidate = &rest[..run(rest, 0, |byte| is_word(byte) || byte == b'-')];
    while let Some(cut) = candidate.rfind('-') {
        if !candidate.ends_with('-') && is_name(candidate) {
            return Some(candidate);
        }
        candidate = &candidate[..cut];
    }
    None
}

/// End of the run of bytes from `start` on that `fits`.
fn run(text: &str, start: usize, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().skip(start).position(|byte| !fits(byte)).map_or(text.len(), |length| start + length)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tokens<'_>, CompileError> {
        Tokens::read(text, &|name| ["a", "b", "a-b", "x-y", "x-y-z"].contains(&name))
    }

    /// Tokens as they are written, with a space between.
    #[track_caller]
    fn check(text: &str, expected: &str, ambiguous: usize) {
        let read = read(text).unwrap();
        let shown: Vec<_> = read.tokens.iter().map(|(_, place)| &text[place.clone()]).collect();
        assert_eq!(shown.join(" "), expected, "{text}");
        assert_eq!(read.ambiguous.len(), ambiguous, "{text}");
    }

    #[test]
    fn declared_names_with_hyphens_are_one_name() {
        check("x-y.v+1", "x-y . v + 1", 0);
        check("x-y-z==x-y", "x-y-z == x-y", 0);
        check("x-y-q", "x-y - q", 0);
        check("a-b", "a-b", 1);
        check("a - b", "a - b", 0);
        check("b-a", "b - a", 0);
        check("q.x-y", "q . x - y", 0);
        check("q .x-y", "q . x - y", 0);
        check("x-y-", "x-y -", 0);
        check("'x-y'", "'x-y'", 0);
    }

    #[test]
    fn names_that_are_subtractions_of_names() {
        let names = ["a", "b", "a-b", "b-c", "a-b-c", "x-y-z"];
        let check = |name: &str, expected: bool| {
            assert_eq!(is_ambiguous(name, &|name| names.contains(&name)), expected, "{name}");
        };
        check("a-b", true);
        check("a-b-c", true);
        check("a-b-a-b", true);
        check("b-c", false);
        check("x-y-z", false);
        check("a", false);
        check("a-", false);
        check("-a", false);
    }

    #[test]
    fn the_longest_token_counts() {
        check("1.5.5e3.e", "1.5 .5e3 . e", 0);
        check("1.x 1e 1e+ 2e-7", "1 . x 1 e 1 e + 2e-7", 0);
        check("0x 0xFu 0X1 12u 12ab", "0 x 0xFu 0 X1 12u 12 ab", 0);
        check("a<=b<c!=!d", "a <= b < c != ! d", 0);
        check("1//2\n3 // 4", "1 3", 0);
        check("r'\\'b'x'br'x'rb", "r'\\' b'x' br'x' rb", 0);
        check("''''a'''", "''''a'''", 0);
    }

    #[test]
    fn texts_that_are_too_much_are_refused() {
        let check = |text: &str, part: &str| {
            let message = read(text).unwrap_err().message;
            assert!(message.contains(part), "{message}");
        };
        check(&"(".repeat(49), "brackets");
        check(&"-".repeat(1001), "operators");
        check(&"a".repeat(4097), "4096");
        check("a # b", "`#`");
        check("a = b", "`=`");
        check("a & b", "`&`");
        read(&format!("'{}'", "(".repeat(4000))).unwrap();
    }
}
