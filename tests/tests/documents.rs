//! The documents of the project against the project: links lead somewhere, the book lists every page, examples in
//! the guide are the files that they name, what looks like a definition is one, and every dependency has its line of
//! why. What the examples do when they run is in `examples.rs`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use integration_tests::{Fixture, program::workspace};
use serde_json::{Value, json};

/// A page: its path from the root, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

/// The pages of the project: those at the root, the book, and that of the examples.
fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    let mut folders = vec![workspace().join("docs"), workspace().join("examples")];
    let at_root =
        fs::read_dir(workspace()).expect("the root is readable").flatten().map(|entry| entry.path());
    paths.extend(at_root.filter(|path| is_page(path)));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the book is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_page(&path) {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 50, "the pages are found: {}", paths.len());
    paths.sort();
    let page = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a page is text");
        Page { path: path.strip_prefix(workspace()).expect("it is below the root").to_owned(), text }
    };
    paths.into_iter().map(page).collect()
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The text without what stands between fences.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of the links `[…](target)` of a text.
fn links(text: &str) -> Vec<String> {
    let targets = prose(text);
    let targets = targets.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The fragment by which a heading is linked to.
fn fragment(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn headings(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    headings
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| fragment(line.trim_start_matches('#').trim()))
        .collect()
}

/// `a/../b` as `b`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[track_caller]
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for Page { path, text } in pages() {
        for link in links(&text).into_iter().filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let folder = path.parent().expect("a page has a folder");
            let target = if file.is_empty() { path.clone() } else { plain(&folder.join(file)) };
            let whole = workspace().join(&target);
            let found = whole.exists()
                && (heading.is_empty()
                    || fs::read_to_string(&whole).is_ok_and(|text| headings(&text).contains(heading)));
            if !found {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_none("a link leads somewhere", &broken);
}

#[test]
fn book_lists_every_page_once() {
    let summary = fs::read_to_string(workspace().join("docs/SUMMARY.md")).expect("the book has a summary");
    let mut listed: Vec<_> = links(&summary).iter().map(|link| Path::new("docs").join(link)).collect();
    listed.sort();
    let pages = pages().into_iter().map(|page| page.path);
    let pages: Vec<_> =
        pages.filter(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, pages);
}

/// The fenced block that follows these words on a page.
#[track_caller]
fn block_after(page: &str, words: &str) -> String {
    let text = fs::read_to_string(workspace().join("docs/guide").join(page)).expect("the page is there");
    let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{page} does not say {words:?}"));
    let block = rest.split("```").nth(1).expect("a block follows");
    block.split_once('\n').expect("a block has lines").1.to_owned()
}

#[test]
fn examples_of_the_guide_are_the_files() {
    for (page, words, file) in [
        ("getting-started.md", "`examples/getting-started.json` has two steps.", "getting-started.json"),
        ("tutorial.md", "`watch.json`:", "watch.json"),
        ("writing-a-skill.md", "`examples/skills/word-count/skill.json`:", "skills/word-count/skill.json"),
        ("writing-a-skill.md", "`examples/skills/word-count/run.py`:", "skills/word-count/run.py"),
        ("writing-a-skill.md", "is `examples/skills/disk-free/run.sh`:", "skills/disk-free/run.sh"),
    ] {
        let example = fs::read_to_string(workspace().join("examples").join(file)).expect("it is there");
        assert_eq!(block_after(page, words), example, "{page}: {file}");
    }
}

#[test]
fn examples_have_their_row() {
    let folder = workspace().join("examples");
    let page = fs::read_to_string(folder.join("README.md")).expect("it is there");
    let examples = fs::read_dir(&folder).expect("it is there").flatten().map(|entry| entry.path());
    let names = examples.filter(|path| path.is_file() && !is_page(path));
    let names = names.map(|path| format!("`{}`", path.file_name().unwrap_or_default().to_string_lossy()));
    let missing: Vec<_> = names.filter(|name| !page.contains(name)).collect();
    assert_none("every example has its row in examples/README.md", &missing);
}

/// The fenced blocks of a language on a page, each with its line.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(opened), None) => open = Some((number + 1, opened == language, String::new())),
            (Some(_), Some(_)) => {
                blocks
                    .extend(open.take().filter(|(_, wanted, _)| *wanted).map(|(line, _, text)| (line, text)));
            }
            (None, Some((_, _, block))) => block.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

/// A block as a whole definition, and whether it is one as it stands: a part of one is put where it belongs.
fn as_definition(block: &Value) -> Option<(Value, bool)> {
    const PARTS: [&str; 11] = [
        "inputs",
        "outputs",
        "context",
        "triggers",
        "handlers",
        "finally",
        "skills",
        "agents",
        "error_handling",
        "resource_limits",
        "sandbox",
    ];
    let object = block.as_object()?;
    let step = json!({"id": "some-step", "type": "skill", "skill": "echo"});
    let mut whole = json!({"name": "part", "version": "1.0.0", "steps": [step]});
    if object.contains_key("id") && object.contains_key("type") {
        whole["steps"] = json!([block]);
        Some((whole, false))
    } else if object.contains_key("steps") || object.keys().all(|key| PARTS.contains(&&**key)) {
        let complete = object.contains_key("name") && object.contains_key("steps");
        // Answers for `create` have a few keys more.
        let own = object.iter().filter(|(key, _)| !["save", "overwrite", "run"].contains(&key.as_str()));
        own.for_each(|(key, value)| whole[key] = value.clone());
        Some((whole, complete))
    } else {
        None
    }
}

/// What a JSON block says: a value, or members of an object. Where `…` stands for something it is only read by
/// people.
#[track_caller]
fn read_block(place: &str, text: &str) -> Option<Value> {
    if text.contains('…') {
        return None;
    }
    let value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&format!("{{{text}}}")));
    Some(value.unwrap_or_else(|error| panic!("{place}: the block is not JSON: {error}")))
}

