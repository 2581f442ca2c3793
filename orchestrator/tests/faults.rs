//! Every write point of a run and of a resume fails, in each way in which its call can fail. Which points there are is
//! counted, not listed: the seam below the store (`store::disk`) tells of each. Whole runs with real processes, in this
//! process; it is its own launcher, so that it has no test harness around it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the message")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::ExitCode,
    rc::Rc,
    sync::{Arc, Mutex},
};

use libtest_mimic::{Arguments, Trial};
use orchestrator::{
    catalog, config, definition,
    dispatcher::Watcher,
    errors::CommandError,
    fold, inputs, owner,
    owner::{Driving, Ended, Order},
    secrets::Secrets,
    store::{
        disk,
        home::{Home, RunDir},
        index::{Entry, Filter, Index},
        journal::{Reader, Record},
        names::RunId,
        run::Frozen,
    },
};
use schemas::{
    events::{EventType, RunEvent},
    exit_code::ExitCode as Exit,
    journal::{FORMAT_VERSION, RunCreated},
    view::{RunStatus, RunView},
};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == orchestrator::launcher::ARGUMENT) {
        return worker::launcher::main();
    }
    disk::intercept(Box::new(|act, path| PLAN.lock().unwrap().ask(act, path)));
    let mut arguments = Arguments::from_args();
    // What fails next is said in one place for the whole process.
    arguments.test_threads = Some(1);
    let trial = |name: String, test: Box<dyn FnOnce() + Send>| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let of_a_run = WAYS.map(|way| {
        trial(format!("each_write_of_a_run_fails_{}", way.name), Box::new(move || each_of_a_run(&way)))
    });
    let of_a_resume = trial("each_write_of_a_resume_fails".to_owned(), Box::new(each_of_a_resume));
    let trials = of_a_run.into_iter().chain([of_a_resume]).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A way to fail: for the first time that a point comes; and for the last, of one that comes more than once.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    first: i32,
    last: Option<i32>,
}

const WAYS: [Way; 5] = [
    Way { name: "for_want_of_room", first: libc::ENOSPC, last: Some(libc::EDQUOT) },
    Way { name: "with_the_device", first: libc::EIO, last: Some(libc::EIO) },
    Way { name: "since_nothing_may_be_written", first: libc::EROFS, last: None },
    Way { name: "since_it_is_not_ours", first: libc::EACCES, last: None },
    Way { name: "for_want_of_descriptors", first: libc::EMFILE, last: Some(libc::ENFILE) },
];

/// Whether the system call of a point can fail so: open(2), write(2), fsync(2), rename(2), unlink(2), fcntl_locking(2).
#[track_caller]
fn can_fail(point: &str, errno: i32) -> bool {
    let (act, _path) = point.rsplit_once(' ').unwrap();
    let opens = ["open for writing", "sync directory"].contains(&act);
    let takes_room = ["write", "sync", "cut", "allocate room for"].contains(&act);
    let names = ["create directory", "make fifo", "rename", "link"].contains(&act);
    let takes_nothing = ["remove", "set mode of"].contains(&act);
    assert!(
        opens || takes_room || names || takes_nothing || act == "lock",
        "nobody has said how `{act}` fails"
    );
    match errno {
        libc::EIO => true,
        libc::ENOSPC | libc::EDQUOT => opens || takes_room || names,
        libc::EROFS => act != "lock",
        libc::EACCES => opens || names || takes_nothing,
        libc::EMFILE | libc::ENFILE => opens,
        other => panic!("nobody has said where {other} comes"),
    }
}

/// What the seam is to do.
struct Plan {
    /// How often each point was asked about so far.
    asked: BTreeMap<String, usize>,
    /// The point that fails, which time, and how.
    failing: Option<(String, usize, i32)>,
}

static PLAN: Mutex<Plan> = Mutex::new(Plan { asked: BTreeMap::new(), failing: None });

