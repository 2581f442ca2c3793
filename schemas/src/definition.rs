//! The workflow definition as people write it: one table of its keys and the shapes of their values.
//!
//! The table is the only list of keys. The engine's reading pass judges a file by it, the JSON Schema that
//! `q workflow schema` prints is drawn from it, and so is the reference. It holds no rule that needs more than
//! one value (references, limits that exclude each other): those live in the engine's `check`.

pub mod agent;
pub mod policy;
pub mod schema;
pub mod skill;
pub mod step;
pub mod workflow;

pub use schema::{json_schema, json_schema_of};
pub use workflow::WORKFLOW;

/// Longest name of a workflow.
pub const MAX_NAME: usize = 100;
/// Longest id of a step.
pub const MAX_STEP_ID: usize = 64;
/// What no step may be called: references and expressions use these for something else.
pub const RESERVED_IDS: [&str; 10] =
    ["context", "inputs", "item", "index", "run", "steps", "in", "true", "false", "null"];

/// Keys that may stand in every object of ours and mean nothing to the engine.
pub fn is_extension(key: &str) -> bool {
    key == "$schema" || key.starts_with("x-")
}

/// An object with a closed list of keys.
#[derive(Debug)]
pub struct ObjectShape {
    /// Name in the JSON Schema.
    pub title: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

/// One key of an object.
#[derive(Debug)]
pub struct Key {
    /// The word in the file.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What its value looks like.
    pub shape: Shape,
    /// What it is for, in one line.
    pub about: &'static str,
}

/// An object whose `type` says which further keys it has.
#[derive(Debug)]
pub struct TaggedShape {
    /// Name in the JSON Schema.
    pub title: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Keys of every kind; `type` is not among them.
    pub common: &'static [Key],
    /// The kinds, in the order of the reference.
    pub kinds: &'static [KindShape],
}

/// One kind of a tagged object.
#[derive(Debug)]
pub struct KindShape {
    /// The word in `type`.
    pub word: &'static str,
    /// Name in the JSON Schema.
    pub title: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Keys that only this kind has.
    pub keys: &'static [Key],
}

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Any JSON value; nothing below it is read.
    Any,
    /// Any JSON value; strings in it may hold references.
    Value,
    /// A string.
    Text,
    /// A string that may hold references.
    Template,
    /// A string that is an expression.
    Expression,
    /// The name of a workflow.
    Name,
    /// A semantic version.
    Version,
    /// The id of a step.
    StepId,
    /// A failure code, perhaps with a word of its own after a colon.
    FailureCode,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A number greater than zero.
    Positive,
    /// Seconds, or text such as `"1h30m"`.
    Duration {
        /// Whether it may be nothing.
        zero: bool,
    },
    /// Bytes, or text such as `"512MiB"`.
    Size {
        /// Whether it may be nothing.
        zero: bool,
    },
    /// One of a closed list of words.
    Word(&'static [&'static str]),
    /// An object with a closed list of keys.
    Object(&'static ObjectShape),
    /// An object whose kind is said by its `type`.
    Tagged(&'static TaggedShape),
    /// An object with any keys and values of one shape.
    Map(&'static Shape),
    /// An array of values of one shape.
    List {
        /// The shape of each.
        of: &'static Shape,
        /// How many there must be.
        least: usize,
    },
    /// One of several shapes, told apart by their JSON types.
    Either(&'static [Shape]),
    /// The shape, or `null`, which stands for absent.
    Nullable(&'static Shape),
}

/// A key that may be left out.
const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, required: false, shape, about }
}

/// A key that must be there.
const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, required: true, shape, about }
}

/// A list of any length.
const fn list(of: &'static Shape) -> Shape {
    Shape::List { of, least: 0 }
}

/// A whole number of at least one.
const COUNT: Shape = Shape::Integer { least: 1, most: u32::MAX as u64 };
/// A time that must be longer than nothing.
const TIMEOUT: Shape = Shape::Duration { zero: false };
/// A time that may be nothing.
const DELAY: Shape = Shape::Duration { zero: true };
