//! What an engine left in the cgroup v2 hierarchy.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// How far below the mount engines' trees are looked for.
const DEPTH: usize = 8;

/// The trees that engines with one of these pids made and did not remove: `q-<boot>-<pid>-<nonce>`.
pub fn left_by(pids: &[u32]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Some(mount) = mount() {
        collect(&mount, pids, DEPTH, &mut found);
    }
    found
}

/// Removes a tree of empty cgroups.
pub fn remove(tree: &Path) {
    if let Ok(entries) = fs::read_dir(tree) {
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            remove(&entry.path());
        }
    }
    // One that is not empty stays, and is seen by the next look.
    drop(fs::remove_dir(tree));
}

/// Where cgroup v2 is mounted.
pub fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        // mountinfo(5): the mount point is the fifth field, the type the first one after " - ".
        let (before, after) = line.split_once(" - ")?;
        (after.split(' ').next() == Some("cgroup2")).then(|| before.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn collect(directory: &Path, pids: &[u32], depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if is_tree_of(&entry.file_name().to_string_lossy(), pids) {
            found.push(entry.path());
        } else if depth > 0 {
            collect(&entry.path(), pids, depth - 1, found);
        }
    }
}

fn is_tree_of(name: &str, pids: &[u32]) -> bool {
    name.starts_with("q-")
        && name.rsplit('-').nth(1).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid))
}
