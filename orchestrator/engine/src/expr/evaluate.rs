//! Evaluates an expression within its budget.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is an error of types")]

use std::{collections::BTreeMap, sync::Arc};

use schemas::json::Json;

use super::{
    Error, Program,
    budget::Budget,
    functions,
    operators::{Operator, exact_int},
    syntax::MacroKind,
    tree::{Kind, Macro, Node},
    value::{ELEMENT, Key, MEMBER, Value},
};
use crate::value::{Root, Scope, Segment, select};

/// One evaluation.
pub(super) struct Evaluation<'e, S> {
    program: &'e Program,
    scope: &'e S,
    pub(super) budget: Budget,
    /// Elements of the macros around, outermost first.
    locals: Vec<Value>,
    /// Values of paths that were looked up.
    found: Vec<Option<Value>>,
}

impl<'e, S: Scope> Evaluation<'e, S> {
    pub(super) fn new(program: &'e Program, scope: &'e S) -> Self {
        let found = vec![None; program.paths.len()];
        Self { program, scope, budget: Budget::new(), locals: Vec::new(), found }
    }

    /// The value of a part. An error without a place gets that of the innermost part.
    pub(super) fn value(&mut self, node: &Node) -> Result<Value, Error> {
        self.budget.steps(1)?;
        self.kind(node).map_err(|error| error.at(node.at))
    }

