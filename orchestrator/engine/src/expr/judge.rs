//! What types say of an expression before it is evaluated: that it always fails, that a part of it fails whenever it is
//! reached, that a comparison is always the same. What is not known takes everything.

use super::{
    functions::Function,
    kinds::Kinds,
    operators::Operator,
    syntax::MacroKind,
    tree::{Kind, Macro, Node},
    value::Value,
};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How sure it is.
    pub weight: Weight,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<&'static str>,
    /// Its bytes in the expression.
    pub place: std::ops::Range<usize>,
}

/// What follows from what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Every evaluation fails.
    Fails,
    /// Every evaluation fails that gets there.
    FailsWhereReached,
    /// A comparison is always the same.
    AlwaysUnequal,
}

/// The types that an expression may give, with paths of these types, and what was found.
pub(super) fn judge(root: &Node, paths: &[Kinds]) -> (Kinds, Vec<Finding>) {
    let mut judge = Judge { paths, findings: Vec::new() };
    let kinds = judge.kinds(root);
    (kinds, judge.findings)
}

struct Judge<'p> {
    paths: &'p [Kinds],
    findings: Vec<Finding>,
}

impl Judge<'_> {
    /// The types of a part. What is found in it is as sure as that the part is reached; who may not reach it, or may do
    /// without its value, says so.
    fn kinds(&mut self, node: &Node) -> Kinds {
        match &node.kind {
            Kind::Literal(value) => of_value(value),
            Kind::Local(_) => Kinds::ANY,
            Kind::Path(path) => self.paths.get(*path).copied().unwrap_or(Kinds::ANY),
            Kind::HasPath(_) => Kinds::BOOL,
            Kind::Way(_, keys) => self.all(keys.iter(), Kinds::ANY),
            Kind::HasWay(_, keys) => self.all(keys.iter(), Kinds::BOOL),
            // It was reported with the names.
            Kind::Unknown(_) => Kinds::NONE,
            Kind::List(elements) => self.all(elements.iter(), Kinds::LIST),
            Kind::Map(members) => {
                let key = Kinds::BOOL.or(Kinds::INT).or(Kinds::UINT).or(Kinds::TEXT);
                let mut gives = Kinds::MAP;
                for (name, value) in members {
                    let name_kinds = self.kinds(name);
                    if self
                        .takes(name, name_kinds, key, |given| format!("{given} is no key of a map"))
                        .is_none()
                        | self.kinds(value).is_none()
                    {
                        gives = Kinds::NONE;
                    }
                }
                gives
            }
            Kind::Select(operand, name) => self.member(node, operand, name, Kinds::ANY),
            Kind::Has(operand, name) => self.member(node, operand, name, Kinds::BOOL),
            Kind::Index(parts) => self.index(node, &parts[0], &parts[1]),
            Kind::And(parts) => self.logic(parts, "&&"),
            Kind::Or(parts) => self.logic(parts, "||"),
            Kind::Not(operand) => {
                let given = self.kinds(operand);
                self.takes(node, given, Kinds::BOOL, |given| format!("`!` does not take {given}"))
            }
            Kind::Negate(operand) => {
                let given = self.kinds(operand);
                let takes = Kinds::INT.or(Kinds::DOUBLE);
                self.takes(node, given, takes, |given| format!("`-` does not take {given}"))
            }
            Kind::Choice(parts) => self.choice(node, parts),
            Kind::Binary(operator, parts) => self.binary(node, *operator, parts),
            Kind::Call(function, arguments) => self.call(node, *function, arguments),
            Kind::Matches(text, _) => {
                let given = self.kinds(text);
                let fits =
                    self.takes(node, given, Kinds::TEXT, |given| format!("`matches` does not take {given}"));
                if fits.is_none() { Kinds::NONE } else { Kinds::BOOL }
            }
            Kind::Macro(parts) => self.over_elements(parts),
        }
    }

    /// Parts that all have to have a value.
    fn all<'n>(&mut self, parts: impl Iterator<Item = &'n Node>, gives: Kinds) -> Kinds {
        let fails = parts.map(|part| self.kinds(part)).filter(|kinds| kinds.is_none()).count();
        if fails > 0 { Kinds::NONE } else { gives }
    }

    /// What of the types of a part is taken; where nothing is, that is a finding. A part without a value was one already.
    fn takes(
        &mut self,
        at: &Node,
        given: Kinds,
        takes: Kinds,
        message: impl FnOnce(Kinds) -> String,
    ) -> Kinds {
        if !given.is_none() && given.misses(takes) {
            self.found(at, 1, message(given), None);
        }
        given.and(takes)
    }

    fn found(&mut self, at: &Node, length: usize, message: String, hint: Option<&'static str>) {
        let start = at.at as usize;
        self.findings.push(Finding { weight: Weight::Fails, message, hint, place: start..start + length });
    }

    /// What was found since then is only reached at times.
    fn only_at_times(&mut self, since: usize) {
        for finding in self.findings.iter_mut().skip(since).filter(|finding| finding.weight == Weight::Fails)
        {
            finding.weight = Weight::FailsWhereReached;
        }
    }

    fn member(&mut self, node: &Node, operand: &Node, name: &str, gives: Kinds) -> Kinds {
        let of = self.kinds(operand);
        let fits =
            self.takes(node, of, Kinds::MAP, |given| format!("`.{name}` needs a map before it, not {given}"));
        if fits.is_none() { Kinds::NONE } else { gives }
    }

    fn index(&mut self, node: &Node, of: &Node, key: &Node) -> Kinds {
        let of_kinds = self.kinds(of);
        let key_kinds = self.kinds(key);
        let takes = Kinds::LIST.or(Kinds::MAP);
        let message = |given| format!("`[…]` needs a list or a map before it, not {given}");
        let of_kinds = self.takes(node, of_kinds, takes, message);
        let mut fits = key_kinds;
        if of_kinds == Kinds::LIST {
            fits =
                self.takes(key, key_kinds, Kinds::NUMBER, |given| format!("{given} is no index of a list"));
        }
        if of_kinds.is_none() || fits.is_none() { Kinds::NONE } else { Kinds::ANY }
    }

    /// Another part may decide, and then it does not matter what this one gives.
    fn logic(&mut self, parts: &[Node], symbol: &str) -> Kinds {
        let since = self.findings.len();
        let mut may_decide = false;
        for part in parts {
            let given = self.kinds(part);
            let fits =
                self.takes(part, given, Kinds::BOOL, |given| format!("`{symbol}` does not take {given}"));
            may_decide |= !fits.is_none();
        }
        if may_decide {
            self.only_at_times(since);
            return Kinds::BOOL;
        }
        Kinds::NONE
    }

    fn choice(&mut self, node: &Node, parts: &[Node; 3]) -> Kinds {
        let [condition, then, otherwise] = parts;
        let given = self.kinds(condition);
        let message = |given| format!("`?` needs a bool before it, not {given}");
        let condition = self.takes(node, given, Kinds::BOOL, message);
        let since = self.findings.len();
        let gives = self.kinds(then).or(self.kinds(otherwise));
        if condition.is_none() {
            // One finding is enough: neither side is reached.
            self.findings.truncate(since);
            return Kinds::NONE;
        }
        if !gives.is_none() {
            self.only_at_times(since);
        }
        gives
    }

    fn binary(&mut self, node: &Node, operator: Operator, parts: &[Node; 2]) -> Kinds {
        let [left, right] = [self.kinds(&parts[0]), self.kinds(&parts[1])];
        if left.is_none() || right.is_none() {
            return Kinds::NONE;
        }
        let gives = operator.kinds(left, right);
        let symbol = operator.symbol();
        if gives.is_none() {
            let message = format!("`{symbol}` does not take {left} and {right}");
            self.found(node, symbol.len(), message, hint(operator, left, right));
        } else if matches!(operator, Operator::Equal | Operator::NotEqual) && !may_be_equal(left, right) {
            let always = operator == Operator::NotEqual;
            let message = format!("`{symbol}` is always {always} here: {left} is never equal to {right}");
            self.found(node, symbol.len(), message, None);
            if let Some(finding) = self.findings.last_mut() {
                finding.weight = Weight::AlwaysUnequal;
            }
        }
        gives
    }

    fn call(&mut self, node: &Node, function: Function, arguments: &[Node]) -> Kinds {
        let signature = function.signature();
        let name = function.name();
        let mut fails = false;
        for (argument, takes) in arguments.iter().zip([signature.first, signature.second]) {
            let given = self.kinds(argument);
            fails |= given.misses(takes);
            if !given.is_none() && given.misses(takes) {
                let hint = if takes.and(Kinds::TIMESTAMP.or(Kinds::DURATION)) == takes {
                    Some("`timestamp(x)` and `duration(x)` read them from strings")
                } else if takes == Kinds::TEXT {
                    Some("`string(x)` makes a string")
                } else {
                    None
                };
                self.found(node, name.len(), format!("`{name}` does not take {given}"), hint);
            }
        }
        if fails { Kinds::NONE } else { signature.gives }
    }

    fn over_elements(&mut self, parts: &Macro) -> Kinds {
        let name = parts.kind.name();
        let range = self.kinds(&parts.range);
        let takes = Kinds::LIST.or(Kinds::MAP);
        let message = |given| format!("`{name}` goes over a list or a map, not over {given}");
        let range = self.takes(&parts.range, range, takes, message);
        let since = self.findings.len();
        if let Some(test) = &parts.test {
            let given = self.kinds(test);
            self.takes(test, given, Kinds::BOOL, |given| format!("`{name}` needs a bool here, not {given}"));
        }
        if let Some(result) = &parts.result {
            self.kinds(result);
        }
        // There may be no element.
        self.only_at_times(since);
        match parts.kind {
            _ if range.is_none() => Kinds::NONE,
            MacroKind::All | MacroKind::Exists | MacroKind::ExistsOne => Kinds::BOOL,
            MacroKind::Map | MacroKind::Filter => Kinds::LIST,
        }
    }
}

