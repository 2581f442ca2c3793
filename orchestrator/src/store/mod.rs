//! State on disk: the only code that knows where q's files lie and how they are written.
//!
//! The journal of a run is the truth; `state.json` and `index.jsonl` follow from it. Nothing here knows what
//! an event means.

pub mod capture;
pub mod definitions;
pub mod disk;
pub mod files;
pub mod fires;
pub mod home;
pub mod index;
pub mod journal;
pub mod lock;
pub mod names;
pub mod output;
pub mod queue;
pub mod removal;
pub mod resolve;
pub mod run;
pub mod run_log;
pub mod schedules;
pub mod view;
