//! Every console block of the README and of the book, run as it stands: each page in a world of its own, its blocks in
//! their order, in a folder with the examples. What is printed is compared with the block.
//!
//! A line `$ q …` is run, and so are the small ones of [`RUN`]; other programs are the reader's. `? 3` behind it is its exit code (none: 0). What differs from
//! run to run does not count: ids, moments, durations, sizes, the width of columns. `…` stands for any text in a line,
//! and, alone on a line, for any lines. Two remarks that nobody sees may stand right above a block:
//! `<!-- before: COMMANDS -->` prepares the world, `<!-- not run: WHY -->` says why it is not run. A block without any
//! output is only run.

use std::{fs, path::Path, process::Command, sync::LazyLock};

use integration_tests::{Fixture, program};
use regex::Regex;

/// The home as the pages have it.
const HOME: &str = "/home/ann/.aws/amazonq/workflows";

/// The programs that are run.
const RUN: [&str; 5] = ["q", "echo", "printf", "mkdir", "cp"];

/// A console block of a page.
struct Block {
    line: usize,
    before: Option<String>,
    is_run: bool,
    text: String,
}

/// A command, and what the page says it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    exit: i32,
    prints: Vec<String>,
}

impl Step {
    /// Whether it can be run here. What asks for the exit code of the last one belongs to that.
    fn is_run(&self) -> bool {
        let program = self.command.split(' ').next().unwrap_or_default();
        RUN.contains(&program) && self.command != "echo $?" && !self.command.contains("sudo")
    }
}

/// The pages: the README, and those of the book.
fn pages() -> Vec<String> {
    let root = program::workspace();
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/guide", "docs/reference", "docs/errors"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of the book is readable").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names =
            names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
        pages.extend(names.map(|name| format!("{folder}/{name}")));
    }
    pages.sort();
    pages
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut remark, mut lines) = (String::new(), page.lines().enumerate());
    while let Some((number, line)) = lines.next() {
        if line == "```console" {
            let text = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text: Vec<_> = text.collect();
            let before = remark.strip_prefix("before:").map(|commands| commands.trim().to_owned());
            let is_run = !remark.starts_with("not run:");
            blocks.push(Block { line: number + 1, before, is_run, text: text.join("\n") });
            remark.clear();
        } else if let Some(begun) = line.strip_prefix("<!--") {
            remark = begun.trim_start().to_owned();
            while !remark.ends_with("-->") {
                let Some((_, line)) = lines.next() else { break };
                remark += "\n";
                remark += line;
            }
            remark = remark.trim_end_matches("-->").trim().to_owned();
        } else if !line.is_empty() {
            remark.clear();
        }
    }
    blocks
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")) {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command.pop();
                command += lines.next().unwrap_or_default().trim_start();
            }
            steps.push(Step { command, exit: 0, prints: Vec::new() });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("? ").and_then(|code| code.parse().ok()) {
                Some(code) if step.prints.is_empty() => step.exit = code,
                Some(_) | None => step.prints.push(line.to_owned()),
            }
        }
    }
    // The last command's exit code may also be asked for.
    let asked: Vec<_> = steps.windows(2).map(|pair| pair[1].command == "echo $?").collect();
    for (place, asked) in asked.into_iter().enumerate().filter(|(_, asked)| *asked) {
        if asked {
            steps[place].exit =
                steps[place + 1].prints.first().and_then(|code| code.parse().ok()).unwrap_or(0);
        }
    }
    steps
}

/// What differs from run to run, and what stands for it.
static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}(-[0-9a-f]{4}-[0-9a-f]{12})?\b", "ID"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\b)([^+]|$)", "MOMENT${3}"),
        (r"\bprocess \d+\b", "process N"),
        (r#""duration_ms":\d+"#, r#""duration_ms":N"#),
        (r"\b(\d+(\.\d+)?m?s|\d+m\d\ds)\b", "TIME"),
        (r"\b\d+(\.\d+)? (B|[KMGT]iB)\b", "SIZE"),
        (r"  +", "  "),
        (r"\s+$", ""),
    ];
    rules.into_iter().map(|(rule, by)| (Regex::new(rule).expect("it is a rule"), by)).collect()
});

fn stable(line: &str) -> String {
    VOLATILE.iter().fold(line.to_owned(), |line, (rule, by)| rule.replace_all(&line, *by).into_owned())
}

/// Whether a line is as the page has it.
fn is_like(expected: &str, found: &str) -> bool {
    let pieces: Vec<_> = expected.split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", pieces.join(".*"))).is_ok_and(|rule| rule.is_match(found))
}

/// Whether all lines are.
fn are_like(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=found.len()).any(|skipped| are_like(rest, &found[skipped..]))
        }
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, more)| is_like(first, line) && are_like(rest, more))
        }
    }
}

