//! Tests: what a damaged, torn, foreign or future journal gives its reader.

use proptest::prelude::*;
use schemas::journal::{Event, FORMAT_VERSION};

use super::{
    BadLine, End, Error, LINE_MAX,
    fixture::{at, commit, created, ended, events, journal_of, one_of_each, read, reader, records_of, stop},
};

/// The journal of `events()`, line by line, line feeds included.
fn lines() -> Vec<Vec<u8>> {
    journal_of(&events()).split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

#[track_caller]
fn check_damaged(bytes: &[u8], expected_line: u64) {
    match read(bytes) {
        Err(Error::Damaged { line, .. }) => assert_eq!(line, expected_line),
        other => panic!("line {expected_line} should be damaged: {other:?}"),
    }
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(read(&journal_of(&events())).unwrap(), records_of(&events()));
}

/// Written when the format was version 1, and read for ever.
const SAMPLE_1: &str = include_str!("samples/format-1.jsonl");

#[test]
fn the_sample_of_format_1_is_read() {
    assert_eq!(read(SAMPLE_1.as_bytes()).unwrap(), records_of(&one_of_each()));
}

#[test]
fn the_newest_sample_is_what_is_written() {
    assert_eq!(FORMAT_VERSION, 1, "a new version needs a sample of its own");
    let written = String::from_utf8(journal_of(&one_of_each())).unwrap();
    assert!(written == SAMPLE_1, "the format has changed; it is now\n{written}");
}

#[test]
fn what_attempts_moved_to_and_from_disks_is_written_where_it_is_known() {
    let (now, mut event) = ended(1, "1");
    if let Event::AttemptEnded(ended) = &mut event {
        ended.usage.io_read_bytes = Some(4096);
        ended.usage.io_write_bytes = Some(0);
    }
    let events = [&events()[..1], &[(now, event)]].concat();
    let written = journal_of(&events);
    assert_eq!(read(&written).unwrap(), records_of(&events));
    assert!(String::from_utf8(written).unwrap().contains(r#""io_read_bytes":4096,"io_write_bytes":0}"#));
}

#[test]
fn the_first_line_shows_the_format_and_every_line_ends_in_its_checksum() {
    for (number, line) in lines().iter().enumerate() {
        let value: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(value["seq"], number + 1);
        assert_eq!(value.get("format_version").is_some(), number == 0);
        let text = std::str::from_utf8(line).unwrap();
        assert_eq!(text.rfind(",\"crc\":\""), Some(text.len() - 19));
    }
}

#[test]
fn every_prefix_is_a_journal_of_its_whole_lines() {
    let bytes = journal_of(&events());
    let all = records_of(&events());
    for length in 0..=bytes.len() {
        let whole = line_feeds(&bytes[..length]);
        for padding in [0, 1000] {
            let mut cut = bytes[..length].to_vec();
            cut.resize(length + padding, 0);
            assert_eq!(read(&cut).unwrap(), all[..whole], "cut at {length}");
        }
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = journal_of(&events());
    for place in 0..bytes.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            let line = line_feeds(&bytes[..place]) + 1;
            match read(&changed) {
                Err(Error::Damaged { line: found, .. }) => assert_eq!(found, line as u64, "at {place}"),
                Err(Error::Newer { .. }) => assert_eq!(line, 1, "at {place}"),
                // Without its line feed the last line is torn.
                Ok(records) => assert_eq!((place, records.len()), (bytes.len() - 1, 4)),
                Err(other) => panic!("at {place}: {other}"),
            }
        }
    }
}

#[test]
fn lost_doubled_moved_and_foreign_lines_are_damage() {
    let l = lines();
    let swap = |order: &[usize]| order.iter().flat_map(|at| l[*at].clone()).collect::<Vec<_>>();
    check_damaged(&swap(&[0, 2, 3, 4]), 2);
    check_damaged(&swap(&[0, 1, 1, 2, 3, 4]), 3);
    check_damaged(&swap(&[0, 2, 1, 3, 4]), 2);
    check_damaged(&swap(&[1, 2, 3, 4]), 1);
    check_damaged(&swap(&[0, 0, 1, 2]), 2);
    let foreign = journal_of(&[created(), ended(7, "7"), ended(2, "[]")]);
    let third = foreign.split_inclusive(|byte| *byte == b'\n').nth(2).unwrap();
    check_damaged(&[&swap(&[0, 1])[..], third].concat(), 3);
}

#[test]
fn blank_lines_and_text_in_the_middle_are_damage() {
    let l = lines();
    check_damaged(&[&l[0][..], b"\n", &l[1]].concat(), 2);
    check_damaged(&[&l[0][..], b"hello\n", &l[1]].concat(), 2);
    check_damaged(&[&l[0][..], &[0; 600], &l[1]].concat(), 2);
    check_damaged(b"\n", 1);
}

#[test]
fn an_error_is_the_last_word() {
    let mut bytes = journal_of(&events());
    bytes[5] ^= 1;
    let mut reader = reader(&bytes);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

#[test]
fn a_creation_stands_first_and_nowhere_else() {
    check_damaged(&journal_of(&[stop()]), 1);
    check_damaged(&journal_of(&[created(), created()]), 2);
}

#[test]
fn a_newer_format_is_named_even_if_its_lines_are_strange() {
    let newer = b"{\"seq\":1,\"format_version\":7,\"sha\":\"?\"}\n";
    match read(newer) {
        Err(error @ Error::Newer { found: 7, .. }) => {
            assert!(error.to_string().contains("was written by a newer q"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_journal_of_another_run_is_refused() {
    let (now, event) = created();
    let Event::RunCreated(mut created) = event else { panic!("not a creation") };
    created.run_id = "other".into();
    let bytes = journal_of(&[(now, Event::RunCreated(created))]);
    assert!(matches!(read(&bytes), Err(Error::Foreign { found, .. }) if found == "other"));
}

#[track_caller]
fn check_end(bytes: &[u8], expected: End) {
    let mut reader = reader(bytes);
    for record in &mut reader {
        record.unwrap();
    }
    assert_eq!(reader.end(), Some(expected));
}

#[test]
fn padding_and_torn_lines_are_told_apart() {
    let bytes = journal_of(&events());
    let offset = bytes.len() as u64;
    check_end(&bytes, End { offset, torn: 0, padding: 0 });
    check_end(&[&bytes[..], &[0; 100]].concat(), End { offset, torn: 0, padding: 100 });
    check_end(&[&bytes[..], b"{\"seq\":"].concat(), End { offset, torn: 7, padding: 0 });
    check_end(&[&bytes[..], b"{\"seq\":", &[0; 100]].concat(), End { offset, torn: 107, padding: 0 });
    check_end(&[&bytes[..], &[0; 100], b"x", &[0; 100]].concat(), End { offset, torn: 201, padding: 0 });
}

#[test]
fn a_last_line_with_lost_sectors_is_torn() {
    let bytes = journal_of(&[created(), ended(1, &format!("\"{}\"", "x".repeat(3000))), stop()]);
    let whole: Vec<_> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').collect();
    let (first, second) = (whole[0].0 + 1, whole[1].0 + 1);
    let mut torn = bytes[..second].to_vec();
    torn[1024..2048].fill(0);
    check_end(&torn, End { offset: first as u64, torn: (second - first) as u64, padding: 0 });
    torn.resize(second + 100, 0);
    check_end(&torn, End { offset: first as u64, torn: (second - first + 100) as u64, padding: 0 });
    // The same hole before another line is damage: that line was written later.
    let mut damaged = bytes.clone();
    damaged[1024..2048].fill(0);
    check_damaged(&damaged, 2);
    // So is a hole that no device makes.
    let mut flipped = bytes[..second].to_vec();
    flipped[1500] = 0;
    check_damaged(&flipped, 2);
}

#[test]
fn a_line_without_end_is_not_read_into_memory() {
    let mut bytes = journal_of(&[created()]);
    bytes.resize(bytes.len() + LINE_MAX + 1, b'x');
    match read(&bytes) {
        Err(Error::Damaged { line: 2, source: BadLine::TooLong, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_with_line_breaks_stay_on_their_line() {
    let bytes = journal_of(&[created(), ended(1, "{\r\n \"a\": [1,\n2], \"b\": \"x\\ny\"}")]);
    assert_eq!(line_feeds(&bytes), 2);
    let expected = ended(1, "{   \"a\": [1, 2], \"b\": \"x\\ny\"}");
    assert_eq!(read(&bytes).unwrap()[1].event, expected.1);
}

proptest! {
    #[test]
    fn any_events_in_any_commits_are_read_back(
        values in proptest::collection::vec("\\PC{0,40}", 0..20),
        commits in proptest::collection::vec(any::<bool>(), 20),
    ) {
        let disk = super::fixture::Shared::default();
        let mut writer = disk.writer();
        let mut all = vec![created()];
        writer.append(&all).unwrap();
        for (index, value) in (1..).zip(&values) {
            let event = ended(index, &serde_json::to_string(value).unwrap());
            writer.append(std::slice::from_ref(&event)).unwrap();
            all.push(event);
            if commits[index as usize - 1] {
                commit(&mut writer);
            }
        }
        commit(&mut writer);
        writer.finish().unwrap();
        prop_assert_eq!(read(&disk.with(|disk| disk.bytes.clone())).unwrap(), records_of(&all));
    }

    #[test]
    fn no_bytes_make_the_reader_give_an_unwritten_record(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        place in any::<prop::sample::Index>(),
    ) {
        let bytes = journal_of(&events());
        let at = place.index(bytes.len());
        let mut mixed = bytes[..at].to_vec();
        mixed.extend(&noise);
        let all = records_of(&events());
        let found: Vec<_> = reader(&mixed).map_while(Result::ok).collect();
        prop_assert!(all.starts_with(&found));
    }

    #[test]
    fn moments_are_kept(millis in 0_i64..4_000_000_000_000, up_us in any::<u64>()) {
        let mut now = at(up_us);
        now.wall = jiff::Timestamp::from_millisecond(millis).unwrap();
        let bytes = journal_of(&[(now, created().1)]);
        prop_assert_eq!(read(&bytes).unwrap()[0].now, now);
    }
}
