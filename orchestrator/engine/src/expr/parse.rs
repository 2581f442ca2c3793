//! The grammar of the language: tokens to a tree; what stands alone is in `primary`. The parser calls itself, and counts how deep: brackets and chains are
//! bounded by what [`Tokens`] takes, and all else by [`MAX_DEPTH`].

mod primary;

use std::ops::Range;

pub use primary::is_reserved;

use super::{
    CompileError,
    operators::Operator,
    syntax::{Call, Expression, Field, MAX_DEPTH, Macro, MacroKind, Name, Shape},
    token::{Placed, Token},
};

/// Words that are values or operators.
const KEYWORDS: [&str; 4] = ["true", "false", "null", "in"];

type Result<T> = std::result::Result<T, CompileError>;

/// Reads the tokens of a text of so many bytes as one expression.
pub(super) fn parse<'t>(tokens: Vec<Placed<'t>>, text: &'t str) -> Result<Expression<'t>> {
    let mut parser = Parser { tokens, text, at: 0, depth: 0 };
    let expression = parser.expression()?;
    if parser.at < parser.tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(expression)
}

/// What binds two operands, and how tightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Infix {
    Or,
    And,
    Operator(Operator),
}

impl Infix {
    fn of(token: &Token<'_>) -> Option<Self> {
        let symbol = match token {
            Token::Symbol(symbol) => *symbol,
            Token::Name("in") => "in",
            Token::Name(_)
            | Token::Int(_)
            | Token::Uint(_)
            | Token::Double(_)
            | Token::Text(_)
            | Token::Bytes(_) => {
                return None;
            }
        };
        match symbol {
            "||" => Some(Self::Or),
            "&&" => Some(Self::And),
            symbol => Operator::of_symbol(symbol).map(Self::Operator),
        }
    }

    fn level(self) -> u8 {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Operator(operator) => match operator {
                Operator::Equal
                | Operator::NotEqual
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual
                | Operator::In => 2,
                Operator::Add | Operator::Subtract => 3,
                Operator::Multiply | Operator::Divide | Operator::Modulo => 4,
            },
        }
    }
}

struct Parser<'t> {
    tokens: Vec<Placed<'t>>,
    text: &'t str,
    at: usize,
    depth: u16,
}

