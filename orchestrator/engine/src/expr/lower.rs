//! The parser's tree to ours: names are looked up, paths gathered, functions found, patterns compiled.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is an error of types")]

use std::{ops::Range, sync::Arc};

use cel::{
    IdedExpr,
    common::ast::{
        CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, SelectExpr, SourceInfo,
        operators as names,
    },
};

use super::{
    Bound, CompileError, Names, Path, Problem,
    functions::{self, Function},
    operators::Operator,
    source::Source,
    tree::{Kind, Loop, Node},
    value::Value,
};
use crate::value::{Reference, Segment};

/// Parts within parts.
const MAX_DEPTH: usize = 128;
/// Macros within macros.
const MAX_LOOPS: usize = 4;
/// Patterns of one expression that are compiled ahead.
const MAX_PATTERNS: usize = 16;
/// Names of types.
const TYPES: [&str; 11] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "dyn"];
const MESSAGE_TYPES: [&str; 2] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/// What a tree is made with.
pub(super) struct Lowering<'a, N> {
    source: &'a Source,
    places: &'a SourceInfo,
    names: &'a mut N,
    pub(super) paths: Vec<Reference>,
    pub(super) problems: Vec<Problem>,
    /// Variables of the macros around, outermost first.
    locals: Vec<String>,
    loops: usize,
    patterns: usize,
}

type Result<T> = std::result::Result<T, CompileError>;

impl<'a, N: Names> Lowering<'a, N> {
    pub(super) fn new(source: &'a Source, places: &'a SourceInfo, names: &'a mut N) -> Self {
        Self {
            source,
            places,
            names,
            paths: Vec::new(),
            problems: Vec::new(),
            locals: Vec::new(),
            loops: 0,
            patterns: 0,
        }
    }

