//! Everything that stands in the folders of skills: for lists, and for commands that take the name of one.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use schemas::{
    output::skills::{Reason, Source},
    skill::Manifest,
};
use worker::skills::{self as builtin, Builtin};

use super::{Place, Stands, names_in, places, read, stands};
use crate::store::{home::Home, names::SafeName};

/// A skill that can be called.
#[derive(Debug)]
pub struct Callable {
    /// By this name.
    pub name: String,
    /// Where it was found.
    pub source: Source,
    /// What it is.
    pub what: What,
}

/// What a skill is.
#[derive(Debug)]
pub enum What {
    /// Part of q.
    BuiltIn(&'static Builtin),
    /// A folder with a manifest.
    External {
        /// The path of the manifest.
        path: PathBuf,
        /// What it says.
        manifest: Box<Manifest>,
    },
}

/// Something that stands among skills and cannot be called.
#[derive(Debug)]
pub struct Other {
    /// Name of its folder, or of the built-in skill.
    pub name: String,
    /// Where it was found.
    pub source: Source,
    /// Its manifest, or its text for models; `None` for a built-in skill.
    pub path: Option<PathBuf>,
    /// Why.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct All {
    /// Skills by name.
    pub callable: Vec<Callable>,
    /// The rest, in the order in which it was found.
    pub others: Vec<Other>,
    /// The folders that were searched, in order.
    pub searched: Vec<PathBuf>,
}

/// Looks into all places, as a definition in the folder `beside` would see them.
pub fn all(beside: &Path, home: &Home, given: Option<&Path>) -> All {
    let places = places(Some(beside), home, given);
    let mut all = All::default();
    let mut taken: HashMap<SafeName, PathBuf> = HashMap::new();
    for place in &places {
        for name in names_in(&place.folder) {
            all.look_at(place, name, &mut taken);
        }
    }
    for skill in builtin::catalog() {
        let name = skill.name.to_owned();
        let first = name.parse::<SafeName>().ok().and_then(|name| taken.get(&name));
        match first {
            Some(first) => all.hide(name, Source::BuiltIn, None, first),
            None => all.callable.push(Callable { name, source: Source::BuiltIn, what: What::BuiltIn(skill) }),
        }
    }
    all.callable.sort_by(|a, b| a.name.cmp(&b.name));
    all.searched = places.into_iter().map(|place| place.folder).collect();
    all
}

impl All {
    /// The skill of that name.
    pub fn find(&self, name: &str) -> Option<&Callable> {
        self.callable.iter().find(|skill| skill.name == name)
    }

    /// Why nothing of that name can be called, if something of that name is there.
    pub fn other(&self, name: &str) -> Option<&Other> {
        self.others.iter().find(|other| other.name == name)
    }

    fn look_at(&mut self, place: &Place, name: SafeName, taken: &mut HashMap<SafeName, PathBuf>) {
        let source = place.source;
        let path = match stands(&place.folder.join(name.as_str())) {
            Some(Stands::Manifest(path)) => path,
            Some(Stands::OnlyText(path)) => {
                let message = format!("{} is a text for models and cannot be called", path.display());
                let (name, path) = (name.to_string(), Some(path));
                self.others.push(Other { name, source, path, reason: Reason::OnlyText, message });
                return;
            }
            None => return,
        };
        if let Some(first) = taken.get(&name) {
            return self.hide(name.to_string(), source, Some(path), first);
        }
        match read(&path) {
            Ok((manifest, _)) => {
                let what = What::External { path: path.clone(), manifest: Box::new(manifest) };
                self.callable.push(Callable { name: name.to_string(), source, what });
            }
            Err(why) => {
                let message = format!("{}{why}", path.display());
                let (name, path) = (name.to_string(), Some(path.clone()));
                self.others.push(Other { name, source, path, reason: Reason::Broken, message });
            }
        }
        taken.insert(name, path);
    }

    fn hide(&mut self, name: String, source: Source, path: Option<PathBuf>, first: &Path) {
        let hidden = match &path {
            Some(path) => path.display().to_string(),
            None => "the built-in one".to_owned(),
        };
        let message = format!("{} is taken, and hides {hidden}", first.display());
        self.others.push(Other { name, source, path, reason: Reason::Hidden, message });
    }
}