impl<'t> Parser<'t> {
    /// `a ? b : c` and all that binds tighter.
    fn expression(&mut self) -> Result<Expression<'t>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.place()));
        }
        let condition = self.binary(0)?;
        let expression = if self.peek_symbol("?") {
            let place = self.place();
            self.at += 1;
            let then = self.binary(0)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            made(place, Shape::Choice(Box::new([condition, then, otherwise])))?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    /// Operands and the operators of a level and above between them.
    fn binary(&mut self, least: u8) -> Result<Expression<'t>> {
        let mut left = self.unary()?;
        while let Some(infix) = self.peek().and_then(Infix::of).filter(|infix| infix.level() >= least) {
            let place = self.place();
            self.at += 1;
            let right = self.binary(infix.level() + 1)?;
            left = match infix {
                Infix::Operator(operator) => made(place, Shape::Binary(operator, Box::new([left, right])))?,
                Infix::And | Infix::Or => {
                    let mut parts = vec![left, right];
                    while self.peek().and_then(Infix::of) == Some(infix) {
                        self.at += 1;
                        parts.push(self.binary(infix.level() + 1)?);
                    }
                    made(place, if infix == Infix::And { Shape::And(parts) } else { Shape::Or(parts) })?
                }
            };
        }
        Ok(left)
    }

    /// `!` and `-` before an operand; two of them take each other back.
    fn unary(&mut self) -> Result<Expression<'t>> {
        let first = self.place();
        for (symbol, is_not) in [("!", true), ("-", false)] {
            let mut count = 0_usize;
            while self.peek_symbol(symbol) {
                self.at += 1;
                count += 1;
            }
            if count == 0 {
                continue;
            }
            if !is_not && count == 1 && matches!(self.peek(), Some(Token::Int(_) | Token::Double(_))) {
                self.at -= 1;
                break;
            }
            let operand = self.member()?;
            if count.is_multiple_of(2) {
                return Ok(operand);
            }
            let operand = Box::new(operand);
            return made(first, if is_not { Shape::Not(operand) } else { Shape::Negate(operand) });
        }
        self.member()
    }

    /// A value and the way from it.
    fn member(&mut self) -> Result<Expression<'t>> {
        let mut value = self.primary()?;
        loop {
            let place = self.place();
            if self.take(".") {
                let name = self.field()?;
                value = if self.take("(") {
                    let arguments = self.list(")")?;
                    method(value, name, arguments)?
                } else {
                    made(place, Shape::Select(Box::new(value), name))?
                };
            } else if self.take("[") {
                let index = self.expression()?;
                self.expect("]")?;
                value = made(place, Shape::Index(Box::new([value, index])))?;
            } else {
                return Ok(value);
            }
        }
    }

    fn field(&mut self) -> Result<Field<'t>> {
        let place = self.place();
        match self.peek() {
            Some(Token::Name(name)) if !KEYWORDS.contains(name) => {
                let name = *name;
                self.at += 1;
                Ok(Field { name, place })
            }
            Some(_) | None => Err(self.unexpected()),
        }
    }

    /// Expressions with commas between, and the bracket after them.
    fn list(&mut self, close: &str) -> Result<Vec<Expression<'t>>> {
        let mut elements = Vec::new();
        if self.take(close) {
            return Ok(elements);
        }
        loop {
            elements.push(self.expression()?);
            if !self.take(",") {
                self.expect(close)?;
                return Ok(elements);
            }
        }
    }

    /// As a list; a comma may stand before the bracket.
    fn elements(&mut self) -> Result<Vec<Expression<'t>>> {
        let mut elements = Vec::new();
        while self.is_open("]", elements.is_empty())? {
            elements.push(self.expression()?);
        }
        Ok(elements)
    }

    fn members(&mut self) -> Result<Vec<(Expression<'t>, Expression<'t>)>> {
        let mut members = Vec::new();
        while self.is_open("}", members.is_empty())? {
            let key = self.expression()?;
            self.expect(":")?;
            members.push((key, self.expression()?));
        }
        Ok(members)
    }

    /// Whether there is one more before the bracket, with the comma before it taken.
    fn is_open(&mut self, close: &str, first: bool) -> Result<bool> {
        if self.take(close) {
            return Ok(false);
        }
        if self.take(",") {
            if first {
                self.expect(close)?;
                return Ok(false);
            }
            return Ok(!self.take(close));
        }
        if first { Ok(true) } else { Err(self.unexpected()) }
    }

    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn peek_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.peek_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The bytes of the next token; at the end the place behind the text.
    fn place(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |(_, place)| place.clone())
    }

    fn unexpected(&self) -> CompileError {
        let place = self.place();
        if place.is_empty() {
            return CompileError::new("the expression ends too early", place);
        }
        let shown = crate::load::shortened(&self.text[place.clone()]);
        CompileError::new(format!("`{shown}` is not expected here"), place)
    }
}

/// A part that is not deeper than parts may be.
fn made(place: Range<usize>, shape: Shape<'_>) -> Result<Expression<'_>> {
    let depth = shape.depth() + 1;
    if depth > MAX_DEPTH {
        return Err(too_deep(place));
    }
    Ok(Expression { place, depth, shape })
}

fn too_deep(place: Range<usize>) -> CompileError {
    CompileError::new(format!("parts are nested deeper than {MAX_DEPTH}"), place)
}

/// A call on a value, or a macro.
fn method<'t>(
    receiver: Expression<'t>,
    name: Field<'t>,
    arguments: Vec<Expression<'t>>,
) -> Result<Expression<'t>> {
    let Some(kind) = MacroKind::named(name.name, arguments.len()) else {
        let call = Call { receiver: Some(Box::new(receiver)), name: name.name, arguments };
        return made(name.place, Shape::Call(call));
    };
    let mut arguments = arguments.into_iter();
    let variable = match arguments.next() {
        Some(Expression { shape: Shape::Name(Name { name, absolute: false }), .. })
            if !name.contains('-') =>
        {
            name
        }
        other => {
            let place = other.map_or(name.place, |other| other.place);
            let message = format!("`{}` names its elements here: a simple name is needed", kind.name());
            return Err(CompileError::new(message, place));
        }
    };
    let (first, second) = (arguments.next(), arguments.next());
    let (test, result) = match (kind, second) {
        (MacroKind::Map, None) => (None, first),
        (_, second) => (first, second),
    };
    made(name.place, Shape::Macro(Box::new(Macro { kind, range: receiver, variable, test, result })))
}
