//! A cron expression as a set of times of the wall clock. Zones are not known here.

use std::sync::Arc;

use croner::{Cron, Weekday, errors::CronError, parser::CronParser};
use jiff::{
    SignedDuration,
    civil::{Date, DateTime, time},
};

/// The longest expression that is parsed.
const TEXT_MAX: usize = 256;

/// What stands for the years where none are given.
const ANY_YEAR: &str = "2000";

/// In so many years every combination of date and weekday comes.
const YEARS: i16 = 400;

/// Of the fields, from the left, when there are seven.
const NAMES: [&str; 7] = ["second", "minute", "hour", "day of month", "month", "day of week", "year"];

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is empty.
    #[error("the expression is empty")]
    Empty,
    /// It is longer than any that is meant.
    #[error("the expression has more than {TEXT_MAX} characters")]
    TooLong,
    /// The number of its fields.
    #[error("an expression has 5 fields (6 with seconds, 7 with years), not {0}")]
    Fields(usize),
    /// A word after `@`.
    #[error(
        "`{0}` is not known: there are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"
    )]
    Nickname(String),
    /// A field.
    #[error("the field `{text}` ({name}) is not valid{why}")]
    Field {
        /// As it is written.
        text: String,
        /// Which one.
        name: &'static str,
        /// What is wrong with it, after a colon, if that is known.
        why: String,
    },
    /// No such date.
    #[error("it never fires: no such date exists")]
    Never,
}

/// A cron expression.
#[derive(Debug, Clone)]
pub struct Expression {
    /// Shared: thousands of schedules have the same.
    cron: Arc<Cron>,
    /// Whether it names years. One that does not is parsed for a single year: the parser's set of years has a byte
    /// for each of five thousand, and filling it takes longer than all else.
    has_years: bool,
    elapsed: bool,
}

impl Expression {
    /// Parses an expression of five fields; of six with seconds before them; of seven with years after them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.len() > TEXT_MAX {
            return Err(Error::TooLong);
        }
        let plain = nickname(text)?;
        let fields: Vec<&str> = plain.split_ascii_whitespace().collect();
        let first = match fields.len() {
            5 => 1,
            6 | 7 => 0,
            other => return Err(Error::Fields(other)),
        };
        for (field, index) in fields.iter().zip(first..) {
            check_field(field, index)?;
        }
        let has_years = fields.len() == 7;
        let parsed = match fields.len() {
            7 => CronParser::new().parse(plain),
            6 => CronParser::new().parse(&format!("{plain} {ANY_YEAR}")),
            _ => CronParser::new().parse(&format!("0 {plain} {ANY_YEAR}")),
        };
        let mut cron = parsed.map_err(|error| blame(&fields, first, &error))?;
        if !has_years {
            drop(std::mem::take(&mut cron.pattern.years));
        }
        let expression =
            Self { cron: Arc::new(cron), has_years, elapsed: fields[2 - first].starts_with('*') };
        let ever = has_years || expression.first(Date::constant(2000, 1, 1).at(0, 0, 0, 0)).is_some();
        if ever { Ok(expression) } else { Err(Error::Never) }
    }

    /// Whether the hour is `*` or `*/n`.
    pub(super) fn goes_by_elapsed_time(&self) -> bool {
        self.elapsed
    }

    /// The first time at or after `from` that matches.
    pub(super) fn first(&self, from: DateTime) -> Option<DateTime> {
        let last = from.year().saturating_add(YEARS);
        let mut from = from;
        while from.year() <= last {
            let date = from.date();
            if !self.has_year(date) {
                from = Date::new(date.year().checked_add(1)?, 1, 1).ok()?.at(0, 0, 0, 0);
            } else if !self.cron.pattern.month_match(number(date.month())).unwrap_or(false) {
                from = date.last_of_month().tomorrow().ok()?.at(0, 0, 0, 0);
            } else if let Some(found) = self.has_day(date).then(|| self.time_of_day(from)).flatten() {
                return Some(found);
            } else {
                from = date.tomorrow().ok()?.at(0, 0, 0, 0);
            }
        }
        None
    }

    fn has_year(&self, date: Date) -> bool {
        !self.has_years || self.cron.pattern.year_match(i32::from(date.year())).unwrap_or(false)
    }

    fn has_day(&self, date: Date) -> bool {
        let weekday = Weekday::from_days_from_sunday(number(date.weekday().to_sunday_zero_offset()));
        let (month, day) = (number(date.month()), number(date.day()));
        self.cron.pattern.day_match(i32::from(date.year()), month, day, weekday).unwrap_or(false)
    }

    /// The first time of the day at or after `from` that matches.
    fn time_of_day(&self, from: DateTime) -> Option<DateTime> {
        let mut at = from.time();
        loop {
            let next = if !self.cron.pattern.hour_match(number(at.hour())).unwrap_or(false) {
                time(at.hour(), 59, 59, 0)
            } else if !self.cron.pattern.minute_match(number(at.minute())).unwrap_or(false) {
                time(at.hour(), at.minute(), 59, 0)
            } else if !self.cron.pattern.second_match(number(at.second())).unwrap_or(false) {
                at
            } else {
                return Some(from.date().to_datetime(at));
            };
            at = next.checked_add(SignedDuration::from_secs(1)).ok()?;
        }
    }
}

