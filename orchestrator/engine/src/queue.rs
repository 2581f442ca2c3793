//! Which run may start: a pure decision over the line of those that wait and over what runs. Who waits where,
//! and how he wakes, is the shell's matter.

use std::{cmp::Ordering, num::NonZeroU32};

use crate::{plan::Limits, units::Bytes};

/// What all runs at once may use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Runs at once.
    pub runs: NonZeroU32,
    /// Memory; `None`: no bound.
    pub memory: Option<Bytes>,
    /// CPU in thousandths of a core; `None`: no bound.
    pub cpu_millis: Option<u32>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { runs: NonZeroU32::new(4).expect("four is not zero"), memory: None, cpu_millis: None }
    }
}

/// What a run is counted with: its own limits, or its share of the capacity where it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Memory.
    pub memory: Bytes,
    /// CPU in thousandths of a core.
    pub cpu_millis: u32,
}

/// Why a run can never start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Never {
    /// It wants more memory than all runs may have together.
    #[error("its memory limit of {} bytes is more than the {} bytes that all runs may use together", wanted.0, all.0)]
    Memory {
        /// What it wants.
        wanted: Bytes,
        /// What there is.
        all: Bytes,
    },
    /// It wants more CPU than all runs may have together.
    #[error(
        "its CPU limit of {wanted} thousandths of a core is more than the {all} that all runs may use together"
    )]
    Cpu {
        /// What it wants.
        wanted: u32,
        /// What there is.
        all: u32,
    },
}

impl Capacity {
    /// What a run with these limits is counted with; one without a limit is counted with its share.
    pub fn demand(&self, memory: Option<Bytes>, cpu_millis: Option<u32>) -> Result<Demand, Never> {
        let share = self.share(memory, cpu_millis);
        let wanted_memory = memory.or(share.memory).unwrap_or_default();
        let wanted_cpu = cpu_millis.or(share.cpu_millis).unwrap_or_default();
        match (self.memory, self.cpu_millis) {
            (Some(all), _) if wanted_memory > all => Err(Never::Memory { wanted: wanted_memory, all }),
            (_, Some(all)) if wanted_cpu > all => Err(Never::Cpu { wanted: wanted_cpu, all }),
            (_, _) => Ok(Demand { memory: wanted_memory, cpu_millis: wanted_cpu }),
        }
    }

    /// What a run with these limits is held to besides: an equal share of what it has no limit of its own for.
    /// Nothing where all runs together are not bounded.
    pub fn share(&self, memory: Option<Bytes>, cpu_millis: Option<u32>) -> Limits {
        let runs = self.runs.get();
        // Nothing can be held to none at all.
        let of_memory = |all: Bytes| Bytes((all.0 / u64::from(runs)).max(1));
        Limits {
            memory: self.memory.filter(|_| memory.is_none()).map(of_memory),
            cpu_millis: self.cpu_millis.filter(|_| cpu_millis.is_none()).map(|all| (all / runs).max(1)),
            ..Limits::default()
        }
    }

    /// Whether one more fits beside those that run.
    fn has_room(&self, running: &[Demand], wanted: Demand) -> bool {
        let memory = running.iter().fold(wanted.memory.0, |sum, one| sum.saturating_add(one.memory.0));
        let cpu = running.iter().fold(wanted.cpu_millis, |sum, one| sum.saturating_add(one.cpu_millis));
        running.len() < self.runs.get() as usize
            && self.memory.is_none_or(|all| memory <= all.0)
            && self.cpu_millis.is_none_or(|all| cpu <= all)
    }
}

/// A place in the line: a higher priority stands before a lower one, then who came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// `--priority`; the higher goes first.
    pub priority: i32,
    /// Drawn when it joined; no two are equal.
    pub number: u64,
}

