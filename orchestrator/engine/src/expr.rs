//! Expressions: the Common Expression Language, compiled once, evaluated within bounds. Pure.
//!
//! Parser and evaluation are our own (`docs/design/0008`): bounded in time, memory and depth, with the place of every
//! error, and with values that stay text until an expression looks into them. The crate `cel` is the oracle of tests.

mod budget;
mod evaluate;
mod functions;
mod guard;
mod judge;
mod kinds;
mod lower;
mod operators;
mod parse;
mod quoted;
mod syntax;
mod time;
mod token;
mod tree;
mod value;

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use schemas::{failure::Code, json::Json};

use evaluate::Evaluation;
pub use judge::{Finding, Weight};
pub use kinds::Kinds;
use lower::Lowering;
pub use parse::is_reserved;
use token::Tokens;
pub use token::{MAX_SOURCE, is_ambiguous};
use tree::Node;

use crate::value::{Reference, Scope, Segment};

/// What names an expression may use.
pub trait Names {
    /// Whether there is such a name. Names may hold hyphens.
    fn has(&self, name: &str) -> bool;
    /// What a name and the way from it mean.
    fn bind(&mut self, path: &Path) -> Bound;
    /// Of which types what a reference leads to may be.
    fn types(&self, _reference: &Reference) -> Types {
        Types::JSON
    }
}

/// Of which types a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// No other is possible.
    pub surely: Kinds,
    /// No other is to be expected.
    pub likely: Kinds,
}

impl Types {
    /// Nothing is known.
    pub const JSON: Self = Self::surely(Kinds::JSON);

    /// No other types than these.
    pub const fn surely(kinds: Kinds) -> Self {
        Self { surely: kinds, likely: kinds }
    }
}

/// A name and the part of the way from it that is known ahead: `fetch.response.items[0]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The name.
    pub head: String,
    /// Its bytes in the expression.
    pub head_range: Range<usize>,
    /// The way, each piece with its bytes (dots, brackets and quotes not included).
    pub segments: Vec<(Segment, Range<usize>)>,
    /// What `has()` says wherever this is reached; of the path itself that it is there, where this is a `has()`.
    pub asked: Vec<Asked>,
}

/// An answer of `has()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The name of which a part was asked for; of the record of a step it is the step.
    pub name: String,
    /// Whether it is there.
    pub is_there: bool,
}

/// What a path means.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// A value of the moment.
    To(Reference),
    /// Nothing, and why: a problem of the program, and an error if the evaluation gets there.
    Unknown(String),
    /// Nothing, and whoever was asked has told the user.
    Reported,
}

/// What an expression has asked for with `has()`, and what the answers surely were where it gives `outcome`. `is_name`
/// tells names with hyphens.
pub fn asked(source: &str, outcome: bool, is_name: &dyn Fn(&str) -> bool) -> Vec<Asked> {
    let mut answers = Vec::new();
    let parsed = Tokens::read(source, is_name).and_then(|read| parse::parse(read.tokens, source));
    if let Ok(expression) = parsed {
        guard::asked(&expression, outcome, &mut answers);
    }
    answers
}

/// A compiled expression. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Program {
    source: Arc<str>,
    root: Arc<Node>,
    paths: Arc<[Reference]>,
    problems: Arc<[Problem]>,
    types: Types,
    findings: Arc<[Finding]>,
}

/// What is wrong with an expression that can be evaluated all the same: a name that is not known, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Its bytes in the expression.
    pub place: Range<usize>,
}

/// A text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// Its bytes in the text.
    pub place: Range<usize>,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>, place: Range<usize>) -> Self {
        Self { message: message.into(), place }
    }
}

/// An evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    offset: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorKind {
    Wrong,
    Missing,
    Limit,
}

impl Error {
    /// `missing_reference` or `expression_error`.
    pub fn code(&self) -> Code {
        match self.kind {
            ErrorKind::Missing => Code::MissingReference,
            ErrorKind::Wrong | ErrorKind::Limit => Code::ExpressionError,
        }
    }

