//! Resources: files that the agent's file names, whose content the model is given from the start. They are read in the
//! sandbox of the agent, so that it is given nothing that it could not read.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use globset::Glob;
use schemas::agent::AgentTask;
use serde_json::json;
use walkdir::WalkDir;

use super::{Tell, conversation::note};

/// Most bytes of all resources together.
const ALL_MAX: usize = 512 * 1024;
/// Most files that a pattern is held against.
const LOOKED_MAX: usize = 20_000;

/// The resources as text, each in a block that names its file.
pub(super) fn context(task: &AgentTask, tell: &mut Tell<'_>) -> String {
    let mut context = String::new();
    for resource in &task.resources {
        let files = files(Path::new(&task.cwd), resource);
        if files.is_empty() {
            note(
                tell,
                &json!({"type": "trouble", "text": format!("no file fits the resource `{resource}`")}),
            );
        }
        for path in files {
            match read(&path, ALL_MAX.saturating_sub(context.len())) {
                Ok(text) => {
                    let shown = path.strip_prefix(&task.cwd).unwrap_or(&path).display();
                    context =
                        format!("{context}\n\n<resource path=\"{shown}\">\n{}\n</resource>", text.trim_end());
                }
                Err(why) => {
                    let text = format!("the resource {} is left out: {why}", path.display());
                    note(tell, &json!({"type": "trouble", "text": text}));
                }
            }
        }
    }
    context
}

/// The files that a resource names, in order: `file://` and a path or a pattern, relative to the working directory.
fn files(cwd: &Path, resource: &str) -> Vec<PathBuf> {
    let Some(path) = resource.strip_prefix("file://") else { return Vec::new() };
    let whole = cwd.join(path);
    if whole.is_file() {
        return vec![whole];
    }
    // The part before the first wildcard is a folder to look below.
    let is_plain = |part: &&std::ffi::OsStr| !part.to_string_lossy().contains(['*', '?', '[', '{']);
    let root: PathBuf = whole.iter().take_while(is_plain).collect();
    let Ok(pattern) = Glob::new(&whole.to_string_lossy()) else { return Vec::new() };
    let pattern = pattern.compile_matcher();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter().take(LOOKED_MAX).flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| pattern.is_match(path)).collect()
}

fn read(path: &Path, most: usize) -> Result<String, String> {
    let open = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > most {
        return Err(format!("all resources together are longer than {ALL_MAX} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn paths_and_patterns_name_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["README.md", "docs/a.md", "docs/deep/b.md", "docs/c.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            File::create(path).and_then(|mut file| write!(file, "{name}")).expect("a file");
        }
        let names = |resource: &str| -> Vec<String> {
            let files = files(folder.path(), resource);
            files
                .iter()
                .map(|path| path.strip_prefix(folder.path()).expect("below").display().to_string())
                .collect()
        };
        assert_eq!(names("file://README.md"), ["README.md"]);
        assert_eq!(names("file://docs/**/*.md"), ["docs/a.md", "docs/deep/b.md"]);
        assert_eq!(names("file://none.md"), [""; 0]);
        assert_eq!(names("https://example.org/x"), [""; 0]);
        assert_eq!(read(&folder.path().join("README.md"), 9).as_deref(), Ok("README.md"));
        assert!(read(&folder.path().join("README.md"), 8).is_err());
    }
}
