//! What a child sees and may do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};

use ipc::limits::{Bytes, ProcessLimits};
use ipc::message::{Capabilities, Stage, UserNamespace, WaitStatus};
use libtest_mimic::Trial;

use crate::LIST_DESCRIPTORS;
use crate::harness::{Engine, Order, pids, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("child_is_in_its_leaf", child_is_in_its_leaf),
        trial("namespaces_are_own", namespaces_are_own),
        trial("user_namespace_maps_the_caller_to_itself", user_namespace_maps_the_caller_to_itself),
        trial("own_processes_only", own_processes_only),
        trial("leads_a_session", leads_a_session),
        trial("only_the_steps_descriptors_are_open", only_the_steps_descriptors_are_open),
        trial("events_are_descriptor_3", events_are_descriptor_3),
        trial("environment_is_exact", environment_is_exact),
        trial("privileges_are_low", privileges_are_low),
        trial("capabilities_of_each_choice", capabilities_of_each_choice),
        trial("capabilities_given_up_for_all", capabilities_given_up_for_all),
        trial("signals_are_at_their_default", signals_are_at_their_default),
        trial("limits_hold", limits_hold),
        trial("temporary_files_are_private", temporary_files_are_private),
        trial("temporary_files_are_bounded", temporary_files_are_bounded),
        trial("what_is_kept_visible_is_the_real_one", what_is_kept_visible_is_the_real_one),
        trial("init_cannot_be_touched", init_cannot_be_touched),
    ]
}

/// The status lines of `cat` itself.
fn status(engine: &mut Engine, change: impl FnOnce(Order) -> Order) -> BTreeMap<String, String> {
    let order = change(engine.program(&["cat", "/proc/self/status"]));
    let outcome = engine.run(order);
    let lines = outcome.stdout.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// Guards the clone3 flag that the libc crate has as 0.
fn child_is_in_its_leaf(engine: &mut Engine) {
    let order = engine.program(&["cat", "/proc/self/cgroup"]).unconfined();
    let leaf = order.0.leaf.clone().expect("a leaf");
    let name = leaf.rsplit_once("births-test-").expect("ours").1.to_owned();
    let outcome = engine.run(order);
    let line = outcome.stdout.lines().find(|line| line.starts_with("0::")).expect("v2").to_owned();
    assert!(line.ends_with(&name), "{line} is not {name}");

    // In a namespace of its own it is at the root, and sees no path of ours.
    let mut attempt = engine.birth(engine.shell("echo started; read line; cat /proc/self/cgroup"));
    let mut started = [0; 8];
    attempt.stdout.read_exact(&mut started).expect("it starts");
    assert_eq!(pids(attempt.leaf.as_deref().expect("a leaf")).len(), 2, "its init and the shell");
    let outcome = engine.finish(attempt);
    assert!(outcome.stdout.lines().any(|line| line == "0::/"), "{}", outcome.stdout);
}

fn namespaces_are_own(engine: &mut Engine) {
    let line = "for name in pid ipc uts mnt net; do readlink /proc/self/ns/$name; done";
    let outcome = engine.run(engine.shell(line));
    let theirs: Vec<&str> = outcome.output().lines().collect();
    let ours: Vec<String> = ["pid", "ipc", "uts", "mnt", "net"]
        .map(|name| fs::read_link(format!("/proc/self/ns/{name}")).expect("a link").display().to_string())
        .to_vec();
    let same: Vec<bool> = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs == ours).collect();
    assert_eq!(same, [false, false, false, false, true]);
    let unconfined = engine.run(engine.shell(line).unconfined());
    assert_eq!(unconfined.stdout.lines().collect::<Vec<_>>(), ours);
}

fn user_namespace_maps_the_caller_to_itself(engine: &mut Engine) {
    let order =
        engine.shell("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g; cd /tmp");
    let outcome = engine.run(order.with(|birth| birth.sandbox.user_namespace = UserNamespace::First));
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let words: Vec<&str> = outcome.output().split_whitespace().collect();
    let (uid, gid) = (uid.to_string(), gid.to_string());
    assert_eq!(words, [&uid, &uid, "1", &gid, &gid, "1", "deny", &uid, &gid]);
}

fn own_processes_only(engine: &mut Engine) {
    let outcome = engine.run(engine.shell("echo $$; cd /proc && echo [0-9]*"));
    assert_eq!(outcome.output(), "2\n1 2\n");
}

