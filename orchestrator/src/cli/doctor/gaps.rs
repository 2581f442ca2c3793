//! From what was found to what is missing, why, and the command that mends it.

use schemas::output::doctor::{CgroupMode, Gap, Namespaces};

use super::{
    cgroups::{Found, Place},
    kernel::{Boot, Kernel},
};
use crate::cgroup::{Miss, NoScope};

/// What is missing, the most important first.
pub(super) fn gaps(found: &Found, namespaces: Namespaces, kernel: &Kernel) -> Vec<Gap> {
    let mut gaps = Vec::new();
    gaps.extend(limits(found, kernel));
    gaps.extend(kill(found));
    gaps.extend(missing_namespaces(namespaces, kernel));
    for note in &found.births {
        gaps.push(Gap { what: "births".to_owned(), why: note.clone(), fix: None });
    }
    if kernel.landlock.abi.is_none() {
        gaps.push(landlock(kernel));
    }
    if !kernel.seccomp {
        gaps.push(Gap {
            what: "seccomp".to_owned(),
            why: "the kernel was built without CONFIG_SECCOMP_FILTER".to_owned(),
            fix: None,
        });
    }
    gaps
}

/// Limits that only a controller can hold.
fn limits(found: &Found, kernel: &Kernel) -> Option<Gap> {
    let held = found.held;
    let wanted = [(held.memory, "memory"), (held.cpu, "cpu"), (held.pids, "pids"), (held.io, "io")];
    let missing: Vec<_> = wanted.iter().filter(|(held, _)| !held).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return None;
    }
    let why = match found.cgroup.mode {
        CgroupMode::Hybrid if found.notes.is_empty() || found.place == Place::Root => {
            "cgroup v2 is mounted beside v1, and v1 has the controllers".to_owned()
        }
        CgroupMode::Unified | CgroupMode::Hybrid | CgroupMode::Legacy | CgroupMode::None => {
            found.notes.join("; ")
        }
    };
    Some(Gap {
        what: format!("limits on {}", missing.join(", ")),
        why,
        fix: Some(fix(found, &missing, kernel)),
    })
}

fn fix(found: &Found, missing: &[&str], kernel: &Kernel) -> String {
    match (found.cgroup.mode, found.place) {
        (CgroupMode::None, _) => "sudo mount -t cgroup2 none /sys/fs/cgroup".to_owned(),
        (CgroupMode::Legacy | CgroupMode::Hybrid, _) => {
            boot_with("systemd.unified_cgroup_hierarchy=1", kernel)
        }
        (CgroupMode::Unified, Place::Nowhere | Place::Own) if !found.misses.is_empty() => {
            own_cgroup(found, kernel)
        }
        (CgroupMode::Unified, Place::Root) => {
            let base = found.cgroup.base.as_deref().unwrap_or("/sys/fs/cgroup");
            let wanted: Vec<_> = missing.iter().map(|name| format!("+{name}")).collect();
            format!("echo '{}' | sudo tee {base}/cgroup.subtree_control", wanted.join(" "))
        }
        // systemd.resource-control(5): a user's manager hands on what it was given itself.
        (CgroupMode::Unified, Place::Nowhere | Place::Own) => {
            "sudo mkdir -p /etc/systemd/system/user@.service.d && \
            printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | \
            sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload"
                .to_owned()
        }
    }
}

/// How q is given a cgroup of its own, by what stood in the way.
fn own_cgroup(found: &Found, kernel: &Kernel) -> String {
    let mount = found.cgroup.mount.as_deref().unwrap_or("/sys/fs/cgroup");
    let mut mend = String::new();
    // A later one says what stands in the way of a better place, unless there is no such place here.
    for miss in &found.misses {
        mend = match miss {
            Miss::Systemd(NoScope::NotBooted) if !mend.is_empty() => mend,
            Miss::NotMounted | Miss::Outside | Miss::ReadOnly => {
                "docker run --cgroupns=private --security-opt writable-cgroups=true IMAGE q workflow run FILE"
                    .to_owned()
            }
            Miss::Shared(own) => {
                let own = own.display();
                format!(
                    "mkdir {own}/others; for pid in $(cat {own}/cgroup.procs); do echo $pid >{own}/others/cgroup.procs; \
                     done; q workflow run FILE --cgroup-base {own}"
                )
            }
            Miss::NotWritable(_) | Miss::Systemd(NoScope::NotBooted) => format!(
                "echo '+cpu +io +memory +pids' | sudo tee {mount}/cgroup.subtree_control; \
                 sudo mkdir -p {mount}/q/shell; sudo chown -R $(id -u) {mount}/q; \
                 echo $$ | sudo tee {mount}/q/shell/cgroup.procs; q workflow run FILE --cgroup-base {mount}/q"
            ),
            Miss::Systemd(NoScope::NoUserManager(_)) => "sudo loginctl enable-linger $(id -un)".to_owned(),
            Miss::Systemd(NoScope::Start { .. } | NoScope::Refused { .. } | NoScope::Late { .. }) => {
                let user = if kernel.uid == 0 { "" } else { "--user " };
                format!("systemd-run {user}--scope -p Delegate=yes q workflow run FILE")
            }
        };
    }
    mend
}

