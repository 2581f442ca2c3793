//! The limits of an attempt: what is set, what the engine itself holds, and who holds each, for the record.

use std::{borrow::Cow, sync::Arc};

use ipc::limits::{Bytes, ProcessLimits};
use schemas::view::{Enforcer, Limit};
use workflow_engine::{
    plan::{Limits, SkillCall, Step},
    units,
    verdict::Bounds,
};

use super::host::Host;
use crate::cgroup;

/// Cap on one step's whole output, unless its limits say otherwise.
pub(super) const OUTPUT: u64 = 16 * 1024 * 1024;
/// Size of the private `/tmp`, unless the limits say otherwise.
pub(super) const SCRATCH: u64 = 64 * 1024 * 1024;
/// Processes of a step, unless its limits say otherwise.
const PIDS: u32 = 512;
/// Processes of ours inside the leaf: the namespace's init.
const OWN_PROCESSES: u64 = 1;

/// What the leaf holds.
pub(super) fn of_leaf(limits: &Limits) -> cgroup::Limits {
    cgroup::Limits {
        memory: limits.memory.map(|bytes| bytes.0),
        cpu_millis: limits.cpu_millis,
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS)) + OWN_PROCESSES),
    }
}

/// What the process holds.
pub(super) fn of_process(limits: &Limits) -> ProcessLimits {
    ProcessLimits {
        open_files: limits.open_files,
        file_size: limits.file_size.map(|bytes| Bytes(bytes.0)),
        // One second more than the limit: the engine's own watch comes first.
        cpu_seconds: limits.cpu_time.map(|time| time.as_secs().saturating_add(2)),
    }
}

/// What the engine watches, and what a verdict names.
pub(super) fn bounds(step: &Step, limits: &Limits) -> Bounds {
    Bounds {
        timeout_ms: step.timeout.map(units::millis),
        idle_timeout_ms: step.idle_timeout.map(units::millis),
        cpu_time_ms: limits.cpu_time.map(units::millis),
        output: Some(limits.output.map_or(OUTPUT, |bytes| bytes.0)),
        memory: limits.memory.map(|bytes| bytes.0),
        file_size: limits.file_size.map(|bytes| bytes.0),
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS))),
    }
}

/// The call with another limit on memory: a strategy gives the next try more.
pub(super) fn scaled(call: &SkillCall, memory: units::Bytes) -> SkillCall {
    let limits = Limits { memory: Some(memory), ..(*call.limits).clone() };
    SkillCall { limits: Arc::new(limits), ..call.clone() }
}

/// Who would hold the limits of a step; one that holds others has none of its own.
pub fn limits_of(host: &Host, step: &Step) -> Vec<Limit> {
    step.kind.skill().map_or_else(Vec::new, |call| record(host, &call.limits))
}

/// Who holds each limit that was asked for, and the default on processes.
pub(super) fn record(host: &Host, limits: &Limits) -> Vec<Limit> {
    let controllers = host.controllers();
    let cgroup = |name: &'static str, value: Option<u64>, has: bool| {
        value.map(|value| Limit {
            name: Cow::Borrowed(name),
            value,
            by: if has { Enforcer::CgroupV2 } else { Enforcer::None },
            held: has,
            why: (!has).then_some(Cow::Borrowed("this host has no cgroup v2 controller for it")),
        })
    };
    let unset = |name: &'static str, value: Option<u64>| {
        value.map(|value| Limit {
            name: Cow::Borrowed(name),
            value,
            by: Enforcer::None,
            held: false,
            why: Some(Cow::Borrowed("this version of q does not set io.max")),
        })
    };
    let held = |name: &'static str, value: Option<u64>, by: Enforcer| {
        value.map(|value| Limit { name: Cow::Borrowed(name), value, by, held: true, why: None })
    };
    let all = [
        cgroup("memory", limits.memory.map(|bytes| bytes.0), controllers.memory),
        cgroup("cpu", limits.cpu_millis.map(u64::from), controllers.cpu),
        cgroup("pids", Some(u64::from(limits.pids.unwrap_or(PIDS))), controllers.pids),
        unset("io_read_bps", limits.io_read_bps.map(|bytes| bytes.0)),
        unset("io_write_bps", limits.io_write_bps.map(|bytes| bytes.0)),
        held("open_files", limits.open_files, Enforcer::Rlimit),
        held("file_size", limits.file_size.map(|bytes| bytes.0), Enforcer::Rlimit),
        held(
            "cpu_time",
            limits.cpu_time.map(units::millis),
            if host.tree.is_some() { Enforcer::Engine } else { Enforcer::Rlimit },
        ),
        held("scratch", limits.scratch.map(|bytes| bytes.0), Enforcer::Tmpfs),
        held("output", limits.output.map(|bytes| bytes.0), Enforcer::Engine),
    ];
    // The record of each attempt is kept as long as the run: no more room than needed.
    let mut record = Vec::with_capacity(all.iter().flatten().count());
    record.extend(all.into_iter().flatten());
    record
}
