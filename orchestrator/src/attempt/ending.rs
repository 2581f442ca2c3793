//! The report on an attempt: usage, verdict, and the removal of its leaf.

use std::{io, time::Duration};

use ipc::message::WaitStatus;
use schemas::{
    failure::{Code, Details, Failure},
    journal::{AttemptEnded, Outcome, Output},
    view::Usage,
};
use tokio::sync::mpsc;
use workflow_engine::{
    run::Spawn,
    verdict::{Death, Facts, Oom, OutOf, judge},
};

use super::{
    Attempt, agent::AgentWatch, host::Host, ladder::Leftovers, prepare::Refused, spare, streams::Streams,
};
use crate::{
    cgroup::{Leaf, Stats},
    launcher::News,
    store::files::Fault,
};

/// Tries to remove a leaf that is still busy, and the pause between them: 20 to 80 ms after a kill is
/// normal. What stays is swept with the tree.
const REMOVALS: u32 = 50;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

impl Attempt {
    pub(super) fn ended(
        &mut self,
        streams: &Streams,
        leftovers: Leftovers,
        births: mpsc::UnboundedReceiver<News>,
    ) -> AttemptEnded {
        let controllers = self.host.controllers();
        let stats = self.prepared.leaf.as_ref().map(|leaf| leaf.stats(controllers)).unwrap_or_default();
        let status = self.leader.map(|leader| leader.status).or(self.exit.map(|(status, _)| status));
        let outcome = self.outcome(streams, &stats, status);
        let (exit_code, signal, core_dumped) = match status.filter(|_| self.setup.is_none()) {
            Some(WaitStatus::Exited(code)) => (Some(code), None, Some(false)),
            Some(WaitStatus::Signaled { signal, core_dumped }) => (None, Some(signal), Some(core_dumped)),
            None => (None, None, None),
        };
        if self.prepared.has_work_dir && self.leader.is_some_and(|leader| leader.leftovers == 0) {
            spare::give_back(&self.host, &self.spawn.id, self.began.elapsed());
        }
        if let Some(leaf) = self.prepared.leaf.take() {
            remove(leaf, self.exit.is_none().then_some(births));
        }
        AttemptEnded {
            id: self.spawn.id.clone(),
            outcome,
            started: self.started,
            exit_code,
            signal,
            stop_reason: self.ladder.reason(),
            leftovers_killed: self.leader.map(|leader| leader.leftovers).or(leftovers.killed),
            pids_denied: stats.pids_denied,
            core_dumped,
            unkillable: leftovers.unkillable || self.ladder.gave_up(),
            usage: self.usage(&stats),
            limits: std::mem::take(&mut self.prepared.limits),
            isolation: self.prepared.isolation.take(),
            agent: self.prepared.agent.as_ref().map(|agent| Box::new(agent.view())),
        }
    }

    fn outcome(&mut self, streams: &Streams, stats: &Stats, status: Option<WaitStatus>) -> Outcome {
        let facts = Facts {
            step: &self.spawn.id.step,
            setup: self.setup.take(),
            reason: self.ladder.reason(),
            protocol: self.protocol.take(),
            oom: stats.oom_kills.filter(|kills| *kills > 0).map(|_| self.oom(stats)),
            memory_peak: self.prepared.sampler.memory_peak(),
            guardrail: self.prepared.agent.as_ref().and_then(AgentWatch::guardrail),
            pids_denied: stats.pids_denied.unwrap_or(0),
            hosts_denied: self.prepared.egress.as_ref().map(|egress| egress.refused()).unwrap_or_default(),
            death: match status {
                Some(WaitStatus::Exited(code)) => Death::Exited(code),
                Some(WaitStatus::Signaled { signal, .. }) => Death::Signaled(signal),
                None => Death::Unknown,
            },
            bounds: self.prepared.bounds,
            speaks: self.prepared.speaks,
            skill: self.answer.take(),
            stdout: streams.stdout(),
            stdout_over: streams.is_over_cap(),
            stderr: streams.stderr(),
            stderr_tail: streams.stderr_tail(),
        };
        let setup = facts.setup.clone();
        let outcome = judge(&facts);
        self.setup = setup;
        match outcome {
            Outcome::Completed(Output::Inline(value)) => match &self.prepared.outputs_schema {
                Some(schema) => match crate::schema::check(schema, &value) {
                    Ok(()) => Outcome::Completed(Output::Inline(value)),
                    Err(misfit) => Outcome::Failed(Box::new(Failure {
                        step: Some(self.spawn.id.step.clone()),
                        code: Code::BadOutput,
                        message: misfit.message,
                        retryable: Code::BadOutput.retryable(),
                        details: Details { pointer: Some(misfit.pointer), ..Details::default() },
                    })),
                },
                None => Outcome::Completed(Output::Inline(value)),
            },
            other @ (Outcome::Completed(Output::File { .. }) | Outcome::Failed(_) | Outcome::Cancelled) => {
                other
            }
        }
    }

