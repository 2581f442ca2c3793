//! The pure core: text to [`plan::Plan`], and `Run::apply`, which decides everything. No tokio, no nix, no
//! file system, no clock, no randomness: time and files come in as arguments, effects go out as values.

pub mod check;
pub mod cron;
pub mod diagnostic;
pub mod expr;
pub mod load;
pub mod plan;
pub mod queue;
pub mod run;
pub mod scheduler;
pub mod units;
pub mod value;
pub mod verdict;
pub mod zone;
