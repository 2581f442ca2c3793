//! The process of an attempt before it has its task: made when it is needed or, while another attempt runs, ahead of
//! the one that comes next. One made ahead serves one attempt of this run, whose sandbox and limits are exactly its
//! own; what fits nobody goes unused.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    fs,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    time::SystemTime,
};

use ipc::message::{Birth, Sandbox};
use tokio::sync::mpsc;
use workflow_engine::plan::{Needs, SkillCall, SkillTarget, StepId};

use super::{ending, host::Host, prepare::Refused, spare};
use crate::{
    cgroup::{Leaf, Limits},
    launcher::News,
};

/// Kinds of steps whose needs are remembered: a plan has few.
const KITS: usize = 8;

/// A process that waits for its task.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) leaf: Option<Leaf>,
    /// Our end of its control socket; when it closes, the process goes.
    pub(super) control: UnixStream,
    pub(super) births: mpsc::UnboundedReceiver<News>,
}

/// What distinguishes one process from another before it has its task.
#[derive(Debug, Clone, PartialEq)]
struct Kit {
    sandbox: Sandbox,
    limits: Limits,
}

/// Which file a path leads to: another one may come to lie there while a process waits that shows the old one.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Numbers of inodes are used again.
    born: SystemTime,
}

/// A process that was made ahead.
#[derive(Debug)]
struct Ready {
    kit: Kit,
    /// What its paths led to before it was made; absent where the file system does not tell.
    shown: Option<Vec<Identity>>,
    worker: Worker,
}

/// The process that was made ahead, and what is known of those that will be needed.
#[derive(Debug, Default)]
pub(super) struct Ahead(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    ready: Option<Ready>,
    /// What a step of each kind took last.
    kits: Vec<(StepId, Kit)>,
    /// Steps that took something else than their kind does.
    odd: HashSet<StepId>,
    /// The step that began last.
    last: Option<StepId>,
    /// Which step began after which, where it is not the next of the text.
    follows: HashMap<StepId, StepId>,
}

impl Ahead {
    /// Lets go of what nobody took.
    pub(super) fn discard(&self) {
        self.0.borrow_mut().ready = None;
    }
}

/// A process with this sandbox and these limits: the one that was made ahead, if it fits.
pub(super) fn take(host: &Host, step: StepId, sandbox: Sandbox, limits: Limits) -> Result<Worker, Refused> {
    let wanted = Kit { sandbox, limits };
    let ready = host.ahead.0.borrow_mut().take(host, step, &wanted);
    match ready {
        Some(worker) => Ok(worker),
        None => make(host, wanted),
    }
}

/// Makes a process for the attempt that is likely next. What cannot be made ahead is made when it is needed, and its
/// failure told there.
pub(super) fn make_ahead(host: &Host) {
    let mut state = host.ahead.0.borrow_mut();
    let Some(kit) = state.expected(host) else { return };
    if state.ready.as_ref().is_some_and(|ready| ready.kit == kit) {
        return;
    }
    let old = state.ready.take();
    drop(state);
    discard(old);
    let shown = identities(&kit.sandbox);
    if shown.is_some()
        && let Ok(worker) = make(host, kit.clone())
    {
        host.ahead.0.borrow_mut().ready = Some(Ready { kit, shown, worker });
    }
}

/// The step that is likely next.
pub(super) fn expected(host: &Host) -> Option<StepId> {
    host.ahead.0.borrow().next(host)
}

fn make(host: &Host, kit: Kit) -> Result<Worker, Refused> {
    let leaf = spare::leaf(host, &kit.limits, &kit.sandbox)?;
    let sockets = UnixStream::pair();
    let (control, theirs) =
        sockets.map_err(|error| Refused::setup("pipes", "the control socket could not be made", &error))?;
    let birth = Birth {
        ticket: host.ticket(),
        leaf: leaf.as_ref().map(|leaf| leaf.birthplace().to_string_lossy().into_owned()),
        sandbox: kit.sandbox,
    };
    let births = host.launcher.birth(birth, theirs.into());
    Ok(Worker { leaf, control, births })
}

