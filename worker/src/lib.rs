//! The child side: launcher, birth, sandbox, skills. It knows neither tokio nor the engine.

pub mod launcher;

mod agent;
mod birth;
mod child;
mod sandbox;
mod sys;

pub mod skills;
