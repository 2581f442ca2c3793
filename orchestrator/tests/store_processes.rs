//! The store among processes: who owns a run when one dies, what many appenders leave, what a killed writer
//! leaves, and which modes files have under any umask. Each test starts itself again as its other process.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use orchestrator::store::{
    capture::Capture,
    definitions::{self, Existing},
    home::Home,
    index::{Entry, Filter, Index},
    journal::{Reader, Space},
    lock::{self, RunLock},
    names::RunId,
    output,
    run::{self, OwnedRun},
    run_log::{Rotation, RunLog},
    view,
};
use schemas::{
    journal::{AttemptEnded, AttemptId, Event, FORMAT_VERSION, Now, Outcome, Output, RunCreated, StopSource},
    json::Json,
    output::log::Level,
    view::{RunStatus, RunView, SCHEMA_VERSION, Usage},
};

const HOME: &str = "STORE_TEST_HOME";

/// The home that the other process of a test was given; `None` in the test itself.
fn given_home() -> Option<Home> {
    env::var_os(HOME).map(|path| Home::at(path.into()))
}

/// This binary again, running only `test`, as the other process.
fn other_process(test: &str, home: &Home) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(HOME, home.path());
    command
}

/// The other process with pipes; killed and reaped when dropped.
struct Other {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(test: &str, home: &Home) -> Self {
        let mut child =
            other_process(test, home).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output }
    }

    /// The rest of the next line that has `marker` in it; `None` when the output ends.
    fn next_after(&mut self, marker: &str) -> Option<String> {
        let mut line = Vec::new();
        while self.output.read_until(b'\n', &mut line).unwrap() > 0 {
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some((_, rest)) = text.split_once(marker) {
                return Some(rest.trim().to_owned());
            }
            line.clear();
        }
        None
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").unwrap();
    output.flush().unwrap();
}

/// Sleeps until the test closes the pipe.
fn wait_for_end_of_input() {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn temporary_home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("a/home"));
    (dir, home)
}

fn at(up_us: u64) -> Now {
    Now { wall: Timestamp::from_millisecond(1_790_000_000_000).unwrap(), up_us }
}

fn create(home: &Home) -> OwnedRun {
    let created = RunCreated {
        format_version: FORMAT_VERSION,
        q: "0.1.0".into(),
        run_id: RunId::generate().to_string(),
        workflow: "simple-test".into(),
        version: "1.0.0".into(),
        trigger: "manual".into(),
        scheduled_at: None,
        base: "/".into(),
        source: "/simple-test.json".into(),
        inputs: BTreeMap::new(),
        context: BTreeMap::new(),
        timeout_ms: None,
        max_concurrent_steps: None,
        skills: BTreeMap::new(),
        called: schemas::journal::Called::default(),
    };
    run::create(home, &run::Frozen::default(), at(0), created).unwrap()
}

fn view_of(run: RunId, status: RunStatus) -> RunView {
    RunView {
        schema_version: SCHEMA_VERSION,
        run_id: run.to_string(),
        workflow: "simple-test".into(),
        version: "1.0.0".into(),
        status,
        scheduled_at: None,
        created_at: at(0).wall,
        started_at: None,
        finished_at: None,
        duration_ms: None,
        trigger: "manual".into(),
        outputs: Json::parse("{}").unwrap(),
        error: None,
        isolation: None,
        usage: Usage::default(),
        steps: Vec::new(),
        rollback: Vec::new(),
    }
}

fn entry(run: RunId, status: RunStatus) -> Entry {
    Entry::of(&view_of(run, status)).unwrap()
}

#[test]
fn a_run_is_free_as_soon_as_its_owner_is_dead() {
    if let Some(home) = given_home() {
        let run = create(&home);
        say(&format!("owned {}", run.dir.id()));
        return wait_for_end_of_input();
    }
    let (_dir, home) = temporary_home();
    let mut other = Other::start("a_run_is_free_as_soon_as_its_owner_is_dead", &home);
    let run = home.run(other.next_after("owned ").unwrap().parse().unwrap());
    assert!(lock::is_owned(&run).unwrap());
    assert!(matches!(RunLock::try_take(&run), Err(lock::Error::Owned(id)) if id == run.id()));
    other.kill();
    assert!(!lock::is_owned(&run).unwrap());
    let taken = run::reopen(&home, run.id(), |_| ()).unwrap();
    assert!(lock::is_owned(&run).unwrap());
    drop(taken);
}

