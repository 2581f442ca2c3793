//! `resource_limits`: from a file to [`Limits`], and the tightest of two.

use crate::{
    load::Node,
    plan::{Enforcement, Limits},
    units::{self, Bytes},
};

/// Reads limits; what is wrong with them was reported with their shape.
pub(super) fn read(node: &Node) -> Limits {
    let size = |key: &str| node.get(key).and_then(|value| value.size().ok());
    let count =
        |key: &str| node.get(key).and_then(Node::as_number).and_then(|number| number.parse::<u32>().ok());
    let share = |key: &str, read: fn(&str) -> Result<u32, units::Error>| {
        node.get(key).and_then(Node::as_number).and_then(|number| read(number).ok())
    };
    Limits {
        memory: size("memory").or_else(|| count("max_memory_mb").map(Bytes::from_mebibytes)),
        cpu_millis: share("cpu", units::cpu_from_cores)
            .or_else(|| share("max_cpu_percent", units::cpu_from_percent)),
        cpu_time: super::duration(node, "cpu_time"),
        pids: count("pids"),
        open_files: count("open_files").map(u64::from),
        file_size: size("file_size"),
        scratch: size("scratch"),
        output: size("output"),
        io_read_bps: size("io_read_bps"),
        io_write_bps: size("io_write_bps"),
        max_concurrent_steps: count("max_concurrent_steps"),
        enforcement: enforcement(node),
    }
}

fn enforcement(node: &Node) -> Enforcement {
    match node.get("enforcement").and_then(Node::as_text) {
        Some("required") => Enforcement::Required,
        Some(_) | None => Enforcement::BestEffort,
    }
}

/// Each limit from where it is tighter.
pub(super) fn tightest(a: &Limits, b: &Limits) -> Limits {
    Limits {
        memory: least(a.memory, b.memory),
        cpu_millis: least(a.cpu_millis, b.cpu_millis),
        cpu_time: least(a.cpu_time, b.cpu_time),
        pids: least(a.pids, b.pids),
        open_files: least(a.open_files, b.open_files),
        file_size: least(a.file_size, b.file_size),
        scratch: least(a.scratch, b.scratch),
        output: least(a.output, b.output),
        io_read_bps: least(a.io_read_bps, b.io_read_bps),
        io_write_bps: least(a.io_write_bps, b.io_write_bps),
        max_concurrent_steps: least(a.max_concurrent_steps, b.max_concurrent_steps),
        enforcement: match (a.enforcement, b.enforcement) {
            (Enforcement::BestEffort, Enforcement::BestEffort) => Enforcement::BestEffort,
            (Enforcement::Required, _) | (_, Enforcement::Required) => Enforcement::Required,
        },
    }
}

/// The smaller of those that are given.
pub(super) fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
