//! How long it takes from the order to kill a tree of live processes, none of which ends by itself, to a leaf that is
//! gone: by q, and by a plain program that does nothing else (`cgroup.kill`, wait for each, `rmdir`). Fresh leaves.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    poll::{PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

/// Trees that are killed of each size.
const ROUNDS: usize = 100;
/// Nothing here takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures trees of 100 and 200 processes and prints the table.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn measure(q: &Path) -> Result<()> {
    let mount = mount().context("no cgroup v2 is mounted")?;
    println!("| live processes | killed by | p50 ms | p99 ms |");
    println!("|---:|---|---:|---:|");
    for count in [100, 200] {
        let rounds =
            |one: &dyn Fn() -> Result<Duration>| (0..ROUNDS).map(|_| one()).collect::<Result<Vec<_>>>();
        for (name, times) in [
            ("a plain program", rounds(&|| plain(&mount, count))?),
            ("q", rounds(&|| by_q(q, &mount, count))?),
        ] {
            let mut millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
            millis.sort_by(f64::total_cmp);
            println!("| {count} | {name} | {:.1} | {:.1} |", millis[ROUNDS / 2], millis[ROUNDS * 99 / 100]);
        }
    }
    Ok(())
}

/// Kills processes of our own in a leaf of our own.
fn plain(mount: &Path, count: usize) -> Result<Duration> {
    let leaf = mount.join(format!("q-bench-{}", std::process::id()));
    fs::create_dir(&leaf)?;
    let mut children = (0..count).map(|_| sleeper(&leaf)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    write(&leaf.join("cgroup.kill"), "1")?;
    for child in &mut children {
        child.wait()?;
    }
    until(|| fs::remove_dir(&leaf).is_ok())?;
    Ok(began.elapsed())
}

fn sleeper(leaf: &Path) -> Result<Child> {
    let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn()?;
    write(&leaf.join("cgroup.procs"), &child.id().to_string())?;
    Ok(child)
}

/// Kills a step: asked to stop, it does not; the second signal kills at once.
fn by_q(q: &Path, mount: &Path, count: usize) -> Result<Duration> {
    let dir = tempfile::Builder::new().prefix("q-kill").tempdir_in("/var/tmp")?;
    let command =
        format!("trap '' TERM INT; i=0; while [ $i -lt {count} ]; do sleep 600 & i=$((i+1)); done; wait");
    let step = json!({"id": "tree", "type": "skill", "skill": "shell", "inputs": {"command": command},
                      "grace": "60s"});
    let limits = json!({"pids": 1000});
    let workflow = json!({"name": "kill", "version": "1.0.0", "steps": [step], "resource_limits": limits});
    let file = dir.path().join("kill.json");
    File::create(&file)?.write_all(workflow.to_string().as_bytes())?;
    let mut engine = Command::new(q)
        .args(["workflow", "run", "--json", "--home"])
        .args([&dir.path().join("home"), &file])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(engine.id())?);
    let mut leaf = PathBuf::new();
    until(|| match leaf_with(mount, engine.id(), count) {
        Some(found) => {
            leaf = found;
            true
        }
        None => false,
    })?;
    kill(pid, Signal::SIGINT)?;
    // Two signals at once are one.
    pause(100);
    ensure!(leaf_with(mount, engine.id(), count).is_some(), "the tree ended when it was asked to");
    let began = Instant::now();
    kill(pid, Signal::SIGINT)?;
    until(|| !leaf.exists())?;
    let took = began.elapsed();
    engine.wait()?;
    Ok(took)
}

/// The leaf of this engine in which so many processes live.
fn leaf_with(mount: &Path, engine: u32, count: usize) -> Option<PathBuf> {
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(&format!("-{engine}-")))
    };
    let tree = fs::read_dir(mount).ok()?.flatten().map(|entry| entry.path()).find(named)?;
    let leaves = fs::read_dir(tree).ok()?.flatten().map(|entry| entry.path());
    let lives = |leaf: &PathBuf| {
        fs::read_to_string(leaf.join("cgroup.procs")).is_ok_and(|procs| procs.lines().count() > count)
    };
    leaves.into_iter().find(lives)
}

/// Where cgroup v2 is mounted: mountinfo(5).
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

fn until(mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        ensure!(Instant::now() < deadline, "it does not come");
        pause(1);
    }
    Ok(())
}

/// Waits for nothing but the time.
fn pause(millis: u8) {
    // A signal makes it shorter, which does no harm.
    let _shorter = poll(&mut [], PollTimeout::from(millis));
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}
