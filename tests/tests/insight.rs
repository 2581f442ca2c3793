//! `history`, `explain`, `graph` and `report`: what past runs tell.

use std::{fs, path::Path};

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
        echo("a-name-that-is-longer-than-the-window-of-a-phone-is-wide", json!({})),
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

/// Looks at the page where there is a browser: as wide as a phone, by day and by night. The pictures stay with the
/// output of the tests.
fn browser(fixture: &Fixture, page: &str) {
    let Some(browser) =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_there(name))
    else {
        return wait::skip(
            "no Chromium here (tests/install-packages): nobody looked at the report in a browser",
        );
    };
    fixture.write("page.html", page);
    fixture.write("frame.html", FRAME);
    let work = fixture.work();
    let look = |flags: &[&str], file: &str| {
        let output = fixture
            .command(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"])
            .arg(format!("--user-data-dir={}", work.join("profile").display()))
            .args(flags)
            .arg(format!("file://{}", work.join(file).display()))
            .output()
            .expect("the browser starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (light, scheme, background) in [("day", "1", "rgb(255, 255, 255)"), ("night", "0", "rgb(13, 17, 23)")]
    {
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let told = look(&[&scheme, "--dump-dom"], "frame.html");
        let told = told.split("<pre id=\"told\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let told: Value = serde_json::from_str(told.expect("the frame tells")).expect("it is JSON");
        assert_eq!(told["background"], background, "by {light}");
        assert!(told["wide"].as_u64().is_some_and(|wide| wide <= 360), "no scrolling sideways: {told}");
        assert!(
            told["text"].as_u64().is_some_and(|length| length > 300),
            "there is something to read: {told}"
        );
        assert_eq!(told["loads"], 0, "nothing is loaded");
        let picture = pictures.join(format!("report-{light}.png"));
        look(
            &[&scheme, "--window-size=500,900", &format!("--screenshot={}", picture.display())],
            "page.html",
        );
        assert!(fs::metadata(&picture).is_ok_and(|picture| picture.len() > 10_000), "a picture was taken");
    }
}

fn is_there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// A window as wide as a phone, and what stands in it.
const FRAME: &str = r#"<!doctype html><title>frame</title>
<iframe id="page" src="page.html" style="width:360px;height:900px;border:0"></iframe><pre id="told"></pre>
<script>
onload = () => {
  const inner = page.contentWindow, root = page.contentDocument;
  told.textContent = JSON.stringify({
    wide: root.documentElement.scrollWidth,
    background: inner.getComputedStyle(root.body).backgroundColor,
    text: root.body.innerText.length,
    loads: inner.performance.getEntriesByType("resource").length,
  });
};
</script>
"#;
