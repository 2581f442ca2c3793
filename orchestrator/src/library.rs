//! Looking for the definitions that a definition calls, and those that they call: files beside it, or stored ones.
//! Every file is read once, however often it is named.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use schemas::{
    exit_code::ExitCode,
    journal::{Called, CalledFile, RunCreated},
};
use workflow_engine::{
    check::{Library, LibraryFile, Named},
    diagnostic::Diagnostic,
    load::{self, Definition, Syntax},
};

use crate::{
    agents, catalog,
    definition::{self, Source},
    errors::{CommandError, Result},
    store::{
        definitions,
        files::{self, Fault},
        home::{Home, RunDir},
        names::SafeName,
        run::Frozen,
    },
};

/// Most files that a definition may call, directly or by others.
const MAX_FILES: usize = 1000;
/// Most bytes of them together.
const MAX_BYTES: usize = 64 << 20;
/// Most names of a folder that are looked at for what was meant.
const MAX_NEIGHBOURS: usize = 1000;

/// What a definition calls.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What the check needs.
    pub library: Library,
    /// The files, in the order of the library.
    pub sources: Vec<Source>,
    /// External skills of each file: name to absolute path of the manifest.
    skills: Vec<BTreeMap<String, String>>,
}

impl Gathered {
    /// What the journal keeps of them.
    pub fn called(&self) -> Called {
        let files = self.library.files.iter().zip(&self.sources).zip(&self.skills);
        Called {
            names: indices(&self.library.names),
            files: files
                .map(|((file, source), skills)| CalledFile {
                    source: source.path.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
                    names: indices(&file.names),
                    skills: skills.clone(),
                })
                .collect(),
        }
    }

    /// What the run keeps of them: each as JSON, with the manifests of its skills.
    pub fn frozen(&self) -> std::result::Result<Vec<Frozen>, Fault> {
        let files = self.library.files.iter().zip(&self.skills);
        let definitions =
            files.filter_map(|(file, skills)| Some((file, file.definition.as_ref().ok()?, skills)));
        let frozen = definitions.map(|(file, definition, skills)| {
            let text = definition.to_json().as_str().as_bytes().to_vec();
            let agents = agents::copies(&definition.agents(), &file.catalog.agents);
            Ok(Frozen { definition: text, skills: catalog::texts(skills)?, agents, ..Frozen::default() })
        });
        frozen.collect()
    }
}

/// Of a valid definition every name stands for a file.
fn indices(names: &BTreeMap<String, Named>) -> BTreeMap<String, usize> {
    let files = names.iter().filter_map(|(name, named)| match named {
        Named::File(index) => Some((name.clone(), *index)),
        Named::Top | Named::Nothing { .. } => None,
    });
    files.collect()
}

/// Reads everything that a definition calls.
pub fn gather(definition: &Definition, source: &Source, home: &Home, skills: Option<&Path>) -> Gathered {
    let mut search = Search {
        home,
        top: source.path.as_ref().and_then(|path| path.canonicalize().ok()),
        by_path: HashMap::new(),
        found: Vec::new(),
        bytes: 0,
    };
    let folder = source.path.as_deref().and_then(Path::parent).map(Path::to_owned);
    let here = || std::env::current_dir().unwrap_or_default();
    let names = search.names(definition, &folder.unwrap_or_else(here));
    let mut all_names = Vec::new();
    while let Some(file) = search.found.get(all_names.len()) {
        let definition = file.definition.clone();
        let folder = file.folder().to_owned();
        all_names.push(definition.map_or_else(|_| BTreeMap::new(), |found| search.names(&found, &folder)));
    }
    let mut gathered = Gathered { library: Library { names, files: Vec::new() }, ..Gathered::default() };
    for (file, names) in search.found.into_iter().zip(all_names) {
        let found = file.definition.as_ref().ok();
        let found = found.map(|found| catalog::discover(found, Some(file.folder()), home, skills));
        let found = found.unwrap_or_default();
        gathered.library.files.push(Arc::new(LibraryFile {
            name: file.source.name.clone(),
            definition: file.definition,
            catalog: found.catalog,
            names,
        }));
        gathered.skills.push(found.manifests);
        gathered.sources.push(file.source);
    }
    gathered
}

