//! Everything before the birth: the work, the pipes, the leaf with its limits, the environment.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    rc::Rc,
    time::Duration,
};

use ipc::message::{Birth, Stage, Work};
use nix::{errno::Errno, fcntl::OFlag, unistd::pipe2};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use schemas::{
    json::Json,
    view::{Isolation, Limit},
};
use workflow_engine::{
    plan::{KillMode, Network, Profile, Sandbox, SkillCall},
    run::Spawn,
    verdict::{Bounds, SetupFailure, Speaks},
};

use super::{
    agent::AgentWatch,
    control::Control,
    host::Host,
    ladder::{Root, Told},
    limits, sandbox, spare,
    streams::Streams,
    task::{Task, task},
};
use crate::{
    bridge::{Service, Services},
    cgroup::{Controllers, Leaf},
    egress::{self, Egress},
    store::{capture::Capture, files::Fault},
};

/// What is kept of stderr for the result of `shell` and `exec`.
const STDERR: usize = 1024 * 1024;
/// Least time between two looks at the CPU time of a tree.
const CPU_STEP: Duration = Duration::from_millis(10);

/// What stays with the attempt.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) leaf: Option<Leaf>,
    pub(super) speaks: Speaks,
    pub(super) grace: Duration,
    pub(super) told: Told,
    pub(super) root: Root,
    pub(super) timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) bounds: Bounds,
    pub(super) limits: Vec<Limit>,
    /// Where it differs from the run's.
    pub(super) isolation: Option<Isolation>,
    /// A program that replaces the worker: profile `none`.
    pub(super) bare_program: bool,
    pub(super) outputs_schema: Option<Json>,
    /// What answers in its own network.
    pub(super) services: Services,
    /// The proxy among them.
    pub(super) egress: Option<Rc<Egress>>,
    /// What is watched of an agent.
    pub(super) agent: Option<AgentWatch>,
    /// What a failed birth is about: the program's name.
    subject: String,
}

/// What goes to the launcher, and our ends of the pipes.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) birth: Birth,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) streams: Streams,
    pub(super) control: Control,
}