fn number(small: i8) -> u32 {
    u32::try_from(small).unwrap_or_default()
}

/// The five fields that a word such as `@daily` stands for.
fn nickname(text: &str) -> Result<&str, Error> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        _ => Err(Error::Nickname(shortened(text))),
    }
}

/// What the parser takes and we do not: names in the wrong field, empty parts of lists, signs of its own.
fn check_field(field: &str, index: usize) -> Result<(), Error> {
    let wrong =
        |why: &str| Err(Error::Field { text: shortened(field), name: NAMES[index], why: format!(": {why}") });
    if field.split(',').any(str::is_empty) {
        return wrong("a part of the list is empty");
    }
    let allowed: &[&str] = match index {
        3 => &["L", "W"],
        4 => &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        5 => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"],
        _ => &[],
    };
    let upper = field.to_ascii_uppercase();
    let words = upper.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    for word in words {
        // `LW`, and `FRIL`.
        let known = allowed.contains(&word)
            || (index == 3 && word == "LW")
            || word.strip_suffix('L').is_some_and(|day| index == 5 && allowed.contains(&day));
        if !known {
            return wrong(&format!("`{}` means nothing here", shortened(word)));
        }
    }
    let signs: &[char] = match index {
        3 => &['*', '/', ',', '-', '?'],
        5 => &['*', '/', ',', '-', '?', '#'],
        _ => &['*', '/', ',', '-'],
    };
    match field.chars().find(|c| !c.is_ascii_alphanumeric() && !signs.contains(c)) {
        Some(sign) => wrong(&format!("`{}` means nothing here", sign.escape_debug())),
        None => Ok(()),
    }
}

/// The first field that the parser does not take by itself.
fn blame(fields: &[&str], first: usize, error: &CronError) -> Error {
    for (place, field) in fields.iter().enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[place] = field;
        if let Err(error) = CronParser::new().parse(&alone.join(" ")) {
            return Error::Field { text: shortened(field), name: NAMES[place + first], why: reason(&error) };
        }
    }
    Error::Field { text: shortened(&fields.join(" ")), name: "all", why: reason(error) }
}

fn reason(error: &CronError) -> String {
    match error {
        CronError::ComponentError(why) | CronError::InvalidPattern(why) => {
            format!(": {}", why.trim_end_matches('.'))
        }
        CronError::EmptyPattern
        | CronError::InvalidDate
        | CronError::InvalidTime
        | CronError::TimeSearchLimitExceeded
        | CronError::IllegalCharacters(_) => String::new(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}
