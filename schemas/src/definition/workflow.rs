//! The top level of a definition: its keys, declared inputs, context and triggers.

use super::{
    Key, KindShape, ObjectShape, Shape, TaggedShape,
    agent::AGENT,
    key, list,
    policy::{ERROR_HANDLING, LIMITS, SANDBOX_CHOICE},
    required,
    skill::SKILL,
    step::STEP,
};

/// A whole definition.
pub static WORKFLOW: ObjectShape = ObjectShape {
    title: "Workflow",
    about: "A workflow definition.",
    keys: &[
        required("name", Shape::Name, "Name of the workflow."),
        required("version", Shape::Version, "Semantic version of the definition."),
        key("description", Shape::Text, "What it does, for people."),
        key("inputs", Shape::Map(&Shape::Object(&INPUT)), "Declared run parameters by name."),
        key("context", Shape::Object(&CONTEXT), "Values for the whole workflow."),
        required("steps", Shape::List { of: &Shape::Tagged(&STEP), least: 1 }, "The steps, run in order."),
        key("outputs", Shape::Map(&Shape::Value), "Values of the finished run; may hold references."),
        key("error_handling", Shape::Object(&ERROR_HANDLING), "What happens when a step fails."),
        key("resource_limits", Shape::Object(&LIMITS), "Limits of the whole run together."),
        key("sandbox", SANDBOX_CHOICE, "Default sandbox of all steps."),
        key("triggers", list(&Shape::Tagged(&TRIGGER)), "What starts a run."),
        key("agents", Shape::Map(&Shape::Object(&AGENT)), "Inline agents by name."),
        key("skills", Shape::Map(&Shape::Object(&SKILL)), "Inline skills by name."),
        key(
            "handlers",
            list(&Shape::Tagged(&STEP)),
            "Steps that do not run in the normal order; named by `rollback.steps` and `custom_handler`.",
        ),
        key("finally", list(&Shape::Tagged(&STEP)), "Steps that run once at the end, whatever happened."),
    ],
};

/// JSON Schema types, as `inputs.<name>.type` names them.
pub const INPUT_TYPES: &[&str] = &["string", "integer", "number", "boolean", "array", "object", "null"];

/// One declared input of a run.
pub static INPUT: ObjectShape = ObjectShape {
    title: "Input",
    about: "A declared run parameter.",
    keys: &[
        key("type", Shape::Word(INPUT_TYPES), "JSON Schema type of the value; absent: any."),
        key("description", Shape::Text, "What it is for."),
        key("default", Shape::Any, "The value when none is given."),
        key("required", Shape::Boolean, "Whether it must be given."),
        key("secret", Shape::Boolean, "Whether its value is masked and never stored."),
    ],
};

/// `context`.
pub static CONTEXT: ObjectShape = ObjectShape {
    title: "Context",
    about: "Values for the whole workflow.",
    keys: &[
        key("readonly", Shape::Map(&Shape::Any), "Values that never change; `--context k=v` overrides them."),
        key("mutable", Shape::Map(&Shape::Any), "Values at the start of those that steps may assign."),
    ],
};

/// An entry of `triggers`.
pub static TRIGGER: TaggedShape = TaggedShape {
    title: "Trigger",
    about: "What starts a run.",
    common: &[],
    kinds: &[
        KindShape {
            word: "manual",
            title: "ManualTrigger",
            about: "Started by `q workflow run`.",
            keys: &[],
        },
        KindShape {
            word: "schedule",
            title: "ScheduleTrigger",
            about: "Started by the clock.",
            keys: SCHEDULE,
        },
    ],
};

const SCHEDULE: &[Key] = &[
    required("cron", Shape::Text, "Cron expression of 5 fields (6 and 7 too)."),
    key("timezone", Shape::Text, "IANA time zone; default UTC."),
    key("catch_up", Shape::Word(&["none", "latest", "all"]), "What happens to fires that were missed."),
    key(
        "overlap",
        Shape::Word(&["skip", "queue", "allow", "replace"]),
        "What happens while a run still runs.",
    ),
    key("enabled", Shape::Boolean, "Whether it fires; default true."),
    key("inputs", Shape::Map(&Shape::Any), "Inputs of the runs that it starts."),
    key("jitter", super::DELAY, "A random delay of at most this."),
    key("max_lag", super::TIMEOUT, "A fire later than this counts as missed."),
];
