//! Secrets of a step: names of environment variables that only this step gets.

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
