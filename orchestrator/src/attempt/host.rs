//! What all attempts of a run share: the launcher, the tree, the run's directory, the environment that
//! passes through, and what this host can enforce.

use std::{
    cell::{Cell, OnceCell},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use schemas::view::{Enforcer, FilesystemBy, Isolation, KillBy, NetworkBy};
use workflow_engine::plan::{Plan, Profile, Sandbox, SkillCall};

use super::{limits, spare::Spares, worker::Ahead};
use crate::{
    cgroup::{self, Controllers, Tree},
    launcher::{Launcher, Ready},
    secrets::Secrets,
    store::home::RunDir,
};

/// Variables of the engine's environment that a step sees, besides `LC_*`.
const PASSED: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TZ"];
/// `PATH` where the engine has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all attempts of a run share.
#[derive(Debug)]
pub struct Host {
    /// Makes processes.
    pub launcher: Launcher,
    /// Whether steps get namespaces.
    pub namespaces: bool,
    /// Whether they can have a network of their own, where the plan asks for one.
    pub network: bool,
    /// Whether all that the profile `strict` takes is there, where the plan asks for it.
    pub strict: bool,
    /// Whether their system calls are filtered.
    pub seccomp: bool,
    /// Whether that needs a user namespace.
    pub rootless: bool,
    /// Whether the kernel counts the processes of a user in each user namespace by itself, and steps have one.
    pub counts_users: bool,
    /// Holds the leaves; `None` where no v2 tree is usable.
    pub tree: Option<Tree>,
    /// What the host lacks, for the run's record.
    pub notes: Vec<String>,
    /// Where the run lives.
    pub run: RunDir,
    /// What it follows, held to the run's share of what all runs of the home have together.
    pub plan: Arc<Plan>,
    /// Where relative paths start.
    pub base: PathBuf,
    /// The folder of the definition's file.
    pub definition_folder: PathBuf,
    /// The sandbox of the run's first step: what most have.
    pub usual: Arc<Sandbox>,
    /// `/dev/null`, for a program that reads nothing.
    pub null: OwnedFd,
    /// Environment that every step gets.
    environment: Vec<(String, String)>,
    /// The engine's own environment, for names that a skill asks for.
    whole_environment: Vec<(String, String)>,
    /// The secrets of the run.
    pub(super) secrets: Rc<Secrets>,
    /// Whether a step without a sandbox may mount something while the run goes on.
    pub(super) may_mount: bool,
    real_base: OnceCell<PathBuf>,
    tickets: Cell<u64>,
    /// How many attempts there are now.
    attempts: Cell<u64>,
    pub(super) spares: Spares,
    pub(super) ahead: Ahead,
}

impl Host {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "each part comes from another place, once")]
    pub fn new(
        launcher: Launcher,
        ready: &Ready,
        rootless: bool,
        tree: Option<Tree>,
        notes: Vec<String>,
        run: RunDir,
        plan: Arc<Plan>,
        base: PathBuf,
        definition_folder: PathBuf,
        null: OwnedFd,
        secrets: Rc<Secrets>,
    ) -> Self {
        // A variable that is not text cannot travel in a frame; it is not passed.
        let whole_environment: Vec<(String, String)> = secrets
            .environment()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let may_mount = calls(&plan).any(|call| call.sandbox.profile == Profile::None);
        Self {
            launcher,
            namespaces: ready.namespaces,
            network: ready.network,
            strict: ready.strict,
            seccomp: ready.seccomp,
            usual: usual(&plan),
            may_mount,
            definition_folder,
            rootless,
            counts_users: nix::sys::utsname::uname()
                .is_ok_and(|name| counts_users(&name.release().to_string_lossy())),
            tree,
            notes,
            environment: passed(&whole_environment, &run),
            run,
            plan,
            base,
            null,
            whole_environment,
            secrets,
            real_base: OnceCell::new(),
            tickets: Cell::new(0),
            attempts: Cell::new(0),
            spares: Spares::default(),
            ahead: Ahead::default(),
        }
    }

    /// Gives the launcher up; the tree is left, if there is one.
    pub fn close(self) -> Option<Tree> {
        self.ahead.discard();
        self.spares.discard();
        self.tree
    }

    /// A number that no other birth of this engine has.
    pub(super) fn ticket(&self) -> u64 {
        self.tickets.replace(self.tickets.get() + 1)
    }

    /// One attempt more: the init of each comes on top of the run's limit on processes.
    pub(super) fn enter(&self) -> Result<(), cgroup::Error> {
        self.attempts.set(self.attempts.get() + 1);
        self.hold_processes()
    }

    /// One less.
    pub(super) fn leave(&self) {
        self.attempts.set(self.attempts.get() - 1);
        // A limit that stays one too high does no harm.
        let _next_time = self.hold_processes();
    }

    fn hold_processes(&self) -> Result<(), cgroup::Error> {
        // One may be made ahead of its attempt.
        let whole = limits::of_run(&self.plan, self.run.path(), self.attempts.get() + 1);
        match (&self.tree, whole.pids) {
            (Some(tree), Some(pids)) => {
                tree.set_limits(&cgroup::Limits { pids: Some(pids), ..cgroup::Limits::default() })
            }
            (_, None) | (None, _) => Ok(()),
        }
    }

    /// Environment that every step gets.
    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// A variable of the engine's environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.whole_environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The controllers that leaves have.
    pub(super) fn controllers(&self) -> Controllers {
        self.tree.as_ref().map(Tree::controllers).unwrap_or_default()
    }

    /// Where relative paths start, without symbolic links. One that is not there fails at birth, with its own words.
    pub(super) fn real_base(&self) -> &Path {
        self.real_base.get_or_init(|| self.base.canonicalize().unwrap_or_else(|_| self.base.clone()))
    }

    /// An absolute path from one that may be relative to the base.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.base.join(Path::new(path))
    }
}

