//! One attempt of a step, from its birth to its verdict: one task, which holds the read ends of all pipes,
//! climbs the kill ladder and reports once.
//!
//! It decides nothing about the run: what it wants (a stop because time is up) it asks for, and the
//! dispatcher makes the reason durable before the order comes back.

mod agent;
mod control;
mod ending;
mod host;
mod ladder;
mod limits;
mod prepare;
mod sampler;
mod sandbox;
mod scratch;
mod spare;
mod streams;
mod task;
mod walk;
mod worker;

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    time::Duration,
};

use ipc::message::{AgentUpdate, ProcessUsage, WaitStatus};
use schemas::{
    agent::ToolCall,
    journal::{AttemptEnded, AttemptId},
    json::Json,
    view::{AgentView, StopReason},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use workflow_engine::{
    run::Spawn,
    verdict::{SetupFailure, SkillAnswer, Speaks},
};

use self::{
    agent::AgentWatch,
    control::{Control, Leader},
    ladder::{Ladder, Members},
    prepare::{Launch, Prepared},
    streams::Streams,
    walk::Walk,
};
pub use self::{
    host::{Host, counts_users},
    limits::{limits_of, not_held_together, of_run, of_share},
    sandbox::{isolation, missing_parts},
    walk::left_of,
};
use crate::{bridge, launcher, mask::Masker, signal::Process, store::files::Fault};

/// A program that closed its stdout without a result gets this long to end by itself.
const AFTER_CLOSE: Duration = Duration::from_secs(1);
/// After the last process is gone, pipes are read for at most this long.
const DRAIN: Duration = Duration::from_secs(2);

/// What an attempt tells the dispatcher.
#[derive(Debug)]
pub enum News {
    /// It must be ended, and why. Asked at most once.
    StopWanted {
        /// Which attempt.
        id: AttemptId,
        /// Why.
        reason: StopReason,
    },
    /// Something for the watchers; not part of the journal.
    Said {
        /// Which attempt.
        id: AttemptId,
        /// What.
        what: Said,
    },
    /// It is over. Said exactly once, last.
    Ended(Box<AttemptEnded>),
    /// It could not begin, for want of something that is the engine's. In place of [`News::Ended`].
    Unable {
        /// Which attempt.
        id: AttemptId,
        /// What failed.
        fault: Fault,
    },
}

/// What a running step tells the watchers.
#[derive(Debug)]
pub enum Said {
    /// A line for the log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The line.
        text: String,
    },
    /// How far it is, in its own words: a JSON object.
    Progress(Json),
    /// A file or another thing that it made, in its own words: a JSON object.
    Artifact(Json),
    /// What an agent did and used so far.
    Agent(Box<AgentView>),
    /// Words of an agent.
    Message(String),
    /// What an agent thinks.
    Thought(String),
    /// What an agent is going to do: a JSON value.
    Plan(Json),
    /// An agent called a tool.
    Tool(Box<ToolCall>),
    /// An agent reached a guardrail, by its name.
    Guardrail(String),
}

impl Said {
    /// Without secrets.
    fn masked(self, masker: &Masker) -> Self {
        match self {
            Self::Log { level, text } => Self::Log { level, text: masker.text(&text).into_owned() },
            Self::Message(text) => Self::Message(masker.text(&text).into_owned()),
            Self::Thought(text) => Self::Thought(masker.text(&text).into_owned()),
            Self::Plan(plan) => Self::Plan(masker.json(&plan)),
            Self::Artifact(artifact) => Self::Artifact(masker.json(&artifact)),
            Self::Progress(progress) => Self::Progress(masker.json(&progress)),
            Self::Tool(call) => {
                let error = call.error.as_deref().map(|error| masker.text(error).into_owned());
                Self::Tool(Box::new(ToolCall { error, ..*call }))
            }
            // Names and numbers of ours.
            what @ (Self::Agent(_) | Self::Guardrail(_)) => what,
        }
    }
}

/// An order to a running attempt.
#[derive(Debug, Clone, Copy)]
pub struct Terminate {
    /// Why; durable already.
    pub reason: StopReason,
    /// Kill at once.
    pub now: bool,
}

/// The dispatcher's end of a running attempt.
#[derive(Debug)]
pub struct Handle {
    orders: mpsc::UnboundedSender<Terminate>,
    watch: Rc<Watch>,
}

/// Whether the process has ended, for whoever must decide between an exit and a reason to stop.
#[derive(Debug, Default)]
struct Watch {
    process: OnceCell<Process>,
    over: Cell<bool>,
}

impl Handle {
    /// Orders the end.
    pub fn terminate(&self, order: Terminate) {
        // Nobody hears it when the attempt is over already.
        let _over = self.orders.send(order);
    }

