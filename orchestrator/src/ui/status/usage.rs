//! What a run used, all attempts together.

use schemas::view::RunView;

use super::limits::hanging;
use crate::ui::quantity;

/// One line; what is not known, and kills and waits that never came, are left out.
pub(super) fn usage(view: &RunView, columns: usize) -> String {
    let usage = &view.usage;
    let cpu = usage.cpu_user_us.zip(usage.cpu_system_us).map(|(user, system)| user.saturating_add(system));
    let words = [
        cpu.map(|cpu| format!("cpu {}", quantity::micros(cpu))),
        usage.memory_peak_bytes.map(|peak| format!("memory peak {}", quantity::bytes(peak))),
        usage.pids_peak.map(|peak| format!("processes peak {peak}")),
        usage.oom_kills.filter(|kills| *kills > 0).map(|kills| format!("oom kills {kills}")),
        usage
            .throttled_us
            .filter(|time| *time > 0)
            .map(|time| format!("throttled {}", quantity::micros(time))),
        usage
            .memory_pressure_us
            .filter(|time| *time > 0)
            .map(|time| format!("waited for memory {}", quantity::micros(time))),
        usage.io_read_bytes.map(|bytes| format!("read {}", quantity::bytes(bytes))),
        usage.io_write_bytes.map(|bytes| format!("written {}", quantity::bytes(bytes))),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if words.is_empty() { String::new() } else { hanging(&format!("usage: {}", words.join(", ")), columns) }
}
