//! The frames between engine, launcher and worker: one enum per direction, length-prefixed JSON, capped
//! before allocation; and the sockets that carry them with descriptors.

pub mod frame;
pub mod limits;
pub mod message;
pub mod socket;
