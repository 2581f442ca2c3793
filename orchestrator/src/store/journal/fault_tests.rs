//! Tests: every system call of the writer fails once, the disk fills up, owners die and come back.

use std::collections::BTreeMap;

use schemas::journal::Event;

use super::{
    Error, LINE_MAX, Space,
    fixture::{Failure, Shared, commit, created, ended, events, read, records_of, stop},
};
use crate::store::files::Trouble;

/// Commits each event of its own; gives how many commits returned before the first error.
fn write_all(disk: &Shared) -> (usize, Option<Error>) {
    let mut writer = disk.writer();
    for (index, event) in events().iter().enumerate() {
        let result = writer.append(std::slice::from_ref(event)).and_then(|()| writer.commit());
        if let Err(error) = result {
            // It says so for ever, and touches nothing.
            let calls = disk.with(|disk| disk.calls);
            assert!(matches!(writer.append(&[stop()]), Err(Error::Poisoned { .. })));
            assert!(matches!(writer.commit(), Err(Error::Poisoned { .. })));
            assert!(matches!(writer.finish(), Err(Error::Poisoned { .. })));
            assert_eq!(disk.with(|disk| disk.calls), calls);
            return (index, Some(error));
        }
    }
    (events().len(), writer.finish().err())
}

#[track_caller]
fn check_fault(failure: Failure, trouble: Trouble) {
    let disk = Shared::default();
    disk.with(|disk| disk.failure = Some(failure));
    let (committed, error) = write_all(&disk);
    match error {
        Some(Error::Fault(fault)) => {
            assert_eq!(fault.trouble(), trouble);
            assert_eq!(fault.path, std::path::Path::new("/test/journal.jsonl"));
        }
        other => panic!("{failure:?}: {other:?}"),
    }
    // What was committed is durable, and the next owner goes on from there.
    let durable = read(&disk.with(|disk| disk.synced.clone())).unwrap();
    assert!(durable.len() >= committed && records_of(&events()).starts_with(&durable), "{failure:?}");
    disk.with(|disk| disk.failure = None);
    match disk.reopen() {
        Ok((mut writer, records)) => {
            assert!(records.len() >= committed && records_of(&events()).starts_with(&records));
            writer.append(&events()[records.len()..]).unwrap();
            commit(&mut writer);
            writer.finish().unwrap();
            assert_eq!(read(&disk.with(|disk| disk.bytes.clone())).unwrap(), records_of(&events()));
        }
        Err(Error::Empty { .. }) => assert_eq!(committed, 0, "{failure:?}"),
        Err(other) => panic!("{failure:?}: {other}"),
    }
}

#[test]
fn every_call_may_fail_once() {
    let calls = {
        let disk = Shared::default();
        assert!(write_all(&disk).1.is_none());
        disk.with(|disk| disk.calls)
    };
    assert_eq!(calls, 12, "one allocation, five writes, five syncs, one cut");
    let troubles = [
        (libc::ENOSPC, Trouble::Full),
        (libc::EDQUOT, Trouble::Quota),
        (libc::EIO, Trouble::Device),
        (libc::EROFS, Trouble::ReadOnly),
    ];
    for call in 0..calls {
        for (errno, trouble) in troubles {
            for short in [0, 1, 100] {
                check_fault(Failure { call, errno, short }, trouble);
            }
        }
    }
}

#[test]
fn an_interrupted_write_is_repeated() {
    let disk = Shared::default();
    disk.with(|disk| disk.failure = Some(Failure { call: 1, errno: libc::EINTR, short: 0 }));
    assert!(write_all(&disk).1.is_none());
    assert_eq!(read(&disk.with(|disk| disk.bytes.clone())).unwrap(), records_of(&events()));
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(&[created()]).unwrap();
    commit(&mut writer);
    disk.with(|disk| disk.log.clear());
    for attempt in 1..=16 {
        writer.append(&[ended(attempt, "{}")]).unwrap();
    }
    commit(&mut writer);
    commit(&mut writer);
    assert_eq!(disk.with(|disk| disk.log.clone()), ["write", "sync"]);
    assert_eq!(writer.seq(), 17);
}

