//! The tools that look at files and write them: only below the roots of the agent, symbolic links followed first.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

use globset::{Glob, GlobMatcher};
use regex::Regex;
use schemas::agent::{AgentTask, ToolSettings};
use serde::Deserialize;
use walkdir::WalkDir;

/// Longest piece of a file that is shown at once.
const READ_MAX: u64 = 256 * 1024;
/// Most files and lines that a search shows.
const FOUND_MAX: usize = 500;
/// Most files that a search looks at.
const LOOKED_MAX: usize = 100_000;
/// Longest file that is searched.
const SEARCHED_MAX: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    path: String,
    #[serde(default)]
    offset: u64,
    limit: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteArguments {
    path: String,
    content: String,
    #[serde(default)]
    append: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GlobArguments {
    pattern: String,
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrepArguments {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
}

/// The arguments of a tool, or what is wrong with them.
pub(super) fn arguments<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(if text.trim().is_empty() { "{}" } else { text })
        .map_err(|error| format!("the arguments are wrong: {error}"))
}

/// `fs_read`: a piece of a file, or the names in a directory.
pub(super) fn read(task: &AgentTask, text: &str) -> Result<String, String> {
    let given: ReadArguments = arguments(text)?;
    let path = readable(task, "fs_read", &given.path)?;
    let wrong = |error: std::io::Error| format!("`{}` cannot be read: {error}", given.path);
    if path.is_dir() {
        let entries = fs::read_dir(&path).map_err(wrong)?;
        let mut names: Vec<String> = entries
            .flatten()
            .take(LOOKED_MAX)
            .map(|entry| {
                let slash = if entry.path().is_dir() { "/" } else { "" };
                format!("{}{slash}", entry.file_name().to_string_lossy())
            })
            .collect();
        names.sort();
        return Ok(names.join("\n"));
    }
    let mut file = open(&path).map_err(wrong)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(given.offset)).map_err(wrong)?;
    let mut bytes = Vec::new();
    let limit = given.limit.unwrap_or(READ_MAX).min(READ_MAX);
    (&file).take(limit).read_to_end(&mut bytes).map_err(wrong)?;
    let length = file.metadata().map_err(wrong)?.len();
    let text = String::from_utf8_lossy(&bytes);
    let end = given.offset.saturating_add(bytes.len() as u64);
    if end >= length {
        return Ok(text.into_owned());
    }
    Ok(format!("{text}\n[{} of {length} bytes shown; go on with \"offset\": {end}]", bytes.len()))
}

/// `fs_write`: makes, replaces or extends a file.
pub(super) fn write(task: &AgentTask, text: &str) -> Result<String, String> {
    let given: WriteArguments = arguments(text)?;
    let path = writable(task, &given.path)?;
    let wrong = |error: std::io::Error| format!("`{}` cannot be written: {error}", given.path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut options = File::options();
    options.create(true).write(true).append(given.append).truncate(!given.append);
    let mut file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path).map_err(wrong)?;
    file.write_all(given.content.as_bytes()).map_err(wrong)?;
    Ok(format!("{} bytes written to {}", given.content.len(), path.display()))
}

/// `glob`: the files whose path fits a pattern.
pub(super) fn glob(task: &AgentTask, text: &str) -> Result<String, String> {
    let given: GlobArguments = arguments(text)?;
    let root = readable(task, "glob", given.path.as_deref().unwrap_or("."))?;
    let pattern = matcher(&given.pattern)?;
    let mut found = Vec::new();
    for path in below(&root) {
        let name = path.strip_prefix(&root).unwrap_or(&path);
        if pattern.is_match(name) {
            found.push(name.display().to_string());
        }
        if found.len() >= FOUND_MAX {
            found.push(format!("[more than {FOUND_MAX} files]"));
            break;
        }
    }
    Ok(if found.is_empty() { "no file fits".to_owned() } else { found.join("\n") })
}

