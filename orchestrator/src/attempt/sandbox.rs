//! What an attempt is shut into: the sandbox that the step chose, made of this host's paths and parts.

use std::path::{Path, PathBuf};

use ipc::{
    limits::Bytes,
    message::{self, Capabilities, Identity, Network as Net, Root, Sandbox, UserNamespace},
};
use nix::unistd::{Uid, User as Account, geteuid};
use schemas::view::{Enforcer, FilesystemBy, Isolation, KillBy, NetworkBy};
use workflow_engine::plan::{Enforcement, Network, Profile, Sandbox as Chosen, Seccomp, SkillCall, User};

use super::{host::Host, limits, prepare::Refused, task::Task};
use crate::{bridge::Services, cgroup};

/// What `strict` does not show of `/etc`: passwords and private keys.
const SECRETS_OF_ETC: [&str; 12] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/security/opasswd",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/krb5.keytab",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/ssh",
    "/etc/wireguard",
];

/// The sandbox of one attempt.
pub(super) fn of_attempt(
    host: &Host,
    call: &SkillCall,
    task: &Task,
    (cwd, services): (&Path, &Services),
) -> Result<Sandbox, Refused> {
    let chosen = &*call.sandbox;
    let namespaces = has_namespaces(host, chosen) && !is_held_by_filters(host, chosen, task);
    let mounts = namespaces && task.mounts;
    let root = (mounts && chosen.profile == Profile::Strict).then(|| root(host, chosen, task, cwd));
    let user = chosen.user.as_ref().map(identity).transpose()?.flatten();
    if let (Some(user), Some(work_dir)) = (user, &task.work_dir) {
        std::os::unix::fs::chown(work_dir, Some(user.uid), Some(user.gid))
            .map_err(|error| Refused::setup("user", "the work directory could not be handed over", &error))?;
    }
    Ok(Sandbox {
        namespaces,
        mounts,
        user_namespace: match chosen.profile {
            Profile::Standard | Profile::Strict if namespaces && host.rootless => UserNamespace::First,
            Profile::Strict if mounts => UserNamespace::Last,
            Profile::None | Profile::Standard | Profile::Strict => UserNamespace::None,
        },
        network: if mounts && host.network { network(&chosen.network, services) } else { Net::Host },
        capabilities: match (chosen.profile, task.mounts) {
            (Profile::None, _) => Capabilities::Kept,
            (Profile::Standard, true) => Capabilities::Standard,
            (Profile::Standard, false) | (Profile::Strict, _) => Capabilities::Dropped,
        },
        tmp_size: Bytes(call.limits.scratch.map_or(limits::SCRATCH, |bytes| bytes.0)),
        keep_visible: if mounts && root.is_none() { visible(host, chosen, task, cwd) } else { Vec::new() },
        work: (mounts && task.work_dir.is_some()).then(|| text(&host.run.work_folder())),
        root,
        seccomp: seccomp(host, chosen, task),
        no_fork: chosen.no_fork && host.seccomp,
        user,
        delegate: mounts && chosen.delegate && host.tree.is_some(),
    })
}

/// Whether attempts with this sandbox get namespaces.
pub(super) fn has_namespaces(host: &Host, chosen: &Chosen) -> bool {
    host.namespaces && chosen.profile != Profile::None
}

/// Whether filters alone hold it, which leave nothing to hide: no file, no network, no other process. It has namespaces
/// all the same without a leaf, since theirs is the surest way to end it, and where its threads are counted by its own
/// user namespace.
fn is_held_by_filters(host: &Host, chosen: &Chosen, task: &Task) -> bool {
    let counted_inside = limits::pids_by(host, chosen) == Enforcer::Rlimit;
    !task.mounts && host.seccomp && host.tree.is_some() && !counted_inside
}

fn network(chosen: &Network, services: &Services) -> Net {
    match chosen {
        Network::Host => Net::Host,
        Network::None | Network::Loopback | Network::Allow(_) if !services.is_empty() => {
            Net::Bridge(services.ports())
        }
        Network::None => Net::None,
        Network::Loopback | Network::Allow(_) => Net::Loopback,
    }
}

fn seccomp(host: &Host, chosen: &Chosen, task: &Task) -> message::Seccomp {
    match (chosen.profile, chosen.seccomp) {
        (Profile::None, _) => message::Seccomp::None,
        (Profile::Standard | Profile::Strict, _) if !host.seccomp => message::Seccomp::None,
        (Profile::Standard | Profile::Strict, _) if !task.mounts => message::Seccomp::Memory,
        (Profile::Standard | Profile::Strict, Seccomp::Default) => message::Seccomp::Default,
        (Profile::Standard | Profile::Strict, Seccomp::AllowUserns) => message::Seccomp::AllowUserns,
    }
}

/// What stays visible wherever it lies.
fn visible(host: &Host, chosen: &Chosen, task: &Task, cwd: &Path) -> Vec<String> {
    let mut paths = vec![text(cwd), text(&host.base)];
    paths.extend(task.folder.clone());
    paths.extend(declared(host, cwd, chosen.read.iter().chain(&chosen.write)));
    paths.dedup();
    paths
}

/// The root of `strict`.
fn root(host: &Host, chosen: &Chosen, task: &Task, cwd: &Path) -> Root {
    let mut read = vec![text(cwd), text(&host.base)];
    read.extend(task.folder.clone());
    read.push(text(&host.definition_folder));
    read.extend(declared(host, cwd, chosen.read.iter()));
    let write: Vec<_> = declared(host, cwd, chosen.write.iter()).collect();
    let there = |path: &&&str| Path::new(path).exists();
    let hidden = SECRETS_OF_ETC.iter().filter(there).filter_map(|path| Path::new(path).canonicalize().ok());
    let home = host.variable("HOME").map(PathBuf::from).filter(|home| is_plain(home));
    Root {
        read,
        write,
        hidden: hidden.map(|path| text(&path)).collect(),
        empty: home.as_deref().map(text).into_iter().collect(),
    }
}

