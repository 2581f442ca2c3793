//! Everything before the birth: the work, the pipes, the leaf with its limits, the environment.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use ipc::{
    limits::{Bytes, ProcessLimits},
    message::{Birth, Capabilities, Sandbox, Stage, Work},
};
use nix::{errno::Errno, fcntl::OFlag, unistd::pipe2};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use schemas::{
    json::Json,
    skill::Protocol,
    view::{Enforcer, Isolation, Limit},
};
use worker::skills::program;
use workflow_engine::{
    check::over_inputs,
    plan::{ExternalSkill, KillMode, Limits, Needs, Profile, SkillCall, SkillTarget, Step, StepKind},
    run::Spawn,
    units,
    value::{self, Root, Scope, Segment},
    verdict::{Bounds, SetupFailure, Speaks},
};

use super::{
    control::Control,
    host::{self, Host},
    streams::Streams,
};
use crate::{
    cgroup::{self, Leaf},
    store::{capture::Capture, files},
};

/// Largest inputs that travel inside the birth's frame.
const INLINE: usize = 256 * 1024;
/// Cap on one step's whole output, unless its limits say otherwise.
const OUTPUT: u64 = 16 * 1024 * 1024;
/// What is kept of stderr for the result of `shell` and `exec`.
const STDERR: usize = 1024 * 1024;
/// Processes of a step, unless its limits say otherwise.
const PIDS: u32 = 512;
/// Processes of ours inside the leaf: the namespace's init.
const OWN_PROCESSES: u64 = 1;
/// Least time between two looks at the CPU time of a tree.
const CPU_STEP: Duration = Duration::from_millis(10);
/// Size of the private `/tmp`, unless the limits say otherwise.
const SCRATCH: u64 = 64 * 1024 * 1024;

/// What stays with the attempt.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) leaf: Option<Leaf>,
    pub(super) speaks: Speaks,
    pub(super) grace: Duration,
    pub(super) kill_mode: KillMode,
    pub(super) timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) bounds: Bounds,
    pub(super) limits: Vec<Limit>,
    /// Where it differs from the run's.
    pub(super) isolation: Option<Isolation>,
    /// A program that replaces the worker: profile `none`.
    pub(super) bare_program: bool,
    pub(super) outputs_schema: Option<Json>,
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
    /// Something could not be made.
    Setup(SetupFailure),
}

impl Refused {
    fn setup(stage: &str, what: &str, error: &io::Error) -> Self {
        Self::Setup(SetupFailure {
            stage: stage.to_owned(),
            errno: error.raw_os_error().unwrap_or_default(),
            message: format!("{what}: {error}"),
        })
    }
}

/// What the target makes of the inputs.
struct Task {
    work: Work,
    speaks: Speaks,
    stdin: Option<Vec<u8>>,
    /// Built-ins that touch nothing need no mounts.
    mounts: bool,
    work_dir: Option<PathBuf>,
    events: bool,
    /// Folder of an external skill.
    folder: Option<String>,
    /// More environment.
    env: Vec<(String, String)>,
    outputs_schema: Option<Json>,
}

/// Makes everything that the birth needs.
pub(super) fn prepare(host: &Host, spawn: &Spawn) -> Result<(Prepared, Launch), Refused> {
    let step = &host.plan.steps[spawn.step.index()];
    let StepKind::Skill(call) = &step.kind;
    let task = task(host, spawn, call)?;
    let namespaces = host.namespaces && call.sandbox == Profile::Standard;
    let ticket = host.ticket();
    let leaf = leaf(host, &call.limits, ticket)?;
    let cwd = cwd(host, spawn);
    let (descriptors, streams, control) = plumbing(host, spawn, call, &task)?;
    let birth = Birth {
        ticket,
        leaf: leaf.as_ref().map(|leaf| leaf.path().to_string_lossy().into_owned()),
        sandbox: sandbox(host, call, &task, namespaces, &cwd),
        limits: process_limits(&call.limits),
        env: environment(host, spawn, call, &task),
        cwd: cwd.to_string_lossy().into_owned(),
        events: task.events,
        work: task.work,
    };
    let subject = match &birth.work {
        Work::Program { argv } => format!("`{}`", argv.first().map_or("", String::as_str)),
        Work::Builtin { skill, .. } => format!("skill `{skill}`"),
    };
    let prepared = Prepared {
        leaf,
        speaks: task.speaks,
        grace: step.grace,
        kill_mode: step.kill_mode,
        timeout: step.timeout,
        idle_timeout: step.idle_timeout,
        bounds: bounds(step, &call.limits),
        limits: limits(host, &call.limits),
        isolation: attempt_isolation(host, call, namespaces),
        bare_program: !namespaces && matches!(birth.work, Work::Program { .. }),
        outputs_schema: task.outputs_schema,
        subject,
    };
    Ok((prepared, Launch { birth, descriptors, streams, control }))
}