    fn kind(&mut self, node: &Node) -> Result<Value, Error> {
        match &node.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Local(slot) => Ok(self.locals[*slot].clone()),
            Kind::Path(path) => self.path(*path),
            Kind::HasPath(path) => Ok(Value::Bool(self.lookup(*path)?.is_some())),
            Kind::Way(path, keys) => {
                let way = self.way(keys)?;
                let found = self.at_end(*path, &way)?.ok_or_else(|| {
                    let mut text = self.program.paths[*path].text.clone();
                    text.extend(way.iter().map(Segment::to_string));
                    Error::missing(format!("`{}` has no value", crate::load::shortened(&text)))
                })?;
                Value::from_json(&found, &mut self.budget)
            }
            Kind::HasWay(path, keys) => {
                let way = self.way(keys)?;
                Ok(Value::Bool(self.at_end(*path, &way)?.is_some()))
            }
            Kind::Unknown(message) => Err(Error::wrong(&**message)),
            Kind::List(elements) => {
                let elements =
                    elements.iter().map(|element| self.value(element)).collect::<Result<_, _>>()?;
                Value::list(elements, &mut self.budget)
            }
            Kind::Map(members) => self.map(members),
            Kind::Select(operand, name) => {
                let operand = self.value(operand)?;
                self.member(operand, name)?.ok_or_else(|| Error::missing(format!("there is no key `{name}`")))
            }
            Kind::Has(operand, name) => {
                let operand = self.value(operand)?;
                Ok(Value::Bool(self.member(operand, name)?.is_some()))
            }
            Kind::Index(parts) => {
                let of = self.value(&parts[0])?;
                let key = self.value(&parts[1])?;
                self.index(of, &key)
            }
            Kind::And(parts) => self.logic(parts, false),
            Kind::Or(parts) => self.logic(parts, true),
            Kind::Not(operand) => match self.value(operand)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                other => Err(Error::wrong(format!("`!` does not take {}", other.type_name()))),
            },
            Kind::Negate(operand) => negate(&self.value(operand)?),
            Kind::Choice(parts) => match self.value(&parts[0])? {
                Value::Bool(true) => self.value(&parts[1]),
                Value::Bool(false) => self.value(&parts[2]),
                other => Err(Error::wrong(format!("`?` needs a bool before it, not {}", other.type_name()))),
            },
            Kind::Binary(operator, parts) => self.binary(*operator, parts),
            Kind::Call(function, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.value(argument)?);
                }
                let mut values = values.into_iter();
                let first = values.next().unwrap_or(Value::Null);
                function.call(first, values.next().as_ref(), &mut self.budget)
            }
            Kind::Matches(text, pattern) => match self.value(text)? {
                Value::Text(text) => functions::is_match(pattern, &text, &mut self.budget).map(Value::Bool),
                other => Err(Error::wrong(format!("`matches` does not take {}", other.type_name()))),
            },
            Kind::Macro(parts) => self.over_elements(parts),
        }
    }

    fn binary(&mut self, operator: Operator, parts: &[Node; 2]) -> Result<Value, Error> {
        let left = self.value(&parts[0])?;
        let right = self.value(&parts[1])?;
        operator.apply(left, right, &mut self.budget)
    }

    fn path(&mut self, path: usize) -> Result<Value, Error> {
        self.lookup(path)?
            .ok_or_else(|| Error::missing(format!("`{}` has no value", self.program.paths[path].text)))
    }

    /// What a path leads to; looked up once.
    fn lookup(&mut self, path: usize) -> Result<Option<Value>, Error> {
        if let Some(found) = &self.found[path] {
            return Ok(Some(found.clone()));
        }
        let reference = &self.program.paths[path];
        let weight = self.scope.weight(&reference.root, &reference.path);
        if matches!(reference.root, Root::Steps(_)) && reference.path.is_empty() {
            // They are put together for this evaluation.
            self.budget.bytes(weight)?;
        } else {
            self.budget.read(weight)?;
        }
        let Some(json) = self.scope.resolve(&reference.root, &reference.path) else { return Ok(None) };
        let value = Value::from_json(&json, &mut self.budget)?;
        self.found[path] = Some(value.clone());
        Ok(Some(value))
    }

    /// The names and indices that some keys are.
    fn way(&mut self, keys: &[Node]) -> Result<Vec<Segment>, Error> {
        let mut way = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.value(key)?;
            let index = match &value {
                Value::Text(name) => {
                    self.budget.bytes(name.len())?;
                    way.push(Segment::Key(name.to_string()));
                    continue;
                }
                Value::Int(at) => u64::try_from(*at).ok(),
                Value::Uint(at) => Some(*at),
                Value::Double(at) => exact_int(*at).and_then(|at| u64::try_from(at).ok()),
                _ => None,
            };
            let wrong = || Error::wrong(format!("{} is no key and no index", value.type_name())).at(key.at);
            way.push(Segment::Index(index.ok_or_else(wrong)?));
        }
        Ok(way)
    }

    /// What a way leads to from a path.
    fn at_end(&mut self, path: usize, way: &[Segment]) -> Result<Option<Json>, Error> {
        let root = &self.program.paths[path].root;
        self.budget.read(self.scope.weight(root, way))?;
        let found = self.scope.resolve(root, way);
        if let (Some(record), [_]) = (&found, way) {
            // It is put together for this evaluation.
            self.budget.bytes(record.len())?;
        }
        Ok(found)
    }

    fn map(&mut self, members: &[(Node, Node)]) -> Result<Value, Error> {
        let mut map = BTreeMap::new();
        for (key, value) in members {
            let key_value = self.value(key)?;
            let wrong = || Error::wrong(format!("{} is no key of a map", key_value.type_name())).at(key.at);
            let is_double = matches!(key_value, Value::Double(_));
            let name = Key::of(&key_value).filter(|_| !is_double).ok_or_else(wrong)?;
            let value = self.value(value)?;
            self.budget.bytes(MEMBER)?;
            if map.insert(name, value).is_some() {
                return Err(Error::wrong("a key is given twice").at(key.at));
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }

    /// A member of a map; of a value that is no map an error.
    fn member(&mut self, of: Value, name: &str) -> Result<Option<Value>, Error> {
        match of {
            Value::Map(members) => Ok(members.get(&Key::Text(name.into())).cloned()),
            Value::Json(json) if json.as_str().starts_with('{') => {
                self.select(&json, Segment::Key(name.to_owned()))
            }
            other => Err(Error::wrong(format!("`.{name}` needs a map before it, not {}", other.type_name()))),
        }
    }

    fn select(&mut self, json: &Json, segment: Segment) -> Result<Option<Value>, Error> {
        self.budget.read(json.len())?;
        let Some(found) = select(json, &[segment]) else { return Ok(None) };
        self.budget.bytes(found.len())?;
        Value::from_json(&found, &mut self.budget).map(Some)
    }

    fn index(&mut self, of: Value, key: &Value) -> Result<Value, Error> {
        let missing = || match key {
            Value::Text(text) => {
                Error::missing(format!("there is no key `{}`", crate::load::shortened(text)))
            }
            _ => Error::missing("the list or map has no such element"),
        };
        let position = || {
            let position = match key {
                Value::Int(at) => Some(*at),
                Value::Uint(at) => i64::try_from(*at).ok(),
                Value::Double(at) => exact_int(*at),
                _ => None,
            };
            position.ok_or_else(|| Error::wrong(format!("{} is no index of a list", key.type_name())))
        };
        match of {
            Value::List(elements) => {
                let at = usize::try_from(position()?).ok();
                at.and_then(|at| elements.get(at)).cloned().ok_or_else(missing)
            }
            Value::Json(json) if json.as_str().starts_with('[') => {
                let at = u64::try_from(position()?).map_err(|_| missing())?;
                self.select(&json, Segment::Index(at))?.ok_or_else(missing)
            }
            Value::Json(json) => match key {
                Value::Text(name) => self.select(&json, Segment::Key(name.to_string()))?.ok_or_else(missing),
                _ => Err(missing()),
            },
            Value::Map(members) => {
                let key = Key::of(key).ok_or_else(missing)?;
                members.get(&key).cloned().ok_or_else(missing)
            }
            other => {
                Err(Error::wrong(format!("`[…]` needs a list or a map before it, not {}", other.type_name())))
            }
        }
    }

    /// `&&` and `||`: the value that decides wins over errors beside it.
    fn logic(&mut self, parts: &[Node], decides: bool) -> Result<Value, Error> {
        let mut failed = None;
        for part in parts {
            match self.value(part) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(other) => {
                    let symbol = if decides { "||" } else { "&&" };
                    let message = format!("`{symbol}` does not take {}", other.type_name());
                    failed.get_or_insert(Error::wrong(message).at(part.at));
                }
                Err(error) if error.is_limit() => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn over_elements(&mut self, parts: &Macro) -> Result<Value, Error> {
        let elements: Vec<Value> = match self.value(&parts.range)?.open(&mut self.budget)? {
            Value::List(elements) => Arc::unwrap_or_clone(elements),
            Value::Map(members) => members.keys().map(Key::value).collect(),
            other => {
                let name = parts.kind.name();
                let message = format!("`{name}` goes over a list or a map, not over {}", other.type_name());
                return Err(Error::wrong(message).at(parts.range.at));
            }
        };
        self.budget.bytes(elements.len() * ELEMENT)?;
        match parts.kind {
            MacroKind::All => self.quantified(parts, elements, false),
            MacroKind::Exists => self.quantified(parts, elements, true),
            MacroKind::ExistsOne => {
                let mut count = 0_usize;
                for element in elements {
                    count += usize::from(self.fits(parts, element)?);
                }
                Ok(Value::Bool(count == 1))
            }
            MacroKind::Filter | MacroKind::Map => self.gathered(parts, elements),
        }
    }

    /// `all` and `exists`: an element that decides wins over errors of those before it.
    fn quantified(&mut self, parts: &Macro, elements: Vec<Value>, decides: bool) -> Result<Value, Error> {
        let mut failed = None;
        for element in elements {
            match self.fits(parts, element) {
                Ok(fits) if fits == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(error) if error.is_limit() => return Err(error),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(Value::Bool(!decides)), Err)
    }

    /// `map` and `filter`.
    fn gathered(&mut self, parts: &Macro, elements: Vec<Value>) -> Result<Value, Error> {
        let mut gathered = Vec::new();
        for element in elements {
            if self.fits(parts, element.clone())? {
                self.budget.bytes(2 * ELEMENT)?;
                gathered.push(match &parts.result {
                    Some(result) => self.of_element(parts.slot, element, result)?,
                    None => element,
                });
            }
        }
        Ok(Value::List(Arc::new(gathered)))
    }

    /// Whether an element fulfils the test of a macro; where there is none, it does.
    fn fits(&mut self, parts: &Macro, element: Value) -> Result<bool, Error> {
        self.budget.steps(1)?;
        let Some(test) = &parts.test else { return Ok(true) };
        match self.of_element(parts.slot, element, test)? {
            Value::Bool(fits) => Ok(fits),
            other => {
                let message = format!("`{}` needs a bool here, not {}", parts.kind.name(), other.type_name());
                Err(Error::wrong(message).at(test.at))
            }
        }
    }

    /// The value of a part with the variable of a macro bound.
    fn of_element(&mut self, slot: usize, element: Value, part: &Node) -> Result<Value, Error> {
        self.locals.truncate(slot);
        self.locals.push(element);
        self.value(part)
    }
}

fn negate(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Int(value) => value
            .checked_neg()
            .map(Value::Int)
            .ok_or_else(|| Error::wrong("the result of `-` is out of the range of int")),
        Value::Double(value) => Ok(Value::Double(-value)),
        other => Err(Error::wrong(format!("`-` does not take {}", other.type_name()))),
    }
}
