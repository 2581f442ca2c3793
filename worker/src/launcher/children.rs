//! The children that live, and the leaves that may still hold processes of those that do not.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::sys::Newborn;

/// One child.
#[derive(Debug)]
pub(super) struct Child {
    /// The engine's number of its birth.
    pub(super) ticket: u64,
    /// The process.
    pub(super) newborn: Newborn,
    /// Where it lives.
    pub(super) leaf: Option<PathBuf>,
}

/// All of them, by pid.
#[derive(Debug, Default)]
pub(super) struct Children {
    living: HashMap<i32, Child>,
    /// Leaves of children that ended. The engine empties and removes them; if it dies first, we must.
    left: Vec<PathBuf>,
    /// How long `left` may become before those that are gone are forgotten.
    most_left: usize,
}

/// Below this many leaves, looking which are gone is not worth it.
const FEW: usize = 64;

impl Children {
    pub(super) fn add(&mut self, child: Child) {
        self.living.insert(child.newborn.pid, child);
    }

    /// Takes a child that ended.
    pub(super) fn remove(&mut self, pid: i32) -> Option<Child> {
        let mut child = self.living.remove(&pid)?;
        if self.left.len() >= self.most_left.max(FEW) {
            self.left.retain(|leaf| leaf.exists());
            self.most_left = 2 * self.left.len();
        }
        self.left.extend(child.leaf.take());
        Some(child)
    }

    /// Gives up all: the living, and every leaf that may still be there.
    pub(super) fn into_parts(self) -> (Vec<Newborn>, Vec<PathBuf>) {
        let mut leaves = self.left;
        let mut living = Vec::with_capacity(self.living.len());
        for child in self.living.into_values() {
            leaves.extend(child.leaf);
            living.push(child.newborn);
        }
        (living, leaves)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn child(pid: i32, leaf: &str) -> Child {
        let pidfd = File::open("/dev/null").expect("/dev/null").into();
        Child { ticket: 0, newborn: Newborn { pid, pidfd }, leaf: Some(leaf.into()) }
    }

    #[test]
    fn leaves_that_are_gone_are_forgotten() {
        let mut children = Children::default();
        for pid in 1..=1_000 {
            // One in ten still exists.
            children.add(child(pid, if pid % 10 == 0 { "/" } else { "/no/such/leaf" }));
            assert!(children.remove(pid).is_some());
        }
        let (living, leaves) = children.into_parts();
        assert!(living.is_empty());
        assert_eq!(leaves.iter().filter(|leaf| leaf.exists()).count(), 100);
        assert!(leaves.len() < 300, "{}", leaves.len());
    }

    #[test]
    fn a_child_is_given_up_once() {
        let mut children = Children::default();
        children.add(child(1, "/"));
        children.add(child(2, "/a"));
        assert!(children.remove(3).is_none());
        assert!(children.remove(1).is_some());
        assert!(children.remove(1).is_none());
        let (living, leaves) = children.into_parts();
        assert_eq!(living.len(), 1);
        assert_eq!(leaves, [PathBuf::from("/"), PathBuf::from("/a")]);
    }
}