    /// Whether its process has ended already: then its exit stands, and no reason may be recorded.
    pub fn has_ended(&self) -> bool {
        self.watch.over.get() || self.watch.process.get().is_some_and(Process::has_ended)
    }
}

/// Starts an attempt as a task of the current runtime.
pub fn start(host: Rc<Host>, spawn: Box<Spawn>, news: mpsc::UnboundedSender<News>) -> Handle {
    let (orders, incoming) = mpsc::unbounded_channel();
    let watch = Rc::new(Watch::default());
    let handle = Handle { orders, watch: Rc::clone(&watch) };
    tokio::task::spawn_local(async move {
        let prepared = match host.enter() {
            Ok(()) => prepare::prepare(&host, &spawn),
            Err(error) => Err(spare::no_leaf(&error)),
        };
        let ended = match prepared {
            Ok((prepared, launch)) => {
                Attempt::new(&host, &spawn, prepared, &news, watch).live(launch, incoming).await
            }
            Err(refused) => match ending::refused(&host, &spawn, refused) {
                Ok(ended) => ended,
                Err(fault) => {
                    host.leave();
                    let _dispatcher_is_gone = news.send(News::Unable { id: spawn.id.clone(), fault });
                    return;
                }
            },
        };
        host.leave();
        let ended = match host.secrets.masker() {
            Some(masker) => AttemptEnded { outcome: masker.outcome(ended.outcome), ..ended },
            None => ended,
        };
        let _dispatcher_is_gone = news.send(News::Ended(Box::new(ended)));
    });
    handle
}

/// A living attempt.
struct Attempt<'a> {
    host: &'a Rc<Host>,
    spawn: &'a Spawn,
    news: &'a mpsc::UnboundedSender<News>,
    watch: Rc<Watch>,
    prepared: Prepared,
    began: Instant,
    /// The launcher said that the process exists.
    born: bool,
    /// The program or skill began.
    started: bool,
    setup: Option<SetupFailure>,
    /// What the namespace's init said of the program.
    leader: Option<Leader>,
    exit: Option<(WaitStatus, ProcessUsage)>,
    launcher_died: bool,
    answer: Option<SkillAnswer>,
    protocol: Option<String>,
    asked: bool,
    ladder: Ladder,
    /// How its processes are found, where it has no leaf.
    walk: Option<Walk>,
    /// What answers in its network.
    bridge: Option<bridge::Open>,
}

impl<'a> Attempt<'a> {
    fn new(
        host: &'a Rc<Host>,
        spawn: &'a Spawn,
        prepared: Prepared,
        news: &'a mpsc::UnboundedSender<News>,
        watch: Rc<Watch>,
    ) -> Self {
        let ladder = Ladder::new(prepared.grace, prepared.told, prepared.root);
        Self {
            host,
            spawn,
            news,
            watch,
            prepared,
            began: Instant::now(),
            born: false,
            started: false,
            setup: None,
            leader: None,
            exit: None,
            launcher_died: false,
            answer: None,
            protocol: None,
            asked: false,
            ladder,
            walk: None,
            bridge: None,
        }
    }

    async fn live(mut self, launch: Launch, mut orders: mpsc::UnboundedReceiver<Terminate>) -> AttemptEnded {
        let Launch { mut births, mut streams, mut control } = launch;
        if let Some(socket) = self.prepared.agent.as_mut().and_then(AgentWatch::take_socket) {
            self.bridge = self.prepared.services.open(vec![socket]).ok();
        }
        spare::refill_later(self.host);
        let mut silent_since = self.began;
        let mut closed_at = None;
        while !self.is_over() {
            let wake = self.next_wake(silent_since, closed_at);
            tokio::select! {
                news = births.recv() => self.birth_news(news),
                order = orders.recv() => if let Some(order) = order { self.order(order) },
                heard = control.hear(), if control.is_open() => {
                    if heard.is_of_agent() {
                        silent_since = Instant::now();
                    }
                    self.heard(heard);
                }
                read = streams.read(), if streams.is_open() => {
                    silent_since = Instant::now();
                    self.read(&streams, read, &mut closed_at);
                }
                () = agent::changed(self.prepared.agent.as_ref()), if self.prepared.agent.is_some() => {
                    silent_since = Instant::now();
                    self.agent_news();
                }
                () = sleep_until(wake.unwrap_or(self.began)), if wake.is_some() => {
                    self.woken(silent_since, closed_at);
                }
            }
        }
        self.watch.over.set(true);
        self.finish(streams, control, births).await
    }

