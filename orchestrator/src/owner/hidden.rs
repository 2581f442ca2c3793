//! What no step sees unless it declares it: the engine's home, places in which credentials are kept, and sockets
//! by which one gets at other programs of the user or of the machine.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::cgroup;

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
const SOCKETS: [&str; 24] = [
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/podman",
    "/run/crio",
    "/run/k3s",
    "/run/buildkit",
    "/run/dbus",
    "/run/initctl",
    "/run/udev/control",
    "/run/systemd/private",
    "/run/systemd/io.systemd.Manager",
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

/// File systems by which one gets at the machine and at cgroups, wherever they are mounted besides the places that
/// every step has of its own.
const MACHINE: [&str; 5] = ["cgroup", "cgroup2", "devtmpfs", "proc", "sysfs"];
/// Those places.
const OWN: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Variables that name such a socket, as a path or as an address that holds one.
const NAMING: [&str; 5] =
    ["DOCKER_HOST", "CONTAINER_HOST", "DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "GPG_AGENT_INFO"];

/// What is there of it, by its real names. `home` is the engine's, `mountinfo` says what is mounted where.
pub(super) fn hidden(
    home: &Path,
    variable: impl Fn(&str) -> Option<OsString>,
    mountinfo: &str,
) -> Vec<String> {
    let user = variable("HOME").map(PathBuf::from);
    let credentials = user.iter().flat_map(|user| CREDENTIALS.iter().map(|path| user.join(path)));
    let runtime = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let uid = nix::unistd::geteuid();
    // Root may speak on everybody's bus.
    let own_runtime = if uid.is_root() { "/run/user".to_owned() } else { format!("/run/user/{uid}") };
    let named = NAMING.into_iter().filter_map(|name| socket_in(variable(name)?.to_str()?));
    let all = [home.to_owned(), PathBuf::from(own_runtime)]
        .into_iter()
        .chain(credentials)
        .chain(runtime)
        .chain(SOCKETS.iter().map(PathBuf::from))
        .chain(named)
        .chain(machine(mountinfo));
    let real: BTreeSet<PathBuf> = all
        .filter(|path| path.is_absolute())
        .filter_map(|path| path.canonicalize().ok())
        // Whoever names the whole machine hides nothing of it.
        .filter(|path| path.parent().is_some())
        .collect();
    real.into_iter().filter_map(|path| path.into_os_string().into_string().ok()).collect()
}

fn machine(mountinfo: &str) -> impl Iterator<Item = PathBuf> {
    let points = cgroup::points(mountinfo, &MACHINE);
    points.into_iter().filter(|point| !OWN.iter().any(|own| point.starts_with(own)))
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

    #[test]
    fn what_shows_the_machine_elsewhere_is_hidden_there() {
        let mountinfo = "1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / /proc rw - proc proc rw\n\
            3 1 0:2 / /srv/root/proc rw - proc proc rw\n4 1 0:3 / /run/cilium/cgroupv2 rw - cgroup2 none rw\n\
            5 1 0:4 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n6 1 0:5 / /srv/root/dev rw - devtmpfs udev rw\n\
            7 1 0:5 / /dev rw - devtmpfs udev rw\n8 1 0:6 / /device rw - sysfs sysfs rw\n";
        let found: Vec<_> = machine(mountinfo).collect();
        let expected = ["/srv/root/proc", "/run/cilium/cgroupv2", "/srv/root/dev", "/device"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

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
        let found = hidden(&root.join("link"), variable, "");
        let below = |path: &str| Path::new(path).strip_prefix(&root).ok().map(Path::to_owned);
        let found: Vec<_> = found.iter().filter_map(|path| below(path)).collect();
        let expected = ["runtime", "state", "user/.config/gh", "user/.ssh", "user/other"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