/// Why an attempt was refused before its birth.
#[derive(Debug)]
pub(super) enum Refused {
    /// The inputs do not fit.
    BadInput {
        /// JSON pointer into the inputs.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// An agent lacks what it needs.
    Agent(String),
    /// Something could not be made.
    Setup(SetupFailure),
    /// The engine itself lacks room or files: no step can be blamed for it.
    Engine(Fault),
}

impl Refused {
    pub(super) fn setup(stage: &str, what: &str, error: &io::Error) -> Self {
        Self::Setup(SetupFailure {
            stage: stage.to_owned(),
            errno: error.raw_os_error().unwrap_or_default(),
            message: format!("{what}: {error}"),
        })
    }
}

/// Makes everything that the birth needs.
pub(super) fn prepare(host: &Host, spawn: &Spawn) -> Result<(Prepared, Launch), Refused> {
    let step = &host.plan.steps[spawn.step.index()];
    let Some(call) = step.kind.skill() else {
        return Err(Refused::Setup(SetupFailure {
            stage: "plan".to_owned(),
            errno: 0,
            message: "the step runs no program".to_owned(),
        }));
    };
    let scaled = spawn.memory.map(|memory| limits::scaled(call, memory));
    let call = scaled.as_ref().unwrap_or(call);
    let mut task = task(host, spawn, call)?;
    let namespaces = sandbox::has_namespaces(host, &call.sandbox);
    let ticket = host.ticket();
    let leaf = spare::leaf(host, &call.limits)?;
    let cwd = cwd(host, spawn)?;
    let (mut services, egress) = services(&call.sandbox);
    let agent = task.agent.take();
    if let Some(agent) = &agent {
        services.add(agent.port, Rc::clone(&agent.proxy) as Rc<dyn Service>);
    }
    let shut_in = sandbox::of_attempt(host, call, &task, (&cwd, &services))?;
    let (descriptors, streams, control) = plumbing(host, spawn, call, &task)?;
    let birth = Birth {
        ticket,
        leaf: leaf.as_ref().map(|leaf| leaf.path().to_string_lossy().into_owned()),
        sandbox: shut_in,
        limits: limits::of_process(&call.limits),
        env: environment(host, spawn, call, &task),
        cwd: cwd.to_string_lossy().into_owned(),
        events: task.events,
        work: task.work,
    };
    let subject = match &birth.work {
        Work::Program { argv } => format!("`{}`", argv.first().map_or("", String::as_str)),
        Work::Builtin { skill, .. } => format!("skill `{skill}`"),
        Work::Agent => format!("agent `{}`", call.skill),
    };
    let prepared = Prepared {
        leaf,
        speaks: task.speaks,
        grace: step.grace,
        told: task.told.unwrap_or(match step.kill_mode {
            KillMode::Group => Told::All,
            KillMode::Leader => Told::Leader,
        }),
        root: if namespaces { Root::Init } else { Root::Leader },
        timeout: step.timeout,
        idle_timeout: step.idle_timeout,
        bounds: limits::bounds(step, &call.limits),
        limits: limits::record(host, &call.limits),
        isolation: sandbox::own_isolation(host, &call.sandbox),
        bare_program: !namespaces && matches!(birth.work, Work::Program { .. }),
        outputs_schema: task.outputs_schema,
        services,
        egress,
        agent,
        subject,
    };
    Ok((prepared, Launch { birth, descriptors, streams, control }))
}

/// What answers in the network of a step.
fn services(chosen: &Sandbox) -> (Services, Option<Rc<Egress>>) {
    let mut services = Services::default();
    let Network::Allow(allowed) = &chosen.network else { return (services, None) };
    let egress = Rc::new(Egress::new(allowed.clone()));
    services.add(egress::PORT, Rc::clone(&egress) as Rc<dyn Service>);
    (services, Some(egress))
}

impl Prepared {
    /// The least time in which the CPU time of the tree can be used up, on all processors at once; zero when
    /// it is. `None`: no limit, or no leaf that counts.
    pub(super) fn cpu_left(&self) -> Option<Duration> {
        let limit = Duration::from_millis(self.bounds.cpu_time_ms?);
        let stats = self.leaf.as_ref()?.stats(Controllers::default());
        let used = Duration::from_micros(stats.user_us?.saturating_add(stats.system_us?));
        let left = limit.saturating_sub(used);
        let processors =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        // Close to the limit the steps are not made ever smaller.
        let wait = (left / processors).max(CPU_STEP);
        Some(if left.is_zero() { Duration::ZERO } else { wait })
    }

