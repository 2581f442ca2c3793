//! Steps that try to get out: at other cgroups, at the machine, at what is hidden, at the program q. In both profiles
//! that hold.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command};

use integration_tests::{
    Fixture,
    definition::{exec, shell, with, workflow},
    escape,
    fixture::write_file,
    machine_code, program,
    view::{attempt, outputs, step},
    wait,
};
use serde_json::{Value, json};

const PROFILES: [&str; 2] = ["standard", "strict"];

fn in_profile(step: Value, profile: &str) -> Value {
    with(step, json!({"sandbox": profile}))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0
}

#[test]
fn nothing_that_is_tried_works() {
    let fixture = Fixture::new();
    // Not in `/tmp`, which is each step's own.
    let outside = outside(&fixture);
    let home = outside.path().join("home");
    let steps = PROFILES.map(|profile| in_profile(shell(profile, &escape::script(&home)), profile));
    fixture.define(&workflow(&steps));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("Q_WORKFLOW_HOME", &home);
    let view = fixture.start(command).finish().exits(0).json();
    for profile in PROFILES {
        assert_eq!(outputs(&view, profile)["stdout"], "looked\ntried\n", "{profile}");
    }
}

#[test]
fn what_is_looked_for_is_there_where_nothing_holds_it() {
    let fixture = Fixture::new();
    let view = fixture.run(&workflow(&[in_profile(shell("free", &escape::script(&fixture.home())), "none")]));
    let view = view.exits(0).json();
    let said = outputs(&view, "free")["stdout"].as_str().expect("stdout is text");
    for what in ["records", "write to the home of q", "every system call", "processes of others"] {
        assert!(said.contains(&format!("{what}: worked")), "{said}");
    }
    assert!(said.ends_with("looked\n"), "{said}");
}

/// System calls of x86-64 by number, with two arguments: what gets at others, at the kernel, at mounts, at namespaces.
const FORBIDDEN: [(u32, i32, i32); 46] = [
    (101, -1, -1),          // ptrace
    (310, -1, -1),          // process_vm_readv
    (311, -1, -1),          // process_vm_writev
    (438, -1, -1),          // pidfd_getfd
    (312, -1, -1),          // kcmp
    (321, -1, -1),          // bpf
    (298, -1, -1),          // perf_event_open
    (323, -1, -1),          // userfaultfd
    (425, -1, -1),          // io_uring_setup
    (426, -1, -1),          // io_uring_enter
    (427, -1, -1),          // io_uring_register
    (250, -1, -1),          // keyctl
    (248, -1, -1),          // add_key
    (249, -1, -1),          // request_key
    (246, -1, -1),          // kexec_load
    (320, -1, -1),          // kexec_file_load
    (175, -1, -1),          // init_module
    (313, -1, -1),          // finit_module
    (176, -1, -1),          // delete_module
    (304, -1, -1),          // open_by_handle_at
    (167, -1, -1),          // swapon
    (168, -1, -1),          // swapoff
    (169, -1, -1),          // reboot
    (163, -1, -1),          // acct
    (179, -1, -1),          // quotactl
    (443, -1, -1),          // quotactl_fd
    (164, -1, -1),          // settimeofday
    (227, -1, -1),          // clock_settime
    (172, -1, -1),          // iopl
    (173, -1, -1),          // ioperm
    (165, -1, -1),          // mount
    (166, -1, -1),          // umount2
    (155, -1, -1),          // pivot_root
    (161, -1, -1),          // chroot
    (429, -1, -1),          // move_mount
    (428, -1, -1),          // open_tree
    (467, -1, -1),          // open_tree_attr
    (430, -1, -1),          // fsopen
    (431, -1, -1),          // fsconfig
    (432, -1, -1),          // fsmount
    (433, -1, -1),          // fspick
    (442, -1, -1),          // mount_setattr
    (308, -1, -1),          // setns
    (272, 0x1000_0000, -1), // unshare, CLONE_NEWUSER
    (41, 40, 1),            // socket, AF_VSOCK
    (16, -1, 0x5412),       // ioctl, TIOCSTI
];

