//! The two clocks of a run: the wall clock for people, the monotonic one for everything that is waited for.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemas::journal::Now;

/// Time as a run sees it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    /// What the run had lived before this owner took it.
    before: Duration,
}

impl Clock {
    /// A clock that goes on where the run's last event stood; zero for a new run.
    pub fn starting_at(before: Duration) -> Self {
        Self { began: Instant::now(), before }
    }

    /// This moment.
    pub fn now(&self) -> Now {
        let up = self.before + self.began.elapsed();
        Now { wall: wall(), up_us: u64::try_from(up.as_micros()).unwrap_or(u64::MAX) }
    }
}

/// The wall clock, to the millisecond.
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
