//! The line of runs that wait for a slot, shared by all processes of a home without anybody in charge.
//!
//! ```text
//! queue/lock                                held while the line is looked at or changed
//! queue/line/<number>_<priority>_<run>      one that waits; locked by its engine for as long as it waits
//! queue/running/<number>_<priority>_<run>   one that runs, and what it is counted with; locked likewise
//! ```
//!
//! A file whose lock is free is that of a dead engine, and whoever sees it next removes it. Who may start is
//! decided by `workflow_engine::queue`; here are only the files, and what to sleep on.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use workflow_engine::{
    queue::{Capacity, Decision, Demand, Place, decide},
    units::Bytes,
};

use super::{
    disk,
    files::{self, Fault, fault},
    home::Home,
    lock::{self, FileLock, Mode},
    names::RunId,
};

/// What one that runs is counted with is a short line.
const DEMAND_MAX: u64 = 1024;

/// Why a run could not join the line or take a slot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A lock was not taken.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The line of a home.
#[derive(Debug, Clone)]
pub struct Queue {
    path: PathBuf,
}

/// A run that wants a slot.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Which run.
    pub run: RunId,
    /// `--priority`.
    pub priority: i32,
    /// What it is counted with.
    pub demand: Demand,
    /// What all runs may use together.
    pub capacity: Capacity,
}

/// What became of a request.
#[derive(Debug)]
pub enum Turn {
    /// It may run, for as long as it holds this.
    Slot(Slot),
    /// It stands in the line.
    Waits(Ticket),
}

/// A run's place in the line. Dropping it leaves the line.
#[derive(Debug)]
pub struct Ticket {
    queue: Queue,
    request: Request,
    place: Place,
    mark: Mark,
    /// The locks of which the first that is free calls it to ask again.
    waits_for: Vec<PathBuf>,
}

/// The right to run. Dropping it gives it to the next in the line.
#[derive(Debug)]
pub struct Slot {
    _mark: Mark,
}

/// A locked file that says that somebody is there; gone with him.
#[derive(Debug)]
struct Mark {
    path: PathBuf,
    _lock: FileLock,
}

impl Drop for Mark {
    fn drop(&mut self) {
        // Before the lock is free, so that nobody who wakes by that still sees it. One that stays is found
        // unlocked and removed by the next who looks.
        drop(disk::remove_file(&self.path));
    }
}

/// What a file in `running/` holds.
#[derive(Serialize, Deserialize)]
struct Counted {
    memory: u64,
    cpu_millis: u32,
}

/// A file of a living engine.
struct Found {
    place: Place,
    path: PathBuf,
}

impl Queue {
    /// The line of this home, whether it exists or not.
    pub fn new(home: &Home) -> Self {
        Self { path: home.queue() }
    }

    /// Asks for a slot; without a free one the run joins the line.
    pub fn enter(&self, request: Request) -> Result<Turn, Error> {
        files::ensure_dir(&self.line())?;
        files::ensure_dir(&self.running())?;
        let _looking = self.lock()?;
        let (line, running) = (living(&self.line())?, living(&self.running())?);
        let numbers = line.iter().chain(&running).map(|found| found.place.number);
        let place = Place { priority: request.priority, number: numbers.max().unwrap_or(0) + 1 };
        match decide_among(place, &request, &line, &running) {
            Ok(()) => Ok(Turn::Slot(self.start(place, &request)?)),
            Err(waits_for) => {
                let path = self.line().join(name(place, request.run));
                let mark = mark(path, b"")?;
                Ok(Turn::Waits(Ticket { queue: self.clone(), request, place, mark, waits_for }))
            }
        }
    }

    fn start(&self, place: Place, request: &Request) -> Result<Slot, Error> {
        let Demand { memory: Bytes(memory), cpu_millis } = request.demand;
        let path = self.running().join(name(place, request.run));
        let counted = serde_json::to_vec(&Counted { memory, cpu_millis });
        let counted = counted.map_err(std::io::Error::from).map_err(fault("write", &path))?;
        Ok(Slot { _mark: mark(path, &counted)? })
    }

    fn lock(&self) -> Result<FileLock, Error> {
        Ok(FileLock::take(&self.path.join("lock"), Mode::Exclusive)?)
    }

    fn line(&self) -> PathBuf {
        self.path.join("line")
    }

    fn running(&self) -> PathBuf {
        self.path.join("running")
    }
}

impl Ticket {
    /// The locks to sleep on: when any of them is free, [`Ticket::ask`] again.
    pub fn waits_for(&self) -> &[PathBuf] {
        &self.waits_for
    }

    /// Asks again.
    pub fn ask(mut self) -> Result<Turn, Error> {
        let _looking = self.queue.lock()?;
        let (line, running) = (living(&self.queue.line())?, living(&self.queue.running())?);
        match decide_among(self.place, &self.request, &line, &running) {
            Ok(()) => {
                let slot = self.queue.start(self.place, &self.request)?;
                // It takes the slot before it leaves the line: who comes next sees it in one of the two.
                drop(self.mark);
                Ok(Turn::Slot(slot))
            }
            Err(waits_for) => {
                self.waits_for = waits_for;
                Ok(Turn::Waits(self))
            }
        }
    }
}

/// Whether the run may start now; else what it has to wait for, any of them.
fn decide_among(
    own: Place,
    request: &Request,
    line: &[Found],
    running: &[Found],
) -> Result<(), Vec<PathBuf>> {
    let places: Vec<_> = line.iter().map(|found| found.place).collect();
    let demands: Vec<_> = running.iter().map(|found| demand(&found.path)).collect();
    match decide(own, request.demand, &places, &demands, &request.capacity) {
        Decision::Start => Ok(()),
        Decision::Behind(place) => {
            let before = line.iter().filter(|found| found.place == place);
            Err(before.map(|found| found.path.clone()).collect())
        }
        Decision::First => Err(running.iter().map(|found| found.path.clone()).collect()),
    }
}