impl Plan {
    fn ask(&mut self, act: &str, path: &Path) -> io::Result<()> {
        let point = format!("{act} {}", below_home(path));
        let times = self.asked.entry(point.clone()).or_default();
        *times += 1;
        match &self.failing {
            Some((failing, time, errno)) if *failing == point && time == times => {
                Err(io::Error::from_raw_os_error(*errno))
            }
            _ => Ok(()),
        }
    }
}

/// The path without what differs from run to run: the home, ids of runs, numbers.
fn below_home(path: &Path) -> String {
    let text = path.to_string_lossy();
    let below = text.split_once("/home").map_or(&*text, |(_, below)| below);
    let name = |part: &str| {
        if part.len() >= 36 { "ID".to_owned() } else { part.replace(|c: char| c.is_ascii_digit(), "") }
    };
    below.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// Counts from here on, and lets one point fail.
fn fail_at(failing: Option<(String, usize, i32)>) {
    *PLAN.lock().unwrap() = Plan { asked: BTreeMap::new(), failing };
}

/// The points since then, and how often each was asked about. Whether it failed, too.
fn asked() -> BTreeMap<String, usize> {
    std::mem::take(&mut PLAN.lock().unwrap().asked)
}

const WORKFLOW: &str = r#"{
    "name": "faults", "version": "1.0.0",
    "steps": [
        {"id": "a", "type": "skill", "skill": "shell", "inputs": {"command": "echo a >> effects; echo out; echo err >&2"}},
        {"id": "big", "type": "skill", "skill": "shell",
         "inputs": {"command": "echo big >> effects; head -c 1100000 /dev/zero | tr '\\0' x"}},
        {"id": "own", "type": "skill", "skill": "own", "inputs": {}},
        {"id": "called", "type": "workflow", "workflow": "./child.json"}
    ],
    "outputs": {"a": "a.stdout", "big": "${size(big.stdout)}", "own": "own.v", "called": "called.v"}
}"#;

const CHILD: &str = r#"{
    "name": "child", "version": "1.0.0",
    "steps": [{"id": "x", "type": "skill", "skill": "shell", "inputs": {"command": "echo x >> effects; echo 7"}}],
    "outputs": {"v": "x.stdout"}
}"#;

const MANIFEST: &str = r#"{
    "name": "own", "version": "1.0.0", "description": "d", "command": ["./own.sh"],
    "inputs": {"type": "object"}, "outputs": {"type": "object"}
}"#;

/// So small that the log of a run is rotated.
const CONFIG: &str = r#"{"logs": {"max_size": "1KiB", "files": 2}}"#;

/// A folder with a definition, and a home that is not there yet.
struct World {
    folder: tempfile::TempDir,
    home: Home,
}

/// Nobody looks, but for what was not kept.
#[derive(Default)]
struct Watching {
    warnings: Vec<String>,
}

impl Watcher for Watching {
    fn event(&mut self, event: &RunEvent) {
        if event.kind == EventType::StepLog {
            self.warnings.extend(event.text.clone());
        }
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str, mode: u32| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        write("workflow.json", WORKFLOW, 0o644);
        write("child.json", CHILD, 0o644);
        write("skills/own/skill.json", MANIFEST, 0o644);
        write("skills/own/own.sh", "#!/bin/sh\necho own >> effects\necho '{\"v\":1}'\n", 0o755);
        write("home/config.json", CONFIG, 0o600);
        let home = Home::at(folder.path().join("home"));
        Self { folder, home }
    }

    fn driving(&self) -> Driving {
        Driving { config: config::read(&self.home).unwrap(), ..Driving::default() }
    }

