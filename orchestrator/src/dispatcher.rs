//! The one loop of a run: everything that happens becomes an event, the event becomes durable, the pure core
//! says what follows, and that is done. Nothing is decided here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use schemas::{
    events::{EVENT_VERSION, EventType, RunEvent},
    journal::{AttemptId, Event, Now, Outcome, Output, StopSource},
    view::RunStatus,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use workflow_engine::run::{Action, Notice, Run, Timer};

use crate::{
    attempt::{self, Handle, Host, News, Said, Terminate},
    clock::Clock,
    store::{
        files::Fault,
        journal::{self, Space, Writer},
        output,
    },
};

/// Events that are gathered into one commit at most.
const BATCH: usize = 256;

/// A request to stop the run, from a signal or from another process.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// Kill at once.
    pub now: bool,
    /// Who asks.
    pub by: StopSource,
}

/// Who hears of everything that happens.
pub trait Watcher {
    /// Hears what happened since it heard last, the oldest first.
    fn events(&mut self, events: &[RunEvent]);
}

/// What can end a run before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal takes no more.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A large output could not be stored.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// There is no more room, or the engine cannot start what is to be started; what happened so far is durable.
    #[error(transparent)]
    Unable(Fault),
    /// Nothing can be born any more.
    #[error("the launcher died, and so did the one that was started in its place")]
    Launcher,
}

impl Error {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Journal(error) => error.hint(),
            Self::Output(output::Error::Fault(fault)) | Self::Unable(fault) => {
                fault.trouble().hint().map(Into::into)
            }
            Self::Output(
                output::Error::Name(_)
                | output::Error::Escapes { .. }
                | output::Error::Length { .. }
                | output::Error::Json { .. },
            )
            | Self::Launcher => None,
        }
    }
}

/// The loop's state.
pub struct Dispatcher<'a> {
    run: Run,
    journal: Writer,
    clock: Clock,
    host: Rc<Host>,
    attempts: HashMap<AttemptId, Handle>,
    news: (mpsc::UnboundedSender<News>, mpsc::UnboundedReceiver<News>),
    /// What is to come, the nearest first; the number keeps those of one instant apart.
    timers: BTreeMap<(Instant, u64), Timer>,
    /// Timers so far.
    armed: u64,
    finished: Option<RunStatus>,
    seq: u64,
    watchers: Vec<&'a mut dyn Watcher>,
    /// What they have not heard yet, oldest first.
    untold: Vec<RunEvent>,
    /// Attempts whose end is known before they start: they never do.
    ended: HashSet<AttemptId>,
    /// Whether an attempt was started since the next ones were last prepared.
    started: bool,
    /// Why an attempt could not even begin, which ends the work on the run.
    unable: Option<Fault>,
}

impl std::fmt::Debug for Dispatcher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("run", &self.run).finish_non_exhaustive()
    }
}

impl<'a> Dispatcher<'a> {
    /// A loop over a run whose events so far are durable; of `heard` the watchers have heard already.
    pub fn new(
        run: Run,
        journal: Writer,
        clock: Clock,
        host: Rc<Host>,
        watchers: Vec<&'a mut dyn Watcher>,
        heard: u64,
    ) -> Self {
        Self {
            run,
            journal,
            clock,
            host,
            attempts: HashMap::new(),
            news: mpsc::unbounded_channel(),
            timers: BTreeMap::new(),
            armed: 0,
            finished: None,
            seq: heard,
            watchers,
            untold: Vec::new(),
            ended: HashSet::new(),
            started: false,
            unable: None,
        }
    }