#[test]
fn children_of_the_owner_do_not_keep_the_run() {
    if let Some(home) = given_home() {
        let run = create(&home);
        // It lives until the test closes the pipe, whatever happens to this process.
        let mut child = Command::new("cat").stdout(Stdio::null()).spawn().unwrap();
        say(&format!("owned {}", run.dir.id()));
        child.wait().unwrap();
        return;
    }
    let (_dir, home) = temporary_home();
    let mut other = Other::start("children_of_the_owner_do_not_keep_the_run", &home);
    let run = home.run(other.next_after("owned ").unwrap().parse().unwrap());
    assert!(lock::is_owned(&run).unwrap());
    other.kill();
    // The child closes what it was lent by its exec, which may be still under way.
    let (free, is_free) = mpsc::channel();
    let waiting = run.clone();
    thread::spawn(move || free.send(lock::wait_until_free(&waiting)));
    let waited = is_free.recv_timeout(Duration::from_secs(20));
    waited.expect("nobody owns the run while the child lives").unwrap();
    assert!(!lock::is_owned(&run).unwrap());
    drop(other.input.take());
}

#[test]
fn of_many_takers_one_wins() {
    if let Some(home) = given_home() {
        let id: RunId = env::var("STORE_TEST_RUN").unwrap().parse().unwrap();
        let lock = RunLock::try_take(&home.run(id));
        say(if lock.is_ok() { "took 1" } else { "took 0" });
        return wait_for_end_of_input();
    }
    let (_dir, home) = temporary_home();
    let id = create(&home).dir.id();
    let start = || {
        let mut command = other_process("of_many_takers_one_wins", &home);
        command.env("STORE_TEST_RUN", id.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Other { input: child.stdin.take(), child, output }
    };
    let mut others: Vec<_> = std::iter::repeat_with(start).take(4).collect();
    let winners = others.iter_mut().filter_map(|other| other.next_after("took ")).filter(|won| won == "1");
    assert_eq!(winners.count(), 1);
}

#[test]
fn lines_of_many_processes_are_all_in_the_index() {
    const RUNS: usize = 100;
    if let Some(home) = given_home() {
        let index = Index::new(&home);
        for _ in 0..RUNS {
            let id = RunId::generate();
            index.created(&entry(id, RunStatus::Queued)).unwrap();
            index.changed(&entry(id, RunStatus::Completed)).unwrap();
        }
        return;
    }
    let (_dir, home) = temporary_home();
    home.ensure().unwrap();
    let start = || Other::start("lines_of_many_processes_are_all_in_the_index", &home);
    let mut others: Vec<_> = std::iter::repeat_with(start).take(4).collect();
    for other in &mut others {
        assert!(other.child.wait().unwrap().success());
    }
    let listed = Index::new(&home).newest(usize::MAX, &Filter::default(), |_| true).unwrap().unwrap();
    assert_eq!(listed.len(), 4 * RUNS);
    assert!(listed.iter().all(|entry| entry.status == RunStatus::Completed));
}

#[test]
fn a_killed_writer_loses_nothing_that_it_committed() {
    if let Some(home) = given_home() {
        let mut run = create(&home);
        say(&format!("owned {}", run.dir.id()));
        for up_us in 1.. {
            let event = Event::StopRequested { now: false, by: StopSource::Command };
            run.journal.append(&[(at(up_us), event)]).unwrap();
            assert!(matches!(run.journal.commit().unwrap(), Space::Plenty));
            say(&format!("committed {}", run.journal.seq()));
        }
    }
    for commits in [1, 2, 3, 10, 50, 150] {
        let (_dir, home) = temporary_home();
        let mut other = Other::start("a_killed_writer_loses_nothing_that_it_committed", &home);
        let run = home.run(other.next_after("owned ").unwrap().parse().unwrap());
        for _ in 0..commits {
            other.next_after("committed ").unwrap();
        }
        other.kill();
        // What it still said before it was killed counts too.
        let mut committed = commits + 1;
        while let Some(seq) = other.next_after("committed ") {
            committed = seq.parse().unwrap();
        }
        let mut records = 0;
        let mut taken = run::reopen(&home, run.id(), |_| records += 1).unwrap();
        assert!((committed..=committed + 1).contains(&records), "{committed} {records}");
        taken.journal.append(&[(at(0), Event::RunResumed)]).unwrap();
        assert!(matches!(taken.journal.commit().unwrap(), Space::Plenty));
        taken.journal.finish().unwrap();
        assert_eq!(Reader::open(&run).unwrap().filter_map(Result::ok).count() as u64, records + 1);
    }
}

#[test]
fn a_reader_never_takes_a_line_in_the_making_for_damage() {
    if let Some(home) = given_home() {
        let mut run = create(&home);
        say(&format!("owned {}", run.dir.id()));
        let value = Json::parse(&format!("\"{}\"", "x".repeat(3000))).unwrap();
        for attempt in 1..=600 {
            run.journal.append(&ended(attempt, &value)).unwrap();
            assert!(matches!(run.journal.commit().unwrap(), Space::Plenty));
        }
        return;
    }
    let (_dir, home) = temporary_home();
    let mut other = Other::start("a_reader_never_takes_a_line_in_the_making_for_damage", &home);
    let run = home.run(other.next_after("owned ").unwrap().parse().unwrap());
    let mut last = 0;
    while other.child.try_wait().unwrap().is_none() {
        let records: Vec<_> = Reader::open(&run).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(records.len() >= last);
        last = records.len();
    }
    assert_eq!(Reader::open(&run).unwrap().filter_map(Result::ok).count(), 1 + 600 * 3);
}

/// Three events whose lines fill several pages.
fn ended(attempt: u32, value: &Json) -> Vec<(Now, Event)> {
    let ended = |turn| {
        let id = AttemptId { step: "fetch".into(), turn: vec![turn], attempt };
        AttemptEnded::new(id, Outcome::Completed(Output::Inline(value.clone())))
    };
    (0..3).map(|turn| (at(1), Event::AttemptEnded(Box::new(ended(turn))))).collect()
}

/// Writes one of everything that the store writes.
fn write_everything(home: &Home) {
    let owned = create(home);
    let run = &owned.dir;
    view::write(run, &view_of(run.id(), RunStatus::Completed)).unwrap();
    let attempt = AttemptId { step: "a".into(), turn: vec![0], attempt: 1 };
    Capture::new(run.attempt(&attempt).unwrap().stderr(), 10).write(b"x").unwrap();
    let large = Json::parse(&format!("\"{}\"", "x".repeat(schemas::journal::Output::INLINE_MAX))).unwrap();
    output::write(run, &attempt, &large).unwrap();
    let mut log = RunLog::new(run, Rotation { max_bytes: 1, files: 2 });
    for text in ["a", "b"] {
        log.write(at(0).wall, Level::Info, None, text).unwrap();
    }
    definitions::write(home, &"a".parse().unwrap(), b"{}", Existing::Keep).unwrap();
    let index = Index::new(home);
    index.created(&entry(run.id(), RunStatus::Queued)).unwrap();
    index.rebuild(|_| None).unwrap();
}

fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &std::fs::Metadata)) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    visit(path, &metadata);
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), visit);
        }
    }
}

#[track_caller]
fn check_modes(umask: &str) {
    let (dir, home) = temporary_home();
    let inner = other_process("all_that_is_written_is_private", &home);
    let arguments: Vec<_> = inner.get_args().collect();
    let status = Command::new("sh")
        .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
        .arg(inner.get_program())
        .args(arguments)
        .env(HOME, home.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "umask {umask}");
    let mut seen: Vec<PathBuf> = Vec::new();
    walk(&dir.path().join("a"), &mut |path, metadata| {
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o7777, expected, "{} under {umask}", path.display());
        seen.push(path.to_owned());
    });
    let names = ["journal.jsonl", "definition.json", "state.json", "run.log", "run.log.1"];
    let more = ["stderr.log", "output.json", "a.json", "index.jsonl", "index.lock"];
    for name in names.iter().chain(&more) {
        assert!(seen.iter().any(|path| path.ends_with(name)), "{name}");
    }
}

#[test]
fn all_that_is_written_is_private() {
    if let Some(home) = given_home() {
        return write_everything(&home);
    }
    for umask in ["000", "022", "077", "277", "777"] {
        check_modes(umask);
    }
}
