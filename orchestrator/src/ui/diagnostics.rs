//! Diagnostics as people read them: the place, the source line with a mark under it, what is wrong and how to
//! mend it. How a problem is found is the engine's matter.

use std::{borrow::Cow, ops::Range};

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use workflow_engine::diagnostic::{Diagnostic, LineIndex, Severity};

use super::{terminal, text::escape};

/// A longer line is not drawn: drawing takes time in proportion, for each problem on it.
const LINE_MAX: usize = 4096;

/// Draws the problems of one file, a blank line after each. `text` is what their spans refer to.
pub fn render(file: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    render_to(terminal::width(), file, text, diagnostics)
}

fn render_to(columns: usize, file: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled().term_width(columns);
    let source = Source { file: &escape(file), index: LineIndex::new(text), text };
    let mut drawn = String::new();
    for diagnostic in diagnostics {
        drawn.push_str(&renderer.render(&[source.group(diagnostic)]));
        drawn.push_str("\n\n");
    }
    drawn
}

/// How many problems there are: `2 errors and 1 warning`; `None` where there is none.
pub fn count(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |wanted: Severity| diagnostics.iter().filter(|found| found.severity == wanted).count();
    match (plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")) {
        (Some(errors), Some(warnings)) => Some(format!("{errors} and {warnings}")),
        (one, other) => one.or(other),
    }
}

fn plural(count: usize, word: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        more => Some(format!("{more} {word}s")),
    }
}

/// The text in which the problems are.
struct Source<'a> {
    file: &'a str,
    index: LineIndex<'a>,
    text: &'a str,
}

/// A place in it.
struct Place<'a> {
    position: Position,
    /// Its first line, and which bytes of that line are meant; `None` for a line that is not drawn.
    line: Option<(&'a str, Range<usize>)>,
}

impl<'a> Source<'a> {
    fn group(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(escape(&diagnostic.message)).id(diagnostic.code);
        let here = self.place(&diagnostic.span);
        let mut group = match &diagnostic.note {
            Some((span, label)) => {
                let (there, label) = (self.place(span), escape(label));
                if there.position.line == here.position.line {
                    title.element(self.draw(&here, Some((&there, label))))
                } else {
                    let second = self.draw_kind(&there, AnnotationKind::Context, Some(label));
                    title.element(self.draw(&here, None)).element(second)
                }
            }
            None => title.element(self.draw(&here, None)),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.with_name("hint").message(escape_lines(hint)));
        }
        group
    }

    /// A line with its mark, and perhaps a second one on the same line.
    fn draw(&self, place: &Place<'a>, second: Option<(&Place<'a>, Cow<'a, str>)>) -> Element<'a> {
        let Some((line, span)) = place.line.clone() else { return self.name(place) };
        let mut marks = vec![AnnotationKind::Primary.span(span)];
        if let Some((Place { line: Some((_, span)), .. }, label)) = second {
            marks.push(AnnotationKind::Context.span(span.clone()).label(label));
        }
    }

}

/// Makes text harmless, but leaves its line feeds.
fn escape_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\n') {
        Cow::Owned(text.split('\n').map(escape).collect::<Vec<_>>().join("\n"))
    } else {
        escape(text)
    }
}

#[cfg(test)]
mod tests {
    use workflow_engine::diagnostic::codes;

    use super::*;
    use crate::ui::style::plain;

    /// A definition with a few mistakes.
    const TEXT: &str = "{\n\t\"name\": \"tést\",\n\t\"steps\": [\n    {\"id\": \"a\", \"skil\": \"echo\"},\n    {\"id\": \"a\",\n     \"inputs\": [\n     ]}\n  ]\n}\n";

    /// The span of the `nth` occurrence of a part of [`TEXT`].
    fn span(part: &str, nth: usize) -> Range<usize> {
        let (start, _) = TEXT.match_indices(part).nth(nth).expect("it is there");
        start..start + part.len()
    }