    /// Drives the run to its end, from the events with which it begins or goes on. When the journal fails, everything that runs is ended, and the run is left
    /// as it is: interrupted.
    pub async fn drive(
        mut self,
        first: Vec<Event>,
        stops: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Result<(Run, Writer, Option<StopSource>), Error> {
        let mut stopped_by = None;
        self.ended = first.iter().filter_map(ended).cloned().collect();
        let mut batch = first;
        loop {
            let now = self.clock.now();
            let events = batch.drain(..).map(|event| (now, event)).collect();
            // What ends because of it is not recorded as an end: `resume` finds it in flight.
            let (lost, births) = (self.host.launcher.is_lost(), self.host.births());
            let committed = if lost { Err(Error::Launcher) } else { self.commit(events) };
            if let Err(error) = committed {
                self.tell();
                self.abandon().await;
                return Err(error);
            }
            if self.finished.is_some() {
                self.tell();
                return Ok((self.run, self.journal, stopped_by));
            }
            if births != self.host.births() {
                // Births first: the launcher is asked for them while the watchers hear.
                tokio::task::yield_now().await;
            }
            self.tell();
            if std::mem::take(&mut self.started) {
                attempt::refill(&self.host);
            }
            let deadline = self.timers.first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                Some(news) = self.news.1.recv() => self.take(news, &mut batch),
                Some(stop) = stops.recv() => {
                    stopped_by.get_or_insert(stop.by);
                    batch.push(Event::StopRequested { now: stop.now, by: stop.by });
                }
                () = self.host.launcher.lost() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    batch.extend(self.due());
                }
            }
            if !self.attempts.is_empty() {
                // What others said while the last commit was made lies in their sockets: one turn of the loop finds
                // it, the next lets their tasks read it.
                for _ in 0..2 {
                    tokio::task::yield_now().await;
                }
            }
            // What came meanwhile goes with the same commit.
            while batch.len() < BATCH
                && let Ok(news) = self.news.1.try_recv()
            {
                self.take(news, &mut batch);
            }
        }
    }

    /// Turns news of an attempt into an event, if it is one.
    fn take(&mut self, news: News, batch: &mut Vec<Event>) {
        match news {
            News::Ended(ended) => {
                self.attempts.remove(&ended.id);
                batch.push(Event::AttemptEnded(ended));
            }
            News::Unable { id, fault } => {
                self.attempts.remove(&id);
                self.unable.get_or_insert(fault);
            }
            // An exit that can be seen before the reason is durable stands.
            News::StopWanted { id, reason } => {
                if self.attempts.get(&id).is_some_and(|attempt| !attempt.has_ended()) {
                    batch.push(Event::AttemptStopping { id, reason });
                }
            }
            News::Said { id, what } => self.said(&id, what),
        }
    }

    /// Makes the events durable together, then moves the run by each and does what follows.
    fn commit(&mut self, mut events: Vec<(Now, Event)>) -> Result<(), Error> {
        // A large output goes to a file of its own, before the journal names it.
        for (_, event) in &mut events {
            if let Some((id, given)) = output_of(event)
                && let Output::Inline(value) = given
            {
                *given = output::write(&self.host.run, id, value)?;
            }
        }
        self.journal.append(&events)?;
        let space = self.journal.commit()?;
        for (now, event) in &events {
            for action in self.run.apply(event, *now) {
                self.perform(action, *now);
            }
        }
        match space {
            Space::Plenty => self.unable.take().map_or(Ok(()), |fault| Err(Error::Unable(fault))),
            Space::Reserve(fault) => Err(Error::Unable(fault)),
        }
    }

    fn perform(&mut self, action: Action, now: Now) {
        match action {
            Action::Spawn(spawn) if self.ended.remove(&spawn.id) => {}
            Action::Spawn(spawn) => {
                let id = spawn.id.clone();
                let handle = attempt::start(&self.host, spawn, self.news.0.clone());
                self.attempts.insert(id, handle);
                self.started = true;
            }
            Action::Terminate { id, reason, now } => {
                if let Some(attempt) = self.attempts.get(&id) {
                    attempt.terminate(Terminate { reason, now });
                }
            }
            Action::ArmTimer { timer, after } => self.arm(timer, after),
            Action::Notice(notice) => self.notify(now, notice),
            Action::Finish { status } => self.finished = Some(status),
        }
    }

    fn arm(&mut self, timer: Timer, after: Duration) {
        self.armed += 1;
        self.timers.insert((Instant::now() + after, self.armed), timer);
    }

    /// The events of the timers that are due.
    fn due(&mut self) -> Vec<Event> {
        let now = Instant::now();
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(timer) = self.timers.first_entry().filter(|timer| timer.key().0 <= now)
        {
            due.push(match timer.remove() {
                Timer::Run => Event::RunTimedOut,
                Timer::Step(id) => Event::AttemptStopping { id, reason: schemas::view::StopReason::Timeout },
                Timer::Retry(id) => Event::RetryDue { id },
            });
        }
        due
    }

    /// The journal is gone, or the launcher: ends what runs, in order, and waits for it. Nothing more is recorded.
    async fn abandon(&mut self) {
        for attempt in self.attempts.values() {
            attempt.terminate(Terminate { reason: schemas::view::StopReason::Shutdown, now: false });
        }
        while !self.attempts.is_empty() {
            // Each attempt reports its end: its ladder is bounded.
            match self.news.1.recv().await {
                Some(News::Ended(ended)) => self.attempts.remove(&ended.id),
                Some(News::Unable { id, .. }) => self.attempts.remove(&id),
                Some(News::StopWanted { .. } | News::Said { .. }) | None => None,
            };
        }
    }

    fn said(&mut self, id: &AttemptId, what: Said) {
        let now = self.clock.now();
        match what {
            Said::Log { level, text } => self.notice(now, EventType::StepLog, Some(id), |event| {
                event.level = Some(level);
                event.text = Some(text);
            }),
            Said::Agent(view) => {
                self.notice(now, EventType::AgentRequest, Some(id), |event| event.agent = Some(view));
            }
            Said::Message(text) => {
                self.notice(now, EventType::AgentMessage, Some(id), |event| event.text = Some(text));
            }
            Said::Thought(text) => {
                self.notice(now, EventType::AgentThought, Some(id), |event| event.text = Some(text));
            }
            Said::Plan(plan) => {
                self.notice(now, EventType::AgentPlan, Some(id), |event| event.progress = Some(plan));
            }
            Said::Tool(call) => {
                self.notice(now, EventType::ToolCalled, Some(id), |event| event.tool = Some(call));
            }
            Said::Guardrail(name) => {
                self.notice(now, EventType::GuardrailExceeded, Some(id), |event| {
                    event.guardrail = Some(name);
                });
            }
            Said::Artifact(artifact) => {
                self.notice(now, EventType::StepProgress, Some(id), |event| event.artifact = Some(artifact));
            }
            Said::Progress(progress) => {
                self.notice(now, EventType::StepProgress, Some(id), |event| event.progress = Some(progress));
            }
        }
    }

    fn notify(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::RunStarted => self.notice(now, EventType::RunStarted, None, |_| {}),
            Notice::RunStopping => self.notice(now, EventType::RunStopping, None, |_| {}),
            Notice::RunEnded { status, error, duration_ms } => {
                self.notice(now, EventType::RunEnded, None, |event| {
                    event.status = Some(status);
                    event.error = error.map(|error| *error);
                    event.duration_ms = duration_ms;
                });
            }
            Notice::RollbackStarted { id } => {
                self.notice(now, EventType::RollbackStarted, id.as_ref(), |_| {});
            }
            Notice::RollbackStep { id, of } => {
                self.notice(now, EventType::RollbackStep, Some(&id), |event| event.text = of);
            }
            Notice::RollbackEnded { id, status } => {
                self.notice(now, EventType::RollbackEnded, id.as_ref(), |event| event.status = Some(status));
            }
            Notice::StepWaiting { id } => self.notice(now, EventType::StepWaiting, Some(&id), |_| {}),
            Notice::StepStarted { id } => self.notice(now, EventType::StepStarted, Some(&id), |_| {}),
            Notice::StepSkipped { id, reason } => {
                self.notice(now, EventType::StepSkipped, Some(&id), |event| event.text = Some(reason));
            }
            Notice::StepCompleted { id, duration_ms } => {
                self.notice(now, EventType::StepCompleted, Some(&id), |event| {
                    event.duration_ms = Some(duration_ms);
                });
            }
            Notice::StepRetrying { id, error, delay_ms } => {
                self.notice(now, EventType::StepRetrying, Some(&id), |event| {
                    event.error = Some(*error);
                    event.delay_ms = Some(delay_ms);
                });
            }
            Notice::StepFailed { id, error, duration_ms } => {
                self.notice(now, EventType::StepFailed, Some(&id), |event| {
                    event.error = Some(*error);
                    event.duration_ms = Some(duration_ms);
                });
            }
            Notice::StepCancelled { id, duration_ms } => {
                self.notice(now, EventType::StepCancelled, Some(&id), |event| {
                    event.duration_ms = Some(duration_ms);
                });
            }
        }
    }

    fn notice(
        &mut self,
        now: Now,
        kind: EventType,
        id: Option<&AttemptId>,
        fill: impl FnOnce(&mut RunEvent),
    ) {
        self.seq += 1;
        let mut event = RunEvent {
            step: id.map(|id| id.step.clone()),
            attempt: id.map(|id| id.attempt),
            iteration: id.map(|id| id.turn.clone()).unwrap_or_default(),
            ..run_event(&self.run, self.seq, now, kind)
        };
        fill(&mut event);
        self.untold.push(event);
    }

    /// Tells the watchers what they have not heard yet.
    fn tell(&mut self) {
        if !self.untold.is_empty() {
            for watcher in &mut self.watchers {
                watcher.events(&self.untold);
            }
            self.untold.clear();
        }
    }
}

