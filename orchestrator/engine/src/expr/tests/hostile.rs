//! Nothing that an expression can say takes long, takes much, or ends the program.

use std::time::Duration;

use proptest::prelude::*;

use super::Variables;

/// The time that the processor may work on one text, in an unoptimized program too.
const SOON: Duration = Duration::from_secs(1);
/// What a program may take that does nothing but these tests, in KiB.
const MEMORY: u32 = 64 << 10;

/// Compiles and evaluates; whatever comes of it, it comes soon.
#[track_caller]
fn soon(expression: &str, variables: &Variables) -> Result<String, String> {
    let before = worked();
    let result = variables
        .compile(expression)
        .map_err(|error| error.message)
        .and_then(|program| program.evaluate(variables).map_err(|error| error.to_string()));
    let took = worked().saturating_sub(before);
    assert!(took < SOON, "{took:?}: {expression:.80}");
    result.map(|value| value.as_str().to_owned())
}

/// The time that the processor has worked for this thread, whatever else runs: `proc_pid_schedstat(5)`.
#[expect(clippy::disallowed_methods, reason = "a test measures; the engine does not")]
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// All of these again in a program that gets no more memory: it aborts if one asks for more.
#[test]
#[expect(clippy::disallowed_methods, reason = "a limit is for a whole process")]
fn no_text_takes_much_memory() {
    let program = std::env::current_exe().unwrap();
    let limited = |memory: u32, tests: &[&str]| {
        let limit = format!("ulimit -d {memory} && exec \"$0\" --test-threads=1 \"$@\"");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &limit]).arg(&program).args(tests).output().unwrap()
    };
    let all = ["expr::tests::hostile::", "--skip", "no_text_takes_much_memory"];
    let output = limited(MEMORY, &all);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !told.contains(" 0 passed"), "{output:?}");
    // The limit is one.
    let output = limited(MEMORY / 16, &["expr::tests::hostile::what_grows_runs_out_of_memory"]);
    assert!(!output.status.success(), "{output:?}");
}

#[track_caller]
fn check(expression: &str, part: &str) {
    let numbers: Vec<_> = (0..200).map(|number: u32| number.to_string()).collect();
    let long = "x".repeat(1 << 20);
    let variables = Variables::new(&format!(r#"{{"l": [{}], "s": "{long}"}}"#, numbers.join(",")));
    let error = soon(expression, &variables).unwrap_err();
    assert!(error.contains(part), "{expression:.80}: {error}");
}

#[test]
fn nested_macros_run_out_of_steps() {
    check("l.all(a, l.all(b, l.all(c, a + b + c >= 0)))", "steps");
    check("l.map(a, l.map(b, l.map(c, [a, b, c])))", "expression");
    check("l.map(a, l.map(b, l.map(c, l.map(d, l.map(e, 1)))))", "nested deeper");
    check("l.exists_one(a, l.exists_one(b, l.exists_one(c, false)))", "expression");
    check("l.exists(a, l.exists(b, l.exists(c, 1 / 0 == 1)))", "steps");
}

#[test]
fn what_grows_runs_out_of_memory() {
    check("l.map(x, s)", "MiB");
    check("l.map(x, s + s)", "MiB");
    check("l.map(x, l + l + l).map(y, y + y).map(z, z + z + z)", "MiB");
    check(&format!("size({})", vec!["s"; 60].join(" + ")), "MiB");
    check("l.map(x, l.map(y, 'abcdefghijklmnopqrstuvwxyz' + string(x)))", "MiB");
}

#[test]
fn patterns_are_bounded() {
    check("s.matches('(x{1000}){1000}')", "too large");
    check("l.all(a, s.matches('(x+x+)+y') || true)", "steps");
    check("l.all(a, 'aa'.matches('(a{50}){' + string(a) + '}') || true)", "steps");
    check(&vec!["s.matches('x')"; 40].join(" && "), "patterns");
}

#[test]
fn deep_texts_are_refused() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}"), ("f(", ")"), ("l[", "]"), ("a?", ":1")] {
        let deep = format!("{}1{}", open.repeat(40), close.repeat(40));
        let _either = soon(&deep, &Variables::default());
        let deeper = format!("{}1{}", open.repeat(1000), close.repeat(300));
        soon(&deeper, &Variables::default()).unwrap_err();
    }
    for text in [
        "!", "-", "1+", "1==", "a.", "a?a:", "1&&", "1||", "(1)+", "-1-", "[1]+", "\"", "'''", "\\", "{", "é",
    ] {
        for count in [50, 300, 1000, 4096 / text.len()] {
            let _either = soon(&text.repeat(count), &Variables::default());
            let _either = soon(&format!("{}1", text.repeat(count)), &Variables::default());
        }
    }
}

#[test]
fn long_chains_that_people_write_are_fine() {
    assert_eq!(soon(&vec!["true"; 300].join(" && "), &Variables::default()).as_deref(), Ok("true"));
    assert_eq!(soon(&vec!["1"; 100].join(" + "), &Variables::default()).as_deref(), Ok("100"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_ends_the_program(text in "\\PC{0,200}") {
        let _either = soon(&text, &Variables::new(r#"{"a": 1, "a-b": [1]}"#));
    }

    #[test]
    fn no_heap_of_tokens_ends_the_program(tokens in prop::collection::vec(token(), 0..200)) {
        let text = tokens.concat();
        let text = &text[..text.len().min(4096)];
        let variables = Variables::new(r#"{"a": 1, "a-b": [1, {"x": "y"}], "l": [1, 2, 3, 4, 5, 6, 7, 8, 9]}"#);
        let _either = soon(text, &variables);
    }
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "a-b",
        "l",
        "x",
        "1",
        "2u",
        "1.5",
        "'s'",
        "b'x'",
        "null",
        "true",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        ".",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "<",
        ">=",
        "==",
        "!=",
        "&&",
        "||",
        " in ",
        ".map(x,",
        ".all(x,",
        ".exists(a,",
        ".filter(x,",
        "has(",
        "size(",
        "matches(",
        ".matches('x*')",
        "timestamp(",
        "duration('1s')",
        "\"\\u0041\"",
        "r'\\'",
        "// c\n",
        "[0]",
        ".x",
        "['k']",
        "string(",
        " ",
    ])
}
