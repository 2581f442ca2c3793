//! The frames between engine, launcher and worker.
