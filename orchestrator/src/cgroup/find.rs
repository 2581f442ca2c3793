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

use super::{Controllers, Error, write_control};

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
    let procs = read(&path.join("cgroup.procs"))?;
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
    write_control(&supervisor.join("cgroup.procs"), &me)?;
    enable_controllers(path)
}

/// The root of a hierarchy belongs to the machine: it is taken as it is.
fn root_base(path: PathBuf) -> Result<Base, Error> {
    let controllers = Controllers::parse(&read(&path.join("cgroup.subtree_control"))?);
    let notes = missing_notes(&path, controllers);
    Ok(Base { path, controllers, notes })
}

/// Gives the children of a cgroup that is ours every controller that it has itself.
fn enable_controllers(path: PathBuf) -> Result<Base, Error> {
    let available = Controllers::parse(&read(&path.join("cgroup.controllers"))?);
    for name in available.names() {
        // One at a time: a controller that cannot be enabled must not take the others with it. What is
        // really there is read back below.
        let _refused = write_control(&path.join("cgroup.subtree_control"), &format!("+{name}"));
    }
    let controllers = Controllers::parse(&read(&path.join("cgroup.subtree_control"))?);
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

/// The mount point of the v2 hierarchy: its whole tree is mounted there (proc(5), mountinfo).
pub(crate) fn v2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (right.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(unescape(point)))
    })
}

/// Undoes the octal escapes of mountinfo: space, tab, line feed and backslash.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The path in the `0::` line of `/proc/self/cgroup` (cgroups(7)).
fn own_path(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.ends_with(" (deleted)")).then_some(path)
}

fn below(mount: &Path, own: &str) -> Option<PathBuf> {
    let relative = Path::new(own.strip_prefix('/')?);
    let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    // Joining nothing would add a slash.
    let root = relative.as_os_str().is_empty();
    plain.then(|| if root { mount.to_owned() } else { mount.join(relative) })
}

/// Only a root has no `cgroup.type`... and no `cgroup.events` (cgroup-v2.rst: "exists on non-root cgroups").
fn is_root(path: &Path) -> bool {
    !path.join("cgroup.events").exists()
}

fn writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_own(text: &str, expected: Option<&str>) {
        assert_eq!(own_path(text), expected);
    }

    #[test]
    fn the_own_cgroup_is_the_line_without_controllers() {
        check_own("9:name=systemd:/\n0::/user.slice/a:b\n", Some("/user.slice/a:b"));
        check_own("0::/gone (deleted)\n", None);
        check_own("4:memory:/x\n", None);
        check_own("", None);
    }

    #[test]
    fn a_path_that_climbs_is_not_below_the_mount() {
        assert_eq!(below(Path::new("/m"), "/../x"), None);
        assert_eq!(below(Path::new("/m"), "/").unwrap().as_os_str(), "/m");
        assert_eq!(below(Path::new("/m"), "/a/b"), Some(PathBuf::from("/m/a/b")));
    }

    #[test]
    fn the_v2_mount_is_found_among_others() {
        let text = "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                    31 30 0:27 / /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu\n\
                    32 30 0:28 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";
        assert_eq!(v2_mount(text), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(v2_mount("32 30 0:28 /sub /x rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(v2_mount("garbage"), None);
    }
}
