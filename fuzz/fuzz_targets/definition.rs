//! Any bytes as a definition in JSON, JSON with comments and YAML: it is loaded and checked, or refused, and every
//! problem has its place in the text. It never panics, aborts or hangs.
//!
//! `cargo +nightly fuzz run definition fuzz/corpus/definition examples -- -max_len=65536 -timeout=5`

#![no_main]

use libfuzzer_sys::fuzz_target;
use workflow_engine::{
    check::{Catalog, SkillEntry, check},
    load::{Syntax, display_text, load},
    plan::{Needs, SkillTarget},
};

fuzz_target!(|text: &[u8]| {
    let mut catalog = Catalog::default();
    let echo = SkillEntry::new(SkillTarget::Builtin { needs: Needs::Nothing });
    catalog.skills.insert("echo".to_owned(), echo);
    let shown = display_text(text);
    for syntax in [Syntax::Json, Syntax::Jsonc, Syntax::Yaml] {
        let (plan, problems) = match load(text, syntax) {
            Ok(definition) => {
                // What it says is JSON, and says the same again.
                let json = definition.to_json();
                let again = load(json.as_str().as_bytes(), Syntax::Json).expect("it is JSON");
                assert_eq!(again.to_json().as_str(), json.as_str());
                check(&definition, &catalog)
            }
            Err(problems) => (None, problems),
        };
        assert!(plan.is_some() || !problems.is_empty());
        for problem in &problems {
            assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len() + 1);
            if let Some(suggestion) = &problem.suggestion {
                assert!(shown.get(suggestion.span.clone()).is_some());
            }
        }
    }
});
