//! `docs/reference/environment.md`: the variables that q reads, and those that a step finds. The names in the sources
//! are compared with these lists, both ways.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// What q itself reads.
const READ: &[(&str, &str)] = &[
    ("`Q_WORKFLOW_HOME`", "directory of all state; `--home` wins; default `~/.aws/amazonq/workflows`"),
    ("`Q_WORKFLOW_MODEL`", "model of agents whose file names none"),
    ("`HOME`", "where the default home, and skills and agents of the user, are looked for"),
    ("`PATH`", "where programs without a slash are looked for"),
    ("`NO_COLOR`", "no colour, whatever its value"),
    ("`COLUMNS`", "width of tables and help, where the terminal does not tell"),
    (
        "`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`",
        "key of a model where the agent's file names no other variable",
    ),
    (
        "`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`",
        "where a model is reached, where the agent's file does not say it",
    ),
    ("`TERM`", "a terminal that is `dumb`, or says nothing, gets plain lines and no pager"),
    ("`PAGER`", "what shows output that is longer than the terminal; default `less -FRX`, `cat` for none"),
    ("`Q_WORKFLOW_COMPLETE`", "set by the code of `completions`: the shell that asks what a word may become"),
    ("`XDG_CONFIG_HOME`", "where `daemon install` writes the unit of systemd; default `~/.config`"),
    ("`XDG_RUNTIME_DIR`", "its sockets are hidden from steps"),
    ("`NOTIFY_SOCKET`", "where `daemon run` tells systemd that it is ready"),
];

/// What a step finds.
const GIVEN: &[(&str, &str)] = &[
    ("`PATH`, `USER`, `LANG`, `LC_*`, `TZ`", "as q has them"),
    ("`HOME`", "as q has it; in the profile `strict` the work directory"),
    ("`TERM`", "`dumb`"),
    ("`TMPDIR`", "`/tmp`, which is private"),
    ("`WORKFLOW_RUN_ID`", "id of the run"),
    ("`WORKFLOW_STEP_ID`", "id of the step"),
    ("`WORKFLOW_ATTEMPT`", "number of the attempt, from 1"),
    ("`WORKFLOW_WORK_DIR`", "private directory of the attempt"),
    ("`WORKFLOW_MEMORY_LIMIT`", "bytes of memory that it may have, where there is a limit"),
    ("`WORKFLOW_CPUS`", "CPU cores that it may use (`0.5`), where there is a limit"),
    (
        "`HTTP_PROXY`, `HTTPS_PROXY`, `http_proxy`, `https_proxy`",
        "q's proxy, where the sandbox allows certain hosts only",
    ),
    ("names in `sandbox.env`", "as q has them, but for `LD_*`"),
    ("names in `env` of the skill and of the step", "as they say, but for `LD_*`"),
    ("names in `secrets` of the step", "the secrets"),
];

fn table(title: &str, about: &str, rows: &[(&str, &str)]) -> String {
    let mut text = format!("\n## {title}\n\n{about}\n\n| variable | meaning |\n|---|---|\n");
    for (names, meaning) in rows {
        writeln!(text, "| {names} | {meaning} |").expect("a string takes everything");
    }
    text
}

#[test]
fn environment() {
    let text = format!(
        "Which environment variables matter. Secrets are taken out of the environment of the engine at its start; the \
         daemon takes out whatever could be one, and hands it to its runs.\n{}{}",
        table("What q reads", "An empty value counts as none.", READ),
        table(
            "What a step finds",
            "Nothing else: a step does not inherit the environment of q. A built-in skill that needs no program finds \
             none at all. Later rows win.",
            GIVEN,
        )
    );
    super::check_fresh("docs/reference/environment.md", &super::page("Environment variables", &text));
}

/// The words of q's own variables in a text.
fn own(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let own = words.filter(|word| word.starts_with("WORKFLOW_") || word.starts_with("Q_WORKFLOW_"));
    own.filter(|word| !word.ends_with('_')).map(str::to_owned).collect()
}

fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the sources are readable").flatten() {
        let path = entry.path();
        // The lists of this file would answer for themselves.
        if path.is_dir() && !path.ends_with("cli/reference") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            let quoted = text.split('"').skip(1).step_by(2);
            found.extend(quoted.flat_map(own));
        }
    }
}

#[test]
fn every_variable_of_ours_is_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    for folder in ["src", "../worker/src"] {
        sources(&root.join(folder), &mut used);
    }
    let listed: BTreeSet<_> = READ.iter().chain(GIVEN).flat_map(|(names, _)| own(names)).collect();
    assert_eq!(used, listed, "what the sources name, and the lists of this file");
}
