//! What types say of an expression is true: the evaluation is the measure.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::json::Json;

use super::{
    super::{Bound, Kinds, Names, Path, Program, Types, Weight, functions, operators::Operator},
    Variables,
};
use crate::value::{Reference, Root, Scope, Segment, select};

/// Values of each type as expressions.
const SAMPLES: [(Kinds, &[&str]); 12] = [
    (Kinds::NULL, &["null"]),
    (Kinds::BOOL, &["true", "false"]),
    (Kinds::INT, &["0", "3", "-2"]),
    (Kinds::UINT, &["0u", "4u"]),
    (Kinds::DOUBLE, &["0.5", "-7.0"]),
    (Kinds::TEXT, &["'a'", "'5'", "'true'", "'2024-02-29T12:00:00Z'", "'1s'", "'Europe/Berlin'"]),
    (Kinds::LIST, &["[]", "[1, 'a']"]),
    (Kinds::MAP, &["{}", "{'a': 1}"]),
    (Kinds::BYTES, &["b'ab'"]),
    (Kinds::TIMESTAMP, &["timestamp(0)"]),
    (Kinds::DURATION, &["duration('1s')"]),
    (Kinds::TYPE, &["int", "string"]),
];

/// The type of what an expression gives.
fn kind_of(expression: &str) -> Option<Kinds> {
    let variables = Variables::default();
    let name = variables.compile(&format!("type({expression})")).ok()?.evaluate(&variables).ok()?;
    Some(match name.as_str().trim_matches('"') {
        "null_type" => Kinds::NULL,
        "bool" => Kinds::BOOL,
        "int" => Kinds::INT,
        "uint" => Kinds::UINT,
        "double" => Kinds::DOUBLE,
        "string" => Kinds::TEXT,
        "list" => Kinds::LIST,
        "map" => Kinds::MAP,
        "bytes" => Kinds::BYTES,
        "google.protobuf.Timestamp" => Kinds::TIMESTAMP,
        "google.protobuf.Duration" => Kinds::DURATION,
        other => {
            assert_eq!(other, "type");
            Kinds::TYPE
        }
    })
}

/// All types that some expressions give.
fn kinds_of(expressions: impl Iterator<Item = String>) -> Kinds {
    expressions.filter_map(|expression| kind_of(&expression)).fold(Kinds::NONE, Kinds::or)
}

#[test]
fn operators_give_what_their_table_says() {
    for symbol in ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in"] {
        let operator = Operator::of_symbol(symbol).unwrap();
        for (left, of_left) in SAMPLES {
            for (right, of_right) in SAMPLES {
                let pairs = of_left
                    .iter()
                    .flat_map(|a| of_right.iter().map(move |b| format!("({a}) {symbol} ({b})")));
                assert_eq!(operator.kinds(left, right), kinds_of(pairs), "{left} {symbol} {right}");
            }
        }
    }
}

#[test]
fn functions_give_what_their_table_says() {
    let names = [
        "size",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "type",
        "timestamp",
        "duration",
        "getFullYear",
        "getMonth",
        "getDayOfYear",
        "getDayOfMonth",
        "getDate",
        "getDayOfWeek",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
    ];
    for name in names {
        let on_two =
            functions::find(name, Some(()), 1).is_ok() && functions::find(name, Some(()), 0).is_err();
        let is_method = functions::find(name, None, 1).is_err();
        let receiver = if on_two || is_method { Some(()) } else { None };
        let function = functions::find(name, receiver, usize::from(on_two || !is_method)).unwrap();
        let signature = function.signature();
        for (first, samples) in SAMPLES {
            let seconds: &[(Kinds, &[&str])] = if on_two { &SAMPLES } else { &[(Kinds::TEXT, &[""])] };
            for (second, others) in seconds {
                let calls = samples.iter().flat_map(|a| others.iter().map(move |b| (a, b)));
                let calls = calls.map(|(a, b)| {
                    if receiver.is_some() { format!("({a}).{name}({b})") } else { format!("{name}({a})") }
                });
                let takes = !signature.first.misses(first) && !signature.second.misses(*second);
                let expected = if takes { signature.gives } else { Kinds::NONE };
                assert_eq!(expected, kinds_of(calls), "{name} of {first} and {second}");
            }
        }
    }
}