    /// Whose limit it was.
    fn oom(&self, stats: &Stats) -> Oom {
        let of_run = self.host.plan.limits.memory.map(|bytes| bytes.0);
        let by = match (stats.own_ooms, self.prepared.bounds.memory, of_run) {
            // The kernel does not say, before 5.0, whose it was.
            (None | Some(1..), Some(limit), _) => OutOf::Step(limit),
            (_, _, Some(limit)) => OutOf::Run(limit),
            (_, _, None) => OutOf::Machine,
        };
        Oom { by, peak: stats.memory_peak }
    }

    fn usage(&self, stats: &Stats) -> Usage {
        let process = self.leader.map(|leader| leader.usage).or(self.exit.map(|(_, usage)| usage));
        let seen = self.prepared.sampler.memory_peak();
        Usage {
            wall_ms: u64::try_from(self.began.elapsed().as_millis()).ok(),
            cpu_user_us: stats.user_us.or(process.map(|usage| usage.user_us)),
            cpu_system_us: stats.system_us.or(process.map(|usage| usage.system_us)),
            memory_peak_bytes: stats.memory_peak.or(seen.max(process.map(|usage| usage.max_rss_bytes))),
            pids_peak: stats.pids_peak,
            oom_kills: stats.oom_kills,
            throttled_us: stats.throttled_us,
            memory_pressure_us: stats.memory_pressure_us,
            io_read_bytes: stats.io_read,
            io_write_bytes: stats.io_write,
        }
    }
}

/// An attempt that was refused before its birth. What the engine itself lacks is no failure of the step.
pub(super) fn refused(host: &Host, spawn: &Spawn, refused: Refused) -> Result<AttemptEnded, Fault> {
    let (code, message, details) = match refused {
        Refused::BadInput { pointer, message } => {
            (Code::BadInput, message, Details { pointer: Some(pointer), ..Details::default() })
        }
        Refused::Agent(message) => (Code::AgentError, message, Details::default()),
        Refused::Engine(fault) => return Err(fault),
        Refused::Setup(setup) if matches!(setup.errno, libc::EMFILE | libc::ENFILE) => {
            let source = io::Error::from_raw_os_error(setup.errno);
            return Err(Fault { act: "start a step of", path: host.run.path().to_owned(), source });
        }
        Refused::Setup(setup) => {
            let (stage, errno) = (Some(setup.stage), Some(setup.errno));
            (Code::SandboxError, setup.message, Details { stage, errno, ..Details::default() })
        }
    };
    let failure = Failure {
        step: Some(spawn.id.step.clone()),
        code,
        message,
        // What was refused before it began would be refused again.
        retryable: false,
        details: Details { started: Some(false), ..details },
    };
    Ok(AttemptEnded::new(spawn.id.clone(), Outcome::Failed(Box::new(failure))))
}

/// Removes a leaf, off the path of the run: now if it can be, else when its last process is reaped, else a
/// little later.
pub(super) fn remove(leaf: Leaf, births: Option<mpsc::UnboundedReceiver<News>>) {
    let busy = |error: io::Error| error.kind() == io::ErrorKind::ResourceBusy;
    // Anything but busy stays for the removal of the tree.
    if births.is_none() && !leaf.remove().is_err_and(busy) {
        return;
    }
    tokio::task::spawn_local(async move {
        if let Some(mut births) = births {
            // The channel closes after the news that the process was reaped.
            while births.recv().await.is_some() {}
        }
        for _ in 0..REMOVALS {
            if !leaf.remove().is_err_and(busy) {
                return;
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
    });
}