    fn is_over(&self) -> bool {
        self.exit.is_some()
            || self.leader.is_some_and(|leader| leader.leftovers == 0)
            || self.launcher_died
            || self.ladder.gave_up()
            || (self.setup.is_some() && !self.born)
    }

    fn birth_news(&mut self, news: Option<launcher::News>) {
        match news {
            Some(launcher::News::Born { process, pid }) => {
                self.born = true;
                if self.prepared.leaf.is_none() {
                    self.walk = Some(Walk::new(pid, self.host.run.id(), &self.spawn.id));
                }
                let _set_once = self.watch.process.set(process);
                self.climb();
            }
            Some(launcher::News::NotBorn { stage, errno }) => {
                self.setup.get_or_insert_with(|| self.prepared.setup_failure(stage, errno));
            }
            Some(launcher::News::Exited { status, usage }) => self.exit = Some((status, usage)),
            None => self.launcher_died = true,
        }
    }

    fn order(&mut self, order: Terminate) {
        self.ladder.order(order);
        self.climb();
    }

    /// Does what the ladder has come to; nothing before the birth.
    fn climb(&mut self) {
        if let (Some(process), Some(members)) =
            (self.watch.process.get(), members(&self.prepared, self.walk.as_ref()))
        {
            self.ladder.climb(process, members);
        }
    }

    /// The processes of the attempt, once it is born.
    fn tree(&self) -> Option<(&Process, Members<'_>)> {
        Some((self.watch.process.get()?, members(&self.prepared, self.walk.as_ref())?))
    }

    /// Asks for a stop, once.
    fn want_stop(&mut self, reason: StopReason) {
        if !self.asked && self.ladder.reason().is_none() {
            self.asked = true;
            let _dispatcher_is_gone = self.news.send(News::StopWanted { id: self.spawn.id.clone(), reason });
        }
    }

    fn say(&self, what: Said) {
        let what = match self.host.secrets.masker() {
            Some(masker) => what.masked(masker),
            None => what,
        };
        let _dispatcher_is_gone = self.news.send(News::Said { id: self.spawn.id.clone(), what });
    }

    fn next_wake(&self, silent_since: Instant, closed_at: Option<Instant>) -> Option<Instant> {
        if let Some(at) = self.ladder.next() {
            return Some(at);
        }
        if self.asked || self.ladder.reason().is_some() {
            return None;
        }
        let timeout = self.prepared.timeout.map(|after| self.began + after);
        let idle = self.prepared.idle_timeout.map(|after| silent_since + after);
        let close = closed_at.map(|at| at + AFTER_CLOSE);
        let guardrail = self.prepared.agent.as_ref().and_then(|agent| agent.wake(self.began, silent_since));
        [timeout, idle, close, self.prepared.sampler.next(), guardrail].into_iter().flatten().min()
    }

    fn woken(&mut self, silent_since: Instant, closed_at: Option<Instant>) {
        let now = Instant::now();
        if self.ladder.next().is_some_and(|at| at <= now) {
            self.climb();
            return;
        }
        let past = |since: Instant, after: Option<Duration>| after.is_some_and(|after| since + after <= now);
        if self.prepared.agent.as_mut().is_some_and(|agent| agent.is_late(self.began, silent_since, now)) {
            self.agent_news();
        } else if past(self.began, self.prepared.timeout) {
            self.want_stop(StopReason::Timeout);
        } else if past(silent_since, self.prepared.idle_timeout) {
            self.want_stop(StopReason::IdleTimeout);
        } else if closed_at.is_some_and(|at| past(at, Some(AFTER_CLOSE))) {
            self.break_protocol("it closed its stdout without a result and went on".to_owned());
        } else if let Some(reason) = self.look() {
            self.want_stop(reason);
        }
    }

    fn look(&mut self) -> Option<StopReason> {
        let Prepared { leaf, sampler, .. } = &mut self.prepared;
        let members = leaf.as_ref().map(Members::Leaf).or(self.walk.as_ref().map(Members::Walk));
        sampler.look(Instant::now(), self.watch.process.get().zip(members))
    }

    /// What was counted of an agent has changed: a guardrail that was reached ends it.
    fn agent_news(&mut self) {
        let Some(agent) = &self.prepared.agent else { return };
        let guardrail = agent.guardrail().map(|guardrail| guardrail.name);
        agent.publish();
        let view = agent.view();
        self.say(Said::Agent(Box::new(view)));
        if let Some(name) = guardrail
            && !self.asked
        {
            self.say(Said::Guardrail(name));
            self.want_stop(StopReason::Guardrail);
        }
    }

