//! Broken definitions as people write them, one a file: its first line has the code that it gives, and `shape` where the
//! JSON Schema sees it too; the rest is the definition, with the place between `«` and `»`.

use std::{fs, path::PathBuf};

use schemas::definition::json_schema;

use super::checked;
use crate::{diagnostic::LineIndex, load::Syntax};

/// The files: name and content.
fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/check/tests/corpus");
    #[expect(clippy::disallowed_methods, reason = "the corpus is files; the engine itself reads none")]
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(&path).unwrap());
    #[expect(clippy::disallowed_methods, reason = "the corpus is files; the engine itself reads none")]
    let entries = fs::read_dir(&folder).unwrap();
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// How what is found differs from what the file says; `None`: it does not.
fn difference(content: &str, schema: &jsonschema::Validator) -> Option<String> {
    let (head, marked) = content.split_once('\n')?;
    let (code, shape) = head.split_once(' ').map_or((head, None), |(code, shape)| (code, Some(shape)));
    let text = marked.replace(['«', '»'], "");
    let start = marked.find('«')?;
    let end = marked.find('»')? - '«'.len_utf8();
    let (_, diagnostics) = checked(text.as_bytes(), Syntax::Json);
    let lines = LineIndex::new(&text);
    let at = |offset| {
        let position = lines.position(offset);
        format!("{}:{}", position.line, position.column)
    };
    let found: Vec<_> = diagnostics
        .iter()
        .map(|found| format!("{} {}-{}", found.code, at(found.span.start), at(found.span.end)))
        .collect();
    let expected = vec![format!("{code} {}-{}", at(start), at(end))];
    if found != expected {
        return Some(format!("{found:?} is not {expected:?}: {diagnostics:?}"));
    }
    // What is no JSON, no schema sees.
    let Ok(value) = serde_json::from_str(&text) else { return None };
    let is_refused = !schema.is_valid(&value);
    (is_refused != (shape == Some("shape"))).then(|| format!("{code}: refused by the schema: {is_refused}"))
}

#[test]
fn every_file_gives_its_code_at_its_place() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let files = files();
    assert!(files.len() >= 60, "the corpus is whole");
    let wrong: Vec<_> = files
        .iter()
        .filter_map(|(name, content)| Some(format!("{name}: {}", difference(content, &schema)?)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}
