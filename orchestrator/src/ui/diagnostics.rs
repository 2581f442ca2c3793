//! Diagnostics as people read them: the place, the source line with a mark under it, what is wrong and how to
//! mend it. How a problem is found is the engine's matter.

use std::{borrow::Cow, ops::Range};

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use workflow_engine::diagnostic::{Diagnostic, LineIndex, Position, Severity};

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

/// A mark in it.
struct Mark<'a> {
    position: Position,
    /// The line on which it begins; `None` for one that is not drawn.
    line: Option<&'a str>,
    /// Bytes of that line.
    span: Range<usize>,
}

impl<'a> Source<'a> {
    fn group(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(escape(&diagnostic.message)).id(diagnostic.code);
        let here = self.mark(&diagnostic.span);
        let first = here.annotate(AnnotationKind::Primary);
        let mut group = match &diagnostic.note {
            Some((span, label)) => {
                let there = self.mark(span);
                let second = there.annotate(AnnotationKind::Context).label(escape(label));
                if there.position.line == here.position.line {
                    title.element(self.draw(&here, vec![first, second]))
                } else {
                    title.element(self.draw(&here, vec![first])).element(self.draw(&there, vec![second]))
                }
            }
            None => title.element(self.draw(&here, vec![first])),
        };
        if let Some(hint) = &diagnostic.hint {
            group = group.element(Level::HELP.with_name("hint").message(escape_lines(hint)));
        }
        group
    }

    fn draw(&self, mark: &Mark<'a>, annotations: Vec<Annotation<'a>>) -> Element<'a> {
        let Position { line, column } = mark.position;
        match mark.line {
            Some(text) => {
                Snippet::source(text).line_start(line).path(self.file).annotations(annotations).into()
            }
            None => Origin::path(self.file).line(line).char_column(column).into(),
        }
    }

    /// What of a span is on the line on which it begins.
    fn mark(&self, span: &Range<usize>) -> Mark<'a> {
        let position = self.index.position(span.start);
        let line = self.index.line(position.line);
        // All bytes before it on its line; where there are more, the line is too long anyhow.
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let before = &before[before.len().saturating_sub(LINE_MAX)..];
        let from = before.iter().rev().take_while(|byte| **byte != b'\n').count().min(line.len());
        let to = (from + span.len()).min(line.len());
        // Where bytes that are no text were replaced, a span may begin or end inside a character.
        let span = line.floor_char_boundary(from)..line.ceil_char_boundary(to);
        Mark { position, line: (line.len() <= LINE_MAX).then_some(line), span }
    }
}

