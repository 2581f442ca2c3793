//! The process of an attempt before it has its task: made when it is needed or, while another attempt runs, ahead of
//! the one that comes next. One made ahead serves one attempt of this run, whose sandbox and limits are exactly its
//! own; what fits nobody goes unused.

use std::{cell::RefCell, collections::HashSet, os::unix::net::UnixStream, rc::Rc};

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

/// The process that was made ahead, and what is known of those that will be needed.
#[derive(Debug, Default)]
pub(super) struct Ahead(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    ready: Option<(Kit, Worker)>,
    /// What a step of each kind took last.
    kits: Vec<(StepId, Kit)>,
    /// Steps that took something else than their kind does.
    odd: HashSet<StepId>,
    /// The step that began last.
    last: Option<StepId>,
    /// Which step began after which, where it is not the next of the text.
    follows: Vec<(StepId, StepId)>,
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

/// Makes a process for the attempt that is likely next, once there is nothing more urgent. What cannot be made ahead
/// is made when it is needed, and its failure told there.
pub(super) fn make_ahead(host: &Rc<Host>) {
    let mut state = host.ahead.0.borrow_mut();
    let Some(kit) = state.expected(host) else { return };
    if state.ready.as_ref().is_some_and(|(ready, _)| *ready == kit) {
        return;
    }
    let old = state.ready.take();
    drop(state);
    discard(old);
    if let Ok(worker) = make(host, kit.clone()) {
        host.ahead.0.borrow_mut().ready = Some((kit, worker));
    }
}

fn make(host: &Host, kit: Kit) -> Result<Worker, Refused> {
    let leaf = spare::leaf(host, kit.limits)?;
    let sockets = UnixStream::pair();
    let (control, theirs) =
        sockets.map_err(|error| Refused::setup("pipes", "the control socket could not be made", &error))?;
    let birth = Birth {
        ticket: host.ticket(),
        leaf: leaf.as_ref().map(|leaf| leaf.path().to_string_lossy().into_owned()),
        sandbox: kit.sandbox,
    };
    let births = host.launcher.birth(birth, theirs.into());
    Ok(Worker { leaf, control, births })
}

/// Lets a process go that fits nobody.
fn discard(old: Option<(Kit, Worker)>) {
    if let Some((_, Worker { leaf, control, births })) = old {
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
            self.follows.retain(|(before, _)| *before != last);
            self.follows.push((last, step));
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
        let (_, worker) = self.ready.take_if(|(kit, _)| kit == wanted)?;
        Some(worker)
    }

    /// What the step takes that is likely next; `None`: nobody knows.
    fn expected(&self, host: &Host) -> Option<Kit> {
        let last = self.last?;
        let learned = self.follows.iter().find(|(before, _)| *before == last).map(|(_, after)| *after);
        let next = learned.or_else(|| next_of_text(host, last)).filter(|next| !self.odd.contains(next))?;
        let steps = &host.plan.steps;
        let call = steps[next.index()].kind.skill()?;
        let kit = self
            .kits
            .iter()
            .find(|(other, _)| steps[other.index()].kind.skill().is_some_and(|other| alike(other, call)));
        kit.map(|(_, kit)| kit.clone())
    }
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
