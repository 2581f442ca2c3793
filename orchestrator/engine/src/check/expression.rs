//! Expressions of a file: compiled once, every name in them looked up as a reference is.

use std::ops::Range;

use super::{
    Check,
    order::Reader,
    reference,
    resolve::{TextForm, Use},
    types::misses,
};
use crate::{
    diagnostic::codes::{BAD_EXPRESSION, DOUBTFUL_PART},
    expr::{self, Bound, Kinds, Names, Program, Types},
    load::Node,
    value::Reference,
};

impl<'a> Check<'a, '_> {
    /// A condition: an expression as a whole string; a surrounding `${}` is tolerated.
    pub(super) fn condition(&mut self, node: &'a Node, from: Reader) -> Option<Program> {
        let (start, inner) = unwrapped(node.as_text()?);
        self.text_form = TextForm::Expression;
        let program = self.program(node, inner, start, from);
        self.text_form = TextForm::Whole;
        let program = program?;
        let place = program.place();
        let place = self.place_in(node, start + place.start..start + place.end);
        // The language has a failure for it: it is said, and not refused.
        let Types { surely, likely } = program.types();
        let given = if misses(surely, Kinds::BOOL) { surely } else { likely };
        if misses(given, Kinds::BOOL) {
            self.problems
                .report(DOUBTFUL_PART, place, format!("a condition gives a bool, this gives {given}"))
                .hint("the step fails with `expression_error`: compare it with something");
        }
        Some(program)
    }

    /// An expression that is only a path, and can be read in one way; a step whose id is a reserved word is reached by
    /// its record.
    pub(super) fn plain_path<'t>(&self, text: &'t str) -> Option<reference::Path<'t>> {
        let is_name = |name: &str| self.is_name(name);
        reference::expression(text, |id| self.outline.by_id(id).is_some())
            .filter(|path| !expr::is_ambiguous(path.head, &is_name))
            .filter(|path| !(expr::is_reserved(path.head) && self.outline.by_id(path.head).is_some()))
    }

    /// Whether there is such a name, which may hold hyphens.
    fn is_name(&self, name: &str) -> bool {
        self.outline.by_id(name).is_some() || self.names.context.contains(name)
    }

    /// An expression that begins at `start` in the content of a string; `None`: it is wrong, which was reported.
    pub(super) fn program(&mut self, node: &Node, text: &str, start: usize, from: Reader) -> Option<Program> {
        let before = self.problems.errors();
        // What an expression makes of a secret is none any more.
        let handed_on = std::mem::replace(&mut self.hands_on, false);
        let mut names = ExpressionNames { check: self, node, text, start, from };
        let compiled = Program::compile(text, &mut names);
        self.hands_on = handed_on;
        match compiled {
            Err(error) => self.bad_expression(node, start, &error.place, error.message),
            Ok(program) => {
                for problem in program.problems() {
                    self.bad_expression(node, start, &problem.place, problem.message.clone());
                }
                self.report_types(node, start, &program);
                return Some(program).filter(|_| self.problems.errors() == before);
            }
        }
        None
    }

    fn bad_expression(&mut self, node: &Node, start: usize, place: &Range<usize>, message: String) {
        // What is missing at the end is pointed at where it should begin.
        let place = self.place_in(node, start + place.start..start + place.end.max(place.start + 1));
        self.problems.report(BAD_EXPRESSION, place, message);
    }
}

/// An expression without white space and a surrounding `${}`, which conditions may have; and where it starts.
pub(super) fn unwrapped(text: &str) -> (usize, &str) {
    let outer = text.trim();
    let inner = outer.strip_prefix("${").and_then(|inner| inner.strip_suffix('}')).unwrap_or(outer);
    let inner = inner.trim();
    (inner.as_ptr().addr() - text.as_ptr().addr(), inner)
}

/// The names of a definition as an expression sees them.
struct ExpressionNames<'c, 'a, 'p> {
    check: &'c mut Check<'a, 'p>,
    node: &'c Node,
    text: &'c str,
    start: usize,
    from: Reader,
}

impl Names for ExpressionNames<'_, '_, '_> {
    fn has(&self, name: &str) -> bool {
        self.check.is_name(name)
    }

    fn bind(&mut self, path_of_program: &expr::Path) -> Bound {
        let path = path_of_program;
        let written = &self.text[path.head_range.start..];
        let end = path.segments.last().map_or(path.head_range.end, |(_, range)| range.end);
        let length = end - path.head_range.start;
        let path = reference::Path {
            head: &path.head,
            head_range: path.head_range.clone(),
            segments: path.segments.clone(),
        };
        let text = written.get(..length).unwrap_or(written);
        let asked = &path_of_program.asked;
        let at = Use { node: self.node, text, start: self.start, from: self.from, asked };
        match self.check.expression_reference(&at, &path) {
            Some(reference) => Bound::To(reference),
            None => Bound::Reported,
        }
    }

    fn types(&self, reference: &Reference) -> Types {
        self.check.types_of(reference, self.from)
    }
}
