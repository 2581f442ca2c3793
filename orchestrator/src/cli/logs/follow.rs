//! `--follow`: prints what is new whenever the kernel tells that something changed (inotify(7)), until nobody
//! owns the run any more. Nothing is polled.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use super::{
    engine::EngineLog,
    line::Printer,
    merge::{self, Ending},
    steps::{self, Steps},
};
use crate::{
    store::{home::RunDir, lock, view},
    ui,
};

/// The lock on the journal may be free a moment after the journal was closed: so often it is looked at again …
const LOOKS: u32 = 50;
/// … after so many nanoseconds each time.
const LOOK_AFTER: i64 = 20_000_000;
/// Room for the events of one read.
const EVENTS: usize = 16 * 1024;

/// What a watched directory is.
#[derive(Debug, Clone)]
enum Place {
    /// The run's own.
    Run,
    /// That of the engine's log.
    Log,
    /// That of all steps.
    Steps,
    /// That of one turn of a step.
    Step(PathBuf),
    /// That of one attempt.
    Attempt(PathBuf),
}

/// Prints the lines of a run until it ends.
pub(super) fn follow(dir: &RunDir, printer: &mut Printer) -> io::Result<()> {
    let mut watch = Watch::new(dir)?;
    let (mut engine, mut steps) = (EngineLog::new(dir), Steps::new(dir));
    // Watched first, read then: what comes between is seen twice, and printed once.
    watch.all()?;
    merge::merge(&mut engine, &mut steps, Ending::Open, printer)?;
    let mut over = is_over(dir)?;
    while !over {
        let news = watch.wait()?;
        for (attempt, directory) in
            news.attempts.iter().filter_map(|path| Some((steps::attempt_of(path)?, path)))
        {
            steps.print(&attempt, directory, printer)?;
        }
        for (attempt, directory) in
            news.closed.iter().filter_map(|path| Some((steps::attempt_of(path)?, path)))
        {
            steps.finish(&attempt, directory, printer)?;
        }
        if news.engine {
            engine.news()?.iter().try_for_each(|line| printer.print(line))?;
        }
        if news.lost {
            merge::merge(&mut engine, &mut steps, Ending::Open, printer)?;
        }
        printer.flush()?;
        over = match news.owner {
            Owner::Quiet => false,
            Owner::Told => is_over(dir)?,
            Owner::Closed => is_over_soon(dir)?,
        };
    }
    merge::merge(&mut engine, &mut steps, Ending::Final, printer)
}

/// Whether nothing more will be written.
fn is_over(dir: &RunDir) -> io::Result<bool> {
    let owned = lock::is_owned(dir).map_err(io::Error::other)?;
    let ended = || view::read(dir).ok().flatten().is_some_and(|view| view.status.is_ended());
    Ok(!owned || ended())
}

/// The owner closed its journal. The kernel tells of that before it gives the lock back.
fn is_over_soon(dir: &RunDir) -> io::Result<bool> {
    for _ in 0..LOOKS {
        if is_over(dir)? {
            return Ok(true);
        }
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: LOOK_AFTER }))?;
    }
    Ok(false)
}

/// What the kernel told of.
#[derive(Debug, Default)]
struct News {
    /// The engine's log has news.
    engine: bool,
    /// Attempts that wrote something.
    attempts: BTreeSet<PathBuf>,
    /// Attempts whose files were closed.
    closed: BTreeSet<PathBuf>,
    /// What the owner did.
    owner: Owner,
    /// Events were lost: anything may have happened.
    lost: bool,
}

/// What the owner of the run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    /// Nothing that matters.
    #[default]
    Quiet,
    /// It wrote the run's view.
    Told,
    /// It closed its journal, and with it gives its lock back.
    Closed,
}

/// The directories of a run that are watched.
#[derive(Debug)]
struct Watch {
    dir: RunDir,
    inotify: OwnedFd,
    places: HashMap<i32, Place>,
    /// It was said that not everything can be watched.
    complained: bool,
}

