//! Everything that a user or a disk sees: serde types, no logic.

pub mod definition;
pub mod exit_code;
pub mod failure;
pub mod journal;
pub mod json;
pub mod skill;
pub mod view;
