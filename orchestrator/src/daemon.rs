//! The daemon: it starts the runs of schedules. What starts when is decided by [`workflow_engine::scheduler`];
//! here is what that needs of the world: the clock, the files, the runs, the people who ask.
//!
//! It sleeps until the next fire, a change of the schedules, the end of a run or a question. What is decided is
//! durable in `fires.jsonl` before it is done, so that whenever it dies, the next one goes on.

mod alarm;
mod api;
pub mod client;
mod notify;
mod runs;
pub mod serve;
pub mod start;
mod watch;

pub(crate) use self::alarm::watched;
