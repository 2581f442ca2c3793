//! The journal as the truth: torn, broken and foreign lines, every crash point of a run, and homes that cannot be
//! written.

use std::{fs, path::Path, time::Duration};

use integration_tests::{
    Finished, Fixture,
    definition::{echo, gate, shell, workflow},
    fixture::{read_file, write_file},
    model::{Model, Turn},
    program, wait,
};
use serde_json::{Value, json};

/// A finished run, without its derived view: only the journal can answer.
struct Recorded {
    fixture: Fixture,
    view: Value,
    id: String,
    journal: String,
}

impl Recorded {
    #[track_caller]
    fn new() -> Self {
        let fixture = Fixture::new();
        let steps = [echo("a", json!({"v": 1})), shell("b", "echo out"), echo("c", json!({"v": "b.stdout"}))];
        let view = fixture.run(&workflow(&steps)).exits(0).json();
        let id = view["run_id"].as_str().expect("an id is text").to_owned();
        let run = fixture.run_dir(&id);
        let journal = read_file(&run.join("journal.jsonl"));
        fs::remove_file(run.join("state.json")).expect("it is there");
        Self { fixture, view, id, journal }
    }

    fn lines(&self) -> Vec<&str> {
        self.journal.split_inclusive('\n').collect()
    }

    /// `status --json` with this text as the journal.
    #[track_caller]
    fn status(&self, journal: &[u8]) -> Finished {
        let path = self.fixture.run_dir(&self.id).join("journal.jsonl");
        write_file(&path, journal);
        let status = self.fixture.workflow(["status", &self.id, "--json"]);
        assert_eq!(fs::read(&path).ok().as_deref(), Some(journal), "readers never write");
        status
    }

    /// The journal is refused at this line.
    #[track_caller]
    fn assert_bad(&self, lines: &[&str], number: usize) {
        self.status(lines.concat().as_bytes()).exits(9).says(&[&format!("journal.jsonl:{number}")]);
    }
}

#[test]
fn whole_journal_gives_the_whole_view() {
    let recorded = Recorded::new();
    assert_eq!(recorded.status(recorded.journal.as_bytes()).exits(0).json(), recorded.view);
}

#[test]
fn every_crash_point_has_an_answer() {
    let recorded = Recorded::new();
    let lines = recorded.lines();
    let mut completed_before = 0;
    for count in 1..=lines.len() {
        let prefix = lines[..count].concat();
        let view = recorded.status(prefix.as_bytes()).exits(0).json();
        let status = view["status"].as_str().expect("a status is a word").to_owned();
        assert!(["interrupted", "completed"].contains(&status.as_str()), "after {count} lines: {status}");
        let steps = view["steps"].as_array().expect("a view has steps");
        let completed = steps.iter().filter(|step| step["status"] == "completed").count();
        assert!(completed >= completed_before, "after {count} lines: {view:#}");
        assert!(status == "interrupted" || completed == 3, "after {count} lines: {view:#}");
        completed_before = completed;

        // The same journal with the next line half written, and with padding.
        if let Some(next) = lines.get(count) {
            let torn = format!("{prefix}{}", &next[..next.len() / 2]);
            assert_eq!(recorded.status(torn.as_bytes()).exits(0).json(), view, "torn after {count} lines");
        }
        let padded = [prefix.as_bytes(), &[0; 4096]].concat();
        assert_eq!(recorded.status(&padded).exits(0).json(), view, "padded after {count} lines");
    }
    assert_eq!(completed_before, 3);
}

#[test]
fn last_line_without_its_line_feed_is_torn() {
    let recorded = Recorded::new();
    let cut = recorded.journal.trim_end_matches('\n');
    assert_eq!(recorded.status(cut.as_bytes()).exits(0).json()["status"], "interrupted");
}