/// The kernel's command line gets one more argument.
fn boot_with(argument: &str, kernel: &Kernel) -> String {
    match kernel.boot {
        Boot::Grubby => format!("sudo grubby --update-kernel=ALL --args=\"{argument}\" && sudo reboot"),
        // The file is read by a shell after /etc/default/grub.
        Boot::UpdateGrub => format!(
            "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {argument}\"' | sudo tee /etc/default/grub.d/q.cfg && \
             sudo update-grub && sudo reboot"
        ),
    }
}

fn kill(found: &Found) -> Option<Gap> {
    (found.cgroup.delegated && !found.cgroup.kill).then(|| Gap {
        what: "ending a whole cgroup at once".to_owned(),
        why: "the kernel has no cgroup.kill (it came with 5.14): trees are ended by their pid namespace"
            .to_owned(),
        fix: None,
    })
}

fn missing_namespaces(namespaces: Namespaces, kernel: &Kernel) -> Option<Gap> {
    let all = [
        (namespaces.user, "user"),
        (namespaces.pid, "pid"),
        (namespaces.mnt, "mnt"),
        (namespaces.net, "net"),
        (namespaces.ipc, "ipc"),
        (namespaces.uts, "uts"),
    ];
    let missing: Vec<_> = all.iter().filter(|(there, _)| !there).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return None;
    }
    let (why, fix) = match kernel.forbids_user_namespaces {
        Some(setting) => (
            format!("{} forbids user namespaces", setting.name),
            Some(format!("sudo sysctl -w {}={}", setting.name, setting.wanted)),
        ),
        None => {
            ("the kernel refuses them: a container or a filter stands around this process".to_owned(), None)
        }
    };
    Some(Gap { what: format!("namespaces: {}", missing.join(", ")), why, fix })
}