#[test]
fn definitions_on_the_pages_are_valid() {
    let fixture = Fixture::new();
    let mut found = Vec::new();
    // Pages of diagnostics show what is wrong: the engine's own tests read those.
    let is_read = |path: &Path| !path.starts_with("docs/errors") && !path.ends_with("CHANGELOG.md");
    for Page { path, text } in pages().into_iter().filter(|page| is_read(&page.path)) {
        for (line, block) in blocks(&text, "json") {
            let place = format!("{}:{line}", path.display());
            let read = read_block(&place, &block);
            let Some((definition, complete)) = read.as_ref().and_then(as_definition) else { continue };
            let name = format!("{}.json", found.len());
            fixture.write(&name, definition.to_string());
            found.push((place, name, complete));
        }
        for (line, block) in blocks(&text, "yaml") {
            if block.contains("\nversion:") && block.contains("\nsteps:") {
                let name = format!("{}.yaml", found.len());
                fixture.write(&name, block);
                found.push((format!("{}:{line}", path.display()), name, true));
            }
        }
    }
    assert!(
        found.iter().filter(|(_, _, complete)| *complete).count() >= 5,
        "definitions are found: {found:?}"
    );
    let mut args = vec!["validate", "--json"];
    args.extend(found.iter().map(|(_, name, _)| name.as_str()));
    let answer = fixture.workflow(args).json();
    let files = answer["files"].as_array().expect("files are a list");
    assert_eq!(files.len(), found.len());
    let mut wrong = Vec::new();
    for ((place, _, complete), file) in found.iter().zip(files) {
        for problem in file["diagnostics"].as_array().expect("a list") {
            let code = problem["code"].as_str().expect("a code");
            // A part may name what stands elsewhere; but its keys and values must be right.
            if problem["severity"] == "error" && (*complete || code < "E030") {
                wrong.push(format!("{place}: {code} {}", problem["message"]));
            }
        }
    }
    assert_none("a definition on a page is valid", &wrong);
}

/// The rows `(crate, is for tests)` of the table below a heading.
fn documented(section: &str) -> BTreeSet<(String, bool)> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let rows = rows.filter(|(names, _)| *names != "crate");
    rows.flat_map(|(names, _)| {
        let tests = names.ends_with(" (tests)");
        let names = names.trim_end_matches(" (tests)").split(", ");
        names.map(move |name| (name.to_owned(), tests)).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn every_dependency_has_its_line_of_why() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .expect("cargo is there");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("it is there");
    let (_, tables) = text.split_once("\n## Direct dependencies").expect("it has the section");
    for package in metadata["packages"].as_array().expect("packages are a list") {
        let name = package["name"].as_str().expect("a name is text");
        let section = tables.split("\n### ").find(|section| section.lines().next() == Some(name));
        let section = section.unwrap_or_else(|| panic!("{name} has no table"));
        let dependencies = package["dependencies"].as_array().expect("dependencies are a list");
        let direct: BTreeSet<_> = dependencies
            .iter()
            .map(|dependency| {
                let name = dependency["name"].as_str().expect("a name is text");
                (name.to_owned(), dependency["kind"] == "dev")
            })
            .collect();
        assert_eq!(documented(section), direct, "{name}: ARCHITECTURE.md against its Cargo.toml");
    }
}

/// All Rust sources of the workspace's own folders.
fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<_> =
        ["tests", "worker", "ipc", "orchestrator"].map(|name| workspace().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(&path).expect("a source is text");
            }
        }
    }
    text
}

#[test]
fn every_hostile_step_has_its_test() {
    let page = fs::read_to_string(workspace().join("docs/developing/hostile-steps.md")).expect("it is there");
    let sources = sources();
    let mut broken = Vec::new();
    let mut expected = 1..=63_u32;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    for row in rows.map(|row| row.split(" | ").collect::<Vec<_>>()) {
        let [number, _, place, tests] = row[..] else { continue };
        if number != "all" && expected.next().map(|next| next.to_string()).as_deref() != Some(number) {
            broken.push(format!("{number}: out of order"));
        }
        if place == "–" {
            let says_why = tests.starts_with("not tried: ") || tests.starts_with("not possible: ");
            broken.extend((!says_why).then(|| format!("{number}: neither a test nor a reason")));
            continue;
        }
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).filter(|name| !name.contains('.')).collect();
        let exists = |name: &str| sources.contains(&format!("fn {name}("));
        broken.extend(
            names.iter().take(1).filter(|name| !exists(name)).map(|name| format!("{number}: {name}")),
        );
        broken.extend(names.is_empty().then(|| format!("{number}: no test")));
        let others = names.iter().skip(1).filter(|name| name.contains('_') && !exists(name));
        broken.extend(others.map(|name| format!("{number}: {name}")));
    }
    assert_eq!(expected.next(), None, "all rows are there");
    assert_none("a test that is named exists", &broken);
}

#[test]
fn every_trap_has_its_test() {
    let page = fs::read_to_string(workspace().join("docs/developing/traps.md")).expect("it is there");
    let sources = sources();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows: Vec<_> = rows.skip(1).map(|row| row.split(" | ").collect::<Vec<_>>()).collect();
    let broken: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            let names = row.last().map_or("", |tests| tests).split('`').skip(1).step_by(2);
            let missing: Vec<_> =
                names.clone().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
            let nobody = (names.count() == 0).then_some("no test");
            missing.into_iter().chain(nobody).map(|what| format!("{}: {what}", row[0]))
        })
        .collect();
    assert_eq!(rows.len(), 15, "a row for each trap");
    assert_none("a test that is named exists", &broken);
}