impl Prepared {
    /// The least time in which the CPU time of the tree can be used up, on all processors at once; zero when
    /// it is. `None`: no limit, or no leaf that counts.
    pub(super) fn cpu_left(&self) -> Option<Duration> {
        let limit = Duration::from_millis(self.bounds.cpu_time_ms?);
        let stats = self.leaf.as_ref()?.stats();
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
            | Stage::Capabilities
            | Stage::Privileges
            | Stage::Fork => format!("the process could not be set up ({}): {why}", stage.as_str()),
        };
        SetupFailure { stage: stage.as_str().to_owned(), errno, message }
    }
}

fn task(host: &Host, spawn: &Spawn, call: &SkillCall) -> Result<Task, Refused> {
    match call.target.as_ref() {
        SkillTarget::Builtin { needs } => {
            let small = spawn.inputs.len() <= INLINE;
            let mounts = *needs != Needs::Nothing;
            let work_dir = mounts.then(|| work_dir(host, spawn)).transpose()?;
            Ok(Task {
                work: Work::Builtin {
                    skill: call.skill.clone(),
                    inputs: small.then(|| spawn.inputs.clone()),
                    work_dir: work_dir
                        .as_deref()
                        .map(|path| path.to_string_lossy().into_owned())
                        .unwrap_or_default(),
                },
                speaks: Speaks::Builtin,
                stdin: (!small).then(|| spawn.inputs.as_str().as_bytes().to_vec()),
                mounts,
                work_dir,
                events: false,
                folder: None,
                env: Vec::new(),
                outputs_schema: None,
            })
        }
        SkillTarget::Program { shell } => {
            let kind = if *shell { program::Kind::Shell } else { program::Kind::Exec };
            let program = kind.program(spawn.inputs.as_str());
            let program = program.map_err(|bad| Refused::BadInput {
                pointer: bad.pointer.clone(),
                message: bad.message.clone(),
            })?;
            Ok(Task {
                work: Work::Program { argv: program.argv },
                speaks: Speaks::Program { allow_failure: program.allow_failure },
                stdin: program.stdin.map(String::into_bytes),
                mounts: true,
                work_dir: Some(work_dir(host, spawn)?),
                events: false,
                folder: None,
                env: Vec::new(),
                outputs_schema: None,
            })
        }
        SkillTarget::External(skill) => external(host, spawn, skill),
    }
}

fn external(host: &Host, spawn: &Spawn, skill: &ExternalSkill) -> Result<Task, Refused> {
    if let Some(schema) = &skill.inputs
        && let Err(misfit) = crate::schema::check(schema, &spawn.inputs)
    {
        return Err(Refused::BadInput { pointer: misfit.pointer, message: misfit.message });
    }
    let work_dir = work_dir(host, spawn)?;
    let (argv, stdin, speaks) = match skill.protocol {
        Protocol::JsonStdio1 => {
            (skill.command.clone(), Some(envelope(host, spawn, &work_dir)), Speaks::JsonStdio)
        }
        Protocol::Text => {
            let argv = skill.command.iter().enumerate().map(|(index, text)| match index {
                0 => Ok(text.clone()),
                _ => filled(text, &spawn.inputs),
            });
            (argv.collect::<Result<_, _>>()?, None, Speaks::Text { parse_json: skill.parse_json })
        }
    };
    let passed = skill.pass.iter().filter_map(|name| Some((name.clone(), host.variable(name)?.to_owned())));
    let mut env: Vec<_> = passed.collect();
    for (name, text) in &skill.env {
        let value =
            if skill.protocol == Protocol::Text { filled(text, &spawn.inputs)? } else { text.clone() };
        env.push((name.clone(), value));
    }
    Ok(Task {
        work: Work::Program { argv },
        speaks,
        stdin,
        mounts: true,
        work_dir: Some(work_dir),
        events: skill.events,
        folder: Some(skill.folder.clone()),
        env,
        outputs_schema: skill.outputs.clone(),
    })
}