/// Names of declared types, each with a value of its type.
#[derive(Debug, Clone)]
struct Typed(BTreeMap<&'static str, (Kinds, Json)>);

impl Names for Typed {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn bind(&mut self, path: &Path) -> Bound {
        if !self.has(&path.head) {
            return Bound::Unknown("there is no such name".to_owned());
        }
        let mut way = vec![Segment::Key(path.head.clone())];
        way.extend(path.segments.iter().map(|(segment, _)| segment.clone()));
        Bound::To(Reference { root: Root::Inputs, path: way, text: path.to_string() })
    }

    fn types(&self, reference: &Reference) -> Types {
        match &reference.path[..] {
            [Segment::Key(name)] => Types::surely(self.0[name.as_str()].0),
            _ => Types::JSON,
        }
    }
}

impl Scope for Typed {
    fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
        let (Segment::Key(name), rest) = path.split_first()? else { return None };
        select(&self.0.get(name.as_str())?.1, rest)
    }
}

/// Values of the declared types; of `any` one of any type.
fn values() -> impl Strategy<Value = Typed> {
    let of = |texts: &'static [&'static str]| {
        prop::sample::select(texts).prop_map(|text| Json::parse(text).unwrap())
    };
    let named = (
        of(&["0", "3", "-5", "9223372036854775807"]),
        of(&["0", "2.5", "18446744073709551615", "-1"]),
        of(&["\"\"", "\"a\"", "\"12\"", "\"2024-02-29T12:00:00Z\""]),
        of(&["true", "false"]),
        of(&["[]", "[1]", "[\"a\", null, 2.5]"]),
        of(&["{}", "{\"a\": 1}", "{\"a\": {\"b\": \"x\"}}"]),
        of(&["null", "1", "2.5", "\"a\"", "true", "[2]", "{\"a\": true}"]),
    );
    named.prop_map(|(int, number, text, flag, list, map, any)| {
        Typed(BTreeMap::from([
            ("i", (Kinds::INT, int)),
            ("n", (Kinds::NUMBER, number)),
            ("s", (Kinds::TEXT, text)),
            ("b", (Kinds::BOOL, flag)),
            ("l", (Kinds::LIST, list)),
            ("m", (Kinds::MAP, map)),
            ("any", (Kinds::JSON, any)),
        ]))
    })
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "i", "n", "s", "b", "l", "m", "any", "m.a", "l[0]", "1", "2.5", "'x'", "true", "null", "[1]",
        "{'a': 1}", "x",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 20, 3, |inner| {
        let operators = vec!["||", "&&", "<", "==", "!=", " in ", "+", "-", "*", "/", "%", ">="];
        let functions = vec!["size", "int", "double", "string", "bool", "dyn", "type", "timestamp", "duration"];
        let methods = vec!["contains", "startsWith", "matches", "getHours", "getFullYear"];
        let macros = vec!["all", "exists", "exists_one", "map", "filter"];
        prop_oneof![
            4 => (inner.clone(), prop::sample::select(operators), inner.clone())
                .prop_map(|(a, o, b)| format!("({a}){o}({b})")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
            1 => (prop::sample::select(vec!["!", "-"]), inner.clone()).prop_map(|(o, a)| format!("{o}({a})")),
            1 => (prop::sample::select(functions), inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            1 => (inner.clone(), prop::sample::select(methods), inner.clone())
                .prop_map(|(a, name, b)| format!("({a}).{name}({b})")),
            1 => (inner.clone(), prop::sample::select(macros), inner.clone())
                .prop_map(|(a, name, b)| format!("({a}).{name}(x, {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            1 => inner.clone().prop_map(|a| format!("({a}).a")),
            1 => inner.clone().prop_map(|a| format!("has(({a}).a)")),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("[{a}, {b}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_to_fail_fails(text in expression(), values in values()) {
        let Ok(program) = Program::compile(&text, &mut values.clone()) else { return Ok(()) };
        let fails = program.findings().iter().any(|finding| finding.weight == Weight::Fails);
        let types = program.types().surely;
        match program.evaluate(&values) {
            Ok(value) => {
                prop_assert!(!fails, "{text} gives {value:?}: {:?}", program.findings());
                let given = match value.as_str().as_bytes()[0] {
                    b'n' => Kinds::NULL,
                    b't' | b'f' => Kinds::BOOL,
                    b'"' => Kinds::TEXT,
                    b'[' => Kinds::LIST,
                    b'{' => Kinds::MAP,
                    _ => Kinds::NUMBER,
                };
                prop_assert!(!types.as_json().misses(given), "{text} gives {value:?}, not {types}");
            }
            Err(_) => prop_assert!(!types.is_none() || fails || !program.problems().is_empty(), "{text}"),
        }
        if types.is_none() {
            prop_assert!(fails || !program.problems().is_empty(), "{text}: nobody says why it always fails");
        }
    }
}

#[test]
fn no_case_of_the_public_suite_that_is_right_is_said_to_fail() {
    let Some(suite) = super::oracle::suite() else { return };
    let files = suite["files"].as_object().unwrap();
    for case in files.values().flat_map(|cases| cases.as_array().unwrap()) {
        let text = case["e"].as_str().unwrap();
        let bindings = &case["b"];
        let variables =
            if bindings.is_null() { Variables::default() } else { Variables::new(&bindings.to_string()) };
        let Ok(program) = variables.compile(text) else { continue };
        if program.evaluate(&variables).is_ok() {
            let fails = program.findings().iter().find(|finding| finding.weight == Weight::Fails);
            assert_eq!(fails, None, "{text}");
        }
    }
}

/// What is found in an expression over names of the types of [`values`].
#[track_caller]
fn check(text: &str, expected: &[(Weight, &str, usize)]) {
    let names = ["i", "n", "s", "b", "l", "m", "any"];
    let kinds = [Kinds::INT, Kinds::NUMBER, Kinds::TEXT, Kinds::BOOL, Kinds::LIST, Kinds::MAP, Kinds::JSON];
    let names = names.into_iter().zip(kinds).map(|(name, kinds)| (name, (kinds, Json::null())));
    let program = Program::compile(text, &mut Typed(names.collect())).unwrap();
    let found: Vec<_> = program
        .findings()
        .iter()
        .map(|finding| {
            let hint = finding.hint.map_or_else(String::new, |hint| format!(": {hint}"));
            (finding.weight, format!("{}{hint}", finding.message), finding.place.start)
        })
        .collect();
    let expected: Vec<_> =
        expected.iter().map(|(weight, message, at)| (*weight, (*message).to_owned(), *at)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_always_fails() {
    use Weight::{AlwaysUnequal, Fails, FailsWhereReached};
    check("'a' + 1", &[(Fails, "`+` does not take string and int: make both a string with `string(x)`", 4)]);
    check("i + 1.5", &[(Fails, "`+` does not take int and double: make both a double with `double(x)`", 2)]);
    check("n + 1.5", &[]);
    check("size(5)", &[(Fails, "`size` does not take int", 0)]);
    check("i.startsWith('a')", &[(Fails, "`startsWith` does not take int: `string(x)` makes a string", 2)]);
    check(
        "any.getHours()",
        &[(
            Fails,
            "`getHours` does not take a JSON value: `timestamp(x)` and `duration(x)` read them from strings",
            4,
        )],
    );
    check("1 in s", &[(Fails, "`in` does not take int and string", 2)]);
    check("-s", &[(Fails, "`-` does not take string", 0)]);
    check("!i", &[(Fails, "`!` does not take int", 0)]);
    check("(s + 'a').x", &[(Fails, "`.x` needs a map before it, not string", 9)]);
    check("l['a']", &[]);
    check("[1]['a' + s]", &[(Fails, "string is no index of a list", 8)]);
    check("s ? 1 : 2", &[(Fails, "`?` needs a bool before it, not string", 2)]);
    check("s && i", &[(Fails, "`&&` does not take string", 0), (Fails, "`&&` does not take int", 5)]);
    check("s && b", &[(FailsWhereReached, "`&&` does not take string", 0)]);
    check(
        "b ? s + 1 : 's'",
        &[(FailsWhereReached, "`+` does not take string and int: make both a string with `string(x)`", 6)],
    );
    check("l.all(x, s)", &[(FailsWhereReached, "`all` needs a bool here, not string", 9)]);
    check("s.map(x, x)", &[(Fails, "`map` goes over a list or a map, not over string", 0)]);
    check("i == 'a'", &[(AlwaysUnequal, "`==` is always false here: int is never equal to string", 2)]);
    check("n != null", &[(AlwaysUnequal, "`!=` is always true here: number is never equal to null", 2)]);
    check("i == 1.0 && any == 'a' && dyn(i) == 'a'", &[]);
    check("dyn(s) + 1 == 2", &[]);
}
