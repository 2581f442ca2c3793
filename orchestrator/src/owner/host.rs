//! The host of a run's processes: base and tree of cgroups, the launcher, what it found.

use std::{
    fs::File,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ipc::message::Capabilities;
use schemas::{
    exit_code::ExitCode,
    view::{Enforcer, Isolation, Limit},
};
use tokio::task::JoinHandle;
use workflow_engine::plan::{Enforcement, Limits, Network, Profile, Sandbox, Step};

use super::{Order, hidden};
use crate::{
    attempt::{self, Host},
    cgroup::{self, Leaf, Tree},
    errors::{CommandError, Result, in_one_line},
    launcher::{self, Again, Setup},
    store::{
        home::{Home, RunDir},
        names::RunId,
    },
};

/// How long the launcher may take to end.
const LAUNCHER_GOES: Duration = Duration::from_secs(2);

/// Opens the host: what dead engines left is swept, a tree is made, the launcher started and asked.
pub(super) fn open(order: &Order, dir: &RunDir) -> Result<(Host, JoinHandle<()>)> {
    let (base, misses) = cgroup::find(order.driving.cgroup_base.as_deref(), &dir.id().to_string())
        .map_err(|error| CommandError::from_error(ExitCode::Isolation, &error))?;
    let mut notes: Vec<_> = misses.iter().map(|miss| in_one_line(miss)).collect();
    let tree = base.as_ref().and_then(|base| {
        cgroup::sweep(base);
        notes.extend(base.notes.iter().cloned());
        match Tree::create(base, &boot_id(), &nonce(dir.id())) {
            Ok(tree) => Some(tree),
            Err(error) => {
                notes.push(format!("no cgroup of its own for this engine: {error}"));
                None
            }
        }
    });
    let share = share(order);
    let plan = match attempt::of_share(&share) {
        Some(note) => {
            notes.push(note);
            Arc::new(order.plan.within(&share))
        }
        None => Arc::clone(&order.plan),
    };
    if let Some(tree) = &tree {
        tree.set_limits(&attempt::of_run(&plan, dir.path(), 0))
            .map_err(|error| CommandError::from_error(ExitCode::Isolation, &error))?;
    }
    notes.extend(attempt::not_held_together(&plan, tree.as_ref().map(Tree::controllers).unwrap_or_default()));
    let probe = tree.as_ref().and_then(|tree| tree.leaf("probe").ok());
    let launcher_error = |error: launcher::Error| CommandError::from_error(ExitCode::Engine, &error);
    let probe_path = probe.as_ref().map(|probe| probe.path().to_owned());
    let setup = setup(order, dir, probe_path);
    let starting = launcher::start(&setup).map_err(launcher_error)?;
    let again = again(setup, tree.as_ref().map(Tree::path));
    let (launcher, ready, line) = starting.ready(Some(again)).map_err(launcher_error)?;
    if let Some(probe) = probe {
        // One that is still busy goes with the tree.
        let _busy = probe.remove();
    }
    notes.extend(ready.notes.iter().cloned());
    if ready.namespaces {
        notes.push(
            "built-in skills that touch no file run code of q itself, in namespaces but for that of mounts"
                .to_owned(),
        );
    }
    if !ready.seccomp {
        notes.push("system calls are not filtered: the kernel takes no filters".to_owned());
    }
    let null = File::options().read(true).open("/dev/null");
    let null = null.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    let host = Host::new(
        launcher,
        &ready,
        !nix::unistd::geteuid().is_root(),
        tree,
        notes,
        dir.clone(),
        plan,
        Path::new(&order.created.base).to_owned(),
        order.folder(),
        null.into(),
        Rc::clone(&order.secrets),
    );
    Ok((host, line))
}

/// To what the run is held besides its own limits, so that all runs together stay within what the home has.
fn share(order: &Order) -> Limits {
    let own = &order.plan.limits;
    order.driving.config.capacity.share(own.memory, own.cpu_millis)
}

/// How a launcher that died is started again: with a fresh leaf to try births in.
fn again(setup: Setup, tree: Option<&Path>) -> Again {
    let probe = tree.map(|tree| tree.join("probe-again"));
    Box::new(move || {
        // Without it births are not tried in a leaf, and every birth into one will be refused.
        let probe = probe.and_then(|path| Leaf::create(path).ok());
        let path = probe.as_ref().map(|probe| probe.path().to_owned());
        launcher::start(&Setup { probe: path, ..setup })
    })
}

/// What this host gives to the first step; others that get less say so.
pub(super) fn isolation(host: &Host) -> Isolation {
    attempt::isolation(host, &host.usual)
}

/// What the launcher must know of the plan.
fn setup(order: &Order, dir: &RunDir, probe: Option<PathBuf>) -> Setup {
    let mut sandboxes =
        order.plan.steps.iter().filter_map(|step| step.kind.skill()).map(|call| &*call.sandbox);
    let any = |fits: fn(&Sandbox) -> bool| sandboxes.clone().any(fits);
    let bare = any(|sandbox| sandbox.profile == Profile::None);
    let home = dir.path().ancestors().nth(2).map(Path::to_owned).unwrap_or_default();
    Setup {
        probe,
        // The most that a step of the plan keeps of the engine's.
        capabilities: if bare { Capabilities::Kept } else { Capabilities::Standard },
        filtered: !bare,
        strict: sandboxes
            .any(|sandbox| sandbox.profile == Profile::Strict || sandbox.network != Network::Host),
        hidden: hidden::hidden(&home, |name| std::env::var_os(name)),
    }
}

/// What this host would give to a run.
#[derive(Debug)]
pub struct Survey {
    /// To a step with the default sandbox.
    pub isolation: Isolation,
    /// The limits of each step of the plan, by index.
    pub limits: Vec<Vec<Limit>>,
    /// Parts of its sandbox that each step must have and that are missing here.
    missing: Vec<Vec<String>>,
}

/// Looks at what this host would enforce; starts no step and writes nothing.
pub fn survey(order: &Order) -> Result<Survey> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::from_error(ExitCode::Engine, &error))?;
    let nowhere = Home::at(PathBuf::new()).run(RunId::generate());
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (host, launcher) = open(order, &nowhere)?;
        let limits = host.plan.steps.iter().map(|step| attempt::limits_of(&host, step)).collect();
        let missing = |step: &Step| {
            step.kind.skill().map_or_else(Vec::new, |call| attempt::missing_parts(&host, &call.sandbox))
        };
        let missing = order.plan.steps.iter().map(missing).collect();
        let survey = Survey { isolation: isolation(&host), limits, missing };
        close(Rc::new(host), launcher).await;
        Ok(survey)
    })
}

