//! The loop of the daemon: one `select!`, whose arms only say what happened.

use std::{collections::HashMap, future::pending, time::Duration};

use jiff::Timestamp;
use schemas::{
    exit_code::ExitCode,
    output::{SCHEMA_VERSION, daemon::DaemonStatus},
    schedule::{FIRES_VERSION, Fire, FireRecord, Schedule},
    view::RunStatus,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{broadcast, mpsc},
    time::Instant,
};
use workflow_engine::scheduler::{Action, Event, Scheduler, Unsettled};

use super::{
    alarm::Alarm,
    api::{self, Listening, Question},
    client, notify, runs,
    start::Surroundings,
    watch::Watch,
};
use crate::{
    cgroup, clock, control,
    environment::{self, Withheld},
    errors::{CommandError, Result, in_one_line},
    store::{
        fires,
        home::Home,
        lock::{self, FileLock, Mode},
        names::RunId,
        schedules,
    },
    ui,
};

/// When runs that were asked to stop are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long a lock may be held by nobody who answers.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// Threads that start runs and look at their records.
const THREADS: usize = 8;
/// Listeners that are slower than this many events lose some.
const EVENTS: usize = 256;

/// What comes to the loop from beside.
#[derive(Debug)]
pub(super) enum News {
    /// Something happened to a run.
    Event(Event),
    /// Something to say.
    Words(String),
    /// Somebody asks.
    Question(Question),
}

/// Runs the daemon of a home until it is told to end. `ready` is called when it is at work.
pub fn serve(home: &Home, drain: Duration, ready: impl FnOnce() -> Result<()>) -> Result {
    let withheld = environment::withhold().map_err(|error| engine(&error))?;
    home.ensure().map_err(|fault| engine(&fault))?;
    let Some(_lock) = lock(home).map_err(|error| engine(&error))? else {
        return Err(CommandError::new(ExitCode::Failed, "a daemon runs for this home already")
            .hint("`q workflow daemon status` shows it, `q workflow daemon stop` ends it"));
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(THREADS).build();
    let runtime = runtime.map_err(|error| engine(&error))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut daemon = Daemon::open(home, drain, withheld)?;
        ready()?;
        notify::tell("READY=1");
        daemon.run().await
    })
}

/// Takes the daemon's lock; `None`: another has it. For a moment a dead daemon's is held by a run that it was
/// about to start, between fork and exec: where nobody answers, that moment is waited for.
fn lock(home: &Home) -> std::result::Result<Option<FileLock>, lock::Error> {
    let path = home.daemon_lock();
    let free = FileLock::try_take(&path, Mode::Exclusive)?;
    if free.is_some() || client::status(home).is_ok() {
        return Ok(free);
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(FileLock::take(&path, Mode::Exclusive)));
    receiver.recv_timeout(LOCK_WAIT).ok().transpose()
}

fn engine(error: &dyn std::error::Error) -> CommandError {
    CommandError::from_error(ExitCode::Engine, error)
}

/// A daemon at work.
struct Daemon {
    home: Home,
    /// What the engines of its runs have from it.
    surroundings: Surroundings,
    scheduler: Scheduler,
    records: fires::Writer,
    alarm: Alarm,
    watch: Watch,
    sender: mpsc::UnboundedSender<News>,
    news: mpsc::UnboundedReceiver<News>,
    events: broadcast::Sender<String>,
    _listening: Listening,
    started_at: Timestamp,
    drain: Duration,
    /// When runs are stopped that still run.
    deadline: Option<Instant>,
    /// Runs that were asked to stop: a request stands until the run has ended, since an engine that was just started
    /// does not listen yet.
    stops: HashMap<String, control::Standing>,
}

