//! What a text says to what is evaluated: names are looked up, paths gathered, functions found, patterns compiled.

#![expect(clippy::wildcard_enum_match_arm, reason = "only some shapes are parts of a path")]

use std::{ops::Range, sync::Arc};

use super::{
    Asked, Bound, CompileError, Names, Path, Problem, Types,
    functions::{self, Function},
    guard,
    operators::Operator,
    syntax::{self, Expression, Field, Name, Shape},
    tree::{Kind, Macro, Node},
    value::Value,
};
use crate::value::{Reference, Root, Segment};

/// Macros within macros.
const MAX_LOOPS: usize = 4;
/// Patterns of one expression that are compiled ahead.
const MAX_PATTERNS: usize = 16;
/// Names of types.
const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];
const MESSAGE_TYPES: [&str; 2] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/// What a tree is made with.
pub(super) struct Lowering<'t, 'n, N> {
    names: &'n mut N,
    pub(super) paths: Vec<Reference>,
    /// The types of what they lead to.
    pub(super) types: Vec<Types>,
    pub(super) problems: Vec<Problem>,
    /// Variables of the macros around, outermost first.
    locals: Vec<&'t str>,
    /// What `has()` says wherever this is reached.
    asked: Vec<Asked>,
    patterns: usize,
}

type Result<T> = std::result::Result<T, CompileError>;

impl<'t, 'n, N: Names> Lowering<'t, 'n, N> {
    pub(super) fn new(names: &'n mut N) -> Self {
        Self {
            names,
            paths: Vec::new(),
            types: Vec::new(),
            problems: Vec::new(),
            locals: Vec::new(),
            asked: Vec::new(),
            patterns: 0,
        }
    }

