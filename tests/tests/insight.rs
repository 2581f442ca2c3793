//! `history`, `explain`, `graph` and `report`: what past runs tell.

use integration_tests::{
    Fixture,
    definition::{echo, shell, workflow},
    wait,
};
use serde_json::{Value, json};

/// A world with a run that failed in its second step.
fn failed() -> (Fixture, String) {
    let fixture = Fixture::new();
    let steps = [
        echo("first", json!({"v": 1})),
        shell("second", "echo '<b>oops</b>' >&2; exit 7"),
        echo("third", json!({})),
    ];
    let view = fixture.run(&workflow(&steps)).exits(1).json();
    let id = view["run_id"].as_str().expect("it has an id").to_owned();
    (fixture, id)
}

#[test]
fn history_tells_how_runs_went() {
    let (fixture, id) = failed();
    fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    let history = fixture.workflow(["history", "--json"]).exits(0).json();
    assert_eq!((&history["schema_version"], &history["success_rate"]), (&json!(1), &json!(0.5)));
    assert_eq!(history["runs"][1]["run_id"], id);
    let name = history["runs"][0]["workflow"].as_str().expect("it has a name").to_owned();
    let csv = fixture.workflow(["history", &name, "--csv"]).exits(0).stdout;
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("run_id,workflow,version,status,"), "{csv}");
    fixture.workflow(["history"]).exits(0).says(&["50 % of 2 ended runs completed"]);
    fixture.workflow(["history", "nobody"]).exits(4);
    assert_eq!(Fixture::new().workflow(["history", "--json"]).exits(0).json()["success_rate"], Value::Null);
}

#[test]
fn explain_tells_why_and_what_next() {
    let (fixture, id) = failed();
    let told = fixture.workflow(["explain", &id]).exits(0);
    told.says(&[
        "run failed because of",
        "exit_code",
        "exit code 7",
        "| <b>oops</b>",
        "attempt 1 of second: failed",
    ])
    .says(&["taken over: first", "run again: second", &format!("next: q workflow retry {id}")]);
    let explained = fixture.workflow(["explain", "@last", "--json"]).exits(0).json();
    assert_eq!((&explained["status"], &explained["run_id"]), (&json!("failed"), &json!(id)));
    assert_eq!(explained["causes"][0]["details"]["exit_code"], 7);
    assert_eq!(explained["next"]["kept"], json!(["first"]));
    fixture.workflow(["explain", &id, "first"]).exits(0).says(&["step first completed: nothing went wrong"]);
    fixture.workflow(["explain", &id, "secnd"]).exits(4).says(&["did you mean `second`?"]);
    fixture.workflow(["explain", "nothing"]).exits(4);
}

#[test]
fn graph_of_a_definition_and_of_a_run() {
    let (fixture, id) = failed();
    fixture.workflow(["graph", "workflow.json"]).exits(0).says(&["├─ first (skill echo)\n"]);
    fixture.workflow(["graph", &id]).exits(0).says(&["├─ second (skill shell) failed\n"]);
    fixture
        .workflow(["graph", &id, "--format", "mermaid"])
        .exits(0)
        .says(&["flowchart TD", "class s1 failed"]);
    fixture
        .workflow(["graph", "workflow.json", "--format", "dot"])
        .exits(0)
        .says(&["\"first\" -> \"second\";"]);
    fixture.workflow(["graph", "workflow.json", "--format", "svg"]).exits(0).says(&["<svg ", "</svg>"]);
    let graph = fixture.workflow(["graph", "@last", "--json"]).exits(0).json();
    assert_eq!((&graph["schema_version"], &graph["nodes"][1]["status"]), (&json!(1), &json!("failed")));
    assert_eq!(graph["edges"][0], json!({"from": "first", "to": "second", "kind": "next"}));
    fixture.write("broken.json", "{");
    fixture.workflow(["graph", "broken.json"]).exits(3);
    fixture.workflow(["graph", "missing.json"]).exits(4);
}

#[test]
fn report_is_one_page_that_loads_nothing() {
    let (fixture, id) = failed();
    let page = fixture.workflow(["report", &id]).exits(0).stdout;
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
    for word in [
        "Timeline",
        "second attempt 1, stderr",
        "&lt;b&gt;oops&lt;/b&gt;",
        "prefers-color-scheme",
        "viewport",
    ] {
        assert!(page.contains(word), "no {word:?} in\n{page}");
    }
    assert!(!page.contains("<b>oops"), "what a step writes is text");
    for load in ["src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(load), "{load}");
    }
    fixture.workflow(["report", &id, "-o", "run.html"]).exits(0);
    assert_eq!(fixture.read("run.html"), page);
    browser(&fixture, &page);
}

/// Looks at the page where there is a browser: it must draw something wide and something narrow.
fn browser(fixture: &Fixture, page: &str) {
    let browsers = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = browsers.iter().find(|name| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
    });
    let Some(browser) = found else {
        return wait::skip("no Chromium here: the report was not looked at in a browser");
    };
    fixture.write("page.html", page);
    for width in [360, 1200] {
        let picture = format!("page-{width}.png");
        let output = fixture
            .command(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", &format!("--window-size={width},900")])
            .arg(format!("--screenshot={picture}"))
            .arg("page.html")
            .output()
            .expect("the browser starts");
        assert!(output.status.success(), "{output:?}");
        assert!(fixture.has(&picture), "a picture was taken");
    }
}
