//! What only a machine with systemd can show: a login session, from which q asks systemd for a scope of its own, and
//! the daemon as a unit. For root the machine's systemd gives it, for everybody else the user's.
//!
//! Runs inside the virtual machine of `tests/vm/run` that has systemd, in a session of root and of an ordinary user.
//! Elsewhere each test says that it was skipped. `tests/vm/required-proofs-systemd.txt` lists what must be seen.

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use integration_tests::{
    Fixture,
    definition::{gate, shell, with, workflow},
    guest::{self, MIB, assert_held, assert_no_note, directories, hungry, own_uid},
    program,
    running::LONG,
    view::{attempt, outputs, step},
    wait,
};
use serde_json::{Value, json};

const REQUIRED_PROOFS: &str = include_str!("../vm/required-proofs-systemd.txt");
/// How long the processes of a dead engine may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_run_in_a_session_has_a_scope_of_its_own() {
    let Some(guest) = Guest::enter("scope") else { return };
    let running = guest.fixture.spawn_run(&workflow(&[gate("a")]));
    guest.fixture.wait_for("a.started");
    let scope = guest.slice.join(format!("q-{}-{}.scope", guest.fixture.only_run(), running.pid()));
    assert_eq!(guest.scopes(), [&*scope]);
    assert_eq!(cgroup_of(running.pid()), scope.join("supervisor"));
    let below: Vec<_> = directories(&scope).into_iter().collect();
    assert_eq!(below.len(), 2, "the engine's place, and its tree: {below:?}");
    guest.fixture.write("a.go", "");
    let view = running.finish().exits(0).json();

    for (part, word) in
        [("memory", "cgroup-v2"), ("cpu", "cgroup-v2"), ("pids", "cgroup-v2"), ("kill", "cgroup.kill")]
    {
        assert_eq!(view["isolation"][part], word, "{view:#}");
    }
    for word in ["systemd", "not writable", "other processes", "`memory`", "`cpu`", "`pids`"] {
        assert_no_note(&view, word);
    }
    // What a user's systemd has not been given it cannot hand on.
    let io = if own_uid() == 0 { "cgroup-v2" } else { "none" };
    assert_eq!(view["isolation"]["io"], io, "{view:#}");
    guest.prove();
}

#[test]
fn memory_is_held_in_a_scope() {
    let Some(guest) = Guest::enter("scope.memory") else { return };
    let view = guest.run(&[hungry()], 1);
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    guest.prove();
}

#[test]
fn a_share_of_a_core_is_held_in_a_scope() {
    let Some(guest) = Guest::enter("scope.cpu") else { return };
    let busy = with(
        shell("busy", "timeout 3 sh -c 'while :; do :; done'; :"),
        json!({"resource_limits": {"cpu": 0.2}}),
    );
    let view = guest.run(&[busy], 0);
    assert_held(&view, "busy", "cpu", 200);
    let usage = &attempt(&view, "busy")["usage"];
    assert!(usage["throttled_us"].as_u64() > Some(0), "{view:#}");
    // A fifth of a core for 3 s is 0.6 s.
    let used = usage["cpu_user_us"].as_u64().zip(usage["cpu_system_us"].as_u64());
    assert!(used.is_some_and(|(user, system)| user + system < 1_500_000), "{view:#}");
    guest.prove();
}

#[test]
fn processes_are_counted_in_a_scope() {
    let Some(guest) = Guest::enter("scope.pids") else { return };
    let forking = with(
        shell("forking", "i=0; while [ $i -lt 64 ]; do sleep 60 & i=$((i + 1)); done; wait"),
        json!({"resource_limits": {"pids": 16}}),
    );
    let view = guest.run(&[forking], 1);
    assert_eq!(step(&view, "forking")["error"]["code"], "pids_exceeded", "{view:#}");
    assert_held(&view, "forking", "pids", 16);
    guest.prove();
}

#[test]
fn a_step_has_a_sub_tree_in_a_scope() {
    let Some(guest) = Guest::enter("scope.delegate") else { return };
    let command = "set -e; cd /sys/fs/cgroup; mkdir rest eater
        for pid in $(cat cgroup.procs); do echo $pid >rest/cgroup.procs || :; done
        echo +memory >cgroup.subtree_control; echo 8m >eater/memory.max
        sh -c 'echo $$ >eater/cgroup.procs; head -c 60m /dev/zero | tail | wc -c' || echo killed
        grep '^oom_kill ' eater/memory.events.local";
    let own = with(
        shell("own", command),
        json!({"sandbox": {"delegate": true}, "resource_limits": {"memory": "64MiB", "pids": 64}}),
    );
    let view = guest.run(&[own], 0);
    let stdout = outputs(&view, "own")["stdout"].as_str().unwrap_or_default();
    assert!(stdout.contains("oom_kill ") && !stdout.contains("oom_kill 0"), "{view:#}");
    assert_eq!(attempt(&view, "own")["usage"]["oom_kills"], 0, "{view:#}");
    guest.prove();
}

