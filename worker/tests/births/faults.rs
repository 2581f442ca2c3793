//! Births that cannot succeed: each is told by its stage and leaves nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ipc::message::{BirthKind, Seccomp, Stage, WaitStatus, Work};
use libtest_mimic::Trial;
use nix::libc;

use crate::harness::{Engine, Order, Wanted, kill, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("programs_that_cannot_be_executed", programs_that_cannot_be_executed),
        trial("path_is_searched", path_is_searched),
        trial("bad_working_directory", bad_working_directory),
        trial("hidden_working_directory", hidden_working_directory),
        trial("bad_mounts", bad_mounts),
        trial("bad_leaf", bad_leaf),
        trial("bad_requests", bad_requests),
        trial("bad_tasks", bad_tasks),
        trial("gated_birth", gated_birth),
        trial("a_killed_leaf_is_found_out", a_killed_leaf_is_found_out),
        trial("without_a_leaf", without_a_leaf),
    ]
}

#[track_caller]
fn check(engine: &mut Engine, order: Order, expected: (Stage, i32)) {
    let attempt = engine.birth(order);
    let leaf = attempt.leaf.clone().expect("a leaf");
    let outcome = engine.finish(attempt);
    assert_eq!(outcome.failed_at(), expected);
    fs::remove_dir(leaf).expect("nothing is in it");
}

/// A file with this text and mode, in a directory that everybody may enter.
fn file(directory: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = directory.join(name);
    File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    path.to_str().expect("text").to_owned()
}

fn programs_that_cannot_be_executed(engine: &mut Engine) {
    let root = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let no_shebang = file(root.path(), "no-shebang", "echo hello\n", 0o755);
    let no_mode = file(root.path(), "no-mode", "#!/bin/sh\n", 0o644);
    let no_interpreter = file(root.path(), "no-interpreter", "#!/no/such/interpreter\n", 0o755);
    let directory = root.path().to_str().expect("text").to_owned();
    let huge = "x".repeat(200_000);
    for (argv, errno) in [
        (vec!["no-such-program"], libc::ENOENT),
        (vec!["/no/such/program"], libc::ENOENT),
        (vec!["./no-such-program"], libc::ENOENT),
        (vec![no_shebang.as_str()], libc::ENOEXEC),
        (vec![no_mode.as_str()], libc::EACCES),
        (vec![no_interpreter.as_str()], libc::ENOENT),
        (vec![directory.as_str()], libc::EACCES),
        (vec!["true", huge.as_str()], libc::E2BIG),
    ] {
        check(engine, engine.program(&argv), (Stage::Exec, errno));
        check(engine, engine.program(&argv).unconfined(), (Stage::Exec, errno));
    }
}

