//! `docs/reference/definition.md`: every key of what people write, drawn from the table by which files are judged.
//! The page says what each value looks like; what belongs together is explained in the guide, to which it links.

use std::{fmt::Write as _, ptr};

use schemas::definition::{
    Key, KindShape, MAX_NAME, MAX_STEP_ID, ObjectShape, RESERVED_IDS, Shape, TaggedShape, WORKFLOW,
    agent::AGENT, skill::MANIFEST,
};

/// What stands in a file of its own.
const ROOTS: [&ObjectShape; 3] = [&WORKFLOW, &MANIFEST, &AGENT];

/// The page of the guide for an object, or for a kind of one.
const GUIDE: &[(&str, &str)] = &[
    ("Workflow", "workflows"),
    ("Input", "inputs-and-outputs"),
    ("Context", "context"),
    ("Step", "workflows"),
    ("SkillStep", "skill-steps"),
    ("AgentStep", "agents"),
    ("SequenceStep", "sequence"),
    ("ParallelStep", "parallel"),
    ("ConditionalStep", "conditional"),
    ("LoopStep", "loops"),
    ("WorkflowStep", "sub-workflows"),
    ("Strategy", "errors-and-retries"),
    ("Scale", "errors-and-retries"),
    ("ErrorHandling", "errors-and-retries"),
    ("Rollback", "rollback"),
    ("ResourceLimits", "limits"),
    ("Sandbox", "isolation"),
    ("Network", "isolation"),
    ("Guardrails", "guardrails"),
    ("Filesystem", "guardrails"),
    ("ScheduleTrigger", "triggers"),
    ("ManualTrigger", "triggers"),
    ("Agent", "agents"),
    ("Price", "guardrails"),
    ("Skill", "writing-a-skill"),
    ("SkillManifest", "writing-a-skill"),
    ("SkillLimits", "limits"),
];

/// Rules that bind several keys, and so stand in no row.
const TOGETHER: &[(&str, &str)] = &[
    ("Step", "Which further keys it has is said by `type`, which is required."),
    (
        "LoopStep",
        "The body is required, by one of its two names; so is exactly one of `condition` and `for_each`. \
         `max_concurrent` and `as` belong to `for_each`.",
    ),
    ("Strategy", "In a list of strategies each but the last has `on`."),
    (
        "ResourceLimits",
        "Of `max_memory_mb` and `memory` one may be given, and of `max_cpu_percent` and `cpu`.",
    ),
    ("SkillLimits", "Of `max_memory_mb` and `memory` one may be given, and of `max_cpu_percent` and `cpu`."),
    ("Trigger", "Which further keys it has is said by `type`, which is required."),
];

/// An object with a section of its own.
#[derive(Clone, Copy)]
enum Section {
    Object(&'static ObjectShape),
    Tagged(&'static TaggedShape),
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Object(shape) => shape.title,
            Self::Tagged(shape) => shape.title,
        }
    }

    /// Its tables of keys, each with the title under which it stands.
    fn tables(self) -> Vec<(&'static str, &'static [Key])> {
        match self {
            Self::Object(shape) => vec![(shape.title, shape.keys)],
            Self::Tagged(shape) => {
                let kinds = shape.kinds.iter().map(|kind| (kind.title, kind.keys));
                [(shape.title, shape.common)].into_iter().chain(kinds).collect()
            }
        }
    }

    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Object(a), Self::Object(b)) => ptr::eq(a, b),
            (Self::Tagged(a), Self::Tagged(b)) => ptr::eq(a, b),
            (Self::Object(_), Self::Tagged(_)) | (Self::Tagged(_), Self::Object(_)) => false,
        }
    }
}

/// Every object of what people write, in the order in which a reader meets them.
fn sections() -> Vec<Section> {
    let mut met: Vec<Section> = Vec::new();
    let mut next = 0;
    for root in ROOTS {
        meet(Section::Object(root), &mut met);
        while let Some(section) = met.get(next).copied() {
            next += 1;
            for key in section.tables().into_iter().flat_map(|(_, keys)| keys) {
                for section in below(&key.shape) {
                    meet(section, &mut met);
                }
            }
        }
    }
    met
}