impl Watch {
    fn new(dir: &RunDir) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { dir: dir.clone(), inotify, places: HashMap::new(), complained: false })
    }

    /// Watches every directory that is there.
    fn all(&mut self) -> io::Result<()> {
        let whole = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
        let run = self.dir.path().to_owned();
        self.add(&run, Place::Run, whole)?;
        self.log()?;
        self.steps().map(drop)
    }

    fn log(&mut self) -> io::Result<()> {
        let newest = self.dir.run_log();
        let Some(directory) = newest.parent() else { return Ok(()) };
        self.add(directory, Place::Log, WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO)
    }

    /// Gives the attempts that are there.
    fn steps(&mut self) -> io::Result<Vec<PathBuf>> {
        let root = steps::root(&self.dir);
        self.add(&root, Place::Steps, WatchFlags::CREATE)?;
        let mut attempts = Vec::new();
        for step in steps::directories(&root)? {
            attempts.extend(self.step(&step)?);
        }
        Ok(attempts)
    }

    fn step(&mut self, step: &Path) -> io::Result<Vec<PathBuf>> {
        self.add(step, Place::Step(step.to_owned()), WatchFlags::CREATE)?;
        let attempts = steps::directories(step)?;
        for attempt in &attempts {
            self.attempt(attempt)?;
        }
        Ok(attempts)
    }

    fn attempt(&mut self, attempt: &Path) -> io::Result<()> {
        let written = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        self.add(attempt, Place::Attempt(attempt.to_owned()), written)
    }

    fn add(&mut self, path: &Path, place: Place, flags: WatchFlags) -> io::Result<()> {
        match inotify::add_watch(&self.inotify, path, flags | WatchFlags::ONLYDIR) {
            Ok(id) => {
                self.places.insert(id, place);
                Ok(())
            }
            // Not made yet: its parent tells when it is.
            Err(Errno::NOENT) => Ok(()),
            // What is not watched is printed at the end.
            Err(Errno::NOSPC) if !self.places.is_empty() => {
                if !self.complained {
                    ui::say(
                        "warning: too many directories to watch; some lines come only when the run ends\n",
                    );
                    ui::say("hint: raise fs.inotify.max_user_watches with sysctl\n");
                }
                self.complained = true;
                Ok(())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sleeps until something happened. `BrokenPipe`: nobody reads any more.
    fn wait(&mut self) -> io::Result<News> {
        let stdout = io::stdout();
        let mut polled =
            [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
        loop {
            match poll(&mut polled, None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if polled[1].revents().intersects(PollFlags::ERR) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut news = News::default();
        for (place, flags, name) in self.events()? {
            self.happened(place.as_ref(), flags, &name, &mut news)?;
        }
        Ok(news)
    }

    /// Everything that the kernel has to tell now.
    fn events(&self) -> io::Result<Vec<(Option<Place>, ReadFlags, String)>> {
        let mut buffer = vec![MaybeUninit::uninit(); EVENTS];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    let place = self.places.get(&event.wd()).cloned();
                    events.push((place, event.events(), name.unwrap_or_default()));
                }
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn happened(
        &mut self,
        place: Option<&Place>,
        flags: ReadFlags,
        name: &str,
        news: &mut News,
    ) -> io::Result<()> {
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            (news.lost, news.owner) = (true, Owner::Closed);
            return self.all();
        }
        match place {
            Some(Place::Run) => match name {
                "logs" => {
                    news.engine = true;
                    self.log()?;
                }
                "steps" => news.attempts.extend(self.steps()?),
                "state.json" => news.owner = news.owner.max(Owner::Told),
                "journal.jsonl" if flags.contains(ReadFlags::CLOSE_WRITE) => {
                    news.owner = Owner::Closed;
                }
                _ => {}
            },
            Some(Place::Log) => news.engine = true,
            Some(Place::Steps) => news.attempts.extend(self.step(&steps::root(&self.dir).join(name))?),
            Some(Place::Step(step)) => {
                let attempt = step.join(name);
                self.attempt(&attempt)?;
                news.attempts.insert(attempt);
            }
            Some(Place::Attempt(attempt)) => {
                news.attempts.insert(attempt.clone());
                if flags.contains(ReadFlags::CLOSE_WRITE) {
                    news.closed.insert(attempt.clone());
                }
            }
            // A directory that is watched no more.
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, OpenOptions},
        io::Write as _,
    };

    use super::*;
    use crate::store::{files, home::Home, lock::RunLock, names::RunId};

    fn run() -> (tempfile::TempDir, RunDir, Watch) {
        let home = tempfile::tempdir().unwrap();
        let dir = Home::at(home.path().to_owned()).run(RunId::generate());
        files::ensure_dir(dir.path()).unwrap();
        let mut watch = Watch::new(&dir).unwrap();
        watch.all().unwrap();
        (home, dir, watch)
    }

    fn append(path: &Path, text: &str) -> File {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_new_attempt_is_seen_and_its_end_too() {
        let (_home, dir, mut watch) = run();
        let attempt = steps::root(&dir).join("a/1");
        let file = append(&attempt.join("stdout.log"), "one\n");
        let seen = BTreeSet::from([attempt.clone()]);
        assert_eq!(watch.wait().unwrap().attempts, seen, "in directories that were not there");
        append(&attempt.join("stdout.log"), "two\n");
        assert_eq!(watch.wait().unwrap().attempts, seen, "in one that is watched");
        drop(file);
        assert_eq!(watch.wait().unwrap().closed, seen);
        let next = steps::root(&dir).join("a/2");
        append(&next.join("stderr.log"), "three\n");
        assert_eq!(watch.wait().unwrap().attempts, BTreeSet::from([next]));
    }

    #[test]
    fn news_of_the_engine_are_seen_across_a_rotation() {
        let (_home, dir, mut watch) = run();
        append(&dir.run_log(), "one\n");
        assert!(watch.wait().unwrap().engine, "the directory was not there");
        append(&dir.run_log(), "two\n");
        assert!(watch.wait().unwrap().engine);
        fs::rename(dir.run_log(), dir.run_log().with_extension("log.1")).unwrap();
        append(&dir.run_log(), "three\n");
        assert!(watch.wait().unwrap().engine);
    }

    #[test]
    fn the_end_of_the_owner_is_seen() {
        let (_home, dir, mut watch) = run();
        drop(append(&dir.journal(), ""));
        assert_eq!(watch.wait().unwrap().owner, Owner::Closed);
        let lock = RunLock::try_take(&dir).unwrap();
        assert!(!is_over(&dir).unwrap());
        drop(lock);
        assert_eq!(watch.wait().unwrap().owner, Owner::Closed);
        assert!(is_over_soon(&dir).unwrap());
        append(&dir.path().join("state.json.tmp"), "{}");
        fs::rename(dir.path().join("state.json.tmp"), dir.state()).unwrap();
        assert_eq!(watch.wait().unwrap().owner, Owner::Told);
    }
}
