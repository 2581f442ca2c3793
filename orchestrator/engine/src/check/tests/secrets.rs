//! Names of secrets, and where secret inputs may stand.

use super::problems;
use crate::load::Syntax;

/// Codes and pointers of what is wrong with a definition of these members; it has a secret input `token`.
#[track_caller]
fn check(members: &str, expected: &[&str]) {
    let text = format!(
        r#"{{"name":"x","version":"1.0.0",
            "inputs":{{"token":{{"type":"string","secret":true}},"plain":{{"type":"string"}}}},{members}}}"#
    );
    let shown = problems(&text, Syntax::Json);
    let found: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with('E') || line.starts_with('W'))
        .map(|line| {
            let pointer = line.split('"').nth(1).unwrap_or_default();
            format!("{} {pointer}", line.split(' ').next().unwrap_or_default())
        })
        .collect();
    assert_eq!(found, expected, "{shown}");
}

/// A step that calls `echo`, with these further members.
#[track_caller]
fn check_step(members: &str, expected: &[&str]) {
    check(&format!(r#""steps":[{{"id":"a","type":"skill","skill":"echo",{members}}}]"#), expected);
}

#[test]
fn secrets_are_names_of_variables() {
    check_step(r#""secrets":["TOKEN","_a1"]"#, &[]);
    check_step(
        r#""secrets":["a-b","LD_PRELOAD","WORKFLOW_X",""]"#,
        &[
            "E056 /steps/0/secrets/0",
            "E056 /steps/0/secrets/1",
            "E056 /steps/0/secrets/2",
            "E056 /steps/0/secrets/3",
        ],
    );
}

#[test]
fn secret_inputs_are_handed_on_as_they_are() {
    check_step(r#""inputs":{"a":"inputs.token","b":"x ${inputs.token}","c":["${inputs['token']}"]}"#, &[]);
    check_step(r#""env":{"A":"inputs.token","B":"x ${ inputs.token }"}"#, &[]);
    check_step(r#""when":"inputs.plain == ''","inputs":{"a":"${inputs.plain + inputs.plain}"}"#, &[]);
}

#[test]
fn and_are_nowhere_else() {
    check_step(r#""when":"inputs.token == ''""#, &["E057 /steps/0/when"]);
    check_step(r#""inputs":{"a":"${inputs.token + 'x'}"}"#, &["E057 /steps/0/inputs/a"]);
    check_step(r#""inputs":{"a":"${has(inputs.token)}"}"#, &["E057 /steps/0/inputs/a"]);
    check_step(r#""inputs":{"a":"inputs.token.user"}"#, &["E057 /steps/0/inputs/a"]);
    check_step(r#""inputs":{"a":"${inputs}"}"#, &["E057 /steps/0/inputs/a"]);
    check_step(r#""inputs":{"a":"${inputs[inputs.plain]}"}"#, &["E057 /steps/0/inputs/a"]);
    check_step(r#""cwd":"inputs.token""#, &["E057 /steps/0/cwd"]);
    check(
        r#""steps":[{"id":"a","type":"skill","skill":"echo"}],"outputs":{"o":"inputs.token"}"#,
        &["E057 /outputs/o"],
    );
    check(
        r#""context":{"mutable":{"k":""}},
           "steps":[{"id":"a","type":"skill","skill":"echo","assign":{"k":"inputs.token"}}]"#,
        &["E057 /steps/0/assign/k"],
    );
    check(
        r#""steps":[{"id":"l","type":"loop","for_each":"${inputs.token}",
                     "steps":[{"id":"a","type":"skill","skill":"echo"}]}]"#,
        &["E053 /steps/0/for_each", "E057 /steps/0/for_each"],
    );
}