fn leads_a_session(engine: &mut Engine) {
    for change in [|order| order, Order::unconfined] {
        let order = change(engine.shell("read stat < /proc/$$/stat; echo $stat"));
        let outcome = engine.run(order);
        let (_, rest) = outcome.stdout.rsplit_once(')').expect("a name");
        let pid = outcome.stdout.split(' ').next().expect("a pid");
        let fields: Vec<&str> = rest.split_whitespace().collect();
        assert_eq!((fields[2], fields[3]), (pid, pid), "process group and session: {}", outcome.stdout);
    }
}

fn list_descriptors(engine: &mut Engine, change: impl FnOnce(Order) -> Order) -> String {
    let own = std::env::current_exe().expect("a path");
    let order = engine.program(&[own.to_str().expect("text"), LIST_DESCRIPTORS]);
    engine.run(change(order)).stdout
}

fn only_the_steps_descriptors_are_open(engine: &mut Engine) {
    // Others live at the same time, and the launcher has descriptors for each.
    let sleepers: Vec<_> = (0..3).map(|_| engine.birth(engine.program(&["sleep", "600"]))).collect();
    assert_eq!(list_descriptors(engine, |order| order), "0 1 2\n");
    assert_eq!(list_descriptors(engine, Order::unconfined), "0 1 2\n");
    let events = |order: Order| order.with(|birth| birth.events = true);
    assert_eq!(list_descriptors(engine, events), "0 1 2 3\n");
    assert_eq!(list_descriptors(engine, |order| events(order).unconfined()), "0 1 2 3\n");
    drop(sleepers);
}

fn events_are_descriptor_3(engine: &mut Engine) {
    let order = engine.shell("echo event >&3; cat; echo error >&2").with(|birth| birth.events = true);
    let mut attempt = engine.birth(order);
    attempt.stdin.take().expect("a pipe").write_all(b"input").expect("it reads");
    let mut events = attempt.events.take().expect("a pipe");
    let outcome = engine.finish(attempt);
    assert_eq!((outcome.output(), outcome.stderr.as_str()), ("input", "error\n"));
    let mut text = String::new();
    events.read_to_string(&mut text).expect("it ends");
    assert_eq!(text, "event\n");
}

fn environment_is_exact(engine: &mut Engine) {
    for change in [|order| order, Order::unconfined] {
        let order = engine.program(&["env"]).with(|birth| birth.env.push(("A".into(), "b = c".into())));
        let outcome = engine.run(change(order));
        assert_eq!(outcome.stdout, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\nA=b = c\n");
    }
}

fn privileges_are_low(engine: &mut Engine) {
    for change in [|order| order, Order::unconfined] {
        assert_eq!(status(engine, change)["NoNewPrivs"], "1");
    }
}

/// CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID are bits 0, 1, 3, 5, 6 and 7.
const KEPT: [(Capabilities, u64); 3] =
    [(Capabilities::Kept, u64::MAX), (Capabilities::Standard, 0xEB), (Capabilities::Dropped, 0)];

#[track_caller]
fn check_capabilities(engine: &mut Engine, choice: Capabilities, kept: u64) {
    let own = fs::read_to_string("/proc/self/status").expect("status");
    let own = |name: &str| {
        let line = own.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("hex")
    };
    let status = status(engine, |order| order.with(|birth| birth.sandbox.capabilities = choice));
    let set = |name: &str| u64::from_str_radix(&status[name], 16).expect("hex");
    assert_eq!((set("CapInh") & !kept, set("CapAmb")), (0, 0), "{choice:?}");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(set("CapBnd"), own("CapBnd") & kept, "{choice:?}");
        assert_eq!(set("CapPrm"), own("CapPrm") & kept, "{choice:?}");
        assert_eq!(set("CapEff"), own("CapEff") & kept, "{choice:?}");
    } else {
        assert_eq!(set("CapBnd") & !kept, 0, "{choice:?}");
        // Exec by a user who is not root leaves none of those that a user namespace gives.
        assert_eq!((set("CapPrm"), set("CapEff")), (0, 0), "{choice:?}");
    }
}

fn capabilities_of_each_choice(engine: &mut Engine) {
    for (choice, kept) in KEPT {
        check_capabilities(engine, choice, kept);
    }
}

fn capabilities_given_up_for_all(engine: &mut Engine) {
    engine.set_up_with(None, Capabilities::Standard);
    let leaf = engine.tree.leaf();
    engine.set_up(Some(&leaf));
    let order = engine.program(&["true"]).with(|birth| birth.sandbox.capabilities = Capabilities::Kept);
    assert_eq!(engine.try_birth(order).map(|_| ()), Err((Stage::Capabilities, nix::libc::EPERM)));
    for (choice, kept) in KEPT.into_iter().skip(1) {
        check_capabilities(engine, choice, kept);
    }
}

