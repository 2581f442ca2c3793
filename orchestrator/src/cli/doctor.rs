//! `doctor`: what this machine can enforce, found by trying it, and how to mend what it cannot. And the mending
//! of a run's journal.

mod cgroups;
mod cut;
mod gaps;
mod kernel;
mod namespaces;
mod profiles;
mod table;

use std::{collections::BTreeMap, path::PathBuf};

use schemas::{
    exit_code::ExitCode,
    output::{
        SCHEMA_VERSION,
        doctor::{Doctor, HeldLimit},
    },
    view::Enforcer,
};

use super::output;
use crate::{cgroup::Controllers, errors::Result, store::home::Home, ui::terminal};

/// Show what this machine can enforce, and the command that mends each gap; mend a damaged journal.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    q workflow doctor\n  \
    q workflow doctor --json\n  \
    systemd-run --user --scope -p Delegate=yes q workflow doctor --require\n  \
    q workflow doctor --run 01997b1c --truncate-at 12")]
pub(super) struct Arguments {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Exit with 7 unless limits on memory, CPU and processes are held by the kernel.
    #[arg(long)]
    require: bool,
    /// A cgroup v2 directory that is ours to use, as for `run`.
    #[arg(long, value_name = "PATH")]
    cgroup_base: Option<PathBuf>,
    /// Mend the journal of this run: its id, or a unique beginning of it.
    #[arg(long, value_name = "ID", requires = "truncate_at", conflicts_with_all = ["json", "require", "cgroup_base"])]
    run: Option<String>,
    /// Cut that journal before this line, which an error has named; what is cut off is kept beside it.
    #[arg(long, value_name = "LINE", requires = "run", value_parser = clap::value_parser!(u64).range(2..))]
    truncate_at: Option<u64>,
    /// Makes namespaces, says which, and exits: what tries them.
    #[arg(long, hide = true, conflicts_with_all = ["json", "require", "cgroup_base", "run"])]
    try_namespaces: bool,
}

pub(super) fn run(arguments: &Arguments, home: impl FnOnce() -> Result<Home>) -> Result {
    if arguments.try_namespaces {
        return namespaces::attempt();
    }
    if let (Some(id), Some(line)) = (&arguments.run, arguments.truncate_at) {
        return cut::run(&home()?, id, line);
    }
    let doctor = examine(arguments)?;
    if arguments.json {
        output::json(&doctor)?;
    } else {
        output::text(&table::render(&doctor, terminal::width()))?;
    }
    let required = ["memory", "cpu", "pids"];
    // What q looks at now and then is held by no kernel.
    let by_kernel = |limit: &HeldLimit| limit.held && limit.by != Enforcer::Monitor;
    let held = required.iter().all(|name| doctor.limits.get(*name).is_some_and(by_kernel));
    Ok(if arguments.require && !held { ExitCode::Isolation } else { ExitCode::Done })
}

fn examine(arguments: &Arguments) -> Result<Doctor> {
    let namespaces = namespaces::examine();
    let found = cgroups::examine(arguments.cgroup_base.as_deref())?;
    let kernel = kernel::Kernel::examine();
    let gaps = gaps::gaps(&found, namespaces, &kernel);
    let isolation = profiles::isolation(&found, kernel.counts_users);
    Ok(Doctor {
        schema_version: SCHEMA_VERSION,
        kernel: kernel.release,
        uid: kernel.uid,
        limits: limits(found.held, kernel.counts_users && namespaces.user, namespaces.mnt),
        cgroup: found.cgroup,
        namespaces,
        landlock: kernel.landlock,
        seccomp: kernel.seccomp,
        isolation,
        gaps,
    })
}

/// Who holds the limits of a step with the default sandbox: the words of the run view. `own_user`: it has a user
/// namespace in which its processes are counted; `own_tmp`: a private `/tmp`.
fn limits(held: Controllers, own_user: bool, own_tmp: bool) -> BTreeMap<String, HeldLimit> {
    let by = |by: Enforcer| HeldLimit { by, held: by != Enforcer::None };
    let cgroup = |held: bool, otherwise: Enforcer| by(if held { Enforcer::CgroupV2 } else { otherwise });
    let limits = [
        ("memory", cgroup(held.memory, Enforcer::Monitor)),
        ("cpu", cgroup(held.cpu, Enforcer::None)),
        ("pids", cgroup(held.pids, if own_user { Enforcer::Rlimit } else { Enforcer::None })),
        ("io", cgroup(held.io, Enforcer::None)),
        ("cpu_time", by(Enforcer::Engine)),
        ("open_files", by(Enforcer::Rlimit)),
        ("file_size", by(Enforcer::Rlimit)),
        ("scratch", by(if own_tmp { Enforcer::Tmpfs } else { Enforcer::Monitor })),
        ("output", by(Enforcer::Engine)),
        ("timeout", by(Enforcer::Engine)),
    ];
    limits.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect()
}
