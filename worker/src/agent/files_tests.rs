//! Tests of the tools on files: what they give, and that no path leads out.

use std::collections::BTreeMap;

use schemas::{
    agent::{AgentTask, Guardrails, Kind, OutputForm, PromptVia, Provider},
    json::Json,
};

use super::*;

struct World {
    folder: tempfile::TempDir,
    task: AgentTask,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |name: &str| folder.path().canonicalize().expect("it is there").join(name);
    for name in ["in/deep", "out", "secret"] {
        fs::create_dir_all(at(name)).expect("a directory");
    }
    let put = |name: &str, text: &str| {
        File::create(at(name)).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
    };
    put("in/a.rs", "fn main() {}\n// two\n");
    put("in/deep/b.txt", "two\nthree\n");
    put("secret/key", "hunter2");
    std::os::unix::fs::symlink(at("secret/key"), at("in/link")).expect("a link");
    std::os::unix::fs::symlink(at("secret"), at("out/away")).expect("a link");
    std::os::unix::fs::symlink(at("secret/new"), at("out/dangling")).expect("a link");
    let text = |name: &str| at(name).to_str().expect("text").to_owned();
    let task = AgentTask {
        kind: Kind::Builtin,
        provider: Provider::OpenAi,
        model: String::new(),
        model_url: String::new(),
        token: String::new(),
        system: String::new(),
        prompt: String::new(),
        guardrails: Guardrails::default(),
        tools_settings: std::collections::BTreeMap::new(),
        servers: std::collections::BTreeMap::new(),
        skills: BTreeMap::new(),
        envelope: Json::null(),
        aliases: BTreeMap::new(),
        resources: Vec::new(),
        hooks: BTreeMap::new(),
        output_schema: None,
        cwd: text("in"),
        read: vec![text("in")],
        write: vec![text("out")],
        command: Vec::new(),
        prompt_via: PromptVia::Stdin,
        output: OutputForm::Text,
        grace_ms: 5000,
    };
    World { folder, task }
}

#[test]
fn files_are_read_and_searched() {
    let World { task, folder: _folder } = world();
    assert_eq!(read(&task, r#"{"path":"deep/b.txt"}"#).as_deref(), Ok("two\nthree\n"));
    assert_eq!(read(&task, r#"{"path":"."}"#).as_deref(), Ok("a.rs\ndeep/\nlink"));
    let part = read(&task, r#"{"path":"deep/b.txt","offset":4,"limit":3}"#).expect("a part");
    assert_eq!(part, "thr\n[3 of 10 bytes shown; go on with \"offset\": 7]");
    assert_eq!(glob(&task, r#"{"pattern":"**/*.txt"}"#).as_deref(), Ok("deep/b.txt"));
    assert_eq!(grep(&task, r#"{"pattern":"tw."}"#).as_deref(), Ok("a.rs:2: // two\ndeep/b.txt:1: two"));
    assert_eq!(grep(&task, r#"{"pattern":"two","glob":"*.rs"}"#).as_deref(), Ok("a.rs:2: // two"));
    assert!(grep(&task, r#"{"pattern":"("}"#).is_err_and(|why| why.contains("`pattern` is wrong")));
}

#[track_caller]
fn check_refused(outcome: Result<String, String>, why: &str) {
    let message = outcome.expect_err("it is refused");
    assert!(message.contains(why), "{message}");
}

#[test]
fn no_path_leads_out() {
    let World { task, folder } = world();
    check_refused(read(&task, r#"{"path":"/etc/passwd"}"#), "may not be read");
    check_refused(read(&task, r#"{"path":"../secret/key"}"#), "may not be read");
    check_refused(read(&task, r#"{"path":"link"}"#), "may not be read");
    assert!(!grep(&task, r#"{"pattern":"hunter"}"#).expect("it runs").contains("hunter2"));
    let out = folder.path().canonicalize().expect("it is there").join("out");
    let write_to =
        |path: &str| write(&task, &serde_json::json!({"path": out.join(path), "content": "x"}).to_string());
    assert!(write_to("new/file").is_ok() && out.join("new/file").exists());
    check_refused(write_to("../secret/key"), "may not be written");
    check_refused(write_to("away/key"), "may not be written");
    check_refused(write_to("dangling"), "may not be written");
    check_refused(write(&task, r#"{"path":"a.rs","content":"x"}"#), "may not be written");
    assert!(!folder.path().join("secret/new").exists());
}

#[test]
fn settings_of_the_vendor_are_obeyed() {
    let World { mut task, folder: _folder } = world();
    let settings: ToolSettings =
        serde_json::from_str(r#"{"allowedPaths":["**/*.rs","deep/**"],"deniedPaths":["deep/b.txt"]}"#)
            .expect("it is right");
    task.tools_settings.insert("fs_read".to_owned(), settings);
    assert!(read(&task, r#"{"path":"a.rs"}"#).is_ok());
    check_refused(read(&task, r#"{"path":"deep/b.txt"}"#), "deniedPaths");
    check_refused(read(&task, r#"{"path":"."}"#), "allowedPaths");
}
