//! What expressions give, and what they may cost.

mod hostile;
mod language;
mod oracle;
mod types;

use std::collections::BTreeMap;

use schemas::json::Json;

use super::{Bound, CompileError, Error, Names, Path, Program};
use crate::value::{Reference, Root, Scope, Segment, select};

/// Names with values, as `eval` has them.
#[derive(Debug, Clone, Default)]
struct Variables(BTreeMap<String, Json>);

impl Variables {
    fn new(object: &str) -> Self {
        Self(serde_json::from_str(object).unwrap())
    }

    fn compile(&self, expression: &str) -> Result<Program, CompileError> {
        Program::compile(expression, &mut self.clone())
    }

    fn evaluate(&self, expression: &str) -> Result<Json, Error> {
        self.compile(expression).unwrap_or_else(|error| panic!("{expression}: {error:?}")).evaluate(self)
    }
}

impl Names for Variables {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn bind(&mut self, path: &Path) -> Bound {
        if !self.has(&path.head) {
            return Bound::Unknown(format!("there is no `{}`", path.head));
        }
        let mut way = vec![Segment::Key(path.head.clone())];
        way.extend(path.segments.iter().map(|(segment, _)| segment.clone()));
        Bound::To(Reference { root: Root::Inputs, path: way, text: path.to_string() })
    }
}

impl Scope for Variables {
    fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
        let Segment::Key(name) = &path[0] else { return None };
        select(self.0.get(name)?, &path[1..])
    }

    fn weight(&self, _: &Root, path: &[Segment]) -> usize {
        let Segment::Key(name) = &path[0] else { return 0 };
        self.0.get(name).map_or(0, Json::len)
    }
}
