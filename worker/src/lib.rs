//! The child side: launcher, birth, sandbox, skills.
