//! What a leaf's files tell about an attempt. Every field is `None` where the kernel does not say.

use std::{fs, path::Path};

use super::Controllers;

/// Counters of a leaf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// `cpu.stat`: `user_usec`.
    pub user_us: Option<u64>,
    /// `cpu.stat`: `system_usec`.
    pub system_us: Option<u64>,
    /// `cpu.stat`: `throttled_usec`; only with the controller.
    pub throttled_us: Option<u64>,
    /// `memory.peak`, bytes.
    pub memory_peak: Option<u64>,
    /// `memory.events.local`: `oom_kill` or `oom_group_kill`, whichever is higher. Those of a nested
    /// cgroup are not the step's.
    pub oom_kills: Option<u64>,
    /// `pids.peak`.
    pub pids_peak: Option<u64>,
    /// `pids.events`: `max`, the number of refused forks.
    pub pids_denied: Option<u64>,
}

impl Stats {
    pub(super) fn read(leaf: &Path, controllers: Controllers) -> Self {
        let text = |name: &str| fs::read_to_string(leaf.join(name)).unwrap_or_default();
        // Without its controller a file is not there.
        let text_of = |has: bool, name: &str| if has { text(name) } else { String::new() };
        let cpu = text("cpu.stat");
        let memory = text_of(controllers.memory, "memory.events.local");
        Self {
            user_us: field(&cpu, "user_usec"),
            system_us: field(&cpu, "system_usec"),
            throttled_us: field(&cpu, "throttled_usec"),
            memory_peak: text_of(controllers.memory, "memory.peak").trim_end().parse().ok(),
            oom_kills: field(&memory, "oom_kill").max(field(&memory, "oom_group_kill")),
            pids_peak: text_of(controllers.pids, "pids.peak").trim_end().parse().ok(),
            pids_denied: field(&text_of(controllers.pids, "pids.events"), "max"),
        }
    }
}

/// The value of a `name value` line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "oom_k"), None);
        assert_eq!(field("oom_kill -1\n", "oom_kill"), None);
        assert_eq!(field("oom_kill", "oom_kill"), None);
        assert_eq!(field("", "x"), None);
    }
}
