//! Broken definitions and what is said about them: every code, place, pointer and hint.

use insta::assert_snapshot;

use super::{problems, with_steps};
use crate::load::Syntax;

#[track_caller]
fn strict(text: &str) -> String {
    problems(text, Syntax::Json)
}

#[track_caller]
fn relaxed(text: &str) -> String {
    problems(text, Syntax::Jsonc)
}

/// A definition whose steps after the first are these; they start in line 4.
#[track_caller]
fn steps(text: &str) -> String {
    problems(&with_steps(text), Syntax::Json)
}

#[test]
fn syntax() {
    assert_snapshot!(strict(""), @r#"
    E004 1:1-1:1 "" the file is empty
      hint: a definition is one object
    "#);
    assert_snapshot!(strict("[]"), @r#"E010 1:1-1:3 "" a definition is an object, this is an array"#);
    assert_snapshot!(strict(r#"{"name": "x",}"#), @r#"
    E004 1:13-1:14 "" trailing commas are not allowed
      hint: files that end in `.jsonc` may hold comments and trailing commas
    "#);
    assert_snapshot!(strict(r#"{"name": "x" // c
}"#), @r#"
    E004 1:14-1:18 "" comments are not allowed
      hint: files that end in `.jsonc` may hold comments and trailing commas
    "#);
    assert_snapshot!(strict(r#"{"name": "x" "version": 1}"#), @r#"
    E004 1:13-1:13 "" expected comma
      hint: put a comma between the values
    "#);
    assert_snapshot!(strict("{'name': 1}"), @r#"
    E004 1:2-1:3 "" single-quoted strings are not allowed
      hint: strings stand in double quotes
    "#);
    assert_snapshot!(strict("{name: 1}"), @r#"
    E004 1:2-1:6 "" expected string for object property
      hint: words stand in double quotes
    "#);
    assert_snapshot!(strict("{\"name\": \"a\tb\"}"), @r#"
    E004 1:12-1:13 "" control character in a string
      hint: write it as an escape: `\n`, `\t`, `\u0000`
    "#);
    assert_snapshot!(strict(r#"{"name": "x""#), @r#"E004 1:1-1:2 "" unterminated object"#);
    assert_snapshot!(strict(r#"{"name": "x"} {}"#), @r#"E004 1:15-1:16 "" text cannot contain more than one JSON value"#);
    assert_snapshot!(strict(r#"{"name": 01}"#), @r#"
    E004 1:11-1:11 "" expected comma
      hint: put a comma between the values
    "#);
    assert_snapshot!(strict(r#"{"name": "\q"}"#), @r#"E004 1:11-1:13 "" invalid escape"#);
    assert_snapshot!(strict(r#"{"name": tru}"#), @r#"E004 1:10-1:13 "" unexpected token"#);
    assert_snapshot!(strict("{\"a\":\u{a0}1}"), @r#"E004 1:6-1:7 "" expected value"#);
    assert_snapshot!(relaxed(r#"{"name": "x" /* never ends"#), @r#"E004 1:14-1:15 "" unterminated comment block"#);
    assert_snapshot!(strict(r#"{"name": "ä", "version": "1.0.0", "name": "b", "steps": [{"id":"a","type":"skill","skill":"echo"}]}"#), @r#"
    E014 1:10-1:13 "/name" `ä` is not a name of a workflow
      hint: letters, digits, `.`, `_` and `-`, a letter or digit first, at most 100
    E005 1:35-1:41 "/name" the key `name` is given twice
      hint: keep one of them
      note: 1:2 first given here
    "#);
}

#[test]
fn top_level() {
    assert_snapshot!(strict("{}"), @r#"
    E011 1:1-1:2 "" the key `name` is missing
      hint: Name of the workflow.
    E011 1:1-1:2 "" the key `version` is missing
      hint: Semantic version of the definition.
    E011 1:1-1:2 "" the key `steps` is missing
      hint: The steps, run in order.
    "#);
    assert_snapshot!(strict(r#""text""#), @r#"E010 1:1-1:7 "" a definition is an object, this is a string"#);
    assert_snapshot!(strict(r#"{"name":"-x","version":"1.0","description":7,"steps":[]}"#), @r#"
    E014 1:9-1:13 "/name" `-x` is not a name of a workflow
      hint: letters, digits, `.`, `_` and `-`, a letter or digit first, at most 100
    E015 1:24-1:29 "/version" `1.0` is no semantic version: unexpected end of input while parsing minor version number
      hint: three numbers, as in `1.0.0`
    E010 1:44-1:45 "/description" `description` must be a string, this is a number
    E013 1:54-1:56 "/steps" `steps` must hold at least 1
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","stpes":[],"x-free":1,"$schema":"s"}"#), @r#"
    E012 1:31-1:38 "/stpes" the key `stpes` is not known here
      hint: did you mean `steps`?
      suggestion: 1:32 stpes -> steps
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":{},"owner":"me"}"#), @r#"
    E010 1:39-1:41 "/steps" `steps` must be an array, this is an object
    E012 1:42-1:49 "/owner" the key `owner` is not known here
      hint: known keys: `agents`, `context`, `description`, `error_handling`, `finally`, `handlers`, `inputs`, `name`, `outputs`, `resource_limits`, `sandbox`, `skills`, `steps`, `triggers`, `version`; keys that begin with `x-` are free
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"inputs":{"a/b":{"type":"strng"},"c~":{"type":"integer","default":"x"},"d":{"defualt":1},"e":3}}"#), @r#"
    E013 1:106-1:113 "/inputs/a~1b/type" `strng` is not a value of `type`
      hint: did you mean `string`?
      suggestion: 1:107 strng -> string
    E023 1:148-1:151 "/inputs/c~0/default" the default is a string, the type is `integer`
      hint: change the default or the type
    E012 1:158-1:167 "/inputs/d/defualt" the key `defualt` is not known here
      hint: did you mean `default`?
      suggestion: 1:159 defualt -> default
    E010 1:175-1:176 "/inputs/e" `e` must be an object, this is a number
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"triggers":[{"type":"cron"},{"type":"schedule","time":"x"},{}]}"#), @r#"
    E013 1:102-1:108 "/triggers/0/type" `cron` is not a value of `type`
      hint: one of `manual`, `schedule`
    E011 1:110-1:111 "/triggers/1" the key `cron` is missing
      hint: Cron expression of 5 fields (6 and 7 too).
    E012 1:129-1:135 "/triggers/1/time" the key `time` is not known here
      hint: did you mean `type`, which is given too? known keys: `catch_up`, `cron`, `enabled`, `inputs`, `jitter`, `max_lag`, `overlap`, `timezone`, `type`; keys that begin with `x-` are free
    E011 1:141-1:142 "/triggers/2" the key `type` is missing
      hint: `type` is one of `manual`, `schedule`
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"triggers":[{"type":"schedule","cron":"0 9 * * MOX","timezone":"Europe/Berln"}]}"#), @r#"
    E044 1:120-1:133 "/triggers/0/cron" the field `MOX` (day of week) is not valid: `MOX` means nothing here
      hint: minute, hour, day of month, month, day of week: `0 9 * * 1-5` is at nine on workdays
    E045 1:145-1:159 "/triggers/0/timezone" there is no time zone `Europe/Berln`
      hint: did you mean `Europe/Berlin`?
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"inputs":{"who":{"type":"string"},"must":{"required":true}},"triggers":[{"type":"schedule","cron":"@daily","inputs":{"wo":1,"who":2}}]}"#), @r#"
    E046 1:154-1:155 "/triggers/0" the trigger gives no value for the required input `must`
      hint: give it in `inputs` of the trigger, or declare a default
    E046 1:199-1:203 "/triggers/0/inputs/wo" the workflow declares no input `wo`
      hint: did you mean `who`?
    E046 1:212-1:213 "/triggers/0/inputs/who" the input `who` must be of type string
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"outputs":{"o":"a.data","p":"b.data","q":"context.x"}}"#), @r#"
    E030 1:111-1:112 "/outputs/p" there is no step `b`
      hint: did you mean `a`? `{"$literal": "…"}` takes a text as it is
      suggestion: 1:111 b -> a
    E034 1:132-1:133 "/outputs/q" the context has no key `x`
      hint: `{"$literal": "…"}` takes a text as it is
    "#);
}

#[test]
fn numbers() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":18446744073709551616,"b":1e999,"c":9007199254740993,"d":-9223372036854775809}}"#), @r#"
    W001 4:55-4:75 "/steps/1/inputs/a" 18446744073709551616 has more than 64 bits and becomes 1.8446744073709552e+19
      hint: write it as a string to keep every digit
    E006 4:80-4:85 "/steps/1/inputs/b" the number 1e999 is out of range
      hint: the largest number is about 1.8e308; a string has no bound
    W001 4:111-4:131 "/steps/1/inputs/d" -9223372036854775809 has more than 64 bits and becomes -9.223372036854776e+18
      hint: write it as a string to keep every digit
    "#);
}

#[test]
fn keys_of_steps() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skil":"echo"}"#), @r#"
    E012 4:26-4:32 "/steps/1/skil" the key `skil` is not known here
      hint: did you mean `skill`?
      suggestion: 4:27 skil -> skill
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill"}"#), @r#"
    E011 4:1-4:2 "/steps/1" the key `skill` is missing
      hint: Name of the skill.
    "#);
    assert_snapshot!(steps(r#"{"id":"s","skill":"echo"}"#), @r#"
    E011 4:1-4:2 "/steps/1" the key `type` is missing
      hint: add `"type": "skill"`
    "#);
    assert_snapshot!(steps(r#"{"id":"s"}"#), @r#"
    E011 4:1-4:2 "/steps/1" the key `type` is missing
      hint: `type` is one of `skill`, `agent`, `sequence`, `parallel`, `conditional`, `loop`, `workflow`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","typ":"skill","skill":"echo"}"#), @r#"
    E012 4:11-4:16 "/steps/1/typ" the key `typ` is not known here
      hint: did you mean `type`?
      suggestion: 4:12 typ -> type
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skil","skill":"echo"}"#), @r#"
    E013 4:18-4:24 "/steps/1/type" `skil` is not a value of `type`
      hint: did you mean `skill`?
      suggestion: 4:19 skil -> skill
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"python","script":"x"}"#), @r#"
    E013 4:18-4:26 "/steps/1/type" `python` is not a value of `type`
      hint: one of `skill`, `agent`, `sequence`, `parallel`, `conditional`, `loop`, `workflow`
    E012 4:27-4:35 "/steps/1/script" the key `script` is not known here
      hint: known keys: `agent`, `as`, `assign`, `async`, `body`, `condition`, `cwd`, `description`, `else`, `env`, `error_handling`, `fail_fast`, `for_each`, `grace`, `guardrails`, `id`, `idle_timeout`, `inputs`, `kill_mode`, `max_concurrent`, `max_iterations`, `name`, `on_crash`, `output_schema`, `outputs`, `prompt`, `resource_limits`, `rollback`, `sandbox`, `secrets`, `skill`, `steps`, `then`, `timeout`, `trust`, `type`, `wait_for`, `when`, `workflow`; keys that begin with `x-` are free
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":7}"#), @r#"E010 4:18-4:19 "/steps/1/type" `type` must be a string, this is a number"#);
    assert_snapshot!(steps(r#"{"type":"skill","skill":"echo"}"#), @r#"
    E011 4:1-4:2 "/steps/1" the key `id` is missing
      hint: Name of the step, unique in the whole file.
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","wait_for":"all","banana":1}"#), @r#"
    E012 4:41-4:51 "/steps/1/wait_for" the key `wait_for` is not known here
      hint: only `parallel` has this key
    E012 4:58-4:66 "/steps/1/banana" the key `banana` is not known here
      hint: known keys: `assign`, `async`, `cwd`, `description`, `env`, `error_handling`, `grace`, `id`, `idle_timeout`, `inputs`, `kill_mode`, `name`, `on_crash`, `outputs`, `resource_limits`, `rollback`, `sandbox`, `secrets`, `skill`, `timeout`, `trust`, `type`, `when`; keys that begin with `x-` are free
    "#);
    assert_snapshot!(steps(r#""echo""#), @r#"E010 4:1-4:7 "/steps/1" `steps[1]` must be an object, this is a string"#);
}

#[test]
fn ids() {
    assert_snapshot!(steps(r#"{"id":"first","type":"skill","skill":"echo"}"#), @r#"
    E017 4:7-4:14 "/steps/1/id" the id `first` is given to two steps
      hint: ids are unique in the whole file, inner steps included
      note: 3:16 first given here
    "#);
    assert_snapshot!(steps(r#"{"id":"steps","type":"skill","skill":"echo"},
{"id":"in","type":"skill","skill":"echo"}"#), @r#"
    E016 4:7-4:14 "/steps/1/id" the id `steps` is reserved
      hint: references and expressions use it for something else: choose another
    E016 5:7-5:11 "/steps/2/id" the id `in` is reserved
      hint: references and expressions use it for something else: choose another
    "#);
    assert_snapshot!(steps(r#"{"id":"-a","type":"skill","skill":"echo"},
{"id":"a.b","type":"skill","skill":"echo"},
{"id":"","type":"skill","skill":"echo"},
{"id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","type":"skill","skill":"echo"}"#), @r#"
    E016 4:7-4:11 "/steps/1/id" `-a` is not an id
      hint: letters, digits, `_` and `-`, no `-` first, at most 64
    E016 5:7-5:12 "/steps/2/id" `a.b` is not an id
      hint: letters, digits, `_` and `-`, no `-` first, at most 64
    E016 6:7-6:9 "/steps/3/id" `` is not an id
      hint: letters, digits, `_` and `-`, no `-` first, at most 64
    E016 7:7-7:74 "/steps/4/id" `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not an id
      hint: letters, digits, `_` and `-`, no `-` first, at most 64
    "#);
    assert_snapshot!(steps(r#"{"id":"p","type":"parallel","steps":[{"id":"first","type":"skill","skill":"echo"},{"id":"p","type":"skill","skill":"echo"}]}"#), @r#"
    E017 4:7-4:10 "/steps/1/id" the id `p` is given to two steps
      hint: ids are unique in the whole file, inner steps included
      note: 4:89 first given here
    E017 4:44-4:51 "/steps/1/steps/0/id" the id `first` is given to two steps
      hint: ids are unique in the whole file, inner steps included
      note: 3:16 first given here
    "#);
}

#[test]
fn values() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","timeout":"5 minutes","idle_timeout":-1,"grace":1.5}"#), @r#"
    E018 4:51-4:62 "/steps/1/timeout" `timeout` is not a duration
      hint: write a whole number of seconds, or text such as "250ms", "30s", "1h30m"
    E018 4:78-4:80 "/steps/1/idle_timeout" `idle_timeout` must be a whole number of seconds
      hint: write a whole number of seconds, or text such as "250ms", "30s", "1h30m"
    E018 4:89-4:92 "/steps/1/grace" `grace` must be a whole number of seconds
      hint: write a whole number of seconds, or text such as "250ms", "30s", "1h30m"
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","timeout":0,"grace":0,"idle_timeout":"30"}"#), @r#"
    E018 4:51-4:52 "/steps/1/timeout" `timeout` must be longer than 0
    E018 4:78-4:82 "/steps/1/idle_timeout" `idle_timeout` lacks a unit
      hint: write a whole number of seconds, or text such as "250ms", "30s", "1h30m"
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","timeout":[1],"kill_mode":"lead","on_crash":"restart","outputs":"x"}"#), @r#"
    E010 4:51-4:54 "/steps/1/timeout" `timeout` must be a duration: seconds, or text such as "30s", this is an array
    E013 4:67-4:73 "/steps/1/kill_mode" `lead` is not a value of `kill_mode`
      hint: did you mean `leader`?
      suggestion: 4:68 lead -> leader
    E013 4:85-4:94 "/steps/1/on_crash" `restart` is not a value of `on_crash`
      hint: one of `rerun`, `fail`
    E010 4:105-4:108 "/steps/1/outputs" `outputs` must be an array, this is a string
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","outputs":["a","a",""]}"#), @r#"
    E025 4:56-4:59 "/steps/1/outputs/1" the output `a` is named twice
    E013 4:60-4:62 "/steps/1/outputs/2" the name of an output is not empty
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","env":{"A=B":"x","LD_PRELOAD":"y","OK":1}}"#), @r#"
    E022 4:48-4:53 "/steps/1/env/A=B" `A=B` cannot be set
      hint: names are not empty and hold neither `=` nor a NUL
    E022 4:58-4:70 "/steps/1/env/LD_PRELOAD" `LD_PRELOAD` cannot be set
      hint: variables of the dynamic loader are never passed on
    E010 4:80-4:81 "/steps/1/env/OK" `OK` must be a string, this is a number
    "#);
}

#[test]
fn limits() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","resource_limits":{"memory":"much","max_memory_mb":1,"cpu":0,"max_cpu_percent":200000}}"#), @r#"
    E019 4:69-4:75 "/steps/1/resource_limits/memory" `memory` is not a size
      hint: write a whole number of bytes, or text such as "512MiB" or "2GB"
    E020 4:76-4:91 "/steps/1/resource_limits/max_memory_mb" `max_memory_mb` and `memory` say the same
      hint: keep one of them
      note: 4:60 the other one is here
    E013 4:100-4:101 "/steps/1/resource_limits/cpu" `cpu` must be greater than 0
    E020 4:102-4:119 "/steps/1/resource_limits/max_cpu_percent" `max_cpu_percent` and `cpu` say the same
      hint: keep one of them
      note: 4:94 the other one is here
    E013 4:120-4:126 "/steps/1/resource_limits/max_cpu_percent" `max_cpu_percent` is more than 1000 cores
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","resource_limits":{"pids":0,"open_files":1.5,"output":"-1","max_concurrent_steps":2,"mem":1,"max_memory_mb":4294967296}}"#), @r#"
    E013 4:67-4:68 "/steps/1/resource_limits/pids" `pids` must be between 1 and 4294967295
    E010 4:82-4:85 "/steps/1/resource_limits/open_files" `open_files` must be a whole number
    E019 4:95-4:99 "/steps/1/resource_limits/output" `output` is not a size
      hint: write a whole number of bytes, or text such as "512MiB" or "2GB"
    E024 4:100-4:122 "/steps/1/resource_limits/max_concurrent_steps" `max_concurrent_steps` has no meaning in a `skill` step
      hint: it belongs to the whole workflow, or to `parallel` and `loop` steps
    E012 4:125-4:130 "/steps/1/resource_limits/mem" the key `mem` is not known here
      hint: known keys: `cpu`, `cpu_time`, `enforcement`, `file_size`, `io_read_bps`, `io_write_bps`, `max_concurrent_steps`, `max_cpu_percent`, `max_execution_time`, `max_memory_mb`, `memory`, `open_files`, `output`, `pids`, `scratch`; keys that begin with `x-` are free
    E013 4:149-4:159 "/steps/1/resource_limits/max_memory_mb" `max_memory_mb` must be between 1 and 4294967295
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","resource_limits":{"max_memory_mb":"512","enforcement":"strict"},"steps":[{"id":"a","type":"skill","skill":"echo"}]}"#), @r#"
    E010 1:66-1:71 "/resource_limits/max_memory_mb" `max_memory_mb` must be a whole number, this is a string
    E013 1:86-1:94 "/resource_limits/enforcement" `strict` is not a value of `enforcement`
      hint: one of `required`, `best_effort`
    "#);
}

#[test]
fn references() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"later.data","b":"s.data","c":"${later.x}"}},
{"id":"later","type":"skill","skill":"echo"}"#), @r#"
    E031 4:56-4:61 "/steps/1/inputs/a" the step `later` comes later
      hint: a step can use outputs of the steps before it
      note: 5:7 the step is here
    E032 4:73-4:74 "/steps/1/inputs/b" the step `s` refers to itself
      hint: its own outputs are there only after it has run
    E031 4:88-4:93 "/steps/1/inputs/c" the step `later` comes later
      hint: a step can use outputs of the steps before it
      note: 5:7 the step is here
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"firs.parsed","b":"frist.data","c":"firs.example","d":"host.data"}}"#), @r#"
    E030 4:56-4:60 "/steps/1/inputs/a" there is no step `firs`
      hint: did you mean `first`? `{"$literal": "…"}` takes a text as it is
      suggestion: 4:56 firs -> first
    E030 4:74-4:79 "/steps/1/inputs/b" there is no step `frist`
      hint: did you mean `first`? `{"$literal": "…"}` takes a text as it is
      suggestion: 4:74 frist -> first
    W002 4:91-4:95 "/steps/1/inputs/c" `firs` is taken as text: there is no such step
      hint: did you mean `first`? `{"$literal": "…"}` says that it is text
      suggestion: 4:91 firs -> first
    "#);
    assert_snapshot!(steps(r#"{"id":"prepare-data","type":"skill","skill":"echo"},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"prepare_dta.csv","b":"prep.csv"}}"#), @r#"
    W002 5:56-5:67 "/steps/2/inputs/a" `prepare_dta` is taken as text: there is no such step
      hint: did you mean `prepare-data`? `{"$literal": "…"}` says that it is text
      suggestion: 5:56 prepare_dta -> prepare-data
    "#);
    assert_snapshot!(steps(r#"{"id":"get","type":"skill","skill":"http-get","inputs":{"url":"u"}},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"get.respons","b":"get.response.x[0]","c":"get.data","d":"get[0]","e":"first.anything"}}"#), @r#"
    E033 5:60-5:67 "/steps/2/inputs/a" the step `get` has no output `respons`
      hint: did you mean `response`?
      suggestion: 5:60 respons -> response
    E037 5:117-5:118 "/steps/2/inputs/d" a name is needed here, not the index 0
      hint: `get[0]` is read as a reference
    "#);
    assert_snapshot!(steps(r#"{"id":"get","type":"skill","skill":"http-get","inputs":{"url":"u"},"outputs":["response","body"]},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"get.status"}}"#), @r#"
    E033 4:90-4:96 "/steps/1/outputs/1" the skill `http-get` gives no `body`
      hint: take what the skill gives, or leave `outputs` out to take every key
    E033 5:60-5:66 "/steps/2/inputs/a" the step `get` has no output `status`
      hint: known: `body`, `response`, `data`, `text`; `{"$literal": "…"}` takes a text as it is
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"context.evn","b":"inputs.whom","c":"run.identity","d":"context.env.deep"}}"#), @r#"
    E034 4:64-4:67 "/steps/1/inputs/a" the context has no key `evn`
      hint: did you mean `env`?
      suggestion: 4:64 evn -> env
    E035 4:81-4:85 "/steps/1/inputs/b" the workflow declares no input `whom`
      hint: did you mean `who`?
      suggestion: 4:81 whom -> who
    E037 4:96-4:104 "/steps/1/inputs/c" `run` has no field `identity`
      hint: known: `id`, `attempt`, `scheduled_at`; `{"$literal": "…"}` takes a text as it is
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"steps.nope.status","b":"steps[\"first\"].stat","c":"steps.first.outputs.x","d":"steps[0].status","e":"steps[\"s\"].status"}}"#), @r#"
    E030 4:62-4:66 "/steps/1/inputs/a" there is no step `nope`
      hint: `{"$literal": "…"}` takes a text as it is
    E037 4:97-4:101 "/steps/1/inputs/b" the record of a step has no field `stat`
      hint: did you mean `status`?
      suggestion: 4:97 stat -> status
    E037 4:142-4:143 "/steps/1/inputs/d" a name is needed here, not the index 0
      hint: `steps[0].status` is read as a reference
    E032 4:166-4:167 "/steps/1/inputs/e" the step `s` refers to itself
      hint: its own outputs are there only after it has run
    "#);
    assert_snapshot!(steps(r#"{"id":"get","type":"skill","skill":"http-get","inputs":{"url":"u"}},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"steps.get.outputs.body"}}"#), @r#"
    E033 5:74-5:78 "/steps/2/inputs/a" the step `get` has no output `body`
      hint: known: `response`, `status`, `data`, `text`; `{"$literal": "…"}` takes a text as it is
    "#);
}

#[test]
fn templates() {
    assert_snapshot!(steps(r#"{"id":"for","type":"skill","skill":"echo"},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"for.v","b":"${steps['for'].outputs.v}","c":"${for.v}"}}"#), @r#"
    E050 5:102-5:105 "/steps/2/inputs/c" `for` is a reserved word: a step of this id is `steps["for"]`
    "#);
    assert_snapshot!(steps(r#"{"id":"a","type":"skill","skill":"echo"},{"id":"b","type":"skill","skill":"echo"},{"id":"a-b","type":"skill","skill":"echo"},
{"id":"s","type":"skill","skill":"echo","inputs":{"a":"${a-b}","b":"${a-b.v}","c":"a-b.v","d":"${a-b.v + 1}"}},
{"id":"l","type":"loop","for_each":"a-b.v","steps":[{"id":"t","type":"skill","skill":"echo"}]}"#), @r#"
    E050 5:58-5:61 "/steps/4/inputs/a" `a-b` is a name and a subtraction: write `a - b` or `steps["a-b"]`
    E050 5:71-5:74 "/steps/4/inputs/b" `a-b` is a name and a subtraction: write `a - b` or `steps["a-b"]`
    E050 5:98-5:101 "/steps/4/inputs/d" `a-b` is a name and a subtraction: write `a - b` or `steps["a-b"]`
    E050 6:37-6:40 "/steps/5/for_each" `a-b` is a name and a subtraction: write `a - b` or `steps["a-b"]`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"x ${first.data","b":"${}","c":"${ frist.data }","d":"${1 + }"}}"#), @r#"
    E036 4:58-4:60 "/steps/1/inputs/a" `${` is never closed
      hint: close it with `}`, or write `$${` for the characters themselves
    E036 4:77-4:80 "/steps/1/inputs/b" `${}` holds nothing
      hint: put a reference or an expression between the braces
    E030 4:90-4:95 "/steps/1/inputs/c" `frist` is not known here
      hint: did you mean `first`?
      suggestion: 4:90 frist -> first
    E050 4:114-4:115 "/steps/1/inputs/d" the expression ends too early
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","inputs":{"a":"ä\n\u00e4\"${nope.x} ${context.evn}"}}"#), @r#"
    E030 4:69-4:73 "/steps/1/inputs/a" `nope` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    E034 4:87-4:90 "/steps/1/inputs/a" the context has no key `evn`
      hint: did you mean `env`?
      suggestion: 4:87 evn -> env
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","when":"nope == 1","inputs":{"a":"${first}","b":"${run}","c":"${steps}","d":"${steps.first}","e":"${a-b}"}}"#), @r#"
    E030 4:49-4:53 "/steps/1/when" `nope` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`
    E030 4:141-4:142 "/steps/1/inputs/e" `a` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    E030 4:143-4:144 "/steps/1/inputs/e" `b` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","cwd":"${later.x}","env":{"E":"${inputs.x}"},"inputs":{"a":{"$literal":"x","b":1}}}"#), @r#"
    E030 4:50-4:55 "/steps/1/cwd" `later` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`; `$${` stands for the characters `${`
    E035 4:81-4:82 "/steps/1/env/E" the workflow declares no input `x`
      hint: known: `who`; `$${` stands for the characters `${`
    E021 4:116-4:119 "/steps/1/inputs/a/b" `b` stands beside `$literal`
      hint: an object with `$literal` has no other key
    "#);
}

#[test]
fn skills() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"ecko"},
{"id":"t","type":"skill","skill":"no-such-skill"}"#), @r#"
    E040 4:34-4:40 "/steps/1/skill" the skill `ecko` does not exist
      hint: did you mean `echo`? searched: ./skills, built in
      suggestion: 4:35 ecko -> echo
    E040 5:34-5:49 "/steps/2/skill" the skill `no-such-skill` does not exist
      hint: searched: ./skills, built in
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"http-get"},
{"id":"t","type":"skill","skill":"http-get","inputs":{}}"#), @r#"
    E041 4:1-4:2 "/steps/1" the skill `http-get` needs the input `url`
      hint: it needs: `url`
    E041 5:54-5:55 "/steps/2/inputs" the skill `http-get` needs the input `url`
      hint: it needs: `url`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"http-get","inputs":{"ulr":"x","timeout":{},"headers":[],"banana":1}}"#), @r#"
    E042 4:55-4:60 "/steps/1/inputs/ulr" the skill `http-get` has no input `ulr`
      hint: did you mean `url`?
      suggestion: 4:56 ulr -> url
    E042 4:75-4:77 "/steps/1/inputs/timeout" does not fit the skill: the value is not of types "integer", "string"
      hint: `q workflow skills show http-get` shows the schema of its inputs
    E042 4:88-4:90 "/steps/1/inputs/headers" does not fit the skill: the value is not of type "object"
      hint: `q workflow skills show http-get` shows the schema of its inputs
    E042 4:91-4:99 "/steps/1/inputs/banana" the skill `http-get` has no input `banana`
      hint: its inputs: `headers`, `timeout`, `url`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"http-get","inputs":{"url":"first.data","timeout":{},"headers":{"a":"${first.text}"}}}"#), @r#"
    E042 4:61-4:73 "/steps/1/inputs/url" does not fit the skill: `url` is string, this gives map
      hint: `q workflow skills show http-get` shows the schema of its inputs
    E042 4:84-4:86 "/steps/1/inputs/timeout" does not fit the skill: the value is not of types "integer", "string"
      hint: `q workflow skills show http-get` shows the schema of its inputs
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"http-get","inputs":{"$literal":{"url":5}}},
{"id":"t","type":"skill","skill":"echo","inputs":{"$literal":5}},
{"id":"u","type":"skill","skill":"http-get","inputs":{"url":{"$literal":1}}}"#), @r#"
    E042 4:73-4:74 "/steps/1/inputs/$literal/url" does not fit the skill: the value is not of type "string"
      hint: `q workflow skills show http-get` shows the schema of its inputs
    E013 5:50-5:64 "/steps/2/inputs" the inputs of a skill are an object
    E042 6:73-6:74 "/steps/3/inputs/url/$literal" does not fit the skill: the value is not of type "string"
      hint: `q workflow skills show http-get` shows the schema of its inputs
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"http-get","inputs":{"url":"u"},"outputs":["response","body"]},
{"id":"t","type":"skill","skill":"http-get","inputs":{"url":"u"},"outputs":["body"]}"#), @r#"
    E033 4:88-4:94 "/steps/1/outputs/1" the skill `http-get` gives no `body`
      hint: take what the skill gives, or leave `outputs` out to take every key
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"parallel","steps":[{"id":"t","type":"skill","skill":"ecko"}]}"#), @r#"
    W003 4:37-4:79 "/steps/1/steps" this parallel group has only one step
      hint: nothing runs at the same time: the step can stand alone
    E040 4:71-4:77 "/steps/1/steps/0/skill" the skill `ecko` does not exist
      hint: did you mean `echo`? searched: ./skills, built in
      suggestion: 4:72 ecko -> echo
    "#);
}

#[test]
fn sandboxes_that_cannot_be() {
    assert_snapshot!(steps(r#"{"id":"a","type":"skill","skill":"echo","sandbox":{"network":{"allow":["a.com:443","a.com","*:1"]}}},
{"id":"b","type":"skill","skill":"echo","sandbox":{"profile":"none","network":"none"}},
{"id":"c","type":"parallel","trust":"untrusted","sandbox":"none","steps":[{"id":"d","type":"skill","skill":"echo"},{"id":"e","type":"skill","skill":"echo"}]}"#), @r#"
    E051 4:84-4:91 "/steps/1/sandbox/network/allow/1" `a.com` is no host with a port
      hint: `api.example.com:443`, `*.example.com:443` or `[::1]:8080`
    E051 4:92-4:97 "/steps/1/sandbox/network/allow/2" `*:1` is no host with a port
      hint: `api.example.com:443`, `*.example.com:443` or `[::1]:8080`
    E052 5:41-5:50 "/steps/2/sandbox" `network` cannot be held under the profile `none`
      hint: the profiles `standard` and `strict` can hold it
    "#);
}

#[test]
fn not_supported() {
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"skill","skill":"echo"}],"handlers":[{"id":"h","type":"skill","skill":"echo"}],"finally":[{"id":"f","type":"agent","agent":"x"}],"agents":{"a":{}},"sandbox":{"network":"none"},"inputs":{"s":{"secret":true}},"error_handling":{"default":"skip"}}"#), @r#"
    E080 1:180-1:183 "/finally/0/agent" the agent `x` does not exist
      hint: searched: `agents` of the definition, ./agents, built in
    "#);
    assert_snapshot!(steps(r#"{"id":"q","type":"sequence","steps":[{"id":"c","type":"skill","skill":"echo"}]},
{"id":"l","type":"loop","for_each":"x","condition":"y"},
{"id":"w","type":"workflow"},
{"id":"i","type":"conditional","condition":1,"then":[]}"#), @r#"
    E011 5:1-5:2 "/steps/2" one of `steps` and `body` is missing
    E020 5:40-5:51 "/steps/2/condition" `condition` and `for_each` exclude each other
      hint: keep one of them
      note: 5:25 the other one is here
    E030 5:53-5:54 "/steps/2/condition" `y` is not known here
      hint: names are ids of steps, `context`, `inputs`, `run` and `steps`
    E011 6:1-6:2 "/steps/3" the key `workflow` is missing
      hint: Name or path of the workflow.
    E010 7:44-7:45 "/steps/4/condition" `condition` must be a string, this is a number
    "#);
    assert_snapshot!(strict(r#"{"name":"x","version":"1.0.0","steps":[{"id":"a","type":"agent","agent":"x","guardrails":{"max_iteration":1}}],"error_handling":{"default":"retry","per_step":{"a":{"strategy":"retry","on":["exit_cod","skill_error:X"],"backof":"fixed"}}}}"#), @r#"
    E080 1:73-1:76 "/steps/0/agent" the agent `x` does not exist
      hint: searched: `agents` of the definition, ./agents, built in
    E012 1:91-1:106 "/steps/0/guardrails/max_iteration" the key `max_iteration` is not known here
      hint: did you mean `max_iterations`?
      suggestion: 1:92 max_iteration -> max_iterations
    E013 1:190-1:200 "/error_handling/per_step/a/on/0" `exit_cod` is not a value of `on`
      hint: did you mean `exit_code`?
      suggestion: 1:191 exit_cod -> exit_code
    E012 1:218-1:226 "/error_handling/per_step/a/backof" the key `backof` is not known here
      hint: did you mean `backoff`?
      suggestion: 1:219 backof -> backoff
    "#);
}

#[test]
fn expressions() {
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","when":"frist.data == 1 && first.data = 2"}"#), @r#"
    E050 4:79-4:80 "/steps/1/when" `=` is not expected here
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","when":"frist.data == 1 && sise(first.data) > s.data && context.evn == steps['x'].status"}"#), @r#"
    E030 4:49-4:54 "/steps/1/when" `frist` is not known here
      hint: did you mean `first`?
      suggestion: 4:49 frist -> first
    E050 4:68-4:72 "/steps/1/when" there is no function `sise`: did you mean `size`?
    E032 4:87-4:88 "/steps/1/when" the step `s` refers to itself
      hint: its own outputs are there only after it has run
    E034 4:105-4:108 "/steps/1/when" the context has no key `evn`
      hint: did you mean `env`?
      suggestion: 4:105 evn -> env
    E030 4:119-4:120 "/steps/1/when" there is no step `x`
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","when":"first.data.matches('(') || has(first)","inputs":{"a":"ä\u00e4 ${'ö' + 1 +}"}}"#), @r#"
    E050 4:80-4:85 "/steps/1/when" `has` asks for a part of something: `has(a.b)`
    E050 4:122-4:123 "/steps/1/inputs/a" the expression ends too early
    "#);
    assert_snapshot!(steps(r#"{"id":"s","type":"skill","skill":"echo","when":"${ true }"},{"id":"first-s","type":"skill","skill":"echo"},{"id":"t","type":"skill","skill":"echo","when":"first-s.data"}"#), @r#"
    E050 4:156-4:163 "/steps/3/when" `first-s` is a name and a subtraction: write `first - s` or `steps["first-s"]`
    "#);
}
