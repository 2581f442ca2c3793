//! [`Json`]: one JSON value as its validated text. It does not build a tree: a 16 MiB array of small
//! objects costs 1.4 GiB as `serde_json::Value` and 16 MiB as text.

mod part;

use std::sync::Arc;

pub use part::{element, member, only_member};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value, kept as the text in which it came. Cloning is cheap (a counter), and so is taking a large part.
///
/// What comes from outside is made compact, and checked beyond the grammar, where it is read.
///
/// Equality is that of the text: `1.0` and `1` differ.
#[derive(Clone)]
pub struct Json(Text);

/// From this length on, in bytes, a text is shared with its parts instead of being copied.
const SHARED_MIN: usize = 4096;

#[derive(Clone)]
enum Text {
    Own(Arc<str>),
    /// A large text, or the part of it between two places.
    Shared {
        of: Arc<String>,
        start: usize,
        end: usize,
    },
}

impl Json {
    /// The value `null`.
    pub fn null() -> Self {
        Self(Text::Own("null".into()))
    }

    /// Takes text that must be exactly one JSON value (white space around it is cut).
    ///
    /// The check streams: no tree is built.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self::joined(raw.get().to_owned()))
    }

    /// Takes a text that was put together from the texts of values, and is one value by that.
    pub fn joined(text: String) -> Self {
        if text.len() < SHARED_MIN {
            return Self(Text::Own(text.into()));
        }
        let end = text.len();
        Self(Text::Shared { of: Arc::new(text), start: 0, end })
    }

    /// The value whose text is `part`, which stands in the text of this one.
    #[must_use]
    pub fn part(&self, part: &str) -> Self {
        let place = (part.as_ptr() as usize).wrapping_sub(self.as_str().as_ptr() as usize);
        match &self.0 {
            Text::Shared { of, start, end }
                if part.len() >= SHARED_MIN
                    && place.checked_add(part.len()).is_some_and(|behind| behind <= end - start) =>
            {
                let start = start + place;
                Self(Text::Shared { of: Arc::clone(of), start, end: start + part.len() })
            }
            Text::Shared { .. } | Text::Own(_) => Self::joined(part.to_owned()),
        }
    }

    /// Serializes any value into its JSON text.
    pub fn from_serialize<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::joined(serde_json::to_string(value)?))
    }

    /// The text of the value.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Own(text) => text,
            Text::Shared { of, start, end } => &of[*start..*end],
        }
    }

    /// The text of the value, for good: copied only if others hold it too.
    pub fn into_string(self) -> String {
        match self.0 {
            Text::Shared { of, start: 0, end } if end == of.len() => Arc::unwrap_or_clone(of),
            other @ (Text::Own(_) | Text::Shared { .. }) => Self(other).as_str().to_owned(),
        }
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether the text is empty; it never is (the shortest value is one character).
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.as_str()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::joined(Box::<str>::from(raw).into()))
    }
}

impl schemars::JsonSchema for Json {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of `[<text>]` between the brackets, and whether it shares the whole's text.
    fn inner(text: &str) -> (Json, bool) {
        let whole = Json::joined(format!("[{text}]"));
        let part = whole.part(&whole.as_str()[1..=text.len()]);
        let shares = part.as_str().as_ptr() == whole.as_str()[1..].as_ptr();
        (part, shares)
    }

    #[test]
    fn large_parts_are_not_copied() {
        let large = format!("\"{}\"", "x".repeat(SHARED_MIN));
        for (text, shared) in [("7", false), (&large, true)] {
            let (part, shares) = inner(text);
            assert_eq!((part.as_str(), shares), (text, shared));
            let (again, shares) = (part.part(part.as_str()), shared);
            assert_eq!((again.as_str(), shares), (text, shared));
            assert_eq!(part.into_string(), text);
        }
    }

    #[test]
    fn a_text_from_elsewhere_is_no_part_and_copied() {
        let whole = Json::joined(format!("\"{}\"", "x".repeat(2 * SHARED_MIN)));
        let other = format!("\"{}\"", "y".repeat(SHARED_MIN));
        assert_eq!(whole.part(&other).as_str(), other);
    }
}
