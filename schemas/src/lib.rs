//! Everything that a user or a disk sees: serde types, no logic.

mod words;

use words::words;

pub mod agent;
pub mod config;
pub mod definition;
pub mod events;
pub mod exit_code;
pub mod failure;
pub mod journal;
pub mod json;
pub mod output;
pub mod schedule;
pub mod skill;
pub mod view;