/// Whether a kernel with this release counts the processes of this user in each user namespace by itself: since 5.14
/// it does, but root's are not limited (user_namespaces(7), setrlimit(2)). Steps of root have no such namespace.
pub fn counts_users(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (5, 14) && !nix::unistd::geteuid().is_root()
}

fn calls(plan: &Plan) -> impl Iterator<Item = &SkillCall> {
    plan.steps.iter().filter_map(|step| step.kind.skill())
}

fn usual(plan: &Plan) -> Arc<Sandbox> {
    calls(plan).next().map(|call| Arc::clone(&call.sandbox)).unwrap_or_default()
}

fn passed(whole: &[(String, String)], run: &RunDir) -> Vec<(String, String)> {
    let passes = |name: &str| PASSED.contains(&name) || name.starts_with("LC_");
    let mut environment: Vec<_> = whole.iter().filter(|(name, _)| passes(name)).cloned().collect();
    if !environment.iter().any(|(name, _)| name == "PATH") {
        environment.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    for (name, value) in [
        ("TERM", "dumb".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
        ("WORKFLOW_RUN_ID", run.id().to_string()),
    ] {
        environment.push((name.to_owned(), value));
    }
    environment
}

/// Who holds what, with these controllers.
pub(super) fn enforcers(
    tree: Option<Controllers>,
    pids: Enforcer,
    notes: Vec<String>,
    kill: KillBy,
    network: NetworkBy,
    filesystem: FilesystemBy,
) -> Isolation {
    let controllers = tree.unwrap_or_default();
    let by = |has: bool| if has { Enforcer::CgroupV2 } else { Enforcer::None };
    Isolation {
        memory: if controllers.memory { Enforcer::CgroupV2 } else { Enforcer::Monitor },
        cpu: by(controllers.cpu),
        pids,
        io: by(controllers.io),
        kill,
        network,
        filesystem,
        notes,
    }
}
