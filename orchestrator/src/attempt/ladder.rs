//! The one kill ladder: SIGTERM and SIGCONT to every process of the attempt, the grace, then the kill of the
//! whole tree, then a bounded wait.

use std::time::Duration;

use schemas::view::StopReason;
use tokio::time::Instant;

use super::{Terminate, walk::Walk};
use crate::{cgroup::Leaf, signal::Process};

/// How long a killed tree may need. A process in uninterruptible sleep does not end before its device
/// answers; it must not block the run.
const UNKILLABLE: Duration = Duration::from_secs(10);

/// What the process that the launcher made for an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// Process 1 of a pid namespace, which is deaf to signals but SIGKILL and takes all with it when it ends.
    Init,
    /// The program, or the worker with a built-in skill.
    Leader,
}

/// Who gets SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Every process.
    All,
    /// The program.
    Leader,
    /// The worker alone, which passes it on in the way of its protocol.
    Worker,
}

/// By what the processes of an attempt are found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Members<'a> {
    /// The kernel lists those of a cgroup.
    Leaf(&'a Leaf),
    /// There is no cgroup.
    Walk(&'a Walk),
}

/// What lived when the leader had gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leftovers {
    /// How many were ended, as far as that is known.
    pub(super) killed: Option<u64>,
    /// Some of it did not end in time.
    pub(super) unkillable: bool,
}

impl Leftovers {
    /// There were none.
    pub(super) const NONE: Self = Self { killed: Some(0), unkillable: false };
    /// Nobody can tell.
    pub(super) const UNKNOWN: Self = Self { killed: None, unkillable: false };

    fn new(count: usize, unkillable: bool) -> Self {
        Self { killed: u64::try_from(count).ok(), unkillable }
    }
}

/// Where the end of an attempt stands.
#[derive(Debug)]
pub(super) struct Ladder {
    grace: Duration,
    told: Told,
    root: Root,
    ordered: Option<Terminate>,
    rung: Rung,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Ground,
    Terminated { kill_at: Instant },
    Killed { give_up_at: Instant },
    GaveUp,
}

impl Ladder {
    pub(super) fn new(grace: Duration, told: Told, root: Root) -> Self {
        Self { grace, told, root, ordered: None, rung: Rung::Ground }
    }

    /// Takes an order. The first reason stands; a later order can only hurry.
    pub(super) fn order(&mut self, order: Terminate) {
        let ordered = self.ordered.get_or_insert(order);
        ordered.now |= order.now;
    }

    /// Why the attempt is being ended.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.ordered.map(|order| order.reason)
    }

    /// When the next rung is due.
    pub(super) fn next(&self) -> Option<Instant> {
        match self.rung {
            Rung::Ground | Rung::GaveUp => None,
            Rung::Terminated { kill_at } => Some(kill_at),
            Rung::Killed { give_up_at } => Some(give_up_at),
        }
    }

    /// Whether the tree did not end although it was killed.
    pub(super) fn gave_up(&self) -> bool {
        self.rung == Rung::GaveUp
    }

    /// Climbs as far as it is time to.
    pub(super) fn climb(&mut self, process: &Process, members: Members<'_>) {
        self.climb_at(Instant::now(), process, members);
    }

    fn climb_at(&mut self, now: Instant, process: &Process, members: Members<'_>) {
        let Some(order) = self.ordered else { return };
        self.rung = match self.rung {
            Rung::Ground if order.now => self.kill(process, members, now),
            Rung::Ground => {
                self.terminate(process, members);
                Rung::Terminated { kill_at: now + self.grace }
            }
            Rung::Terminated { kill_at } if order.now || kill_at <= now => self.kill(process, members, now),
            Rung::Killed { give_up_at } if give_up_at <= now => Rung::GaveUp,
            rung @ (Rung::Terminated { .. } | Rung::Killed { .. } | Rung::GaveUp) => rung,
        };
    }

    /// The task has taken over. A SIGTERM of before met nobody but process 1 of a namespace, which is deaf to it, or a
    /// process that was about to start the program: it is said again, and the grace goes on as it was.
    pub(super) fn begun(&self, process: &Process, members: Members<'_>) {
        if matches!(self.rung, Rung::Terminated { .. }) {
            self.terminate(process, members);
        }
    }

    /// SIGTERM to those who are told. An error here means that a process is gone.
    fn terminate(&self, process: &Process, members: Members<'_>) {
        // The oldest are the namespace's init, if there is one, and the leader.
        let wanted = match (self.told, self.root) {
            (Told::All, _) => usize::MAX,
            (Told::Leader, Root::Init) => 2,
            (Told::Leader, Root::Leader) => 1,
            (Told::Worker, _) => 0,
        };
        let found = match members {
            Members::Leaf(leaf) => leaf_members(leaf, wanted),
            Members::Walk(walk) => walk.members(process),
        };
        for member in found.iter().take(wanted) {
            let _gone = member.terminate();
        }
        let _gone = process.terminate();
    }

    /// Kills the whole tree: by its leaf where there is one, and by its pidfd, which takes a pid namespace's
    /// init and with it everything inside; without either, one by one.
    fn kill(&self, process: &Process, members: Members<'_>, now: Instant) -> Rung {
        match (members, self.root) {
            (Members::Leaf(leaf), _) => {
                let _gone = leaf.kill();
            }
            (Members::Walk(walk), Root::Leader) => drop(walk.kill(process)),
            (Members::Walk(_), Root::Init) => {}
        }
        let _gone = process.kill();
        Rung::Killed { give_up_at: now + UNKILLABLE }
    }

    /// Ends what still lives after the leader has gone, and says how many that were.
    pub(super) async fn end_leftovers(&self, process: Option<&Process>, members: Members<'_>) -> Leftovers {
        match (members, self.root) {
            (Members::Leaf(leaf), _) => end_members(leaf).await,
            (Members::Walk(walk), Root::Leader) => {
                let Some(process) = process else { return Leftovers::UNKNOWN };
                let killed = walk.kill(process);
                let ended = async {
                    for member in &killed {
                        // One whose end cannot be waited for is not waited for.
                        let _ended = member.ended().await;
                    }
                };
                let bounded = tokio::time::timeout(UNKILLABLE, ended).await;
                Leftovers::new(killed.len(), bounded.is_err())
            }
            // The end of its init is the end of a namespace; the init has counted.
            (Members::Walk(_), Root::Init) => Leftovers::UNKNOWN,
        }
    }
}