fn of_value(value: &Value) -> Kinds {
    match value {
        Value::Null => Kinds::NULL,
        Value::Bool(_) => Kinds::BOOL,
        Value::Int(_) => Kinds::INT,
        Value::Uint(_) => Kinds::UINT,
        Value::Double(_) => Kinds::DOUBLE,
        Value::Text(_) => Kinds::TEXT,
        Value::Bytes(_) => Kinds::BYTES,
        Value::List(_) => Kinds::LIST,
        Value::Map(_) => Kinds::MAP,
        Value::Timestamp(_) => Kinds::TIMESTAMP,
        Value::Duration(_) => Kinds::DURATION,
        Value::Type(_) => Kinds::TYPE,
        Value::Json(_) => Kinds::LIST.or(Kinds::MAP),
    }
}

fn may_be_equal(left: Kinds, right: Kinds) -> bool {
    !left.misses(right) || !(left.misses(Kinds::NUMBER) || right.misses(Kinds::NUMBER))
}

fn hint(operator: Operator, left: Kinds, right: Kinds) -> Option<&'static str> {
    let numbers = |kinds: Kinds| kinds.and(Kinds::NUMBER) == kinds;
    if numbers(left) && numbers(right) && operator != Operator::Modulo {
        let with_double = !left.or(right).misses(Kinds::DOUBLE);
        return Some(if with_double {
            "make both a double with `double(x)`"
        } else {
            "make both an int with `int(x)`"
        });
    }
    let one_text = left == Kinds::TEXT || right == Kinds::TEXT;
    (operator == Operator::Add && one_text).then_some("make both a string with `string(x)`")
}
