//! The child's own view of the file system: private `/tmp` and `/dev/shm`, a fresh `/proc`, and what must
//! stay visible in spite of that. Runs in a new mount namespace.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ipc::limits::Bytes;
use ipc::message::{Sandbox, Stage};
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, fstat, umask};

use crate::birth::{AtStage, Failure};

/// Where every step has a place of its own in memory.
const PRIVATE: [&str; 2] = ["/tmp", "/dev/shm"];

/// Files and directories that such a place can hold.
const INODES: u32 = 16_384;

/// Makes the view of a sandbox.
pub(crate) fn isolate(sandbox: &Sandbox) -> Result<(), Failure> {
    make_private().at(Stage::Mounts)?;
    hide(&sandbox.keep_visible, sandbox.tmp_size).at(Stage::Mounts)?;
    fresh_proc().at(Stage::Proc)
}

/// Cuts this namespace off from the one it was copied from: mounts no longer go from one to the other.
pub(crate) fn make_private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Mounts a `/proc` of the own pid namespace.
pub(crate) fn fresh_proc() -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
}

fn hide(keep_visible: &[String], size: Bytes) -> io::Result<()> {
    let places = places()?;
    let kept = open_below(&places, keep_visible)?;
    for place in &places {
        private_place(place, size)?;
    }
    if kept.is_empty() {
        return Ok(());
    }
    // Mount points are made for everybody to pass, whatever mask the step itself will have.
    let mask = umask(Mode::empty());
    let shown = kept.iter().try_for_each(show);
    umask(mask);
    shown
}

/// The private places that this host has, by their real names.
fn places() -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::with_capacity(PRIVATE.len());
    for place in PRIVATE {
        match fs::canonicalize(place) {
            Ok(place) => places.push(place),
            // What is not there hides nothing and needs no hiding.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(places)
}

pub(crate) fn private_place(place: &Path, size: Bytes) -> nix::Result<()> {
    let options = format!("mode=1777,size={},nr_inodes={INODES}", size.0);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options.as_str()))
}

/// Something that would be hidden, held open from before.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    descriptor: OwnedFd,
}

/// Opens those of the paths that lie below one of the places. What lies in another of them comes with it.
fn open_below(places: &[PathBuf], paths: &[String]) -> io::Result<Vec<Kept>> {
    let below = |path: &&Path| places.iter().any(|place| path.starts_with(place) && *path != place);
    let mut hidden: Vec<&Path> = paths.iter().map(Path::new).filter(below).collect();
    hidden.sort_unstable();
    hidden.dedup_by(|path, before| path.starts_with(before));
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let keep =
        |path: &Path| Ok(Kept { path: path.to_owned(), descriptor: open(path, flags, Mode::empty())? });
    hidden.into_iter().map(keep).collect()
}

/// Puts it back at its path.
fn show(kept: &Kept) -> io::Result<()> {
    let is_directory =
        SFlag::from_bits_truncate(fstat(&kept.descriptor)?.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
    let mut directories = DirBuilder::new();
    directories.recursive(true).mode(0o755);
    if is_directory {
        directories.create(&kept.path)?;
    } else {
        kept.path.parent().map_or(Ok(()), |parent| directories.create(parent))?;
        File::create_new(&kept.path)?;
    }
    let source = format!("/proc/self/fd/{}", kept.descriptor.as_raw_fd());
    // Recursive: in a user namespace the kernel refuses to uncover what is mounted below.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source.as_str()), &kept.path, None::<&str>, flags, None::<&str>)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], expected: &[&str]) {
        let root = tempfile::tempdir().expect("a directory");
        let place = root.path().join("hidden");
        for path in ["hidden/a/b", "hidden/ab", "other"] {
            fs::create_dir_all(root.path().join(path)).expect("a directory");
        }
        let absolute: Vec<String> =
            paths.iter().map(|path| root.path().join(path).display().to_string()).collect();
        let kept = open_below(&[place], &absolute).expect("they exist");
        let names: Vec<&str> = kept
            .iter()
            .map(|kept| kept.path.strip_prefix(root.path()).expect("below").to_str().expect("text"))
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn only_what_is_hidden_is_kept_and_once() {
        check(&[], &[]);
        check(&["other"], &[]);
        check(&["hidden"], &[]);
        check(&["hidden/a/b", "hidden/a", "hidden/a"], &["hidden/a"]);
        check(&["hidden/ab", "hidden/a"], &["hidden/a", "hidden/ab"]);
        check(&["hidden/a/b", "other"], &["hidden/a/b"]);
    }
}