/// The first processes of a leaf.
fn leaf_members(leaf: &Leaf, wanted: usize) -> Vec<Process> {
    let listed = || leaf.processes().unwrap_or_default();
    let members: Vec<_> =
        listed().into_iter().take(wanted).filter_map(|pid| Some((pid, Process::open(pid).ok()?))).collect();
    // A number that is listed still belongs to the leaf, so that no stranger was opened in between.
    let still_there = listed();
    members.into_iter().filter(|(pid, _)| still_there.contains(pid)).map(|(_, member)| member).collect()
}

async fn end_members(leaf: &Leaf) -> Leftovers {
    match leaf.is_populated() {
        Ok(true) => {}
        Ok(false) => return Leftovers::NONE,
        Err(_) => return Leftovers::UNKNOWN,
    }
    let count = leaf.processes().map_or(0, |processes| processes.len());
    let _gone = leaf.kill();
    // What does not end in time stays in its leaf; the next sweep finds it.
    let bounded = tokio::time::timeout(UNKILLABLE, leaf.emptied()).await;
    Leftovers::new(count, bounded.is_err())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, Command, Stdio},
    };

    use schemas::journal::AttemptId;

    use super::*;
    use crate::store::names::RunId;

    /// Longest wait for the end of a process that was sent its last signal.
    const SOON: Duration = Duration::from_secs(20);
    /// A child, one with a session of its own, and one whose parent is gone and that only its environment
    /// tells; the number of each is said.
    const THREE: &str = "sleep 600 & echo $!; setsid sleep 600 & echo $!; \
                         setsid sh -c 'sleep 600 & echo $!'; echo ready; ";

    /// A tree of processes without cgroup and namespace.
    struct Tree {
        child: Child,
        process: Process,
        walk: Walk,
        /// Those that the script named.
        others: Vec<Process>,
    }

    impl Tree {
        /// Runs a shell script as an attempt is run, until it says `ready`.
        fn start(script: &str) -> Self {
            let run = RunId::generate();
            let mut child = Command::new("setsid")
                .args(["sh", "-c", script])
                .envs([("WORKFLOW_RUN_ID", run.to_string().as_str()), ("WORKFLOW_STEP_ID", "a")])
                .env("WORKFLOW_ATTEMPT", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            let process = Process::open(pid).unwrap();
            let walk = Walk::new(pid, run, &AttemptId { step: "a".to_owned(), turn: Vec::new(), attempt: 1 });
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let named: Vec<_> = lines.take_while(|line| line != "ready").collect();
            let others = named.iter().map(|pid| Process::open(pid.parse().unwrap()).unwrap()).collect();
            Self { child, process, walk, others }
        }

        fn ladder(told: Told, order: Terminate) -> Ladder {
            let mut ladder = Ladder::new(Duration::ZERO, told, Root::Leader);
            ladder.order(order);
            ladder
        }

        fn climb(&self, ladder: &mut Ladder) {
            ladder.climb(&self.process, Members::Walk(&self.walk));
        }

        async fn end_leftovers(&self) -> Leftovers {
            let ladder = Ladder::new(Duration::ZERO, Told::All, Root::Leader);
            ladder.end_leftovers(Some(&self.process), Members::Walk(&self.walk)).await
        }

        async fn all_end(&self) {
            for process in self.others.iter().chain([&self.process]) {
                tokio::time::timeout(SOON, process.ended()).await.expect("it was ended").unwrap();
            }
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            // A failed test leaves nothing behind either.
            drop(self.walk.kill(&self.process));
            let _ended = self.child.kill();
            let _reaped = self.child.wait();
        }
    }

    fn order(now: bool) -> Terminate {
        Terminate { reason: StopReason::Stop, now }
    }

    #[tokio::test]
    async fn the_whole_tree_is_killed_without_a_cgroup() {
        let tree = Tree::start(&format!("trap '' TERM; {THREE} wait"));
        assert_eq!(tree.others.len(), 3);
        let mut ladder = Tree::ladder(Told::All, order(true));
        tree.climb(&mut ladder);
        tree.all_end().await;
        assert_eq!(tree.end_leftovers().await, Leftovers::NONE);
    }

    #[tokio::test]
    async fn the_whole_tree_is_asked_to_end_without_a_cgroup() {
        let tree = Tree::start(&format!("{THREE} kill -STOP $$"));
        let mut ladder = Tree::ladder(Told::All, order(false));
        tree.climb(&mut ladder);
        tree.all_end().await;
        assert!(matches!(ladder.rung, Rung::Terminated { .. }), "{ladder:?}");
    }

    #[tokio::test]
    async fn only_the_leader_is_asked_if_only_the_leader_shall_be() {
        let mut tree = Tree::start(&format!("{THREE} exec sleep 600"));
        let mut ladder = Tree::ladder(Told::Leader, order(false));
        tree.climb(&mut ladder);
        tokio::time::timeout(SOON, tree.process.ended()).await.expect("it was asked").unwrap();
        assert!(!tree.others.iter().any(Process::has_ended), "the others were not");
        let _status = tree.child.wait().unwrap();
        assert_eq!(tree.end_leftovers().await, Leftovers::new(3, false));
    }

    #[tokio::test]
    async fn what_a_leader_leaves_is_ended_and_counted_without_a_cgroup() {
        let mut tree = Tree::start(THREE);
        // Reaped: nothing but its number is left of it.
        let _status = tree.child.wait().unwrap();
        assert_eq!(tree.end_leftovers().await, Leftovers::new(3, false));
        tree.all_end().await;
        assert_eq!(tree.end_leftovers().await, Leftovers::NONE);
    }

    /// Stands for one that hangs in the kernel: the ladder hears of no end, whatever it sends.
    #[tokio::test]
    async fn a_tree_that_does_not_end_is_given_up() {
        let tree = Tree::start("echo ready; exec sleep 600");
        let mut ladder = Ladder::new(Duration::from_secs(5), Told::All, Root::Leader);
        ladder.order(order(false));
        let began = Instant::now();
        for (after, gave_up) in [(0, false), (5, false), (14, false), (15, true), (60, true)] {
            let now = began + Duration::from_secs(after);
            ladder.climb_at(now, &tree.process, Members::Walk(&tree.walk));
            assert_eq!(ladder.gave_up(), gave_up, "after {after} s: {ladder:?}");
        }
        assert_eq!(ladder.next(), None, "nothing more is tried");
        assert_eq!(ladder.reason(), Some(StopReason::Stop));
    }

    #[tokio::test]
    async fn a_tree_that_still_forks_is_killed() {
        let fork = "i=0; while [ $i -lt 500 ]; do setsid sleep 600 & i=$((i+1)); done; wait";
        let mut tree = Tree::start(&format!("sh -c '{fork}' & sh -c '{fork}' & echo ready; exec sleep 600"));
        let mut ladder = Tree::ladder(Told::All, order(true));
        tree.climb(&mut ladder);
        let _status = tree.child.wait().unwrap();
        tree.end_leftovers().await;
        assert_eq!(tree.end_leftovers().await, Leftovers::NONE);
    }
}
