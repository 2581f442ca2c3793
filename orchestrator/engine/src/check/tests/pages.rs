//! The pages of `docs/errors/`: one for each code, whose first example gives the code and whose second is right.

use std::{fs, path::PathBuf};

use super::checked;
use crate::{
    diagnostic::{Severity, codes},
    load::Syntax,
};

/// Codes that no short text gives; their pages have no example.
const WITHOUT_EXAMPLE: [&str; 5] = ["E001", "E002", "E003", "E064", "W099"];

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors").join(name);
    #[expect(clippy::disallowed_methods, reason = "the pages are files; the engine itself reads none")]
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of JSON and YAML of a page.
fn examples(page: &str) -> Vec<(&str, Syntax)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| match block.split_once('\n')? {
            ("json", text) => Some((text, Syntax::Json)),
            ("yaml", text) => Some((text, Syntax::Yaml)),
            _ => None,
        })
        .collect()
}

#[test]
fn every_code_has_a_page_and_a_line_in_the_table() {
    let table = page("README.md");
    for code in codes::ALL {
        let page = page(&format!("{}.md", code.id));
        let title = page.lines().next().unwrap_or_default();
        assert_eq!(title, format!("# {}: {}", code.id, code.title));
        let row = format!("| [{0}]({0}.md) | {1} |", code.id, code.title);
        assert!(table.contains(&row), "the table lacks {row}");
    }
    let rows = table.lines().filter(|line| line.starts_with("| [")).count();
    assert_eq!(rows, codes::ALL.len(), "the table has rows of codes that there are not");
}

#[test]
fn the_examples_of_pages_are_true() {
    for code in codes::ALL {
        let page = page(&format!("{}.md", code.id));
        let examples = examples(&page);
        let without = WITHOUT_EXAMPLE.contains(&code.id);
        assert_eq!(examples.is_empty(), without, "{}: examples", code.id);
        for (index, (example, syntax)) in examples.into_iter().enumerate() {
            let (_, diagnostics) = checked(example.as_bytes(), syntax);
            let codes: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
            if index == 0 {
                let others = codes.iter().any(|other| *other != code.id);
                assert!(codes.contains(&code.id) && !others, "{}: the example gives {codes:?}", code.id);
            } else {
                assert_eq!(codes, [""; 0], "{}: the mended example", code.id);
            }
        }
    }
}

#[test]
fn codes_say_how_bad_they_are_and_are_in_order() {
    for pair in codes::ALL.windows(2) {
        let order = |code: &codes::Code| (code.severity(), code.id);
        assert!(order(&pair[0]) < order(&pair[1]), "{} before {}", pair[0].id, pair[1].id);
    }
    assert_eq!(codes::UNKNOWN_KEY.severity(), Severity::Error);
    assert_eq!(codes::WIDE_NUMBER.severity(), Severity::Warning);
}
