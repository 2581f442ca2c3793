//! Where `q` is: `$Q_BIN`, else the one beside the test program, brought up to date once per run of the tests.

use std::{
    env,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, id},
    sync::OnceLock,
};

/// The program under test.
pub fn q() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match env::var_os("Q_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent directory")
}

/// The text of a file in `examples/`.
#[track_caller]
pub fn example(name: &str) -> String {
    let path = workspace().join("examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Builds `q` in the profile of this test. nextest has a process for each test, so whoever comes first builds,
/// and leaves the id of the run of tests for the others.
fn build() -> PathBuf {
    let test = env::current_exe().expect("the test knows its own path");
    let directory = test.parent().and_then(Path::parent).expect("a test is in <profile>/deps").to_owned();
    let session = env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| format!("process {}", id()));

    let mut stamp = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("q-for-tests.lock"))
        .expect("the target directory is writable");
    stamp.lock().expect("the target directory has locks");
    let mut built_for = String::new();
    stamp.read_to_string(&mut built_for).expect("the stamp is text");
    if built_for != session {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "orchestrator", "--bin", "q"]).current_dir(workspace());
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "q does not build");
        stamp.set_len(0).and_then(|()| stamp.rewind()).expect("the stamp can be replaced");
        stamp.write_all(session.as_bytes()).expect("the stamp can be written");
    }
    directory.join("q")
}
