//! Harness of the end-to-end tests: a fresh home for each test, the program `q` under it, bounded waits, and
//! the checks that nothing is left behind. What the tests expect is in `tests/`.

pub mod cgroups;
pub mod definition;
pub mod draw;
pub mod escape;
pub mod fixture;
pub mod guest;
pub mod hostile;
pub mod journal;
pub mod machine_code;
pub mod model;
pub mod peers;
pub mod processes;
pub mod program;
pub mod running;
pub mod server;
mod shell;
pub mod terminal;
pub mod view;
pub mod wait;

pub use draw::Draw;
pub use fixture::Fixture;
pub use running::{Finished, Running};

/// The path of a program in `src/bin/`, checked when the test is compiled.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        env!(concat!("CARGO_BIN_EXE_", $name))
    };
}
