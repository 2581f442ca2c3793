//! Any text as an expression: it is compiled and evaluated, or refused. It never panics, aborts or hangs.
//!
//! `cargo +nightly fuzz run expression -- -max_len=4096 -timeout=1 -malloc_limit_mb=64`

#![no_main]

use libfuzzer_sys::fuzz_target;
use schemas::json::Json;
use workflow_engine::{
    expr::{Bound, Names, Path, Program},
    value::{Reference, Root, Scope, Segment, select},
};

/// What the names stand for: something of every type, and names with hyphens.
const VALUES: &str = r#"{"a":1,"b":-2.5,"a-b":[1,2,{"c":"d"}],"s":"text","l":[1,2,3,4,5,6,7,8,9,10],
    "m":{"k":null,"n":{"o":[true,false]}},"big":18446744073709551615}"#;

struct Values;

impl Names for Values {
    fn has(&self, name: &str) -> bool {
        ["a", "b", "a-b", "s", "l", "m", "big"].contains(&name)
    }

    fn bind(&mut self, path: &Path) -> Bound {
        if !self.has(&path.head) {
            return Bound::Unknown("there is no such name".to_owned());
        }
        let mut way = vec![Segment::Key(path.head.clone())];
        way.extend(path.segments.iter().map(|(segment, _)| segment.clone()));
        Bound::To(Reference { root: Root::Inputs, path: way, text: path.to_string() })
    }
}

impl Scope for Values {
    fn resolve(&self, _: &Root, path: &[Segment]) -> Option<Json> {
        select(&Json::parse(VALUES).ok()?, path)
    }
}

fuzz_target!(|text: &str| {
    if let Ok(program) = Program::compile(text, &mut Values) {
        let _either = program.evaluate(&Values);
        let _either = program.condition(&Values);
    }
});
