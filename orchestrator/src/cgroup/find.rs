//! Finding a cgroup below which ours may stand: the base named on the command line, the engine's own
//! cgroup, or the root of a v2 mount. What was passed over is said in a note.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    sys::statfs::{CGROUP2_SUPER_MAGIC, statfs},
    unistd::{AccessFlags, access},
};

use super::{
    Controllers, Error,
    files::Files,
    mounts::{below, own_path, v2_mount},
};

/// A cgroup below which ours may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Its directory.
    pub path: PathBuf,
    /// The controllers that its children have.
    pub controllers: Controllers,
    /// What the host lacks, for the run's record.
    pub notes: Vec<String>,
}

/// Finds the base. `None` in the place of a base: no v2 tree is usable; the notes say why.
pub fn find(given: Option<&Path>) -> Result<(Option<Base>, Vec<String>), Error> {
    if let Some(path) = given {
        return Ok((Some(given_base(path)?), Vec::new()));
    }
    let mut notes = Vec::new();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(mount) = v2_mount(&mounts) else {
        notes.push(
            "no cgroup v2 hierarchy is mounted: a step's tree is ended by its pid namespace".to_owned(),
        );
        return Ok((None, notes));
    };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(own) = own_path(&own).and_then(|own| below(&mount, own)) else {
        notes.push("the engine's own cgroup is outside the mounted hierarchy".to_owned());
        return Ok((None, notes));
    };
    if !writable(&own) {
        notes.push(format!(
            "the cgroup {} is not writable: run under `systemd-run --user --scope -p Delegate=yes`",
            own.display()
        ));
        return Ok((None, notes));
    }
    let base = if is_root(&own) { root_base(own) } else { own_base(own) }?;
    Ok((Some(base), notes))
}

/// A base that was named is ours to configure.
fn given_base(path: &Path) -> Result<Base, Error> {
    let bad = |why: String| Error::Base { path: path.to_owned(), why };
    let path = fs::canonicalize(path).map_err(|error| bad(error.to_string()))?;
    let kind = statfs(&path).map_err(|error| bad(error.to_string()))?.filesystem_type();
    if kind != CGROUP2_SUPER_MAGIC {
        return Err(bad("it is not in a cgroup v2 file system".to_owned()));
    }
    if !writable(&path) {
        return Err(bad("it is not writable".to_owned()));
    }
    enable_controllers(path)
}

/// The engine's own cgroup. Children with controllers need it to be empty: the engine moves itself into
/// `supervisor/`, if nobody else lives here.
fn own_base(path: PathBuf) -> Result<Base, Error> {
    let procs = Files(&path).read("cgroup.procs")?;
    let me = std::process::id().to_string();
    let alone = procs.lines().all(|pid| pid == me);
    if !alone || !writable(&path.join("cgroup.procs")) || !writable(&path.join("cgroup.subtree_control")) {
        let note = format!(
            "other processes live in the cgroup {}: it gives no controllers; run under \
             `systemd-run --user --scope -p Delegate=yes`, or name an empty one with --cgroup-base",
            path.display()
        );
        return Ok(Base { path, controllers: Controllers::default(), notes: vec![note] });
    }
    let supervisor = path.join("supervisor");
    match fs::create_dir(&supervisor) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(Error::Create { path: supervisor, source }),
    }
    Files(&supervisor).write("cgroup.procs", &me)?;
    enable_controllers(path)
}

/// The root of a hierarchy belongs to the machine: it is taken as it is.
fn root_base(path: PathBuf) -> Result<Base, Error> {
    let controllers = Controllers::parse(&Files(&path).read("cgroup.subtree_control")?);
    let notes = missing_notes(&path, controllers);
    Ok(Base { path, controllers, notes })
}

/// Gives the children of a cgroup that is ours every controller that it has itself.
fn enable_controllers(path: PathBuf) -> Result<Base, Error> {
    let available = Controllers::parse(&Files(&path).read("cgroup.controllers")?);
    for name in available.names() {
        // One at a time: a controller that cannot be enabled must not take the others with it. What is
        // really there is read back below.
        let _refused = Files(&path).write("cgroup.subtree_control", &format!("+{name}"));
    }
    let controllers = Controllers::parse(&Files(&path).read("cgroup.subtree_control")?);
    let notes = missing_notes(&path, controllers);
    Ok(Base { path, controllers, notes })
}

fn missing_notes(path: &Path, has: Controllers) -> Vec<String> {
    let wanted = [
        (has.memory, "memory", "memory limits"),
        (has.cpu, "cpu", "CPU shares"),
        (has.pids, "pids", "limits on the number of processes"),
        (has.io, "io", "limits on disk bandwidth"),
    ];
    let missing = wanted.iter().filter(|(has, _, _)| !has);
    missing
        .map(|(_, name, what)| {
            format!(
                "the cgroup {} has no `{name}` controller: {what} are not held by the kernel",
                path.display()
            )
        })
        .collect()
}

/// Only a root has no `cgroup.type`... and no `cgroup.events` (cgroup-v2.rst: "exists on non-root cgroups").
fn is_root(path: &Path) -> bool {
    !path.join("cgroup.events").exists()
}

fn writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}