    /// As `run` does it.
    fn run(&self, id: RunId, watching: &mut Watching) -> Result<Ended, CommandError> {
        let path = self.folder.path().join("workflow.json");
        let source = definition::read(&path.to_string_lossy(), &self.home)?;
        let checked = definition::check_source(&source, &self.home, None);
        let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
        let created = RunCreated {
            format_version: FORMAT_VERSION,
            q: "test".to_owned(),
            run_id: id.to_string(),
            workflow: plan.name.clone(),
            version: plan.version.clone(),
            trigger: "manual".to_owned(),
            scheduled_at: None,
            base: self.folder.path().to_string_lossy().into_owned(),
            source: path.to_string_lossy().into_owned(),
            inputs: BTreeMap::new(),
            context: BTreeMap::new(),
            timeout_ms: None,
            max_concurrent_steps: None,
            skills: checked.skills,
            called: checked.called.called(),
        };
        let frozen = Frozen {
            definition: source.text,
            skills: catalog::texts(&created.skills).unwrap(),
            called: checked.called.frozen().unwrap(),
            ..Frozen::default()
        };
        let secrets = Rc::new(Secrets::default());
        let order = Order { plan: Arc::new(plan), created, secrets, driving: self.driving() };
        let created = owner::create(&self.home, &order, &frozen)?;
        owner::drive(&self.home, created, &order, watching)
    }

    /// As `resume` does it.
    fn resume(&self, id: RunId, watching: &mut Watching) -> Result<Ended, CommandError> {
        let given = inputs::Given::default();
        let (order, created) = owner::resume(&self.home, &self.home.run(id), &given, self.driving())?;
        owner::drive(&self.home, created, &order, watching)
    }

    /// The runs that `list` shows.
    fn listed(&self) -> Vec<Entry> {
        let correct = |entry: &mut Entry| {
            fold::correct(&self.home, entry);
            true
        };
        let fold = |dir: &RunDir| fold::current_view(dir).ok();
        Index::new(&self.home).list(usize::MAX, &Filter::default(), correct, fold).unwrap()
    }

    #[track_caller]
    fn assert_listed(&self, id: RunId, place: &str) {
        let listed: Vec<_> = self.listed().into_iter().map(|entry| (entry.run_id, entry.status)).collect();
        assert_eq!(listed, [(id, RunStatus::Completed)], "{place}");
    }

