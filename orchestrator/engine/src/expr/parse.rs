//! The parser of the crate `cel`, on a stack of its own: it recurses, and an overflow would abort the program.

use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use cel::{
    IdedExpr,
    common::ast::SourceInfo,
    parser::{ParseError, Parser},
};

use super::{CompileError, source::Source};

/// Stack of the thread that parses.
const STACK: usize = 32 << 20;
/// Rules within rules.
const MAX_DEPTH: u16 = 96;

/// A stack on which the parser cannot overflow; it cannot leave its thread.
#[derive(Debug)]
pub struct Stack(PhantomData<*const ()>);

/// There is no thread to be had.
#[derive(Debug, thiserror::Error)]
#[error("make a thread for expressions")]
pub struct NoStack(#[source] std::io::Error);

/// Works on a big stack: a thread for it is made once, however many expressions there are.
pub fn on_big_stack<T: Send>(work: impl FnOnce(&Stack) -> T + Send) -> Result<T, NoStack> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("expressions".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || work(&Stack(PhantomData))).map_err(NoStack)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Parses a text and gives what came of it to `read`. Dropping a deep tree recurses too: it does not leave the stack.
pub(super) fn parse<T>(
    _stack: &Stack,
    source: &Source,
    read: impl FnOnce(&IdedExpr, &SourceInfo) -> Result<T, CompileError>,
) -> Result<T, CompileError> {
    let parse = || Parser::new().max_recursion_depth(MAX_DEPTH).parse_with_source_info(&source.text);
    // The parser is not ours: if it panics, the expression is wrong and nothing else is.
    match catch_unwind(AssertUnwindSafe(parse)) {
        Ok(Ok((expression, places))) => read(&expression, &places),
        Ok(Err(errors)) => Err(errors.errors.first().map_or_else(
            || CompileError::new("this is not an expression", 0..source.text.len()),
            |error| readable(error, &source.text),
        )),
        Err(_) => Err(CompileError::new("the expression could not be read: the parser gave up", 0..0)),
    }
}

/// An error of the parser in words for people, with its place as bytes.
fn readable(error: &ParseError, text: &str) -> CompileError {
    let is_syntax = error.msg.starts_with("Syntax error");
    let place = place(error.pos, text, is_syntax);
    let message = error.msg.trim_start_matches("Syntax error: ");
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = if message.contains("<EOF>") {
        "the expression ends too early".to_owned()
    } else if let Some(what) = message.split_once(" input '").and_then(|(_, rest)| rest.strip_suffix('\'')) {
        format!("`{}` is not expected here", shortened(what.trim()))
    } else if let Some(what) = message.strip_prefix("token recognition error at: '") {
        format!("`{}` is not expected here", shortened(what.trim_end_matches('\'').trim()))
    } else if message == "invalid argument to has() macro" {
        "`has` asks for a part of something: `has(a.b)`".to_owned()
    } else if let Some(name) = message.strip_prefix("reserved identifier: ") {
        format!("`{name}` is a reserved word: a step of this id is `steps[\"{name}\"]`")
    } else {
        shortened(message)
    };
    CompileError::new(message, place)
}

fn shortened(text: &str) -> String {
    crate::load::shortened(text)
}

/// The byte that a line and a column mean. The parser counts columns in characters where it reads, and in bytes
/// where it looks at what it read.
fn place((line, column): (isize, isize), text: &str, in_characters: bool) -> std::ops::Range<usize> {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let bytes =
        if in_characters { rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at) } else { column };
    let mut start = (start + bytes).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    start..start + length
}