    /// The failure of a birth, with what the kernel said.
    pub(super) fn setup_failure(&self, stage: Stage, errno: i32) -> SetupFailure {
        let why = Errno::from_raw(errno).desc();
        let message = match stage {
            Stage::Exec => format!("{} could not be executed: {why}", self.subject),
            Stage::Cwd => format!("the working directory could not be entered: {why}"),
            Stage::Request
            | Stage::Leaf
            | Stage::Clone
            | Stage::Gate
            | Stage::UserNamespace
            | Stage::Session
            | Stage::Signals
            | Stage::Descriptors
            | Stage::Limits
            | Stage::Mounts
            | Stage::Proc
            | Stage::Network
            | Stage::User
            | Stage::Landlock
            | Stage::Seccomp
            | Stage::Capabilities
            | Stage::Privileges
            | Stage::Fork => format!("the process could not be set up ({}): {why}", stage.as_str()),
        };
        SetupFailure { stage: stage.as_str().to_owned(), errno, message }
    }
}

pub(super) fn cwd(host: &Host, spawn: &Spawn) -> Result<PathBuf, Refused> {
    let cwd = spawn.cwd.as_deref().map_or_else(|| host.base.clone(), |cwd| host.absolute(cwd));
    if cwd.starts_with("/proc") {
        // What a link there leads to is the engine's own, not the step's: CVE-2024-21626.
        let denied = io::Error::from_raw_os_error(Errno::EACCES as i32);
        return Err(Refused::setup("cwd", "the working directory lies in /proc", &denied));
    }
    // One that is not there fails at birth, with its own words.
    Ok(cwd.canonicalize().unwrap_or(cwd))
}

fn plumbing(
    host: &Host,
    spawn: &Spawn,
    call: &SkillCall,
    task: &Task,
) -> Result<(Vec<OwnedFd>, Streams, Control), Refused> {
    let failed = |error: io::Error| Refused::setup("pipes", "the pipes could not be made", &error);
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from).map_err(failed);
    let stdin = match &task.stdin {
        Some(bytes) => memory_file(bytes).map_err(failed)?,
        None => host.null.try_clone().map_err(failed)?,
    };
    let (stdout, stdout_child) = pipe()?;
    let (stderr, stderr_child) = pipe()?;
    let (control, control_child) = UnixStream::pair().map_err(failed)?;
    let mut descriptors = vec![stdin, stdout_child, stderr_child, control_child.into()];
    let mut events = None;
    if task.events {
        let (ours, theirs) = pipe()?;
        events = Some(ours);
        descriptors.push(theirs);
    }
    let dir = host
        .run
        .attempt(&spawn.id)
        .map_err(|error| Refused::setup("pipes", &error.to_string(), &io::ErrorKind::InvalidInput.into()))?;
    let cap = call.limits.output.map_or(limits::OUTPUT, |bytes| bytes.0);
    let stdout = (stdout, Capture::new(dir.stdout(), cap));
    let stderr = (stderr, Capture::new(dir.stderr(), cap));
    let caps = (usize::try_from(cap).unwrap_or(usize::MAX), STDERR);
    let masker = host.secrets.masker();
    let streams = Streams::new(stdout, stderr, events, caps, masker).map_err(failed)?;
    let control = Control::new(control, cap).map_err(failed)?;
    Ok((descriptors, streams, control))
}

/// A sealed memory file (memfd_create(2)): the program reads it whenever it likes, or never, and can
/// change nothing in it. So no write of ours can block on a program that does not read.
fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create("stdin", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(file.into())
}

fn environment(host: &Host, spawn: &Spawn, call: &SkillCall, task: &Task) -> Vec<(String, String)> {
    if matches!(task.work, Work::Builtin { .. }) && !task.mounts {
        return Vec::new();
    }
    let mut env = host.environment().to_vec();
    let mut set = |name: &str, value: String| {
        env.retain(|(known, _)| known != name);
        env.push((name.to_owned(), value));
    };
    if let Some(account) = call.sandbox.user.as_ref().and_then(sandbox::account) {
        set("USER", account.name);
        set("HOME", account.dir.to_string_lossy().into_owned());
    }
    if let (Profile::Strict, Some(work_dir)) = (call.sandbox.profile, &task.work_dir) {
        set("HOME", work_dir.to_string_lossy().into_owned());
    }
    if let Network::Allow(_) = call.sandbox.network {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            set(name, format!("http://127.0.0.1:{}", egress::PORT));
        }
    }
    for name in &call.sandbox.env {
        if let Some(value) = host.variable(name) {
            set(name, value.to_owned());
        }
    }
    let own = [
        ("WORKFLOW_STEP_ID", Some(host.plan.steps[spawn.step.index()].id().to_owned())),
        ("WORKFLOW_ATTEMPT", Some(spawn.id.attempt.to_string())),
        ("WORKFLOW_WORK_DIR", task.work_dir.as_ref().map(|path| path.to_string_lossy().into_owned())),
        ("WORKFLOW_MEMORY_LIMIT", call.limits.memory.map(|bytes| bytes.0.to_string())),
        ("WORKFLOW_CPUS", call.limits.cpu_millis.map(|millis| (f64::from(millis) / 1000.0).to_string())),
    ];
    env.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    for (name, value) in task.env.iter().chain(&spawn.env) {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    for (name, value) in call.secrets.iter().filter_map(|name| Some((name, host.secrets.variable(name)?))) {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.to_owned()));
    }
    // The dynamic linker obeys these before the program's first instruction (ld.so(8)).
    env.retain(|(name, _)| !name.starts_with("LD_"));
    env
}
