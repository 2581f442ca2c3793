//! Durations, sizes and CPU shares as people write them.

use std::time::Duration;

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// A number of MiB, as `max_memory_mb` counts; the largest size where there are too many.
    pub fn from_mebibytes(mebibytes: u32) -> Self {
        Self(u64::from(mebibytes) << 20)
    }

    /// So many times as much; the largest size where there are too many.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "what is estimated needs no last byte")]
        let bytes = self.0 as f64 * factor;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast stays in range")]
        Self((bytes as u64).min(MAX_SIZE.0))
    }
}

/// Longest duration: a hundred years. Sums with times of day stay far from any overflow.
pub const MAX_DURATION: Duration = Duration::from_hours(100 * 366 * 24);
/// Largest size: what a signed 64-bit offset holds.
pub const MAX_SIZE: Bytes = Bytes(i64::MAX as u64);
/// Largest CPU share, in thousandths of a core.
const MAX_CPU_MILLIS: f64 = 1_000_000.0;

/// Why a text or number is no duration, size or share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A number that is not a whole number of at least zero.
    #[error("must be a whole number of {0}")]
    NotWhole(&'static str),
    /// Text that does not follow the form of durations.
    #[error("is not a duration")]
    NotDuration,
    /// A number without its unit.
    #[error("lacks a unit")]
    NoUnit,
    /// A unit that is given twice or after a smaller one.
    #[error("has its units out of order")]
    UnitOrder,
    /// Text that does not follow the form of sizes.
    #[error("is not a size")]
    NotSize,
    /// More than any duration, size or share that has a meaning.
    #[error("is too large")]
    TooLarge,
    /// A share that is not above zero.
    #[error("must be greater than 0")]
    NotPositive,
}

/// Units of durations with their milliseconds, largest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A number in a file: seconds.
pub fn duration_from_number(number: &str) -> Result<Duration, Error> {
    let seconds = whole(number, "seconds")?;
    checked(Duration::from_secs(seconds))
}

/// Text such as `250ms`, `30s` or `1h30m`: whole numbers with units, larger units first.
pub fn duration_from_text(text: &str) -> Result<Duration, Error> {
    if text.is_empty() {
        return Err(Error::NotDuration);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(Error::NotDuration);
        }
        if unit.is_empty() {
            return Err(if after.is_empty() { Error::NoUnit } else { Error::NotDuration });
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(Error::NotDuration);
        }
        let (_, milliseconds) = units.find(|(name, _)| *name == unit).ok_or(Error::UnitOrder)?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*milliseconds));
        total = part.and_then(|part| total.checked_add(part)).ok_or(Error::TooLarge)?;
        rest = after;
    }
    checked(Duration::from_millis(total))
}

/// A number in a file: bytes.
pub fn size_from_number(number: &str) -> Result<Bytes, Error> {
    let bytes = Bytes(whole(number, "bytes")?);
    if bytes > MAX_SIZE { Err(Error::TooLarge) } else { Ok(bytes) }
}

/// Text such as `512MiB` (1024s) or `2GB` (1000s).
pub fn size_from_text(text: &str) -> Result<Bytes, Error> {
    if !is_size(text) {
        return Err(Error::NotSize);
    }
    match parse_size::parse_size(text) {
        Ok(bytes) if Bytes(bytes) <= MAX_SIZE => Ok(Bytes(bytes)),
        Ok(_) | Err(parse_size::Error::PosOverflow) => Err(Error::TooLarge),
        Err(_) => Err(Error::NotSize),
    }
}

/// The form that the JSON Schema tells; the parser takes more (exponents, `1KIB`).
fn is_size(text: &str) -> bool {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '_' | ' ' | '.');
    let (number, unit) = text.split_at(text.find(|c| !is_number(c)).unwrap_or(text.len()));
    let unit = unit.strip_suffix(['b', 'B']).unwrap_or(unit);
    let is_unit = unit.is_empty()
        || matches!(unit.strip_suffix('i').unwrap_or(unit), prefix if prefix.len() == 1 && "kKmMgGtTpPeE".contains(prefix));
    number.starts_with(|c: char| c.is_ascii_digit()) && number.matches('.').count() < 2 && is_unit
}

/// `cpu`: 1.0 is one core. In thousandths of a core, at least one.
pub fn cpu_from_cores(number: &str) -> Result<u32, Error> {
    cpu_millis(number, 1000.0)
}

