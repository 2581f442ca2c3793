//! `resource_limits`: from a file to [`Limits`].

pub(super) use crate::plan::{least, tightest};
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
