//! The way of the data through a run: from inputs, context and results into what the next step gets and what
//! the run gives.

use std::collections::BTreeMap;

use schemas::{
    journal::{Event, RunCreated},
    json::Json,
};

use super::{Driven, completed, created, definition, echo, ended, id, json, plan, started, state, told};
use crate::run::{Action, Spawn};

/// A run with these inputs and `--context`, each an object in text.
fn given(inputs: &str, context: &str) -> RunCreated {
    let object = |text: &str| serde_json::from_str::<BTreeMap<String, Json>>(text).unwrap();
    RunCreated { inputs: object(inputs), context: object(context), ..created() }
}

/// Runs the definition; each result ends the step that runs. Gives what every step got and how it all ended.
#[track_caller]
fn flow(members: &str, created: RunCreated, results: &[&str]) -> String {
    let mut driven = Driven::new(plan(&definition(members)), created);
    let mut told = Vec::new();
    let mut event = Some(started());
    let mut results = results.iter();
    while let Some(next) = event.take() {
        for action in driven.apply(next) {
            if let Action::Spawn(spawn) = &action {
                told.push(got(spawn));
                event = results.next().map(|result| end(spawn, result));
            }
        }
    }
    assert_eq!(results.len(), 0, "every result is used");
    told.push(state(&driven.run));
    let view = driven.run.view();
    if let Some(error) = view.error {
        told.push(format!("{}: {}", error.step.as_deref().unwrap_or("run"), error.message));
    }
    told.push(format!("outputs {:?}", view.outputs));
    told.join("\n")
}

fn end(spawn: &Spawn, result: &str) -> Event {
    ended(spawn.id.clone(), completed(result))
}

fn got(spawn: &Spawn) -> String {
    let mut told = vec![format!("{} {:?}", spawn.id.step, spawn.inputs)];
    if spawn.context.as_str() != "{}" {
        told.push(format!("context {:?}", spawn.context));
    }
    told.extend(spawn.env.iter().map(|(name, value)| format!("{name}={value}")));
    told.extend(spawn.cwd.iter().map(|cwd| format!("in {cwd}")));
    told.join(" ")
}