/// Runs a command of a page; gives its exit code and its lines.
fn run(fixture: &Fixture, command: &str) -> (i32, Vec<String>) {
    let folder = program::q().parent().expect("a program is in a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell: Command = fixture.command("bash");
    shell.env("PATH", path).args(["-c", &format!("{{ {command}\n}} 2>&1")]);
    let finished = fixture.start(shell).finish();
    (finished.code, finished.stdout.lines().map(str::to_owned).collect())
}

/// What is not as a page says.
fn differences(page: &str) -> Vec<String> {
    let text = fs::read_to_string(program::workspace().join(page)).expect("a page is text");
    let blocks = blocks(&text);
    if !blocks.iter().any(|block| block.is_run && block.text.contains("$ q ")) {
        return Vec::new();
    }
    let fixture = Fixture::new();
    let copied = Command::new("cp")
        .args(["-r", "--", &program::workspace().join("examples").to_string_lossy(), "."])
        .current_dir(fixture.work())
        .status();
    assert!(copied.is_ok_and(|status| status.success()), "the examples can be copied");
    let mut differences = Vec::new();
    for block in blocks.iter().filter(|block| block.is_run) {
        if let Some(before) = &block.before {
            run(&fixture, before);
        }
        for step in steps(&block.text).iter().filter(|step| step.is_run()) {
            let (exit, mut printed) = run(&fixture, &step.command);
            let home = fixture.home().to_string_lossy().into_owned();
            for line in &mut printed {
                *line = line.replace(&home, HOME);
            }
            let [expected, found] = [&step.prints, &printed].map(|lines| {
                lines.iter().map(|line| stable(line)).filter(|line| !line.is_empty()).collect::<Vec<_>>()
            });
            if exit != step.exit || !(step.prints.is_empty() || are_like(&expected, &found)) {
                differences.push(format!(
                    "{page}:{}: $ {}\nexits with {exit}, and prints\n{}\n--- the page says {}\n{}\n",
                    block.line,
                    step.command,
                    found.join("\n"),
                    step.exit,
                    expected.join("\n"),
                ));
            }
        }
    }
    // A page may leave a daemon, or a run in the background.
    run(&fixture, "q workflow daemon stop --now; q workflow stop --all --now");
    differences
}

#[test]
fn console_blocks_are_true() {
    let pages = pages();
    let differences: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = pages.chunks(pages.len().div_ceil(4)).collect();
        let workers: Vec<_> = parts
            .into_iter()
            .map(|part| {
                scope.spawn(move || part.iter().flat_map(|page| differences(page)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a page can be run")).collect()
    });
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[track_caller]
fn check(expected: &[&str], found: &[&str], like: bool) {
    let [expected, found] =
        [expected, found].map(|lines| lines.iter().map(|line| stable(line)).collect::<Vec<_>>());
    assert_eq!(are_like(&expected, &found), like, "{expected:?} {found:?}");
}

#[test]
fn only_what_is_volatile_may_differ() {
    let (old, new) = ("01a20392-2e6a-7478-8c2a-2e73b0cd7cf7", "01a304ff-0000-7123-9abc-2e73b0cd7cf8");
    check(&[&format!("run {old} of x")], &[&format!("run {new} of x")], true);
    check(&[&format!("run {old} of x")], &[&format!("run {new} of y")], false);
    check(&["a  completed (17ms)  1.0 MiB"], &["a     completed (1.2s)  12 B"], true);
    check(&["a completed (17ms)"], &["a failed (17ms)"], false);
    check(&["created 2026-11-22 14:06:16 (manual)"], &["created 2027-01-02 03:04:05 (manual)"], true);
    check(&["2026-03-29T03:00:00+02:00  x"], &["2026-03-29T04:00:00+02:00  x"], false);
    check(&["one", "…", "four"], &["one", "two", "three", "four"], true);
    check(&["one", "…", "four"], &["one", "two"], false);
    check(&["a … z", "…"], &["a b c z"], true);
    check(&["a"], &[], false);
}

#[test]
fn a_block_is_commands_with_what_they_print() {
    let page = "<!-- before: x\ny -->\n```console\n$ q a \\\n    b\n? 3\nout\n$ q c\n$ echo $?\n1\n```\n\n<!-- not run: z -->\n\n```console\n$ q d\n```\n";
    let found = blocks(page);
    assert_eq!((found[0].before.as_deref(), found[0].line, found[0].is_run), (Some("x\ny"), 3, true));
    assert!(!found[1].is_run);
    let step = |command: &str, exit, prints: &[&str]| Step {
        command: command.to_owned(),
        exit,
        prints: prints.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(
        steps(&found[0].text),
        [step("q a b", 3, &["out"]), step("q c", 1, &[]), step("echo $?", 0, &["1"])]
    );
}