/// Where a step writes, as far as it says so.
pub(super) fn written(host: &Host, chosen: &Chosen, task: &Task, cwd: &Path) -> Vec<PathBuf> {
    let declared = declared(host, cwd, chosen.write.iter()).map(PathBuf::from);
    task.work_dir.iter().cloned().chain(declared).collect()
}

/// Paths that the step declares, as far as they are there. A relative one starts at the step's cwd.
fn declared<'a>(
    host: &'a Host,
    cwd: &'a Path,
    paths: impl Iterator<Item = &'a String> + 'a,
) -> impl Iterator<Item = String> + 'a {
    let home = host.variable("HOME").map(Path::new);
    let absolute = move |path: &String| match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        (Some(_) | None, _) => cwd.join(path),
    };
    paths.filter_map(move |path| absolute(path).canonicalize().ok()).map(|path| text(&path))
}

fn is_plain(path: &Path) -> bool {
    use std::path::Component;
    path.is_absolute()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The account of a user of the host.
pub(super) fn account(user: &User) -> Option<Account> {
    match user {
        User::Name(name) => Account::from_name(name).ok().flatten(),
        User::Id(uid) => Account::from_uid(Uid::from_raw(*uid)).ok().flatten(),
    }
}

/// The numbers of a user; `None`: the engine's own.
fn identity(user: &User) -> Result<Option<Identity>, Refused> {
    let identity = match (user, account(user)) {
        (_, Some(account)) => Identity { uid: account.uid.as_raw(), gid: account.gid.as_raw() },
        (User::Id(uid), None) => Identity { uid: *uid, gid: *uid },
        (User::Name(name), None) => {
            let missing = std::io::Error::from_raw_os_error(nix::errno::Errno::ENOENT as i32);
            return Err(Refused::setup("user", &format!("the user `{name}` is not known here"), &missing));
        }
    };
    Ok((identity.uid != geteuid().as_raw()).then_some(identity))
}

/// Parts of a sandbox that this host cannot give although they must be.
pub fn missing_parts(host: &Host, chosen: &Chosen) -> Vec<String> {
    let required = chosen.profile == Profile::Strict || chosen.enforcement == Enforcement::Required;
    let own_network = chosen.network != Network::Host;
    let foreign = |user: &User| match (user, account(user)) {
        (User::Id(uid), _) => *uid != geteuid().as_raw(),
        (User::Name(_), account) => account.is_none_or(|account| account.uid != geteuid()),
    };
    [
        (required && chosen.profile != Profile::None && !host.namespaces, "namespaces"),
        (required && chosen.profile != Profile::None && !host.seccomp, "filters of system calls"),
        (required && own_network && !host.network, "a network namespace"),
        (chosen.profile == Profile::Strict && !host.strict, "user namespaces and landlock"),
        // Nobody would have chosen another user to run as this one.
        (host.rootless && chosen.user.as_ref().is_some_and(foreign), "another user (q is not root)"),
        (required && chosen.delegate && host.tree.is_none(), "a cgroup v2 tree to delegate from"),
    ]
    .into_iter()
    .filter(|(missing, _)| *missing)
    .map(|(_, part)| part.to_owned())
    .collect()
}

/// Who enforces what for a step with this sandbox.
pub fn isolation(host: &Host, chosen: &Chosen) -> Isolation {
    let tree = host.tree.as_ref().map(cgroup::Tree::controllers);
    let namespaces = has_namespaces(host, chosen);
    let mut notes = host.notes.clone();
    if chosen.profile == Profile::None {
        notes.push(
            "profile `none`: the step sees the host's files and processes, and may read the environment of other \
             processes of the same user"
                .to_owned(),
        );
    } else if chosen.network != Network::Host && !host.network {
        notes.push("this host gives no network namespace: the step has the network of the host".to_owned());
    }
    if chosen.delegate && tree.is_none() {
        notes.push("this host has no cgroup v2 tree of which the step could be given a part".to_owned());
    }
    super::host::enforcers(
        tree,
        limits::pids_by(host, chosen),
        notes,
        match (tree, namespaces) {
            (Some(_), _) => KillBy::CgroupKill,
            (None, true) => KillBy::PidNamespace,
            (None, false) => KillBy::Walk,
        },
        match chosen.network {
            Network::Host => NetworkBy::Host,
            Network::None | Network::Loopback | Network::Allow(_) if !(namespaces && host.network) => {
                NetworkBy::Host
            }
            Network::None | Network::Loopback => NetworkBy::Namespace,
            Network::Allow(_) => NetworkBy::Proxy,
        },
        match chosen.profile {
            Profile::Strict if namespaces => FilesystemBy::Landlock,
            Profile::Standard if namespaces => FilesystemBy::Mount,
            Profile::None | Profile::Standard | Profile::Strict => FilesystemBy::None,
        },
    )
}

/// The same, where it differs from that of the run.
pub(super) fn own_isolation(host: &Host, chosen: &Chosen) -> Option<Isolation> {
    let usual = &host.usual;
    let same = usual.profile == chosen.profile
        && usual.network == chosen.network
        && (usual.delegate == chosen.delegate || host.tree.is_some());
    (!same).then(|| isolation(host, chosen))
}