#[test]
fn a_scope_goes_with_its_engine() {
    let Some(guest) = Guest::enter("scope.death") else { return };
    let command = "trap '' TERM HUP; setsid sh -c ': >deep; exec sleep 600' & wait";
    let running = guest.fixture.spawn_run(&workflow(&[shell("deep", command)]));
    guest.fixture.wait_for("deep");
    let [scope] = &guest.scopes()[..] else { panic!("one scope: {:?}", guest.scopes()) };
    guest.fixture.kill_engine(running);
    let gone = wait::holds_within(GONE_WITHIN, || guest.fixture.processes().is_empty());
    assert!(gone, "{:#?}", guest.fixture.processes());
    wait::eventually("systemd removes what is empty", LONG, || !scope.exists());

    // Nothing of the dead one stands in the way of who goes on.
    let run = guest.fixture.only_run();
    fs::remove_file(guest.fixture.work().join("deep")).expect("the step made it");
    let resumed = guest.fixture.spawn(["resume", &run, "--json"]);
    guest.fixture.wait_for("deep");
    let [again] = &guest.scopes()[..] else { panic!("one scope: {:?}", guest.scopes()) };
    assert_ne!(again, scope);
    guest.fixture.workflow(["stop", &run]).exits(0).says(&["cancelled"]);
    resumed.finish();
    guest.prove();
}

#[test]
fn no_manager_is_reached_by_a_step() {
    let Some(guest) = Guest::enter("scope.sealed") else { return };
    // What is started by one of them is outside every limit.
    let command = "export XDG_RUNTIME_DIR=/run/user/$(id -u)
        for reach in 'systemd-run --wait true' 'systemd-run --user --wait true' 'systemctl show' \
            'systemctl --user show' 'busctl list' 'busctl --user list'; do
            if $reach >/dev/null 2>&1; then echo \"$reach\"; fi
        done; echo end";
    let view = guest.run(&[shell("reaching", command)], 0);
    assert_eq!(outputs(&view, "reaching")["stdout"], "end\n", "{view:#}");
    guest.prove();
}

#[test]
fn a_run_that_a_service_starts_has_a_scope() {
    let Some(guest) = Guest::enter("scope.service") else { return };
    guest.fixture.define(&workflow(&[hungry()]));
    // The shell keeps the service's cgroup from being q's alone.
    let script = format!(
        "cd '{}' && '{}' workflow run workflow.json --json; exit $?",
        guest.fixture.work().display(),
        program::q().display()
    );
    let mut command = guest.systemd("systemd-run");
    command.args(["--wait", "--pipe", "--collect", "--quiet", "-E"]);
    command.arg(format!("Q_WORKFLOW_HOME={}", guest.fixture.home().display()));
    command.args(["/bin/sh", "-c", &script]);
    let view = guest.fixture.start(command).finish().exits(1).json();
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    guest.prove();
}

#[test]
fn nobody_is_asked_where_the_own_cgroup_will_do() {
    let Some(guest) = Guest::enter("scope.own") else { return };
    guest.fixture.define(&workflow(&[gate("a"), hungry()]));
    let mut command = guest.systemd("systemd-run");
    command.args(["--scope", "--quiet", "-p", "Delegate=yes"]).arg(program::q());
    command.args(["workflow", "run", "workflow.json", "--json"]);
    let running = guest.fixture.start(command);
    guest.fixture.wait_for("a.started");
    assert_eq!(guest.scopes(), <[PathBuf; 0]>::default());
    let own = cgroup_of(running.pid());
    assert!(own.ends_with("supervisor") && own.to_string_lossy().contains("/run-"), "{}", own.display());
    guest.fixture.write("a.go", "");
    let view = running.finish().exits(1).json();
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    guest.prove();
}

#[test]
fn doctor_says_what_a_scope_gives() {
    let Some(guest) = Guest::enter("scope.doctor") else { return };
    let report = guest.fixture.workflow(["doctor", "--json", "--require"]).exits(0).json();
    for name in ["memory", "cpu", "pids"] {
        assert_eq!(report["limits"][name], json!({"by": "cgroup-v2", "held": true}), "{report:#}");
    }
    let base = report["cgroup"]["base"].as_str().unwrap_or_default();
    assert!(base.starts_with(&format!("{}/q-doctor-", guest.slice.display())), "{report:#}");
    let gaps = report["gaps"].as_array().map(Vec::as_slice).unwrap_or_default();
    if own_uid() == 0 {
        assert_eq!(gaps, <[Value; 0]>::default(), "{report:#}");
    } else {
        let [gap] = gaps else { panic!("one gap: {report:#}") };
        assert_eq!(gap["what"], "limits on io", "{report:#}");
        let fix = gap["fix"].as_str().unwrap_or_default();
        assert!(fix.contains("/etc/systemd/system/user@.service.d/delegate.conf"), "{report:#}");
    }
    guest.prove();
}

