//! [`Template`]: a value of the definition that may hold references, and how it is filled in.
//!
//! Values that flow are text all the way ([`Json`]): nothing here builds a tree of one, so that a hostile output
//! of 16 MiB costs its text and no more. How references are read from a file is `check`'s part.

mod fill;
mod outputs;
mod select;
mod splice;

use std::{collections::BTreeMap, fmt, sync::Arc};

use schemas::json::Json;

pub use fill::{FillError, Scope};
pub use outputs::{missing_output, output, outputs_object};
pub use select::{elements, members, select, single_member};
pub use splice::{array, object, text_form};

use crate::{expr::Program, plan::StepId};

/// A value of `inputs`, `outputs`, `env`, `cwd`: parsed once, filled in at each use.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// A value without references, byte for byte.
    Literal(Json),
    /// The whole string is one reference: the value keeps its type.
    Reference(Reference),
    /// The whole string is one expression: its value keeps its type.
    Expression(Program),
    /// Text with references or expressions in it: the parts are joined.
    Text(Vec<Part>),
    /// An object with at least one reference somewhere below, in the order of the file.
    Object(Vec<(String, Template)>),
    /// An array with at least one reference somewhere below.
    Array(Vec<Template>),
}

/// A piece of a text template.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// The text form of a value: strings as they are, other values as compact JSON.
    Value(Reference),
    /// The text form of what an expression gives.
    Expression(Program),
}

/// A resolved reference: where to start and which way to go from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Where it starts.
    pub root: Root,
    /// Names and indices from there.
    pub path: Vec<Segment>,
    /// As the user wrote it, for messages.
    pub text: String,
}

/// Where a reference starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Root {
    /// `<step>.…`: an output of the step by name, `data` or `text`; without a path all of them as one object.
    Step(StepId),
    /// `steps["<step>"].…`: the record of the step (`status`, `outputs`, `attempts`, `error`, …).
    StepRecord(StepId),
    /// `steps`: the records of the steps that have ended before, of these by their ids; the path begins with an id.
    Steps(Arc<BTreeMap<String, StepId>>),
    /// The ids of those records.
    StepIds(Arc<BTreeMap<String, StepId>>),
    /// `context.…`: mutable first, then readonly.
    Context,
    /// `inputs.…`: the run's inputs.
    Inputs,
    /// `run.…`: `id`, `attempt`, `scheduled_at`.
    Run,
    /// The item of the turn of a loop around.
    Item(StepId),
    /// The 0-based number of the turn of a loop around.
    Index(StepId),
}

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// `.name` or `["name"]`.
    Key(String),
    /// `[0]`.
    Index(u64),
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Key(name) => write!(f, "[{name:?}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
