//! Links `q` as an executable at a fixed address: without relocations to apply at its start, it starts sooner,
//! and its launcher has fewer pages of its own to copy at each fork.

fn main() {
    println!("cargo::rustc-link-arg-bins=-no-pie");
    println!("cargo::rerun-if-changed=build.rs");
}
