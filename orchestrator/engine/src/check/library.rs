//! [`Library`]: the definitions that steps of the type `workflow` name. The orchestrator looks for them and reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Catalog;
use crate::{
    diagnostic::Diagnostic,
    load::{Definition, Node},
};

/// The definitions that are called, directly or by others of them.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// What each name in the definition at the top stands for.
    pub names: BTreeMap<String, Named>,
    /// The files; others name them by their index.
    pub files: Vec<Arc<LibraryFile>>,
}

/// A file with a definition.
#[derive(Debug)]
pub struct LibraryFile {
    /// How messages call it: its path.
    pub name: String,
    /// What stands in it; the error of a text that gives no tree.
    pub definition: Result<Definition, Vec<Diagnostic>>,
    /// The skills that it may call.
    pub catalog: Catalog,
    /// What each name in it stands for.
    pub names: BTreeMap<String, Named>,
}

/// What a name of a workflow stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The definition at the top.
    Top,
    /// A file of the library, by its index.
    File(usize),
    /// Nothing that can be used.
    Nothing {
        /// Why.
        why: String,
        /// What would help.
        hint: String,
    },
}

impl Library {
    /// The file behind a name in a definition: of the file `of`, or of the one at the top.
    pub(super) fn file(&self, of: Option<usize>, name: &str) -> Option<(usize, &LibraryFile)> {
        match self.named(of, name)? {
            Named::File(index) => Some((*index, self.files.get(*index)?)),
            Named::Top | Named::Nothing { .. } => None,
        }
    }

    /// What a name in a definition stands for.
    pub(super) fn named(&self, of: Option<usize>, name: &str) -> Option<&Named> {
        let names = match of {
            Some(index) => &self.files.get(index)?.names,
            None => &self.names,
        };
        names.get(name)
    }
}

impl LibraryFile {
    /// The members of one object at the top of the definition.
    pub(super) fn members(&self, key: &str) -> &[crate::load::Member] {
        let root = self.definition.as_ref().ok().map(|definition| &definition.root);
        root.and_then(|root| root.get(key)).map_or(&[][..], Node::members)
    }

    /// The names of its outputs.
    pub(super) fn outputs(&self) -> BTreeSet<&str> {
        self.members("outputs").iter().map(|member| &*member.key).collect()
    }
}
