//! YAML is another way to write the same tree: every problem has its place in the YAML text.

use std::{fmt::Write as _, fs, path::PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::{checked, problems};
use crate::load::{Definition, MAX_DEPTH, Syntax, load};

/// A definition with these members.
fn with(members: &str) -> String {
    format!("name: t\nversion: 1.0.0\nsteps:\n- {{id: a, type: skill, skill: echo}}\n{members}")
}

/// What is wrong with a text.
fn wrong(text: &str) -> String {
    problems(text, Syntax::Yaml)
}

/// The value of `x-v` as JSON; nothing else is wrong.
#[track_caller]
fn check_value(written: &str, expected: &str) {
    let text = with(&format!("x-v: {written}\n"));
    assert_eq!(wrong(&text), "", "{written}");
    let json = loaded(&text, Syntax::Yaml).to_json();
    let whole: Value = serde_json::from_str(json.as_str()).unwrap();
    assert_eq!(whole["x-v"].to_string(), expected, "{written}");
}

/// What is wrong with each of some texts.
fn all_wrong(texts: &[&str], whole: fn(&str) -> String) -> String {
    texts.iter().fold(String::new(), |all, text| format!("{all}{text:?}\n{}", wrong(&whole(text))))
}

#[track_caller]
fn loaded(text: &str, syntax: Syntax) -> Definition {
    load(text.as_bytes(), syntax).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

#[test]
fn scalars_are_those_of_the_core_schema() {
    for text in [
        "no",
        "on",
        "yes",
        "off",
        "y",
        "1:30",
        "2001-12-14",
        "1_000",
        "0b1",
        "1.0.0",
        "tRUE",
        "-a",
        "1e",
        "0x",
    ] {
        check_value(text, &format!("\"{text}\""));
    }
    for null in ["", "~", "null", "Null", "NULL"] {
        check_value(null, "null");
    }
    for (written, expected) in [
        ("true", "true"),
        ("False", "false"),
        ("12", "12"),
        ("+12", "12"),
        ("-012", "-12"),
        ("007", "7"),
        ("0x1F", "31"),
        ("0o17", "15"),
        (".5", "0.5"),
        ("-3.", "-3.0"),
        ("1.5E+3", "1500.0"),
        ("'12'", "\"12\""),
        ("\"\\x41\\u00e9\\ud834\\udd1e\"", "\"Aé𝄞\""),
        ("'it''s'", "\"it's\""),
        ("!!str 12", "\"12\""),
        ("[a, {b: c}, [], {}]", "[\"a\",{\"b\":\"c\"},[],{}]"),
        ("|\n  a\n   b\n", "\"a\\n b\\n\""),
        (">-\n  a\n  b\n", "\"a b\""),
        ("{200: a, on: b, ~: c, true: d}", r#"{"200":"a","on":"b","true":"d","~":"c"}"#),
        ("!!seq [1]", "[1]"),
    ] {
        check_value(written, expected);
    }
}

#[test]
fn problems_have_their_place_in_the_yaml() {
    insta::assert_snapshot!(wrong("\
# A comment, with an é.
name: té
version: 1.0
steps:
  - id: a
    type: skill
    skil: echo
  - id: a
    type: 'skill'
    skill: \"ecko\"
    when: >-
      1 < 2 &&
      nobody.there
    inputs:
      message: 'it''s ${a.b} and ${b +}'
"), @r##"
    E014 2:7-2:9 "/name" `té` is not a name of a workflow
      hint: letters, digits, `.`, `_` and `-`, a letter or digit first, at most 100
    E010 3:10-3:13 "/version" `version` must be a string, this is a number
    E012 7:5-7:9 "/steps/0/skil" the key `skil` is not known here
      hint: did you mean `skill`?
      suggestion: 7:5 skil -> skill
    E017 8:9-8:10 "/steps/1/id" the id `a` is given to two steps
      hint: ids are unique in the whole file, inner steps included
      note: 5:9 first given here
    E040 10:12-10:18 "/steps/1/skill" the skill `ecko` does not exist
      hint: did you mean `echo`? searched: ./skills, built in
      suggestion: 10:13 ecko -> echo
    E030 13:7-13:13 "/steps/1/when" `nobody` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`
    E050 15:39-15:40 "/steps/1/inputs/message" the expression ends too early
    "##);
}

#[test]
fn what_is_missing_is_missed_at_the_beginning() {
    insta::assert_snapshot!(wrong("name: t\nversion: 1.0.0\nsteps:\n- type: skill\n  skill: echo\n- id:\n  type: skill\n  skill: echo\n"), @r##"
    E011 4:3-4:3 "/steps/0" the key `id` is missing
      hint: Name of the step, unique in the whole file.
    E010 6:5-6:6 "/steps/1/id" `id` must be a string, this is null
    "##);
}

#[test]
fn texts_that_are_no_yaml() {
    insta::assert_snapshot!(all_wrong(&[
        "",
        "# nothing\n",
        "a: b: c\n",
        "a:\n\t- b\n",
        "a: *b\n",
        "a: [1, 2\n",
        "a: 'x\n",
        "a: @x\n",
        "%YAML 2.0\n--- a\n",
        "just text\n",
    ], str::to_owned), @r##"
    ""
    E004 1:1-1:1 "" the file is empty
      hint: a definition is one object
    "# nothing\n"
    E004 2:1-2:1 "" the file is empty
      hint: a definition is one object
    "a: b: c\n"
    E004 1:5-1:6 "" mapping values are not allowed in this context
      hint: a text with `: ` in it stands in quotes
    "a:\n\t- b\n"
    E004 2:2-2:3 "" tabs disallowed within this context (block indentation)
      hint: indent with spaces
    "a: *b\n"
    E004 1:4-1:5 "" while parsing node, found unknown anchor
      hint: an alias names an anchor before it; a text that begins with `*` stands in quotes
    "a: [1, 2\n"
    E004 1:4-1:5 "" unclosed bracket '['
    "a: 'x\n"
    E004 1:4-1:5 "" unclosed quote
    "a: @x\n"
    E004 1:4-1:5 "" unexpected character: `@'
      hint: a text that begins with this character stands in quotes
    "%YAML 2.0\n--- a\n"
    E004 1:1-1:2 "" unsupported YAML major version
    "just text\n"
    E010 1:1-1:10 "" a definition is an object, this is a string
    "##);
}

#[test]
fn what_json_cannot_say_is_refused() {
    insta::assert_snapshot!(all_wrong(&[
        "x-v: !mine 1\n",
        "x-v: !!int \"1\"\n",
        "x-v: !!set {a}\n",
        "x-v: .inf\n",
        "x-v: -.INF\n",
        "x-v: .nan\n",
        "x-v: 0x1FFFFFFFFFFFFFFFF\n",
        "x-v: {? [a] : b}\n",
        "x-v: [&k a, {*k : b}]\n",
        "x-v: 1\nx-v: 2\n",
        "---\nname: u\n---\n",
        "...\n",
    ], with), @r##"
    "x-v: !mine 1\n"
    E007 5:6-5:11 "/x-v" the tag means nothing here
      hint: `!!str` makes a text of a scalar; other tags have no form in JSON
    "x-v: !!int \"1\"\n"
    E007 5:6-5:11 "/x-v" the tag means nothing here
      hint: `!!str` makes a text of a scalar; other tags have no form in JSON
    "x-v: !!set {a}\n"
    E007 5:6-5:11 "/x-v" the tag means nothing here
      hint: `!!str` makes a text of a scalar; other tags have no form in JSON
    "x-v: .inf\n"
    E006 5:6-5:10 "/x-v" the number `.inf` has no form in JSON
      hint: as a text it stands in quotes
    "x-v: -.INF\n"
    E006 5:6-5:11 "/x-v" the number `-.INF` has no form in JSON
      hint: as a text it stands in quotes
    "x-v: .nan\n"
    E006 5:6-5:10 "/x-v" the number `.nan` has no form in JSON
      hint: as a text it stands in quotes
    "x-v: 0x1FFFFFFFFFFFFFFFF\n"
    W001 5:6-5:25 "/x-v" 36893488147419103232 has more than 64 bits and becomes 3.6893488147419103e+19
      hint: write it as a string to keep every digit
    "x-v: {? [a] : b}\n"
    E007 5:9-5:12 "/x-v" a key is a text of one line
      hint: write the text itself, without a tag and without an alias
    "x-v: [&k a, {*k : b}]\n"
    E007 5:14-5:16 "/x-v/1" a key is a text of one line
      hint: write the text itself, without a tag and without an alias
    "x-v: 1\nx-v: 2\n"
    E005 6:1-6:4 "/x-v" the key `x-v` is given twice
      hint: keep one of them
      note: 5:1 first given here
    "---\nname: u\n---\n"
    E009 5:1-5:4 "" a second document begins here
      hint: a definition is one document: put the others into files of their own
    "...\n"
    "##);
}

#[test]
fn aliases_are_copies_with_the_place_of_the_alias() {
    check_value("[&a {b: [1, x]}, *a, &a 2, *a]", r#"[{"b":[1,"x"]},{"b":[1,"x"]},2,2]"#);
    insta::assert_snapshot!(wrong("\
x-base: &base {type: skill, skil: echo}
name: t
version: 1.0.0
steps:
  - *base
  - id: &name 'a b'
    type: skill
    skill: *name
    inputs: {message: &m '${nobody.x}', more: *m}
"), @r##"
    E011 5:5-5:5 "/steps/0" the key `id` is missing
      hint: Name of the step, unique in the whole file.
    E012 5:5-5:10 "/steps/0" the key `skil` is not known here
      hint: did you mean `skill`?
    E016 6:15-6:20 "/steps/1/id" `a b` is not an id
      hint: letters, digits, `_` and `-`, no `-` first, at most 64
    E040 8:12-8:17 "/steps/1/skill" the skill `a b` does not exist
      hint: searched: ./skills, built in
    E030 9:29-9:35 "/steps/1/inputs/message" `nobody` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    E030 9:47-9:49 "/steps/1/inputs/more" `nobody` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    "##);
}

#[test]
fn aliases_are_bounded() {
    let mut laughs = String::from("x-0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let below = level - 1;
        let nine = vec![format!("*l{below}"); 9].join(", ");
        writeln!(laughs, "x-{level}: &l{level} [{nine}]").unwrap();
    }
    let found = wrong(&with(&laughs));
    assert!(found.starts_with("E008 ") && found.lines().count() == 2, "{found}");
    let found = wrong(&with("x-v: &a [*a]\n"));
    assert_eq!(found, "E008 5:10-5:12 \"\" the alias stands inside the value that it names\n");
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH / 2), "]".repeat(MAX_DEPTH / 2));
    let twice = |more: &str| with(&format!("x-v: [&a {deep}, {}*a{}]\n", "[".repeat(30), more));
    assert_eq!(wrong(&twice(&"]".repeat(30))), "");
    let deeper = with(&format!("x-v: [&a {deep}, {}*a{}]\n", "[".repeat(31), "]".repeat(31)));
    assert!(wrong(&deeper).starts_with("E003 "), "{}", wrong(&deeper));
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = |depth: usize| with(&format!("x-v: {}1{}\n", open.repeat(depth), close.repeat(depth)));
        assert_eq!(wrong(&text(MAX_DEPTH - 1)), "");
        assert!(wrong(&text(MAX_DEPTH)).starts_with("E003 "));
        assert!(wrong(&text(100_000)).starts_with("E003 "));
    }
    let steps: String = (0..100_000).flat_map(|depth| [" ".repeat(depth % 300), "a:\n".to_owned()]).collect();
    let (plan, diagnostics) = checked(steps.as_bytes(), Syntax::Yaml);
    assert!(plan.is_none() && !diagnostics.is_empty());
}

/// The texts of the examples, with their names.
fn examples() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "the examples are files; the engine itself reads none")]
    let read_dir = |folder: PathBuf| fs::read_dir(folder).unwrap();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let files = read_dir(folder).map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    #[expect(clippy::disallowed_methods, reason = "the examples are files; the engine itself reads none")]
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    files.map(read).collect()
}

/// JSON is YAML: the tree is the same, and so is every place in it.
#[track_caller]
fn same_in_both(text: &str) {
    let json = loaded(text, Syntax::Json);
    let yaml = loaded(text, Syntax::Yaml);
    assert_eq!(json.root, yaml.root, "{text}");
    assert_eq!(checked(text.as_bytes(), Syntax::Json).1, checked(text.as_bytes(), Syntax::Yaml).1, "{text}");
}

#[test]
fn every_example_is_yaml_too() {
    let examples = examples();
    assert!(examples.len() > 10, "the examples were found");
    for (_, text) in examples {
        same_in_both(&text);
    }
}

/// Any JSON value whose texts a YAML file may hold.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é漢😀\n\t\u{1}\"'\\\\#:*&!|>%@`{}-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map("[a-z é:#'\"-]{0,8}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_yaml(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        same_in_both(&text.unwrap());
    }
}