    pub(super) fn node(&mut self, expression: &Expression<'t>) -> Result<Node> {
        if let Some((path, tested)) = self.path_of_value(expression) {
            return Ok(self.bound(path, tested));
        }
        let place = &expression.place;
        let kind = match &expression.shape {
            Shape::Literal(value) => Kind::Literal(value.clone()),
            Shape::Name(name) => match self.local(*name) {
                Some(slot) => Kind::Local(slot),
                None => self.unknown(place.clone(), format!("`{}` is not known here", name.name)),
            },
            Shape::Select(operand, field) => match self.way(operand)? {
                Ok((path, keys)) => Kind::Way(path, with(keys, name_of(field))),
                Err(operand) => Kind::Select(Box::new(operand), field.name.into()),
            },
            Shape::Has(operand, field) => match self.way(operand)? {
                Ok((path, keys)) => Kind::HasWay(path, with(keys, name_of(field))),
                Err(operand) => Kind::Has(Box::new(operand), field.name.into()),
            },
            Shape::Index(parts) => {
                let [of, key] = &**parts;
                let (of, key) = (self.way(of)?, self.node(key)?);
                match of {
                    Ok((path, keys)) => Kind::Way(path, with(keys, key)),
                    Err(of) => Kind::Index(Box::new([of, key])),
                }
            }
            Shape::Call(call) => self.call(call, place)?,
            Shape::Macro(parts) => self.over_elements(parts, place)?,
            Shape::List(elements) => Kind::List(self.nodes(elements)?),
            Shape::Map(members) => {
                let members = members.iter().map(|(key, value)| Ok((self.node(key)?, self.node(value)?)));
                Kind::Map(members.collect::<Result<_>>()?)
            }
            Shape::Message(name) => self.unknown(place.clone(), format!("there is no type `{name}`")),
            Shape::Not(operand) => Kind::Not(self.boxed(operand)?),
            Shape::Negate(operand) => Kind::Negate(self.boxed(operand)?),
            Shape::And(parts) => Kind::And(self.where_asked(parts, true, |this| this.nodes(parts))?),
            Shape::Or(parts) => Kind::Or(self.where_asked(parts, false, |this| this.nodes(parts))?),
            Shape::Binary(operator, parts) => {
                let [left, right] = &**parts;
                let (left, mut right) = (self.node(left)?, self.node(right)?);
                if *operator == Operator::In {
                    right = self.only_keys(right);
                }
                Kind::Binary(*operator, Box::new([left, right]))
            }
            Shape::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                let asked = std::slice::from_ref(condition);
                Kind::Choice(Box::new([
                    self.node(condition)?,
                    self.where_asked(asked, true, |this| this.node(then))?,
                    self.where_asked(asked, false, |this| this.node(otherwise))?,
                ]))
            }
        };
        Ok(placed(place.start, kind))
    }

    fn nodes(&mut self, expressions: &[Expression<'t>]) -> Result<Vec<Node>> {
        expressions.iter().map(|expression| self.node(expression)).collect()
    }

    fn boxed(&mut self, expression: &Expression<'t>) -> Result<Box<Node>> {
        self.node(expression).map(Box::new)
    }

    /// Works where each of some parts gives `outcome`, or where it does not matter what else does: `false` wins in
    /// `&&`, and `true` in `||`.
    fn where_asked<T>(
        &mut self,
        parts: &[Expression<'t>],
        outcome: bool,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.asked.len();
        for part in parts {
            guard::asked(part, outcome, &mut self.asked);
        }
        let done = work(self);
        self.asked.truncate(before);
        done
    }

    fn local(&self, name: Name<'_>) -> Option<usize> {
        if name.absolute { None } else { self.locals.iter().rposition(|local| *local == name.name) }
    }

    /// A problem that the check reports, and that is an error when it is reached.
    fn unknown(&mut self, place: Range<usize>, message: String) -> Kind {
        let kind = Kind::Unknown(message.as_str().into());
        self.problems.push(Problem { message, place });
        kind
    }

    fn call(&mut self, call: &syntax::Call<'t>, place: &Range<usize>) -> Result<Kind> {
        let parts = call.receiver.as_deref().into_iter().chain(&call.arguments);
        let mut arguments = parts.map(|part| self.node(part)).collect::<Result<Vec<_>>>()?;
        let receiver = call.receiver.as_ref().map(|_| ());
        let function = match functions::find(call.name, receiver, call.arguments.len()) {
            Ok(function) => function,
            Err(message) => return Ok(self.unknown(place.clone(), message)),
        };
        if function == Function::Size {
            arguments = arguments.into_iter().map(|of| self.only_keys(of)).collect();
        }
        if function == Function::Matches
            && let [_, Node { kind: Kind::Literal(Value::Text(pattern)), at }] = &arguments[..]
        {
            self.patterns += 1;
            let at = *at as usize;
            if self.patterns > MAX_PATTERNS {
                return Err(CompileError::new(format!("more than {MAX_PATTERNS} patterns"), at..at + 1));
            }
            return Ok(match functions::pattern(pattern) {
                Ok(pattern) => Kind::Matches(Box::new(arguments.remove(0)), Arc::new(pattern)),
                Err(message) => self.unknown(at..at + 1, message),
            });
        }
        Ok(Kind::Call(function, arguments))
    }

    fn over_elements(&mut self, parts: &syntax::Macro<'t>, place: &Range<usize>) -> Result<Kind> {
        let slot = self.locals.len();
        if slot >= MAX_LOOPS {
            let message = format!("macros are nested deeper than {MAX_LOOPS}");
            return Err(CompileError::new(message, place.clone()));
        }
        let range = self.node(&parts.range)?;
        let range = self.only_keys(range);
        self.locals.push(parts.variable);
        let test = parts.test.as_ref().map(|test| self.node(test)).transpose()?;
        let result = parts.result.as_ref().map(|result| self.node(result)).transpose()?;
        self.locals.truncate(slot);
        Ok(Kind::Macro(Box::new(Macro { kind: parts.kind, range, slot, test, result })))
    }

    /// What an expression leads to from the records of all steps; else the expression.
    fn way(&mut self, expression: &Expression<'t>) -> Result<std::result::Result<(usize, Vec<Node>), Node>> {
        let node = self.node(expression)?;
        Ok(match node.kind {
            Kind::Path(path) if self.all_steps(path).is_some() => Ok((path, Vec::new())),
            Kind::Way(path, keys) => Ok((path, keys)),
            _ => Err(node),
        })
    }

    /// The ids of the steps whose records a path leads to.
    fn all_steps(&self, path: usize) -> Option<Root> {
        let Root::Steps(steps) = &self.paths[path].root else { return None };
        Some(Root::StepIds(Arc::clone(steps)))
    }

    /// Where only the keys of a map matter, the records of all steps are their ids.
    fn only_keys(&mut self, node: Node) -> Node {
        let Kind::Path(path) = node.kind else { return node };
        let Some(root) = self.all_steps(path) else { return node };
        let reference = Reference { root, ..self.paths[path].clone() };
        Node { kind: Kind::Path(self.known(reference)), ..node }
    }

    /// The index of a path.
    fn known(&mut self, reference: Reference) -> usize {
        let same = |known: &Reference| known.root == reference.root && known.path == reference.path;
        self.paths.iter().position(same).unwrap_or_else(|| {
            self.types.push(self.names.types(&reference));
            self.paths.push(reference);
            self.paths.len() - 1
        })
    }

    /// The path that an expression is, unless it begins with a variable of a macro.
    fn path_of_value(&self, expression: &Expression<'t>) -> Option<(Path, bool)> {
        let (path, name) = path(expression)?;
        let tested = matches!(expression.shape, Shape::Has(..));
        if self.local(name).is_some() { None } else { Some((path, tested)) }
    }

    fn bound(&mut self, mut path: Path, tested: bool) -> Node {
        path.asked.clone_from(&self.asked);
        if tested {
            path.asked.push(Asked { name: path.name().to_owned(), is_there: true });
        }
        let at = path.head_range.start;
        let text = path.to_string();
        if !self.names.has(&path.head)
            && let Some(name) = TYPES.iter().chain(&MESSAGE_TYPES).find(|name| **name == text)
        {
            return placed(at, Kind::Literal(Value::Type(name)));
        }
        let kind = match self.names.bind(&path) {
            Bound::To(reference) => {
                let index = self.known(Reference { text, ..reference });
                if tested { Kind::HasPath(index) } else { Kind::Path(index) }
            }
            Bound::Unknown(message) => self.unknown(path.head_range.clone(), message),
            Bound::Reported => Kind::Unknown("this was reported".into()),
        };
        placed(at, kind)
    }
}

fn with(mut keys: Vec<Node>, key: Node) -> Vec<Node> {
    keys.push(key);
    keys
}

fn name_of(field: &Field<'_>) -> Node {
    placed(field.place.start, Kind::Literal(Value::Text(field.name.into())))
}

fn placed(at: usize, kind: Kind) -> Node {
    Node { at: u32::try_from(at).unwrap_or(u32::MAX), kind }
}

/// A name with everything that is known ahead of the way from it.
pub(super) fn path<'t>(expression: &Expression<'t>) -> Option<(Path, Name<'t>)> {
    let mut segments = Vec::new();
    let mut part = expression;
    let (name, place) = loop {
        match &part.shape {
            Shape::Name(name) => break (*name, part.place.clone()),
            Shape::Select(of, field) => {
                segments.push(key(field));
                part = of;
            }
            Shape::Has(of, field) if std::ptr::eq(part, expression) => {
                segments.push(key(field));
                part = of;
            }
            Shape::Index(parts) => {
                let [of, index] = &**parts;
                segments.push(segment(index)?);
                part = of;
            }
            _ => return None,
        }
    };
    segments.reverse();
    Some((Path { head: name.name.to_owned(), head_range: place, segments, asked: Vec::new() }, name))
}

fn key(field: &Field<'_>) -> (Segment, Range<usize>) {
    (Segment::Key(field.name.to_owned()), field.place.clone())
}

/// An index that is known ahead; of a string its place without the quotes.
fn segment(index: &Expression<'_>) -> Option<(Segment, Range<usize>)> {
    let place = index.place.clone();
    match &index.shape {
        Shape::Literal(Value::Text(name)) => {
            Some((Segment::Key(name.to_string()), place.start + 1..place.end - 1))
        }
        Shape::Literal(Value::Int(index)) => Some((Segment::Index(u64::try_from(*index).ok()?), place)),
        _ => None,
    }
}
