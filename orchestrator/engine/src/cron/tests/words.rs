//! How expressions are written: fields, names, ranges, steps, `L`, `#`, `W`; and what is refused.

use super::{Expression, check};

const FROM: &str = "2026-01-01T00:00:00Z";

#[test]
fn five_fields_and_six_and_seven() {
    check("30 9 * * *", "UTC", FROM, &["2026-01-01 09:30:00", "2026-01-02 09:30:00"]);
    check("15 30 9 * * *", "UTC", FROM, &["2026-01-01 09:30:15", "2026-01-02 09:30:15"]);
    check("0 0 0 1 1 * 2030", "UTC", FROM, &["2030-01-01 00:00:00"]);
    assert_eq!(super::fires("0 0 0 1 1 * 2030", "UTC", "2030-01-01T00:00:00Z", 1), [""; 0]);
    check("* * * * * *", "UTC", FROM, &["00:00:01", "00:00:02", "00:00:03"]);
}

#[test]
fn a_fire_is_after_the_moment_that_is_asked_for() {
    check("0 9 * * *", "UTC", "2026-01-01T09:00:00Z", &["2026-01-02 09:00:00"]);
    check("0 9 * * *", "UTC", "2026-01-01T08:59:59.999Z", &["2026-01-01 09:00:00"]);
    check("* * * * * *", "UTC", "2026-01-01T08:59:59.001Z", &["2026-01-01 09:00:00"]);
    check("0 * * * *", "UTC", "2026-01-01T09:00:00Z", &["2026-01-01 10:00:00"]);
}

#[test]
fn ranges_lists_and_steps() {
    check("*/20 8-9 * * *", "UTC", FROM, &["08:00", "08:20", "08:40", "09:00", "09:20", "09:40", "Fri"]);
    check("5,10-14/2 0 * * *", "UTC", FROM, &["00:05", "00:10", "00:12", "00:14", "Fri"]);
}

#[test]
fn names_in_any_case() {
    check(
        "0 0 * jan,MAR mOn",
        "UTC",
        FROM,
        &["Mon 2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26", "2026-03-02"],
    );
    check(
        "0 0 * * FRI-SUN",
        "UTC",
        FROM,
        &["Fri 2026-01-02", "Sat 2026-01-03", "Sun 2026-01-04", "Fri 2026-01-09"],
    );
}

#[test]
fn weekdays_count_from_sunday_and_seven_is_sunday_too() {
    check("0 0 * * 0", "UTC", FROM, &["Sun 2026-01-04"]);
    check("0 0 * * 7", "UTC", FROM, &["Sun 2026-01-04"]);
    check("0 0 * * 1", "UTC", FROM, &["Mon 2026-01-05"]);
    check("0 0 * * 5-7", "UTC", FROM, &["Fri", "Sat", "Sun", "Fri"]);
}

#[test]
fn day_of_month_or_weekday_when_both_are_given() {
    check(
        "0 0 13 * 5",
        "UTC",
        FROM,
        &["Fri 2026-01-02", "Fri 2026-01-09", "Tue 2026-01-13", "Fri 2026-01-16"],
    );
    check("0 0 13 * *", "UTC", FROM, &["Tue 2026-01-13", "Fri 2026-02-13"]);
    check("0 0 ? * 5", "UTC", FROM, &["Fri 2026-01-02", "Fri 2026-01-09"]);
}

#[test]
fn last_nth_and_nearest_weekday() {
    check("0 0 L * *", "UTC", FROM, &["2026-01-31", "2026-02-28", "2026-03-31"]);
    check("0 0 L 2 *", "UTC", "2027-06-01T00:00:00Z", &["2028-02-29"]);
    check("0 0 LW * *", "UTC", FROM, &["Fri 2026-01-30", "Fri 2026-02-27"]);
    check("0 0 15W * *", "UTC", FROM, &["Thu 2026-01-15", "Mon 2026-02-16", "Mon 2026-03-16"]);
    check("0 0 1W * *", "UTC", "2026-07-15T00:00:00Z", &["Mon 2026-08-03"]);
    check("0 0 * * 5#2", "UTC", FROM, &["Fri 2026-01-09", "Fri 2026-02-13"]);
    check("0 0 * * MON#5", "UTC", FROM, &["Mon 2026-03-30"]);
    check("0 0 * * 5L", "UTC", FROM, &["Fri 2026-01-30", "Fri 2026-02-27"]);
    check("0 0 * * FRIL", "UTC", FROM, &["Fri 2026-01-30"]);
    check("0 0 * * 7L", "UTC", FROM, &["Sun 2026-01-25"]);
}

#[test]
fn nicknames() {
    check("@hourly", "UTC", FROM, &["01:00:00", "02:00:00"]);
    check("@daily", "UTC", FROM, &["2026-01-02 00:00"]);
    check("@Midnight", "UTC", FROM, &["2026-01-02 00:00"]);
    check("@weekly", "UTC", FROM, &["Sun 2026-01-04 00:00"]);
    check("@monthly", "UTC", FROM, &["2026-02-01 00:00"]);
    check("@yearly", "UTC", FROM, &["2027-01-01 00:00"]);
    check("@annually", "UTC", FROM, &["2027-01-01 00:00"]);
}

#[test]
fn rare_days_are_found() {
    check("0 0 29 2 *", "UTC", FROM, &["2028-02-29", "2032-02-29"]);
    check("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29"]);
    check("0 0 * 2 MON#5", "UTC", FROM, &["Mon 2044-02-29"]);
}

#[track_caller]
fn refused(cron: &str, why: &str) {
    match Expression::parse(cron) {
        Ok(_) => panic!("{cron:?} is taken"),
        Err(error) => assert!(error.to_string().contains(why), "{cron:?}: {error}"),
    }
}

#[test]
fn what_is_wrong_names_the_field() {
    refused("", "empty");
    refused("   ", "empty");
    refused("* * * *", "not 4");
    refused("* * * * * * * *", "not 8");
    refused("60 * * * *", "`60` (minute)");
    refused("* 24 * * *", "`24` (hour)");
    refused("* * 0 * *", "`0` (day of month)");
    refused("* * 32 * *", "`32` (day of month)");
    refused("* * * 13 *", "`13` (month)");
    refused("* * * * 8", "`8` (day of week)");
    refused("60 * * * * *", "`60` (second)");
    refused("*/0 * * * *", "`*/0` (minute)");
    refused("5-1 * * * *", "`5-1` (minute)");
    refused("1,,2 * * * *", "empty");
    refused("a * * * *", "`a` (minute)");
    refused("MON * * * *", "`MON` (minute)");
    refused("* * * FEBRUARY *", "month");
    refused("* * MON * *", "day of month");
    refused("* * * * +MON", "`+`");
    refused("* * * * MON#6", "day of week");
    refused("* * * * LW", "day of week");
    refused("@reboot", "@reboot");
    refused("@", "@hourly");
    refused("0 0 30 2 *", "no such date");
    refused("0 0 31 4,6,9,11 *", "no such date");
    refused(&"1,".repeat(4000), "256");
    refused("* * * * \u{1b}[31m", "day of week");
    refused("99999999999 * * * *", "minute");
    refused("1-99999 * * * *", "minute");
    refused("0/99999999 * * * *", "minute");
}
