//! What a child is shut into: one file a concern, each a step in the order of [`crate::child`].

pub(crate) mod capabilities;
pub(crate) mod descriptors;
pub(crate) mod landlock;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod rlimits;
pub(crate) mod seccomp;
pub(crate) mod user;

mod devices;
mod view;
