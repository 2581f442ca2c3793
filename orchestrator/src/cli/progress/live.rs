//! The part of the terminal that is drawn in place: a line for each step that runs, below the lines that stay.
//!
//! A thread of its own draws, so that a slow terminal never holds up a run. The cursor is never hidden and the
//! terminal's modes are never changed: whoever kills us at any moment finds his terminal as it was.

use std::{
    collections::HashMap,
    fmt::{Debug, Formatter},
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use schemas::events::RunEvent;

use super::{
    line,
    rows::{Rows, Screen},
};
use crate::{
    live::{self, Use},
    store::home::RunDir,
    ui::{style, terminal},
};

/// Between two pictures: the wheel turns, the clocks go on.
const FRAME: Duration = Duration::from_millis(100);
/// Between two looks at what the programs use.
const LOOK: Duration = Duration::from_secs(1);
/// Pictures a second at most, however much happens.
const RATE: u8 = 20;

/// The thread that draws. When it is dropped, what is drawn in place goes away and the lines stay.
pub(super) struct Live {
    news: Option<mpsc::Sender<RunEvent>>,
    drawing: Option<JoinHandle<()>>,
}

impl Debug for Live {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Live {
    pub(super) fn start(rows: Rows, dir: RunDir) -> Self {
        let (news, heard) = mpsc::channel();
        let drawing = std::thread::spawn(move || Drawing::new(rows, dir).go_on(&heard));
        Self { news: Some(news), drawing: Some(drawing) }
    }

    pub(super) fn tell(&self, event: &RunEvent) {
        if let Some(news) = &self.news {
            // It listens for as long as there is a sender.
            let _never_fails = news.send(event.clone());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.news = None;
        if let Some(drawing) = self.drawing.take() {
            // A picture that failed is no reason to fail.
            let _drawn = drawing.join();
        }
    }
}

/// What the thread has.
struct Drawing {
    rows: Rows,
    dir: RunDir,
    terminal: MultiProgress,
    /// A bar for each line that is drawn in place.
    lines: Vec<ProgressBar>,
    used: HashMap<PathBuf, Use>,
    looked: Instant,
    frame: usize,
}

impl Drawing {
    fn new(rows: Rows, dir: RunDir) -> Self {
        let terminal = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        Self {
            rows,
            dir,
            terminal,
            lines: Vec::new(),
            used: HashMap::new(),
            looked: Instant::now(),
            frame: 0,
        }
    }

    /// Draws until nobody tells anything any more.
    fn go_on(&mut self, news: &mpsc::Receiver<RunEvent>) {
        let mut drawn = Instant::now();
        loop {
            // Drawn at its time, however often something is told.
            match news.recv_timeout(FRAME.saturating_sub(drawn.elapsed())) {
                Ok(event) => self.hear(std::iter::once(event).chain(news.try_iter())),
                Err(RecvTimeoutError::Timeout) => {
                    self.frame += 1;
                    self.draw();
                    drawn = Instant::now();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // A terminal that is gone needs no cleaning.
        let _gone = self.terminal.clear();
    }

    /// Whatever came at once is one picture: thousands of steps a second are not thousands of pictures.
    fn hear(&mut self, events: impl Iterator<Item = RunEvent>) {
        let mut stays = String::new();
        for event in events {
            self.rows.hear(&event);
            stays.extend(line::line(&event, self.rows.workflow()));
        }
        if !stays.is_empty() {
            let _gone = self.terminal.println(stays.trim_end_matches('\n'));
        }
    }

    fn draw(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.used = live::sample(&self.dir);
            self.looked = Instant::now();
        }
        let (columns, lines) = terminal::size_of_stderr();
        let screen = Screen { columns, lines, now: Timestamp::now(), frame: self.frame };
        let texts = self.rows.render(&screen, &self.used);
        while self.lines.len() > texts.len() {
            if let Some(line) = self.lines.pop() {
                line.finish_and_clear();
                self.terminal.remove(&line);
            }
        }
        while self.lines.len() < texts.len() {
            let bar = ProgressBar::new_spinner().with_style(plain());
            self.lines.push(self.terminal.add(bar));
        }
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(if terminal::stderr_has_colours() { text } else { style::plain(&text) });
        }
    }
}

/// A line as it is given: what stands in it is ours.
fn plain() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
