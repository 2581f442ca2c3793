//! What only a real cgroup v2 hierarchy can show, end to end through `q`: each limit held by the kernel, and a
//! tree that is ended for certain.
//!
//! Runs inside the virtual machine of `tests/vm/run`, as root and as an ordinary user. Elsewhere each test says
//! that it was skipped. A test prints its `PROOF` line once its assertions have held;
//! `tests/vm/required-proofs.txt` lists the lines that must be seen for both users.

#[path = "vm/steps.rs"]
mod steps;

use std::{collections::BTreeSet, env, fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use integration_tests::{
    Fixture, Running,
    definition::{echo, shell, with, workflow},
    escape,
    fixture::write_file,
    guest::{self, MIB, assert_held, assert_no_note, directories, hungry, own_uid},
    processes::{self, Process},
    program,
    running::LONG,
    view::{attempt, outputs, step},
    wait,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use self::steps::{deep, own_cgroup};

const REQUIRED_PROOFS: &str = include_str!("../vm/required-proofs.txt");
/// How long the processes of a dead engine may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn memory_over_its_limit_is_oom() {
    let Some(guest) = Guest::enter("memory.max") else { return };
    let view = guest.run(&[hungry()], 1);

    assert_eq!(view["status"], "failed", "{view:#}");
    let error = &step(&view, "hungry")["error"];
    assert_eq!(error["code"], "oom", "{view:#}");
    assert_eq!(error["details"]["limit"], 32 * MIB, "{view:#}");
    let peak = error["details"]["peak"].as_u64();
    assert!(peak.is_some_and(|peak| (16 * MIB..=32 * MIB).contains(&peak)), "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    assert_eq!(view["isolation"]["memory"], "cgroup-v2", "{view:#}");
    guest.prove();
}

#[test]
fn sibling_under_its_limit_completes() {
    let Some(guest) = Guest::enter("memory.sibling") else { return };
    // A run of its own beside the hungry one: it holds its memory while the other is killed.
    let command = "data=$(head -c 4m /dev/zero | tr '\\0' x)
        : >modest.started; until [ -e modest.go ]; do sleep 0.02; done
        printf %s \"$data\" | wc -c";
    let modest = with(shell("modest", command), json!({"resource_limits": {"memory": "32MiB"}}));
    let running = guest.start(&[modest]);
    guest.fixture.wait_for("modest.started");
    let hungry = guest.run(&[hungry()], 1);
    guest.fixture.write("modest.go", "");
    let view = running.finish().exits(0).json();

    assert_eq!(step(&hungry, "hungry")["error"]["code"], "oom", "{hungry:#}");
    let counted = outputs(&view, "modest")["stdout"].as_str().map(str::trim);
    assert_eq!(counted, Some("4194304"), "{view:#}");
    assert_eq!(attempt(&view, "modest")["usage"]["oom_kills"], 0, "{view:#}");
    guest.prove();
}

#[test]
fn oom_of_a_child_takes_the_whole_tree() {
    let Some(guest) = Guest::enter("memory.oom.group") else { return };
    // Without memory.oom.group only `tail` is killed, and the shell goes on to exit with 0.
    let parent = with(
        shell("parent", "head -c 200m /dev/zero | tail | wc -c; : >survived"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    );
    let view = guest.run(&[parent], 1);

    assert_eq!(step(&view, "parent")["error"]["code"], "oom", "{view:#}");
    assert_eq!(attempt(&view, "parent")["signal"], 9, "{view:#}");
    assert!(!guest.fixture.has("survived"), "the shell outlived its child: {view:#}");
    guest.prove();
}

#[test]
fn private_tmp_counts_to_memory() {
    let Some(guest) = Guest::enter("memory.tmpfs") else { return };
    let filling = with(
        shell("filling", "head -c 60m /dev/zero >/tmp/big"),
        json!({"resource_limits": {"memory": "16MiB", "scratch": "64MiB"}}),
    );
    let view = guest.run(&[filling], 1);

    assert_eq!(step(&view, "filling")["error"]["code"], "oom", "{view:#}");
    guest.prove();
}

#[test]
fn own_cgroup_is_found_and_shared_out() {
    let Some(guest) = Guest::enter("cgroup.own") else { return };
    let own = guest.cgroup_base.join("own");
    fs::create_dir(&own).expect("the cgroup base is ours");
    guest.fixture.define(&workflow(&[hungry()]));
    let mut command = guest.fixture.command("/bin/sh");
    let script = "echo $$ >\"$0/cgroup.procs\" && exec \"$1\" workflow run workflow.json --json";
    command.args(["-c", script]).arg(&own).arg(program::q());
    let view = guest.fixture.start(command).finish().exits(1).json();

    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    assert_held(&view, "hungry", "memory", 32 * MIB);
    for what in ["memory", "cpu", "pids"] {
        assert_eq!(view["isolation"][what], "cgroup-v2", "{view:#}");
    }
    assert_no_note(&view, "cgroup");
    // The engine moved itself out of the way and could not remove what it stood in.
    assert_eq!(directories(&own), BTreeSet::from([own.join("supervisor")]));
    for left in [own.join("supervisor"), own] {
        fs::remove_dir(&left).unwrap_or_else(|error| panic!("{}: {error}", left.display()));
    }
    guest.prove();
}

#[test]
fn step_lives_in_namespaces_of_its_own() {
    let Some(guest) = Guest::enter("namespaces") else { return };
    let foreign = tempfile::NamedTempFile::new_in("/tmp").expect("/tmp is for everybody");
    let command = "echo $$; id -u; ls /tmp | wc -l; : >made
        head -c 2m /dev/zero >/tmp/big 2>/dev/null; echo $?; wc -c </tmp/big";
    let inside = with(shell("inside", command), json!({"resource_limits": {"scratch": "1MiB"}}));
    let view = guest.run(&[inside], 0);

    assert!(foreign.path().exists());
    let stdout = outputs(&view, "inside")["stdout"].as_str().expect("stdout is text");
    let found: Vec<u64> = stdout.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let [pid, uid, files, code, size] = found[..] else { panic!("five numbers: {stdout}") };
    assert!(pid < 10, "pid {pid} in a namespace of its own");
    assert_eq!(uid, u64::from(own_uid()));
    assert_eq!(files, 0, "files of others in /tmp");
    assert_eq!((code, size), (1, MIB), "the private /tmp is full at its limit");
    let made = fs::metadata(guest.fixture.work().join("made")).expect("the step made it");
    assert_eq!(made.uid(), own_uid());
    assert_eq!(view["isolation"]["filesystem"], "mount", "{view:#}");
    assert_no_note(&view, "cannot");
    guest.prove();
}

#[test]
fn busy_loop_gets_its_share_of_a_core() {
    let Some(guest) = Guest::enter("cpu.max") else { return };
    let busy = with(
        shell("busy", "timeout 4 sh -c 'while :; do :; done'; :"),
        json!({"resource_limits": {"cpu": 0.2}}),
    );
    let view = guest.run(&[busy], 0);

    assert_held(&view, "busy", "cpu", 200);
    assert_eq!(view["isolation"]["cpu"], "cgroup-v2", "{view:#}");
    let usage = &attempt(&view, "busy")["usage"];
    assert!(usage["throttled_us"].as_u64() > Some(0), "{view:#}");
    let used = usage["cpu_user_us"]
        .as_u64()
        .zip(usage["cpu_system_us"].as_u64())
        .map(|(user, system)| user + system);
    // A fifth of a core for 4 s is 0.8 s; a whole core would have been 4 s.
    assert!(used.is_some_and(|us| (200_000..1_600_000).contains(&us)), "{view:#}");
    guest.prove();
}

#[test]
fn forks_over_the_limit_are_refused() {
    let Some(guest) = Guest::enter("pids.max") else { return };
    let forking = with(
        shell("forking", "i=0; while [ $i -lt 64 ]; do sleep 60 & i=$((i + 1)); done; wait"),
        json!({"resource_limits": {"pids": 16}}),
    );
    let view = guest.run(&[forking], 1);

    assert_eq!(step(&view, "forking")["error"]["code"], "pids_exceeded", "{view:#}");
    assert!(attempt(&view, "forking")["pids_denied"].as_u64() > Some(0), "{view:#}");
    assert_held(&view, "forking", "pids", 16);
    assert_eq!(view["isolation"]["pids"], "cgroup-v2", "{view:#}");
    guest.prove();
}

#[test]
fn tree_over_its_timeout_is_gone() {
    let Some(guest) = Guest::enter("cgroup.kill") else { return };
    let command = "trap '' TERM
        setsid sh -c ': >grandchild; exec sleep 31415' &
        sleep 31415";
    let stubborn = with(shell("stubborn", command), json!({"timeout": "5s", "grace": "1s"}));
    let view = guest.run(&[stubborn], 1);

    assert_eq!(view["status"], "failed", "{view:#}");
    assert_eq!(step(&view, "stubborn")["error"]["code"], "timeout", "{view:#}");
    assert_eq!(attempt(&view, "stubborn")["signal"], 9, "{view:#}");
    assert_eq!(attempt(&view, "stubborn")["stop_reason"], "timeout", "{view:#}");
    assert_eq!(view["isolation"]["kill"], "cgroup.kill", "{view:#}");
    assert!(guest.fixture.has("grandchild"), "the grandchild never ran: {view:#}");
    assert_eq!(sleepers("31415").len(), 0, "{:#?}\n{view:#}", sleepers("31415"));
    guest.prove();
}

#[test]
fn death_of_the_engine_ends_the_tree() {
    let Some(guest) = Guest::enter("engine.death") else { return };
    let running = guest.start(&[deep()]);
    guest.wait_for_deep();
    guest.fixture.kill_engine(running);
    guest.assert_gone_and_swept();
    guest.prove();
}

#[test]
fn death_of_the_launcher_ends_the_tree() {
    let Some(guest) = Guest::enter("launcher.death") else { return };
    let running = guest.start(&[deep()]);
    guest.wait_for_deep();
    let mut children = processes::below(running.pid());
    children.retain(|process| process.parent == running.pid());
    let [launcher] = &children[..] else { panic!("q has one child, its launcher: {children:#?}") };
    // Stopped, the engine cannot help, nor empty the leaf.
    running.signal(Signal::SIGSTOP);
    assert!(processes::send(launcher.pid, Signal::SIGKILL));
    let gone = wait::holds_within(GONE_WITHIN, || sleepers("27182").is_empty());
    assert!(gone, "{:#?}", sleepers("27182"));
    guest.fixture.kill_engine(running);
    let leaves: usize = guest.fixture.cgroups_of_killed().iter().map(|tree| directories(tree).len()).sum();
    assert!(leaves > 0, "nobody was left to remove the leaf");
    guest.assert_gone_and_swept();
    guest.prove();
}

#[test]
fn steps_of_a_run_have_its_memory_together() {
    let Some(guest) = Guest::enter("memory.run") else { return };
    // Each may have 40 MiB and keeps 28; the run has 48.
    let keeps = |id: &str| {
        let command = "data=$(head -c 28m /dev/zero | tr '\\0' x); sleep 600; echo $data | wc -c";
        with(shell(id, command), json!({"resource_limits": {"memory": "40MiB"}}))
    };
    let both = json!({"id": "both", "type": "parallel", "steps": [keeps("a"), keeps("b")]});
    let view = guest.run_limited(&[both], &json!({"memory": "48MiB"}), 1);

    let killed: Vec<_> =
        ["a", "b"].into_iter().filter(|id| step(&view, id)["error"]["code"] == "oom").collect();
    let [killed] = killed[..] else { panic!("one of them is killed, the other cancelled: {view:#}") };
    let error = &step(&view, killed)["error"];
    assert_eq!(error["details"]["limit"], 48 * MIB, "{error:#}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("together")), "{error:#}");
    assert_held(&view, killed, "memory", 40 * MIB);
    assert_no_note(&view, "together");
    guest.prove();
}

#[test]
fn a_run_without_limits_has_its_share_of_the_home() {
    let Some(guest) = Guest::enter("memory.share") else { return };
    let config = json!({"max_concurrent_runs": 2, "resources": {"memory": "96MiB", "cpu": 1.6}});
    write_file(&guest.fixture.home().join("config.json"), config.to_string().as_bytes());
    // Each keeps 28 MiB, a line that does not end and that nobody reads; the run has 48 for both.
    let keeps = |id: &str| shell(id, "head -c 28m /dev/zero | tail | sleep 600; :");
    let both = json!({"id": "both", "type": "parallel", "steps": [keeps("a"), keeps("b")]});
    let view = guest.run(&[both], 1);

    let killed: Vec<_> =
        ["a", "b"].into_iter().filter(|id| step(&view, id)["error"]["code"] == "oom").collect();
    let [killed] = killed[..] else { panic!("one of them is killed, the other cancelled: {view:#}") };
    let error = &step(&view, killed)["error"];
    assert_eq!(error["details"]["limit"], 48 * MIB, "{error:#}");
    assert_held(&view, killed, "memory", 48 * MIB);
    assert_held(&view, killed, "cpu", 800);
    guest.prove();
}

#[test]
fn steps_of_a_run_have_its_share_of_a_core_together() {
    let Some(guest) = Guest::enter("cpu.run") else { return };
    let busy = |id: &str| shell(id, "timeout 3 sh -c 'while :; do :; done'; :");
    let both = json!({"id": "both", "type": "parallel", "steps": [busy("a"), busy("b")]});
    let view = guest.run_limited(&[both], &json!({"cpu": 0.2}), 0);

    let used = |id: &str| {
        let usage = &attempt(&view, id)["usage"];
        usage["cpu_user_us"].as_u64().unwrap_or(0) + usage["cpu_system_us"].as_u64().unwrap_or(0)
    };
    // A fifth of a core for both together, and not for each; as long as the run took.
    let used = used("a") + used("b");
    let share = used / view["duration_ms"].as_u64().expect("it is known").max(1);
    assert!((50..300).contains(&share), "{share} thousandths of a core: {view:#}");
    guest.prove();
}

#[test]
fn steps_of_a_run_have_its_processes_together() {
    let Some(guest) = Guest::enter("pids.run") else { return };
    let forking = |id: &str| {
        let command = "i=0; while [ $i -lt 14 ]; do sleep 4 & i=$((i + 1)); done; wait; :";
        shell(id, command)
    };
    // Each by itself stays below the limit of 20; together they are 30 and more.
    let alone = guest.run_limited(&[forking("alone")], &json!({"pids": 20}), 0);
    assert_eq!(attempt(&alone, "alone")["pids_denied"], 0, "{alone:#}");
    let both =
        json!({"id": "both", "type": "parallel", "fail_fast": false, "steps": [forking("a"), forking("b")]});
    let view = guest.run_limited(&[both], &json!({"pids": 20}), 1);

    assert!(["a", "b"].into_iter().any(|id| step(&view, id)["status"] == "failed"), "{view:#}");
    assert_held(&alone, "alone", "pids", 20);
    guest.prove();
}

#[test]
fn memory_is_not_had_by_swapping() {
    let Some(guest) = Guest::enter("memory.swap.max") else { return };
    let swaps = fs::read_to_string("/proc/swaps").expect("/proc is mounted");
    assert!(swaps.lines().count() > 1, "the guest has swap: {swaps}");
    // 60 MiB would have room in 32 MiB of memory and 64 MiB of swap.
    let hog = with(
        shell("hog", "head -c 60m /dev/zero | tail | wc -c"),
        json!({"resource_limits": {"memory": "32MiB"}}),
    );
    let view = guest.run(&[hog], 1);

    assert_eq!(step(&view, "hog")["error"]["code"], "oom", "{view:#}");
    guest.prove();
}

#[test]
fn writing_takes_the_time_that_its_limit_gives() {
    let Some(guest) = Guest::enter("io.max") else { return };
    let write =
        |id: &str| shell(id, "dd if=/dev/zero of=$WORKFLOW_WORK_DIR/f bs=64k count=48 conv=fsync 2>&1");
    let slow = with(write("slow"), json!({"resource_limits": {"io_write_bps": "1MiB"}}));
    let view = guest.run(&[write("free"), slow], 0);

    assert_held(&view, "slow", "io_write_bps", MIB);
    assert_eq!(view["isolation"]["io"], "cgroup-v2", "{view:#}");
    let wall = |id: &str| attempt(&view, id)["usage"]["wall_ms"].as_u64().expect("it is known");
    // 3 MiB at 1 MiB a second; the first slice is free.
    assert!(
        wall("slow") > 1800 && wall("slow") > 2 * wall("free"),
        "{} ms, {} ms",
        wall("slow"),
        wall("free")
    );
    guest.prove();
}

#[test]
fn oom_in_a_cgroup_of_the_steps_own_is_not_the_steps() {
    let Some(guest) = Guest::enter("delegate") else { return };
    let command = "echo 8m >eater/memory.max
        sh -c 'echo $$ >eater/cgroup.procs; head -c 60m /dev/zero | tail | wc -c' || echo killed
        grep '^oom_kill ' eater/memory.events.local
        echo max >memory.max 2>/dev/null || echo refused";
    let delegating = with(
        own_cgroup("own", command),
        json!({"sandbox": {"delegate": true}, "resource_limits": {"memory": "64MiB", "pids": 64}}),
    );
    let view = guest.run(&[delegating, hungry()], 1);

    let stdout = outputs(&view, "own")["stdout"].as_str();
    let stdout = stdout.unwrap_or_else(|| panic!("it completed: {view:#}"));
    assert!(stdout.contains("oom_kill ") && !stdout.contains("oom_kill 0"), "{view:#}");
    assert!(stdout.ends_with("refused\n"), "the namespace ends below the limits: {stdout}");
    assert_eq!(attempt(&view, "own")["usage"]["oom_kills"], 0, "{view:#}");
    assert_held(&view, "own", "memory", 64 * MIB);
    // The limits stand above the sub-tree: what the step takes for itself is held.
    let greedy = with(hungry(), json!({"sandbox": {"delegate": true}}));
    let view = guest.run(&[greedy], 1);
    assert_eq!(step(&view, "hungry")["error"]["code"], "oom", "{view:#}");
    guest.prove();
}

#[test]
fn strict_is_had_by_everybody() {
    let Some(guest) = Guest::enter("strict") else { return };
    fs::create_dir(guest.fixture.work().join("out")).expect("the directory is ours");
    let command = "(echo x >in) 2>/dev/null || echo read-only; echo made >out/made
        tail -n +3 /proc/net/dev | grep -vc lo: || :; grep CapEff /proc/self/status; id -u
        ls $HOME/.. >/dev/null 2>&1; ls /sys 2>/dev/null | wc -l";
    let inside = with(
        shell("inside", command),
        json!({"sandbox": {"profile": "strict", "write": ["out"]}, "resource_limits": {"memory": "64MiB"}}),
    );
    let view = guest.run(&[inside], 0);

    let expected = format!("read-only\n0\nCapEff:\t0000000000000000\n{}\n0\n", own_uid());
    assert_eq!(outputs(&view, "inside")["stdout"], expected, "{view:#}");
    assert_eq!(guest.fixture.read("out/made"), "made\n");
    assert_held(&view, "inside", "memory", 64 * MIB);
    for (part, word) in [("filesystem", "landlock"), ("network", "netns"), ("kill", "cgroup.kill")] {
        assert_eq!(view["isolation"][part], word, "{view:#}");
    }
    guest.prove();
}

#[test]
fn untrusted_programs_run_where_the_kernel_holds_them() {
    let Some(guest) = Guest::enter("trust") else { return };
    let untrusted = |id: &str, command: &str| with(shell(id, command), json!({"trust": "untrusted"}));
    let view = guest.run(&[untrusted("try", "echo in"), untrusted("fork", "sleep 1; echo forked")], 1);

    assert_eq!(outputs(&view, "try")["stdout"], "in\n", "{view:#}");
    assert_eq!(step(&view, "fork")["status"], "failed", "{view:#}");
    assert_held(&view, "try", "memory", 64 * MIB);
    assert_held(&view, "try", "cpu", 250);
    guest.prove();
}

#[test]
fn doctor_finds_nothing_missing_for_limits() {
    let Some(guest) = Guest::enter("doctor") else { return };
    let base = guest.cgroup_base.to_str().expect("the guest's paths are text");
    let report =
        guest.fixture.workflow(["doctor", "--json", "--require", "--cgroup-base", base]).exits(0).json();
    for name in ["memory", "cpu", "pids", "io"] {
        assert_eq!(report["limits"][name], json!({"by": "cgroup-v2", "held": true}), "{report:#}");
    }
    assert_eq!(report["gaps"], json!([]), "{report:#}");
    guest.prove();
}

#[test]
fn a_step_that_thrashes_ends_by_its_timeout() {
    let Some(guest) = Guest::enter("memory.high") else { return };
    let command = "echo 4m >eater/memory.high
        echo $$ >eater/cgroup.procs; head -c 60m /dev/zero | tail | wc -c";
    let more = json!({"sandbox": {"delegate": true}, "resource_limits": {"memory": "128MiB"},
                      "timeout": "5s", "grace": "1s"});
    let view = guest.run(&[with(own_cgroup("thrashing", command), more)], 1);

    assert_eq!(step(&view, "thrashing")["error"]["code"], "timeout", "{view:#}");
    let usage = &attempt(&view, "thrashing")["usage"];
    assert!(usage["memory_pressure_us"].as_u64() > Some(0) && usage["oom_kills"] == 0, "{view:#}");
    guest.prove();
}

#[test]
fn nobody_gets_out() {
    let Some(guest) = Guest::enter("escape") else { return };
    let outside = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let home = outside.path().join("home");
    let tries = |profile: &str| with(shell(profile, &escape::script(&home)), json!({"sandbox": profile}));
    guest.fixture.define(&workflow(&[tries("standard"), tries("strict")]));
    let base = guest.cgroup_base.to_str().expect("the guest's paths are text");
    let mut command = guest.fixture.q(["run", "workflow.json", "--json", "--cgroup-base", base]);
    command.env("Q_WORKFLOW_HOME", &home);
    let view = guest.fixture.start(command).finish().exits(0).json();

    for profile in ["standard", "strict"] {
        assert_eq!(outputs(&view, profile)["stdout"], "looked\ntried\n", "{view:#}");
    }
    guest.prove();
}

/// The living processes that sleep for so many seconds: the argument makes them known among the processes of
/// the guest.
fn sleepers(seconds: &str) -> Vec<Process> {
    let mut found = processes::all();
    found.retain(|process| process.command.trim_end() == format!("sleep {seconds}"));
    found
}

/// The virtual machine as one test sees it.
#[derive(Debug)]
struct Guest {
    proof: &'static str,
    cgroup_base: PathBuf,
    cgroups_before: BTreeSet<PathBuf>,
    fixture: Fixture,
}

impl Guest {
    /// `None` outside the virtual machine, which is said on stderr.
    #[track_caller]
    fn enter(proof: &'static str) -> Option<Self> {
        if !guest::is_inside("1", proof, REQUIRED_PROOFS) {
            return None;
        }
        let cgroup_base = PathBuf::from(env::var_os("Q_CGROUP_BASE").expect("tests/vm/run sets it"));
        let cgroups_before = directories(&cgroup_base);
        Some(Self { proof, cgroup_base, cgroups_before, fixture: Fixture::new() })
    }

    /// Starts a run of these steps.
    #[track_caller]
    fn start(&self, steps: &[Value]) -> Running {
        self.fixture.define(&workflow(steps));
        let base = self.cgroup_base.to_str().expect("the guest's paths are text");
        self.fixture.spawn(["run", "workflow.json", "--json", "--cgroup-base", base])
    }

    /// The same of a run that has these limits as a whole.
    #[track_caller]
    fn run_limited(&self, steps: &[Value], limits: &Value, exit_code: i32) -> Value {
        self.fixture.define(&with(workflow(steps), json!({"resource_limits": limits})));
        let base = self.cgroup_base.to_str().expect("the guest's paths are text");
        let arguments = ["run", "workflow.json", "--json", "--cgroup-base", base];
        self.fixture.workflow(arguments).exits(exit_code).json()
    }

    /// The view of a run of these steps, which ends with this exit code.
    #[track_caller]
    fn run(&self, steps: &[Value], exit_code: i32) -> Value {
        self.start(steps).finish().exits(exit_code).json()
    }

    /// Waits until all processes of [`deep`] stand.
    #[track_caller]
    fn wait_for_deep(&self) {
        for depth in 1..=3 {
            self.fixture.wait_for(&format!("deep.{depth}"));
        }
        wait::eventually("the deepest process sleeps", LONG, || sleepers("27182").len() == 1);
    }

    /// After the death of an engine: soon no process of its step is left, and its tree is, until the next start of
    /// an engine in the same base.
    #[track_caller]
    fn assert_gone_and_swept(&self) {
        let run = self.fixture.only_run();
        let gone = wait::holds_within(GONE_WITHIN, || self.fixture.processes().is_empty());
        assert!(gone, "{:#?}", self.fixture.processes());
        assert_eq!(sleepers("27182").len(), 0, "{:#?}", sleepers("27182"));
        assert_eq!(self.fixture.view(&run)["status"], "interrupted");
        assert_eq!(self.fixture.cgroups_of_killed().len(), 1, "a dead engine cannot remove its own tree");
        self.run(&[echo("next", json!({}))], 0);
        assert_eq!(self.fixture.cgroups_of_killed(), <[PathBuf; 0]>::default());
    }

    /// The last act of a test: nothing is left in the cgroup base, and the proof is printed.
    #[track_caller]
    fn prove(self) {
        let left: Vec<_> = directories(&self.cgroup_base).difference(&self.cgroups_before).cloned().collect();
        assert!(left.is_empty(), "cgroups were left behind: {left:?}");
        self.fixture.assert_nothing_left();
        guest::proven(self.proof);
    }
}