/// `max_cpu_percent`: 100 is one core. In thousandths of a core, at least one.
pub fn cpu_from_percent(number: &str) -> Result<u32, Error> {
    cpu_millis(number, 10.0)
}

/// Whole milliseconds, as journals and views count; the largest number where there are too many.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn cpu_millis(number: &str, factor: f64) -> Result<u32, Error> {
    let value = number.parse::<f64>().map_err(|_| Error::NotPositive)? * factor;
    if value.is_nan() || value <= 0.0 {
        return Err(Error::NotPositive);
    }
    if value > MAX_CPU_MILLIS {
        return Err(Error::TooLarge);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    Ok((value.round() as u32).max(1))
}

fn whole(number: &str, unit: &'static str) -> Result<u64, Error> {
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        number.parse().map_err(|_| Error::TooLarge)
    } else {
        Err(Error::NotWhole(unit))
    }
}

fn checked(duration: Duration) -> Result<Duration, Error> {
    if duration > MAX_DURATION { Err(Error::TooLarge) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn text(text: &str, expected: Result<u64, Error>) {
        assert_eq!(duration_from_text(text), expected.map(Duration::from_millis));
    }

    #[test]
    fn durations_of_text() {
        text("250ms", Ok(250));
        text("30s", Ok(30_000));
        text("10m", Ok(600_000));
        text("1h30m", Ok(5_400_000));
        text("1d", Ok(86_400_000));
        text("2w1ms", Ok(1_209_600_001));
        text("0s", Ok(0));
        text("", Err(Error::NotDuration));
        text("30", Err(Error::NoUnit));
        text("1h30", Err(Error::NoUnit));
        text("s", Err(Error::NotDuration));
        text("-1s", Err(Error::NotDuration));
        text("1.5s", Err(Error::NotDuration));
        text("1 s", Err(Error::NotDuration));
        text("1y", Err(Error::NotDuration));
        text("1S", Err(Error::NotDuration));
        text("30m1h", Err(Error::UnitOrder));
        text("1s1s", Err(Error::UnitOrder));
        text("99999999999999999999s", Err(Error::TooLarge));
        text("18446744073709551615ms1ms", Err(Error::UnitOrder));
        text("9999999999w", Err(Error::TooLarge));
        text("36601d", Err(Error::TooLarge));
    }

    #[test]
    fn durations_of_numbers() {
        assert_eq!(duration_from_number("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration_from_number("-1"), Err(Error::NotWhole("seconds")));
        assert_eq!(duration_from_number("1.5"), Err(Error::NotWhole("seconds")));
        assert_eq!(duration_from_number("18446744073709551615"), Err(Error::TooLarge));
    }

    #[test]
    fn sizes() {
        assert_eq!(size_from_text("512MiB"), Ok(Bytes(512 << 20)));
        assert_eq!(size_from_text("2GB"), Ok(Bytes(2_000_000_000)));
        assert_eq!(size_from_text("100"), Ok(Bytes(100)));
        assert_eq!(size_from_text("1.5KiB"), Ok(Bytes(1536)));
        for text in ["1.2.3", "1e3", "1KIB", "1i", " 1", ".5", "", "1KB2"] {
            assert_eq!(size_from_text(text), Err(Error::NotSize), "{text:?}");
        }
        assert_eq!(size_from_text("-1"), Err(Error::NotSize));
        assert_eq!(size_from_text("much"), Err(Error::NotSize));
        assert_eq!(size_from_text("16EiB"), Err(Error::TooLarge));
        assert_eq!(size_from_text("10EB"), Err(Error::TooLarge));
        assert_eq!(size_from_number("0"), Ok(Bytes(0)));
        assert_eq!(size_from_number("1e3"), Err(Error::NotWhole("bytes")));
        assert_eq!(size_from_number("18446744073709551615"), Err(Error::TooLarge));
        assert_eq!(Bytes::from_mebibytes(u32::MAX), Bytes(0xFFFF_FFFF << 20));
    }

    #[test]
    fn shares() {
        assert_eq!(cpu_from_cores("1.0"), Ok(1000));
        assert_eq!(cpu_from_percent("50"), Ok(500));
        assert_eq!(cpu_from_percent("0.001"), Ok(1));
        assert_eq!(cpu_from_cores("0"), Err(Error::NotPositive));
        assert_eq!(cpu_from_cores("-1"), Err(Error::NotPositive));
        assert_eq!(cpu_from_cores("1e300"), Err(Error::TooLarge));
    }
}