#[test]
fn changed_line_is_named() {
    let recorded = Recorded::new();
    let lines = recorded.lines();
    for number in 1..lines.len() {
        // A digit of the time of day: the line stays JSON.
        let (head, tail) = lines[number].split_once("\"ts\":\"2").expect("a line has a time");
        let changed = format!("{head}\"ts\":\"3{tail}");
        let mut all = lines.clone();
        all[number] = &changed;
        recorded.assert_bad(&all, number + 1);
    }
}

#[test]
fn lost_doubled_moved_and_foreign_lines_are_named() {
    let recorded = Recorded::new();
    let lines = recorded.lines();
    assert!(lines.len() >= 4, "{lines:#?}");
    let lost = [&lines[..1], &lines[2..]].concat();
    recorded.assert_bad(&lost, 2);
    let doubled = [&lines[..2], &lines[1..]].concat();
    recorded.assert_bad(&doubled, 3);
    let mut moved = lines.clone();
    moved.swap(1, 2);
    recorded.assert_bad(&moved, 2);
    let foreign = [&lines[..2], &["{\"type\":\"run_resumed\"}\n"], &lines[2..]].concat();
    recorded.assert_bad(&foreign, 3);
    let garbage = [&lines[..2], &["garbage\n"], &lines[2..]].concat();
    recorded.assert_bad(&garbage, 3);

    let other = Recorded::new();
    let mixed = [&lines[..1], &other.lines()[1..]].concat();
    recorded.assert_bad(&mixed, 2);
}

#[test]
fn damaged_journal_is_cut_on_order() {
    let recorded = Recorded::new();
    let (fixture, id, lines) = (&recorded.fixture, &recorded.id, recorded.lines());
    let good = lines[..3].concat();
    let damaged = format!("{good}garbage\n{}", lines[3..].concat());
    let command = format!("doctor --run {id} --truncate-at 4");
    recorded.status(damaged.as_bytes()).exits(9).says(&["journal.jsonl:4", &command]);

    let cut = |line: &str| fixture.workflow(["doctor", "--run", id, "--truncate-at", line]);
    cut("5").exits(9).says(&["journal.jsonl:4"]);
    let lost = format!("lost: {} lines", lines.len() - 2);
    cut("4").exits(0).says(&["cut before line 4", &lost, "journal.cut-4", "the run is interrupted"]);
    let run = fixture.run_dir(id);
    assert_eq!(read_file(&run.join("journal.jsonl")), good);
    assert_eq!(read_file(&run.join("journal.cut-4")), damaged[good.len()..]);
    cut("4").exits(0).says(&["nothing is lost", "the run is interrupted"]);

    let listed = fixture.workflow(["list", "--runs", "--json"]).exits(0).json();
    assert_eq!(listed["runs"][0]["status"], "interrupted");
    fixture.workflow(["stop", id]).exits(0);
    assert_eq!(fixture.view(id)["status"], "cancelled");
}

#[test]
fn journal_of_a_living_run_is_not_cut() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    let id = fixture.only_run();
    fixture.workflow(["doctor", "--run", &id, "--truncate-at", "2"]).exits(9).says(&["another q owns it"]);
    fixture.write("a.go", "");
    running.finish().exits(0);
}

#[test]
fn cuts_that_make_no_sense_are_refused() {
    let recorded = Recorded::new();
    let id = recorded.id.as_str();
    let doctor = |arguments: &[&str]| recorded.fixture.workflow([&["doctor"], arguments].concat());
    doctor(&["--run", id]).exits(2);
    doctor(&["--truncate-at", "4"]).exits(2);
    doctor(&["--run", id, "--truncate-at", "1"]).exits(2);
    doctor(&["--run", id, "--truncate-at", "4", "--json"]).exits(2);
    doctor(&["--run", "nobody", "--truncate-at", "4"]).exits(4);
}

#[test]
fn newer_format_is_left_alone() {
    let recorded = Recorded::new();
    let newer = recorded.journal.replacen("\"format_version\":1", "\"format_version\":2", 1);
    assert_ne!(newer, recorded.journal);
    recorded.status(newer.as_bytes()).exits(9).says(&["newer"]);
}

