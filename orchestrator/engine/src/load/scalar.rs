//! Scalars of a file: numbers are brought into a form that fits 64 bits, plain words of YAML get their type.

use super::{NodeKind, Span};
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

/// A scalar of YAML without quotes, by the core schema of YAML 1.2: `no`, `on` and `1:30` are texts.
pub(super) fn plain(text: &str, span: Span, problems: &mut Problems) -> NodeKind {
    match text {
        "~" | "null" | "Null" | "NULL" => return NodeKind::Null,
        "true" | "True" | "TRUE" => return NodeKind::Bool(true),
        "false" | "False" | "FALSE" => return NodeKind::Bool(false),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let infinite = matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    if infinite {
        problems
            .report(NUMBER_RANGE, span.range(), format!("the number `{text}` has no form in JSON"))
            .hint("as a text it stands in quotes");
        return NodeKind::Number("0".into());
    }
    match based(text).or_else(|| decimal(text)) {
        Some(json) => NodeKind::Number(number(&json, span, problems)),
        None => NodeKind::Text(text.into()),
    }
}

/// `0x1F` and `0o17`, in decimal digits.
fn based(text: &str) -> Option<String> {
    let (digits, base) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => return None,
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    if let Ok(number) = u64::from_str_radix(digits, base) {
        return Some(number.to_string());
    }
    let values = digits.chars().filter_map(|digit| digit.to_digit(base));
    let double = values.fold(0.0, |sum, digit| sum * f64::from(base) + f64::from(digit));
    Some(if double.is_finite() { format!("{double:.0}") } else { "1e999".to_owned() })
}

/// A decimal number as JSON writes it: `+.5` is `0.5`, `007` is `7`.
fn decimal(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    let is_number = digits(whole)
        && fraction.is_none_or(digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty))
        && exponent_digits.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if !is_number {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut json = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction {
        json.push('.');
        json.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        json.push('e');
        json.push_str(exponent);
    }
    Some(json)
}

/// At most forty characters of a text.
pub(crate) fn shortened(text: &str) -> String {
    let mut shortened: String = text.chars().take(40).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}
