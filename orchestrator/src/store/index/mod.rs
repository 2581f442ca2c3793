//! `index.jsonl`: one small line whenever a run is created, starts, ends or is deleted, so that nobody has to
//! walk all runs to list some. It is derived and can be rebuilt; it is never synced line by line.
//!
//! [`Index`] is the file, [`Entry`] what it knows of a run; `scan` reads it from its end.

mod entry;
mod file;
mod line;
mod scan;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Filter};
pub use file::{Error, Index};
