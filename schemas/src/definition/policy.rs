//! Policies that hold for a run or a step: error handling, resource limits, sandbox.

use super::{COUNT, DELAY, Key, ObjectShape, Shape, TIMEOUT, key, list, required, step::STEP};

/// Names of strategies.
pub const STRATEGIES: &[&str] = &["retry", "rollback", "skip", "halt", "custom"];

/// `error_handling` of a step, and an entry of `per_step`.
pub const fn step_strategy() -> Shape {
    Shape::Either(&STEP_STRATEGY)
}

// Statics, not constants: the table holds itself, and only addresses of statics may form a circle.
static STEP_STRATEGY: [Shape; 3] = [
    Shape::Word(STRATEGIES),
    Shape::Object(&STRATEGY),
    Shape::List { of: &Shape::Object(&STRATEGY), least: 1 },
];
static ONE_STRATEGY: [Shape; 2] = [Shape::Word(STRATEGIES), Shape::Object(&STRATEGY)];
static LATER_STEP: [Shape; 2] = [Shape::Text, Shape::Tagged(&STEP)];

/// `error_handling` at the top.
pub static ERROR_HANDLING: ObjectShape = ObjectShape {
    title: "ErrorHandling",
    about: "What happens when steps fail.",
    keys: &[
        key("default", Shape::Either(&ONE_STRATEGY), "Strategy of steps that name none; default `halt`."),
        key("per_step", Shape::Map(&Shape::Either(&STEP_STRATEGY)), "Strategies by step id."),
        key("rollback", Shape::Object(&ROLLBACK), "What a rollback does besides the undo of each step."),
    ],
};

/// `error_handling.rollback`.
pub static ROLLBACK: ObjectShape = ObjectShape {
    title: "Rollback",
    about: "What a rollback does besides the undo of each step.",
    keys: &[
        key("enabled", Shape::Boolean, "False: `rollback` acts as `halt`."),
        key(
            "steps",
            list(&Shape::Either(&LATER_STEP)),
            "Steps, or ids of `handlers`, that run after the undo steps.",
        ),
    ],
};

/// One strategy.
pub static STRATEGY: ObjectShape = ObjectShape {
    title: "Strategy",
    about: "What to do with a failure.",
    keys: &[
        required("strategy", Shape::Word(STRATEGIES), "Which one."),
        key("on", list(&Shape::FailureCode), "Failure codes for which it acts."),
        key("max_attempts", COUNT, "Tries in all; default 3."),
        key(
            "backoff",
            Shape::Word(&["exponential", "linear", "fixed"]),
            "How waits grow; default exponential.",
        ),
        key("delay", DELAY, "The first wait; default 1 s."),
        key("multiplier", Shape::Positive, "Factor of exponential waits; default 2."),
        key("max_delay", DELAY, "The longest wait; default 60 s."),
        key("jitter", Shape::Word(&["none", "full"]), "Whether waits are made random; default none."),
        key("max_duration", TIMEOUT, "No new try after this time."),
        key("scale", Shape::Object(&SCALE), "More memory on the next attempt."),
        key("then", Shape::Either(&ONE_STRATEGY), "What to do once attempts are used up; default `halt`."),
        key("custom_handler", Shape::Text, "Id of a step in `handlers`."),
    ],
};

static SCALE: ObjectShape = ObjectShape {
    title: "Scale",
    about: "More memory on the next attempt.",
    keys: &[
        key("on", list(&Shape::FailureCode), "Failure codes for which it acts."),
        key("memory", Shape::Positive, "Factor."),
        key("max_memory", Shape::Size { zero: false }, "Never more than this."),
    ],
};

/// `resource_limits`.
pub static LIMITS: ObjectShape = ObjectShape {
    title: "ResourceLimits",
    about: "Limits on resources; the tightest wins.",
    keys: LIMIT_KEYS,
};

const LIMIT_KEYS: &[Key] = &[
    key("max_memory_mb", COUNT, "Memory in MiB."),
    key("memory", Shape::Size { zero: false }, "Memory."),
    key("max_cpu_percent", Shape::Positive, "CPU share; 100 is one core."),
    key("cpu", Shape::Positive, "CPU share; 1.0 is one core."),
    key("max_execution_time", TIMEOUT, "Wall-clock limit."),
    key("cpu_time", TIMEOUT, "CPU time of the process tree."),
    key("pids", COUNT, "Processes and threads."),
    key("open_files", COUNT, "Open files of a process."),
    key("file_size", Shape::Size { zero: true }, "Size of a written file."),
    key("scratch", Shape::Size { zero: false }, "Size of the private /tmp."),
    key("output", Shape::Size { zero: true }, "Size of a step's whole output; default 16 MiB."),
    key("io_read_bps", Shape::Size { zero: false }, "Bytes a second read from disk."),
    key("io_write_bps", Shape::Size { zero: false }, "Bytes a second written to disk."),
    key("max_concurrent_steps", COUNT, "Steps at once."),
    key("enforcement", Shape::Word(ENFORCEMENT), "Whether a limit that cannot be held refuses the run."),
];

/// Words of `enforcement`.
pub const ENFORCEMENT: &[&str] = &["required", "best_effort"];
const PROFILES: &[&str] = &["none", "standard", "strict"];

/// A sandbox: the name of a profile, or an object.
pub const SANDBOX_CHOICE: Shape = Shape::Either(&[Shape::Word(PROFILES), Shape::Object(&SANDBOX)]);

/// `sandbox` as an object.
pub static SANDBOX: ObjectShape = ObjectShape {
    title: "Sandbox",
    about: "What a step can see and do.",
    keys: &[
        key("profile", Shape::Word(PROFILES), "Where it starts from; default standard."),
        key(
            "network",
            Shape::Either(&[Shape::Word(&["none", "loopback", "host"]), Shape::Object(&NETWORK)]),
            "What it can reach.",
        ),
        key("read", list(&Shape::Text), "Paths that it may read."),
        key("write", list(&Shape::Text), "Paths that it may write."),
        key("env", list(&Shape::Text), "Names of variables that pass through."),
        key(
            "user",
            Shape::Either(&[Shape::Text, Shape::Integer { least: 0, most: u32::MAX as u64 }]),
            "User.",
        ),
        key("seccomp", Shape::Word(&["default", "allow-userns"]), "Which filter of system calls holds."),
        key("delegate", Shape::Boolean, "Whether it gets a cgroup sub-tree of its own."),
        key("enforcement", Shape::Word(ENFORCEMENT), "Whether a part that is missing refuses the run."),
    ],
};

/// `network` with a list of what may be reached.
pub static NETWORK: ObjectShape = ObjectShape {
    title: "Network",
    about: "What may be reached, through the engine's proxy.",
    keys: &[required("allow", list(&Shape::Text), "`host:port` each.")],
};
