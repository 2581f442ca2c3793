//! Aborts, which leaves a core file where that is allowed.

fn main() {
    std::process::abort();
}
