//! One leaf: a fresh cgroup for one attempt, never used twice. Limits are written before the birth and read
//! back. A step that asks for it gets a sub-tree of its own in the leaf: the limits stand above it.

use std::{
    fs,
    io::{self, Read, Seek},
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Controllers, Error, Limits, Stats,
    files::{Files, is_populated},
    memory::Victim,
    tree::remove_below,
};

/// Cgroups that a step may make in its own sub-tree, that one included.
const DESCENDANTS: &str = "256";
/// The sub-tree of a step.
const SUB_TREE: &str = "step";

/// The cgroup that holds one attempt.
#[derive(Debug)]
pub struct Leaf {
    path: PathBuf,
    /// Where the step is born: in a sub-tree of its own, if it asked for one.
    birthplace: PathBuf,
}

impl Leaf {
    /// Makes a fresh one in a tree.
    pub fn create(path: PathBuf) -> Result<Self, Error> {
        fs::create_dir(&path).map_err(|source| Error::Create { path: path.clone(), source })?;
        let leaf = Self { birthplace: path.clone(), path };
        leaf.files().hold("cgroup.max.descendants", "0")?;
        Ok(leaf)
    }

    /// Makes the sub-tree of a step that makes cgroups of its own. It is the owner's to change, and has what
    /// controllers the leaf has; the leaf and its limits are not his.
    pub fn delegate(&mut self, controllers: Controllers, owner: Option<(u32, u32)>) -> Result<(), Error> {
        let files = self.files();
        files.hold("cgroup.max.descendants", DESCENDANTS)?;
        for name in controllers.names() {
            files.write("cgroup.subtree_control", &format!("+{name}"))?;
        }
        let path = self.path.join(SUB_TREE);
        fs::create_dir(&path).map_err(|source| Error::Create { path: path.clone(), source })?;
        if let Some((uid, gid)) = owner {
            // What the kernel's document names for a delegation.
            for name in [".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
                let path = path.join(name);
                chown(&path, Some(uid), Some(gid)).map_err(|source| Error::File { path, source })?;
            }
        }
        self.birthplace = path;
        Ok(())
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cgroup in which its first process is born.
    pub fn birthplace(&self) -> &Path {
        &self.birthplace
    }

    /// Writes the limits that the controllers can hold and reads them back. An OOM takes the whole leaf.
    pub fn set_limits(&self, limits: &Limits, controllers: Controllers) -> Result<(), Error> {
        limits.hold(&self.path, controllers, Victim::All)
    }

    /// Kills everything in it. No process can be born into it afterwards (seen on kernel 6.18): that is
    /// why a leaf is never used twice.
    pub fn kill(&self) -> Result<(), Error> {
        self.files().write("cgroup.kill", "1")
    }

    /// Processes in it, zombies left out by the kernel's own rule for `cgroup.procs` of a dead leader.
    pub fn processes(&self) -> Result<Vec<i32>, Error> {
        if self.birthplace == self.path {
            return members(self.files());
        }
        let mut found = Vec::new();
        collect(&self.birthplace, &mut found);
        Ok(found)
    }

    /// Whether a live process is in it.
    pub fn is_populated(&self) -> Result<bool, Error> {
        Ok(is_populated(&self.files().read("cgroup.events")?))
    }

    /// Waits until no live process is in it. The kernel wakes us when `cgroup.events` changes.
    pub async fn emptied(&self) -> Result<(), Error> {
        let path = self.path.join("cgroup.events");
        let error = |source| Error::File { path: path.clone(), source };
        let file = fs::File::open(&path).map_err(error)?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe for types that may change their descriptor; a `File` cannot"
        )]
        let mut file = AsyncFd::with_interest(file, Interest::PRIORITY).map_err(error)?;
        loop {
            let mut text = String::new();
            file.get_mut().rewind().map_err(error)?;
            file.get_mut().read_to_string(&mut text).map_err(error)?;
            if !is_populated(&text) {
                return Ok(());
            }
            file.ready(Interest::PRIORITY).await.map_err(error)?.clear_ready();
        }
    }

    /// What the kernel counted.
    pub fn stats(&self, controllers: Controllers) -> Stats {
        Stats::read(&self.path, controllers)
    }

    /// Removes it, with what the step made in it. A leaf that was just killed is busy for a while.
    pub fn remove(&self) -> io::Result<()> {
        if self.birthplace != self.path {
            match remove_below(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                result => result?,
            }
        }
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn files(&self) -> Files<'_> {
        Files(&self.path)
    }
}

/// Processes in one cgroup itself.
fn members(files: Files<'_>) -> Result<Vec<i32>, Error> {
    Ok(files.read("cgroup.procs")?.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Processes of a whole sub-tree, as far as the step lets it be read: what is not found is killed with the rest.
fn collect(path: &Path, found: &mut Vec<i32>) {
    found.extend(members(Files(path)).unwrap_or_default());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}