impl Mark<'_> {
    fn annotate<'a>(&self, kind: AnnotationKind) -> Annotation<'a> {
        kind.span(self.span.clone())
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
    use proptest::prelude::*;
    use workflow_engine::{diagnostic::codes, load};

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
        let mut unknown =
            Diagnostic::new(codes::UNKNOWN_KEY, span("\"skil\"", 0), "`skil` is not known here");
        unknown.hint("did you mean `skill`?");
        insta::assert_snapshot!(drawn(80, unknown), @r#"
        error[E012]: `skil` is not known here
         --> dir/test.json:4:17
          |
        4 |     {"id": "a", "skil": "echo"},
          |                 ^^^^^^
          |
          = hint: did you mean `skill`?
        "#);
    }

    #[test]
    fn a_second_place_is_shown() {
        let mut twice = Diagnostic::new(codes::DUPLICATE_STEP, span("\"a\"", 1), "two steps are called `a`");
        twice.note(span("\"a\"", 0), "the first one");
        insta::assert_snapshot!(drawn(80, twice), @r#"
        error[E017]: two steps are called `a`
         --> dir/test.json:5:12
          |
        5 |     {"id": "a",
          |            ^^^
          |
         ::: dir/test.json:4:12
          |
        4 |     {"id": "a", "skil": "echo"},
          |            --- the first one
        "#);
        let mut near = Diagnostic::new(codes::DUPLICATE_STEP, span("\"echo\"", 0), "two on a line");
        near.note(span("\"a\"", 0), "the first one");
        insta::assert_snapshot!(drawn(80, near), @r#"
        error[E017]: two on a line
         --> dir/test.json:4:25
          |
        4 |     {"id": "a", "skil": "echo"},
          |            ---          ^^^^^^
          |            |
          |            the first one
        "#);
    }

    #[test]
    fn tabs_and_wide_letters_do_not_move_the_mark() {
        let tab = Diagnostic::new(codes::WRONG_TYPE, span("\"tést\"", 0), "not that");
        insta::assert_snapshot!(drawn(80, tab), @r#"
        error[E010]: not that
         --> dir/test.json:2:10
          |
        2 |     "name": "tést",
          |             ^^^^^^
        "#);
    }

    #[test]
    fn of_a_place_over_several_lines_the_first_is_marked() {
        let many = Diagnostic::new(codes::WRONG_TYPE, span("[\n     ]", 0), "`inputs` must be an object");
        insta::assert_snapshot!(drawn(80, many), @r#"
        error[E010]: `inputs` must be an object
         --> dir/test.json:6:16
          |
        6 |      "inputs": [
          |                ^
        "#);
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let end = Diagnostic::new(codes::SYNTAX, TEXT.len()..TEXT.len(), "something is missing");
        insta::assert_snapshot!(drawn(80, end), @r"
        error[E004]: something is missing
          --> dir/test.json:10:1
           |
        10 |
           | ^
        ");
        let empty = Diagnostic::new(codes::SYNTAX, 0..0, "the file is empty");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", "", &[empty])), @r"
        error[E004]: the file is empty
         --> a.json:1:1
          |
        1 |
          | ^
        ");
        let beyond = Diagnostic::new(codes::SYNTAX, 90..99, "beyond");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", "é", &[beyond])), @r"
        error[E004]: beyond
         --> a.json:1:2
          |
        1 | é
          |  ^
        ");
    }

    #[test]
    fn nothing_in_a_file_can_move_the_cursor() {
        let text = "{\"\u{1b}[31m\": 1,\r \u{202e}\"x\": 2}";
        let mut hostile =
            Diagnostic::new(codes::UNKNOWN_KEY, 1..8, "`\u{1b}[31m\nerror: forged` is not known");
        hostile.hint("one\n\u{1b}two").note(12..13, "\u{9b}here");
        let drawn = plain(&render_to(80, "\u{1b}]0;x\u{7}.json", text, &[hostile]));
        assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{drawn:?}");
        assert!(!drawn.contains('\u{202e}'), "{drawn:?}");
        assert!(!drawn.lines().any(|line| line.starts_with("error: forged")), "{drawn}");
    }

    #[test]
    fn a_span_inside_a_character_marks_it_whole() {
        let found = Diagnostic::new(codes::NOT_UTF8, 2..3, "the file is not UTF-8");
        insta::assert_snapshot!(plain(&render_to(80, "a.json", "a\u{fffd}b", &[found])), @r"
        error[E001]: the file is not UTF-8
         --> a.json:1:2
          |
        1 | a�b
          |  ^
        ");
    }

    proptest! {
        /// Files are what they are, and places are those of the bytes.
        #[test]
        fn whatever_a_file_holds_it_is_drawn(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..6),
                    prop::sample::select(vec![
                        &b"\xff"[..], b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\n", b"\r\n", b"\t", b"{\"a\":", b"\0",
                        "漢字".as_bytes(), "é".as_bytes(), "👩‍👩‍👧".as_bytes(), "\u{202e}".as_bytes(), b"                    ",
                    ]).prop_map(<[u8]>::to_vec),
                    "[é漢 ]".prop_map(|part| part.repeat(300).into_bytes()),
                ],
                0..40,
            ),
            (start, length) in (0..2000_usize, 0..500_usize),
            (note, note_length) in (0..2000_usize, 0..500_usize),
            columns in 1..140_usize,
        ) {
            let bytes = parts.concat();
            let text = load::display_text(&bytes);
            let mut found = Diagnostic::new(codes::NOT_UTF8, start..start + length, "wrong");
            let plainly = render_to(columns, "a.json", &text, std::slice::from_ref(&found));
            prop_assert!(!plainly.is_empty());
            found.note(note..note + note_length, "and here").hint("mend it");
            prop_assert!(!render_to(columns, "a.json", &text, &[found]).is_empty());
        }
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
        insta::assert_snapshot!(plain(&render_to(80, "a.json", &text, &[found])), @r"
        error[E004]: wrong
        --> a.json:1:4097
        ");
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
