//! What stands alone in an expression: literals, names, calls, lists, maps, brackets.

use std::ops::Range;

use super::{
    super::{
        CompileError,
        syntax::{Call, Expression, Name, Shape},
        token::Token,
        value::Value,
    },
    KEYWORDS, Parser, Result, made,
};

/// Whether a word is one that no name may be.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Words that no name may be.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
impl<'t> Parser<'t> {
    pub(super) fn primary(&mut self) -> Result<Expression<'t>> {
        let place = self.place();
        let Some(token) = self.peek().cloned() else { return Err(self.unexpected()) };
        let literal = match token {
            Token::Name(_) | Token::Symbol(".") => return self.named(),
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                self.at += 1;
                let elements = self.elements()?;
                return made(place, Shape::List(elements));
            }
            Token::Symbol("{") => {
                self.at += 1;
                return made(place, Shape::Map(self.members()?));
            }
            Token::Symbol("-") => {
                self.at += 1;
                return self.negative(place);
            }
            Token::Symbol(_) => return Err(self.unexpected()),
            Token::Int(digits) => Value::Int(self.int("", digits)?),
            Token::Double(digits) => Value::Double(self.double(digits)?),
            Token::Uint(digits) => {
                let (radix, rest) = radix(digits);
                let number = u64::from_str_radix(rest, radix);
                Value::Uint(number.map_err(|_| out_of_range(digits, "uint", place.clone()))?)
            }
            Token::Text(text) => Value::Text(text),
            Token::Bytes(bytes) => Value::Bytes(bytes),
        };
        self.at += 1;
        made(place, Shape::Literal(literal))
    }

    /// A number after its minus.
    fn negative(&mut self, sign: Range<usize>) -> Result<Expression<'t>> {
        let value = match self.peek().cloned() {
            Some(Token::Int(digits)) => Value::Int(self.int("-", digits)?),
            Some(Token::Double(digits)) => Value::Double(-self.double(digits)?),
            Some(_) | None => return Err(self.unexpected()),
        };
        let place = sign.start..self.place().end;
        self.at += 1;
        made(place, Shape::Literal(value))
    }

    fn int(&self, sign: &str, digits: &str) -> Result<i64> {
        let (radix, rest) = radix(digits);
        i64::from_str_radix(&format!("{sign}{rest}"), radix)
            .map_err(|_| out_of_range(digits, "int", self.place()))
    }

    fn double(&self, digits: &str) -> Result<f64> {
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| out_of_range(digits, "double", self.place()))
    }

    /// What begins with a name: a keyword, a call, a message, or the name of a value.
    fn named(&mut self) -> Result<Expression<'t>> {
        let absolute = self.take(".");
        let place = self.place();
        let Some(Token::Name(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
        if KEYWORDS.contains(&name) {
            let value = match name {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return Err(self.unexpected()),
            };
            if absolute {
                return Err(self.unexpected());
            }
            self.at += 1;
            return made(place, Shape::Literal(value));
        }
        if let Some(message) = self.message()? {
            return Ok(message);
        }
        if is_reserved(name) {
            let message = format!("`{name}` is a reserved word: a step of this id is `steps[\"{name}\"]`");
            return Err(CompileError::new(message, place));
        }
        self.at += 1;
        if !self.take("(") {
            return made(place, Shape::Name(Name { name, absolute }));
        }
        let mut arguments = self.list(")")?;
        if name == "has" && arguments.len() == 1 && !absolute {
            return match arguments.pop() {
                Some(Expression { shape: Shape::Select(of, field), .. }) => {
                    made(place, Shape::Has(of, field))
                }
                other => {
                    let place = other.map_or(place, |other| other.place);
                    Err(CompileError::new("`has` asks for a part of something: `has(a.b)`", place))
                }
            };
        }
        made(place, Shape::Call(Call { receiver: None, name, arguments }))
    }

    /// `a.B{c: d}`, if that is what comes.
    fn message(&mut self) -> Result<Option<Expression<'t>>> {
        let mut end = self.at;
        while let (Some((Token::Symbol("."), _)), Some((Token::Name(name), _))) =
            (self.tokens.get(end + 1), self.tokens.get(end + 2))
            && !KEYWORDS.contains(name)
        {
            end += 2;
        }
        let Some((Token::Symbol("{"), brace)) = self.tokens.get(end + 1) else { return Ok(None) };
        let place = self.place().start..brace.start;
        self.at = end + 2;
        let mut first = true;
        while self.is_open("}", first)? {
            self.field()?;
            self.expect(":")?;
            self.expression()?;
            first = false;
        }
        let name = self.text[place.clone()].trim_end();
        made(place, Shape::Message(name)).map(Some)
    }
}

fn out_of_range(digits: &str, kind: &str, place: Range<usize>) -> CompileError {
    CompileError::new(format!("{digits} is out of the range of {kind}"), place)
}

/// The base of a number, and its digits.
fn radix(digits: &str) -> (u32, &str) {
    digits.strip_prefix("0x").map_or((10, digits), |rest| (16, rest))
}
