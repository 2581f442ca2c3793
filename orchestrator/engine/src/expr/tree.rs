//! [`Node`]: an expression in the form that is evaluated. Names are resolved to slots and paths, functions to
//! words of our own.

use std::sync::Arc;

use super::{functions::Function, operators::Operator, syntax::MacroKind, value::Value};

/// A part of an expression with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// First byte in the text.
    pub(super) at: u32,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a part of an expression is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A value as it stands.
    Literal(Value),
    /// A variable of a macro: its slot.
    Local(usize),
    /// A name and the way from it: index into the program's paths.
    Path(usize),
    /// Whether a path leads to a value.
    HasPath(usize),
    /// `steps[a].b`: a path that ends with a value, and the keys of the way from there. Of all that it leads to only what
    /// is at the end of the way is looked at.
    Way(usize, Vec<Node>),
    /// Whether such a way leads to a value.
    HasWay(usize, Vec<Node>),
    /// A name or a function that there is not: an error when it is reached.
    Unknown(Arc<str>),
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{a: b}`.
    Map(Vec<(Node, Node)>),
    /// `a.b`.
    Select(Box<Node>, Arc<str>),
    /// `has(a.b)`.
    Has(Box<Node>, Arc<str>),
    /// `a[b]`.
    Index(Box<[Node; 2]>),
    /// `a && b`: false wins over errors.
    And(Vec<Node>),
    /// `a || b`: true wins over errors.
    Or(Vec<Node>),
    /// `!a`.
    Not(Box<Node>),
    /// `-a`.
    Negate(Box<Node>),
    /// `a ? b : c`.
    Choice(Box<[Node; 3]>),
    /// `a + b` and the like.
    Binary(Operator, Box<[Node; 2]>),
    /// A function with its arguments, the receiver first.
    Call(Function, Vec<Node>),
    /// `a.matches('b')` with a pattern that is known.
    Matches(Box<Node>, Arc<regex::Regex>),
    /// A macro over a list or the keys of a map.
    Macro(Box<Macro>),
}

/// A macro (`all`, `exists`, `exists_one`, `map`, `filter`).
#[derive(Debug, Clone)]
pub(super) struct Macro {
    pub(super) kind: MacroKind,
    /// What it goes over.
    pub(super) range: Node,
    /// Slot of the element.
    pub(super) slot: usize,
    /// What an element must fulfil; of `map` with two arguments none.
    pub(super) test: Option<Node>,
    /// What `map` makes of an element.
    pub(super) result: Option<Node>,
}
