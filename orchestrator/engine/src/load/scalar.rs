//! Numbers of a file: each is brought into a form that fits 64 bits.

use super::Span;
use crate::diagnostic::{
    Problems,
    codes::{NUMBER_RANGE, WIDE_NUMBER},
};

/// The text of a number as it goes on: its own, or that of the nearest double where an integer has more than
/// 64 bits. What no double can hold becomes `0` and an error.
pub(super) fn number(text: &str, span: Span, problems: &mut Problems) -> Box<str> {
    let integer = !text.contains(['.', 'e', 'E']);
    if integer && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()) {
        return text.into();
    }
    let double = text.parse::<f64>().unwrap_or(f64::INFINITY);
    let Some(number) = serde_json::Number::from_f64(double) else {
        problems
            .report(NUMBER_RANGE, span.range(), format!("the number {} is out of range", shortened(text)))
            .hint("the largest number is about 1.8e308; a string has no bound");
        return "0".into();
    };
    if integer {
        problems
            .report(
                WIDE_NUMBER,
                span.range(),
                format!("{} has more than 64 bits and becomes {number}", shortened(text)),
            )
            .hint("write it as a string to keep every digit");
        return number.to_string().into();
    }
    text.into()
}

/// At most forty characters of a text.
pub(crate) fn shortened(text: &str) -> String {
    let mut shortened: String = text.chars().take(40).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}
