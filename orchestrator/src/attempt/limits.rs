//! The limits of an attempt: what is set, what the engine itself holds, and who holds each, for the record.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipc::limits::{Bytes, ProcessLimits};
use schemas::view::{Enforcer, Limit};
use tokio::time::Instant;
use workflow_engine::{
    plan::{Limits, Plan, Sandbox, SkillCall, Step},
    units,
    verdict::Bounds,
};

use super::{host::Host, sampler::Sampler, sandbox, scratch::Scratch};
use crate::{
    cgroup::{self, Bandwidth, Controllers, Device},
    ui::quantity,
};

/// Cap on one step's whole output, unless its limits say otherwise.
pub(super) const OUTPUT: u64 = 16 * 1024 * 1024;
/// Size of the private `/tmp`, unless the limits say otherwise.
pub(super) const SCRATCH: u64 = 64 * 1024 * 1024;
/// Processes of a step, unless its limits say otherwise.
const PIDS: u32 = 512;
/// Processes of ours inside the leaf: the namespace's init.
const OWN_PROCESSES: u64 = 1;

/// What the leaf holds. `written` are the paths that the step writes to.
pub(super) fn of_leaf(limits: &Limits, written: &[PathBuf]) -> cgroup::Limits {
    cgroup::Limits {
        memory: limits.memory.map(|bytes| bytes.0),
        cpu_millis: limits.cpu_millis,
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS)) + OWN_PROCESSES),
        io: bandwidth(limits, written),
    }
}

/// What all leaves of the run hold together, while so many of its attempts are there.
pub fn of_run(plan: &Plan, written: &Path, attempts: u64) -> cgroup::Limits {
    let limits = &plan.limits;
    cgroup::Limits {
        memory: limits.memory.map(|bytes| bytes.0),
        cpu_millis: limits.cpu_millis,
        pids: limits.pids.map(|count| u64::from(count) + attempts * OWN_PROCESSES),
        io: bandwidth(limits, &[written.to_owned()]),
    }
}

/// What of the limits of a run that has none of its own is its share of what all runs of the home have together.
pub fn of_share(share: &Limits) -> Option<String> {
    let memory = share.memory.map(|bytes| format!("memory {}", quantity::bytes(bytes.0)));
    let cpu = share.cpu_millis.map(|millis| format!("CPU {}", quantity::cores(u64::from(millis))));
    let parts: Vec<_> = memory.into_iter().chain(cpu).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "the definition does not limit the whole run in what config.json bounds for all runs together: this run \
             is held to its share ({})",
            parts.join(", ")
        )
    })
}

/// What of the limits of the whole run no controller holds: they hold for each step by itself then.
pub fn not_held_together(plan: &Plan, controllers: Controllers) -> Option<String> {
    let limits = &plan.limits;
    let missing: Vec<_> = [
        (limits.memory.is_some() && !controllers.memory, "memory"),
        (limits.cpu_millis.is_some() && !controllers.cpu, "CPU share"),
        (limits.pids.is_some() && !controllers.pids, "processes"),
    ]
    .into_iter()
    .filter_map(|(missing, name)| missing.then_some(name))
    .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "limits of the whole run are not held for all of its steps together ({}): there is no cgroup v2 controller \
             for it, and each step is held to them by itself",
            missing.join(", ")
        )
    })
}

fn bandwidth(limits: &Limits, written: &[PathBuf]) -> Option<(Vec<Device>, Bandwidth)> {
    let bytes = |limit: Option<units::Bytes>| limit.map(|bytes| bytes.0);
    let bandwidth = Bandwidth { read: bytes(limits.io_read_bps), write: bytes(limits.io_write_bps) };
    (bandwidth != Bandwidth::default()).then(|| (disks(written), bandwidth))
}

fn disks(paths: &[PathBuf]) -> Vec<Device> {
    let mut disks: Vec<Device> = Vec::new();
    for disk in paths.iter().filter_map(|path| Device::of(path)) {
        if !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    disks
}

/// What the process holds.
pub(super) fn of_process(host: &Host, call: &SkillCall) -> ProcessLimits {
    let limits = &call.limits;
    ProcessLimits {
        open_files: limits.open_files,
        file_size: limits.file_size.map(|bytes| Bytes(bytes.0)),
        processes: (pids_by(host, &call.sandbox) == Enforcer::Rlimit)
            .then(|| u64::from(limits.pids.unwrap_or(PIDS)) + OWN_PROCESSES),
        // One second more than the limit: the engine's own watch comes first.
        cpu_seconds: limits.cpu_time.map(|time| time.as_secs().saturating_add(2)),
    }
}

/// Who holds the number of processes: without a controller the kernel still counts those of a user in a namespace.
pub(super) fn pids_by(host: &Host, chosen: &Sandbox) -> Enforcer {
    let own_user = host.counts_users && sandbox::has_namespaces(host, chosen);
    match (host.controllers().pids, own_user) {
        (true, _) => Enforcer::CgroupV2,
        (false, true) => Enforcer::Rlimit,
        (false, false) => Enforcer::None,
    }
}

/// What is looked at now and then.
pub(super) fn sampler(host: &Host, limits: &Limits, scratch: Option<Scratch>) -> Sampler {
    Sampler::new(Instant::now())
        .memory(limits.memory.map(|bytes| bytes.0).filter(|_| !host.controllers().memory))
        .cpu_time(limits.cpu_time)
        .scratch(scratch)
}

/// What the engine watches, and what a verdict names.
pub(super) fn bounds(step: &Step, limits: &Limits) -> Bounds {
    Bounds {
        timeout_ms: step.timeout.map(units::millis),
        idle_timeout_ms: step.idle_timeout.map(units::millis),
        cpu_time_ms: limits.cpu_time.map(units::millis),
        output: Some(limits.output.map_or(OUTPUT, |bytes| bytes.0)),
        scratch: limits.scratch.map(|bytes| bytes.0),
        memory: limits.memory.map(|bytes| bytes.0),
        file_size: limits.file_size.map(|bytes| bytes.0),
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS))),
    }
}