#[test]
fn every_forbidden_call_is_refused() {
    let fixture = Fixture::new();
    let Some(program) = machine_code::calls(&fixture, "calls", &FORBIDDEN) else {
        wait::skip("calls by number: not x86-64");
        return;
    };
    let program = program.to_str().expect("it is text");
    let steps = PROFILES.map(|profile| in_profile(exec(profile, &[program]), profile));
    let free = in_profile(with(exec("none", &[program]), json!({"error_handling": "skip"})), "none");
    let view = fixture.run(&workflow(&[&steps[..], &[free]].concat())).json();
    // The exit code is the place of the first call that was not refused.
    for profile in PROFILES {
        assert_eq!(attempt(&view, profile)["exit_code"], 0, "{profile}: {view:#}");
    }
    assert_ne!(attempt(&view, "none")["exit_code"], 0, "{view:#}");
}

#[test]
fn a_call_by_the_rules_of_another_architecture_kills() {
    let fixture = Fixture::new();
    let Some(program) = machine_code::old_call(&fixture, "old") else {
        wait::skip("a call of 32 bits: not x86-64");
        return;
    };
    // A kernel without these calls ends the program by itself.
    let there = Command::new(&program).status().expect("it can be executed").success();
    if !there {
        wait::skip("calls of 32 bits: the kernel has none");
    }
    let program = program.to_str().expect("it is text");
    for profile in PROFILES {
        let view = fixture.run(&workflow(&[in_profile(exec("old", &[program]), profile)])).exits(1).json();
        if there {
            assert_eq!(step(&view, "old")["error"]["code"], "sandbox_denied", "{profile}: {view:#}");
            assert_eq!(attempt(&view, "old")["signal"], 31, "{profile}: {view:#}");
        }
    }
}

/// A folder outside of all places that a step has of its own.
fn outside(fixture: &Fixture) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(fixture.marker()).tempdir_in("/var/tmp").expect("a folder")
}

/// The same with a user's home in it.
fn user_outside(fixture: &Fixture) -> tempfile::TempDir {
    let outside = outside(fixture);
    write_file(&outside.path().join("user/.config/gh/hosts"), b"token\n");
    write_file(&outside.path().join("user/.ssh/id"), b"private\n");
    outside
}

#[test]
fn what_is_hidden_cannot_be_moved_to_where_it_is_seen() {
    let fixture = Fixture::new();
    let outside = user_outside(&fixture);
    // Each step moves what lies around; the next one would find it elsewhere, uncovered.
    let script = "cd $OUTSIDE; mv user moved 2>/dev/null; mv user/.config user/moved 2>/dev/null; \
                  mv user/.config/gh user/.config/moved 2>/dev/null; mkdir user/new && mv user/new user/newer && rmdir user/newer; \
                  cat */.ssh/id */*/gh/hosts */.config/*/hosts 2>/dev/null; ls -A . user";
    let named = |sandbox: Value| json!({"env": {"OUTSIDE": outside.path()}, "sandbox": sandbox});
    let strict = json!({"profile": "strict", "write": [outside.path()]});
    let steps = [
        with(shell("first", script), named(json!("standard"))),
        with(shell("second", script), named(json!("standard"))),
        with(shell("third", script), named(strict.clone())),
        with(shell("fourth", script), named(strict)),
    ];
    fixture.define(&workflow(&steps));
    let mut command = fixture.q(["run", "workflow.json", "--json"]);
    command.env("HOME", outside.path().join("user"));
    let view = fixture.start(command).finish().exits(0).json();
    for id in ["first", "second", "third", "fourth"] {
        assert_eq!(outputs(&view, id)["stdout"], ".:\nuser\n\nuser:\n.config\n.ssh\n", "{id}");
    }
    assert_eq!(fs::read(outside.path().join("user/.ssh/id")).expect("it is where it was"), b"private\n");
}

