//! The file system of the profile `strict` held a second time: landlock(7), by paths of the view that stands
//! already. What it allows is what [`super::mounts`] shows; neither depends on the other.

use std::path::Path;

use ipc::message::{Network, Root};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::errno::Errno;

/// The newest rules that we know; an older kernel takes of them what it has.
const NEWEST: ABI = ABI::V6;

/// What a kernel must have at least: reading and writing by path.
const LEAST: ABI = ABI::V1;

/// Directories of our own making, in which everything is allowed that the mounts allow.
const OWN: [&str; 2] = ["/dev", "/tmp"];

/// Shuts this process and all that it starts into what `root` shows.
pub(crate) fn restrict(root: &Root, work_dir: Option<&Path>, network: &Network) -> nix::Result<()> {
    let status = rules(root, work_dir, network).map_err(|error| refusal(&error))?;
    // A kernel without it would hold nothing, in silence.
    if status == RulesetStatus::NotEnforced { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

fn rules(root: &Root, work_dir: Option<&Path>, network: &Network) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::from_read(NEWEST);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?;
    if *network == Network::None {
        rules = rules.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut rules = rules.scope(Scope::from_all(NEWEST))?.create()?;
    let readable = root.read.iter().map(|path| (Path::new(path), read));
    let writable = root.write.iter().map(Path::new).chain(work_dir).map(|path| (path, all));
    let own = OWN.into_iter().map(|path| (Path::new(path), all));
    let system = super::mounts::SYSTEM.into_iter().chain(["/proc"]).map(|path| (Path::new(path), read));
    // Names may be listed everywhere: there are only those that the mounts show.
    let names = [(Path::new("/"), AccessFs::ReadDir.into())];
    for (path, access) in names.into_iter().chain(readable).chain(writable).chain(own).chain(system) {
        // What is not there needs no rule.
        if let Ok(descriptor) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(descriptor, access))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// The crate's errors hold the kernel's somewhere below.
fn refusal(error: &RulesetError) -> Errno {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return crate::sys::errno_of(error);
        }
        cause = error.source();
    }
    Errno::EOPNOTSUPP
}
