//! Skills as people write them: a `skill.json`, and an entry of `skills` in a definition.

use super::{
    COUNT, DELAY, Key, ObjectShape, Shape, TIMEOUT, key,
    policy::{ENFORCEMENT, SANDBOX_CHOICE},
    required,
};

/// A whole `skill.json`.
pub static MANIFEST: ObjectShape =
    ObjectShape { title: "SkillManifest", about: "A skill, as in `skill.json`.", keys: &MANIFEST_KEYS };

/// An entry of `skills`: its key is its name.
pub static SKILL: ObjectShape = ObjectShape { title: "Skill", about: "An inline skill.", keys: &SKILL_KEYS };

static MANIFEST_KEYS: [Key; 13] = keys(required("name", Shape::Text, "Its name: that of its folder."));

static SKILL_KEYS: [Key; 13] = keys(key("name", Shape::Text, "Its name: the key under which it stands."));

const fn keys(name: Key) -> [Key; 13] {
    [
        name,
        key("version", Shape::Version, "Its version."),
        key("description", Shape::Text, "What it does."),
        required(
            "command",
            Shape::List { of: &Shape::Text, least: 1 },
            "The program and its arguments; with the protocol `text` the arguments are templates over `inputs`.",
        ),
        key("protocol", Shape::Word(&["json-stdio@1", "text"]), "How it speaks; default json-stdio@1."),
        key("parse", Shape::Word(&["json"]), "How the text of a `text` skill is read; default as text."),
        key("inputs", SCHEMA, "JSON Schema of its inputs."),
        key("outputs", SCHEMA, "JSON Schema of its result."),
        key("limits", Shape::Object(&LIMITS), "Limits of each attempt."),
        key("sandbox", SANDBOX_CHOICE, "What it can see and do."),
        key(
            "env",
            Shape::Map(&Shape::Text),
            "Variables of the program; with the protocol `text` their values are templates over `inputs`.",
        ),
        key("events", Shape::Boolean, "Whether it writes events on descriptor 3; default false."),
        key("idempotent", Shape::Boolean, "Whether it may run again after a crash; default true."),
    ]
}

/// A JSON Schema; whether it is one is for the engine to say.
const SCHEMA: Shape = Shape::Either(&[Shape::Map(&Shape::Any), Shape::Boolean]);

/// `limits` of a skill: the keys of `resource_limits` that make sense for one step, and its timeouts.
pub static LIMITS: ObjectShape = ObjectShape {
    title: "SkillLimits",
    about: "Limits of each attempt; the tightest of skill, step and run wins.",
    keys: &[
        key("timeout", TIMEOUT, "Wall-clock limit."),
        key("idle_timeout", TIMEOUT, "Longest silence."),
        key("grace", DELAY, "Time from SIGTERM to SIGKILL."),
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
        key("output", Shape::Size { zero: true }, "Size of its whole output; default 16 MiB."),
        key("io_read_bps", Shape::Size { zero: false }, "Bytes a second read from disk."),
        key("io_write_bps", Shape::Size { zero: false }, "Bytes a second written to disk."),
        key("enforcement", Shape::Word(ENFORCEMENT), "Whether a limit that cannot be held refuses the run."),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::policy;

    #[test]
    fn limits_are_those_of_steps_and_timeouts() {
        let written = |keys: &[Key]| -> Vec<String> {
            keys.iter().map(|key| format!("{} {:?}", key.name, key.shape)).collect()
        };
        let mut of_steps = written(policy::LIMITS.keys);
        of_steps.retain(|key| !key.starts_with("max_concurrent_steps "));
        let of_skills = written(LIMITS.keys);
        assert_eq!(of_skills[3..], of_steps[..]);
    }

    #[test]
    fn a_manifest_has_a_name_and_an_entry_need_not() {
        let names = |shape: &'static ObjectShape| -> Vec<&str> {
            shape.keys.iter().filter(|key| key.required).map(|key| key.name).collect()
        };
        assert_eq!(names(&MANIFEST), ["name", "command"]);
        assert_eq!(names(&SKILL), ["command"]);
    }
}