/// The call with another limit on memory: a strategy gives the next try more, though never more than the run has.
pub(super) fn scaled(host: &Host, call: &SkillCall, memory: units::Bytes) -> SkillCall {
    let memory = host.plan.limits.memory.map_or(memory, |most| memory.min(most));
    let limits = Limits { memory: Some(memory), ..(*call.limits).clone() };
    SkillCall { limits: Arc::new(limits), ..call.clone() }
}

/// Who would hold the limits of a step; one that holds others has none of its own.
pub fn limits_of(host: &Host, step: &Step) -> Vec<Limit> {
    step.kind.skill().map_or_else(Vec::new, |call| record(host, call, std::slice::from_ref(&host.base)))
}

/// Who holds each limit that was asked for, and the default on processes.
pub(super) fn record(host: &Host, call: &SkillCall, written: &[PathBuf]) -> Vec<Limit> {
    let limits = &call.limits;
    let controllers = host.controllers();
    let limit = |name: &'static str, value: Option<u64>, by: Enforcer, why: &'static str| {
        let limit = |value| Limit {
            name: Cow::Borrowed(name),
            value,
            by,
            held: by != Enforcer::None,
            why: matches!(by, Enforcer::None | Enforcer::Monitor).then_some(Cow::Borrowed(why)),
        };
        value.map(limit)
    };
    let held = |name: &'static str, value: Option<u64>, by: Enforcer| limit(name, value, by, "");
    let bytes = |limit: Option<units::Bytes>| limit.map(|bytes| bytes.0);
    let by = |has: bool, otherwise: Enforcer| if has { Enforcer::CgroupV2 } else { otherwise };
    let (io, no_io) = match (bandwidth(limits, written), controllers.io) {
        (_, false) => (Enforcer::None, NO_CONTROLLER),
        (Some((disks, _)), true) if disks.is_empty() => (Enforcer::None, NO_DISK),
        (Some(_) | None, true) => (Enforcer::CgroupV2, ""),
    };
    let own_tmp = sandbox::has_namespaces(host, &call.sandbox);
    let scratch = if own_tmp { Enforcer::Tmpfs } else { Enforcer::Monitor };
    let all = [
        limit("memory", bytes(limits.memory), by(controllers.memory, Enforcer::Monitor), MEMORY_MONITORED),
        limit("cpu", limits.cpu_millis.map(u64::from), by(controllers.cpu, Enforcer::None), NO_CONTROLLER),
        limit(
            "pids",
            Some(u64::from(limits.pids.unwrap_or(PIDS))),
            pids_by(host, &call.sandbox),
            NO_CONTROLLER,
        ),
        limit("io_read_bps", bytes(limits.io_read_bps), io, no_io),
        limit("io_write_bps", bytes(limits.io_write_bps), io, no_io),
        held("open_files", limits.open_files, Enforcer::Rlimit),
        held("file_size", bytes(limits.file_size), Enforcer::Rlimit),
        held("cpu_time", limits.cpu_time.map(units::millis), Enforcer::Engine),
        limit("scratch", bytes(limits.scratch), scratch, SCRATCH_MONITORED),
        held("output", bytes(limits.output), Enforcer::Engine),
    ];
    // The record of each attempt is kept as long as the run: no more room than needed.
    let mut record = Vec::with_capacity(all.iter().flatten().count());
    record.extend(all.into_iter().flatten());
    record
}

const NO_CONTROLLER: &str = "this host has no cgroup v2 controller for it";
const NO_DISK: &str = "what the step writes to lies on no disk whose bandwidth the kernel can hold";
const MEMORY_MONITORED: &str =
    "this host has no cgroup v2 controller for it: q looks at the tree ten times a second";
const SCRATCH_MONITORED: &str =
    "the step has no private /tmp: q looks at a directory for it four times a second";
