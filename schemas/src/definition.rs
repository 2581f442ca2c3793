//! The workflow definition as people write it.
