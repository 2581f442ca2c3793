//! The program `q`.
fn main() {}