    fn agent_says(&mut self, update: AgentUpdate) {
        match update {
            AgentUpdate::Message(text) => self.say(Said::Message(text)),
            AgentUpdate::Thought(text) => self.say(Said::Thought(text)),
            AgentUpdate::Plan(plan) => self.say(Said::Plan(plan)),
            AgentUpdate::Used(reported) => {
                if let Some(agent) = &self.prepared.agent {
                    agent.proxy.report(reported);
                }
                self.agent_news();
            }
        }
    }

    fn break_protocol(&mut self, what: String) {
        self.protocol.get_or_insert(what);
        self.want_stop(StopReason::Protocol);
    }

    fn read(&mut self, streams: &Streams, read: streams::Read, closed_at: &mut Option<Instant>) {
        match read {
            streams::Read::Some => {
                if streams.is_over_cap() {
                    self.want_stop(StopReason::Output);
                }
            }
            streams::Read::Events(said) => said.into_iter().for_each(|what| self.say(what)),
            streams::Read::StdoutClosed => {
                if self.prepared.speaks == Speaks::JsonStdio && !streams.stdout_is_json() {
                    *closed_at = Some(Instant::now());
                }
            }
        }
    }

    fn heard(&mut self, heard: control::Heard) {
        match heard {
            control::Heard::Started => {
                self.started = true;
                if let Some((process, members)) = self.tree() {
                    self.ladder.begun(process, members);
                }
            }
            control::Heard::SetupFailed { stage, errno } => {
                self.setup = Some(self.prepared.setup_failure(stage, errno));
            }
            control::Heard::Listening(sockets) => match self.prepared.services.open(sockets) {
                Ok(open) => self.bridge = Some(open),
                Err(error) => self.break_protocol(format!("its network could not be bridged: {error}")),
            },
            control::Heard::Answer(answer) => {
                if self.answer.is_some() {
                    self.break_protocol("the worker gave a second result".to_owned());
                } else {
                    self.answer = Some(answer);
                }
            }
            control::Heard::LeaderExited(leader) => self.leader = Some(leader),
            control::Heard::Tool(call) => {
                if let Some(agent) = &mut self.prepared.agent {
                    agent.called(&call);
                    agent.publish();
                }
                self.say(Said::Tool(Box::new(call)));
            }
            control::Heard::Transcript(line) => {
                let line = match self.host.secrets.masker() {
                    Some(masker) => masker.json(&line),
                    None => line,
                };
                if let Some(agent) = &mut self.prepared.agent {
                    agent.note(&line);
                }
            }
            control::Heard::Agent(update) => self.agent_says(update),
            control::Heard::Log { level, text } => self.say(Said::Log { level, text }),
            control::Heard::Broken(what) => self.break_protocol(what),
            // A program without namespaces has replaced the worker: that is how its exec is seen.
            control::Heard::Closed => self.started |= self.setup.is_none() && self.prepared.bare_program,
        }
    }

    async fn end_leftovers(&self) -> Option<u64> {
        let members = members(&self.prepared, self.walk.as_ref())?;
        self.ladder.end_leftovers(self.watch.process.get(), members).await
    }

    /// The last process of the step that we know of is gone: ends what is left in the leaf, drains the
    /// pipes, judges.
    async fn finish(
        mut self,
        mut streams: Streams,
        mut control: Control,
        births: mpsc::UnboundedReceiver<launcher::News>,
    ) -> AttemptEnded {
        // A leader that was alone leaves nothing behind but a process of ours that is about to end.
        let alone = self.leader.is_some_and(|leader| leader.leftovers == 0);
        let leftovers = if alone { Some(0) } else { self.end_leftovers().await };
        let drained = tokio::time::timeout(DRAIN, async {
            while self.leader.is_none() && control.is_open() {
                let heard = control.hear().await;
                self.heard(heard);
            }
            while streams.is_open() {
                let read = streams.read().await;
                self.read(&streams, read, &mut None);
            }
        });
        // Over the bound, what came until then is what counts.
        let _bounded = drained.await;
        streams.finish();
        for host in self.prepared.egress.iter().flat_map(|egress| egress.refused()) {
            let text = format!("sandbox: {host} was refused: `sandbox.network.allow` does not name it");
            self.say(Said::Log { level: "warn".to_owned(), text });
        }
        if let Some(why) = streams.lost() {
            self.say(Said::Log { level: "error".to_owned(), text: format!("output was not kept: {why}") });
        }
        self.ended(&streams, leftovers, births)
    }
}

/// By what the processes of an attempt are found; `None` before the birth of one without a leaf.
fn members<'a>(prepared: &'a Prepared, walk: Option<&'a Walk>) -> Option<Members<'a>> {
    prepared.leaf.as_ref().map(Members::Leaf).or(walk.map(Members::Walk))
}
