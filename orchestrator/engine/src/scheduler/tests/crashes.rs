//! A daemon that dies between any two of its steps: no fire is lost, and none starts two runs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemas::schedule::{Fire, FireRecord, Schedule};

use super::{Action, Event, Scheduler, at, schedule};

/// What outlives a daemon: its records, and the runs that exist.
#[derive(Default)]
struct Disk {
    records: Vec<FireRecord>,
    /// By id, with the moment for which each is meant, and whether it has ended.
    runs: BTreeMap<String, (Timestamp, bool)>,
    ids: u32,
}

/// Steps until the daemon dies.
struct Fuse(u32);

impl Fuse {
    /// One more step; `None`: the daemon is dead.
    fn step(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// One daemon, with its disk.
struct Life<'a> {
    scheduler: Scheduler,
    disk: &'a mut Disk,
    fuse: Fuse,
}

impl Life<'_> {
    /// Does what the shell does: the records at once, then the rest, one by one.
    fn take(&mut self, event: Event, now: Timestamp) -> Option<()> {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let ids = &mut self.disk.ids;
            let mut new_run = || {
                *ids += 1;
                format!("run{ids}")
            };
            let actions = self.scheduler.apply(event, now, &mut new_run);
            self.fuse.step()?;
            for action in &actions {
                if let Action::Record { schedule, at, fire } = action {
                    let (schedule, fire) = (schedule.clone(), fire.clone());
                    self.disk.records.push(FireRecord { v: 1, ts: now, schedule, at: *at, fire });
                }
            }
            self.fuse.step()?;
            for action in actions {
                if let Action::Start { run, at, .. } = action {
                    self.make(&run, at)?;
                    events.push(Event::Started { run });
                }
            }
        }
        Some(())
    }

    fn make(&mut self, run: &str, at: Timestamp) -> Option<()> {
        let earlier = self.disk.runs.insert(run.to_owned(), (at, false));
        assert!(earlier.is_none(), "{run} was made twice");
        self.fuse.step()
    }

    /// What became of the runs of the daemon before.
    fn settle(&mut self, now: Timestamp) -> Option<()> {
        for found in self.scheduler.unsettled() {
            let run = found.run.clone();
            match self.disk.runs.get(&found.run) {
                Some((_, false)) => self.take(Event::Started { run }, now)?,
                Some((_, true)) => self.take(Event::Ended { run, status: None }, now)?,
                None => {
                    assert!(!found.started, "it was recorded after it existed");
                    self.make(&run, found.at)?;
                    self.take(Event::Started { run }, now)?;
                }
            }
        }
        Some(())
    }

    /// From `now` on, in half minutes; each run takes at least a minute and a half.
    fn live(&mut self, schedule: &Schedule, now: &mut Timestamp, until: Timestamp) -> Option<()> {
        self.take(Event::Schedules(vec![schedule.clone()]), *now)?;
        self.settle(*now)?;
        while *now < until {
            *now += SignedDuration::from_secs(30);
            let over = self.disk.runs.iter_mut().find(|(_, (_, ended))| !*ended);
            if let Some((run, (_, ended))) = over.filter(|_| now.as_second() % 90 == 0) {
                *ended = true;
                let run = run.clone();
                self.fuse.step()?;
                self.take(Event::Ended { run, status: None }, *now)?;
            }
            self.take(Event::Tick, *now)?;
        }
        Some(())
    }
}

#[test]
fn whenever_a_daemon_dies_each_fire_has_one_run() {
    let schedule = schedule(r#","overlap":"queue","catch_up":"all""#);
    let (start, until) = (at("00:00"), at("00:08"));
    let mut deaths = 0;
    for fuse in 0..150 {
        let mut disk = Disk::default();
        let mut now = start;
        // It dies after so many steps, again after half as many more, and then lives on.
        for (steps, until) in [(fuse, until), (fuse / 2, until), (u32::MAX, at("00:30"))] {
            let scheduler = Scheduler::restore(&disk.records);
            let mut life = Life { scheduler, disk: &mut disk, fuse: Fuse(steps) };
            deaths += u32::from(life.live(&schedule, &mut now, until).is_none());
        }
        let mut fires: Vec<_> = disk.runs.values().map(|(at, _)| at.as_second()).collect();
        fires.sort_unstable();
        let minutes = (1..).map(|minute| start.as_second() + 60 * minute).take(fires.len());
        assert_eq!(fires, minutes.collect::<Vec<_>>(), "after {fuse} steps: one run for each fire");
        assert!(fires.len() >= 8, "after {fuse} steps: {}", fires.len());
        assert!(disk.records.iter().all(|record| !matches!(record.fire, Fire::Skipped { .. })));
    }
    assert!(deaths > 100, "{deaths}");
}
