//! [`Kinds`]: of which types a value may be. What the types of operands make of an operator or a function is here; the
//! evaluation in `operators` and `functions` is the measure, and tests hold both together.

use std::fmt;

use super::{
    functions::{Function, Part},
    operators::Operator,
};

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u16);

/// The types by their names, in the order of their bits.
const NAMES: [&str; 12] = [
    "null",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "list",
    "map",
    "bytes",
    "timestamp",
    "duration",
    "type",
];

impl Kinds {
    /// No value at all: what gives it always fails.
    pub const NONE: Self = Self(0);
    /// `null`.
    pub const NULL: Self = Self(1);
    /// `true` and `false`.
    pub const BOOL: Self = Self(1 << 1);
    /// Whole numbers of 64 bits.
    pub const INT: Self = Self(1 << 2);
    /// Whole numbers that an int cannot hold.
    pub const UINT: Self = Self(1 << 3);
    /// Other numbers.
    pub const DOUBLE: Self = Self(1 << 4);
    /// Strings.
    pub const TEXT: Self = Self(1 << 5);
    /// Arrays.
    pub const LIST: Self = Self(1 << 6);
    /// Objects.
    pub const MAP: Self = Self(1 << 7);
    pub(super) const BYTES: Self = Self(1 << 8);
    pub(super) const TIMESTAMP: Self = Self(1 << 9);
    pub(super) const DURATION: Self = Self(1 << 10);
    pub(super) const TYPE: Self = Self(1 << 11);
    /// Everything that JSON can be.
    pub const JSON: Self = Self(0xff);
    /// Everything.
    pub const ANY: Self = Self(0xfff);
    /// All numbers.
    pub const NUMBER: Self = Self::INT.or(Self::UINT).or(Self::DOUBLE);

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no type is in both.
    pub fn misses(self, other: Self) -> bool {
        self.and(other) == Self::NONE
    }

    /// Whether no value is possible.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The types of the values as JSON: what JSON does not have becomes a string.
    #[must_use]
    pub fn as_json(self) -> Self {
        if self.and(Self::JSON) == self { self } else { self.and(Self::JSON).or(Self::TEXT) }
    }

    /// The types one by one.
    fn each(self) -> impl Iterator<Item = Self> {
        (0..NAMES.len()).map(|bit| Self(1 << bit)).filter(move |one| !self.misses(*one))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Self::INT.or(Self::UINT);
        let (rest, mut words) = match *self {
            Self::JSON => (Self::NONE, vec!["a JSON value"]),
            kinds if kinds.and(Self::NUMBER) == Self::NUMBER => {
                (Self(kinds.0 & !Self::NUMBER.0), vec!["number"])
            }
            kinds if kinds.and(whole) == whole => (Self(kinds.0 & !whole.0), vec!["int"]),
            kinds => (kinds, Vec::new()),
        };
        words.extend(
            NAMES.into_iter().zip(0..).filter(|(_, bit)| !rest.misses(Self(1 << bit))).map(|(name, _)| name),
        );
        f.write_str(&words.join(" or "))
    }
}

impl Operator {
    /// What it gives for operands of these types; nothing where it never takes them.
    pub(super) fn kinds(self, left: Kinds, right: Kinds) -> Kinds {
        let mut gives = Kinds::NONE;
        for left in left.each() {
            for right in right.each() {
                gives = gives.or(self.of_two(left, right));
            }
        }
        gives
    }

    /// Of one type each.
    fn of_two(self, left: Kinds, right: Kinds) -> Kinds {
        let is = |a, b| left == a && right == b;
        let both = |kinds: Kinds| if left == right { left.and(kinds) } else { Kinds::NONE };
        let numbers = left.and(Kinds::NUMBER) == left && right.and(Kinds::NUMBER) == right;
        let holds = |takes: bool| if takes { Kinds::BOOL } else { Kinds::NONE };
        match self {
            Self::Equal | Self::NotEqual => Kinds::BOOL,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => {
                let ordered =
                    Kinds::BOOL.or(Kinds::TEXT).or(Kinds::BYTES).or(Kinds::TIMESTAMP).or(Kinds::DURATION);
                holds(numbers || !both(ordered).is_none())
            }
            Self::Add if is(Kinds::TIMESTAMP, Kinds::DURATION) || is(Kinds::DURATION, Kinds::TIMESTAMP) => {
                Kinds::TIMESTAMP
            }
            Self::Add => {
                both(Kinds::NUMBER.or(Kinds::TEXT).or(Kinds::BYTES).or(Kinds::LIST).or(Kinds::DURATION))
            }
            Self::Subtract if is(Kinds::TIMESTAMP, Kinds::TIMESTAMP) => Kinds::DURATION,
            Self::Subtract if is(Kinds::TIMESTAMP, Kinds::DURATION) => Kinds::TIMESTAMP,
            Self::Subtract => both(Kinds::NUMBER.or(Kinds::DURATION)),
            Self::Multiply | Self::Divide => both(Kinds::NUMBER),
            Self::Modulo => both(Kinds::INT.or(Kinds::UINT)),
            Self::In => holds(!right.misses(Kinds::LIST.or(Kinds::MAP))),
        }
    }
}

/// What a function takes and gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    pub(super) first: Kinds,
    pub(super) second: Kinds,
    pub(super) gives: Kinds,
}

impl Function {
    /// What it takes and gives.
    pub(super) fn signature(self) -> Signature {
        let text = Kinds::TEXT;
        let from_number = Kinds::NUMBER.or(text);
        let (first, gives) = match self {
            Self::Size => (text.or(Kinds::BYTES).or(Kinds::LIST).or(Kinds::MAP), Kinds::INT),
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches => (text, Kinds::BOOL),
            Self::Int => (from_number.or(Kinds::TIMESTAMP), Kinds::INT),
            Self::Uint => (from_number, Kinds::UINT),
            Self::Double => (from_number, Kinds::DOUBLE),
            Self::Text => {
                (from_number.or(Kinds::BOOL).or(Kinds::BYTES).or(Kinds::TIMESTAMP).or(Kinds::DURATION), text)
            }
            Self::Bytes => (text.or(Kinds::BYTES), Kinds::BYTES),
            Self::Bool => (text.or(Kinds::BOOL), Kinds::BOOL),
            // It is how one says that the type does not matter.
            Self::Dyn => (Kinds::ANY, Kinds::ANY),
            Self::Type => (Kinds::ANY, Kinds::TYPE),
            Self::Timestamp => (text.or(Kinds::INT).or(Kinds::TIMESTAMP), Kinds::TIMESTAMP),
            Self::Duration => (text.or(Kinds::DURATION), Kinds::DURATION),
            Self::Part(Part::Hours | Part::Minutes | Part::Seconds | Part::Milliseconds) => {
                (Kinds::TIMESTAMP.or(Kinds::DURATION), Kinds::INT)
            }
            Self::Part(
                Part::FullYear
                | Part::Month
                | Part::DayOfYear
                | Part::DayOfMonth
                | Part::Date
                | Part::DayOfWeek,
            ) => (Kinds::TIMESTAMP, Kinds::INT),
        };
        Signature { first, second: text, gives }
    }
}