#[test]
fn broken_run_does_not_hide_the_others() {
    let recorded = Recorded::new();
    recorded.fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    recorded.status(b"garbage\ngarbage\n").exits(9);
    let list = recorded.fixture.workflow(["list", "--json"]).exits(0).json();
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(2), "{list:#}");
}

#[test]
fn run_of_a_dead_engine_is_interrupted() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[echo("first", json!({"v": 1})), gate("a")]));
    fixture.wait_for("a.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);
    fixture.assert_nothing_left();

    let view = fixture.view(&id);
    assert_eq!(view["status"], "interrupted");
    assert_eq!(integration_tests::view::step(&view, "first")["status"], "completed");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 11);
    let list = fixture.workflow(["list", "--json"]).exits(0).json();
    assert_eq!(list["runs"][0]["status"], "interrupted");
    let filtered = fixture.workflow(["list", "--json", "--status", "interrupted"]).exits(0).json();
    assert_eq!(filtered["runs"][0]["run_id"], id);
    // Never written.
    let run = fixture.run_dir(&id);
    for file in ["journal.jsonl", "state.json"] {
        let text = String::from_utf8_lossy(&fs::read(run.join(file)).unwrap_or_default()).into_owned();
        assert!(!text.contains("interrupted"), "{file}: {text}");
    }
}

#[test]
fn engine_killed_anywhere_leaves_an_answer() {
    let fixture = Fixture::new();
    let steps: Vec<_> = (0..8).map(|number| echo(&format!("s{number}"), json!({"v": number}))).collect();
    fixture.define(&workflow(&steps));
    for lines in 0..10 {
        let before = fixture.run_ids();
        let mut running = fixture.spawn(["run", "workflow.json"]);
        // The instant is that at which the journal has so many lines, or as near as a look can be.
        wait::eventually("the journal grows", Duration::from_secs(20), || {
            let new = fixture.run_ids().into_iter().find(|id| !before.contains(id));
            let journal =
                new.map(|id| fs::read(fixture.run_dir(&id).join("journal.jsonl")).unwrap_or_default());
            let count = journal.map(|journal| String::from_utf8_lossy(&journal).matches('\n').count());
            count >= Some(lines) || running.has_ended()
        });
        fixture.kill_engine_or_meet_its_end(running, 0);
        fixture.assert_nothing_left();
        for id in fixture.run_ids() {
            let status = fixture.workflow(["status", &id, "--json"]);
            // Before its first line is durable a run does not exist.
            if status.code != 4 {
                let status = status.exits(0).json()["status"].clone();
                assert!(["interrupted", "completed"].map(Value::from).contains(&status), "{status}");
            }
        }
    }
    fixture.workflow(["run", "workflow.json"]).exits(0);
}

#[test]
fn running_run_has_the_exit_code_ten() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    assert_eq!(fixture.workflow(["status", "@last", "--exit-code"]).code, 10);
    fixture.workflow(["status", "@last"]).exits(0);
    fixture.write("a.go", "");
    running.finish().exits(0);
}

#[test]
fn home_that_cannot_be_made_is_an_engine_error() {
    let fixture = Fixture::new();
    fixture.write("file", "");
    fixture.define(&workflow(&[shell("a", "touch started")]));
    let home = fixture.work().join("file/home").to_string_lossy().into_owned();
    fixture.workflow(["run", "workflow.json", "--home", &home]).exits(9).says(&["file/home"]);
    assert!(!fixture.has("started"));
}