/// The library of a run that exists: the frozen copies.
pub fn frozen(dir: &RunDir, created: &RunCreated) -> Result<Library> {
    let named = |names: &BTreeMap<String, usize>| {
        names.iter().map(|(name, index)| (name.clone(), Named::File(*index))).collect()
    };
    let mut library = Library { names: named(&created.called.names), files: Vec::new() };
    for (index, called) in created.called.files.iter().enumerate() {
        let folder = dir.called(index);
        let path = folder.join("definition.json");
        let text = files::read_capped(&path, load::MAX_BYTES as u64)
            .map_err(|fault| CommandError::from_error(ExitCode::Engine, &fault))?;
        let definition = load::load(&text, Syntax::Json).map_err(|_| {
            let message = format!("the frozen definition {} cannot be read any more", path.display());
            CommandError::new(ExitCode::Engine, message)
        })?;
        library.files.push(Arc::new(LibraryFile {
            name: called.source.clone(),
            catalog: catalog::frozen(&definition, &folder, &called.source, &called.skills),
            definition: Ok(definition),
            names: named(&called.names),
        }));
    }
    Ok(library)
}

/// A file that was read.
struct Found {
    source: Source,
    definition: std::result::Result<Definition, Vec<Diagnostic>>,
}

impl Found {
    fn folder(&self) -> &Path {
        self.source.path.as_deref().and_then(Path::parent).unwrap_or(Path::new("/"))
    }
}

struct Search<'a> {
    home: &'a Home,
    /// The definition at the top, with links followed.
    top: Option<PathBuf>,
    /// Files that were read, with links followed.
    by_path: HashMap<PathBuf, usize>,
    found: Vec<Found>,
    bytes: usize,
}

impl Search<'_> {
    /// What each name in a definition stands for.
    fn names(&mut self, definition: &Definition, folder: &Path) -> BTreeMap<String, Named> {
        let mut names = BTreeMap::new();
        for name in definition.workflows() {
            if !names.contains_key(name) {
                names.insert(name.to_owned(), self.named(name, folder));
            }
        }
        names
    }

    fn named(&mut self, name: &str, folder: &Path) -> Named {
        let given = folder.join(name);
        let stored = name.parse::<SafeName>().ok().map(|name| self.home.definition(&name));
        let path = [Some(given.clone()), stored.clone()].into_iter().flatten().find(|path| path.exists());
        let Some(path) = path else { return self.missing(name, &given, stored.as_deref()) };
        match self.read(&path) {
            Ok(named) => named,
            Err(fault) => Named::Nothing {
                why: format!("the workflow `{name}` cannot be read: {fault}"),
                hint: "`workflow` is the path of a file, or the name of a stored definition".to_owned(),
            },
        }
    }

    fn read(&mut self, path: &Path) -> std::result::Result<Named, Fault> {
        let real = path.canonicalize().map_err(files::fault("find", path))?;
        if self.top.as_ref() == Some(&real) {
            return Ok(Named::Top);
        }
        if let Some(index) = self.by_path.get(&real) {
            return Ok(Named::File(*index));
        }
        let text = files::read_capped(path, load::MAX_BYTES as u64)?;
        self.bytes += text.len();
        if self.found.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            return Ok(Named::Nothing {
                why: format!("more than {MAX_FILES} files, or {MAX_BYTES} bytes of them, are called"),
                hint: "call fewer workflows from one".to_owned(),
            });
        }
        let syntax = definition::syntax(path);
        let index = self.found.len();
        self.by_path.insert(real, index);
        let definition = load::load(&text, syntax);
        let source = Source { name: shown(path), path: Some(path.to_owned()), syntax, text };
        self.found.push(Found { source, definition });
        Ok(Named::File(index))
    }

    fn missing(&self, name: &str, given: &Path, stored: Option<&Path>) -> Named {
        let searched: Vec<_> = [Some(given), stored].into_iter().flatten().map(shown).collect();
        let beside = given.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let beside = beside.into_iter().flatten().flatten().take(MAX_NEIGHBOURS);
        let mut known: Vec<String> =
            beside.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let stored = definitions::list(self.home).unwrap_or_default();
        known.extend(stored.iter().map(|name| name.as_str().to_owned()));
        let (folder, file) = name.rsplit_once('/').map_or(("", name), |(folder, file)| (folder, file));
        let near = load::nearest(file, known.iter().map(String::as_str));
        let separator = if folder.is_empty() { "" } else { "/" };
        let near =
            near.map_or_else(String::new, |near| format!("did you mean `{folder}{separator}{near}`? "));
        Named::Nothing {
            why: format!("the workflow `{name}` does not exist"),
            hint: format!("{near}searched: {}", searched.join(", ")),
        }
    }
}

/// A path as people know it: from where they stand, if it lies below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.as_ref().and_then(|here| path.strip_prefix(here).ok());
    below.unwrap_or(path).to_string_lossy().into_owned()
}
