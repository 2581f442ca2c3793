//! Many q processes at one home: slots, the line of those that wait, priorities, deaths in the line, and what all
//! may use together.

use std::{cmp::Reverse, collections::BTreeMap, fs, io::Write as _, time::Duration};

use integration_tests::{
    Draw, Fixture, Running,
    definition::{echo, gate, shell, with, workflow},
    fixture::write_file,
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A world with this `config.json`.
#[track_caller]
fn configured(config: &Value) -> Fixture {
    let fixture = Fixture::new();
    write_file(&fixture.home().join("config.json"), config.to_string().as_bytes());
    fixture
}

/// Starts a run that holds its slot until `<name>.go` is there; when it does, its id.
#[track_caller]
fn hold(fixture: &Fixture, name: &str) -> (Running, String) {
    let (running, id) = queue(fixture, name, &gate(name), &[]);
    fixture.wait_for(&format!("{name}.started"));
    (running, id)
}

/// Starts a run of one step, and waits until it exists: then it holds a slot or stands in the line.
#[track_caller]
fn queue(fixture: &Fixture, name: &str, step: &Value, options: &[&str]) -> (Running, String) {
    let before = fixture.run_ids();
    let file = format!("{name}.json");
    fixture.write(&file, workflow(std::slice::from_ref(step)).to_string());
    let running = fixture.spawn([&["run", &file, "--json"], options].concat());
    let mut new = Vec::new();
    wait::eventually("the run exists", Duration::from_secs(30), || {
        new = fixture.run_ids().into_iter().filter(|id| !before.contains(id)).collect();
        new.iter().any(|id| fixture.run_dir(id).join("control").exists())
    });
    (running, new.remove(0))
}

/// A step that writes its name into `order`.
fn writes(name: &str) -> Value {
    shell(name, &format!("echo {name} >> order"))
}

#[test]
fn run_without_a_slot_is_queued_and_goes_on_when_one_is_free() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let (second, id) = queue(&fixture, "second", &echo("a", json!({"v": 1})), &[]);
    let view = fixture.view(&id);
    assert_eq!((&view["status"], &view["started_at"]), (&json!("queued"), &Value::Null), "{view:#}");
    assert!(fs::metadata(fixture.run_dir(&id).join("journal.jsonl")).is_ok_and(|file| file.len() > 0));
    let list = fixture.workflow(["list", "--json", "--status", "queued"]).exits(0).json();
    assert_eq!(list["runs"][0]["run_id"], json!(id), "{list:#}");
    assert_eq!(fixture.workflow(["status", &id, "--exit-code"]).code, 10);
    fixture.write("first.go", "");
    first.finish().exits(0);
    assert_eq!(second.finish().exits(0).json()["status"], "completed");
}

#[test]
fn line_is_kept_by_priority_and_then_by_arrival() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let mut others = Vec::new();
    for (name, options) in
        [("b", &[][..]), ("c", &[]), ("low", &["--priority", "-1"]), ("urgent", &["--priority", "5"])]
    {
        others.push(queue(&fixture, name, &writes(name), options).0);
    }
    fixture.write("first.go", "");
    first.finish().exits(0);
    for other in others {
        other.finish().exits(0);
    }
    assert_eq!(fixture.read("order"), "urgent\nb\nc\nlow\n");
}

#[test]
fn deaths_in_the_line_and_in_a_slot_block_nobody() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, first_id) = hold(&fixture, "first");
    let (second, second_id) = queue(&fixture, "second", &writes("second"), &[]);
    let (third, _) = queue(&fixture, "third", &writes("third"), &[]);
    fixture.kill_engine(second);
    assert_eq!(fixture.view(&second_id)["status"], "interrupted");
    fixture.kill_engine(first);
    third.finish().exits(0);
    assert_eq!(fixture.read("order"), "third\n");
    assert_eq!(fixture.view(&first_id)["status"], "interrupted");
    assert_eq!(fs::read_dir(fixture.home().join("queue/line")).expect("it is there").count(), 0);
    assert_eq!(fs::read_dir(fixture.home().join("queue/running")).expect("it is there").count(), 0);
}