/// What `b` gets for `value` as its input `v`, after `a` gave `result` and declared `outputs`.
#[track_caller]
fn check(outputs: &str, result: &str, value: &str, expected: &str) {
    let outputs = if outputs.is_empty() { String::new() } else { format!(r#""outputs":{outputs}"#) };
    let steps = format!(
        r#""steps":[{},{}]"#,
        echo("a", &outputs),
        echo("b", &format!(r#""inputs":{{"v":{value}}}"#))
    );
    let mut driven = Driven::new(plan(&definition(&steps)), given("{}", "{}"));
    driven.apply(started());
    let actions = driven.apply(ended(id("a", 1), completed(result)));
    let spawned: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Spawn(spawn) => Some(spawn.inputs.as_str().to_owned()),
            Action::Terminate { .. }
            | Action::ArmTimer { .. }
            | Action::Notice(_)
            | Action::Finish { .. } => None,
        })
        .collect();
    let told = if spawned.is_empty() {
        driven
            .run
            .error()
            .map(|error| format!("{}: {}", error.code.as_str(), error.message))
            .unwrap_or_default()
    } else {
        spawned.concat()
    };
    assert_eq!(told, expected);
}

#[test]
fn what_is_known_of_a_step_and_of_the_run_can_be_taken_as_a_whole() {
    let record = r#"{"v":{"status":"completed","outputs":{"x":1},"attempts":1,"error":null,"started_at":"2023-11-14T22:13:20.02Z","finished_at":"2023-11-14T22:13:20.04Z","duration_ms":10}}"#;
    check("", r#"{"x":1}"#, r#""steps[\"a\"]""#, record);
    check("", r#"{"x":1}"#, r#""${steps.a}""#, record);
    check("", r#"{"x":1}"#, r#""${has(steps.a) && steps['a'] == steps.a}""#, r#"{"v":true}"#);
    check("", "1", r#""${run}""#, r#"{"v":{"id":"r1","attempt":1,"scheduled_at":null}}"#);
}

#[test]
fn the_outputs_of_a_step_can_be_taken_as_a_whole() {
    check("", r#"{"x":1,"y":2}"#, r#""${a}""#, r#"{"v":{"x":1,"y":2}}"#);
    check(r#"["y"]"#, r#"{"x":1,"y":2}"#, r#""${a} and so on""#, r#"{"v":"{\"y\":2} and so on"}"#);
    check("", "7", r#""${a}""#, r#"{"v":{"data":7}}"#);
    check("", r#"{"x":1,"y":2}"#, r#""${size(a) + a['x'] + a['y' + '']}""#, r#"{"v":5}"#);
    check(
        "",
        r#"{"x":1}"#,
        r#""${has(a.x) && !has(a.y) && 'x' in a && a == steps.a.outputs}""#,
        r#"{"v":true}"#,
    );
    check("", r#"{"x":1}"#, r#""a""#, r#"{"v":"a"}"#);
}

#[test]
fn records_of_steps_are_found_by_names_that_are_known_late() {
    let check = |value: &str, expected: &str| check("", r#"{"x":[5,6]}"#, value, expected);
    let record = r#"{"status":"completed","outputs":{"x":[5,6]},"attempts":1,"error":null,"started_at":"2023-11-14T22:13:20.02Z","finished_at":"2023-11-14T22:13:20.04Z","duration_ms":10}"#;
    check(r#""${steps}""#, &format!(r#"{{"v":{{"a":{record}}}}}"#));
    check(r#""${steps['a' + '']}""#, &format!(r#"{{"v":{record}}}"#));
    check(r#""${steps['a' + ''].outputs.x[0 + 1]}""#, r#"{"v":6}"#);
    check(r#""${'a' in steps && !('b' in steps) && size(steps) == 1 && has(steps.a)}""#, r#"{"v":true}"#);
    check(r#""${steps.exists(k, steps[k].status == 'failed')}""#, r#"{"v":false}"#);
    check(r#""${steps.map(k, [k, steps[k].outputs.x[0], dyn(steps)[k].attempts])}""#, r#"{"v":[["a",5,1]]}"#);
    check(
        r#""${['a', 'b', 'c'].map(k, has(steps[k].outputs.x) ? 'x' : has(steps[k].y) ? 'y' : '-')}""#,
        r#"{"v":["x","-","-"]}"#,
    );
    check(
        r#""${steps['b' + ''].status}""#,
        "missing_reference: `steps.b.status` has no value, in `steps['b' + ''].status`",
    );
    check(
        r#""${steps[1 + 0].status}""#,
        "missing_reference: `steps[1].status` has no value, in `steps[1 + 0].status`",
    );
    check(
        r#""${steps[1 == 1].status}""#,
        "expression_error: bool is no key and no index, in `steps[1 == 1].status`",
    );
}

#[test]
fn of_all_records_only_what_is_asked_for_is_read() {
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(9 << 20));
    let check = |value: &str, expected: &str| check("", &large, value, expected);
    check(r#""${steps.exists(k, steps[k].status == 'completed') && 'a' in steps}""#, r#"{"v":true}"#);
    check(r#""${size(steps)} ${steps.all(k, has(steps[k].outputs.x))}""#, r#"{"v":"1 true"}"#);
    check(r#""${steps}""#, "expression_error: the expression makes more than 8 MiB, in `steps`");
}

/// What the step `id` gets as its input `v`, in a flow of these steps whose every result is 1.
#[track_caller]
fn sees(steps: &str, results: usize, expected: &[&str]) {
    let flow = flow(&format!(r#""steps":[{steps}]"#), given("{}", "{}"), &vec!["1"; results]);
    let got: Vec<_> = flow.lines().filter(|line| line.contains(r#" {"v":"#)).collect();
    assert_eq!(got, expected);
}

#[test]
fn records_are_those_of_steps_that_ended_before_the_reader() {
    let all = r#""inputs":{"v":"${steps.map(k, k + ' ' + steps[k].status)}"}"#;
    let [a, z, x, y] = [echo("a", ""), echo("z", all), echo("x", all), echo("y", all)];
    // What runs at the same time is not there, not even where it has ended.
    let both = format!(r#"{{"id":"p","type":"parallel","max_concurrent":1,"steps":[{x},{y}]}}"#);
    sees(
        &format!("{a},{both},{z}"),
        4,
        &[
            r#"x {"v":["a completed"]}"#,
            r#"y {"v":["a completed"]}"#,
            r#"z {"v":["a completed","p completed","x completed","y completed"]}"#,
        ],
    );
    // The branch that was taken, and what was skipped.
    let branch = format!(
        r#"{{"id":"c","type":"conditional","condition":"false","then":[{x}],"else":[{}]}}"#,
        echo("e", "")
    );
    let skipped = echo("s", r#""when":"false""#);
    sees(&format!("{branch},{skipped},{z}"), 2, &[r#"z {"v":["c completed","e completed","s skipped"]}"#]);
    // The turn before, where there is one.
    let turns =
        |more: &str| format!(r#"{{"id":"l","type":"loop","for_each":[1,2],"steps":[{x},{a}]{more}}}"#);
    sees(&turns(""), 4, &[r#"x {"v":[]}"#, r#"x {"v":["a completed","x completed"]}"#]);
    sees(&turns(r#","max_concurrent":2"#), 0, &[r#"x {"v":[]}"#, r#"x {"v":[]}"#]);
    // What goes on in the background is not waited for.
    let aside = echo("b", r#""async":true"#);
    sees(&format!("{aside},{z}"), 0, &[r#"z {"v":[]}"#]);
}

#[test]
fn a_final_step_sees_the_records_of_what_ran() {
    let all = r#""inputs":{"v":"${steps.filter(k, steps[k].status == 'failed')}"}"#;
    let members = format!(r#""steps":[{},{}],"finally":[{}]"#, echo("a", ""), echo("b", ""), echo("f", all));
    let mut driven = Driven::new(plan(&definition(&members)), given("{}", "{}"));
    driven.apply(started());
    let actions = driven.apply(ended(id("a", 1), super::failed("a", schemas::failure::Code::ExitCode)));
    let got: Vec<_> = actions
        .iter()
        .filter_map(|action| if let Action::Spawn(spawn) = action { Some(got(spawn)) } else { None })
        .collect();
    assert_eq!(got, [r#"f {"v":["a"]}"#]);
}

#[test]
fn a_reference_keeps_the_type_and_the_text_of_the_value() {
    check("", r#"{"x":1.50}"#, r#""a.x""#, r#"{"v":1.50}"#);
    check("", r#"{"x":null}"#, r#""a.x""#, r#"{"v":null}"#);
    check("", r#"{"x":[1,{"y":"ä"}]}"#, r#""a.x[1].y""#, r#"{"v":"ä"}"#);
    check("", r#"{"x":{"k y":true}}"#, r#""a.x[\"k y\"]""#, r#"{"v":true}"#);
    check("", r#"{"x":18446744073709551616}"#, r#""${a.x}""#, r#"{"v":18446744073709551616}"#);
    check("", r#"{"x":1,"x":2}"#, r#""a.x""#, r#"{"v":2}"#);
}

#[test]
fn a_template_joins_as_text() {
    check("", r#"{"x":"q\"","n":7}"#, r#""<${a.x}|${a.n}>""#, r#"{"v":"<q\"|7>"}"#);
    check("", r#"{"x":{"k":[1, 2]}}"#, r#""is ${a.x}""#, r#"{"v":"is {\"k\":[1,2]}"}"#);
    check("", r#"{"x":1}"#, r#"["${a.x}","$${a.x}",{"k":"a.x"}]"#, r#"{"v":[1,"${a.x}",{"k":1}]}"#);
}

#[test]
fn what_flows_is_not_read_again() {
    check("", r#"{"x":"${a.y}","y":"secret"}"#, r#""a.x""#, r#"{"v":"${a.y}"}"#);
    check("", r#"{"x":"a.y","y":"secret"}"#, r#""${a.x}!""#, r#"{"v":"a.y!"}"#);
    check("", r#"{"x":{"$literal":1}}"#, r#""a.x""#, r#"{"v":{"$literal":1}}"#);
}

#[test]
fn literals_stay_as_they_are() {
    check("", "1", r#"{"$literal":"a.data"}"#, r#"{"v":"a.data"}"#);
    check("", "1", r#"{"$literal":{"k":["${a.data}"]}}"#, r#"{"v":{"k":["${a.data}"]}}"#);
    check("", "1", r#""https://a.example/x""#, r#"{"v":"https://a.example/x"}"#);
}

#[test]
fn data_and_text_stand_for_the_whole_result() {
    check("", r#"{"data":1,"text":2}"#, r#""a.data""#, r#"{"v":{"data":1,"text":2}}"#);
    check("", r#"{"data":1,"text":2}"#, r#""a.data.data""#, r#"{"v":1}"#);
    check("", r#"{"data":1,"text":2}"#, r#""a.text""#, r#"{"v":"{\"data\":1,\"text\":2}"}"#);
    check("", r#""plain""#, r#""a.text""#, r#"{"v":"plain"}"#);
    check("", "[1]", r#""a.data[0]""#, r#"{"v":1}"#);
    check(r#"["x"]"#, r#"{"x":1}"#, r#""a.data.x""#, r#"{"v":1}"#);
}

#[test]
fn named_outputs() {
    check(r#"["x"]"#, r#"{"x":1,"y":2}"#, r#""a.x""#, r#"{"v":1}"#);
    check(r#"["x"]"#, r#"{"y":2}"#, r#""a.x""#, r#"{"v":{"y":2}}"#);
    check(r#"["x"]"#, "[1,2]", r#""a.x[1]""#, r#"{"v":2}"#);
    check(r#"["x","y"]"#, r#"{"x":1,"y":2,"z":3}"#, r#""${a.x}${a.y}""#, r#"{"v":"12"}"#);
    check(
        r#"["x","y"]"#,
        r#"{"x":1}"#,
        r#""a.x""#,
        "missing_output: the result has no output `y`, which the step names",
    );
    check(
        r#"["x","y"]"#,
        r#""text""#,
        r#""a.x""#,
        "missing_output: the result has no output `x`, which the step names",
    );
}

#[test]
fn what_is_not_there_is_missing() {
    check("", r#"{"x":1}"#, r#""a.y""#, "missing_reference: `a.y` has no value");
    check("", r#"{"x":1}"#, r#""v ${a.x.y} v""#, "missing_reference: `a.x.y` has no value");
    check("", r#"{"x":[]}"#, r#"{"k":["a.x[0]"]}"#, "missing_reference: `a.x[0]` has no value");
    check("", "7", r#""a.x""#, "missing_reference: `a.x` has no value");
}

#[test]
fn the_record_of_a_step() {
    let record = |member: &str, expected: &str| {
        let value = format!(r#""steps[\"a\"].{member}""#);
        check("", r#"{"x":1}"#, &value, &format!(r#"{{"v":{expected}}}"#));
    };
    record("status", r#""completed""#);
    record("outputs", r#"{"x":1}"#);
    record("outputs.x", "1");
    record("attempts", "1");
    record("error", "null");
    record("started_at", r#""2023-11-14T22:13:20.02Z""#);
    record("finished_at", r#""2023-11-14T22:13:20.04Z""#);
    record("duration_ms", "10");
    check(r#"["x"]"#, "7", r#""steps.a.outputs""#, r#"{"v":{"x":7}}"#);
    check("", "7", r#""steps.a.outputs""#, r#"{"v":{"data":7}}"#);
}

#[test]
fn values_go_from_step_to_step_and_out_of_the_run() {
    let members = format!(
        r#""steps":[{},{},{}],
        "outputs":{{"last":"c.v","all":["a.x","${{b.data}}!"],"fix":1,"obj":{{"id":"run.id"}}}}"#,
        echo("a", ""),
        echo("b", r#""inputs":{"from":"a.x"}"#),
        echo("c", r#""inputs":{"both":["a.x","b.y"]}"#)
    );
    let results = [r#"{"x":"one"}"#, r#"{"y":2}"#, r#"{"v":[3]}"#];
    insta::assert_snapshot!(flow(&members, created(), &results), @r#"
    a {}
    b {"from":"one"}
    c {"both":["one",2]}
    completed [a#1 completed {"x":"one"}, b#1 completed {"y":2}, c#1 completed {"v":[3]}]
    outputs {"last":[3],"all":["one","{\"y\":2}!"],"fix":1,"obj":{"id":"r1"}}
    "#);
}

#[test]
fn inputs_and_run_are_values_too() {
    let members = format!(
        r#""inputs":{{"who":{{"type":"string"}},"n":{{"type":"integer","default":3}}}},"steps":[{}],
        "outputs":{{"everything":"${{inputs}}"}}"#,
        echo("a", r#""inputs":{"who":"inputs.who","run":["run.id","run.attempt","run.scheduled_at"]}"#),
    );
    let scheduled = RunCreated {
        scheduled_at: Some("2024-02-29T09:00:00Z".parse().unwrap()),
        ..given(r#"{"who":"${run.id}","n":3}"#, "{}")
    };
    insta::assert_snapshot!(flow(&members, scheduled, &["{}"]), @r#"
    a {"who":"${run.id}","run":["r1",1,"2024-02-29T09:00:00Z"]}
    completed [a#1 completed {}]
    outputs {"everything":{"n":3,"who":"${run.id}"}}
    "#);
    insta::assert_snapshot!(flow(&members, given(r#"{"n":3}"#, "{}"), &[]), @"
    failed error:missing_reference [a#1 failed:missing_reference]
    a: `inputs.who` has no value
    outputs {}
    ");
}

#[test]
fn context_is_given_and_overridden() {
    let context = r#""context":{"readonly":{"env":"dev","both":1},"mutable":{"n":0,"both":2}}"#;
    let inputs = r#""inputs":{"e":"context.env","n":"context.n","both":"context.both","all":"${context}"}"#;
    let members = format!(r#"{context},"steps":[{}]"#, echo("a", inputs));
    insta::assert_snapshot!(flow(&members, created(), &["1"]), @r#"
    a {"e":"dev","n":0,"both":2,"all":{"both":2,"n":0,"env":"dev"}} context {"both":2,"n":0,"env":"dev"}
    completed [a#1 completed 1]
    outputs {}
    "#);
    let overridden = given("{}", r#"{"env":"${context.n}","stranger":1}"#);
    insta::assert_snapshot!(flow(&members, overridden, &["1"]), @r#"
    a {"e":"${context.n}","n":0,"both":2,"all":{"both":2,"n":0,"env":"${context.n}"}} context {"both":2,"n":0,"env":"${context.n}"}
    completed [a#1 completed 1]
    outputs {}
    "#);
}

#[test]
fn environment_and_directory_are_filled_in_as_text() {
    let own = r#""env":{"A":"a.n","B":"<${a.s}>","C":"a.o","D":"$${x}"},"cwd":"${a.s}/sub""#;
    let members = format!(r#""steps":[{},{}]"#, echo("a", ""), echo("b", own));
    let results = [r#"{"n":1.50,"s":"it's","o":{"k": [1]}}"#, "1"];
    insta::assert_snapshot!(flow(&members, created(), &results), @r#"
    a {}
    b {} A=1.50 B=<it's> C={"k":[1]} D=${x} in it's/sub
    completed [a#1 completed {"n":1.50,"s":"it's","o":{"k": [1]}}, b#1 completed 1]
    outputs {}
    "#);
    for member in [r#""env":{"A":"a.gone"}"#, r#""cwd":"a.gone""#] {
        let members = format!(r#""steps":[{},{}]"#, echo("a", ""), echo("b", member));
        insta::allow_duplicates! {
            insta::assert_snapshot!(flow(&members, created(), &["{}"]), @"
            a {}
            failed error:missing_reference [a#1 completed {}, b#1 failed:missing_reference]
            b: `a.gone` has no value
            outputs {}
            ");
        }
    }
}

#[test]
fn a_step_whose_inputs_are_missing_never_starts() {
    let members = format!(
        r#""steps":[{},{},{}]"#,
        echo("a", ""),
        echo("b", r#""inputs":{"v":"a.gone"}"#),
        echo("c", "")
    );
    let mut driven = Driven::new(plan(&definition(&members)), created());
    driven.apply(started());
    let actions = driven.apply(ended(id("a", 1), completed("{}")));
    let told: Vec<_> = actions.iter().map(told).collect();
    insta::assert_debug_snapshot!(told, @r#"
    [
        "(a#1 completed 10ms)",
        "(b#1 failed missing_reference 0ms)",
        "(run ended failed missing_reference 10ms)",
        "finish failed",
    ]
    "#);
    let view = driven.run.view();
    let b = &view.steps[1];
    assert_eq!(b.attempts.len(), 1);
    assert_eq!(b.attempts[0].started, Some(false));
    assert_eq!(b.error.as_ref().map(|error| error.retryable), Some(false));
    assert_eq!(view.steps[2].started_at, None);
}

#[test]
fn outputs_of_a_run_that_are_missing_fail_it() {
    let members = format!(r#""steps":[{}],"outputs":{{"x":"a.x","y":"a.y"}}"#, echo("a", ""));
    insta::assert_snapshot!(flow(&members, created(), &[r#"{"x":1}"#]), @r#"
    a {}
    failed error:missing_reference [a#1 completed {"x":1}]
    run: `a.y` has no value
    outputs {}
    "#);
    insta::assert_snapshot!(flow(&members, created(), &[r#"{"x":1,"y":null}"#]), @r#"
    a {}
    completed [a#1 completed {"x":1,"y":null}]
    outputs {"x":1,"y":null}
    "#);
}

#[test]
fn a_result_in_a_file_that_the_shell_did_not_read_is_bad() {
    let members = format!(r#""steps":[{}]"#, echo("a", ""));
    let mut driven = Driven::new(plan(&definition(&members)), created());
    driven.apply(started());
    let file =
        schemas::journal::Output::File { path: "steps/a/1/output.json".to_owned(), bytes: 9, value: None };
    driven.apply(ended(id("a", 1), schemas::journal::Outcome::Completed(file)));
    insta::assert_snapshot!(state(&driven.run), @"failed error:bad_output [a#1 failed:bad_output]");
    assert_eq!(driven.run.view().steps[0].outputs, None);
    assert_eq!(driven.run.view().outputs, json("{}"));
}

#[test]
fn expressions_are_evaluated_where_they_stand() {
    check("", r#"{"x":3}"#, r#""${a.x * 2}""#, r#"{"v":6}"#);
    check("", r#"{"x":3}"#, r#""<${a.x * 2} of ${a.x + 1 > 3}>""#, r#"{"v":"<6 of true>"}"#);
    check("", r#"{"x":[1,2,3]}"#, r#"["${a.x.filter(n, n > 1)}"]"#, r#"{"v":[[2,3]]}"#);
    check("", r#"{"x":{"k":1.50}}"#, r#""${has(a.y) ? a.y : a.x}""#, r#"{"v":{"k":1.50}}"#);
    check("", r#"{"x":9007199254740993}"#, r#""${a.x == 9007199254740992.0}""#, r#"{"v":false}"#);
    check("", r#"{"x":"${a.y} + 1"}"#, r#""${a.x + '!'}""#, r#"{"v":"${a.y} + 1!"}"#);
    check("", "{}", r#""${a.x + 1}""#, "missing_reference: `a.x` has no value, in `a.x + 1`");
    check(
        "",
        r#"{"x":1}"#,
        r#""${a.x + 1.5}""#,
        "expression_error: `+` does not take int and double: make both a double with `double(x)`, in `a.x + 1.5`",
    );
}

/// Three steps, the second with this `when`, the third with the outputs of the second where it has any.
#[track_caller]
fn when(condition: &str, result: &str) -> String {
    let last = r#""inputs":{"v":"${has(b.data) ? 'there' : steps['b'].status}"}"#;
    let steps = [echo("a", ""), echo("b", &format!(r#""when":"{condition}""#)), echo("c", last)];
    let members = format!(r#""steps":[{}]"#, steps.join(","));
    let mut driven = Driven::new(plan(&definition(&members)), given("{}", "{}"));
    driven.apply(started());
    let told_all = |actions: &[Action]| {
        let told = actions.iter().map(|action| match action {
            Action::Spawn(spawn) => got(spawn),
            Action::Terminate { .. }
            | Action::ArmTimer { .. }
            | Action::Notice(_)
            | Action::Finish { .. } => super::told(action),
        });
        told.collect::<Vec<_>>().join("; ")
    };
    let mut told = vec![told_all(&driven.apply(ended(id("a", 1), completed(result))))];
    if driven.run.steps().last().is_some_and(|step| step.is_live() && step.step.0 == 1) {
        told.push(told_all(&driven.apply(ended(id("b", 1), completed("1")))));
    }
    told.extend(driven.run.error().map(|error| error.message.clone()));
    let view = driven.run.view();
    told.push(format!("b is {}: {:?}", view.steps[1].status.as_str(), view.steps[1].skip_reason));
    told.join("\n")
}

#[test]
fn a_step_whose_condition_is_false_is_skipped() {
    insta::assert_snapshot!(when("a.x > 1", r#"{"x":2}"#), @r#"
    (a#1 completed 10ms); (b#1 started); b {}
    (b#1 completed 10ms); (c#1 started); c {"v":"there"}
    b is completed: None
    "#);
    insta::assert_snapshot!(when("a.x > 1", r#"{"x":1}"#), @r#"
    (a#1 completed 10ms); (b#1 skipped: `when` was false); (c#1 started); c {"v":"skipped"}
    b is skipped: Some("`when` was false")
    "#);
    insta::assert_snapshot!(when("a.x", r#"{"x":1}"#), @r#"
    (a#1 completed 10ms); (b#1 failed expression_error 0ms); (run ended failed expression_error 10ms); finish failed
    a condition gives a bool, this gives int, in `a.x`
    b is failed: None
    "#);
    insta::assert_snapshot!(when("a.x > 1", "{}"), @r#"
    (a#1 completed 10ms); (b#1 failed missing_reference 0ms); (run ended failed missing_reference 10ms); finish failed
    `a.x` has no value, in `a.x > 1`
    b is failed: None
    "#);
    insta::assert_snapshot!(when("has(a.x) && a.x > 1", "{}"), @r#"
    (a#1 completed 10ms); (b#1 skipped: `when` was false); (c#1 started); c {"v":"skipped"}
    b is skipped: Some("`when` was false")
    "#);
}