/// `grep`: the lines that fit a regular expression.
pub(super) fn grep(task: &AgentTask, text: &str) -> Result<String, String> {
    let given: GrepArguments = arguments(text)?;
    let root = readable(task, "grep", given.path.as_deref().unwrap_or("."))?;
    let pattern = Regex::new(&given.pattern).map_err(|error| format!("`pattern` is wrong: {error}"))?;
    let names = given.glob.as_deref().map(matcher).transpose()?;
    let mut found = Vec::new();
    for path in below(&root) {
        let name = path.strip_prefix(&root).unwrap_or(&path);
        if names.as_ref().is_some_and(|names| !names.is_match(name)) {
            continue;
        }
        let shown = if name.as_os_str().is_empty() { path.as_path() } else { name };
        let Some(content) = searched(&path) else { continue };
        for (number, line) in content.lines().enumerate().filter(|(_, line)| pattern.is_match(line)) {
            let line: String = line.chars().take(300).collect();
            found.push(format!("{}:{}: {line}", shown.display(), number + 1));
            if found.len() >= FOUND_MAX {
                found.push(format!("[more than {FOUND_MAX} lines]"));
                return Ok(found.join("\n"));
            }
        }
    }
    Ok(if found.is_empty() { "no line fits".to_owned() } else { found.join("\n") })
}

fn searched(path: &Path) -> Option<String> {
    let mut text = String::new();
    open(path).ok()?.take(SEARCHED_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Regular files below a directory, or the file itself; links are not followed.
fn below(root: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = WalkDir::new(root).sort_by_file_name().into_iter().take(LOOKED_MAX).flatten();
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path)
}

fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = Glob::new(pattern).map_err(|error| format!("the pattern is wrong: {error}"))?;
    Ok(glob.compile_matcher())
}

/// Where a path leads that may be read: below one of the roots, links followed.
fn readable(task: &AgentTask, tool: &str, path: &str) -> Result<PathBuf, String> {
    let real = Path::new(&task.cwd)
        .join(path)
        .canonicalize()
        .map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let roots = task.read.iter().chain(&task.write);
    if !is_below(&real, roots.map(String::as_str)) {
        return Err(format!("`{path}` may not be read: it is outside of what this agent may see"));
    }
    obeys(task, tool, &real, path)
}

/// Where a path leads that may be written. What does not exist yet is looked for by the nearest folder above it
/// that does.
fn writable(task: &AgentTask, path: &str) -> Result<PathBuf, String> {
    let refused = || format!("`{path}` may not be written: it is outside of what this agent may write");
    let whole = Path::new(&task.cwd).join(path);
    if whole.components().any(|part| part == Component::ParentDir) {
        return Err(refused());
    }
    let mut above = whole.as_path();
    let mut rest = Vec::new();
    let real = loop {
        match above.canonicalize() {
            Ok(real) => break real,
            // A link that leads nowhere exists, and would be followed.
            Err(_) if above.is_symlink() => return Err(refused()),
            Err(_) => {
                rest.extend(above.file_name());
                above = above.parent().ok_or_else(refused)?;
            }
        }
    };
    let real = rest.into_iter().rev().fold(real, |path, name| path.join(name));
    if !is_below(&real, task.write.iter().map(String::as_str)) {
        return Err(refused());
    }
    obeys(task, "fs_write", &real, path)
}

fn is_below<'a>(path: &Path, mut roots: impl Iterator<Item = &'a str>) -> bool {
    roots.any(|root| path.starts_with(root))
}

/// The vendor's settings of a tool: what is denied is looked at first.
fn obeys(task: &AgentTask, tool: &str, real: &Path, path: &str) -> Result<PathBuf, String> {
    let fits = |patterns: &Option<Vec<String>>| {
        let patterns = patterns.iter().flatten();
        patterns.filter_map(|pattern| Some((pattern, expanded(task, pattern)?))).any(|(_, glob)| {
            matcher(&glob).is_ok_and(|matcher| matcher.is_match(real))
                || real.starts_with(glob.trim_end_matches("/**"))
        })
    };
    let Some(settings) = task.tools_settings.get(tool) else { return Ok(real.to_owned()) };
    let ToolSettings { allowed_paths, denied_paths, .. } = settings;
    if fits(denied_paths) {
        return Err(format!("`{path}` may not be used: `toolsSettings.{tool}.deniedPaths`"));
    }
    if allowed_paths.is_some() && !fits(allowed_paths) {
        return Err(format!("`{path}` may not be used: `toolsSettings.{tool}.allowedPaths`"));
    }
    Ok(real.to_owned())
}

fn expanded(task: &AgentTask, pattern: &str) -> Option<String> {
    let path = Path::new(&task.cwd).join(pattern.strip_prefix("./").unwrap_or(pattern));
    path.to_str().map(str::to_owned)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