/// A string of a `text` skill, with the inputs that it names.
fn filled(text: &str, inputs: &Json) -> Result<String, Refused> {
    over_inputs(text)
        .and_then(|template| template.fill_text(&OnlyInputs(inputs)).map_err(|missing| missing.to_string()))
        .map_err(|message| Refused::BadInput { pointer: String::new(), message })
}

/// The one name that the strings of a `text` skill may use.
struct OnlyInputs<'a>(&'a Json);

impl Scope for OnlyInputs<'_> {
    fn resolve(&self, root: &Root, path: &[Segment]) -> Option<Json> {
        match root {
            Root::Inputs => value::select(self.0, path),
            Root::Step(_) | Root::StepRecord(_) | Root::Context | Root::Run => None,
        }
    }
}

/// What a `json-stdio@1` program reads.
fn envelope(host: &Host, spawn: &Spawn, work_dir: &Path) -> Vec<u8> {
    let text = |text: &str| Json::from_serialize(&text).unwrap_or_else(|_| Json::null());
    let number = |number: u32| Json::from_serialize(&number).unwrap_or_else(|_| Json::null());
    let members = [
        ("v", number(1)),
        ("run_id", text(&host.run.id().to_string())),
        ("step_id", text(&spawn.id.step)),
        ("attempt", number(spawn.id.attempt)),
        ("inputs", spawn.inputs.clone()),
        ("context", spawn.context.clone()),
        ("work_dir", text(&work_dir.to_string_lossy())),
    ];
    value::object(&members).as_str().as_bytes().to_vec()
}

fn work_dir(host: &Host, spawn: &Spawn) -> Result<PathBuf, Refused> {
    let path = host.run.work(&spawn.id).map_err(|error| {
        Refused::setup("work_dir", &error.to_string(), &io::ErrorKind::InvalidInput.into())
    })?;
    files::ensure_dir(&path)
        .map_err(|fault| Refused::setup("work_dir", "the work directory", &fault.source))?;
    Ok(path)
}

fn leaf(host: &Host, limits: &Limits, ticket: u64) -> Result<Option<Leaf>, Refused> {
    let Some(tree) = &host.tree else { return Ok(None) };
    let failed = |error: cgroup::Error| {
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        let errno = source.and_then(io::Error::raw_os_error).unwrap_or_default();
        Refused::Setup(SetupFailure { stage: "leaf".to_owned(), errno, message: error.to_string() })
    };
    let leaf = tree.leaf(&format!("a{ticket}")).map_err(failed)?;
    let wanted = cgroup::Limits {
        memory: limits.memory.map(|bytes| bytes.0),
        cpu_millis: limits.cpu_millis,
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS)) + OWN_PROCESSES),
    };
    leaf.set_limits(wanted, tree.controllers()).map_err(failed)?;
    Ok(Some(leaf))
}