impl Ord for Place {
    /// Less is earlier.
    fn cmp(&self, other: &Self) -> Ordering {
        other.priority.cmp(&self.priority).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a run that wants to start has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start.
    Start,
    /// Wait until this one, the next before it in the line, has left the line, and ask again.
    Behind(Place),
    /// It is the first in the line: wait until any of those that run has ended, and ask again.
    First,
}

/// Decides for the run at `own`. `line` are the places of those that wait (its own may be among them),
/// `running` is what those that run are counted with.
///
/// The line is kept strictly: nobody overtakes a large run that waits for room, so that it starts some day. And
/// it is enough to ask again when what is waited for has happened: while all of `running` still run there is no
/// less of it, and whoever joins later only comes in front.
pub fn decide(
    own: Place,
    wanted: Demand,
    line: &[Place],
    running: &[Demand],
    capacity: &Capacity,
) -> Decision {
    match line.iter().filter(|other| **other < own).max() {
        Some(before) => Decision::Behind(*before),
        // With nothing running there is nothing to wait for: whatever passed the check of its demand starts.
        None if running.is_empty() || capacity.has_room(running, wanted) => Decision::Start,
        None => Decision::First,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(priority: i32, number: u64) -> Place {
        Place { priority, number }
    }

    fn demand(memory: u64, cpu_millis: u32) -> Demand {
        Demand { memory: Bytes(memory), cpu_millis }
    }

    fn capacity(runs: u32, memory: Option<u64>, cpu_millis: Option<u32>) -> Capacity {
        Capacity { runs: NonZeroU32::new(runs).unwrap(), memory: memory.map(Bytes), cpu_millis }
    }

    #[track_caller]
    fn check(own: Place, line: &[Place], running: usize, expected: Decision) {
        let running = vec![Demand::default(); running];
        let two = capacity(2, None, None);
        assert_eq!(decide(own, Demand::default(), line, &running, &two), expected);
    }

    #[test]
    fn who_came_first_goes_first() {
        check(place(0, 1), &[], 0, Decision::Start);
        check(place(0, 1), &[], 1, Decision::Start);
        check(place(0, 1), &[], 2, Decision::First);
        check(place(0, 1), &[place(0, 1), place(0, 2)], 2, Decision::First);
        check(place(0, 2), &[place(0, 1), place(0, 2)], 2, Decision::Behind(place(0, 1)));
        check(place(0, 3), &[place(0, 1), place(0, 2)], 2, Decision::Behind(place(0, 2)));
        // A free slot belongs to the first, not to whoever asks.
        check(place(0, 2), &[place(0, 1)], 1, Decision::Behind(place(0, 1)));
    }

    #[test]
    fn a_higher_priority_goes_before() {
        check(place(5, 9), &[place(0, 1), place(-5, 2)], 2, Decision::First);
        check(place(5, 9), &[place(0, 1), place(5, 3)], 2, Decision::Behind(place(5, 3)));
        check(place(0, 1), &[place(0, 1), place(5, 3)], 1, Decision::Behind(place(5, 3)));
        check(place(-5, 2), &[place(0, 1), place(5, 3)], 1, Decision::Behind(place(0, 1)));
    }

    #[track_caller]
    fn check_room(capacity: Capacity, running: &[Demand], wanted: Demand, starts: bool) {
        let decision = decide(place(0, 9), wanted, &[], running, &capacity);
        assert_eq!(decision == Decision::Start, starts, "{decision:?}");
    }

    #[test]
    fn the_sum_of_what_runs_stays_within_the_capacity() {
        let bounded = capacity(9, Some(100), Some(1000));
        check_room(bounded, &[demand(60, 0)], demand(40, 0), true);
        check_room(bounded, &[demand(60, 0)], demand(41, 0), false);
        check_room(bounded, &[demand(0, 600)], demand(0, 400), true);
        check_room(bounded, &[demand(0, 600), demand(0, 300)], demand(0, 101), false);
        check_room(bounded, &[demand(u64::MAX, 0)], demand(u64::MAX, 0), false);
        // More than there is can only be what a smaller configuration left: it is not stuck for ever.
        check_room(bounded, &[], demand(101, 0), true);
    }

    #[test]
    fn a_run_without_limits_counts_with_its_share() {
        let bounded = capacity(4, Some(100), Some(1000));
        assert_eq!(bounded.demand(None, None), Ok(demand(25, 250)));
        assert_eq!(bounded.demand(Some(Bytes(60)), None), Ok(demand(60, 250)));
        assert_eq!(capacity(4, None, None).demand(Some(Bytes(7)), None), Ok(demand(7, 0)));
        // So many runs that none of it is left for one: still not no limit at all.
        assert_eq!(capacity(9, Some(8), Some(8)).demand(None, None), Ok(demand(1, 1)));
    }

    #[test]
    fn a_run_is_held_to_its_share_where_it_has_no_limit_of_its_own() {
        let share = |memory, cpu_millis| Limits { memory, cpu_millis, ..Limits::default() };
        let bounded = capacity(4, Some(100), Some(1000));
        assert_eq!(bounded.share(None, None), share(Some(Bytes(25)), Some(250)));
        assert_eq!(bounded.share(Some(Bytes(60)), None), share(None, Some(250)));
        assert_eq!(bounded.share(Some(Bytes(60)), Some(5)), Limits::default());
        assert_eq!(capacity(4, None, None).share(None, None), Limits::default());
    }

    #[test]
    fn what_can_never_fit_is_known() {
        let bounded = capacity(4, Some(100), Some(1000));
        let memory = Never::Memory { wanted: Bytes(101), all: Bytes(100) };
        assert_eq!(bounded.demand(Some(Bytes(101)), None), Err(memory));
        assert_eq!(bounded.demand(None, Some(1001)), Err(Never::Cpu { wanted: 1001, all: 1000 }));
        assert!(bounded.demand(Some(Bytes(100)), Some(1000)).is_ok());
    }

    /// Everybody asks again only when what he waits for has happened: all the same everybody starts, in the order
    /// of the line, and never too many at once.
    #[test]
    fn nobody_is_forgotten() {
        let bounded = capacity(3, Some(100), None);
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut line: Vec<(Place, Demand, Decision)> = Vec::new();
            let mut running: Vec<(Place, Demand)> = Vec::new();
            for number in 0..30 {
                let own = place(i32::try_from(random(3)).unwrap(), number);
                line.push((own, demand(random(100), 0), Decision::Start));
                ask(&mut line, &mut running, &bounded, |waits| *waits == Decision::Start);
                if random(2) == 0 {
                    end_one(&mut line, &mut running, &bounded, random(3));
                }
            }
            while !running.is_empty() {
                end_one(&mut line, &mut running, &bounded, random(3));
            }
            assert!(line.is_empty(), "{line:?} wait for nothing");
        }
    }

    fn end_one(
        line: &mut Vec<(Place, Demand, Decision)>,
        running: &mut Vec<(Place, Demand)>,
        capacity: &Capacity,
        which: u64,
    ) {
        if running.is_empty() {
            return;
        }
        running.swap_remove(usize::try_from(which).unwrap() % running.len());
        ask(line, running, capacity, |waits| *waits == Decision::First);
    }

    /// Those that are woken ask; each one that starts wakes who waits behind it.
    fn ask(
        line: &mut Vec<(Place, Demand, Decision)>,
        running: &mut Vec<(Place, Demand)>,
        capacity: &Capacity,
        wakes: impl Fn(&Decision) -> bool,
    ) {
        let mut woken: Vec<Place> =
            line.iter().filter(|(_, _, waits)| wakes(waits)).map(|(place, ..)| *place).collect();
        while let Some(own) = woken.pop() {
            let places: Vec<_> = line.iter().map(|(place, ..)| *place).collect();
            let used: Vec<_> = running.iter().map(|(_, demand)| *demand).collect();
            let Some(index) = places.iter().position(|place| *place == own) else { continue };
            let decision = decide(own, line[index].1, &places, &used, capacity);
            line[index].2 = decision;
            if decision == Decision::Start {
                let (_, wanted, _) = line.swap_remove(index);
                assert!(line.iter().all(|(other, ..)| own < *other), "{own:?} has overtaken somebody");
                running.push((own, wanted));
                assert!(
                    running.len() <= 3 && running.iter().map(|(_, one)| one.memory.0).sum::<u64>() <= 100
                );
                woken.extend(
                    line.iter()
                        .filter(|(.., waits)| *waits == Decision::Behind(own))
                        .map(|(place, ..)| *place),
                );
            }
        }
    }
}