fn signals_are_at_their_default(engine: &mut Engine) {
    for change in [|order| order, Order::unconfined] {
        let status = status(engine, change);
        // glibc's posix_spawn leaves the two signals ignored that it uses itself, 32 and 33.
        let own_of_glibc = 0x1_8000_0000;
        for name in ["SigBlk", "SigIgn", "SigCgt"] {
            let set = u64::from_str_radix(&status[name], 16).expect("hex");
            assert_eq!(set & !own_of_glibc, 0, "{name}");
        }
    }
}

fn limits_hold(engine: &mut Engine) {
    let limits = ProcessLimits {
        open_files: Some(32),
        file_size: Some(Bytes(4096)),
        processes: Some(77),
        cpu_seconds: Some(1),
    };
    let order =
        engine.shell("ulimit -c; ulimit -Hc; ulimit -n; ulimit -t; awk '/^Max processes/ {print $3}' /proc/self/limits; cat /proc/self/limits | grep 'file size'");
    let outcome = engine.run(order.with(|birth| birth.limits = limits));
    let lines: Vec<&str> = outcome.output().lines().collect();
    assert_eq!(lines[..5], ["0", "0", "32", "1", "77"]);
    assert_eq!(lines[5].split_whitespace().collect::<Vec<_>>()[3..5], ["4096", "4096"]);

    // The init needs none for itself.
    let tight = ProcessLimits { open_files: Some(4), ..ProcessLimits::default() };
    let order = engine.shell("sleep 600 & exit 0").with(|birth| birth.limits = tight);
    assert_eq!(engine.run(order).leader(), (WaitStatus::Exited(0), 1));

    let order = engine.shell("while :; do :; done").with(|birth| birth.limits = limits);
    let outcome = engine.run(order);
    let status = WaitStatus::Signaled { signal: nix::libc::SIGXCPU, core_dumped: false };
    assert_eq!(outcome.leader(), (status, 0));
    assert!(outcome.usage.user_us + outcome.usage.system_us > 500_000, "{:?}", outcome.usage);
}

fn temporary_files_are_private(engine: &mut Engine) {
    let mark = format!("q-test-mark-{}", std::process::id());
    let line = format!(
        "set -e; for place in /tmp /dev/shm; do ls -A $place; echo x > $place/{mark}; stat -c %a $place; done"
    );
    let outcome = engine.run(engine.shell(&line));
    assert_eq!(outcome.output(), "1777\n1777\n");
    for place in ["/tmp", "/dev/shm"] {
        assert!(!std::path::Path::new(place).join(&mark).exists(), "{place}");
    }
}

fn temporary_files_are_bounded(engine: &mut Engine) {
    let order =
        engine.shell("head -c 2000000 /dev/zero > /tmp/big; stat -c %s /tmp/big; stat -f -c '%c' /tmp");
    let outcome = engine.run(order.with(|birth| birth.sandbox.tmp_size = Bytes(1 << 20)));
    assert_eq!(outcome.output(), "1048576\n16384\n");
    assert!(outcome.stderr.contains("No space left"), "{}", outcome.stderr);
}

fn what_is_kept_visible_is_the_real_one(engine: &mut Engine) {
    let root = tempfile::tempdir_in("/tmp").expect("a directory");
    let cwd = root.path().join("deep/er");
    fs::create_dir_all(&cwd).expect("a directory");
    for (name, content) in [("hidden", "no"), ("file", "yes")] {
        let file = fs::File::create(root.path().join(name));
        file.and_then(|mut file| file.write_all(content.as_bytes())).expect("a file");
    }
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let order =
        engine.shell("pwd; cat ../../file; echo made > made; ls -A ../..; stat -c %a ..").with(|birth| {
            birth.cwd = text(&cwd);
            birth.sandbox.keep_visible = vec![text(&root.path().join("file")), text(&cwd), "/usr".to_owned()];
        });
    let outcome = engine.run(order);
    assert_eq!(outcome.output(), format!("{}\nyesdeep\nfile\n755\n", text(&cwd)));
    assert_eq!(fs::read_to_string(cwd.join("made")).expect("it was written"), "made\n");
}

fn init_cannot_be_touched(engine: &mut Engine) {
    let line = "trap '' TERM; kill -9 1; kill -19 1; kill -15 1; cat /proc/1/environ > /dev/null && echo read; \
                ls -l /proc/1/fd > /dev/null 2>&1 && echo listed; (echo > /proc/1/mem) 2> /dev/null && echo wrote; \
                echo alive";
    let mut attempt = engine.birth(engine.shell(line));
    attempt.stdin = None;
    let leaf = attempt.leaf.clone().expect("a leaf");
    let outcome = engine.finish(attempt);
    assert_eq!(outcome.output(), "alive\n");
    assert!(pids(&leaf).is_empty());
}
