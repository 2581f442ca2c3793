//! The names that become parts of paths, checked once at the edge: [`RunId`] and [`SafeName`].
//!
//! What holds one of these cannot leave its directory, whatever the user or a file said.

use std::{fmt, str::FromStr};

use uuid::Uuid;

const NAME_MAX: usize = 100;

/// Why a text cannot be such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A run's id is a UUID in its usual form.
    #[error("use {0:?} as the id of a run: it is not a UUID")]
    RunId(String),
    /// A name is letters, digits, `.`, `_` and `-`, does not begin with a dot or hyphen, and has at most
    /// 100 characters.
    #[error("use {0:?} as a name: only A-Z a-z 0-9 . _ -, beginning with a letter, digit or _, at most 100")]
    Name(String),
    /// The indices of the loops around a step do not fit into a file name.
    #[error("name the directory of step {step:?}: it stands in {loops} loops, which is too deep")]
    TooDeep {
        /// The step.
        step: String,
        /// Number of loops around it.
        loops: usize,
    },
}

/// Id of a run: a UUID v7, so that ids sort by the time of their creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(Uuid);

impl RunId {
    /// A new id, greater than all that this process made before.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// As [`FromStr`], for bytes that are known to be in the printed form if they are a UUID at all.
    pub(super) fn from_ascii(bytes: &[u8]) -> Option<Self> {
        Uuid::try_parse_ascii(bytes).ok().map(Self)
    }
}

impl FromStr for RunId {
    type Err = Error;

    /// Takes the form that [`RunId`] prints (`0197…-…-7…-…-…`, lower case): one id, one directory name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| Error::RunId(shorten(text)))?;
        if id.to_string() == text { Ok(id) } else { Err(Error::RunId(shorten(text))) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl serde::Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a definition, skill, agent or step: one harmless part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafeName(String);

impl SafeName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SafeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_safe(text) { Ok(Self(text.to_owned())) } else { Err(Error::Name(shorten(text))) }
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_safe(text: &str) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let all_well = text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'));
    begins_well && all_well && text.len() <= NAME_MAX
}

/// As much of a refused text as a message can bear.
fn shorten(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, safe: bool) {
        assert_eq!(text.parse::<SafeName>().is_ok(), safe, "{text:?}");
    }

    #[test]
    fn names_cannot_leave_their_directory() {
        for text in ["a", "9", "_", "a.b", "a..b", "fetch-data_2", &"x".repeat(100)] {
            check(text, true);
        }
        for text in ["", ".", "..", "../a", "a/b", "/", "a\0b", "a\nb", ".hidden", "-f", "a b", "é", "a@0"] {
            check(text, false);
        }
        check(&"x".repeat(101), false);
    }

    #[test]
    fn only_the_printed_form_is_a_run_id() {
        let id = RunId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [id.to_string().to_uppercase(), id.to_string().replace('-', ""), format!("{{{id}}}")] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        assert!("../../etc".parse::<RunId>().is_err());
    }

    #[test]
    fn later_ids_are_greater() {
        let ids: Vec<_> = std::iter::repeat_with(RunId::generate).take(1000).collect();
        assert!(ids.is_sorted());
        let texts: Vec<_> = ids.iter().map(RunId::to_string).collect();
        assert!(texts.is_sorted());
    }
}