/// Makes a file and locks it. It must not exist, and nobody else makes one of its name: `queue/lock` is held.
fn mark(path: PathBuf, content: &[u8]) -> Result<Mark, Error> {
    let file = files::open_private(&path, OpenOptions::new().read(true).write(true).create_new(true))?;
    disk::write_all(&file, &path, content).map_err(fault("write", &path))?;
    let lock = FileLock::try_on(file, &path, Mode::Exclusive)?;
    match lock {
        Some(lock) => Ok(Mark { path, _lock: lock }),
        None => Err(fault("lock", &path)(std::io::ErrorKind::WouldBlock.into()).into()),
    }
}

/// The files of living engines in a directory; those of dead ones are removed.
fn living(directory: &Path) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault("list", directory))? {
        let path = entry.map_err(fault("list", directory))?.path();
        if lock::is_held(&path)? {
            found.extend(place(&path).map(|place| Found { place, path }));
        } else {
            match disk::remove_file(&path) {
                Ok(()) => {}
                // Its engine did it just now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(fault("remove", &path)(error).into()),
            }
        }
    }
    Ok(found)
}

fn name(place: Place, run: RunId) -> String {
    format!("{}_{}_{run}", place.number, place.priority)
}

fn place(path: &Path) -> Option<Place> {
    let mut parts = path.file_name()?.to_str()?.split('_');
    let number = parts.next()?.parse().ok()?;
    Some(Place { number, priority: parts.next()?.parse().ok()? })
}

/// What one that runs is counted with; nothing if it has just gone.
fn demand(path: &Path) -> Demand {
    let text = files::read_capped(path, DEMAND_MAX).unwrap_or_default();
    let counted: Option<Counted> = serde_json::from_slice(&text).ok();
    counted.map_or_else(Demand::default, |counted| Demand {
        memory: Bytes(counted.memory),
        cpu_millis: counted.cpu_millis,
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn request(priority: i32, runs: u32) -> Request {
        let capacity = Capacity { runs: NonZeroU32::new(runs).unwrap(), ..Capacity::default() };
        Request { run: RunId::generate(), priority, demand: Demand::default(), capacity }
    }

    fn queue() -> (tempfile::TempDir, Queue) {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(&Home::at(dir.path().to_owned()));
        (dir, queue)
    }

    #[track_caller]
    fn slot(turn: Turn) -> Slot {
        match turn {
            Turn::Slot(slot) => slot,
            Turn::Waits(ticket) => panic!("waits for {:?}", ticket.waits_for()),
        }
    }

    #[track_caller]
    fn ticket(turn: Turn) -> Ticket {
        match turn {
            Turn::Waits(ticket) => ticket,
            Turn::Slot(_) => panic!("it got a slot"),
        }
    }

    #[track_caller]
    fn check_behind(behind: &Ticket, before: &Ticket) {
        assert_eq!(behind.waits_for(), std::slice::from_ref(&before.mark.path));
    }

    fn all_in(directory: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn files(queue: &Queue) -> usize {
        all_in(&queue.line()).len() + all_in(&queue.running()).len()
    }

    #[test]
    fn slots_are_given_in_order() {
        let (_dir, queue) = queue();
        let first = slot(queue.enter(request(0, 1)).unwrap());
        let second = ticket(queue.enter(request(0, 1)).unwrap());
        let third = ticket(queue.enter(request(0, 1)).unwrap());
        let urgent = ticket(queue.enter(request(7, 1)).unwrap());
        let second = ticket(second.ask().unwrap());
        check_behind(&second, &urgent);
        check_behind(&third, &second);
        drop(first);
        let second = ticket(second.ask().unwrap());
        let urgent = slot(urgent.ask().unwrap());
        drop(urgent);
        let third = ticket(third.ask().unwrap());
        let second = slot(second.ask().unwrap());
        let third = ticket(third.ask().unwrap());
        assert_eq!(third.waits_for(), all_in(&queue.running()));
        drop((second, third));
        assert_eq!(files(&queue), 0);
    }

    #[test]
    fn what_dead_engines_left_blocks_nobody() {
        let (_dir, queue) = queue();
        let running = slot(queue.enter(request(0, 1)).unwrap());
        let waiting = ticket(queue.enter(request(0, 1)).unwrap());
        // As the kernel does it: the locks are free, the files stay.
        let paths = [all_in(&queue.line()), all_in(&queue.running())].concat();
        assert_eq!(paths.len(), 2);
        drop((running, waiting));
        for path in &paths {
            std::fs::File::create(path).unwrap();
        }
        let next = slot(queue.enter(request(0, 1)).unwrap());
        assert_eq!(files(&queue), 1);
        drop(next);
    }

    #[test]
    fn what_runs_is_counted_with_its_demand() {
        let (_dir, queue) = queue();
        let with = |memory| {
            let capacity = Capacity { memory: Some(Bytes(100)), ..Capacity::default() };
            Request { capacity, demand: Demand { memory: Bytes(memory), cpu_millis: 0 }, ..request(0, 4) }
        };
        let large = slot(queue.enter(with(70)).unwrap());
        let small = slot(queue.enter(with(30)).unwrap());
        let waits = ticket(queue.enter(with(31)).unwrap());
        assert_eq!(waits.waits_for().len(), 2, "either of them");
        drop(small);
        let waits = ticket(waits.ask().unwrap());
        drop(large);
        drop(slot(waits.ask().unwrap()));
    }
}
