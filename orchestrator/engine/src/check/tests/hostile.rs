//! Files that want to break the engine: whatever the bytes are, diagnostics come out, in time.

use proptest::prelude::*;

use super::{checked, problems, rendered, with_steps};
use crate::{
    diagnostic::{LineIndex, MAX_PROBLEMS},
    load::{MAX_BYTES, Syntax, load},
};

/// Everything that must hold for any bytes.
fn survives(bytes: &[u8]) {
    for syntax in [Syntax::Json, Syntax::Jsonc, Syntax::Yaml] {
        let (plan, diagnostics) = checked(bytes, syntax);
        assert!(plan.is_some() || !diagnostics.is_empty());
        let text = crate::load::display_text(bytes);
        let lines = LineIndex::new(&text);
        for diagnostic in &diagnostics {
            assert!(diagnostic.span.start <= diagnostic.span.end && diagnostic.span.end <= bytes.len() + 1);
            let position = lines.position(diagnostic.span.start);
            assert!(position.line >= 1 && position.column >= 1);
            if let Some(suggestion) = &diagnostic.suggestion {
                assert!(
                    text.get(suggestion.span.clone()).is_some(),
                    "a suggestion replaces whole characters"
                );
            }
        }
    }
}

const SAMPLE: &str = r#"{"name":"é","version":"1.0.0","inputs":{"a":{"type":"string"}},
"steps":[{"id":"a","type":"skill","skill":"http-get","inputs":{"url":"x${inputs.a}\u00e4${steps['b'].outputs.c}"}},
{"id":"b","type":"loop","for_each":[1,2],"steps":[{"id":"c","type":"skill","skill":"echo"}]}]} // end"#;

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&bytes);
    }

    #[test]
    fn any_text_of_json_tokens(tokens in proptest::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"\\ud800\""),
        Just("1e999"), Just("-0"), Just("null"), Just("/*"), Just("*/"), Just("//"), Just("\n"), Just("\"$literal\""),
        Just("\"${\""), Just("\"\u{1}\""), Just("\u{a0}"), Just("01"), Just("\""), Just("\\"),
    ], 0..60)) {
        survives(tokens.concat().as_bytes());
    }

    #[test]
    fn a_definition_cut_anywhere(cut in 0..SAMPLE.len()) {
        survives(&SAMPLE.as_bytes()[..cut]);
    }

    #[test]
    fn a_definition_with_a_changed_byte(at in 0..SAMPLE.len(), byte in any::<u8>()) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        survives(&bytes);
    }

    #[test]
    fn any_string_as_a_value(value in ".{0,40}") {
        let value = serde_json::to_string(&value).unwrap();
        survives(with_steps(&format!(r#"{{"id":"s","type":"skill","skill":"echo","inputs":{{"v":{value}}}}}"#)).as_bytes());
    }

    #[test]
    fn any_template(value in r#"[a-z.$\{\}\[\]"' \\0-9-]{0,30}"#) {
        let value = serde_json::to_string(&format!("${{{value}")).unwrap();
        survives(with_steps(&format!(r#"{{"id":"s","type":"skill","skill":"echo","inputs":{{"v":{value}}}}}"#)).as_bytes());
    }
}

#[track_caller]
fn first_code(bytes: &[u8], code: &str) {
    let (_, diagnostics) = checked(bytes, Syntax::Json);
    assert_eq!(diagnostics[0].code, code, "{}", rendered("", &diagnostics[..1]));
}

#[test]
fn large_files_are_refused_before_they_are_read() {
    first_code(&vec![b'['; MAX_BYTES + 1], "E002");
}

#[test]
fn nesting_is_refused_at_any_depth() {
    first_code(&vec![b'['; MAX_BYTES], "E003");
    first_code(b"[".repeat(65).as_slice(), "E004");
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    first_code(nested(65).as_bytes(), "E003");
    first_code(nested(64).as_bytes(), "E010");
    first_code(format!("{}1", r#"{"a":"#.repeat(100_000)).as_bytes(), "E003");
}

#[test]
fn lone_surrogates_are_refused() {
    first_code(br#"{"name":"\ud800"}"#, "E004");
    first_code(br#"{"name":"\udc00\ud800"}"#, "E004");
}

#[test]
fn problems_are_counted_beyond_the_bound() {
    let keys: Vec<_> = (0..3000).map(|index| format!("\"nam{index}\":1")).collect();
    let text = format!("{{{}}}", keys.join(","));
    let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    assert_eq!(diagnostics.len(), MAX_PROBLEMS + 1);
    assert_eq!(diagnostics.last().map(|last| last.code), Some("W099"));
}

#[test]
fn warnings_beyond_the_bound_hide_no_error() {
    let numbers = vec!["99999999999999999999"; 3000].join(",");
    let text =
        with_steps(&format!(r#"{{"id":"s","type":"skill","skill":"ecko","inputs":{{"v":[{numbers}]}}}}"#));
    let text = problems(&text, Syntax::Json);
    assert_eq!(text.lines().filter(|line| line.starts_with("E040")).count(), 1);
}

/// Ten thousand steps, each with a reference to the one before and a text that is no reference.
#[test]
fn ten_thousand_steps_are_checked() {
    let text = |steps: usize| {
        let steps: Vec<_> = (1..=steps)
            .map(|index| {
                let before = if index == 1 { "first".to_owned() } else { format!("step-{}", index - 1) };
                format!(
                    r#"{{"id":"step-{index}","type":"skill","skill":"echo","inputs":{{"a":"{before}.data","b":"api{index}.example.com"}}}}"#
                )
            })
            .collect();
        with_steps(&steps.join(",\n"))
    };
    let (plan, diagnostics) = checked(text(10_000).as_bytes(), Syntax::Json);
    assert_eq!(rendered("", &diagnostics), "");
    assert_eq!(plan.unwrap().steps.len(), 10_001);
}

/// Each of these is quadratic if anything looks through all of a file for every problem.
#[test]
fn many_problems_of_one_kind_are_found_in_time() {
    let repeat = |count: usize, piece: &dyn Fn(usize) -> String| (0..count).map(piece).collect::<Vec<_>>();
    let step = |inputs: &str| {
        with_steps(&format!(r#"{{"id":"s","type":"skill","skill":"echo","inputs":{inputs}}}"#))
    };
    let keys = repeat(100_000, &|index| format!("\"k{index}\":1")).join(",");
    let references = repeat(100_000, &|index| format!("\"context.k{index}\"")).join(",");
    let outputs = repeat(50_000, &|index| format!("\"o{index}\"")).join(",");
    let uses = repeat(50_000, &|index| format!("\"a.o{index}\"")).join(",");
    let text = [
        format!("{{{keys}}}"),
        with_steps(&format!("{{{keys}}}")),
        step(&format!("[{references}]").replace('[', "{\"v\":[").replace(']', "]}")),
        step(&format!("{{\"v\":\"{}\"}}", "${nope.x}".repeat(100_000))),
        with_steps(&format!(
            r#"{{"id":"a","type":"skill","skill":"echo","outputs":[{outputs}]}},
            {{"id":"s","type":"skill","skill":"echo","inputs":{{"v":[{uses}]}}}}"#
        )),
    ];
    for text in text {
        let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
        assert!(diagnostics.len() <= 2 * MAX_PROBLEMS + 1);
    }
}

#[test]
fn display_text_keeps_offsets_before_the_first_bad_byte() {
    assert_eq!(crate::load::display_text(b"\xEF\xBB\xBFab\xFFc"), "ab\u{fffd}c");
    let diagnostics = load(b"\xEF\xBB\xBFab\xFFc", Syntax::Json).unwrap_err();
    assert_eq!(diagnostics[0].span, 2..3);
}