fn path_is_searched(engine: &mut Engine) {
    let root = tempfile::tempdir_in("/var/tmp").expect("a directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::create_dir(root.path().join("shadow")).expect("a directory");
    fs::create_dir(root.path().join("shadow/tool")).expect("a directory");
    fs::create_dir(root.path().join("real")).expect("a directory");
    file(&root.path().join("real"), "tool", "#!/bin/sh\necho found\n", 0o755);
    file(&root.path().join("real"), "locked", "#!/bin/sh\n", 0o644);
    let path = format!("/no/such:{0}/shadow:{0}/real", root.path().display());
    let with_path = |order: Order| order.with(|birth| birth.env = vec![("PATH".into(), path.clone())]);
    let outcome = engine.run(with_path(engine.program(&["tool"])));
    assert_eq!(outcome.output(), "found\n");
    check(engine, with_path(engine.program(&["locked"])), (Stage::Exec, libc::EACCES));
    check(engine, with_path(engine.program(&["sh"])), (Stage::Exec, libc::ENOENT));
    let outcome = engine.run(engine.program(&["true"]).with(|birth| birth.env.clear()));
    assert_eq!(outcome.output(), "");
}

fn bad_working_directory(engine: &mut Engine) {
    for (cwd, errno) in [("/no/such/directory", libc::ENOENT), ("/etc/passwd", libc::ENOTDIR)] {
        let order = engine.program(&["true"]).with(|birth| birth.cwd = cwd.into());
        check(engine, order, (Stage::Cwd, errno));
    }
}

fn hidden_working_directory(engine: &mut Engine) {
    let root = tempfile::tempdir_in("/tmp").expect("a directory");
    let order =
        engine.program(&["true"]).with(|birth| birth.cwd = root.path().to_str().expect("text").into());
    check(engine, order, (Stage::Cwd, libc::ENOENT));
}

fn bad_mounts(engine: &mut Engine) {
    let order =
        engine.program(&["true"]).with(|birth| birth.sandbox.keep_visible = vec!["/tmp/no-such".into()]);
    check(engine, order, (Stage::Mounts, libc::ENOENT));
}

#[track_caller]
fn check_unborn(engine: &mut Engine, order: Order, expected: (Stage, i32)) {
    assert_eq!(engine.try_birth(order).map(|_| ()), Err(expected));
    assert_eq!(engine.children_of_launcher(), "");
}

fn bad_leaf(engine: &mut Engine) {
    let leaf =
        |engine: &Engine, leaf: &str| engine.program(&["true"]).with(|birth| birth.leaf = Some(leaf.into()));
    check_unborn(engine, leaf(engine, "/no/such/leaf"), (Stage::Leaf, libc::ENOENT));
    check_unborn(engine, leaf(engine, "/etc/passwd"), (Stage::Leaf, libc::ENOTDIR));
    // A directory that is no cgroup.
    check_unborn(engine, leaf(engine, "/etc"), (Stage::Clone, libc::EBADF));
    assert_eq!(engine.run(engine.shell("echo next")).output(), "next\n");
}

fn bad_requests(engine: &mut Engine) {
    let descriptors = engine.descriptors_of_launcher();
    let changes: [fn(&mut Wanted); 3] = [
        |wanted| wanted.leaf = Some("relative".into()),
        |wanted| wanted.sandbox.namespaces = false,
        |wanted| wanted.sandbox.seccomp = Seccomp::Memory,
    ];
    for change in changes {
        check_unborn(engine, engine.program(&["true"]).with(change), (Stage::Request, libc::EINVAL));
    }
    assert!(until(|| engine.descriptors_of_launcher() == descriptors));
}

fn bad_tasks(engine: &mut Engine) {
    let changes: [fn(&mut Wanted); 9] = [
        |wanted| wanted.work = Work::Program { argv: vec![] },
        |wanted| wanted.work = Work::Program { argv: vec![String::new()] },
        |wanted| wanted.work = Work::Program { argv: vec!["a\0b".into()] },
        |wanted| wanted.env.push(("A=B".into(), "c".into())),
        |wanted| wanted.env.push(("A".into(), "c\0".into())),
        |wanted| wanted.cwd = "relative".into(),
        |wanted| wanted.cwd = "/a/../b".into(),
        |wanted| wanted.work_dir = Some("/var/tmp".into()),
        // Its init could not count what it leaves.
        |wanted| wanted.sandbox.mounts = false,
    ];
    for change in changes {
        check(engine, engine.program(&["true"]).with(change), (Stage::Request, libc::EINVAL));
    }
}

/// A birth inside a leaf never follows a link, the gate does: so a link to a leaf is one that only the gate
/// leads into, on every kernel.
fn gated_birth(engine: &mut Engine) {
    let root = tempfile::tempdir().expect("a directory");
    let link = root.path().join("leaf");
    let leaf = engine.tree.leaf();
    std::os::unix::fs::symlink(&leaf, &link).expect("a link");
    let ready = engine.set_up(Some(&link));
    assert_eq!((ready.birth, ready.namespaces, ready.notes.len()), (BirthKind::Gated, true, 1), "{ready:?}");
    fs::remove_dir(leaf).expect("the probe leaves nothing");

    let order = engine.program(&["cat", "/proc/self/cgroup"]).unconfined();
    let name = order.0.leaf.clone().expect("a leaf").rsplit_once("births-test-").expect("ours").1.to_owned();
    let outcome = engine.run(order);
    assert!(
        outcome.stdout.lines().any(|line| line.starts_with("0::") && line.ends_with(&name)),
        "{outcome:?}"
    );
    let order = engine.program(&["true"]).with(|birth| birth.leaf = Some("/no/such/leaf".into()));
    check_unborn(engine, order, (Stage::Leaf, libc::ENOENT));
}

/// Kernel 6.18 kills a child at birth in a leaf that was ever killed; others do not. Either way it must be
/// known, and births go on.
fn a_killed_leaf_is_found_out(engine: &mut Engine) {
    let leaf = engine.tree.leaf();
    kill(&leaf);
    let ready = engine.set_up(Some(&leaf));
    assert!(matches!(ready.birth, BirthKind::IntoCgroup | BirthKind::Gated) && ready.namespaces, "{ready:?}");
    let order =
        engine.shell("echo alive").with(|birth| birth.leaf = Some(leaf.to_str().expect("text").into()));
    assert_eq!(engine.run(order).output(), "alive\n");
}

fn without_a_leaf(engine: &mut Engine) {
    let order = |engine: &Engine| engine.shell("exit 4").with(|birth| birth.leaf = None);
    assert_eq!(engine.run(order(engine)).leader(), (WaitStatus::Exited(4), 0));
    let ready = engine.set_up(None);
    assert_eq!((ready.birth, ready.namespaces, ready.notes.len()), (BirthKind::Plain, true, 0), "{ready:?}");
    assert_eq!(engine.run(order(engine)).leader(), (WaitStatus::Exited(4), 0));
    // Nothing runs outside of a leaf that it was given.
    check_unborn(engine, engine.shell("exit 4"), (Stage::Leaf, libc::ENOTSUP));
}
