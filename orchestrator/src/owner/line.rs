//! Waiting in the line for a slot: asleep on the locks of those that are waited for, and awake for a stop.

use std::{collections::HashSet, path::PathBuf, thread};

use schemas::{events::EventType, exit_code::ExitCode, journal::Event};
use tokio::sync::mpsc;
use workflow_engine::{
    plan::Plan,
    queue::{Capacity, Demand},
    run::Run,
};

use super::{Audience, Ended, Order, settle};
use crate::{
    clock::Clock,
    dispatcher::{Stop, run_event},
    errors::{CommandError, Result},
    store::{
        home::{Home, RunDir},
        journal, lock,
        queue::{self, Queue, Request, Slot, Ticket, Turn},
    },
};

/// A thread that waits for a lock needs next to no stack.
const STACK: usize = 64 * 1024;

/// How the waiting ended.
pub(super) enum Waited {
    /// The run may start.
    Slot(Slot),
    /// Somebody stopped it first.
    Stopped(Stop),
}

/// What a run of the plan is counted with. One that wants more than all runs may have is refused.
pub fn demand(home: &Home, plan: &Plan, capacity: &Capacity) -> Result<Demand> {
    capacity.demand(plan.limits.memory, plan.limits.cpu_millis).map_err(|never| {
        CommandError::new(ExitCode::Failed, format!("the run can never start: {never}")).hint(format!(
            "lower `resource_limits` of the definition, or raise `resources` in {}",
            home.config().display()
        ))
    })
}

/// Takes a slot for the run, or a place in the line.
pub(super) fn enter(home: &Home, order: &Order) -> Result<Turn> {
    let capacity = order.driving.config.capacity;
    let demand = demand(home, &order.plan, &capacity)?;
    let run = order.created.run_id.parse();
    let run = run.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    let request = Request { run, priority: order.driving.priority, demand, capacity };
    Queue::new(home).enter(request).map_err(|error| failed(&error))
}

/// Waits for the slot. Nothing is polled: a thread sleeps on each lock that is waited for.
pub(super) async fn wait(mut ticket: Ticket, stops: &mut mpsc::UnboundedReceiver<Stop>) -> Result<Waited> {
    let (sender, mut released) = mpsc::unbounded_channel();
    let mut watched = HashSet::new();
    loop {
        for path in ticket.waits_for() {
            if watched.insert(path.clone()) {
                watch(path.clone(), sender.clone())?;
            }
        }
        tokio::select! {
            Some(stop) = stops.recv() => return Ok(Waited::Stopped(stop)),
            Some((path, waited)) = released.recv() => {
                let waited: std::result::Result<(), lock::Error> = waited;
                waited.map_err(|error| failed(&error.into()))?;
                watched.remove(&path);
                match ticket.ask().map_err(|error| failed(&error))? {
                    Turn::Slot(slot) => return Ok(Waited::Slot(slot)),
                    Turn::Waits(again) => ticket = again,
                }
            }
        }
    }
}

type Released = (PathBuf, std::result::Result<(), lock::Error>);

/// A thread of its own, which ends with the process if not before: the runtime would wait for its own ones.
fn watch(path: PathBuf, released: mpsc::UnboundedSender<Released>) -> Result<()> {
    let wait = move || {
        let waited = lock::wait_until_released(&path);
        // Nobody waits any more when the run has its slot.
        let _over = released.send((path, waited));
    };
    let started = thread::Builder::new().name("line".to_owned()).stack_size(STACK).spawn(wait);
    started.map(drop).map_err(|error| CommandError::from_error(ExitCode::Engine, &error))
}

fn failed(error: &queue::Error) -> CommandError {
    CommandError::from_error(ExitCode::Engine, error)
}

/// A run that was stopped while it stood in the line.
pub(super) struct Stopped {
    pub(super) run: Run,
    pub(super) journal: journal::Writer,
    pub(super) clock: Clock,
    pub(super) stop: Stop,
    pub(super) unwritten: Vec<String>,
}

impl Stopped {
    /// Ends it: no host was made for it, so that nothing is to be taken down.
    pub(super) fn end(mut self, home: &Home, dir: &RunDir, audience: &mut Audience<'_>) -> Result<Ended> {
        let Stop { now: at_once, by } = self.stop;
        let (now, event) = (self.clock.now(), Event::StopRequested { now: at_once, by });
        let journaled = self.journal.append(&[(now, event.clone())]);
        journaled
            .and_then(|()| self.journal.commit().map(drop))
            .map_err(|error| CommandError::from_error(error.exit_code(), &error))?;
        self.run.apply(&event, now);
        let ended = run_event(&self.run, audience.heard + 1, now, EventType::RunEnded);
        let status = Some(self.run.phase().status());
        audience.hear_event(&schemas::events::RunEvent { status, ..ended });
        let mut unwritten = self.unwritten;
        let exit = settle(home, dir, &self.run, self.journal, Some(by), &mut unwritten);
        Ok(Ended { run: self.run, exit, unwritten })
    }
}
