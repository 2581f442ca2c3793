//! Finding a cgroup below which ours may stand: the base named on the command line, the engine's own cgroup, a scope
//! that systemd gives, or a v2 tree without controllers. What was passed over is said, and how it is mended.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nix::{
    errno::Errno,
    sys::statfs::{CGROUP2_SUPER_MAGIC, statfs},
    unistd::{AccessFlags, access},
};

use super::{
    Controllers, Error,
    files::Files,
    mounts::{below, own_path, v2_mount},
    systemd,
};

/// The cgroup into whose `supervisor/` this process has moved itself. It does so once: whoever looks again in its
/// lifetime finds the same.
static MOVED: OnceLock<PathBuf> = OnceLock::new();

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

/// Why a place was passed over, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Miss {
    /// There is no v2 hierarchy.
    #[error("no cgroup v2 hierarchy is mounted: a step's tree is ended by its pid namespace")]
    NotMounted,
    /// What is mounted is another part of the hierarchy.
    #[error(
        "the engine's own cgroup is outside the mounted hierarchy: give it a cgroup namespace of its own"
    )]
    Outside,
    /// Containers have it so.
    #[error(
        "the cgroup file system is read-only: run the container with `--security-opt writable-cgroups=true`"
    )]
    ReadOnly,
    /// It belongs to somebody else.
    #[error("the cgroup {} is not writable", .0.display())]
    NotWritable(PathBuf),
    /// A cgroup with processes gives no controllers to its children (cgroup-v2.rst, "No Internal Process Constraint").
    #[error("other processes live in the cgroup {}: it gives no controllers", .0.display())]
    Shared(PathBuf),
    /// systemd gives no scope.
    #[error(transparent)]
    Systemd(#[from] systemd::Error),
}

/// Finds the base, and what was passed over before a worse one was taken, or none. A scope that systemd is asked for
/// has `name` in its own.
pub fn find(given: Option<&Path>, name: &str) -> Result<(Option<Base>, Vec<Miss>), Error> {
    if let Some(path) = given {
        return Ok((Some(given_base(path)?), Vec::new()));
    }
    let mut misses = Vec::new();
    match own()? {
        Ok(base) => return Ok((Some(base), misses)),
        // A scope would stand where nobody sees it.
        Err(miss @ (Miss::NotMounted | Miss::Outside)) => return Ok((None, vec![miss])),
        Err(miss) => misses.push(miss),
    }
    match systemd::enter_scope(name) {
        Ok(()) => match own()? {
            Ok(base) => return Ok((Some(base), Vec::new())),
            Err(miss) => misses.push(miss),
        },
        Err(error) => misses.push(Miss::Systemd(error)),
    }
    // Trees in it are ended at once all the same.
    let shared = misses.iter().rev().find_map(|miss| match miss {
        Miss::Shared(path) => Some(path.clone()),
        Miss::NotMounted | Miss::Outside | Miss::ReadOnly | Miss::NotWritable(_) | Miss::Systemd(_) => None,
    });
    let base = shared.map(|path| Base { path, controllers: Controllers::default(), notes: Vec::new() });
    Ok((base, misses))
}

/// Makes room in this process's own cgroup, where it is ours alone, for the trees of engines that it will start: the
/// base that they are to be given. `None`: they look for themselves.
pub fn settle() -> Result<Option<PathBuf>, Error> {
    let _none_or_the_root = own()?;
    Ok(MOVED.get().cloned())
}

/// The cgroup of this process, where it is ours alone: this process moves itself into `supervisor/` in it. Or the root
/// of the hierarchy.
fn own() -> Result<Result<Base, Miss>, Error> {
    if let Some(path) = MOVED.get() {
        return enable_controllers(path.clone()).map(Ok);
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(mount) = v2_mount(&mounts) else { return Ok(Err(Miss::NotMounted)) };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(own) = own_path(&own).and_then(|own| below(&mount, own)) else {
        return Ok(Err(Miss::Outside));
    };
    if access(&own, AccessFlags::W_OK) == Err(Errno::EROFS) {
        return Ok(Err(Miss::ReadOnly));
    }
    let files = ["cgroup.procs", "cgroup.subtree_control"];
    if !writable(&own) || !files.iter().all(|file| writable(&own.join(file))) {
        return Ok(Err(Miss::NotWritable(own)));
    }
    if is_root(&own) {
        return root_base(own).map(Ok);
    }
    let me = std::process::id().to_string();
    if Files(&own).read("cgroup.procs")?.lines().any(|pid| pid != me) {
        return Ok(Err(Miss::Shared(own)));
    }
    move_into_supervisor(&own, &me)?;
    enable_controllers(MOVED.get_or_init(|| own).clone()).map(Ok)
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

/// Children with controllers need their parent to be empty.
fn move_into_supervisor(own: &Path, me: &str) -> Result<(), Error> {
    let supervisor = own.join("supervisor");
    match fs::create_dir(&supervisor) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(Error::Create { path: supervisor, source }),
    }
    Files(&supervisor).write("cgroup.procs", me)
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
