//! Rules of the house that a program can check: over the sources, the crate graph, the examples and the pages of
//! errors. Nothing here runs `q`.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use integration_tests::program::workspace;
use serde_json::Value;

/// Longest file of ours.
const MAX_LINES: usize = 600;
/// Nine in ten files are shorter than this.
const USUAL_LINES: usize = 400;
/// The files in which there is unsafe code: three at most.
const UNSAFE: &[&str] = &["worker/src/sys.rs"];

/// A file of the project: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

/// The files that git tracks or would track, as far as they are text and still there.
fn sources() -> Vec<Source> {
    let output = run("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let paths: BTreeSet<&str> = output.lines().collect();
    let read = |path: &str| fs::read_to_string(workspace().join(path)).ok();
    paths.into_iter().filter_map(|path| Some(Source { path: path.to_owned(), text: read(path)? })).collect()
}

fn rust_sources() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| is(&source.path, "rs"));
    assert!(sources.len() > 20, "the sources are found: {}", sources.len());
    sources
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).current_dir(workspace()).output().expect("the program is there");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

/// Fails the test with the list of what breaks the rule.
#[track_caller]
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Lines that hold one of the words, as `path:line: text`; comments and the text of these rules aside.
fn lines_with(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path != "tests/tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            if !line.trim_start().starts_with("//") && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn every_file_says_what_it_holds() {
    let mut silent = rust_sources();
    silent.retain(|source| !source.text.starts_with("//! "));
    let paths: Vec<_> = silent.into_iter().map(|source| source.path).collect();
    assert_none("a file opens with `//!`", &paths);
}

#[test]
fn files_are_short() {
    let lengths: Vec<_> =
        rust_sources().into_iter().map(|source| (source.text.lines().count(), source.path)).collect();
    let long: Vec<_> =
        lengths.iter().filter(|(lines, _)| *lines > MAX_LINES).map(|l| format!("{l:?}")).collect();
    assert_none("a file has at most 600 lines", &long);
    let longish: Vec<_> =
        lengths.iter().filter(|(lines, _)| *lines >= USUAL_LINES).map(|l| format!("{l:?}")).collect();
    assert!(longish.len() * 10 <= lengths.len(), "nine files in ten have under 400 lines: {longish:#?}");
}

#[test]
fn nothing_sleeps() {
    // Sleeping is waiting without knowing for what. Two skills do it on behalf of their user.
    let allowed = ["worker/src/skills/sleep.rs:", "worker/src/skills/wait_for.rs:"];
    let mut found = lines_with(&rust_sources(), &["thread::sleep(", "sleep_ms("]);
    found.retain(|line| !allowed.iter().any(|path| line.starts_with(path)));
    assert_none("nothing sleeps", &found);
}

#[test]
fn all_that_is_written_into_a_home_goes_through_one_seam() {
    // So that a test can let each write fail: orchestrator/tests/faults.rs.
    let changes = [
        "fs::write(",
        "fs::rename(",
        "fs::remove_",
        "fs::create_dir",
        "fs::hard_link(",
        "fs::copy(",
        "fs::set_permissions(",
        "File::create",
        "DirBuilder",
        ".sync_data()",
        ".sync_all()",
        ".set_len(",
        "posix_fallocate(",
        "mkfifo(",
        "mknod(",
        "F_OFD_SETLK",
        "symlink(",
        ".set_permissions(",
        ".file.write_all(",
    ];
    let parts = ["store/", "owner", "dispatcher", "control", "prune", "fold", "attempt", "proxy", "secrets"];
    let mut sources = rust_sources();
    sources.retain(|source| {
        let below = source.path.strip_prefix("orchestrator/src/").unwrap_or_default();
        let is_test = below.ends_with("tests.rs") || below.ends_with("fixture.rs");
        parts.iter().any(|part| below.starts_with(part)) && !is_test && below != "store/disk.rs"
    });
    assert!(sources.len() > 40, "the sources are found: {}", sources.len());
    for source in &mut sources {
        let end = source.text.find("#[cfg(test)]").unwrap_or(source.text.len());
        source.text.truncate(end);
    }
    let mut found = lines_with(&sources, &changes);
    // Calls of the seam, and the end of a lock, which cannot fail.
    let allowed = ["disk::", "disk.", "F_UNLCK"];
    found.retain(|line| !allowed.iter().any(|word| line.contains(word)));
    assert_none("what is written into a home goes through store::disk", &found);
}