    fn drawn(columns: usize, diagnostic: Diagnostic) -> String {
        plain(&render_to(columns, "dir/test.json", TEXT, &[diagnostic]))
    }

    #[test]
    fn a_place_is_marked_and_mended() {
        let mut unknown = Diagnostic::new(codes::UNKNOWN_KEY, span("\"skil\"", 0), "`skil` is not known here");
        unknown.hint("did you mean `skill`?");
        insta::assert_snapshot!(drawn(80, unknown), @"");
    }

    #[test]
    fn a_second_place_is_shown() {
        let mut twice = Diagnostic::new(codes::DUPLICATE_STEP, span("\"a\"", 1), "two steps are called `a`");
        twice.note(span("\"a\"", 0), "the first one");
        insta::assert_snapshot!(drawn(80, twice), @"");
        let mut near = Diagnostic::new(codes::DUPLICATE_STEP, span("\"echo\"", 0), "two on a line");
        near.note(span("\"a\"", 0), "the first one");
        insta::assert_snapshot!(drawn(80, near), @"");
    }

    #[test]
    fn tabs_and_wide_letters_do_not_move_the_mark() {
        let tab = Diagnostic::new(codes::WRONG_TYPE, span("\"tést\"", 0), "not that");
        insta::assert_snapshot!(drawn(80, tab), @"");
    }

    #[test]
    fn of_a_place_over_several_lines_the_first_is_marked() {
        let many = Diagnostic::new(codes::WRONG_TYPE, span("[\n     ]", 0), "`inputs` must be an object");
        insta::assert_snapshot!(drawn(80, many), @"");
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let end = Diagnostic::new(codes::SYNTAX, TEXT.len()..TEXT.len(), "something is missing");
        insta::assert_snapshot!(drawn(80, end), @"");
        let empty = Diagnostic::new(codes::SYNTAX, 0..0, "the file is empty");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", "", &[empty])), @"");
        let beyond = Diagnostic::new(codes::SYNTAX, 90..99, "beyond");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", "é", &[beyond])), @"");
    }

    #[test]
    fn nothing_in_a_file_can_move_the_cursor() {
        let text = "{\"\u{1b}[31m\": 1,\r \u{202e}\"x\": 2}";
        let mut hostile = Diagnostic::new(codes::UNKNOWN_KEY, 1..8, "`\u{1b}[31m\nerror: forged` is not known");
        hostile.hint("one\n\u{1b}two").note(12..13, "\u{9b}here");
        let drawn = plain(&render_to(80, "\u{1b}]0;x\u{7}.json", text, &[hostile]));
        assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{drawn:?}");
        assert!(!drawn.contains('\u{202e}'), "{drawn:?}");
        assert!(!drawn.lines().any(|line| line.starts_with("error: forged")), "{drawn}");
    }

    #[test]
    fn narrow_terminals_see_the_marked_part() {
        let unknown = Diagnostic::new(codes::UNKNOWN_KEY, span("\"echo\"", 0), "not known");
        let drawn = drawn(40, unknown);
        assert!(drawn.contains("\"echo\"") && drawn.contains("^^^^^^"), "{drawn}");
    }

    #[test]
    fn very_long_lines_are_only_named() {
        let text = format!("{}\"x\"", "é".repeat(LINE_MAX));
        let found = Diagnostic::new(codes::SYNTAX, LINE_MAX * 2..LINE_MAX * 2 + 3, "wrong");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", &text, &[found])), @"");
    }

    #[test]
    fn problems_are_counted_in_words() {
        let error = Diagnostic::new(codes::SYNTAX, 0..0, "");
        let warning = Diagnostic::new(codes::SINGLE_CHILD, 0..0, "");
        assert_eq!(count(&[]), None);
        assert_eq!(count(std::slice::from_ref(&error)).as_deref(), Some("1 error"));
        assert_eq!(count(&[error.clone(), error, warning]).as_deref(), Some("2 errors and 1 warning"));
    }
}
