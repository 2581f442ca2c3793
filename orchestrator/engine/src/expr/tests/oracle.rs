//! Our parser and that of the crate `cel` take the same texts, and read the same from them.

use std::{
    path::{Path, PathBuf},
    thread,
};

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue, operators as names},
    parser::Parser,
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};

use super::super::{
    parse,
    syntax::{Expression, Macro, MacroKind, Shape},
    token::Tokens,
    value::Value,
};

/// Stack of a thread for the other parser: it has large frames, and recurses deep.
const STACK: usize = 64 << 20;

/// A call as both sides show it; of `&&` and `||` all parts in one.
fn call(name: &str, parts: &[String]) -> String {
    let open = format!("({name} ");
    let is_logic = [names::LOGICAL_AND, names::LOGICAL_OR].contains(&name);
    let inner = |part: &String| {
        let inner = part.strip_prefix(&open).and_then(|part| part.strip_suffix(')'));
        inner.filter(|_| is_logic).unwrap_or(part).to_owned()
    };
    format!("{open}{})", parts.iter().map(inner).collect::<Vec<_>>().join(" "))
}

fn shown(expression: &Expression<'_>) -> String {
    let all = |parts: &[Expression<'_>]| parts.iter().map(shown).collect::<Vec<_>>();
    match &expression.shape {
        Shape::Literal(Value::Double(value)) => format!("{value:?}d"),
        Shape::Literal(Value::Uint(value)) => format!("{value}u"),
        Shape::Literal(Value::Int(value)) => value.to_string(),
        Shape::Literal(Value::Text(text)) => format!("{text:?}"),
        Shape::Literal(Value::Bytes(bytes)) => format!("b{bytes:?}"),
        Shape::Literal(Value::Bool(value)) => value.to_string(),
        Shape::Literal(_) => "null".to_owned(),
        Shape::Name(name) => format!("{}{}", if name.absolute { "." } else { "" }, name.name),
        Shape::Select(of, field) => format!("(select {} {})", shown(of), field.name),
        Shape::Has(of, field) => format!("(has {} {})", shown(of), field.name),
        Shape::Index(parts) => call(names::INDEX, &all(&**parts)),
        Shape::Call(parts) => {
            let receiver = parts.receiver.as_deref().map_or("on nothing".to_owned(), shown);
            let parts: Vec<_> = [receiver].into_iter().chain(all(&parts.arguments)).collect();
            let Shape::Call(named) = &expression.shape else { unreachable!() };
            call(named.name, &parts)
        }
        Shape::Macro(parts) => expanded(parts),
        Shape::List(elements) => call("list", &all(elements)),
        Shape::Map(members) => {
            let members = members.iter().map(|(key, value)| format!("{}:{}", shown(key), shown(value)));
            call("map", &members.collect::<Vec<_>>())
        }
        Shape::Message(name) => format!("(message {})", name.replace(char::is_whitespace, "")),
        Shape::Not(of) => call(names::LOGICAL_NOT, &[shown(of)]),
        Shape::Negate(of) => call(names::NEGATE, &[shown(of)]),
        Shape::And(parts) => call(names::LOGICAL_AND, &all(parts)),
        Shape::Or(parts) => call(names::LOGICAL_OR, &all(parts)),
        Shape::Binary(operator, parts) => {
            call(names::find_operator(operator.symbol()).unwrap(), &all(&**parts))
        }
        Shape::Choice(parts) => call(names::CONDITIONAL, &all(&**parts)),
    }
}

/// A macro as the other parser writes it out.
fn expanded(parts: &Macro<'_>) -> String {
    let so_far = || "@result".to_owned();
    let test = || parts.test.as_ref().map_or_else(|| "true".to_owned(), shown);
    let gathers = |element: String| {
        let with = call(names::ADD, &[so_far(), call("list", &[element])]);
        if parts.test.is_none() { with } else { call(names::CONDITIONAL, &[test(), with, so_far()]) }
    };
    let goes_on = |part: String| call(names::NOT_STRICTLY_FALSE, &[part]);
    let (init, condition, step, result) = match parts.kind {
        MacroKind::All => {
            ("true".to_owned(), goes_on(so_far()), call(names::LOGICAL_AND, &[so_far(), test()]), so_far())
        }
        MacroKind::Exists => (
            "false".to_owned(),
            goes_on(call(names::LOGICAL_NOT, &[so_far()])),
            call(names::LOGICAL_OR, &[so_far(), test()]),
            so_far(),
        ),
        MacroKind::ExistsOne => {
            let one_more = call(names::ADD, &[so_far(), "1".to_owned()]);
            let step = call(names::CONDITIONAL, &[test(), one_more, so_far()]);
            ("0".to_owned(), "true".to_owned(), step, call(names::EQUALS, &[so_far(), "1".to_owned()]))
        }
        MacroKind::Map => {
            let result = parts.result.as_ref().map(shown).unwrap();
            (call("list", &[]), "true".to_owned(), gathers(result), so_far())
        }
        MacroKind::Filter => {
            (call("list", &[]), "true".to_owned(), gathers(parts.variable.to_owned()), so_far())
        }
    };
    let range = shown(&parts.range);
    call("loop", &[range, parts.variable.to_owned(), init, condition, step, result])
}

fn others(expression: &IdedExpr) -> String {
    let all = |parts: &[IdedExpr]| parts.iter().map(others).collect::<Vec<_>>();
    match &expression.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(value) => value.inner().to_string(),
            LiteralValue::Bytes(value) => format!("b{:?}", value.inner()),
            LiteralValue::Double(value) => format!("{:?}d", value.inner()),
            LiteralValue::Int(value) => value.inner().to_string(),
            LiteralValue::Null => "null".to_owned(),
            LiteralValue::String(value) => format!("{:?}", value.inner()),
            LiteralValue::UInt(value) => format!("{}u", value.inner()),
        },
        Expr::Ident(name) => name.clone(),
        Expr::Select(select) => {
            let kind = if select.test { "has" } else { "select" };
            format!("({kind} {} {})", others(&select.operand), select.field)
        }
        Expr::Call(parts) => {
            let is_operator = parts.func_name.contains(|c: char| !c.is_alphanumeric() && !"._".contains(c));
            let is_function = !is_operator || parts.target.is_some();
            let receiver = parts.target.as_deref().map_or("on nothing".to_owned(), others);
            let parts_of: Vec<_> =
                Some(receiver).filter(|_| is_function).into_iter().chain(all(&parts.args)).collect();
            call(parts.func_name.trim_start_matches('.'), &parts_of)
        }
        Expr::List(list) => call("list", &all(&list.elements)),
        Expr::Map(map) => {
            let members = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(member) => format!("{}:{}", others(&member.key), others(&member.value)),
                EntryExpr::StructField(_) => unreachable!("a map has no fields"),
            });
            call("map", &members.collect::<Vec<_>>())
        }
        Expr::Struct(message) => format!("(message {})", message.type_name.trim_start_matches('.')),
        Expr::Comprehension(parts) => call(
            "loop",
            &[
                others(&parts.iter_range),
                parts.iter_var.clone(),
                others(&parts.accu_init),
                others(&parts.loop_cond),
                others(&parts.loop_step),
                others(&parts.result),
            ],
        ),
        Expr::Unspecified => "nothing".to_owned(),
    }
}

