//! Runs as a journal would give them.

use jiff::Timestamp;
use schemas::{
    failure::{Code, Details, Failure},
    json::Json,
    view::{
        AttemptView, Enforcer, FilesystemBy, Isolation, KillBy, Limit, NetworkBy, RunStatus, RunView,
        SCHEMA_VERSION, StepStatus, StepView, Usage,
    },
};

pub(super) fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).expect("it is in range")
}

/// A run that nothing happened to yet.
pub(super) fn view(status: RunStatus) -> RunView {
    let ended = status.is_ended();
    RunView {
        schema_version: SCHEMA_VERSION,
        run_id: "01997b1c-8a4e-7000-8000-000000000001".to_owned(),
        workflow: "simple-test".to_owned(),
        version: "1.0.0".to_owned(),
        status,
        scheduled_at: None,
        created_at: timestamp(0),
        started_at: Some(timestamp(1)),
        finished_at: ended.then(|| timestamp(63)),
        duration_ms: ended.then_some(62_000),
        trigger: "manual".to_owned(),
        outputs: Json::parse("{}").expect("it is JSON"),
        error: None,
        isolation: None,
        usage: Usage::default(),
        steps: Vec::new(),
        rollback: Vec::new(),
    }
}

pub(super) fn limit(name: &str, value: u64, by: Enforcer) -> Limit {
    let held = by != Enforcer::None;
    let why = (!held).then(|| format!("no cgroup v2 controller for {name} on this host").into());
    Limit { name: name.to_owned().into(), value, by, held, why }
}

pub(super) fn attempt(number: u32, status: StepStatus) -> AttemptView {
    AttemptView {
        attempt: number,
        status,
        started: Some(true),
        exit_code: None,
        signal: None,
        error: None,
        stop_reason: None,
        leftovers_killed: None,
        pids_denied: None,
        core_dumped: None,
        unkillable: false,
        usage: Usage::default(),
        limits: Vec::new(),
        isolation: None,
    }
}

pub(super) fn step(id: &str, kind: &str, status: StepStatus) -> StepView {
    let ended = !matches!(status, StepStatus::Pending | StepStatus::Waiting | StepStatus::Running);
    let started = status != StepStatus::Pending;
    StepView {
        id: id.to_owned(),
        kind: kind.to_owned(),
        status,
        iteration: Vec::new(),
        within: None,
        parent: None,
        started_at: started.then(|| timestamp(2)),
        finished_at: ended.then(|| timestamp(3)),
        duration_ms: ended.then_some(1234),
        outputs: None,
        large_outputs: None,
        error: None,
        skip_reason: None,
        retry_at: None,
        agent: None,
        attempts: Vec::new(),
    }
}

pub(super) fn inside(parent: &str, iteration: &[u32], mut step: StepView) -> StepView {
    step.parent = Some(parent.to_owned());
    step.iteration = iteration.to_vec();
    step
}

pub(super) fn failure(step: &str, code: Code, message: &str, details: Details) -> Failure {
    Failure { step: Some(step.to_owned()), code, message: message.to_owned(), retryable: true, details }
}

pub(super) fn isolation() -> Isolation {
    Isolation {
        memory: Enforcer::CgroupV2,
        cpu: Enforcer::None,
        pids: Enforcer::CgroupV2,
        io: Enforcer::None,
        kill: KillBy::CgroupKill,
        network: NetworkBy::Host,
        filesystem: FilesystemBy::Mount,
        notes: vec![
            "the cgroup /a has no `cpu` controller: CPU shares are not held by the kernel".to_owned(),
        ],
    }
}

/// A run with everything: a tree, tries, limits, a failure.
pub(super) fn failed() -> RunView {
    let mut view = view(RunStatus::Failed);
    let used = Usage {
        wall_ms: Some(1200),
        cpu_user_us: Some(900),
        cpu_system_us: Some(700),
        memory_peak_bytes: Some(1 << 20),
        ..Usage::default()
    };
    let limits = vec![limit("memory", 64 << 20, Enforcer::CgroupV2), limit("cpu", 500, Enforcer::None)];
    let error = failure(
        "load",
        Code::Oom,
        "the kernel killed it: it was over its memory limit",
        Details {
            limit: Some(64 << 20),
            peak: Some(64 << 20),
            signal: Some(9),
            stderr: vec![
                "reading \u{1b}[31mall\u{1b}[0m of it".to_owned(),
                String::new(),
                "error: forged".to_owned(),
            ],
            ..Details::default()
        },
    );
    let mut fetch = step("fetch", "skill", StepStatus::Completed);
    fetch.attempts = vec![attempt(1, StepStatus::Failed), attempt(2, StepStatus::Completed)];
    for attempt in &mut fetch.attempts {
        attempt.usage = used.clone();
        attempt.limits.clone_from(&limits);
    }
    let mut load = step("load", "skill", StepStatus::Failed);
    load.attempts = vec![attempt(1, StepStatus::Failed)];
    load.attempts[0].usage =
        Usage { memory_peak_bytes: Some(64 << 20), wall_ms: Some(34), ..Usage::default() };
    load.attempts[0].limits = limits;
    load.error = Some(error.clone());
    let mut skipped = step("notify", "skill", StepStatus::Skipped);
    skipped.skip_reason = Some("`when` was false".to_owned());
    view.steps = vec![
        fetch,
        step("each-region", "loop", StepStatus::Failed),
        inside("each-region", &[0], step("both", "parallel", StepStatus::Completed)),
        inside("both", &[0], step("left", "skill", StepStatus::Completed)),
        inside("both", &[0], step("right", "skill", StepStatus::Cancelled)),
        inside("each-region", &[1], step("both", "parallel", StepStatus::Failed)),
        inside("both", &[1], load),
        skipped,
        step("publish", "skill", StepStatus::Pending),
    ];
    view.error = Some(error);
    view.isolation = Some(isolation());
    view.usage = Usage {
        wall_ms: Some(62_000),
        cpu_user_us: Some(1800),
        cpu_system_us: Some(1400),
        memory_peak_bytes: Some(64 << 20),
        pids_peak: Some(3),
        oom_kills: Some(1),
        throttled_us: Some(0),
        memory_pressure_us: None,
        io_read_bytes: Some(4096),
        io_write_bytes: None,
    };
    view
}
