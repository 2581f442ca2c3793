//! `validate`: every problem of every file, drawn or as JSON.

use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        validate::{self as shape, ValidatedFile, Validation},
    },
};
use workflow_engine::{
    diagnostic::{Diagnostic, LineIndex, Severity},
    load,
};

use super::output;
use crate::{
    definition::{self, Source},
    errors::Result,
    store::home::Home,
    ui::{self, diagnostics},
};

/// Check workflow definitions and show every problem at once, without running anything.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow validate examples/simple-test.json\n  \
    q workflow validate *.json --strict\n  \
    generate | q workflow validate - --json")]
pub(super) struct Arguments {
    /// Workflow files, names of stored definitions, or `-` for standard input.
    #[arg(value_name = "FILE|NAME", required = true)]
    files: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &Arguments, home: &Home) -> Result {
    let mut unread = None;
    let mut validation = Validation { schema_version: SCHEMA_VERSION, valid: true, files: Vec::new() };
    for name in &arguments.files {
        let source = match definition::read(name, home) {
            Ok(source) => source,
            Err(error) => {
                ui::say(&error.render());
                unread.get_or_insert(error.exit);
                continue;
            }
        };
        let checked = definition::check_source(&source, home, None);
        let refused =
            if arguments.strict { checked.problems().next().is_some() } else { checked.has_errors() };
        validation.valid &= !refused;
        let file = file_name(name, &source);
        if arguments.json {
            validation.files.push(described(file, &source.text, &checked.diagnostics));
            for (called, problems) in checked.called_problems() {
                validation.files.push(described(called.name.clone(), &called.text, problems));
            }
        } else {
            output::text(&drawn(&file, &source.text, &checked.diagnostics))?;
            for (called, problems) in checked.called_problems() {
                output::text(&drawn(&called.name, &called.text, problems))?;
            }
        }
    }
    validation.valid &= unread.is_none();
    if arguments.json && !validation.files.is_empty() {
        output::json(&validation)?;
    }
    let invalid = if validation.valid { ExitCode::Done } else { ExitCode::Invalid };
    Ok(unread.unwrap_or(invalid))
}

/// The file as it was named; of a stored definition, where it lies.
fn file_name(name: &str, source: &Source) -> String {
    match &source.path {
        Some(path) if std::path::absolute(name).is_ok_and(|named| named != *path) => {
            path.to_string_lossy().into_owned()
        }
        Some(_) | None => source.name.clone(),
    }
}

/// The problems of a file for people, and how many there are.
pub(super) fn drawn(file: &str, text: &[u8], problems: &[Diagnostic]) -> String {
    let drawn = diagnostics::render(file, &load::display_text(text), problems);
    let found = diagnostics::count(problems).unwrap_or_else(|| "no problems".to_owned());
    format!("{drawn}{}: {found}\n", ui::text::escape(file))
}

/// The problems of a file, for programs.
pub(super) fn described(file: String, text: &[u8], diagnostics: &[Diagnostic]) -> ValidatedFile {
    let text = load::display_text(text);
    let index = LineIndex::new(&text);
    ValidatedFile { file, diagnostics: diagnostics.iter().map(|found| describe(found, &index)).collect() }
}

fn describe(found: &Diagnostic, index: &LineIndex<'_>) -> shape::Diagnostic {
    let (line, column) = place(index, found.span.start);
    let (end_line, end_column) = place(index, found.span.end);
    shape::Diagnostic {
        code: found.code.to_owned(),
        severity: match found.severity {
            Severity::Error => shape::Severity::Error,
            Severity::Warning => shape::Severity::Warning,
        },
        message: found.message.clone(),
        hint: found.hint.clone(),
        line,
        column,
        end_line,
        end_column,
        pointer: found.pointer.clone(),
        note: found.note.as_ref().map(|(span, message)| {
            let (line, column) = place(index, span.start);
            shape::Note { message: message.clone(), line, column }
        }),
        suggestion: found.suggestion.as_ref().map(|suggestion| {
            let (line, column) = place(index, suggestion.span.start);
            let (_, end_column) = place(index, suggestion.span.end);
            shape::Suggestion { replacement: suggestion.replacement.clone(), line, column, end_column }
        }),
    }
}

/// Line and column of a byte.
fn place(index: &LineIndex<'_>, offset: usize) -> (u64, u64) {
    let position = index.position(offset);
    (position.line as u64, position.column as u64)
}

#[cfg(test)]
mod tests {
    use workflow_engine::diagnostic::codes;

    use super::*;

    #[test]
    fn places_are_lines_and_columns_of_characters() {
        let text = "{\"é\": 1,\n \"skil\": 2}";
        let start = text.find("\"skil\"").unwrap();
        let mut found = Diagnostic::new(codes::UNKNOWN_KEY, start..start + 6, "`skil` is not known here");
        found.hint("did you mean `skill`?").suggest(start + 1..start + 5, "skill").note(1..5, "beside it");
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&describe(&found, &LineIndex::new(text))).unwrap(), @r#"
        {
          "code": "E012",
          "severity": "error",
          "message": "`skil` is not known here",
          "hint": "did you mean `skill`?",
          "line": 2,
          "column": 2,
          "end_line": 2,
          "end_column": 8,
          "pointer": "",
          "note": {
            "message": "beside it",
            "line": 1,
            "column": 2
          },
          "suggestion": {
            "replacement": "skill",
            "line": 2,
            "column": 3,
            "end_column": 7
          }
        }
        "#
        );
    }

    #[test]
    fn what_is_not_there_is_null_but_a_note_is_absent() {
        let found = Diagnostic::new(codes::SYNTAX, 2..2, "the file ends here");
        insta::assert_snapshot!(serde_json::to_string(&describe(&found, &LineIndex::new("é"))).unwrap(), @r#"{"code":"E004","severity":"error","message":"the file ends here","hint":null,"line":1,"column":2,"end_line":1,"end_column":2,"pointer":"","suggestion":null}"#);
    }
}
