//! A fresh world for one test: an empty home, a working directory, a user's home of its own.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Finished, Running, cgroups, definition,
    processes::{self, Process},
    program,
    running::LONG,
    wait,
};

/// How long after the end of a run its last processes may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// The directories of one test and the engines that it started. When it is dropped, no process and no cgroup
/// of the test may be left.
#[derive(Debug)]
pub struct Fixture {
    root: TempDir,
    marker: String,
    engines: RefCell<Vec<u32>>,
    killed: RefCell<Vec<u32>>,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    /// An empty world. q's home is not made: that is its own work.
    pub fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("q-test-")
            .rand_bytes(12)
            .tempdir()
            .expect("the temporary directory is writable");
        let marker = root.path().file_name().expect("it has a name").to_string_lossy().into_owned();
        let fixture = Self { root, marker, engines: RefCell::default(), killed: RefCell::default() };
        fs::create_dir(fixture.work()).expect("the fresh directory is writable");
        fs::create_dir(fixture.user_home()).expect("the fresh directory is writable");
        fixture
    }

    /// `$Q_WORKFLOW_HOME`.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// The directory in which q is called.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// `$HOME`.
    pub fn user_home(&self) -> PathBuf {
        self.root.path().join("user")
    }

    /// A word that is in the paths of this test and in those of no other.
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Writes a file below the working directory, with the folders above it.
    #[track_caller]
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        write_file(&path, content.as_ref());
        path
    }

    /// Writes an executable file below the working directory.
    #[track_caller]
    pub fn write_program(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        path
    }

    /// Writes a definition as `workflow.json` in the working directory.
    #[track_caller]
    pub fn define(&self, definition: &Value) -> PathBuf {
        self.write("workflow.json", definition.to_string())
    }

    /// Writes a skill whose program is a shell script, as `<folder>/<name>/`, `folder` being relative to the
    /// working directory. `manifest` adds to or replaces what every manifest has.
    #[track_caller]
    pub fn write_skill(&self, folder: impl AsRef<Path>, name: &str, manifest: Value, script: &str) {
        let folder = folder.as_ref().join(name);
        let base =
            json!({"name": name, "version": "1.0.0", "description": "a test", "command": ["./run.sh"]});
        self.write(folder.join("skill.json"), definition::with(base, manifest).to_string());
        self.write_program(folder.join("run.sh"), format!("#!/bin/sh\n{script}\n"));
    }

    /// The text of a file below the working directory.
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        read_file(&self.work().join(name))
    }

    /// Whether a file below the working directory is there.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.work().join(name).exists()
    }

    /// The directory of a run.
    pub fn run_dir(&self, run_id: &str) -> PathBuf {
        self.home().join("runs").join(run_id)
    }

    /// The ids of the runs that have a directory, oldest first.
    pub fn run_ids(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.home().join("runs")) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut ids: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        ids.sort();
        ids
    }

    /// The id of the only run, once it has a directory.
    #[track_caller]
    pub fn only_run(&self) -> String {
        wait::eventually("there is one run", LONG, || self.run_ids().len() == 1);
        self.run_ids().remove(0)
    }

    /// `program` in this world, with nothing of the caller's environment but the path.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("HOME", self.user_home())
            .env("Q_WORKFLOW_HOME", self.home())
            .current_dir(self.work())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `q workflow <args>` in this world, not started.
    pub fn q<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(program::q());
        command.arg("workflow");
        for arg in args {
            command.arg(arg.as_ref());
        }
        command
    }

    /// Starts a command that is or becomes a `q`.
    #[track_caller]
    pub fn start(&self, mut command: Command) -> Running {
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.engines.borrow_mut().push(child.id());
        Running::new(child)
    }

    /// Starts `q workflow <args>`.
    #[track_caller]
    pub fn spawn<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        self.start(self.q(args))
    }

    /// Runs `q workflow <args>` to its end.
    #[track_caller]
    pub fn workflow<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        self.spawn(args).finish()
    }

    /// Runs `q workflow <args>` to its end with `input` on its stdin.
    #[track_caller]
    pub fn workflow_with_stdin(&self, args: &[&str], input: &str) -> Finished {
        let mut command = self.q(args);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.engines.borrow_mut().push(child.id());
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A q that does not read to the end is judged by its exit code and its words.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        Running::new(child).finish()
    }

    /// Runs a definition in the foreground with `--json`.
    #[track_caller]
    pub fn run(&self, definition: &Value) -> Finished {
        self.define(definition);
        self.workflow(["run", "workflow.json", "--json"])
    }

    /// Starts a definition in the foreground with `--json`.
    #[track_caller]
    pub fn spawn_run(&self, definition: &Value) -> Running {
        self.define(definition);
        self.spawn(["run", "workflow.json", "--json"])
    }

    /// The view of a run, as `status --json` shows it.
    #[track_caller]
    pub fn view(&self, run_id: &str) -> Value {
        self.workflow(["status", run_id, "--json"]).exits(0).json()
    }

    /// The view of a run, once it has ended.
    #[track_caller]
    pub fn ended(&self, run_id: &str) -> Value {
        let mut view = Value::Null;
        wait::eventually("the run ends", LONG, || {
            view = self.view(run_id);
            !view["finished_at"].is_null()
        });
        view
    }

    /// Waits until a file that a step makes in the working directory is there.
    #[track_caller]
    pub fn wait_for(&self, name: &str) {
        wait::eventually(&format!("a step makes {name}"), LONG, || self.has(name));
    }

    /// Kills an engine with SIGKILL. What it leaves of its cgroups is for the next start of q, or for the end of
    /// the test.
    #[track_caller]
    pub fn kill_engine(&self, running: Running) {
        assert_eq!(self.kill(running), -9);
    }

    /// As [`Fixture::kill_engine`], of an engine that may end by itself, with this code, before the signal comes.
    #[track_caller]
    pub fn kill_engine_or_meet_its_end(&self, running: Running, own: i32) {
        let code = self.kill(running);
        assert!([-9, own].contains(&code), "{code}");
    }

    fn kill(&self, mut running: Running) -> i32 {
        let pid = running.pid();
        // One that ends from here on keeps its number until it is reaped.
        if !running.has_ended() {
            running.signal(Signal::SIGKILL);
        }
        let code = running.finish().code;
        if code == -9 {
            self.engines.borrow_mut().retain(|engine| *engine != pid);
            self.killed.borrow_mut().push(pid);
        }
        code
    }

    /// Kills a detached engine with SIGKILL, and waits until it is gone.
    #[track_caller]
    pub fn kill_process(&self, pid: u32) {
        self.killed.borrow_mut().push(pid);
        assert!(processes::send(pid, Signal::SIGKILL), "it has gone already");
        wait::eventually("it is gone", LONG, || self.processes().iter().all(|process| process.pid != pid));
    }

    /// The cgroups that killed engines left.
    pub fn cgroups_of_killed(&self) -> Vec<PathBuf> {
        cgroups::left_by(&self.killed.borrow())
    }

    /// The processes that belong to this test.
    pub fn processes(&self) -> Vec<Process> {
        processes::marked(&self.marker)
    }

    /// Fails the test if a process or a cgroup of it is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let gone = wait::holds_within(GONE_WITHIN, || self.processes().is_empty());
        assert!(gone, "processes are left: {:#?}", self.processes());
        let swept = wait::holds_within(GONE_WITHIN, || cgroups::left_by(&self.engines.borrow()).is_empty());
        assert!(swept, "cgroups are left: {:#?}", cgroups::left_by(&self.engines.borrow()));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.cgroups_of_killed().iter().for_each(|tree| cgroups::remove(tree));
        if !std::thread::panicking() {
            self.assert_nothing_left();
            return;
        }
        // The test has failed: it must not leave its processes to others. They are its own, by the marker.
        for process in self.processes() {
            processes::send(process.pid, Signal::SIGKILL);
        }
    }
}

/// Writes a file, with the folders above it.
#[track_caller]
pub fn write_file(path: &Path, content: &[u8]) {
    let parent = path.parent().expect("a file has a folder");
    fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let written = File::create(path).and_then(|mut file| file.write_all(content));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The text of a file.
#[track_caller]
pub fn read_file(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