/// Runs a script in a mount namespace of its own, with a tmpfs of these options as the home; `$q` is `q workflow`, `$home`
/// the home. `None` where that cannot be had.
fn on_tmpfs(fixture: &Fixture, options: &str, script: &str) -> Option<integration_tests::Running> {
    fs::create_dir_all(fixture.home()).expect("the directory is ours");
    let unshare = |script: &str| {
        let mut command = fixture.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        command.arg(program::q()).arg(fixture.home());
        command
    };
    let probe = unshare("mount -t tmpfs none \"$1\"").status();
    if !probe.is_ok_and(|status| status.success()) {
        wait::skip("no own mount namespace here: homes on a full or read-only file system are not tried");
        return None;
    }
    let begin = format!("q=\"$0 workflow\"; home=\"$1\"; mount -t tmpfs -o {options} none \"$home\"");
    Some(fixture.start(unshare(&format!("{begin} && {script}"))))
}

/// Runs `q workflow run workflow.json --json` with such a home.
fn run_on_tmpfs(fixture: &Fixture, options: &str) -> Option<integration_tests::Running> {
    on_tmpfs(fixture, options, "exec $q run workflow.json --json")
}

#[test]
fn read_only_home_is_an_engine_error() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[shell("a", "touch started")]));
    let Some(running) = run_on_tmpfs(&fixture, "ro,size=1m") else { return };
    let run = running.finish().exits(9);
    assert!(run.stderr.to_lowercase().contains("read-only"), "{}", run.stderr);
    assert!(!fixture.has("started"));
}

#[test]
fn home_without_room_is_an_engine_error() {
    let fixture = Fixture::new();
    fixture.define(&workflow(&[shell("a", "touch started")]));
    let Some(running) = run_on_tmpfs(&fixture, "size=4k,nr_inodes=6") else { return };
    let run = running.finish().exits(9);
    assert!(run.stderr.to_lowercase().contains("no space"), "{}", run.stderr);
    assert!(!fixture.has("started"));
}

#[test]
fn home_that_fills_up_leaves_the_run_interrupted() {
    let fixture = Fixture::new();
    // The second step's output does not fit any more.
    let steps =
        [gate("a"), shell("b", "head -c 200000 /dev/zero | tr '\\0' x"), echo("c", json!({"v": "b.stdout"}))];
    fixture.define(&workflow(&steps));
    let Some(running) = run_on_tmpfs(&fixture, "size=8m") else { return };
    fixture.wait_for("a.started");
    // The home of that mount namespace, as its processes see it.
    let home = Path::new("/proc").join(running.pid().to_string()).join("root");
    let home = home.join(fixture.home().strip_prefix("/").expect("it is absolute"));
    let mut filler = fs::File::create(home.join("filler")).expect("the home is reachable");
    let full = std::io::copy(&mut std::io::repeat(b'x'), &mut filler).expect_err("it fills up");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    fixture.write("a.go", "");
    let run = running.finish_within(Duration::from_secs(20)).exits(9);
    assert!(run.stderr.to_lowercase().contains("no space"), "{}", run.stderr);
}

#[test]
fn agents_of_a_run_that_goes_on_are_those_with_which_it_was_created() {
    let fixture = Fixture::new();
    let model = Model::start(vec![Turn::Call("finish", json!({"result": {"done": true}}))]);
    let agent = |prompt: &str| json!({"model": "scripted", "base_url": model.url(), "provider": "openai", "prompt": prompt});
    fixture.write("agents/helper.json", agent("file://helper.md").to_string());
    fixture.write("agents/helper.md", "You are the first helper.");
    fixture.write("mine.md", "You are my own.");
    let ask = |id: &str, agent: &str| json!({"id": id, "type": "agent", "agent": agent, "prompt": "go"});
    let definition = json!({"name": "t", "version": "1.0.0", "agents": {"mine": agent("file://mine.md")},
        "steps": [gate("a"), ask("b", "helper"), ask("c", "mine")]});
    let running = fixture.spawn_run(&definition);
    fixture.wait_for("a.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);

    // Whatever becomes of the files.
    fixture.write("agents/helper.json", json!({"base_url": "http://127.0.0.1:1"}).to_string());
    fixture.write("agents/helper.md", "You are another helper.");
    fs::remove_file(fixture.work().join("mine.md")).expect("it is there");
    fixture.write("a.go", "");
    fixture.workflow(["resume", &id]).exits(0);
    let asked: Vec<_> = model.asked().iter().map(|asked| asked.body.to_string()).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("You are the first helper."), "{}", asked[0]);
    assert!(asked[1].contains("You are my own."), "{}", asked[1]);
}

