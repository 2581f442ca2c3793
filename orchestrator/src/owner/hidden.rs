//! What no step sees unless it declares it: the engine's home, places in which credentials are kept, and sockets
//! by which one gets at other programs of the user or of the machine.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Below the user's home.
const CREDENTIALS: [&str; 30] = [
    ".ssh",
    ".aws",
    ".gnupg",
    ".kube",
    ".docker",
    ".azure",
    ".oci",
    ".bluemix",
    ".terraform.d",
    ".vault-token",
    ".password-store",
    ".netrc",
    ".git-credentials",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".boto",
    ".s3cfg",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".config/glab-cli",
    ".config/git/credentials",
    ".config/containers/auth.json",
    ".config/doctl",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".local/share/keyrings",
];

/// Of container engines, buses and service managers.
const SOCKETS: [&str; 20] = [
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/podman",
    "/run/crio",
    "/run/buildkit",
    "/run/dbus",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/systemd/machine",
    "/run/systemd/nspawn",
    "/run/snapd.socket",
    "/run/snapd-snap.socket",
    "/run/libvirt",
    "/run/lxd.socket",
    "/run/incus",
    "/var/lib/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/run/docker.sock",
];

/// Variables that name such a socket, as a path or as an address that holds one.
const NAMING: [&str; 5] =
    ["DOCKER_HOST", "CONTAINER_HOST", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"];

/// What is there of it, by its real names. `home` is the engine's.
pub(super) fn hidden(home: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
    let user = variable("HOME").map(PathBuf::from);
    let credentials = user.iter().flat_map(|user| CREDENTIALS.iter().map(|path| user.join(path)));
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own_runtime = format!("/run/user/{}", nix::unistd::geteuid());
    let named = NAMING.into_iter().filter_map(|name| socket_in(variable(name)?.to_str()?));
    let all = [home.to_owned(), PathBuf::from(own_runtime)]
        .into_iter()
        .chain(credentials)
        .chain(runtime)
        .chain(SOCKETS.iter().map(PathBuf::from))
        .chain(named);
    let real: BTreeSet<PathBuf> = all
        .filter(|path| path.is_absolute())
        .filter_map(|path| path.canonicalize().ok())
        // Whoever names the whole machine hides nothing of it.
        .filter(|path| path.parent().is_some())
        .collect();
    real.into_iter().filter_map(|path| path.into_os_string().into_string().ok()).collect()
}

/// The path in `/a/b`, `unix:///a/b` or `unix:path=/a/b,guid=…`.
fn socket_in(address: &str) -> Option<PathBuf> {
    let text =
        address.strip_prefix("unix://").or_else(|| address.strip_prefix("unix:path=")).unwrap_or(address);
    let path = Path::new(text.split(',').next()?);
    path.is_absolute().then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_socket(address: &str, expected: Option<&str>) {
        assert_eq!(socket_in(address), expected.map(PathBuf::from));
    }

    #[test]
    fn sockets_are_found_in_addresses() {
        check_socket("unix:///run/x.sock", Some("/run/x.sock"));
        check_socket("unix:path=/run/user/1/bus,guid=1", Some("/run/user/1/bus"));
        check_socket("/run/agent", Some("/run/agent"));
        check_socket("tcp://1.2.3.4:2375", None);
        check_socket("unix:abstract=/x", None);
        check_socket("", None);
    }

    #[test]
    fn what_is_there_is_hidden_by_its_real_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for path in ["user/.ssh", "user/.config/gh", "state", "user/other", "runtime"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("state"), root.join("link")).unwrap();
        let variable = |name: &str| match name {
            "HOME" => Some(root.join("user").into_os_string()),
            "XDG_RUNTIME_DIR" => Some(root.join("runtime").into_os_string()),
            "DOCKER_HOST" => Some(format!("unix://{}", root.join("user/other").display()).into()),
            _ => None,
        };
        let found = hidden(&root.join("link"), variable);
        let below = |path: &str| Path::new(path).strip_prefix(&root).ok().map(Path::to_owned);
        let found: Vec<_> = found.iter().filter_map(|path| below(path)).collect();
        let expected = ["runtime", "state", "user/.config/gh", "user/.ssh", "user/other"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
