//! Everything before the birth: the work, the pipes, the leaf with its limits, the environment.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use ipc::{
    message::{self, Seccomp, Stage, ToWorker, Work},
    socket::Outgoing,
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{AccessFlags, pipe2},
};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use schemas::{
    json::Json,
    view::{Isolation, Limit},
};
use tokio::sync::mpsc;
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
    limits,
    sampler::Sampler,
    sandbox,
    scratch::Scratch,
    streams::Streams,
    task::{Task, task},
    worker,
};
use crate::{
    bridge::{Service, Services},
    cgroup::Leaf,
    egress::{self, Egress},
    launcher::News,
    store::{capture::Capture, files::Fault},
};

/// What is kept of stderr for the result of `shell` and `exec`.
const STDERR: usize = 1024 * 1024;
/// What a working directory that is not there comes to.
const CWD: &str = "the working directory could not be entered";

/// What stays with the attempt.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) leaf: Option<Leaf>,
    /// It has a directory of its own, which nobody else sees.
    pub(super) has_work_dir: bool,
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
    /// Looks at what the kernel holds by no limit.
    pub(super) sampler: Sampler,
    /// What answers in its own network.
    pub(super) services: Services,
    /// The proxy among them.
    pub(super) egress: Option<Rc<Egress>>,
    /// What is watched of an agent.
    pub(super) agent: Option<AgentWatch>,
    /// What a failed birth is about: the program's name.
    subject: String,
}

