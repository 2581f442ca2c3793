//! What a run would get of cgroup v2, found by doing what a run does: a tree is made below the base, a leaf in
//! it, limits are written and read back, a child is born. All of it is removed again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use schemas::{
    exit_code::ExitCode,
    output::doctor::{Cgroup, CgroupMode},
};

use crate::{
    cgroup::{self, Base, Controllers, Leaf, Limits, Miss, Tree},
    cli::output::engine_error,
    errors::{CommandError, Result, in_one_line},
    launcher::{self, Ready, Setup},
};

/// How long the launcher may take to end.
const LAUNCHER_GOES: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// For the report.
    pub(super) cgroup: Cgroup,
    /// Limits that were written and read back.
    pub(super) held: Controllers,
    /// Where the base stands.
    pub(super) place: Place,
    /// What was passed over before it.
    pub(super) misses: Vec<Miss>,
    /// The same in words, and what it lacks.
    pub(super) notes: Vec<String>,
    /// What births lack.
    pub(super) births: Vec<String>,
}

/// Where the base stands; that decides how more of it is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// There is none that can be used.
    Nowhere,
    /// The root of the hierarchy.
    Root,
    /// A cgroup that was named, or the engine's own.
    Own,
}

pub(super) fn examine(given: Option<&Path>) -> Result<Found> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = cgroup::v2_mount(&mountinfo);
    let (base, misses) = cgroup::find(given, "doctor")
        .map_err(|error| CommandError::from_error(ExitCode::Isolation, &error))?;
    let mut notes: Vec<_> = misses.iter().map(|miss| in_one_line(miss)).collect();
    let tree = base.as_ref().and_then(|base| {
        notes.extend(base.notes.iter().cloned());
        make_tree(base).map_err(|error| notes.push(error.to_string())).ok()
    });
    let leaf = tree.as_ref().and_then(|tree| tree.leaf("doctor").ok());
    let controllers = base.as_ref().map(|base| base.controllers).unwrap_or_default();
    let has = |file: &str| leaf.as_ref().is_some_and(|leaf| leaf.path().join(file).exists());
    let found = Cgroup {
        mode: mode(&mountinfo),
        mount: mount.as_deref().map(text),
        base: base.as_ref().map(|base| text(&base.path)),
        controllers: controllers.names().into_iter().map(str::to_owned).collect(),
        delegated: leaf.is_some(),
        kill: has("cgroup.kill"),
        freeze: has("cgroup.freeze"),
    };
    let held = leaf.as_ref().map(|leaf| held(leaf, controllers)).unwrap_or_default();
    let place = match &base {
        None => Place::Nowhere,
        // Only a root has no events (cgroup-v2.rst: "exists on non-root cgroups").
        Some(base) if !base.path.join("cgroup.events").exists() => Place::Root,
        Some(_) => Place::Own,
    };
    let births = births(leaf.as_ref())?;
    remove(leaf, tree);
    Ok(Found { cgroup: found, held, place, misses, notes, births })
}

/// Which hierarchies are mounted, by the types of file systems (proc(5), mountinfo).
fn mode(mountinfo: &str) -> CgroupMode {
    let (mut v1, mut v2) = (false, false);
    for kind in cgroup::types(mountinfo) {
        v1 |= kind == "cgroup";
        v2 |= kind == "cgroup2";
    }
    match (v1, v2) {
        (false, true) => CgroupMode::Unified,
        (true, true) => CgroupMode::Hybrid,
        (true, false) => CgroupMode::Legacy,
        (false, false) => CgroupMode::None,
    }
}

fn make_tree(base: &Base) -> std::result::Result<Tree, cgroup::Error> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Tree::create(base, boot.get(..8).unwrap_or("boot"), "doctor")
}

/// Which limits a leaf takes: each is written and read back as for an attempt.
fn held(leaf: &Leaf, controllers: Controllers) -> Controllers {
    let holds = |limits: Limits| leaf.set_limits(&limits, controllers).is_ok();
    Controllers {
        memory: controllers.memory && holds(Limits { memory: Some(64 << 20), ..Limits::default() }),
        cpu: controllers.cpu && holds(Limits { cpu_millis: Some(500), ..Limits::default() }),
        pids: controllers.pids && holds(Limits { pids: Some(512), ..Limits::default() }),
        // On which disk is known only of a step.
        io: controllers.io && leaf.path().join("io.max").exists(),
    }
}

/// What the launcher lacks for the birth of a step with the default sandbox.
fn births(leaf: Option<&Leaf>) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| engine_error(&error))?;
    let probe = leaf.map(|leaf| leaf.path().to_owned());
    let local = tokio::task::LocalSet::new();
    let ready = local.block_on(&runtime, ask(probe)).map_err(|error| engine_error(&error))?;
    Ok(ready.notes)
}

async fn ask(probe: Option<PathBuf>) -> std::result::Result<Ready, launcher::Error> {
    let (requests, ready, line) = launcher::start(&Setup::standard(probe))?.ready(None)?;
    drop(requests);
    // It ends when its socket closes; one that does not is no reason to wait for ever.
    let _bounded = tokio::time::timeout(LAUNCHER_GOES, line).await;
    Ok(ready)
}

fn remove(leaf: Option<Leaf>, tree: Option<Tree>) {
    if let Some(leaf) = leaf {
        // One that is still busy goes with the tree, or with the next sweep.
        let _busy = leaf.remove();
    }
    if let Some(tree) = tree {
        tree.remove();
    }
}

/// A path without a slash at its end.
fn text(path: &Path) -> String {
    path.components().collect::<PathBuf>().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(types: &[&str], expected: CgroupMode) {
        let line = |kind: &&str| format!("30 25 0:26 / /x rw shared:1 - {kind} none rw\n");
        assert_eq!(mode(&types.iter().map(line).collect::<String>()), expected);
    }

    #[test]
    fn the_mode_is_what_is_mounted() {
        check(&["ext4", "cgroup2"], CgroupMode::Unified);
        check(&["cgroup", "cgroup2", "cgroup"], CgroupMode::Hybrid);
        check(&["cgroup", "tmpfs"], CgroupMode::Legacy);
        check(&["ext4"], CgroupMode::None);
        check(&[], CgroupMode::None);
    }
}
