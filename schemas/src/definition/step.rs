//! Steps: the keys that every step has, and those of each kind.

use super::{
    COUNT, DELAY, Key, KindShape, Shape, TIMEOUT, TaggedShape,
    agent::GUARDRAILS,
    key, list,
    policy::{LIMITS, SANDBOX_CHOICE, step_strategy},
    required,
};

/// Most turns of a loop over an array.
pub const MAX_TURNS: u64 = 100_000;

/// A step.
pub static STEP: TaggedShape = TaggedShape {
    title: "Step",
    about: "One step of a workflow.",
    common: &[
        required("id", Shape::StepId, "Name of the step, unique in the whole file."),
        key("name", Shape::Text, "Title, for people."),
        key("description", Shape::Text, "What it does, for people."),
        key("when", Shape::Expression, "Condition; false: the step is skipped."),
        key("inputs", Shape::Map(&Shape::Value), "Values for the step; may hold references."),
        key("outputs", list(&Shape::Text), "Names of the results that later steps may use; absent: all."),
        key("async", Shape::Boolean, "Whether the next step starts at once; default false."),
        key("timeout", TIMEOUT, "Wall-clock limit of one attempt."),
        key("idle_timeout", TIMEOUT, "Longest time without output."),
        key("grace", DELAY, "Time between SIGTERM and kill; default 5 s."),
        key("error_handling", step_strategy(), "What happens when this step fails."),
        key("rollback", Shape::Either(&UNDO), "The undo of this step."),
        key(
            "assign",
            Shape::Map(&Shape::Value),
            "Keys of the mutable context that get new values when it completes.",
        ),
        key("resource_limits", Shape::Object(&LIMITS), "Limits of this step."),
        key("sandbox", SANDBOX_CHOICE, "Sandbox of this step."),
        key("trust", Shape::Word(&["trusted", "verified", "untrusted"]), "How far its program is trusted."),
        key("env", Shape::Map(&Shape::Template), "Additional environment variables."),
        key("cwd", Shape::Template, "Working directory, relative to that of the run."),
        key("secrets", list(&Shape::Text), "Names of secrets that it gets as environment variables."),
        key("kill_mode", Shape::Word(&["group", "leader"]), "Whom SIGTERM goes to; default group."),
        key("on_crash", Shape::Word(&["rerun", "fail"]), "What to do with an attempt whose engine died."),
    ],
    kinds: &[
        KindShape { word: "skill", title: "SkillStep", about: "Calls a skill.", keys: &SKILL_KEYS },
        KindShape { word: "agent", title: "AgentStep", about: "Runs an agent.", keys: &AGENT_KEYS },
        KindShape {
            word: "sequence",
            title: "SequenceStep",
            about: "Runs steps in order as one step.",
            keys: &SEQUENCE_KEYS,
        },
        KindShape {
            word: "parallel",
            title: "ParallelStep",
            about: "Runs steps at once.",
            keys: &PARALLEL_KEYS,
        },
        KindShape {
            word: "conditional",
            title: "ConditionalStep",
            about: "Runs one of two branches.",
            keys: &CONDITIONAL_KEYS,
        },
        KindShape { word: "loop", title: "LoopStep", about: "Runs steps again and again.", keys: &LOOP_KEYS },
        KindShape {
            word: "workflow",
            title: "WorkflowStep",
            about: "Runs another workflow; its outputs become those of the step.",
            keys: &[required("workflow", Shape::Text, "Name or path of the workflow.")],
        },
    ],
};

// Statics, not constants: the table holds itself, and only addresses of statics may form a circle.
static ONE_STEP: Shape = Shape::Tagged(&STEP);

static UNDO: [Shape; 2] = [Shape::Tagged(&STEP), steps()];

/// At least one step.
const fn steps() -> Shape {
    Shape::List { of: &ONE_STEP, least: 1 }
}

/// Any number of steps.
const fn branch() -> Shape {
    list(&ONE_STEP)
}

static SEQUENCE_KEYS: [Key; 1] = [required("steps", steps(), "The steps.")];

static SKILL_KEYS: [Key; 1] = [required("skill", Shape::Text, "Name of the skill.")];

static AGENT_KEYS: [Key; 4] = [
    required("agent", Shape::Text, "Name of the agent."),
    key("prompt", Shape::Template, "What it is asked to do; may hold references."),
    key("guardrails", Shape::Object(&GUARDRAILS), "Bounds within which it works."),
    key("output_schema", Shape::Any, "JSON Schema of its result."),
];

static PARALLEL_KEYS: [Key; 4] = [
    required("steps", steps(), "The steps that run at once."),
    key("wait_for", Shape::Word(&["all", "any", "none"]), "When the group completes; default all."),
    key("max_concurrent", COUNT, "Most children at once."),
    key("fail_fast", Shape::Boolean, "Whether the first failure stops the others; default true."),
];

static CONDITIONAL_KEYS: [Key; 3] = [
    required("condition", Shape::Expression, "Which branch is taken."),
    required("then", branch(), "Steps when it is true."),
    key("else", branch(), "Steps when it is false."),
];

static LOOP_KEYS: [Key; 7] = [
    key("steps", steps(), "The body."),
    key("body", steps(), "The body, by its other name."),
    key("condition", Shape::Expression, "Checked before each turn."),
    key("for_each", Shape::Either(&[Shape::Expression, list(&Shape::Value)]), "The items: one turn each."),
    key("as", Shape::Text, "Name of the item in the body; default `item`."),
    key(
        "max_iterations",
        Shape::Integer { least: 1, most: MAX_TURNS },
        "Most turns; with `condition` default 100.",
    ),
    key("max_concurrent", COUNT, "Most turns at once; default 1."),
];
