//! `status --watch`: a run on the whole terminal until it ends, or lines of what changes where there is none.
//!
//! Nothing is polled. The kernel tells when the run's files change; besides, while the run is alive, the clock on the
//! screen goes on once a second, and with it what the programs use.

mod files;
mod log;
mod picture;
mod plain;
mod state;
#[cfg(test)]
mod tests;

use std::{
    io,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use ratatui::{DefaultTerminal, crossterm::event};
use schemas::{
    exit_code::ExitCode,
    view::{RunStatus, RunView},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use self::{
    files::Files,
    plain::Told,
    state::{Order, State},
};
use crate::{
    cli::output::engine_error,
    control,
    errors::Result,
    fold, live,
    store::{
        home::{AttemptDir, RunDir},
        lock,
    },
    ui::{self, terminal},
};

/// The clock on the screen.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks at the journal: a run of thousands of steps a second is not read thousands of times.
const LOOK: Duration = Duration::from_millis(100);
/// A look takes at most this part of the time.
const PART: u32 = 10;

/// How the watching ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The run has ended, or lost its engine.
    Run(Box<RunView>),
    /// A key, or its signal, ended the watching.
    Left(ExitCode),
}

/// Watches a run until it ends, or until somebody has seen enough.
pub(super) fn watch(dir: &RunDir) -> Result<Ended> {
    let view = fold::current_view(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| engine_error(&error))?;
    runtime.block_on(async {
        if !terminal::can_fill() {
            return lines(dir, view).await;
        }
        let state = State::new(view);
        if !state.is_alive() {
            return Ok(Ended::Run(Box::new(state.view)));
        }
        // Gives the terminal back in a panic, too.
        let terminal = ratatui::try_init().map_err(|error| engine_error(&error))?;
        let ended = Screen::new(dir, state).map_err(|error| engine_error(&error))?.go_on(terminal).await;
        ratatui::restore();
        ended
    })
}

/// Prints what changes.
async fn lines(dir: &RunDir, mut view: RunView) -> Result<Ended> {
    let mut files = Files::new(dir).map_err(|error| engine_error(&error))?;
    let mut told = Told::default();
    let mut free = free(dir);
    loop {
        match ui::write(&told.news(&view)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(Ended::Left(ExitCode::Done));
            }
            Err(error) => return Err(engine_error(&error)),
        }
        if view.status.is_ended() || view.status == RunStatus::Interrupted {
            return Ok(Ended::Run(Box::new(view)));
        }
        let next_look = Instant::now() + LOOK;
        tokio::select! {
            changed = files.changed() => {
                changed.map_err(|error| engine_error(&error))?;
                sleep_until(next_look.into()).await;
            }
            _ = &mut free => {}
        }
        view = fold::current_view(dir)?;
    }
}

/// Tells once when nobody owns the run any more: it has ended, or its engine has died. The wait is for a lock, so it
/// has a thread.
fn free(dir: &RunDir) -> oneshot::Receiver<()> {
    let (sender, free) = oneshot::channel();
    let dir = dir.clone();
    std::thread::spawn(move || {
        // Where there are no locks there are no runs.
        if lock::wait_until_free(&dir).is_ok() {
            let _watched_no_more = sender.send(());
        }
    });
    free
}

/// The screen and what it shows.
struct Screen<'a> {
    dir: &'a RunDir,
    state: State,
    files: Files,
    /// Nobody owns the run any more.
    free: bool,
    /// Something changed that was not read yet.
    changed: bool,
    /// Not to be read before.
    next_look: Instant,
    /// When the clock goes on.
    next_tick: Instant,
    measured: Instant,
}

impl<'a> Screen<'a> {
    fn new(dir: &'a RunDir, state: State) -> io::Result<Self> {
        let now = Instant::now();
        let files = Files::new(dir)?;
        Ok(Self {
            dir,
            state,
            files,
            free: false,
            changed: true,
            next_look: now,
            next_tick: now,
            measured: now,
        })
    }

    async fn go_on(mut self, mut terminal: DefaultTerminal) -> Result<Ended> {
        let error = |error: io::Error| engine_error(&error);
        let (mut keys, mut free) = (keys(), free(self.dir));
        let mut terminate = signal(SignalKind::terminate()).map_err(error)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(error)?;
        loop {
            self.look()?;
            if !self.state.is_alive() && !self.state.chosen {
                return Ok(Ended::Run(Box::new(self.state.view)));
            }
            let now = Timestamp::now();
            terminal.draw(|frame| picture::draw(frame, &self.state, self.dir, now)).map_err(error)?;
            let wake = self.wake();
            tokio::select! {
                key = keys.recv() => {
                    if let Some(exit) = self.key(key.as_ref())? {
                        return Ok(Ended::Left(exit));
                    }
                }
                changed = self.files.changed(), if !self.changed => {
                    changed.map_err(error)?;
                    self.changed = true;
                }
                Ok(()) = &mut free, if !self.free => (self.free, self.changed) = (true, true),
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
                _ = terminate.recv() => return Ok(Ended::Left(ExitCode::SigTerm)),
                _ = hang_up.recv() => return Ok(Ended::Left(ExitCode::SigTerm)),
            }
        }
    }

    /// When there is something to do though nobody calls.
    fn wake(&self) -> Option<Instant> {
        let tick = Some(self.next_tick).filter(|_| self.state.is_alive());
        let look = Some(self.next_look).filter(|_| self.changed);
        tick.into_iter().chain(look).min()
    }

    /// Reads what is due.
    fn look(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.state.is_alive() && now >= self.next_tick {
            self.state.measure(live::sample(self.dir), now - self.measured);
            (self.measured, self.next_tick) = (now, now + TICK);
        }
        if self.changed && now >= self.next_look {
            self.changed = false;
            self.state.update(fold::current_view(self.dir)?);
            self.next_look = Instant::now() + LOOK.max(now.elapsed() * PART);
        }
        let attempt = self.state.attempt().cloned();
        let directory = attempt.as_ref().and_then(|id| self.dir.attempt(id).ok());
        self.files.look_at(directory.as_ref().map(AttemptDir::path));
        self.state.log = attempt.map(|id| log::read(self.dir, &id)).unwrap_or_default();
        Ok(())
    }

    /// Does what a key says; an exit code: it is enough.
    fn key(&mut self, event: Option<&event::Event>) -> Result<Option<ExitCode>> {
        // Without an event the terminal is gone.
        let Some(event) = event else { return Ok(Some(ExitCode::Done)) };
        // Every other event, such as a new size, is an occasion to draw.
        let Some(key) = event.as_key_press_event() else { return Ok(None) };
        match self.state.key(key) {
            Order::Nothing => {}
            Order::Quit => return Ok(Some(ExitCode::Done)),
            Order::Interrupt => return Ok(Some(ExitCode::SigInt)),
            Order::Stop => {
                let heard = control::request(self.dir, false).map_err(|error| engine_error(&error))?;
                self.state.message = Some(if heard { "asked to stop" } else { "nobody listens" }.to_owned());
            }
        }
        Ok(None)
    }
}

/// What is typed, and new sizes of the terminal. The thread ends with the process: nothing else wakes it.
fn keys() -> mpsc::UnboundedReceiver<event::Event> {
    let (sender, keys) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    keys
}
