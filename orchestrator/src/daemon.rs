//! Runs that nobody starts by hand: how a schedule's run is started.

pub mod start;
