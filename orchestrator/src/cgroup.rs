//! cgroup v2: finding a tree that is ours, a fresh leaf per attempt, what the leaf tells. Attributes of a
//! cgroup that is not ours are never written.
//!
//! Source: kernel documentation, admin-guide/cgroup-v2.rst.

mod cpu;
mod files;
mod find;
mod io;
mod leaf;
mod limits;
mod memory;
mod mounts;
mod pids;
mod stats;
mod systemd;
mod tree;

use std::path::PathBuf;

pub(crate) use self::mounts::{types, v2_mount};
pub use self::{
    find::{Base, Miss, find, settle},
    io::{Bandwidth, Device},
    leaf::Leaf,
    limits::Limits,
    stats::Stats,
    systemd::Error as NoScope,
    tree::Tree,
};

/// Which controllers a tree gives to its leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Controllers {
    /// `memory`.
    pub memory: bool,
    /// `cpu`.
    pub cpu: bool,
    /// `pids`.
    pub pids: bool,
    /// `io`.
    pub io: bool,
}

impl Controllers {
    /// Reads a line of `cgroup.controllers` or `cgroup.subtree_control`.
    pub fn parse(line: &str) -> Self {
        let has = |name| line.split_ascii_whitespace().any(|word| word == name);
        Self { memory: has("memory"), cpu: has("cpu"), pids: has("pids"), io: has("io") }
    }

    /// The names, in a fixed order.
    pub fn names(self) -> Vec<&'static str> {
        [(self.cpu, "cpu"), (self.memory, "memory"), (self.pids, "pids"), (self.io, "io")]
            .into_iter()
            .filter_map(|(has, name)| has.then_some(name))
            .collect()
    }
}

/// What can go wrong with a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A base that was named on the command line cannot be used.
    #[error("cgroup base {} cannot be used: {why}", path.display())]
    Base {
        /// The base.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Making a directory failed.
    #[error("cgroup {} could not be made", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// A control file could not be read or written.
    #[error("cgroup file {} could not be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// A limit was written and something else was read back.
    #[error("cgroup file {} holds `{found}` where `{wanted}` was written", path.display())]
    NotHeld {
        /// The file.
        path: PathBuf,
        /// What was written.
        wanted: String,
        /// What was read back.
        found: String,
    },
}

/// Ends and removes what dead engines left below the base, or in scopes beside it. Returns how many trees there were.
pub fn sweep(base: &Base) -> u32 {
    places(base).iter().map(|place| tree::sweep(place)).sum()
}

/// Ends and removes what the dead engine left whose tree has this nonce. `false`: something of it stays.
pub fn sweep_of(base: &Base, nonce: &str) -> bool {
    sweep(base);
    !places(base).iter().any(|place| tree::exists(place, nonce))
}

/// Where engines with this base have their trees. Those for which systemd made scopes have a base each.
fn places(base: &Base) -> Vec<PathBuf> {
    let mut places = systemd::scopes_beside(&base.path);
    if !places.contains(&base.path) {
        places.push(base.path.clone());
    }
    places
}
