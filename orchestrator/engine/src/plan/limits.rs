//! Limits on resources: those of a step or of a whole run, and the tightest of two. Who holds them is not said here.

use std::{sync::Arc, time::Duration};

use super::{Plan, StepKind};
use crate::units::Bytes;

/// Limits on resources; absent: no limit of the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the tree.
    pub memory: Option<Bytes>,
    /// CPU share in thousandths of a core.
    pub cpu_millis: Option<u32>,
    /// CPU time of the tree.
    pub cpu_time: Option<Duration>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Open descriptors of a process.
    pub open_files: Option<u64>,
    /// Size of a written file.
    pub file_size: Option<Bytes>,
    /// Size of the private `/tmp`.
    pub scratch: Option<Bytes>,
    /// Size of a step's whole output.
    pub output: Option<Bytes>,
    /// Bytes a second read from disk.
    pub io_read_bps: Option<Bytes>,
    /// Bytes a second written to disk.
    pub io_write_bps: Option<Bytes>,
    /// Steps at once.
    pub max_concurrent_steps: Option<u32>,
    /// Whether a limit that cannot be held refuses the run.
    pub enforcement: Enforcement,
}

/// What happens where a limit cannot be held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// The run goes on and its record says so.
    #[default]
    BestEffort,
    /// The run is refused before anything starts.
    Required,
}

impl Plan {
    /// The same plan, held to a ceiling too: the whole run, and with it each of its steps.
    #[must_use]
    pub fn within(&self, ceiling: &Limits) -> Self {
        let mut held = Self { limits: tightest(&self.limits, ceiling), ..self.clone() };
        let mut shared: Option<Arc<Limits>> = None;
        for step in &mut held.steps {
            if let StepKind::Skill(call) = &mut step.kind {
                let limits = tightest(&call.limits, ceiling);
                // Most steps have the same.
                let limits = shared.filter(|last| **last == limits).unwrap_or_else(|| Arc::new(limits));
                call.limits = Arc::clone(&limits);
                shared = Some(limits);
            }
        }
        held
    }
}

/// Each limit from where it is tighter.
pub(crate) fn tightest(a: &Limits, b: &Limits) -> Limits {
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
pub(crate) fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
