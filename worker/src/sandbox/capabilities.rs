//! Lowering capabilities(7). Nothing here ever raises one.

use caps::{CapSet, Capability};
use ipc::message::{Capabilities, Sandbox, UserNamespace};
use nix::errno::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

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

/// The bounding set of this process, in which a new user namespace starts with all that the kernel knows.
/// Asked for once: it takes a system call for each capability.
#[derive(Debug)]
pub(crate) struct Bounding {
    known: Vec<Capability>,
    held: Vec<Capability>,
}

impl Bounding {
    /// Asks the kernel.
    pub(crate) fn read() -> Self {
        let ask = |capability| (capability, caps::has_cap(None, CapSet::Bounding, capability));
        let answers: Vec<_> = caps::all().into_iter().map(ask).collect();
        let known = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(capability, _)| *capability);
        let held = answers
            .iter()
            .filter(|(_, answer)| matches!(answer, Ok(true)))
            .map(|(capability, _)| *capability);
        Self { known: known.collect(), held: held.collect() }
    }

    /// Gives up all but what is to stay, as far as this process may: who lacks CAP_SETPCAP cannot lower that
    /// set and need not, for with no_new_privs exec gives nothing that is not permitted already.
    pub(crate) fn lower(&mut self, keep: Capabilities) -> nix::Result<()> {
        let Some(keep) = kept(keep) else { return Ok(()) };
        if !may_lower()? {
            return Ok(());
        }
        for capability in self.held.iter().filter(|capability| !keep.contains(capability)) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(reason)?;
        }
        self.held.retain(|capability| keep.contains(capability));
        Ok(())
    }

    /// The bounding set of a child, new in a user namespace or not.
    fn of_child(&self, sandbox: &Sandbox) -> &[Capability] {
        match sandbox.user_namespace {
            UserNamespace::None => &self.held,
            UserNamespace::First | UserNamespace::Last => &self.known,
        }
    }
}

/// Takes all that a child's sandbox does not keep out of what any program could give it: the bounding set. To be done
/// while CAP_SETPCAP is still there.
pub(crate) fn narrow(bounding: &Bounding, sandbox: &Sandbox) -> nix::Result<()> {
    let Some(keep) = kept(sandbox.capabilities) else { return Ok(()) };
    if may_lower()? {
        for capability in bounding.of_child(sandbox).iter().filter(|capability| !keep.contains(capability)) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(reason)?;
        }
    }
    Ok(())
}

/// Gives up all that a child's sandbox does not keep, in every other set; the ambient set is emptied.
pub(crate) fn lower(sandbox: &Sandbox) -> nix::Result<()> {
    let Some(keep) = kept(sandbox.capabilities) else { return Ok(()) };
    caps::clear(None, CapSet::Ambient).map_err(reason)?;
    // All three sets by one call: each call of its own would make new credentials.
    let stays =
        CapabilitySet::from_bits_retain(keep.iter().fold(0, |bits, capability| bits | capability.bitmask()));
    let held = thread::capabilities(None).map_err(errno)?;
    let lowered = CapabilitySets {
        effective: held.effective & stays,
        permitted: held.permitted & stays,
        inheritable: held.inheritable & stays,
    };
    thread::set_capabilities(None, lowered).map_err(errno)
}

fn errno(refused: rustix::io::Errno) -> Errno {
    Errno::from_raw(refused.raw_os_error())
}

/// What a choice keeps; `None`: everything.
fn kept(choice: Capabilities) -> Option<&'static [Capability]> {
    match choice {
        Capabilities::Dropped => Some(&[]),
        Capabilities::Standard => Some(&STANDARD),
        Capabilities::Kept => None,
    }
}

fn may_lower() -> nix::Result<bool> {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(reason)
}

/// The crate keeps only a text; the error number of its last call is still there.
fn reason(_: caps::errors::CapsError) -> Errno {
    Errno::last()
}