/// An event about the run as a whole.
pub fn run_event(run: &Run, seq: u64, now: Now, kind: EventType) -> RunEvent {
    RunEvent {
        v: EVENT_VERSION,
        seq,
        ts: now.wall,
        kind,
        run_id: run.created().run_id.clone(),
        step: None,
        attempt: None,
        iteration: Vec::new(),
        status: None,
        error: None,
        duration_ms: None,
        delay_ms: None,
        level: None,
        text: None,
        progress: None,
        artifact: None,
        agent: None,
        tool: None,
        guardrail: None,
    }
}

/// The attempt whose end an event tells.
fn ended(event: &Event) -> Option<&AttemptId> {
    match event {
        Event::AttemptEnded(ended) => Some(&ended.id),
        Event::RunCreated(_)
        | Event::RunStarted { .. }
        | Event::AttemptStopping { .. }
        | Event::RetryDue { .. }
        | Event::RunTimedOut
        | Event::StopRequested { .. }
        | Event::RunResumed => None,
    }
}

fn output_of(event: &mut Event) -> Option<(&AttemptId, &mut Output)> {
    match event {
        Event::AttemptEnded(ended) => {
            let ended = &mut **ended;
            match &mut ended.outcome {
                Outcome::Completed(output) => Some((&ended.id, output)),
                Outcome::Failed(_) | Outcome::Cancelled => None,
            }
        }
        Event::RunCreated(_)
        | Event::RunStarted { .. }
        | Event::AttemptStopping { .. }
        | Event::RetryDue { .. }
        | Event::RunTimedOut
        | Event::StopRequested { .. }
        | Event::RunResumed => None,
    }
}
