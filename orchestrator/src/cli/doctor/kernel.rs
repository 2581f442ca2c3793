//! What of the kernel does not depend on cgroups: release, user, landlock, filters of system calls, settings.

use std::{fs, path::Path};

use landlock::{ABI, Access as _, AccessFs, LandlockStatus, Ruleset, RulesetAttr as _};
use nix::{sys::utsname::uname, unistd::geteuid};
use schemas::output::doctor::Landlock;

use crate::attempt;

/// What was found.
#[derive(Debug)]
pub(super) struct Kernel {
    /// As uname(2) tells it.
    pub(super) release: String,
    /// The effective user.
    pub(super) uid: u32,
    /// The version of landlock.
    pub(super) landlock: Landlock,
    /// Whether system calls can be filtered.
    pub(super) seccomp: bool,
    /// Whether the processes of this user are counted in each user namespace by itself, and its steps have one.
    pub(super) counts_users: bool,
    /// A setting that forbids user namespaces.
    pub(super) forbids_user_namespaces: Option<Setting>,
    /// How its command line is changed.
    pub(super) boot: Boot,
}

/// How this machine's boot loader gets an argument for the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boot {
    /// By grubby(8): Amazon Linux, Fedora, RHEL.
    Grubby,
    /// By update-grub(8): Debian, Ubuntu.
    UpdateGrub,
}

/// A setting of sysctl(8) that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name.
    pub(super) name: &'static str,
    /// The value that would help.
    pub(super) wanted: &'static str,
}

/// Settings that forbid user namespaces: name, the value that forbids them, the value that allows them.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "15000"),
    // Debian's own.
    ("kernel.unprivileged_userns_clone", "0", "1"),
    // Ubuntu's own.
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

impl Kernel {
    pub(super) fn examine() -> Self {
        let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            counts_users: attempt::counts_users(&release),
            release,
            uid: geteuid().as_raw(),
            landlock: Landlock { abi: landlock_abi() },
            seccomp: seccomp(),
            forbids_user_namespaces: forbidding(Path::new("/proc/sys")),
            boot: if Path::new("/usr/sbin/grubby").exists() { Boot::Grubby } else { Boot::UpdateGrub },
        }
    }
}

/// The version of landlock. The crate tells it only to who restricts himself: a thread that ends at once does.
fn landlock_abi() -> Option<u32> {
    let restrict = || {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).ok()?;
        ruleset.create().ok()?.restrict_self().ok()
    };
    let status = std::thread::spawn(restrict).join().ok().flatten()?;
    match status.landlock {
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            u32::try_from(kernel_abi.unwrap_or(effective_abi as i32)).ok()
        }
    }
}

/// seccomp(2): the kernel lists what a filter may do.
fn seccomp() -> bool {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    actions.split_ascii_whitespace().any(|action| action == "errno")
}

fn forbidding(sysctl: &Path) -> Option<Setting> {
    let forbids = |name: &str, value: &str| {
        let path = sysctl.join(name.replace('.', "/"));
        fs::read_to_string(path).is_ok_and(|found| found.trim() == value)
    };
    let found = SETTINGS.iter().find(|(name, forbidden, _)| forbids(name, forbidden));
    found.map(|(name, _, wanted)| Setting { name, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(settings: &[(&str, &str)], expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        for (path, value) in settings {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut fs::File::create(path).unwrap(), value.as_bytes()).unwrap();
        }
        assert_eq!(forbidding(dir.path()).map(|setting| setting.name), expected);
    }

    #[test]
    fn settings_that_forbid_are_named() {
        check(&[], None);
        check(&[("user/max_user_namespaces", "31000\n")], None);
        check(&[("user/max_user_namespaces", "0\n")], Some("user.max_user_namespaces"));
        check(
            &[("user/max_user_namespaces", "1\n"), ("kernel/unprivileged_userns_clone", "0\n")],
            Some("kernel.unprivileged_userns_clone"),
        );
        check(
            &[("kernel/apparmor_restrict_unprivileged_userns", "1\n")],
            Some("kernel.apparmor_restrict_unprivileged_userns"),
        );
    }

    #[test]
    fn asking_for_landlock_restricts_nobody() {
        let first = landlock_abi();
        assert_eq!(landlock_abi(), first);
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("still-allowed")).unwrap();
    }
}