#[test]
fn the_daemon_serves_as_a_unit() {
    let Some(guest) = Guest::enter("daemon.unit") else { return };
    // Where the user's systemd looks for units.
    let home = env::var_os("HOME").expect("a session has it");
    let mut install = guest.fixture.q(["daemon", "install"]);
    install.env("HOME", home);
    let installed = guest.fixture.start(install).finish().exits(0);
    let unit = PathBuf::from(installed.stdout.trim_end());
    guest.systemctl(&["daemon-reload"]);
    guest.systemctl(&["start", "q-workflow.service"]);

    let gate = with(gate("a"), json!({"cwd": guest.fixture.work()}));
    guest.fixture.define(&with(workflow(&[gate, hungry()]), json!({"name": "often"})));
    guest.fixture.workflow(["schedule", "add", "workflow.json", "--cron", "* * * * * *"]).exits(0);
    guest.fixture.wait_for("a.started");
    guest.fixture.workflow(["schedule", "disable", "often"]).exits(0);
    let service = managed().join("app.slice/q-workflow.service");
    let below = directories(&service);
    assert!(below.contains(&service.join("supervisor")), "{below:?}");
    assert_eq!(
        below.len(),
        2,
        "the daemon's place with its runs' engines, and the tree of the run: {below:?}"
    );
    assert_eq!(guest.scopes(), <[PathBuf; 0]>::default());
    guest.fixture.write("a.go", "");
    let view = guest.fixture.ended(&guest.fixture.only_run());
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    assert_eq!(view["trigger"], "schedule:often", "{view:#}");

    guest.systemctl(&["stop", "q-workflow.service"]);
    wait::eventually("its cgroup is removed", LONG, || !service.exists());
    fs::remove_file(&unit).unwrap_or_else(|error| panic!("{}: {error}", unit.display()));
    guest.systemctl(&["daemon-reload"]);
    guest.prove();
}

/// The virtual machine with systemd as one test sees it.
#[derive(Debug)]
struct Guest {
    proof: &'static str,
    /// Where systemd makes the scopes of this user.
    slice: PathBuf,
    fixture: Fixture,
}

impl Guest {
    /// `None` outside that virtual machine, which is said on stderr.
    #[track_caller]
    fn enter(proof: &'static str) -> Option<Self> {
        if !guest::is_inside("systemd", proof, REQUIRED_PROOFS) {
            return None;
        }
        let session = fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
        assert!(session.contains("/session-"), "{session}");
        let slice = match own_uid() {
            0 => PathBuf::from("/sys/fs/cgroup/system.slice"),
            _ => managed().join("app.slice"),
        };
        Some(Self { proof, slice, fixture: Fixture::new() })
    }

    /// The scopes that q has.
    fn scopes(&self) -> Vec<PathBuf> {
        let is_scope = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("q-") && path.extension().is_some_and(|kind| kind == "scope")
        };
        directories(&self.slice).into_iter().filter(is_scope).collect()
    }

    /// The view of a run of these steps, which ends with this exit code.
    #[track_caller]
    fn run(&self, steps: &[Value], exit_code: i32) -> Value {
        self.fixture.run(&workflow(steps)).exits(exit_code).json()
    }

    /// A program that speaks with the systemd of this user.
    fn systemd(&self, program: &str) -> Command {
        let mut command = self.fixture.command(program);
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", own_uid()));
        if own_uid() != 0 {
            command.arg("--user");
        }
        command
    }

    /// Speaks with the systemd that has the units of this user.
    #[track_caller]
    fn systemctl(&self, arguments: &[&str]) {
        let mut command = self.fixture.command("systemctl");
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", own_uid())).arg("--user").args(arguments);
        let done = command.output().expect("systemctl is there");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The last act of a test: nothing is left, no scope either, and the proof is printed.
    #[track_caller]
    fn prove(self) {
        wait::eventually("no scope is left", LONG, || self.scopes().is_empty());
        self.fixture.assert_nothing_left();
        guest::proven(self.proof);
    }
}

/// The cgroup below which the user's systemd has its own.
fn managed() -> PathBuf {
    let uid = own_uid();
    format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service").into()
}

/// The cgroup of a process.
#[track_caller]
fn cgroup_of(pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process is there");
    let path = text.trim_end().strip_prefix("0::").expect("there is one hierarchy");
    format!("/sys/fs/cgroup{path}").into()
}