/// What is different; `None`: nothing.
fn difference(text: &str) -> Option<String> {
    let ours = Tokens::read(text, &|_| false)
        .and_then(|read| parse::parse(read.tokens, text))
        .map(|expression| shown(&expression));
    let theirs = Parser::new().parse(text).map(|expression| others(&expression));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => None,
        (Err(_), Err(_)) => None,
        // We are stricter with names of elements.
        (Err(error), Ok(_)) if error.message.contains("a simple name is needed") => None,
        _ => Some(format!("{text:?}\nours   {ours:?}\ntheirs {theirs:?}")),
    }
}

/// Runs where the other parser has room.
fn with_room(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn same_for_all<S: Strategy<Value = String>>(config: ProptestConfig, texts: impl FnOnce() -> S + Send) {
    with_room(|| {
        let texts = texts();
        let result = TestRunner::new(config).run(&texts, |text| match difference(&text) {
            None => Ok(()),
            Some(difference) => Err(TestCaseError::fail(difference)),
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

const NAMES: &[&str] =
    &["a", "b", "x", "size", "has", "in_", "type", "true", "false", "null", "as", ".a", "int"];
const LITERALS: &[&str] = &[
    "1",
    "0",
    "-1",
    "0x1f",
    "7u",
    "0xAU",
    "1.5",
    ".5",
    "2e3",
    "1e-2",
    "-.5",
    "'s'",
    "\"t\\n\"",
    "r'\\d'",
    "b'\\xff'",
    "'''a'b'''",
    "br\"\\\"",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616u",
    "1e999",
    "'\\q'",
    "''",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(NAMES).prop_map(str::to_owned),
        prop::sample::select(LITERALS).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operators = vec!["||", "&&", "<", "<=", ">", ">=", "==", "!=", " in ", "+", "-", "*", "/", "%"];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(a, o, b)| format!("{a}{o}{b}")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} ? {b} : {c}")),
            (prop::sample::select(vec!["!", "-", "!!", "--", "---", "!-", "- "]), inner.clone())
                .prop_map(|(o, a)| format!("{o}{a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            (inner.clone(), prop::sample::select(NAMES)).prop_map(|(a, name)| format!("{a}.{name}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), prop::sample::select(NAMES)).prop_map(|(a, name)| format!("has({a}.{name})")),
            (prop::sample::select(NAMES), inner.clone(), inner.clone())
                .prop_map(|(name, a, b)| format!("{name}({a}, {b})")),
            (inner.clone(), prop::sample::select(NAMES), inner.clone())
                .prop_map(|(a, name, b)| format!("{a}.{name}({b})")),
            (
                inner.clone(),
                prop::sample::select(vec!["all", "exists", "exists_one", "existsOne", "map", "filter"]),
                inner.clone()
            )
                .prop_map(|(a, name, b)| format!("{a}.{name}(x, {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("{a}.map(x, {b}, {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b},]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            (prop::sample::select(NAMES), inner).prop_map(|(name, a)| format!("{name}.B{{c: {a}}}")),
        ]
    })
}

#[test]
fn both_read_the_same_from_generated_expressions() {
    same_for_all(cases(600), expression);
}

#[test]
fn both_refuse_the_same_of_expressions_with_something_wrong() {
    let pieces = vec![
        "", "(", ")", "[", "]", "{", "}", ",", ":", "?", ".", "-", "!", "=", "&", "'", "\"", "\\", "0", "1",
        "x", " ", "in", "`", "//", "\n", "\t", "é", "e5", "u", "0x", "..", "[,]", "{,}", "()", "a{,}",
        "a{b:1,}", ".?", "r'",
    ];
    let texts = || {
        let mutated =
            (expression(), any::<prop::sample::Index>(), prop::sample::select(pieces), any::<bool>());
        mutated.prop_map(move |(text, at, piece, replaces)| {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let at = at.index(places.len());
            let end = if replaces { places.get(at + 1).copied().unwrap_or(text.len()) } else { places[at] };
            format!("{}{piece}{}", &text[..places[at]], &text[end..])
        })
    };
    same_for_all(cases(1000), texts);
}

/// The public suite, where it is.
#[expect(clippy::disallowed_methods, reason = "tests read files; the engine does not")]
pub(super) fn suite() -> Option<serde_json::Value> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let data = std::env::var_os("Q_CONFORMANCE").map_or_else(beside, PathBuf::from);
    serde_json::from_str(&std::fs::read_to_string(data.join("cel.json")).ok()?).unwrap()
}

#[test]
#[expect(clippy::print_stderr, reason = "what is not tested is said aloud")]
fn both_read_the_same_from_the_public_suite() {
    let Some(suite) = suite() else {
        return eprintln!("SKIPPED: no conformance data: set Q_CONFORMANCE to its folder");
    };
    let files = suite["files"].as_object().unwrap();
    with_room(|| {
        for case in files.values().flat_map(|cases| cases.as_array().unwrap()) {
            let difference = difference(case["e"].as_str().unwrap());
            assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        }
    });
}