    pub(super) fn node(&mut self, expression: &IdedExpr, depth: usize) -> Result<Node> {
        let mut place = self.place(expression.id);
        if let Expr::Call(call) = &expression.expr {
            place = self.name_place(&call.func_name, place);
        }
        if depth > MAX_DEPTH {
            return Err(CompileError::new(format!("parts are nested deeper than {MAX_DEPTH}"), place));
        }
        if let Some((path, tested)) = self.path(expression) {
            return Ok(self.bound(&path, tested));
        }
        let depth = depth + 1;
        let kind = match &expression.expr {
            Expr::Literal(literal) => Kind::Literal(self::literal(literal)),
            Expr::Ident(name) => match self.local(name, place.start) {
                Some(slot) => Kind::Local(slot),
                None => self.unknown(place.clone(), format!("`{name}` is not known here")),
            },
            Expr::Select(select) => self.select(select, depth)?,
            Expr::Call(call) => self.call(call, &place, depth)?,
            Expr::List(list) => {
                let elements = list.elements.iter().map(|element| self.node(element, depth));
                Kind::List(elements.collect::<Result<_>>()?)
            }
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| self.entry(entry, depth));
                Kind::Map(entries.collect::<Result<_>>()?)
            }
            Expr::Comprehension(parts) => self.comprehension(parts, &place, depth)?,
            Expr::Struct(message) => {
                self.unknown(place.clone(), format!("there is no type `{}`", message.type_name))
            }
            Expr::Unspecified => return Err(CompileError::new("this is not an expression", place)),
        };
        Ok(placed(place.start, kind))
    }

    /// The bytes of a part: of an operator its own, of a path those of its head.
    fn place(&self, id: u64) -> Range<usize> {
        let (start, last) = self.places.offset_for(id).unwrap_or_default();
        let (start, last) = (start as usize, last as usize);
        let text = &self.source.text;
        let mut start = start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (last + 1).clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }

    fn local(&self, name: &str, at: usize) -> Option<usize> {
        if self.source.renamed.contains_key(&at) {
            return None;
        }
        self.locals.iter().rposition(|local| local == name)
    }

    /// A problem that the check reports, and that is an error when it is reached.
    fn unknown(&mut self, place: Range<usize>, message: String) -> Kind {
        let kind = Kind::Unknown(message.as_str().into());
        self.problems.push(Problem { message, place });
        kind
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Result<Kind> {
        let operand = Box::new(self.node(&select.operand, depth)?);
        let name: Arc<str> = select.field.as_str().into();
        Ok(if select.test { Kind::Has(operand, name) } else { Kind::Select(operand, name) })
    }

    fn entry(&mut self, entry: &IdedEntryExpr, depth: usize) -> Result<(Node, Node)> {
        match &entry.expr {
            EntryExpr::MapEntry(member) => {
                Ok((self.node(&member.key, depth)?, self.node(&member.value, depth)?))
            }
            EntryExpr::StructField(_) => {
                Err(CompileError::new("this is not an expression", self.place(entry.id)))
            }
        }
    }

    fn call(&mut self, call: &CallExpr, place: &Range<usize>, depth: usize) -> Result<Kind> {
        if let ([left, right], names::ADD) = (&call.args[..], call.func_name.as_str())
            && let (Expr::Ident(name), Expr::List(list)) = (&left.expr, &right.expr)
            && name == "@result"
            && let ([element], Some(slot)) = (&list.elements[..], self.local(name, usize::MAX))
        {
            return Ok(Kind::Push(slot, Box::new(self.node(element, depth)?)));
        }
        let arguments = call.target.as_deref().into_iter().chain(&call.args);
        let mut arguments = arguments.map(|part| self.node(part, depth)).collect::<Result<Vec<_>>>()?;
        let kind = match (call.func_name.as_str(), arguments.len()) {
            (names::LOGICAL_AND, _) => Kind::And(arguments),
            (names::LOGICAL_OR, _) => Kind::Or(arguments),
            (names::LOGICAL_NOT, 1) => Kind::Not(Box::new(arguments.remove(0))),
            (names::NOT_STRICTLY_FALSE, 1) => Kind::NotFalse(Box::new(arguments.remove(0))),
            (names::NEGATE, 1) => Kind::Negate(Box::new(arguments.remove(0))),
            (names::INDEX, 2) => Kind::Index(Box::new(two(arguments))),
            (names::CONDITIONAL, 3) => match <[Node; 3]>::try_from(arguments) {
                Ok(parts) => Kind::Choice(Box::new(parts)),
                Err(_) => return Err(CompileError::new("this is not an expression", place.clone())),
            },
            (name, 2) if Operator::named(name).is_some() => Operator::named(name)
                .map_or(Kind::Unknown(name.into()), |o| Kind::Binary(o, Box::new(two(arguments)))),
            (name, _) => return self.function(name, call, arguments, place),
        };
        Ok(kind)
    }

    fn function(
        &mut self,
        name: &str,
        call: &CallExpr,
        mut arguments: Vec<Node>,
        place: &Range<usize>,
    ) -> Result<Kind> {
        let receiver = call.target.as_ref().map(|_| ());
        let function = match functions::find(name, receiver, call.args.len()) {
            Ok(function) => function,
            Err(message) => return Ok(self.unknown(place.clone(), message)),
        };
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

    /// The parser gives a call the place of its bracket; people look at its name.
    fn name_place(&self, name: &str, place: Range<usize>) -> Range<usize> {
        let before = self.source.text[..place.start].trim_end();
        if before.ends_with(name) { before.len() - name.len()..before.len() } else { place }
    }

    fn comprehension(
        &mut self,
        parts: &ComprehensionExpr,
        place: &Range<usize>,
        depth: usize,
    ) -> Result<Kind> {
        if self.loops >= MAX_LOOPS {
            return Err(CompileError::new(
                format!("macros are nested deeper than {MAX_LOOPS}"),
                place.clone(),
            ));
        }
        let range = self.node(&parts.iter_range, depth)?;
        let init = self.node(&parts.accu_init, depth)?;
        let slot = self.locals.len();
        self.loops += 1;
        self.locals.push(parts.accu_var.clone());
        self.locals.push(parts.iter_var.clone());
        let condition = self.node(&parts.loop_cond, depth);
        let step = self.node(&parts.loop_step, depth);
        self.locals.truncate(slot + 1);
        let result = self.node(&parts.result, depth);
        self.locals.truncate(slot);
        self.loops -= 1;
        let parts = Loop { range, init, slot, condition: condition?, step: step?, result: result? };
        Ok(Kind::Loop(Box::new(parts)))
    }

    /// A name with everything that is known ahead of the way from it, and whether it is `has(…)`.
    fn path(&self, expression: &IdedExpr) -> Option<(Path, bool)> {
        let mut segments = Vec::new();
        let mut tested = false;
        let mut part = expression;
        let (head, at) = loop {
            match &part.expr {
                Expr::Ident(name) => break (name, self.place(part.id).start),
                Expr::Select(select) if !select.test || std::ptr::eq(part, expression) => {
                    tested |= select.test;
                    segments.push((Segment::Key(select.field.clone()), self.field_place(part.id, select)));
                    part = &select.operand;
                }
                Expr::Call(call) if call.func_name == names::INDEX && call.target.is_none() => {
                    let [of, key] = &call.args[..] else { return None };
                    segments.push((segment(key)?, self.key_place(key)));
                    part = of;
                }
                _ => return None,
            }
        };
        if head.starts_with('@') || self.local(head, at).is_some() {
            return None;
        }
        segments.reverse();
        let name = self.source.renamed.get(&at).map_or(head.trim_start_matches('.'), String::as_str);
        Some((Path { head: name.to_owned(), head_range: at..at + name.len(), segments }, tested))
    }

    /// The parser gives a selection the place of its dot.
    fn field_place(&self, id: u64, select: &SelectExpr) -> Range<usize> {
        let place = self.place(id);
        let rest = &self.source.text[place.start..];
        match rest.find(&select.field) {
            Some(at) => place.start + at..place.start + at + select.field.len(),
            None => place,
        }
    }

    fn key_place(&self, key: &IdedExpr) -> Range<usize> {
        let place = self.place(key.id);
        let quoted = self.source.text[place.clone()].starts_with(['"', '\'']) && place.len() >= 2;
        if quoted { place.start + 1..place.end - 1 } else { place }
    }

    fn bound(&mut self, path: &Path, tested: bool) -> Node {
        let at = path.head_range.start;
        let text = path.to_string();
        if !self.names.has(&path.head) {
            let is_type = TYPES.contains(&text.as_str()) && text != "dyn";
            let names = TYPES.iter().filter(|_| is_type).chain(&MESSAGE_TYPES);
            if let Some(name) = names.into_iter().find(|name| **name == text) {
                return placed(at, Kind::Literal(Value::Type(name)));
            }
        }
        let kind = match self.names.bind(path) {
            Bound::To(reference) => {
                let known = self
                    .paths
                    .iter()
                    .position(|known| known.root == reference.root && known.path == reference.path);
                let index = known.unwrap_or_else(|| {
                    self.paths.push(Reference { text, ..reference });
                    self.paths.len() - 1
                });
                if tested { Kind::HasPath(index) } else { Kind::Path(index) }
            }
            Bound::Unknown(message) => self.unknown(path.head_range.clone(), message),
            Bound::Reported => Kind::Unknown("this was reported".into()),
        };
        placed(at, kind)
    }
}

fn placed(at: usize, kind: Kind) -> Node {
    Node { at: u32::try_from(at).unwrap_or(u32::MAX), kind }
}

fn two(arguments: Vec<Node>) -> [Node; 2] {
    <[Node; 2]>::try_from(arguments).expect("the caller counted two arguments")
}

/// An index that is known ahead.
fn segment(key: &IdedExpr) -> Option<Segment> {
    match &key.expr {
        Expr::Literal(LiteralValue::String(name)) => Some(Segment::Key(name.inner().to_owned())),
        Expr::Literal(LiteralValue::Int(index)) => u64::try_from(*index.inner()).ok().map(Segment::Index),
        _ => None,
    }
}

fn literal(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Value::Bytes(value.inner().into()),
        LiteralValue::Double(value) => Value::Double(*value.inner()),
        LiteralValue::Int(value) => Value::Int(*value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::Text(value.inner().into()),
        LiteralValue::UInt(value) => Value::Uint(*value.inner()),
    }
}