/// Lets a process go that fits nobody.
fn discard(old: Option<Ready>) {
    if let Some(Ready { worker: Worker { leaf, control, births }, .. }) = old {
        drop(control);
        if let Some(leaf) = leaf {
            ending::remove(leaf, Some(births));
        }
    }
}

impl State {
    fn take(&mut self, host: &Host, step: StepId, wanted: &Kit) -> Option<Worker> {
        let steps = &host.plan.steps;
        if let Some(last) = self.last.replace(step)
            && next_of_text(host, last) != Some(step)
        {
            self.follows.insert(last, step);
        }
        let call = steps[step.index()].kind.skill()?;
        shape(call)?;
        let alike = |other: StepId| steps[other.index()].kind.skill().is_some_and(|other| alike(other, call));
        match self.kits.iter_mut().find(|(other, _)| alike(*other)) {
            Some((_, kit)) if kit == wanted => {}
            Some((_, kit)) => {
                self.odd.insert(step);
                kit.clone_from(wanted);
            }
            None => {
                self.kits.truncate(KITS - 1);
                self.kits.insert(0, (step, wanted.clone()));
            }
        }
        let fits = |ready: &mut Ready| ready.kit == *wanted && ready.shown == identities(&wanted.sandbox);
        self.ready.take_if(fits).map(|ready| ready.worker)
    }

    fn next(&self, host: &Host) -> Option<StepId> {
        let last = self.last?;
        self.follows.get(&last).copied().or_else(|| next_of_text(host, last))
    }

    /// What the step takes that is likely next; `None`: nobody knows, or what it will see may change until then.
    fn expected(&self, host: &Host) -> Option<Kit> {
        let next = self.next(host).filter(|next| !self.odd.contains(next))?;
        let steps = &host.plan.steps;
        let call = steps[next.index()].kind.skill()?;
        let kit = self
            .kits
            .iter()
            .find(|(other, _)| steps[other.index()].kind.skill().is_some_and(|other| alike(other, call)));
        let kit = kit.map(|(_, kit)| kit.clone())?;
        (!kit.sandbox.mounts || !host.may_mount).then_some(kit)
    }
}

/// What the paths lead to that a process shows.
fn identities(sandbox: &Sandbox) -> Option<Vec<Identity>> {
    let root = sandbox.root.iter().flat_map(|root| root.read.iter().chain(&root.write));
    let identity = |path: &String| {
        let found = fs::metadata(path).ok()?;
        Some(Identity { device: found.dev(), inode: found.ino(), born: found.created().ok()? })
    };
    sandbox.keep_visible.iter().chain(root).map(identity).collect()
}

/// The next step of the file that starts a process.
fn next_of_text(host: &Host, step: StepId) -> Option<StepId> {
    let after = host.plan.steps.iter().enumerate().skip(step.index() + 1);
    let (index, _) = after.into_iter().find(|(_, step)| step.kind.skill().is_some())?;
    u32::try_from(index).ok().map(StepId)
}

/// Whether steps take the same process, as far as the plan tells.
fn alike(one: &SkillCall, other: &SkillCall) -> bool {
    shape(one) == shape(other) && one.sandbox == other.sandbox && one.limits == other.limits
}

/// Whether a skill touches anything, and its folder; `None`: each attempt takes something of its own.
fn shape(call: &SkillCall) -> Option<(bool, Option<&str>)> {
    match call.target.as_ref() {
        SkillTarget::Builtin { needs } => Some((*needs != Needs::Nothing, None)),
        SkillTarget::Program { .. } => Some((true, None)),
        SkillTarget::External(skill) => Some((true, Some(&skill.folder))),
        SkillTarget::Agent(_) => None,
    }
}
