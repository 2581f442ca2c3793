//! Real births in real cgroups. This executable is its own launcher, as `q` is: a hidden first argument
//! makes it one, before any thread is started.

mod ahead;
mod confinement;
mod deaths;
mod faults;
mod harness;
mod lives;
mod sandbox;

use std::io::Write;
use std::process::ExitCode;

use libtest_mimic::Arguments;

/// The hidden argument that makes this program the launcher.
const LAUNCHER: &str = "__launcher";

/// The hidden argument that makes this program list its descriptors.
const LIST_DESCRIPTORS: &str = "__list_descriptors";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(LAUNCHER) => worker::launcher::main(),
        Some(LIST_DESCRIPTORS) => list_descriptors(),
        _ => {
            let areas = [
                sandbox::trials(),
                confinement::trials(),
                lives::trials(),
                faults::trials(),
                deaths::trials(),
                ahead::trials(),
            ];
            libtest_mimic::run(&Arguments::from_args(), areas.into_iter().flatten().collect()).exit_code()
        }
    }
}

/// A shell would show those that it opens itself to find out.
fn list_descriptors() -> ExitCode {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let names =
        entries.map(|entry| entry.expect("an entry").file_name().to_str().expect("a number").to_owned());
    let names: Vec<String> = names.collect();
    // The listing itself is one of the names, and closed now.
    let open = names.iter().filter(|name| std::fs::metadata(format!("/proc/self/fd/{name}")).is_ok());
    let mut open: Vec<&str> = open.map(String::as_str).collect();
    open.sort_unstable();
    writeln!(std::io::stdout(), "{}", open.join(" ")).expect("stdout");
    ExitCode::SUCCESS
}
