//! Who enforces what for a step with each profile on this machine: the same words, and by the same rules, as a run's
//! record has them.

use std::collections::BTreeMap;

use schemas::view::{Enforcer, FilesystemBy, Isolation, KillBy, NetworkBy};

use super::cgroups::Found;

/// By profile; `None`: runs with it are refused. `counts_users`: processes are counted in each user namespace.
pub(super) fn isolation(found: &Found, counts_users: bool) -> BTreeMap<String, Option<Isolation>> {
    let namespaces = found.births.namespaces;
    let standard = if namespaces { FilesystemBy::Mount } else { FilesystemBy::None };
    let strict = found.births.strict && namespaces && found.births.network && found.births.seccomp;
    let rows = [
        ("none", Some(enforced(found, false, counts_users, NetworkBy::Host, FilesystemBy::None))),
        ("standard", Some(enforced(found, namespaces, counts_users, NetworkBy::Host, standard))),
        (
            "strict",
            strict.then(|| enforced(found, true, counts_users, NetworkBy::Namespace, FilesystemBy::Landlock)),
        ),
    ];
    rows.into_iter().map(|(profile, enforced)| (profile.to_owned(), enforced)).collect()
}

/// `own_namespaces`: a step has them.
fn enforced(
    found: &Found,
    own_namespaces: bool,
    counts_users: bool,
    network: NetworkBy,
    filesystem: FilesystemBy,
) -> Isolation {
    let cgroup = |held: bool, otherwise: Enforcer| if held { Enforcer::CgroupV2 } else { otherwise };
    let own_count = if own_namespaces && counts_users { Enforcer::Rlimit } else { Enforcer::None };
    Isolation {
        memory: cgroup(found.held.memory, Enforcer::Monitor),
        cpu: cgroup(found.held.cpu, Enforcer::None),
        pids: cgroup(found.held.pids, own_count),
        io: cgroup(found.held.io, Enforcer::None),
        kill: match (found.cgroup.delegated, own_namespaces) {
            (true, _) => KillBy::CgroupKill,
            (false, true) => KillBy::PidNamespace,
            (false, false) => KillBy::Walk,
        },
        network,
        filesystem,
        notes: found.births.notes.clone(),
    }
}
