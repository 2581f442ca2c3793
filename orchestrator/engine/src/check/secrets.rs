//! Secrets: names of environment variables that only one step gets, and inputs whose values are never stored.

use super::Check;
use crate::{diagnostic::codes::BAD_SECRET, load::Node};

impl<'a> Check<'a, '_> {
    /// The names of a step's secrets; those that cannot be names are reported.
    pub(super) fn secrets(&mut self, step: &'a Node) -> Vec<String> {
        let mut names = Vec::new();
        for node in step.get("secrets").map_or(&[][..], Node::elements) {
            let Some(name) = node.as_text() else { continue };
            if is_secret_name(name) {
                names.push(name.to_owned());
                continue;
            }
            self.problems
                .report(BAD_SECRET, node.span.range(), format!("`{name}` cannot be the name of a secret"))
                .hint("a secret becomes an environment variable: letters, digits and `_`; not `LD_…` or `WORKFLOW_…`");
        }
        names
    }

    /// Whether a declared input is secret.
    pub(super) fn is_secret_input(&self, name: &str) -> bool {
        let declaration = self.definition.root.get("inputs").and_then(|inputs| inputs.get(name));
        declaration.and_then(|node| node.get("secret")).and_then(Node::as_bool).unwrap_or(false)
    }

    /// Whether any declared input is secret.
    pub(super) fn has_secret_inputs(&self) -> bool {
        let inputs = self.definition.root.get("inputs").map_or(&[][..], Node::members);
        inputs.iter().any(|input| self.is_secret_input(&input.key))
    }

    /// Does something for which secret inputs may be handed on as they are.
    pub(super) fn handing_on<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.hands_on, true);
        let done = act(self);
        self.hands_on = before;
        done
    }
}

/// Whether a secret may have this name: it becomes a variable of the step's environment, and neither one that the
/// engine sets itself nor one that the dynamic linker obeys (ld.so(8)).
pub fn is_secret_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        && name.len() <= 100
        && !["LD_", "WORKFLOW_"].iter().any(|taken| name.starts_with(taken))
}

#[cfg(test)]
mod tests {
    use super::is_secret_name;

    #[test]
    fn names_of_variables_are_names_of_secrets() {
        for name in ["TOKEN", "_x", "a1_B"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "1A", "A-B", "A B", "Ä", "LD_PRELOAD", "WORKFLOW_RUN_ID", &"A".repeat(101)] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
