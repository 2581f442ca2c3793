//! Programs that print whatever they like: there is always a verdict, and a result is always one JSON value.

use proptest::prelude::*;
use schemas::journal::{Outcome, Output};
use serde_json::Value;

use super::facts;
use crate::verdict::{Death, Facts, Speaks, judge};

/// Pieces of which output is made that comes near to being an answer.
const PIECES: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"\\",
    b"\"error\"",
    b"\"outputs\"",
    b"\"message\"",
    b"{\"error\":",
    b"{}",
    b"null",
    b"-0.0",
    b"1e999",
    b"18446744073709551616",
    b"\\ud800",
    b" \n",
    b"\xff",
];

fn any_output() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12);
    prop_oneof![pieces.prop_map(|pieces| pieces.concat()), prop::collection::vec(any::<u8>(), 0..40)]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a\\\"\u{0}-\u{1f}\u{e4}\u{1f600}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let key = prop_oneof!["[a-c]", Just("error".to_owned()), Just("outputs".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_speaker() -> impl Strategy<Value = Speaks> {
    prop::sample::select(vec![
        Speaks::Builtin,
        Speaks::Program { allow_failure: false },
        Speaks::Program { allow_failure: true },
        Speaks::JsonStdio,
        Speaks::Text { parse_json: false },
        Speaks::Text { parse_json: true },
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_printed_there_is_a_verdict(
        speaks in any_speaker(),
        code in prop_oneof![3 => Just(0), 1 => prop::sample::select(vec![1, 2, 75, 255])],
        stdout in any_output(),
        stderr in any_output(),
    ) {
        let facts =
            Facts { speaks, death: Death::Exited(code), stdout: &stdout, stderr: &stderr, ..facts() };
        if let Outcome::Completed(output) = judge(&facts) {
            let Output::Inline(value) = output else { panic!("a verdict writes no file") };
            serde_json::from_str::<Value>(value.as_str()).unwrap();
            let may_fail = speaks == Speaks::Program { allow_failure: true };
            prop_assert!(code == 0 || may_fail);
        }
    }

    #[test]
    fn a_value_comes_through_as_it_is(value in any_json(), pretty in any::<bool>()) {
        let text =
            if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let facts = Facts { stdout: text.as_bytes(), ..facts() };
        let alone = |key: &str| value.as_object().filter(|object| object.len() == 1)?.get(key);
        let expected = alone("outputs").unwrap_or(&value);
        match judge(&facts) {
            Outcome::Completed(Output::Inline(result)) => {
                prop_assert!(alone("error").is_none());
                prop_assert_eq!(result.as_str(), serde_json::to_string(expected).unwrap());
            }
            Outcome::Failed(_) => prop_assert!(alone("error").is_some(), "{}", text),
            other @ (Outcome::Completed(Output::File { .. }) | Outcome::Cancelled) => panic!("{other:?}"),
        }
    }
}
