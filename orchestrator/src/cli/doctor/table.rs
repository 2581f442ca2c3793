//! The report for people.

use std::fmt::Write as _;

use schemas::{
    output::doctor::{Doctor, Gap},
    view::Isolation,
};

use crate::ui::{
    style::Paint,
    table::{Cell, Table},
    text::{escape, wrap},
};

/// Draws the report.
pub(super) fn render(doctor: &Doctor, columns: usize) -> String {
    let mut text = facts(doctor, columns);
    text.push('\n');
    text.push_str(&limits(doctor, columns));
    text.push('\n');
    text.push_str(&profiles(doctor, columns));
    text.push('\n');
    if doctor.gaps.is_empty() {
        text.push_str("no gaps\n");
    }
    for gap in &doctor.gaps {
        text.push_str(&gap_lines(gap, columns));
    }
    text
}

fn facts(doctor: &Doctor, columns: usize) -> String {
    let cgroup = &doctor.cgroup;
    let namespaces = &doctor.namespaces;
    let nowhere = || "none".to_owned();
    let controllers = if cgroup.controllers.is_empty() { nowhere() } else { cgroup.controllers.join(", ") };
    let made = [
        ("user", namespaces.user),
        ("pid", namespaces.pid),
        ("mnt", namespaces.mnt),
        ("net", namespaces.net),
        ("ipc", namespaces.ipc),
        ("uts", namespaces.uts),
    ];
    let made: Vec<_> = made.iter().map(|(name, made)| format!("{name} {}", yes(*made))).collect();
    let lines = [
        ("kernel", doctor.kernel.clone()),
        ("uid", doctor.uid.to_string()),
        ("cgroup", format!("{}, v2 at {}", cgroup.mode, cgroup.mount.clone().unwrap_or_else(nowhere))),
        ("base", cgroup.base.clone().unwrap_or_else(nowhere)),
        ("controllers", controllers),
        (
            "a cgroup can be",
            format!(
                "made {}, killed {}, frozen {}",
                yes(cgroup.delegated),
                yes(cgroup.kill),
                yes(cgroup.freeze)
            ),
        ),
        ("namespaces", made.join(", ")),
        ("landlock", doctor.landlock.abi.map_or_else(nowhere, |abi| format!("ABI {abi}"))),
        ("seccomp", yes(doctor.seccomp).to_owned()),
    ];
    lines.iter().map(|(name, value)| hanging(&format!("{name}: {}", escape(value)), columns)).collect()
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

fn limits(doctor: &Doctor, columns: usize) -> String {
    let mut table = Table::new(vec!["LIMIT", "HELD BY"], 0);
    for (name, limit) in &doctor.limits {
        let holder = if limit.held {
            Cell::painted(limit.by.as_str(), Paint::Good)
        } else {
            Cell::painted("nobody", Paint::Odd)
        };
        table.row(vec![Cell::from(name), holder]);
    }
    table.render(columns)
}

/// A row for each part, a column for each profile.
fn profiles(doctor: &Doctor, columns: usize) -> String {
    type Part = (&'static str, fn(&Isolation) -> &'static str);
    const PARTS: [Part; 7] = [
        ("memory", |by| by.memory.as_str()),
        ("cpu", |by| by.cpu.as_str()),
        ("pids", |by| by.pids.as_str()),
        ("io", |by| by.io.as_str()),
        ("kill", |by| by.kill.as_str()),
        ("network", |by| by.network.as_str()),
        ("filesystem", |by| by.filesystem.as_str()),
    ];
    // In the order of the names, as the map has them.
    let mut table = Table::new(vec!["ENFORCED BY", "NONE", "STANDARD", "STRICT"], 0);
    for (part, word) in PARTS {
        let cell = |by: &Option<Isolation>| match by.as_ref().map(word) {
            Some("none") => Cell::painted("none", Paint::Odd),
            Some(word) => Cell::painted(word, Paint::Good),
            None => Cell::painted("refused", Paint::Odd),
        };
        table.row([Cell::from(part)].into_iter().chain(doctor.isolation.values().map(cell)).collect());
    }
    table.render(columns)
}

fn gap_lines(gap: &Gap, columns: usize) -> String {
    let mut text = hanging(&format!("gap: {}: {}", escape(&gap.what), escape(&gap.why)), columns);
    if let Some(fix) = &gap.fix {
        // A command is one line, whatever the width: it is there to be copied.
        let _infallible = writeln!(text, "  mend it: {}", escape(fix));
    }
    text
}

/// Text broken into lines, all but the first two columns in.
fn hanging(text: &str, columns: usize) -> String {
    wrap(text, columns.saturating_sub(2)).join("\n  ") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::{
        output::{
            SCHEMA_VERSION,
            doctor::{Cgroup, CgroupMode, Landlock, Namespaces},
        },
        view::{Enforcer, FilesystemBy, KillBy, NetworkBy},
    };

    use super::*;
    use crate::{cgroup::Controllers, cli::doctor, ui::style::plain};

    const FREE: Isolation = Isolation {
        memory: Enforcer::CgroupV2,
        cpu: Enforcer::None,
        pids: Enforcer::CgroupV2,
        io: Enforcer::None,
        kill: KillBy::CgroupKill,
        network: NetworkBy::Host,
        filesystem: FilesystemBy::None,
        notes: Vec::new(),
    };
    fn isolation() -> BTreeMap<String, Option<Isolation>> {
        let standard = Isolation { filesystem: FilesystemBy::Mount, ..FREE };
        let rows = [("none", Some(FREE)), ("standard", Some(standard)), ("strict", None)];
        rows.into_iter().map(|(name, by)| (name.to_owned(), by)).collect()
    }

    #[test]
    fn a_machine_with_gaps() {
        let held = Controllers { memory: true, pids: true, cpu: false, io: false };
        let report = Doctor {
            schema_version: SCHEMA_VERSION,
            kernel: "6.12.0".to_owned(),
            uid: 1000,
            cgroup: Cgroup {
                mode: CgroupMode::Unified,
                mount: Some("/sys/fs/cgroup".to_owned()),
                base: Some(
                    "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/q.scope"
                        .to_owned(),
                ),
                controllers: vec!["memory".to_owned(), "pids".to_owned()],
                delegated: true,
                kill: true,
                freeze: true,
            },
            namespaces: Namespaces { user: true, pid: true, mnt: true, net: false, ipc: true, uts: true },
            landlock: Landlock { abi: None },
            seccomp: true,
            limits: doctor::limits(held, true, true),
            isolation: isolation(),
            gaps: vec![
                Gap {
                    what: "limits on cpu".to_owned(),
                    why: "the user's manager has none".to_owned(),
                    fix: Some("mend".to_owned()),
                },
                Gap { what: "landlock".to_owned(), why: "the kernel has none".to_owned(), fix: None },
            ],
        };
        insta::assert_snapshot!(plain(&render(&report, 80)), @r"
        kernel: 6.12.0
        uid: 1000
        cgroup: unified, v2 at /sys/fs/cgroup
        base:
          /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/q.scope
        controllers: memory, pids
        a cgroup can be: made yes, killed yes, frozen yes
        namespaces: user yes, pid yes, mnt yes, net no, ipc yes, uts yes
        landlock: none
        seccomp: yes

        LIMIT       HELD BY
        cpu         nobody
        cpu_time    engine
        file_size   rlimit
        io          nobody
        memory      cgroup-v2
        open_files  rlimit
        output      engine
        pids        cgroup-v2
        scratch     tmpfs
        timeout     engine

        ENFORCED BY  NONE         STANDARD     STRICT
        memory       cgroup-v2    cgroup-v2    refused
        cpu          none         none         refused
        pids         cgroup-v2    cgroup-v2    refused
        io           none         none         refused
        kill         cgroup.kill  cgroup.kill  refused
        network      host         host         refused
        filesystem   none         mount        refused

        gap: limits on cpu: the user's manager has none
          mend it: mend
        gap: landlock: the kernel has none
        ");
        let whole = Doctor { gaps: Vec::new(), ..report };
        assert!(render(&whole, 40).ends_with("no gaps\n"));
    }
}