    /// The byte of the expression at which it happened.
    pub fn offset(&self) -> Option<usize> {
        self.offset.map(|offset| offset as usize)
    }

    fn wrong(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Wrong, message: message.into(), offset: None }
    }

    fn missing(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Missing, message: message.into(), offset: None }
    }

    fn limit(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Limit, message: message.into(), offset: None }
    }

    fn is_limit(&self) -> bool {
        self.kind == ErrorKind::Limit
    }

    fn at(mut self, offset: u32) -> Self {
        self.offset.get_or_insert(offset);
        self
    }
}

impl Program {
    /// Reads an expression.
    pub fn compile(source: &str, names: &mut impl Names) -> Result<Self, CompileError> {
        let read = Tokens::read(source, &|name| names.has(name))?;
        let expression = parse::parse(read.tokens, source)?;
        let mut lowering = Lowering::new(names);
        let root = lowering.node(&expression)?;
        let Lowering { paths, mut problems, types, .. } = lowering;
        let (types, findings) = judged(&root, &types);
        for place in read.ambiguous {
            let name = &source[place.clone()];
            let message = format!(
                "`{name}` is a name and a subtraction: write `{}` or `steps[\"{name}\"]`",
                name.replace('-', " - ")
            );
            problems.push(Problem { message, place });
        }
        Ok(Self {
            source: source.into(),
            root: Arc::new(root),
            paths: paths.into(),
            problems: problems.into(),
            types,
            findings: findings.into(),
        })
    }

    /// What is wrong with it besides its grammar.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What its types say of it, besides.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Of which types its value may be; of none where it always fails.
    pub fn types(&self) -> Types {
        self.types
    }

    /// The bytes at which it is pointed as a whole.
    pub fn place(&self) -> Range<usize> {
        let at = (self.root.at as usize).min(self.source.len());
        at..self.source.len().min(at + 1)
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it refers to.
    pub fn references(&self) -> &[Reference] {
        &self.paths
    }

    /// Its value at this moment.
    pub fn evaluate(&self, scope: &impl Scope) -> Result<Json, Error> {
        let mut evaluation = Evaluation::new(self, scope);
        let value = evaluation.value(&self.root)?;
        value.into_json(&mut evaluation.budget).map_err(|error| error.at(self.root.at))
    }

    /// Its value as a condition; anything but a bool is an error.
    pub fn condition(&self, scope: &impl Scope) -> Result<bool, Error> {
        let value = Evaluation::new(self, scope).value(&self.root)?;
        if let value::Value::Bool(holds) = value {
            return Ok(holds);
        }
        let message = format!("a condition gives a bool, this gives {}", value.type_name());
        Err(Error::wrong(message).at(self.root.at))
    }
}

/// What sure types say, and what likely ones say besides.
fn judged(root: &Node, paths: &[Types]) -> (Types, Vec<Finding>) {
    let sure: Vec<_> = paths.iter().map(|types| types.surely).collect();
    let likely: Vec<_> = paths.iter().map(|types| types.likely).collect();
    let (surely, mut findings) = judge::judge(root, &sure);
    if sure == likely {
        return (Types::surely(surely), findings);
    }
    let (likely, more) = judge::judge(root, &likely);
    for finding in more.into_iter().filter(|finding| finding.weight != Weight::AlwaysUnequal) {
        if findings.iter().all(|known| known.place != finding.place) {
            findings.push(Finding { weight: Weight::FailsWhereReached, ..finding });
        }
    }
    (Types { surely, likely }, findings)
}

impl PartialEq for Program {
    /// Two programs are equal that were compiled from the same text with the same names.
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.paths == other.paths
    }
}

impl Path {
    /// The name of what it leads into: its head, or the step whose record it is.
    fn name(&self) -> &str {
        match self.segments.first() {
            Some((Segment::Key(id), _)) if self.head == "steps" => id,
            Some(_) | None => &self.head,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        for (segment, _) in &self.segments {
            segment.fmt(f)?;
        }
        Ok(())
    }
}
