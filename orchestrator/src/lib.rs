//! Everything of the program `q` that touches the world.

pub mod agents;
pub mod attempt;
pub mod catalog;
pub mod cgroup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod definition;
pub mod dispatcher;
pub mod environment;
pub mod errors;
pub mod fold;
pub mod inputs;
pub mod launcher;
pub mod library;
pub mod mask;
pub mod owner;
pub mod prune;
pub mod schema;
pub mod secrets;
pub mod signal;
pub mod store;
pub mod ui;