#[test]
fn the_program_cannot_be_replaced_with_the_folder_in_which_it_lies() {
    let fixture = Fixture::new();
    let outside = outside(&fixture);
    let bin = outside.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let q = bin.join("q");
    fs::hard_link(program::q(), &q).or_else(|_| fs::copy(program::q(), &q).map(drop)).expect("a copy of q");
    let size = fs::metadata(&q).expect("it is there").len();
    let script = "cd $OUTSIDE; mv bin old 2>/dev/null && mkdir bin && echo evil >bin/q; (echo evil >bin/q) 2>/dev/null; \
                  rm -f bin/q 2>/dev/null; mv bin/q bin/p 2>/dev/null; ls . bin; echo x >bin/other && rm bin/other && echo written";
    fixture.define(&workflow(&[with(shell("try", script), json!({"env": {"OUTSIDE": outside.path()}}))]));
    let mut command = fixture.command(&q);
    command.args(["workflow", "run", "workflow.json", "--json"]);
    let view = fixture.start(command).finish().exits(0).json();
    // Only q itself, and the way to it, are held.
    assert_eq!(outputs(&view, "try")["stdout"], ".:\nbin\n\nbin:\nq\nwritten\n");
    assert_eq!(fs::metadata(&q).expect("it is there").len(), size);
}

#[test]
fn other_mounts_of_cgroups_and_of_the_machine_are_hidden() {
    if !is_root() {
        wait::skip("mounting needs root; tests/vm.rs has uid 1000");
        return;
    }
    let fixture = Fixture::new();
    let outside = outside(&fixture);
    for folder in ["cgroup", "proc"] {
        fs::create_dir(outside.path().join(folder)).expect("a folder");
    }
    let script =
        "cd $OUTSIDE; ls cgroup proc; (echo $$ >cgroup/cgroup.procs) 2>/dev/null && echo moved; true";
    fixture.define(&workflow(&[with(shell("look", script), json!({"env": {"OUTSIDE": outside.path()}}))]));
    // In a namespace of mounts that ends with this run.
    let mut command = fixture.command("unshare");
    command.args(["-m", "sh", "-c"]);
    command.arg(
        "mount -t cgroup2 none $OUTSIDE/cgroup && mount -t proc none $OUTSIDE/proc || exit 77; \
         exec $Q workflow run workflow.json --json",
    );
    command.env("OUTSIDE", outside.path()).env("Q", program::q());
    let finished = fixture.start(command).finish();
    if finished.code == 77 {
        wait::skip("this host mounts no cgroup v2");
        return;
    }
    let view = finished.exits(0).json();
    assert_eq!(outputs(&view, "look")["stdout"], "cgroup:\n\nproc:\n", "{view:#}");
}

/// Names of steps become names of folders and variables, and never paths.
#[test]
fn a_name_leads_nowhere() {
    let fixture = Fixture::new();
    for name in ["cgroup.procs", "..", ".", "a/b", "../../x", "", "ünï", "a b", "-", &"x".repeat(300)] {
        fixture.define(&workflow(&[shell(name, "true")]));
        let finished = fixture.workflow(["validate", "workflow.json", "--json"]).exits(3);
        assert!(finished.stdout.contains("\"E016\""), "{name:?}: {}", finished.stdout);
    }
    assert_eq!(fixture.run_ids(), <[String; 0]>::default());
    let longest = "x".repeat(64);
    for name in ["cgroup_procs", "init", "q", &longest] {
        let view = fixture.run(&workflow(&[shell(name, "echo $WORKFLOW_STEP_ID")])).exits(0).json();
        assert_eq!(outputs(&view, name)["stdout"], format!("{name}\n"));
    }
}