fn cwd(host: &Host, spawn: &Spawn) -> PathBuf {
    let cwd = spawn.cwd.as_deref().map_or_else(|| host.base.clone(), |cwd| host.absolute(cwd));
    // One that is not there fails at birth, with its own words.
    cwd.canonicalize().unwrap_or(cwd)
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
    let cap = call.limits.output.map_or(OUTPUT, |bytes| bytes.0);
    let stdout = (stdout, Capture::new(dir.stdout(), cap));
    let stderr = (stderr, Capture::new(dir.stderr(), cap));
    let caps = (usize::try_from(cap).unwrap_or(usize::MAX), STDERR);
    let streams = Streams::new(stdout, stderr, events, caps).map_err(failed)?;
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

fn sandbox(host: &Host, call: &SkillCall, task: &Task, namespaces: bool, cwd: &Path) -> Sandbox {
    let mounts = namespaces && task.mounts;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut keep_visible = Vec::new();
    if mounts {
        keep_visible.extend([text(cwd), text(&host.base)]);
        keep_visible.extend(task.work_dir.as_deref().map(text));
        keep_visible.extend(task.folder.clone());
    }
    Sandbox {
        namespaces,
        mounts,
        user_namespace: namespaces && host.rootless,
        capabilities: match (call.sandbox, task.mounts) {
            (Profile::None, _) => Capabilities::Kept,
            (Profile::Standard, true) => Capabilities::Standard,
            (Profile::Standard, false) => Capabilities::Dropped,
        },
        tmp_size: Bytes(call.limits.scratch.map_or(SCRATCH, |bytes| bytes.0)),
        keep_visible,
    }
}

fn process_limits(limits: &Limits) -> ProcessLimits {
    ProcessLimits {
        open_files: limits.open_files,
        file_size: limits.file_size.map(|bytes| Bytes(bytes.0)),
        // One second more than the limit: the engine's own watch comes first.
        cpu_seconds: limits.cpu_time.map(|time| time.as_secs().saturating_add(2)),
    }
}

fn environment(host: &Host, spawn: &Spawn, call: &SkillCall, task: &Task) -> Vec<(String, String)> {
    if matches!(task.work, Work::Builtin { .. }) && !task.mounts {
        return Vec::new();
    }
    let mut env = host.environment().to_vec();
    let own = [
        ("WORKFLOW_STEP_ID", Some(spawn.id.step.clone())),
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
    // The dynamic linker obeys these before the program's first instruction (ld.so(8)).
    env.retain(|(name, _)| !name.starts_with("LD_"));
    env
}

fn bounds(step: &Step, limits: &Limits) -> Bounds {
    Bounds {
        timeout_ms: step.timeout.map(units::millis),
        idle_timeout_ms: step.idle_timeout.map(units::millis),
        cpu_time_ms: limits.cpu_time.map(units::millis),
        output: Some(limits.output.map_or(OUTPUT, |bytes| bytes.0)),
        memory: limits.memory.map(|bytes| bytes.0),
        file_size: limits.file_size.map(|bytes| bytes.0),
        pids: Some(u64::from(limits.pids.unwrap_or(PIDS))),
    }
}

/// Who would hold the limits of a step.
pub fn limits_of(host: &Host, step: &Step) -> Vec<Limit> {
    let StepKind::Skill(call) = &step.kind;
    limits(host, &call.limits)
}

/// Who holds each limit that was asked for, and the default on processes.
fn limits(host: &Host, limits: &Limits) -> Vec<Limit> {
    let controllers = host.controllers();
    let cgroup = |name: &str, value: Option<u64>, has: bool| {
        value.map(|value| Limit {
            name: name.to_owned(),
            value,
            by: if has { Enforcer::CgroupV2 } else { Enforcer::None },
            held: has,
            why: (!has).then(|| format!("no cgroup v2 controller for {name} on this host")),
        })
    };
    let held = |name: &str, value: Option<u64>, by: Enforcer| {
        value.map(|value| Limit { name: name.to_owned(), value, by, held: true, why: None })
    };
    [
        cgroup("memory", limits.memory.map(|bytes| bytes.0), controllers.memory),
        cgroup("cpu", limits.cpu_millis.map(u64::from), controllers.cpu),
        cgroup("pids", Some(u64::from(limits.pids.unwrap_or(PIDS))), controllers.pids),
        cgroup("io_read_bps", limits.io_read_bps.map(|bytes| bytes.0), false),
        cgroup("io_write_bps", limits.io_write_bps.map(|bytes| bytes.0), false),
        held("open_files", limits.open_files, Enforcer::Rlimit),
        held("file_size", limits.file_size.map(|bytes| bytes.0), Enforcer::Rlimit),
        held(
            "cpu_time",
            limits.cpu_time.map(units::millis),
            if host.tree.is_some() { Enforcer::Engine } else { Enforcer::Rlimit },
        ),
        held("scratch", limits.scratch.map(|bytes| bytes.0), Enforcer::Tmpfs),
        held("output", limits.output.map(|bytes| bytes.0), Enforcer::Engine),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn attempt_isolation(host: &Host, call: &SkillCall, namespaces: bool) -> Option<Isolation> {
    let chosen_none = call.sandbox == Profile::None && host.namespaces;
    chosen_none.then(|| {
        let note = "profile `none`: the step sees the host's files and processes, and may read the environment \
                    of other processes of the same user";
        host::isolation(host.tree.as_ref().map(cgroup::Tree::controllers), namespaces, &[note.to_owned()])
    })
}
