//! Death of the engine or of the launcher: nothing outlives it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::harness::{Attempt, Engine, Order, pids, trial, until};

/// All must be dead by then, says the contract.
const MOST: Duration = Duration::from_secs(2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("engine_gone_means_all_gone", engine_gone_means_all_gone),
        trial("engine_gone_takes_leaves_of_the_dead", engine_gone_takes_leaves_of_the_dead),
        trial("launcher_killed_means_children_dead", launcher_killed_means_children_dead),
        trial("terminal_signals_do_not_reach_the_launcher", terminal_signals_do_not_reach_the_launcher),
    ]
}

/// Trees of three sessions, deaf to SIGTERM.
fn deep(engine: &mut Engine, change: fn(Order) -> Order) -> Attempt {
    let line = "trap '' TERM; setsid sh -c 'setsid sleep 600 & sleep 600' & \
                until [ $(cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 600') -ge 1 ]; do :; done; \
                echo ready; sleep 600";
    let mut attempt = engine.birth(change(engine.shell(line)));
    attempt.says("ready");
    attempt
}

fn leaves(attempts: &[Attempt]) -> Vec<PathBuf> {
    attempts.iter().filter_map(|attempt| attempt.leaf.clone()).collect()
}

fn engine_gone_means_all_gone(engine: &mut Engine) {
    let mut attempts: Vec<_> = (0..5).map(|_| deep(engine, |order| order)).collect();
    attempts.push(deep(engine, Order::unconfined));
    let leaves = leaves(&attempts);
    assert_eq!(leaves.len(), 6);
    let start = Instant::now();
    engine.hang_up();
    assert!(until(|| engine.launcher.try_wait().expect("wait").is_some()));
    assert!(start.elapsed() < MOST, "{:?}", start.elapsed());
    let kept: Vec<_> = leaves.iter().filter(|leaf| leaf.exists()).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

/// The profile `none` leaves its daemons alive; when the engine dies before it has ended them, the launcher
/// still knows where they are.
fn engine_gone_takes_leaves_of_the_dead(engine: &mut Engine) {
    let line = "setsid sleep 600 < /dev/null > /dev/null 2>&1 & exit 0";
    let attempt = engine.birth(engine.shell(line).unconfined());
    let leaf = attempt.leaf.clone().expect("a leaf");
    engine.finish(attempt);
    assert_eq!(pids(&leaf).len(), 1);
    engine.hang_up();
    assert!(until(|| engine.launcher.try_wait().expect("wait").is_some()));
    assert!(!leaf.exists());
}

fn launcher_killed_means_children_dead(engine: &mut Engine) {
    let attempts: Vec<_> = (0..3).map(|_| deep(engine, |order| order)).collect();
    let unconfined = engine.birth(engine.program(&["sleep", "600"]).unconfined());
    let start = Instant::now();
    engine.launcher.kill().expect("it lives");
    assert!(attempts.iter().chain([&unconfined]).all(Attempt::dies));
    let is_empty = |leaf: &Path| pids(leaf).is_empty();
    assert!(leaves(&attempts).iter().all(|leaf| until(|| is_empty(leaf))));
    assert!(start.elapsed() < MOST, "{:?}", start.elapsed());
}

fn terminal_signals_do_not_reach_the_launcher(engine: &mut Engine) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(engine.launcher.id()).expect("a pid"));
    assert_eq!(nix::unistd::getsid(Some(pid)), Ok(pid));
}