#[test]
fn on_a_full_disk_the_last_words_go_into_the_reserve() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(&[created()]).unwrap();
    assert!(matches!(writer.commit().unwrap(), Space::Plenty));
    disk.with(|disk| disk.room = Some(disk.bytes.len()));
    let kilobyte = format!("\"{}\"", "x".repeat(1000));
    let mut plenty = 0;
    let warned = loop {
        writer.append(&[ended(plenty + 1, &kilobyte)]).unwrap();
        match writer.commit().unwrap() {
            Space::Plenty => plenty += 1,
            Space::Reserve(fault) => break fault,
        }
    };
    assert_eq!(warned.trouble(), Trouble::Full);
    assert!(plenty > 30, "{plenty}");
    // The reason still fits, and is durable.
    writer.append(&[stop()]).unwrap();
    assert!(matches!(writer.commit().unwrap(), Space::Reserve(_)));
    let durable = read(&disk.with(|disk| disk.synced.clone())).unwrap();
    assert_eq!(durable.last().unwrap().event, stop().1);
    // With room again it goes on as if nothing had been.
    disk.with(|disk| disk.room = None);
    writer.append(&[(stop().0, Event::RunResumed)]).unwrap();
    assert!(matches!(writer.commit().unwrap(), Space::Plenty));
}

#[test]
fn an_exhausted_reserve_is_an_error_and_nothing_is_lost() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(&[created()]).unwrap();
    commit(&mut writer);
    disk.with(|disk| disk.room = Some(disk.bytes.len()));
    let large = format!("\"{}\"", "x".repeat(10_000));
    let mut committed = 1;
    let error = loop {
        writer.append(&[ended(committed, &large)]).unwrap();
        match writer.commit() {
            Ok(_) => committed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Fault(fault) if fault.is_full()));
    assert_eq!(read(&disk.with(|disk| disk.bytes.clone())).unwrap().len(), committed as usize);
}

#[test]
fn the_padding_is_kept_for_the_next_owner_and_cut_at_the_end() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(&[created()]).unwrap();
    commit(&mut writer);
    drop(writer);
    let padded = disk.with(|disk| disk.bytes.len());
    assert_eq!(padded, 64 * 1024);
    let (mut writer, records) = disk.reopen().unwrap();
    assert_eq!((records.len(), writer.seq()), (1, 1));
    disk.with(|disk| disk.log.clear());
    writer.append(&[stop()]).unwrap();
    commit(&mut writer);
    assert_eq!(disk.with(|disk| disk.log.clone()), ["write", "sync"]);
    writer.finish().unwrap();
    disk.with(|disk| assert_eq!(disk.bytes.last(), Some(&b'\n')));
}

#[test]
fn a_torn_line_is_cut_before_the_next_one() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(&events()).unwrap();
    commit(&mut writer);
    writer.finish().unwrap();
    let whole = disk.with(|disk| disk.bytes.clone());
    for length in 1..whole.len() {
        disk.with(|disk| disk.bytes = whole[..length].to_vec());
        let Ok((mut writer, records)) = disk.reopen() else {
            assert!(length < whole.iter().position(|byte| *byte == b'\n').unwrap() + 1);
            continue;
        };
        writer.append(&events()[records.len()..]).unwrap();
        commit(&mut writer);
        writer.finish().unwrap();
        assert_eq!(disk.with(|disk| disk.bytes.clone()), whole, "cut at {length}");
    }
}

#[test]
fn a_damaged_journal_is_not_touched() {
    let disk = Shared::default();
    write_all(&disk);
    disk.with(|disk| {
        disk.bytes[10] ^= 1;
        disk.log.clear();
    });
    assert!(matches!(disk.reopen(), Err(Error::Damaged { line: 1, .. })));
    assert!(disk.with(|disk| disk.log.is_empty()));
}

#[test]
fn an_event_that_is_too_long_is_refused_whole() {
    let disk = Shared::default();
    let mut writer = disk.writer();
    let (now, event) = created();
    let Event::RunCreated(mut huge) = event else { panic!("not a creation") };
    let value = format!("\"{}\"", "x".repeat(LINE_MAX));
    huge.inputs = BTreeMap::from([("a".into(), schemas::json::Json::parse(&value).unwrap())]);
    let refused = writer.append(&[created(), (now, Event::RunCreated(huge))]);
    assert!(matches!(refused, Err(Error::TooLong { .. })));
    // Nothing of it is left behind: the chain goes on from where it was.
    writer.append(&events()).unwrap();
    commit(&mut writer);
    assert_eq!(read(&disk.with(|disk| disk.bytes.clone())).unwrap(), records_of(&events()));
}
