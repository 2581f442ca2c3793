//! Durations, sizes and moments as people read them.

use jiff::{Timestamp, tz::TimeZone};

/// Milliseconds: `12ms`, `1.2s`, `1m05s`, `2h03m`, `3d04h`.
pub fn millis(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{}s", millis % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Microseconds: as [`millis`], but `0.9ms` below ten milliseconds.
pub fn micros(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{}ms", micros / 1000, micros % 1000 / 100),
        10_000.. => millis(micros / 1000),
    }
}

/// Bytes: `17 B`, `1.0 KiB`, `64 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut scale: u64 = 1024;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale <<= 10;
        unit += 1;
    }
    let whole = bytes / scale;
    let tenth = bytes % scale / (scale / 1024) * 10 / 1024;
    let name = UNITS[unit];
    if whole >= 10 && tenth == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenth} {name}") }
}

/// Thousandths of a core: `0.5 cores`, `1 core`.
pub fn cores(millis: u64) -> String {
    match (millis / 1000, millis % 1000) {
        (1, 0) => "1 core".to_owned(),
        (whole, 0) => format!("{whole} cores"),
        (whole, rest) => format!("{whole}.{} cores", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// A moment, to the second: `2026-11-22 10:00:05`.
pub fn moment(moment: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let given = [0, 999, 1000, 59_999, 60_000, 65_000, 3_599_999, 3_600_000, 86_400_000, u64::MAX];
        let shown = given.map(millis);
        let expected = [
            "0ms",
            "999ms",
            "1.0s",
            "59.9s",
            "1m00s",
            "1m05s",
            "59m59s",
            "1h00m",
            "1d00h",
            "213503982334d14h",
        ];
        assert_eq!(shown, expected);
        assert_eq!([0, 949, 9_999, 10_000].map(micros), ["0.0ms", "0.9ms", "9.9ms", "10ms"]);
    }

    #[test]
    fn sizes_have_one_digit_where_it_says_something() {
        let given = [0, 1023, 1024, 1536, 64 << 20, (64 << 20) + (1 << 19), 10 << 30, u64::MAX];
        let expected = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "64 MiB", "64.5 MiB", "10 GiB", "15.9 EiB"];
        assert_eq!(given.map(bytes), expected);
    }

    #[test]
    fn shares_are_in_cores() {
        assert_eq!(
            [0, 1, 500, 1000, 1250, 2000].map(cores),
            ["0 cores", "0.001 cores", "0.5 cores", "1 core", "1.25 cores", "2 cores"]
        );
    }

    #[test]
    fn moments_are_in_the_zone_of_the_reader() {
        let noon = Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(moment(noon, &TimeZone::UTC), "2026-09-21 14:13:20");
        assert_eq!(moment(noon, &TimeZone::fixed(jiff::tz::offset(-2))), "2026-09-21 12:13:20");
    }
}