#[test]
fn nothing_is_left_to_do() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("TB", "D")];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert_none("what is not done is an issue, not a remark", &found);
    assert_none("no stubs", &lines_with(&rust_sources(), &["todo!(", "unimplemented!("]));
}

#[test]
fn tests_run_and_assert() {
    let found = lines_with(&rust_sources(), &["#[ignore", "#[should_panic"]);
    assert_none("no test is ignored or expects a panic", &found);
    assert_none(
        "a lint is expected, with a reason",
        &lines_with(&rust_sources(), &["#[allow(", "#![allow("]),
    );
}

#[test]
fn unsafe_code_is_where_it_is_known_to_be() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "#[unsafe", "expect(unsafe_code"];
    let (known, others): (Vec<_>, Vec<_>) =
        rust_sources().into_iter().partition(|source| UNSAFE.contains(&source.path.as_str()));
    assert_none("unsafe code is in the named files only", &lines_with(&others, &words));
    assert_eq!(known.len(), UNSAFE.len(), "a named file is gone");
    for source in known {
        assert!(source.text.contains("unsafe {"), "{} has none: it leaves the list", source.path);
    }
}

#[test]
fn engine_is_pure() {
    let tree = run(
        env!("CARGO"),
        &["tree", "--offline", "--package", "workflow-engine", "--edges", "normal", "--prefix", "none"],
    );
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("schemas"), "the tree is that of the engine: {names:?}");
    let impure: Vec<_> = ["tokio", "nix", "rustix", "mio", "tracing", "async-io"]
        .into_iter()
        .filter(|name| names.contains(name))
        .map(str::to_owned)
        .collect();
    assert_none("the engine's tree is free of the world", &impure);
}

#[test]
fn engine_touches_no_world() {
    let mut sources = rust_sources();
    sources.retain(|source| {
        source.path.starts_with("orchestrator/engine/src/") && !source.path.contains("test")
    });
    let words =
        ["std::fs", "std::net", "std::process", "std::env", "Instant::now", "SystemTime", "Timestamp::now"];
    assert_none("the engine has no files, no clock, no environment", &lines_with(&sources, &words));
}