    /// Nothing that can be read is there by half, and nothing that was to take its place; where removing it failed, it
    /// may be.
    #[track_caller]
    fn assert_whole(&self, failed: &str, place: &str) {
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                let left = entry.file_name().to_string_lossy().ends_with(".tmp");
                assert!(!left || failed.starts_with("remove "), "{place}: {} is left", path.display());
                if kind.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "json") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let read = schemas::json::Json::parse(&text);
                    assert!(read.is_ok(), "{place}: {} is not whole: {text}", path.display());
                }
            }
        }
    }

    fn effects(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("effects")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// What is durable of a run's events.
fn recorded(dir: &RunDir) -> Vec<Record> {
    Reader::open(dir).map(|reader| reader.map(Result::unwrap).collect()).unwrap_or_default()
}

fn completed(view: &RunView) -> BTreeSet<String> {
    let steps = view.steps.iter().filter(|step| step.status.as_str() == "completed");
    steps.map(|step| step.id.clone()).collect()
}

/// The points of a whole run, how often each comes, and the outputs.
fn whole() -> (BTreeMap<String, usize>, String) {
    fail_at(None);
    let whole = World::new().run(RunId::generate(), &mut Watching::default()).unwrap();
    let points = asked();
    assert!(points.len() > 60, "the seam sees the whole run: {points:#?}");
    (points, whole.run.view().outputs.as_str().to_owned())
}

fn each_of_a_run(way: &Way) {
    let (points, expected) = whole();
    for (point, times) in &points {
        if can_fail(point, way.first) {
            fails(point, 1, way.first, &expected);
        }
        if let Some(last) = way.last
            && *times > 1
            && can_fail(point, last)
        {
            fails(point, *times, last, &expected);
        }
    }
}

/// Runs with one write failing.
fn fails(point: &str, time: usize, errno: i32, expected: &str) {
    let why = io::Error::from_raw_os_error(errno).to_string();
    let place = format!("{point}, time {time}: {why}");
    let (world, id) = (World::new(), RunId::generate());
    let mut watching = Watching::default();
    fail_at(Some((point.to_owned(), time, errno)));
    let result = world.run(id, &mut watching);
    let failed = asked().get(point).is_some_and(|times| *times >= time);
    fail_at(None);
    match result {
        Ok(ended) => {
            watching.warnings.extend(ended.unwritten);
            assert!(!failed || is_said(point, &watching.warnings), "{place} {:?}", watching.warnings);
            assert_eq!(ended.run.view().outputs.as_str(), expected, "{place}");
            world.assert_listed(id, &place);
        }
        Err(error) => {
            let exists = !recorded(&world.home.run(id)).is_empty();
            let text = error.render();
            assert!(text.contains(&why), "{place}: {text}");
            assert_eq!(text.contains(&format!("resume {id}")), exists, "{place}: {text}");
            goes_on(&world, id, &error, expected, &place);
        }
    }
    world.assert_whole(point, &place);
}

/// What is only made ahead, as the directories of attempts are, or cleared away, has another way and needs no words.
fn is_said(point: &str, warnings: &[String]) -> bool {
    let has_another_way = point.contains("/runs/ID/work/") || point.starts_with("remove /queue");
    has_another_way || !warnings.is_empty()
}

/// After a write that failed and ended the work: nothing durable is lost, and with room again it comes to its end.
fn goes_on(world: &World, id: RunId, error: &CommandError, expected: &str, place: &str) {
    assert_eq!(error.exit, Exit::Engine, "{place}: {}", error.render());
    assert!(error.hint.is_some(), "{place}: {}", error.render());
    let dir = world.home.run(id);
    let before = recorded(&dir);
    if before.is_empty() {
        assert!(world.listed().is_empty() && world.effects().is_empty(), "{place}");
        return;
    }
    let view = fold::current_view(&dir).unwrap();
    assert_eq!(view.status, RunStatus::Interrupted, "{place}");
    let done = completed(&view);
    let resumed = world.resume(id, &mut Watching::default());
    let resumed = resumed.unwrap_or_else(|error| panic!("{place}: {}", error.render()));
    assert_eq!((resumed.exit, resumed.run.view().outputs.as_str()), (Exit::Done, expected), "{place}");
    assert!(recorded(&dir).starts_with(&before), "{place}: what was durable is lost");
    let effects = world.effects();
    for step in done {
        let times = effects.iter().filter(|effect| **effect == step).count();
        assert!(times <= 1, "{place}: {step} had completed and ran again");
    }
    world.assert_listed(id, place);
}

/// Resumes an interrupted run with one write failing: the first at each point, in one way after the other.
fn each_of_a_resume() {
    let world = World::new();
    let id = RunId::generate();
    fail_at(Some(("write /runs/ID/journal.jsonl".to_owned(), 4, libc::ENOSPC)));
    world.run(id, &mut Watching::default()).unwrap_err();
    let interrupted = tempfile::tempdir().unwrap();
    copy(world.folder.path(), interrupted.path());
    fail_at(None);
    let whole = world.resume(id, &mut Watching::default()).unwrap();
    let expected = whole.run.view().outputs.as_str().to_owned();
    let mut in_turn = WAYS.into_iter().map(|way| way.first).cycle();
    for point in asked().into_keys() {
        let errno = in_turn.by_ref().find(|errno| can_fail(&point, *errno)).unwrap();
        let place = format!("{point}: {}", io::Error::from_raw_os_error(errno));
        std::fs::remove_dir_all(world.folder.path()).unwrap();
        std::fs::create_dir(world.folder.path()).unwrap();
        copy(interrupted.path(), world.folder.path());
        fail_at(Some((point.clone(), 1, errno)));
        let mut watching = Watching::default();
        let result = world.resume(id, &mut watching);
        fail_at(None);
        match result {
            Ok(ended) => {
                watching.warnings.extend(ended.unwritten);
                assert!(is_said(&point, &watching.warnings), "{place}");
                assert_eq!(ended.run.view().outputs.as_str(), expected, "{place}");
            }
            Err(error) => goes_on(&world, id, &error, &expected, &place),
        }
        world.assert_whole(&point, &place);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}
