//! The frames between engine, launcher and worker: one enum per direction, length-prefixed JSON, capped
//! before allocation.

pub mod frame;
pub mod limits;
pub mod message;