/// Refuses a run that requires limits or parts of a sandbox which this host cannot hold; nothing of it exists yet.
pub fn refuse_unheld(order: &Order) -> Result<()> {
    // The limits of the whole run are in those of each step.
    let requires =
        |step: &Step| step.kind.skill().is_some_and(|call| call.limits.enforcement == Enforcement::Required);
    let may_lack = |step: &Step| step.kind.skill().is_some_and(|call| may_be_refused(&call.sandbox));
    if !order.plan.steps.iter().any(|step| requires(step) || may_lack(step)) {
        return Ok(());
    }
    let survey = survey(order)?;
    let mut unheld = Vec::new();
    for (step, missing) in order.plan.steps.iter().zip(&survey.missing) {
        unheld.extend(missing.iter().map(|part| format!("{part} for step `{}`", step.name)));
    }
    for (step, limits) in order.plan.steps.iter().zip(&survey.limits).filter(|(step, _)| requires(step)) {
        let Some(call) = step.kind.skill() else { continue };
        // The default on processes was not asked for, nor is the share of what the home has.
        let asked = |limit: &&Limit| match &*limit.name {
            "pids" => call.limits.pids.is_some(),
            "memory" => call.limits.memory.is_some(),
            "cpu" => call.limits.cpu_millis.is_some(),
            _any_other => true,
        };
        // What q looks at now and then is held by no kernel.
        let unmet = |limit: &&Limit| !limit.held || limit.by == Enforcer::Monitor;
        for limit in limits.iter().filter(asked).filter(unmet) {
            unheld.push(format!("{} of step `{}`", limit.name, step.name));
        }
    }
    if unheld.is_empty() {
        return Ok(());
    }
    let message = format!("isolation is required that this host cannot hold: {}", unheld.join(", "));
    Err(CommandError::new(ExitCode::Isolation, message).hint(
        "`q workflow doctor` shows what is missing and how to mend it; `best_effort` runs without them",
    ))
}

/// Whether a part that is missing may refuse the run.
fn may_be_refused(sandbox: &Sandbox) -> bool {
    sandbox.profile == Profile::Strict
        || sandbox.enforcement == Enforcement::Required
        || sandbox.user.is_some()
}

/// Lets the launcher go and removes the tree. Every attempt has ended and dropped its share of the host.
pub(super) async fn close(host: Rc<Host>, launcher: JoinHandle<()>) {
    let Ok(host) = Rc::try_unwrap(host) else { return };
    let tree = host.close();
    // It ends when its socket closes; one that does not is no reason to wait for ever.
    let _bounded = tokio::time::timeout(LAUNCHER_GOES, launcher).await;
    if let Some(tree) = tree {
        tree.remove();
    }
}

/// The first part of the kernel's boot id: trees of an earlier boot are gone with it.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().take(8).collect()
}

/// The random part of the run's id (RFC 9562: the last 62 bits).
pub(super) fn nonce(id: RunId) -> String {
    let id = id.to_string();
    id.chars().skip(id.len().saturating_sub(8)).collect()
}