impl Daemon {
    fn open(home: &Home, drain: Duration, withheld: Withheld) -> Result<Self> {
        let records = fires::read(home).map_err(|error| engine(&error))?;
        // Before the schedules are read: no change is overlooked.
        let watch = Watch::new(home).map_err(|error| engine(&error))?;
        let stored = schedules::read(home)?;
        let base = cgroup::settle().unwrap_or_else(|error| {
            say(&in_one_line(&error));
            None
        });
        let (sender, news) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS);
        let listening = api::listen(home, &sender, &events).map_err(|error| {
            CommandError::new(ExitCode::Engine, format!("the daemon cannot listen on its socket: {error}"))
        })?;
        let mut daemon = Self {
            home: home.clone(),
            surroundings: Surroundings { base, withheld },
            scheduler: Scheduler::restore(&records),
            records: fires::Writer::start(home, &records).map_err(|error| engine(&error))?,
            alarm: Alarm::new().map_err(|error| engine(&error))?,
            watch,
            sender,
            news,
            events,
            _listening: listening,
            started_at: clock::wall(),
            drain,
            deadline: None,
            stops: HashMap::new(),
        };
        let unsettled = daemon.scheduler.unsettled();
        daemon.take(Event::Schedules(stored.schedules.clone()))?;
        daemon.settle(&stored.schedules, unsettled)?;
        Ok(daemon)
    }

    /// What became of the runs of the daemon before.
    fn settle(&mut self, stored: &[Schedule], unsettled: Vec<Unsettled>) -> Result<()> {
        for found in unsettled {
            let Ok(run) = found.run.parse::<RunId>() else { continue };
            let dir = self.home.run(run);
            let schedule = stored.iter().find(|schedule| schedule.id == found.schedule);
            match schedule {
                _ if dir.journal().exists() => {
                    self.take(Event::Started { run: found.run })?;
                    runs::adopt(dir, &self.home, self.surroundings.clone(), &self.sender);
                }
                Some(schedule) if !found.started => {
                    let surroundings = self.surroundings.clone();
                    runs::start(&self.home, schedule.clone(), run, found.at, surroundings, &self.sender);
                }
                Some(_) | None => self.take(Event::Ended { run: found.run, status: None })?,
            }
        }
        Ok(())
    }

    async fn run(&mut self) -> Result {
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| engine(&error))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| engine(&error))?;
        while self.deadline.is_none() || self.scheduler.running().next().is_some() {
            self.alarm.set(self.scheduler.wake()).map_err(|error| engine(&error))?;
            let deadline = self.deadline;
            tokio::select! {
                _ = terminate.recv() => self.asked_to_end()?,
                _ = interrupt.recv() => self.asked_to_end()?,
                Some(news) = self.news.recv() => self.hear(news)?,
                rang = self.alarm.rang() => {
                    rang.map_err(|error| engine(&error))?;
                    self.take(Event::Tick)?;
                }
                changed = self.watch.changed() => {
                    changed.map_err(|error| engine(&error))?;
                    self.reload()?;
                }
                () = passed(deadline) => self.stop_runs(),
            }
        }
        notify::tell("STOPPING=1");
        say("the daemon ends");
        Ok(ExitCode::Done)
    }

    /// The first time: no new runs, and time for those that run. The second time: no time.
    fn asked_to_end(&mut self) -> Result<()> {
        if self.deadline.is_some() {
            self.stop_runs();
            return Ok(());
        }
        let running = self.scheduler.running().count();
        say(&format!("asked to end: {running} still running, {} s for them", self.drain.as_secs()));
        self.deadline = Some(Instant::now() + self.drain);
        self.take(Event::Drain)
    }

    fn stop_runs(&mut self) {
        // Asked again later: a run that has just been started has no directory yet.
        self.deadline = Some(Instant::now() + ASK_AGAIN);
        let running: Vec<_> = self.scheduler.running().map(str::to_owned).collect();
        for run in running {
            self.stop(run);
        }
    }

    fn reload(&mut self) -> Result<()> {
        match schedules::read(&self.home) {
            Ok(stored) => self.take(Event::Schedules(stored.schedules)),
            Err(error) => {
                let error = CommandError::from(error);
                say(&format!("the schedules stay as they were: {}", error.render().trim_end()));
                Ok(())
            }
        }
    }

    fn hear(&mut self, news: News) -> Result<()> {
        match news {
            News::Event(event) => self.take(event),
            News::Words(words) => {
                say(words.trim_end());
                Ok(())
            }
            News::Question(question) => {
                let answer = DaemonStatus {
                    schema_version: SCHEMA_VERSION,
                    running: true,
                    pid: Some(std::process::id()),
                    started_at: Some(self.started_at),
                    schedules: Some(self.scheduler.count()),
                    next: self.scheduler.wake(),
                    runs: Some(self.scheduler.running().map(str::to_owned).collect()),
                    draining: Some(self.deadline.is_some()),
                };
                // Whoever asked may be gone.
                let _gone = question.answer.send(answer);
                if question.stop { self.asked_to_end() } else { Ok(()) }
            }
        }
    }

    /// One step: decided, durable, done.
    fn take(&mut self, event: Event) -> Result<()> {
        if let Event::Ended { run, .. } = &event {
            self.stops.remove(run);
        }
        let now = Timestamp::now();
        let actions = self.scheduler.apply(event, now, &mut || RunId::generate().to_string());
        let records: Vec<_> = actions.iter().filter_map(|action| record(action, now)).collect();
        if !records.is_empty() {
            self.records.append(&records).map_err(|error| engine(&error))?;
        }
        for record in &records {
            self.tell(record);
        }
        for action in actions {
            match action {
                Action::Record { .. } => {}
                Action::Start { schedule, run, at } => {
                    if let Ok(run) = run.parse() {
                        runs::start(&self.home, *schedule, run, at, self.surroundings.clone(), &self.sender);
                    }
                }
                Action::Stop { run } => self.stop(run),
            }
        }
        Ok(())
    }

    /// Asks the engine of a run to stop it.
    fn stop(&mut self, run: String) {
        let Ok(id) = run.parse() else { return };
        match control::ask(&self.home.run(id), false) {
            Ok(standing) => drop(self.stops.insert(run, standing)),
            Err(error) => say(&format!("run {run} could not be asked to stop: {error}")),
        }
    }

    /// Tells people, and programs that listen.
    fn tell(&self, record: &FireRecord) {
        let FireRecord { schedule, at, fire, .. } = record;
        match fire {
            Fire::Starting { run } => say(&format!("{schedule} fires for {at}: run {run}")),
            Fire::Ended { run, status } => {
                let status = status.map_or("not started", RunStatus::as_str);
                say(&format!("{schedule} for {at}: run {run} {status}"));
            }
            Fire::Skipped { why } => say(&format!("{schedule} for {at} skipped: {why}")),
            Fire::Waiting => say(&format!("{schedule} for {at} waits")),
            Fire::Started { .. } => {}
        }
        if let Ok(line) = serde_json::to_string(record) {
            let _nobody_listens = self.events.send(line);
        }
    }
}

fn record(action: &Action, ts: Timestamp) -> Option<FireRecord> {
    match action {
        Action::Record { schedule, at, fire } => {
            Some(FireRecord { v: FIRES_VERSION, ts, schedule: schedule.clone(), at: *at, fire: fire.clone() })
        }
        Action::Start { .. } | Action::Stop { .. } => None,
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}

/// A line with its moment.
fn say(words: &str) {
    ui::say(&format!("{} {words}\n", clock::wall()));
}
