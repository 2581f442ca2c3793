//! Processes that are made before their task is known: they wait, do one task, and are no trouble if none comes.

use std::fs;
use std::path::Path;

use ipc::message::{Capabilities, FromWorker, Root, UserNamespace, WaitStatus};
use libtest_mimic::Trial;

use crate::harness::{Attempt, Engine, Order, kill, pids, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_process_waits_for_its_task", a_process_waits_for_its_task),
        trial("one_that_gets_no_task_goes", one_that_gets_no_task_goes),
        trial("one_that_waits_dies_with_the_launcher", one_that_waits_dies_with_the_launcher),
        trial("one_that_waits_can_be_killed", one_that_waits_can_be_killed),
        trial("its_own_directory_is_shown_at_last", its_own_directory_is_shown_at_last),
        trial("so_it_is_in_a_root_of_its_own", so_it_is_in_a_root_of_its_own),
    ]
}

/// A process with the sandbox of this order, which waits in its leaf.
fn waiting(engine: &mut Engine, order: &Order) -> Attempt {
    let idle = engine.idle(order.0.leaf.clone(), order.0.sandbox.clone()).expect("it is born");
    let leaf = idle.leaf.clone().expect("a leaf");
    assert!(until(|| pids(&leaf) == [idle.pid]));
    idle
}

fn a_process_waits_for_its_task(engine: &mut Engine) {
    let first = engine.shell("echo first; cat /proc/self/comm");
    let second = engine.shell("echo second");
    let mut waits = waiting(engine, &first);
    // Another one comes and goes meanwhile.
    assert_eq!(engine.run(second).output(), "second\n");
    waits.begin(first.0, None);
    assert_eq!(engine.finish(waits).output(), "first\ncat\n");

    let order = engine.builtin("json-parse", r#"{"data":"1"}"#);
    let mut waits = waiting(engine, &order);
    waits.begin(order.0, None);
    let outcome = engine.finish(waits);
    assert!(matches!(outcome.frames[..], [_, FromWorker::Result(_), FromWorker::LeaderExited { .. }]));
}

fn one_that_gets_no_task_goes(engine: &mut Engine) {
    for order in [engine.program(&["true"]), engine.builtin("echo", "{}")] {
        let mut waits = waiting(engine, &order);
        waits.dismiss();
        assert_eq!(engine.exited(&waits).0, WaitStatus::Exited(0));
        assert!(waits.next_frame().is_none());
        fs::remove_dir(waits.leaf.expect("a leaf")).expect("nothing is in it");
    }
}

fn one_that_waits_dies_with_the_launcher(engine: &mut Engine) {
    let order = engine.program(&["true"]);
    let waits = waiting(engine, &order);
    engine.launcher.kill().expect("it lives");
    assert!(waits.dies());
}

fn one_that_waits_can_be_killed(engine: &mut Engine) {
    let order = engine.program(&["true"]);
    let waits = waiting(engine, &order);
    kill(waits.leaf.as_ref().expect("a leaf"));
    assert_eq!(engine.exited(&waits).0, WaitStatus::Signaled { signal: 9, core_dumped: false });
}

/// A home with the directories of two attempts, which is hidden from them.
fn home(engine: &mut Engine) -> (tempfile::TempDir, Order) {
    let root = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let path = root.path().canonicalize().expect("it is there");
    for name in ["work/one", "work/other"] {
        fs::create_dir_all(path.join("home").join(name)).expect("a directory");
    }
    engine.set_up_hiding(None, Capabilities::Standard, &[&path.join("home")]);
    let work = path.join("home/work");
    let line =
        "cd \"$0\" && echo mine > file && ls /proc/self/cwd ..; ls ../..; touch ../x 2>/dev/null || echo no";
    let one = text(&work.join("one"));
    let order = engine.program(&["sh", "-c", line, &one]).with(|wanted| {
        wanted.leaf = None;
        wanted.work_dir = Some(one.clone());
        wanted.sandbox.work = Some(text(&work));
    });
    (root, order)
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

const SEEN: &str = "..:\none\n\n/proc/self/cwd:\nfile\nwork\nno\n";

fn its_own_directory_is_shown_at_last(engine: &mut Engine) {
    let (root, order) = home(engine);
    let mut waits = engine.idle(None, order.0.sandbox.clone()).expect("it is born");
    waits.begin(order.0, None);
    assert_eq!(engine.finish(waits).output(), SEEN);
    let written = root.path().join("home/work/one/file");
    assert_eq!(fs::read_to_string(written).expect("it wrote"), "mine\n");
}

fn so_it_is_in_a_root_of_its_own(engine: &mut Engine) {
    let (root, order) = home(engine);
    let order = order.with(|wanted| {
        let (read, write, hidden, empty) = Default::default();
        wanted.sandbox.root = Some(Root { read, write, hidden, empty });
        wanted.sandbox.capabilities = Capabilities::Dropped;
        if nix::unistd::geteuid().is_root() {
            wanted.sandbox.user_namespace = UserNamespace::Last;
        }
    });
    let mut waits = engine.idle(None, order.0.sandbox.clone()).expect("it is born");
    waits.begin(order.0, None);
    assert_eq!(engine.finish(waits).output(), SEEN);
    let written = root.path().join("home/work/one/file");
    assert_eq!(fs::read_to_string(written).expect("it wrote"), "mine\n");
}