/// The edges `a -> b` between the crates of the workspace, tests and benches aside.
fn edges() -> BTreeSet<String> {
    let metadata = run(env!("CARGO"), &["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let mut edges = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages are a list") {
        for dependency in package["dependencies"].as_array().expect("dependencies are a list") {
            if dependency["path"].is_string() {
                let name = |value: &Value| value["name"].as_str().expect("a name is text").to_owned();
                edges.insert(format!("{} -> {}", name(package), name(dependency)));
            }
        }
    }
    edges
}

#[test]
fn crate_graph_is_the_one_of_the_architecture() {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let section = text.split_once("\n## Crates").expect("it has a section on the crates").1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let documented: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .filter_map(|(from, to)| Some(format!("{} -> {}", from.trim(), to.split_whitespace().next()?)))
        .collect();
    assert_eq!(edges(), documented, "Cargo.toml files against ARCHITECTURE.md");
}

#[test]
fn crate_graph_points_one_way() {
    let edges = edges();
    let forbidden = [
        "worker -> workflow-engine",
        "worker -> orchestrator",
        "ipc -> worker",
        "ipc -> workflow-engine",
        "schemas -> ipc",
        "workflow-engine -> ipc",
        "workflow-engine -> worker",
    ];
    let found: Vec<_> =
        forbidden.into_iter().filter(|edge| edges.contains(*edge)).map(str::to_owned).collect();
    assert_none("arrows point one way", &found);
}

#[test]
fn every_example_is_run_by_a_test() {
    let tests: String = rust_sources()
        .into_iter()
        .filter(|source| source.path.starts_with("tests/tests/"))
        .map(|source| source.text)
        .collect();
    let examples = sources().into_iter().filter(|source| source.path.starts_with("examples/"));
    let names: Vec<_> =
        examples.filter(|example| !is(&example.path, "md")).map(|example| example.path).collect();
    assert!(names.len() >= 2, "the examples are found: {names:?}");
    let untested: Vec<_> = names
        .into_iter()
        .filter(|path| !tests.contains(&format!("\"{}\"", path.trim_start_matches("examples/"))))
        .collect();
    assert_none("every example is named in a test", &untested);
}

/// The words of `text` in quotes that are codes of diagnostics: `E012`, `W003`.
fn diagnostic_codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').filter(|word| {
        word.len() == 4 && word.starts_with(['E', 'W']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[test]
fn every_code_has_a_page() {
    let mut codes = BTreeSet::new();
    for source in rust_sources() {
        if source.path.starts_with("orchestrator/") {
            codes.extend(diagnostic_codes(&source.text).map(str::to_owned));
        }
        if source.path == "schemas/src/failure.rs" {
            // `ExitCode = "exit_code", true;`
            let lines =
                source.text.lines().filter(|line| line.ends_with(", true;") || line.ends_with(", false;"));
            codes.extend(lines.filter_map(|line| line.split('"').nth(1)).map(str::to_owned));
        }
    }
    assert!(codes.contains("exit_code") && codes.contains("E012"), "the codes are found: {codes:?}");
    let page = |code: &String| workspace().join("docs/errors").join(format!("{code}.md"));
    let without: Vec<_> = codes.into_iter().filter(|code| !page(code).is_file()).collect();
    assert_none("every code has a page in docs/errors", &without);
}

#[test]
fn nothing_of_this_machine_is_written_down() {
    // Wherever this checkout lies and whatever registry this machine is pointed at.
    let mut words = vec![workspace().to_string_lossy().into_owned()];
    words.extend(registry_hosts());
    let mut found = Vec::new();
    for source in sources() {
        for word in words.iter().filter(|word| source.text.contains(word.as_str())) {
            found.push(format!("{}: {word}", source.path));
        }
    }
    assert_none("no path or host of this machine", &found);
}

/// The hosts that this machine's configuration names in place of the public registries.
fn registry_hosts() -> BTreeSet<String> {
    const PUBLIC: &[&str] =
        &["crates.io", "github.com", "pypi.org", "rust-lang.org", "debian.org", "npmjs.org"];
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let files = [cargo.join("config.toml"), cargo.join("config"), home.join(".config/pip/pip.conf")];
    let mut texts: Vec<_> = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    texts.extend(
        env::vars().filter(|(name, _)| name.starts_with("CARGO_") || name.contains("INDEX")).map(|v| v.1),
    );
    let mut hosts = BTreeSet::new();
    for text in &texts {
        for (_, rest) in text.match_indices("://").map(|(at, found)| text.split_at(at + found.len())) {
            let host = rest.split(['/', '"', '\'', ' ', '\n', ':', '?']).next().unwrap_or_default();
            let host = host.rsplit('@').next().unwrap_or_default();
            if host.contains('.') && !PUBLIC.iter().any(|public| host.ends_with(public)) {
                hosts.insert(host.to_owned());
            }
        }
    }
    hosts
}

#[test]
fn lock_file_names_the_public_registry_only() {
    let lock = fs::read_to_string(workspace().join("Cargo.lock")).expect("Cargo.lock is there");
    let foreign: Vec<_> = lock
        .lines()
        .filter(|line| line.starts_with("source = "))
        .filter(|line| !line.contains("\"registry+https://github.com/rust-lang/crates.io-index\""))
        .map(str::to_owned)
        .collect();
    assert_none("packages come from the public registry", &foreign);
}

#[test]
fn licences_and_readme_are_there() {
    let wanted = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "clippy.toml",
        "orchestrator/engine/clippy.toml",
        "deny.toml",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "docs/book.toml",
        "tests/run",
        ".ci/run",
    ];
    let missing: Vec<_> =
        wanted.into_iter().filter(|path| !workspace().join(path).is_file()).map(str::to_owned).collect();
    assert_none("the files of the project are there", &missing);
}
