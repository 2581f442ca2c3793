//! Lowering capabilities(7). Nothing here ever raises one.

use caps::{CapSet, Capability, CapsHashSet};
use ipc::message::Capabilities;
use nix::errno::Errno;

/// What the profile `standard` keeps: enough to install files and to become another user, as build and
/// deploy steps of root do.
const STANDARD: [Capability; 6] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_KILL,
];

/// All that the running kernel knows. To be asked for once: it takes a system call each.
pub(crate) fn known() -> Vec<Capability> {
    let is_known = |capability: &Capability| caps::has_cap(None, CapSet::Bounding, *capability).is_ok();
    caps::all().into_iter().filter(is_known).collect()
}

/// Gives up all of the known that is not to stay, in every set; the ambient set is emptied.
pub(crate) fn lower(known: &[Capability], keep: Capabilities) -> nix::Result<()> {
    let keep: CapsHashSet = match keep {
        Capabilities::Kept => return Ok(()),
        Capabilities::Standard => STANDARD.into_iter().collect(),
        Capabilities::Dropped => CapsHashSet::new(),
    };
    // The bounding set first, while CAP_SETPCAP is still there. Who does not have it cannot lower that set
    // and need not: with no_new_privs, exec gives nothing that is not permitted already.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(reason)? {
        for capability in known.iter().filter(|capability| !keep.contains(capability)) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(reason)?;
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(reason)?;
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        let held = caps::read(None, set).map_err(reason)?;
        caps::set(None, set, &held.intersection(&keep).copied().collect()).map_err(reason)?;
    }
    Ok(())
}

/// The crate keeps only a text; the error number of its last call is still there.
fn reason(_: caps::errors::CapsError) -> Errno {
    Errno::last()
}
