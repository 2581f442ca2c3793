//! Problems inside strings: their place is that of the characters in the file, whatever escapes stand before them.

use super::{checked, with_steps};
use crate::{diagnostic::LineIndex, load::Syntax};

/// The first problem of a text is where `«` and `»` stand, and has the replacement, if one is given.
#[track_caller]
fn check_in(marked: &str, syntax: Syntax, replacement: Option<&str>) {
    let start = marked.find('«').expect("the place begins");
    let end = marked.find('»').expect("the place ends") - '«'.len_utf8();
    let text = marked.replace(['«', '»'], "");
    let (_, diagnostics) = checked(text.as_bytes(), syntax);
    let [found] = &diagnostics[..] else { panic!("{diagnostics:#?}\n{text}") };
    assert_eq!(text.get(found.span.clone()), text.get(start..end), "{found:#?}\n{text}");
    assert_eq!(found.span.start, start, "{found:#?}\n{text}");
    assert_eq!(found.suggestion.as_ref().map(|edit| edit.replacement.as_str()), replacement, "{found:#?}");
    if let Some(edit) = &found.suggestion {
        assert_eq!(edit.span, found.span, "the name itself is replaced");
    }
}

/// In the members of a step, in JSON.
#[track_caller]
fn check(members: &str, replacement: Option<&str>) {
    let step = format!(r#"{{"id":"s","type":"skill","skill":"echo",{members}}}"#);
    check_in(&with_steps(&step), Syntax::Json, replacement);
}

/// In the members of a step, in YAML, each on lines of its own.
#[track_caller]
fn check_yaml(members: &str, replacement: Option<&str>) {
    let head =
        "name: t\nversion: 1.0.0\nsteps:\n- {id: first, type: skill, skill: json-parse, inputs: {data: 1}}\n";
    check_in(&format!("{head}- id: s\n  type: skill\n  skill: echo\n{members}"), Syntax::Yaml, replacement);
}

#[test]
fn names_in_expressions() {
    check(r#""when":"«frist».parsed == 1""#, Some("first"));
    check(r#""when":"  ${ «frist».parsed == 1 }""#, Some("first"));
    check(r#""when":"\"a\" != 'b' && «frist».parsed == 1""#, Some("first"));
    check(r#""when":"'\u00e4\ud834\udd1e\t' != 'é' && «frist».parsed == 1""#, Some("first"));
    check(r#""when":"context.«evn» == 'dev'""#, Some("env"));
    check(r#""when":"inputs[\"«whom»\"] == 'dev'""#, Some("who"));
    check(r#""when":"«nobody» == 1""#, None);
    check(r#""when":"«nothing»(1)""#, None);
    check_yaml("  when: «frist».parsed == 1\n", Some("first"));
    check_yaml("  when: '''a'' != first.parsed && «frist».parsed == 1'\n", Some("first"));
    check_yaml("  when: \"'\\x41' != '' &&\n    «frist».parsed == 1\"\n", Some("first"));
    check_yaml("  when: |\n    first.parsed == 2 ||\n\n      «frist».parsed == 1\n", Some("first"));
}

#[test]
fn names_in_templates() {
    check(r#""inputs":{"v":"é\t\"${first.parsed} and ${«frist».parsed}\""}"#, Some("first"));
    check(r#""inputs":{"v":"$${frist.parsed} ${first.parsed + «frist».parsed}"}"#, Some("first"));
    check(r#""inputs":{"v":["a",{"b":"«frist».parsed"}]}"#, Some("first"));
    check(r#""env":{"A":"${inputs.«whom»}"}"#, Some("who"));
    check_yaml("  inputs:\n    v: >\n      one\n      two ${«frist».parsed}\n", Some("first"));
}

#[test]
fn grammar_of_expressions() {
    check(r#""when":"1 == 1 && «&&» 2""#, None);
    check(r#""when":"'é\"' == «)»""#, None);
    check(r#""when":"1 ==«"»"#, None);
    check(r#""inputs":{"v":"\\ ${1 +«}»"}"#, None);
    check(r#""inputs":{"v":"\\ «${»1 + 2"}"#, None);
    check(r#""inputs":{"v":"\\ «${}»"}"#, None);
    check_yaml("  when: 1 == «)»\n", None);
}

/// Columns are of characters, and a byte order mark is none.
#[test]
fn columns_are_of_the_original() {
    let step = r#"{"id":"s","type":"skill","skill":"echo","when":"'é𝄞\u00e9' == frist.parsed"}"#;
    let text = with_steps(step);
    for text in [text.clone(), format!("\u{feff}{text}")] {
        let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
        let shown = text.trim_start_matches('\u{feff}');
        let place = LineIndex::new(shown).position(diagnostics[0].span.start);
        let line = shown.lines().nth(place.line - 1).unwrap();
        assert_eq!(line.chars().skip(place.column - 1).take(5).collect::<String>(), "frist");
    }
}