#[test]
fn queued_run_can_be_stopped() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    let (second, id) = queue(&fixture, "second", &writes("second"), &[]);
    let (third, _) = queue(&fixture, "third", &writes("third"), &[]);
    fixture.workflow(["stop", &id]).exits(0).says(&["cancelled"]);
    let view = second.finish().exits(8).json();
    assert_eq!((&view["status"], &view["started_at"]), (&json!("cancelled"), &Value::Null));
    fixture.write("first.go", "");
    first.finish().exits(0);
    third.finish().exits(0);
    assert_eq!(fixture.read("order"), "third\n");
}

#[test]
fn detached_run_returns_while_it_is_queued() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    fixture.define(&workflow(&[writes("second")]));
    let id = fixture.workflow(["run", "workflow.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&id)["status"], "queued");
    fixture.write("first.go", "");
    first.finish().exits(0);
    wait::eventually("it has ended", Duration::from_secs(30), || {
        fixture.workflow(["status", &id, "--exit-code"]).code == 0
    });
    assert_eq!(fixture.read("order"), "second\n");
}

#[test]
fn events_tell_of_the_line() {
    let fixture = configured(&json!({"max_concurrent_runs": 1}));
    let (first, _) = hold(&fixture, "first");
    fixture.write("second.json", workflow(&[writes("second")]).to_string());
    let second = fixture.spawn(["run", "second.json", "--events"]);
    wait::eventually("it is queued", Duration::from_secs(30), || second.stdout().contains("run.queued"));
    fixture.write("first.go", "");
    first.finish().exits(0);
    let events = second.finish().exits(0).stdout;
    let lines = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let (numbers, types): (Vec<_>, Vec<_>) =
        lines.map(|event| (event["seq"].as_u64(), event["type"].clone())).unzip();
    assert_eq!(types[..3], ["run.created", "run.queued", "run.started"]);
    assert_eq!(numbers, (1..=numbers.len() as u64).map(Some).collect::<Vec<_>>());
}

#[test]
fn wrong_configuration_is_refused_and_named() {
    let fixture = configured(&json!({"max_concurrent_runs": "many"}));
    fixture.define(&workflow(&[writes("a")]));
    fixture.workflow(["run", "workflow.json"]).exits(3).says(&["config.json", "max_concurrent_runs"]);
    assert!(fixture.run_ids().is_empty());
}

#[test]
fn memory_of_all_runs_together_is_bounded() {
    let fixture = configured(&json!({"resources": {"memory": "1GiB"}}));
    let limited =
        |step: Value, memory: &str| with(workflow(&[step]), json!({"resource_limits": {"memory": memory}}));
    fixture.write("large.json", limited(writes("large"), "2GiB").to_string());
    fixture.workflow(["run", "large.json"]).exits(1).says(&["can never start", "resources"]);
    assert!(fixture.run_ids().is_empty());

    fixture.write("first.json", limited(gate("first"), "700MiB").to_string());
    let first = fixture.spawn(["run", "first.json"]);
    fixture.wait_for("first.started");
    fixture.write("second.json", limited(writes("second"), "400MiB").to_string());
    let id = fixture.workflow(["run", "second.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&id)["status"], "queued");
    fixture.write("small.json", limited(writes("small"), "100MiB").to_string());
    // It would fit, but nobody overtakes.
    let small = fixture.workflow(["run", "small.json", "--detach"]).exits(0).stdout.trim().to_owned();
    assert_eq!(fixture.view(&small)["status"], "queued");
    fixture.write("first.go", "");
    first.finish().exits(0);
    wait::eventually("both have ended", Duration::from_secs(30), || {
        [&id, &small].iter().all(|id| fixture.workflow(["status", id, "--exit-code"]).code == 0)
    });
}

#[test]
fn never_more_run_than_there_are_slots() {
    let fixture = configured(&json!({"max_concurrent_runs": 3}));
    let step = shell(
        "a",
        "touch in.$WORKFLOW_RUN_ID; ls | grep -c '^in[.]' >> counts; sleep 0.05; rm in.$WORKFLOW_RUN_ID",
    );
    fixture.define(&workflow(&[step]));
    let running: Vec<_> = (0..14).map(|_| fixture.spawn(["run", "workflow.json"])).collect();
    for run in running {
        run.finish().exits(0);
    }
    let counts: Vec<u32> =
        fixture.read("counts").lines().map(|line| line.parse().expect("it is a number")).collect();
    assert_eq!(counts.len(), 14);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
}

/// A run of [`World`].
struct Member {
    name: String,
    id: String,
    priority: i64,
    /// Its number in the line.
    number: u64,
    engine: Running,
}

/// Many engines at one home, and a model of which of them should run. Each has one step, which writes into `ledger`
/// when it starts and when it ends, and ends when it is let.
struct World {
    fixture: Fixture,
    draw: Draw,
    waiting: Vec<Member>,
    running: Vec<Member>,
    /// The names of those that started, as the model has it.
    started: Vec<String>,
    /// What is to become of each run, by id.
    ends: BTreeMap<String, &'static str>,
}

/// One at a time cannot show that two slots are not three.
const SLOTS: usize = 2;
/// Runs in one world.
const MEMBERS: usize = 18;

impl World {
    fn new(seed: u64) -> Self {
        let fixture = configured(&json!({"max_concurrent_runs": SLOTS}));
        let ends = BTreeMap::new();
        Self {
            fixture,
            draw: Draw(seed),
            waiting: Vec::new(),
            running: Vec::new(),
            started: Vec::new(),
            ends,
        }
    }

    /// So many more engines start at once, and come as they come.
    #[track_caller]
    fn join(&mut self, count: usize) {
        let known = self.fixture.run_ids();
        let mut engines = BTreeMap::new();
        for index in known.len()..known.len() + count {
            let name = format!("m{index}");
            let step = format!(
                "echo start {name} >> ledger; until [ -e {name}.go ]; do sleep 0.01; done; echo end {name} >> ledger"
            );
            let file = format!("{name}.json");
            let definition = with(workflow(&[shell("a", &step)]), json!({"name": name}));
            self.fixture.write(&file, definition.to_string());
            let priority = self.draw.below(3).to_string();
            engines.insert(name, self.fixture.spawn(["run", &file, "--priority", &priority]));
        }
        let mut places = Vec::new();
        wait::eventually("all stand in the line or run", Duration::from_secs(30), || {
            places = self.places();
            // A place is taken before the run is made.
            let exists = |id: &str| self.fixture.run_dir(id).join("control").exists();
            places.retain(|(id, _, _)| !known.contains(id) && exists(id));
            places.len() == count
        });
        for (id, priority, number) in places {
            let definition =
                fs::read(self.fixture.run_dir(&id).join("definition.json")).expect("it is frozen");
            let definition: Value = serde_json::from_slice(&definition).expect("it is JSON");
            let name = definition["name"].as_str().expect("it has a name").to_owned();
            let engine = engines.remove(&name).expect("it is one of these");
            self.waiting.push(Member { name, id, priority, number, engine });
        }
        self.settle();
    }

    /// Id, priority and number of all that have a file in the queue, each once.
    fn places(&self) -> Vec<(String, i64, u64)> {
        let mut places = Vec::new();
        for directory in ["queue/line", "queue/running"] {
            let Ok(entries) = fs::read_dir(self.fixture.home().join(directory)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().into_string().expect("it is text");
                let [number, priority, id] = name.split('_').collect::<Vec<_>>()[..] else {
                    panic!("{name}")
                };
                let number = number.parse().expect("it is a number");
                places.push((id.to_owned(), priority.parse().expect("it is a number"), number));
            }
        }
        places.sort();
        places.dedup();
        places
    }

    /// What the line promises: free slots go to the highest priority, and then to who came first. And so it is.
    #[track_caller]
    fn settle(&mut self) {
        self.waiting.sort_by_key(|member| (Reverse(member.priority), member.number));
        while self.running.len() < SLOTS && !self.waiting.is_empty() {
            let next = self.waiting.remove(0);
            self.started.push(next.name.clone());
            self.running.push(next);
        }
        let mut found = Vec::new();
        let came = wait::holds_within(Duration::from_secs(30), || {
            found = self
                .ledger()
                .into_iter()
                .filter_map(|line| Some(line.strip_prefix("start ")?.to_owned()))
                .collect();
            found.len() >= self.started.len()
        });
        assert!(came && found == self.started, "started: {found:?}, expected: {:?}", self.started);
    }

    fn ledger(&self) -> Vec<String> {
        if !self.fixture.has("ledger") {
            return Vec::new();
        }
        self.fixture.read("ledger").lines().map(str::to_owned).collect()
    }

    /// One of those that run, or one of those that wait.
    fn pick(draw: &mut Draw, from: &mut Vec<Member>) -> Member {
        from.remove(draw.below(from.len()))
    }

    #[track_caller]
    fn kill(&mut self, member: Member) {
        self.ends.insert(member.id, "interrupted");
        self.fixture.kill_engine(member.engine);
    }

    /// The owner of a slot dies.
    #[track_caller]
    fn kill_owner(&mut self) {
        let owner = Self::pick(&mut self.draw, &mut self.running);
        let ledger = fs::OpenOptions::new().append(true).open(self.fixture.work().join("ledger"));
        let written = ledger.and_then(|mut ledger| writeln!(ledger, "killed {}", owner.name));
        written.expect("the ledger takes a line");
        self.kill(owner);
    }

    /// Somebody who has a slot is let go.
    #[track_caller]
    fn end_one(&mut self) {
        let member = Self::pick(&mut self.draw, &mut self.running);
        self.fixture.write(format!("{}.go", member.name), "");
        member.engine.finish().exits(0);
        self.ends.insert(member.id, "completed");
    }

    #[track_caller]
    fn stop_one_that_waits(&mut self) {
        let member = Self::pick(&mut self.draw, &mut self.waiting);
        self.fixture.workflow(["stop", &member.id]).exits(0);
        member.engine.finish().exits(8);
        self.ends.insert(member.id, "cancelled");
    }

    /// Something happens.
    #[track_caller]
    fn act(&mut self) {
        match self.draw.below(6) {
            0 if !self.waiting.is_empty() => self.stop_one_that_waits(),
            1 if !self.waiting.is_empty() => {
                let member = Self::pick(&mut self.draw, &mut self.waiting);
                self.kill(member);
            }
            // The first in the line dies, and at once the one for whom it waits.
            2 if !self.waiting.is_empty() => {
                let first = self.waiting.remove(0);
                first.engine.signal(Signal::SIGKILL);
                self.kill_owner();
                self.kill(first);
            }
            3 => self.kill_owner(),
            4 if self.fixture.run_ids().len() < MEMBERS => return self.join(1),
            _ => self.end_one(),
        }
        self.settle();
    }
}

/// Never more of them at once than there are slots.
#[track_caller]
fn check_ledger(ledger: &[String]) {
    let mut inside = 0;
    for line in ledger {
        inside = if line.starts_with("start ") { inside + 1 } else { inside - 1 };
        assert!((0..=SLOTS).contains(&inside), "{line}: {ledger:#?}");
    }
    assert_eq!(inside, 0, "{ledger:#?}");
}

/// Engines that come, end, are stopped and are killed in this order, until all have gone.
#[track_caller]
fn check_line(seed: u64) {
    let mut world = World::new(seed);
    world.join(1);
    world.join(1);
    world.join(10);
    while !world.running.is_empty() {
        world.act();
    }
    assert!(world.waiting.is_empty());
    check_ledger(&world.ledger());
    // Who comes next takes away what the last dead ones left.
    world.fixture.run(&workflow(&[echo("a", json!({}))])).exits(0);
    assert_eq!(world.places(), []);
    let list = world.fixture.workflow(["list", "--json", "--limit", "100"]).exits(0).json();
    for run in list["runs"].as_array().expect("it is a list") {
        let id = run["run_id"].as_str().expect("an id is text");
        assert_eq!(run["status"], world.ends.remove(id).unwrap_or("completed"), "{run:#}");
    }
    assert!(world.ends.is_empty(), "{:?}", world.ends);
}

#[test]
fn line_is_as_its_model_whatever_happens() {
    for seed in [1, 2] {
        check_line(seed);
    }
}