#[test]
fn agent_without_its_frozen_copy_starts_nothing() {
    let fixture = Fixture::new();
    fixture.write("agents/helper.json", json!({"base_url": "http://127.0.0.1:1"}).to_string());
    let ask = json!({"id": "b", "type": "agent", "agent": "helper", "prompt": "go"});
    let running = fixture.spawn_run(&workflow(&[gate("a"), ask]));
    fixture.wait_for("a.started");
    let id = fixture.only_run();
    fixture.kill_engine(running);
    fs::remove_dir_all(fixture.run_dir(&id).join("agents")).expect("it is there");
    fixture.write("a.go", "");
    let view = fixture.workflow(["resume", &id, "--json"]).exits(1).json();
    let message = view["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("agents/helper.json"), "{message}");
}

#[test]
fn home_with_room_again_goes_on() {
    let fixture = Fixture::new();
    let big = shell("b", "echo b >> ledger; head -c 200000 /dev/zero | tr '\\0' x");
    fixture.define(&workflow(&[shell("a", "echo a >> ledger"), big, echo("c", json!({"v": "b.stdout"}))]));
    let script = "head -c 4m /dev/zero > $home/filler 2>/dev/null; truncate -s 3900k $home/filler; \
        $q run workflow.json; echo \"it was $?\" >&2; rm $home/filler; exec $q resume @last --json";
    let Some(running) = on_tmpfs(&fixture, "size=4m", script) else { return };
    let resumed = running.finish().exits(0).says(&["it was 9", "No space", "resume"]);
    assert_eq!(resumed.json()["status"], "completed");
    let ledger = fixture.read("ledger");
    assert_eq!(ledger.matches('a').count(), 1, "{ledger}");
}

#[test]
fn read_only_home_can_be_read_and_says_so_where_it_cannot_be_gone_on_with() {
    let fixture = Fixture::new();
    let running = fixture.spawn_run(&workflow(&[gate("a")]));
    fixture.wait_for("a.started");
    fixture.kill_engine(running);
    fixture.write("a.go", "");
    fs::remove_file(fixture.home().join("index.jsonl")).expect("it is there");
    let script = "mount --bind $real $home && mount -o remount,bind,ro $home && \
        $q list --runs && $q status @last && ! $q resume @last && mount -o remount,bind,rw $home && exec $q resume @last";
    let real = format!("real={} && {script}", fixture.home().display());
    let script = real.replace("mount --bind $real $home", "umount $home && mount --bind $real $home");
    let Some(running) = on_tmpfs(&fixture, "size=64k", &script) else { return };
    running.finish().exits(0).says(&["interrupted", "Read-only", "--home"]);
    assert_eq!(fixture.view("@last")["status"], "completed");
}

#[test]
fn run_that_may_open_too_few_files_is_left_interrupted() {
    let fixture = Fixture::new();
    let steps: Vec<_> = (0..12).map(|number| shell(&format!("s{number}"), "sleep 0.1; echo out")).collect();
    fixture.define(&workflow(&[json!({"id": "p", "type": "parallel", "steps": steps})]));
    let mut command = fixture.command("sh");
    command.args(["-c", "ulimit -n 32; exec \"$0\" workflow run workflow.json"]).arg(program::q());
    fixture.start(command).finish().exits(9).says(&["Too many open files", "ulimit -n", "resume"]);
    fixture.assert_nothing_left();
    let view = fixture.workflow(["resume", "@last", "--json"]).exits(0).json();
    assert_eq!(view["status"], "completed");
}
