//! Everything that a user or a disk sees: serde types, no logic.
