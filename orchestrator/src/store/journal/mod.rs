//! The journal of a run: `journal.jsonl`, the truth from which everything else follows.
//!
//! [`line`] is the format of one line, [`Reader`] and [`Writer`] are the file, [`Disk`] is the seam below the
//! writer. The shapes of the events are `schemas::journal`; what they mean is the engine's matter.

pub mod disk;
mod error;
mod line;
mod reader;
mod repair;
mod writer;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
pub(super) mod fixture;

pub use disk::{Disk, FileDisk};
pub use error::{BadLine, Error};
pub use line::{LINE_MAX, Record};
pub use reader::{End, Reader};
pub use repair::{Lost, truncate_at};
pub use writer::{Space, Writer};
