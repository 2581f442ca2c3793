//! [`Expression`]: what a text says, before anything is known of its names.

use std::ops::Range;

use super::{operators::Operator, value::Value};

/// Parts within parts.
pub(super) const MAX_DEPTH: u16 = 128;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) struct Expression<'t> {
    /// Its bytes: of an operator its own, of a call those of the name.
    pub(super) place: Range<usize>,
    /// Parts within parts, this one included.
    pub(super) depth: u16,
    pub(super) shape: Shape<'t>,
}

/// What a part of an expression is.
#[derive(Debug, Clone)]
pub(super) enum Shape<'t> {
    /// A value as it stands.
    Literal(Value),
    Name(Name<'t>),
    /// `a.b`.
    Select(Box<Expression<'t>>, Field<'t>),
    /// `has(a.b)`.
    Has(Box<Expression<'t>>, Field<'t>),
    /// `a[b]`.
    Index(Box<[Expression<'t>; 2]>),
    /// `f(a)`, `a.f(b)`.
    Call(Call<'t>),
    /// `a.all(x, b)` and the like.
    Macro(Box<Macro<'t>>),
    List(Vec<Expression<'t>>),
    Map(Vec<(Expression<'t>, Expression<'t>)>),
    /// `a.B{c: d}`: the name of its type.
    Message(&'t str),
    Not(Box<Expression<'t>>),
    Negate(Box<Expression<'t>>),
    And(Vec<Expression<'t>>),
    Or(Vec<Expression<'t>>),
    Binary(Operator, Box<[Expression<'t>; 2]>),
    /// `a ? b : c`.
    Choice(Box<[Expression<'t>; 3]>),
}

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'t> {
    pub(super) name: &'t str,
    /// Whether a dot before it says that it is no variable of a macro.
    pub(super) absolute: bool,
}

/// The name after a dot.
#[derive(Debug, Clone)]
pub(super) struct Field<'t> {
    pub(super) name: &'t str,
    pub(super) place: Range<usize>,
}

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call<'t> {
    /// The value that it is called on.
    pub(super) receiver: Option<Box<Expression<'t>>>,
    pub(super) name: &'t str,
    pub(super) arguments: Vec<Expression<'t>>,
}

/// A macro over a list or the keys of a map.
#[derive(Debug, Clone)]
pub(super) struct Macro<'t> {
    pub(super) kind: MacroKind,
    /// What it goes over.
    pub(super) range: Expression<'t>,
    /// The name of each element.
    pub(super) variable: &'t str,
    /// What an element must fulfil; of `map` with two arguments none.
    pub(super) test: Option<Expression<'t>>,
    /// What `map` makes of an element.
    pub(super) result: Option<Expression<'t>>,
}

/// Which macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MacroKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

impl MacroKind {
    /// The macro of a name and a number of arguments.
    pub(super) fn named(name: &str, arguments: usize) -> Option<Self> {
        match (name, arguments) {
            ("all", 2) => Some(Self::All),
            ("exists", 2) => Some(Self::Exists),
            ("exists_one" | "existsOne", 2) => Some(Self::ExistsOne),
            ("map", 2 | 3) => Some(Self::Map),
            ("filter", 2) => Some(Self::Filter),
            _ => None,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Map => "map",
            Self::Filter => "filter",
        }
    }
}

impl Shape<'_> {
    /// How deep the deepest of its parts is.
    pub(super) fn depth(&self) -> u16 {
        fn deepest<'e, 't: 'e>(parts: impl IntoIterator<Item = &'e Expression<'t>>) -> u16 {
            parts.into_iter().map(|part| part.depth).max().unwrap_or(0)
        }
        match self {
            Self::Literal(_) | Self::Name(_) | Self::Message(_) => 0,
            Self::Select(part, _) | Self::Has(part, _) | Self::Not(part) | Self::Negate(part) => part.depth,
            Self::Index(parts) | Self::Binary(_, parts) => deepest(&**parts),
            Self::Choice(parts) => deepest(&**parts),
            Self::List(parts) | Self::And(parts) | Self::Or(parts) => deepest(parts),
            Self::Map(members) => {
                members.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0)
            }
            Self::Call(call) => deepest(call.receiver.as_deref().into_iter().chain(&call.arguments)),
            Self::Macro(parts) => deepest([&parts.range].into_iter().chain(&parts.test).chain(&parts.result)),
        }
    }
}