fn meet(section: Section, met: &mut Vec<Section>) {
    if !met.iter().any(|known| known.is(section)) {
        met.push(section);
    }
}

/// The objects that a shape speaks of, without those inside them.
fn below(shape: &Shape) -> Vec<Section> {
    match shape {
        Shape::Object(shape) => vec![Section::Object(shape)],
        Shape::Tagged(shape) => vec![Section::Tagged(shape)],
        Shape::Map(of) | Shape::List { of, .. } | Shape::Nullable(of) => below(of),
        Shape::Either(shapes) => shapes.iter().flat_map(below).collect(),
        Shape::Any
        | Shape::Value
        | Shape::Text
        | Shape::Template
        | Shape::Expression
        | Shape::Name
        | Shape::Version
        | Shape::StepId
        | Shape::FailureCode
        | Shape::Boolean
        | Shape::Integer { .. }
        | Shape::Positive
        | Shape::Duration { .. }
        | Shape::Size { .. }
        | Shape::Word(_) => Vec::new(),
    }
}

/// A heading as the target of a link.
fn link(title: &str) -> String {
    format!("[{title}](#{})", title.to_lowercase())
}

fn words(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// What a value looks like, in a cell of a table.
fn shown(shape: &Shape) -> String {
    match shape {
        Shape::Any => "any value".to_owned(),
        Shape::Value => "[value](#value)".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Template => "[text with references](#value)".to_owned(),
        Shape::Expression => "[expression](../guide/expressions.md)".to_owned(),
        Shape::Name => "[name](#name)".to_owned(),
        Shape::Version => "[version](#version)".to_owned(),
        Shape::StepId => "[id](#id)".to_owned(),
        Shape::FailureCode => "[failure code](#failure-code)".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer { least, most } if *most == u64::from(u32::MAX) => {
            format!("whole number, at least {least}")
        }
        Shape::Integer { least, most } => format!("whole number, {least} to {most}"),
        Shape::Positive => "number above 0".to_owned(),
        Shape::Duration { zero: true } => "[duration](#duration), may be 0".to_owned(),
        Shape::Duration { zero: false } => "[duration](#duration)".to_owned(),
        Shape::Size { zero: true } => "[size](#size), may be 0".to_owned(),
        Shape::Size { zero: false } => "[size](#size)".to_owned(),
        Shape::Word([only]) => format!("`{only}`"),
        Shape::Word(all) => format!("one of {}", words(all)),
        Shape::Object(shape) => link(shape.title),
        Shape::Tagged(shape) => link(shape.title),
        Shape::Map(of) => format!("object: name → {}", shown(of)),
        Shape::List { of, least: 0 } => format!("list of {}", shown(of)),
        Shape::List { of, least } => format!("list of {}, at least {least}", shown(of)),
        Shape::Either(shapes) => shapes.iter().map(shown).collect::<Vec<_>>().join("; or "),
        Shape::Nullable(shape) => format!("{}, or `null`", shown(shape)),
    }
}

fn table(text: &mut String, keys: &[Key]) {
    if keys.is_empty() {
        return;
    }
    text.push_str("\n| key | value | meaning |\n|---|---|---|\n");
    for key in keys {
        let required = if key.required { "**required.** " } else { "" };
        line(text, &format!("| `{}` | {} | {required}{} |", key.name, shown(&key.shape), key.about));
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// What stands under a heading before its table.
fn about(text: &mut String, title: &str, about: &str) {
    let of =
        |table: &[(&str, &'static str)]| table.iter().find(|(of, _)| *of == title).map(|(_, words)| *words);
    let guide = of(GUIDE)
        .map_or(String::new(), |page| format!(" Guide: [{}](../guide/{page}.md).", page.replace('-', " ")));
    let together = of(TOGETHER).map_or(String::new(), |rule| format!(" {rule}"));
    line(text, &format!("\n{about}{together}{guide}"));
}

/// Which keys hold this object.
fn places(section: Section, all: &[Section]) -> String {
    let mut places = Vec::new();
    for (title, keys) in all.iter().flat_map(|holder| holder.tables()) {
        let holding = keys.iter().filter(|key| below(&key.shape).iter().any(|below| below.is(section)));
        let names: Vec<_> = holding.map(|key| key.name).collect();
        if !names.is_empty() {
            places.push(format!("{} of {}", words(&names), link(title)));
        }
    }
    if ROOTS.iter().any(|root| section.is(Section::Object(root))) {
        places.push("a file of its own".to_owned());
    }
    places.join("; ")
}

fn draw(text: &mut String, section: Section, all: &[Section]) {
    line(text, &format!("\n## {}", section.title()));
    match section {
        Section::Object(shape) => about(text, shape.title, shape.about),
        Section::Tagged(shape) => about(text, shape.title, shape.about),
    }
    line(text, &format!("\nStands in: {}.", places(section, all)));
    match section {
        Section::Object(shape) => table(text, shape.keys),
        Section::Tagged(shape) => {
            table(text, shape.common);
            for kind in shape.kinds {
                draw_kind(text, kind);
            }
        }
    }
}

fn draw_kind(text: &mut String, kind: &KindShape) {
    line(text, &format!("\n### {}", kind.title));
    about(text, kind.title, &format!("`\"type\": \"{}\"`. {}", kind.word, kind.about));
    table(text, kind.keys);
}

/// The shapes of single values.
fn scalars() -> String {
    let reserved = words(&RESERVED_IDS);
    format!(
        "## Single values\n\n\
         ### Value\n\n\
         Any JSON value. Texts in it may be [references or templates](../guide/values.md).\n\n\
         ### Name\n\n\
         Letters, digits, `.`, `_` and `-`, a letter or digit first, at most {MAX_NAME}.\n\n\
         ### Version\n\n\
         A semantic version: `1.0.0`, `2.1.0-beta.1`.\n\n\
         ### Id\n\n\
         Letters, digits, `_` and `-`, no `-` first, at most {MAX_STEP_ID}; unique in the whole file. \
         These mean something else and are refused: {reserved}.\n\n\
         ### Duration\n\n\
         A whole number of seconds, or text: `\"250ms\"`, `\"30s\"`, `\"10m\"`, `\"1h30m\"`.\n\n\
         ### Size\n\n\
         A whole number of bytes, or text: `\"512MiB\"` (1024s), `\"2GB\"` (1000s).\n\n\
         ### Failure code\n\n\
         One of the [failure codes](failure-codes.md); `skill_error` and `guardrail_exceeded` may be narrowed, \
         as in `skill_error:NOT_FOUND`.\n"
    )
}

#[test]
fn definition() {
    let all = sections();
    let mut text = format!(
        "Every key of a workflow definition, of a skill's manifest and of an agent's file: what its value looks like, \
         what it means, and what holds when it is left out. The check, the JSON Schema \
         (`q workflow schema`) and this page are drawn from one table.\n\n\
         Keys that begin with `x-`, and `$schema`, may stand everywhere and mean nothing. Any other unknown key is \
         an [error](../errors/E012.md).\n\n{}",
        scalars()
    );
    for section in &all {
        draw(&mut text, *section, &all);
    }
    super::check_fresh("docs/reference/definition.md", &super::page("Definition", &text));
}

#[test]
fn what_is_said_by_title_is_said_of_something() {
    let all = sections();
    let titles: Vec<_> = all.iter().flat_map(|section| section.tables()).map(|(title, _)| title).collect();
    for (title, _) in GUIDE.iter().chain(TOGETHER) {
        assert_eq!(titles.iter().filter(|known| *known == title).count(), 1, "{title}: {titles:?}");
    }
}