/// A process that has its task, and our ends of the pipes.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) births: mpsc::UnboundedReceiver<News>,
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
    let scaled = spawn.memory.map(|memory| limits::scaled(host, call, memory));
    let call = scaled.as_ref().unwrap_or(call);
    let mut task = task(host, spawn, call)?;
    let namespaces = sandbox::has_namespaces(host, &call.sandbox);
    let cwd = cwd(host, spawn)?;
    let written = sandbox::written(host, &call.sandbox, &task, &cwd);
    let (mut services, egress) = services(&call.sandbox);
    let agent = task.agent.take();
    if let Some(agent) = &agent {
        services.add(agent.port, Rc::clone(&agent.proxy) as Rc<dyn Service>);
    }
    let shut_in = sandbox::of_attempt(host, call, &task, (&cwd, &services))?;
    let has_mounts = shut_in.mounts;
    let is_shut = shut_in.seccomp == Seccomp::Memory;
    if is_shut && spawn.cwd.is_some() {
        // It cannot look itself.
        look_into(&cwd).map_err(|error| Refused::setup("cwd", CWD, &error))?;
    }
    let (descriptors, streams) = plumbing(host, spawn, call, &task)?;
    let scratch = scratch(host, call, &task)?;
    let worker = worker::take(host, spawn.step, shut_in, limits::of_leaf(&call.limits, &written))?;
    let order = ToWorker::Task(Box::new(message::Task {
        work_dir: task
            .work_dir
            .as_ref()
            .filter(|_| has_mounts)
            .map(|path| path.to_string_lossy().into_owned()),
        limits: limits::of_process(host, call),
        env: environment(host, spawn, call, &task, scratch.as_ref()),
        cwd: (!is_shut).then(|| cwd.to_string_lossy().into_owned()),
        streams: message::Streams { input: task.stdin.is_some(), outputs: task.outputs, events: task.events },
        work: task.work,
    }));
    let ToWorker::Task(told) = &order;
    let subject = match &told.work {
        Work::Program { argv } => format!("`{}`", argv.first().map_or("", String::as_str)),
        Work::Builtin { skill, .. } => format!("skill `{skill}`"),
        Work::Agent => format!("agent `{}`", call.skill),
    };
    let prepared = Prepared {
        leaf: worker.leaf,
        has_work_dir: has_mounts && task.work_dir.is_some(),
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
        limits: limits::record(host, call, &written),
        isolation: sandbox::own_isolation(host, &call.sandbox),
        bare_program: !namespaces && matches!(told.work, Work::Program { .. }),
        outputs_schema: task.outputs_schema,
        services,
        egress,
        sampler: limits::sampler(host, &call.limits, scratch),
        agent,
        subject,
    };
    let order = Outgoing::new(&order, descriptors)
        .map_err(|_too_large| Refused::Setup(prepared.setup_failure(Stage::Request, Errno::E2BIG as i32)))?;
    let control = Control::new(worker.control, order, output_cap(call))
        .map_err(|error| Refused::setup("pipes", "the control socket could not be used", &error))?;
    Ok((prepared, Launch { births: worker.births, streams, control }))
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
    /// The failure of a birth, with what the kernel said.
    pub(super) fn setup_failure(&self, stage: Stage, errno: i32) -> SetupFailure {
        let why = Errno::from_raw(errno).desc();
        let message = match stage {
            Stage::Exec => format!("{} could not be executed: {why}", self.subject),
            Stage::Cwd => format!("{CWD}: {why}"),
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
    if spawn.cwd.is_none() {
        return Ok(host.real_base().to_owned());
    }
    // One that is not there fails at birth, with its own words.
    Ok(cwd.canonicalize().unwrap_or(cwd))
}

/// Whether a directory could be entered.
fn look_into(directory: &Path) -> io::Result<()> {
    nix::unistd::access(directory, AccessFlags::X_OK)?;
    if directory.is_dir() { Ok(()) } else { Err(Errno::ENOTDIR.into()) }
}

/// The worker's ends of the streams, in their order, and ours.
fn plumbing(
    host: &Host,
    spawn: &Spawn,
    call: &SkillCall,
    task: &Task,
) -> Result<(Vec<OwnedFd>, Streams), Refused> {
    let failed = |error: io::Error| Refused::setup("pipes", "the pipes could not be made", &error);
    let mut descriptors = Vec::new();
    if let Some(bytes) = &task.stdin {
        descriptors.push(memory_file(bytes).map_err(failed)?);
    }
    if !task.outputs {
        return Ok((descriptors, Streams::silent()));
    }
    let mut pipe = || -> Result<OwnedFd, Refused> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(io::Error::from).map_err(failed)?;
        descriptors.push(theirs);
        Ok(ours)
    };
    let (stdout, stderr) = (pipe()?, pipe()?);
    let events = task.events.then(pipe).transpose()?;
    let dir = host
        .run
        .attempt(&spawn.id)
        .map_err(|error| Refused::setup("pipes", &error.to_string(), &io::ErrorKind::InvalidInput.into()))?;
    let cap = output_cap(call);
    let stdout = (stdout, Capture::new(dir.stdout(), cap));
    let stderr = (stderr, Capture::new(dir.stderr(), cap));
    let caps = (usize::try_from(cap).unwrap_or(usize::MAX), STDERR);
    let masker = host.secrets.masker();
    let streams = Streams::new(stdout, stderr, events, caps, masker).map_err(failed)?;
    Ok((descriptors, streams))
}

/// The most that a step may say.
fn output_cap(call: &SkillCall) -> u64 {
    call.limits.output.map_or(limits::OUTPUT, |bytes| bytes.0)
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

/// A directory in the place of a private `/tmp`, for a step that has none and whose scratch is limited.
fn scratch(host: &Host, call: &SkillCall, task: &Task) -> Result<Option<Scratch>, Refused> {
    let limit = call.limits.scratch.filter(|_| !sandbox::has_namespaces(host, &call.sandbox));
    let (Some(limit), Some(work_dir)) = (limit, &task.work_dir) else { return Ok(None) };
    Scratch::make(work_dir, limit.0).map(Some).map_err(Refused::Engine)
}

fn environment(
    host: &Host,
    spawn: &Spawn,
    call: &SkillCall,
    task: &Task,
    scratch: Option<&Scratch>,
) -> Vec<(String, String)> {
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
    if let Some(scratch) = scratch {
        set("TMPDIR", scratch.path().to_string_lossy().into_owned());
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