fn landlock(kernel: &Kernel) -> Gap {
    Gap {
        what: "landlock".to_owned(),
        why: "the kernel has none (it came with 5.13), or it is not among the active security modules"
            .to_owned(),
        fix: Some(boot_with("lsm=landlock,$(cat /sys/kernel/security/lsm)", kernel)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use schemas::output::doctor::{Cgroup, Landlock};

    use super::*;
    use crate::{cgroup::Controllers, cli::doctor::kernel::Setting};

    const ALL: Controllers = Controllers { memory: true, cpu: true, pids: true, io: true };
    const NAMESPACES: Namespaces =
        Namespaces { user: true, pid: true, mnt: true, net: true, ipc: true, uts: true };

    fn kernel(uid: u32) -> Kernel {
        Kernel {
            release: "6.12.0".to_owned(),
            uid,
            landlock: Landlock { abi: Some(6) },
            seccomp: true,
            counts_users: uid != 0,
            forbids_user_namespaces: None,
            boot: Boot::Grubby,
        }
    }

    fn found(mode: CgroupMode, place: Place, held: Controllers, misses: Vec<Miss>) -> Found {
        let base = (place != Place::Nowhere).then(|| "/sys/fs/cgroup".to_owned());
        Found {
            cgroup: Cgroup {
                mode,
                mount: base.clone(),
                delegated: base.is_some(),
                base,
                controllers: held.names().into_iter().map(str::to_owned).collect(),
                kill: true,
                freeze: true,
            },
            held,
            place,
            misses,
            notes: vec!["what stood in the way".to_owned()],
            births: Vec::new(),
        }
    }

    fn shown(gaps: &[Gap]) -> String {
        let line = |gap: &Gap| format!("{} | {} | {}", gap.what, gap.why, gap.fix.as_deref().unwrap_or("-"));
        gaps.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_machine_that_has_everything_has_no_gaps() {
        assert_eq!(
            gaps(&found(CgroupMode::Unified, Place::Own, ALL, Vec::new()), NAMESPACES, &kernel(1000)),
            []
        );
    }

    #[test]
    fn limits_are_mended_where_they_are_missing() {
        let none = Controllers::default();
        let without_cpu = Controllers { cpu: false, ..ALL };
        let own = || PathBuf::from("/sys/fs/cgroup/own");
        let no_manager = || Miss::Systemd(NoScope::NoUserManager(1000));
        let refused = || Miss::Systemd(NoScope::Refused { said: "no".to_owned() });
        let not_booted = || Miss::Systemd(NoScope::NotBooted);
        let unified = |place, misses| found(CgroupMode::Unified, place, none, misses);
        let cases = [
            found(CgroupMode::None, Place::Nowhere, none, vec![Miss::NotMounted]),
            found(CgroupMode::Legacy, Place::Nowhere, none, vec![Miss::NotMounted]),
            found(CgroupMode::Hybrid, Place::Root, none, Vec::new()),
            unified(Place::Nowhere, vec![Miss::Outside]),
            unified(Place::Nowhere, vec![Miss::ReadOnly, not_booted()]),
            unified(Place::Nowhere, vec![Miss::NotWritable(own()), not_booted()]),
            unified(Place::Own, vec![Miss::Shared(own()), not_booted()]),
            unified(Place::Nowhere, vec![Miss::NotWritable(own()), no_manager()]),
            unified(Place::Own, vec![Miss::Shared(own()), refused()]),
            found(CgroupMode::Unified, Place::Own, without_cpu, Vec::new()),
            found(CgroupMode::Unified, Place::Root, without_cpu, Vec::new()),
        ];
        let told: Vec<_> = cases.iter().map(|found| shown(&gaps(found, NAMESPACES, &kernel(1000)))).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        limits on memory, cpu, pids, io | what stood in the way | sudo mount -t cgroup2 none /sys/fs/cgroup
        limits on memory, cpu, pids, io | what stood in the way | sudo grubby --update-kernel=ALL --args="systemd.unified_cgroup_hierarchy=1" && sudo reboot
        limits on memory, cpu, pids, io | cgroup v2 is mounted beside v1, and v1 has the controllers | sudo grubby --update-kernel=ALL --args="systemd.unified_cgroup_hierarchy=1" && sudo reboot
        limits on memory, cpu, pids, io | what stood in the way | docker run --cgroupns=private --security-opt writable-cgroups=true IMAGE q workflow run FILE
        limits on memory, cpu, pids, io | what stood in the way | docker run --cgroupns=private --security-opt writable-cgroups=true IMAGE q workflow run FILE
        limits on memory, cpu, pids, io | what stood in the way | echo '+cpu +io +memory +pids' | sudo tee /sys/fs/cgroup/cgroup.subtree_control; sudo mkdir -p /sys/fs/cgroup/q/shell; sudo chown -R $(id -u) /sys/fs/cgroup/q; echo $$ | sudo tee /sys/fs/cgroup/q/shell/cgroup.procs; q workflow run FILE --cgroup-base /sys/fs/cgroup/q
        limits on memory, cpu, pids, io | what stood in the way | mkdir /sys/fs/cgroup/own/others; for pid in $(cat /sys/fs/cgroup/own/cgroup.procs); do echo $pid >/sys/fs/cgroup/own/others/cgroup.procs; done; q workflow run FILE --cgroup-base /sys/fs/cgroup/own
        limits on memory, cpu, pids, io | what stood in the way | sudo loginctl enable-linger $(id -un)
        limits on memory, cpu, pids, io | what stood in the way | systemd-run --user --scope -p Delegate=yes q workflow run FILE
        limits on cpu | what stood in the way | sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\nDelegate=cpu cpuset io memory pids\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload
        limits on cpu | what stood in the way | echo '+cpu' | sudo tee /sys/fs/cgroup/cgroup.subtree_control
        "#);
    }

    #[test]
    fn the_rest_is_told_too() {
        let refused = Miss::Systemd(NoScope::Refused { said: "no".to_owned() });
        let mut found = found(CgroupMode::Unified, Place::Nowhere, Controllers::default(), vec![refused]);
        found.births.push("children cannot be born inside their cgroup: EACCES".to_owned());
        found.cgroup.delegated = true;
        found.cgroup.kill = false;
        let mut kernel = kernel(0);
        (kernel.landlock.abi, kernel.seccomp) = (None, false);
        let no_user = Namespaces { user: false, net: false, ..NAMESPACES };
        insta::assert_snapshot!(shown(&gaps(&found, no_user, &kernel)), @r#"
        limits on memory, cpu, pids, io | what stood in the way | systemd-run --scope -p Delegate=yes q workflow run FILE
        ending a whole cgroup at once | the kernel has no cgroup.kill (it came with 5.14): trees are ended by their pid namespace | -
        namespaces: user, net | the kernel refuses them: a container or a filter stands around this process | -
        births | children cannot be born inside their cgroup: EACCES | -
        landlock | the kernel has none (it came with 5.13), or it is not among the active security modules | sudo grubby --update-kernel=ALL --args="lsm=landlock,$(cat /sys/kernel/security/lsm)" && sudo reboot
        seccomp | the kernel was built without CONFIG_SECCOMP_FILTER | -
        "#);
        let name = "user.max_user_namespaces";
        kernel.boot = Boot::UpdateGrub;
        kernel.forbids_user_namespaces = Some(Setting { name, wanted: "15000" });
        insta::assert_snapshot!(shown(&gaps(&found, no_user, &kernel)), @r#"
        limits on memory, cpu, pids, io | what stood in the way | systemd-run --scope -p Delegate=yes q workflow run FILE
        ending a whole cgroup at once | the kernel has no cgroup.kill (it came with 5.14): trees are ended by their pid namespace | -
        namespaces: user, net | user.max_user_namespaces forbids user namespaces | sudo sysctl -w user.max_user_namespaces=15000
        births | children cannot be born inside their cgroup: EACCES | -
        landlock | the kernel has none (it came with 5.13), or it is not among the active security modules | echo 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX lsm=landlock,$(cat /sys/kernel/security/lsm)"' | sudo tee /etc/default/grub.d/q.cfg && sudo update-grub && sudo reboot
        seccomp | the kernel was built without CONFIG_SECCOMP_FILTER | -
        "#);
    }
}
