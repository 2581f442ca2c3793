//! What the tests of the journal share: events, and a disk in memory that fails when told.

use std::{
    collections::BTreeMap,
    io::{self, Cursor},
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use schemas::{
    failure::{Code, Details, Failure as StepFailure},
    journal::{AttemptEnded, AttemptId, Event, FORMAT_VERSION, Now, Outcome, Output, RunCreated, StopSource},
    json::Json,
    view::{Enforcer, FilesystemBy, Isolation, KillBy, Limit, NetworkBy, StopReason, Usage},
};

use super::{Disk, Error, Reader, Record, Space, Writer};
use crate::store::names::RunId;

pub(super) const RUN: &str = "01997b1c-8a4e-7000-8000-000000000001";

pub(in crate::store) fn run() -> RunId {
    RUN.parse().unwrap()
}

pub(super) fn at(up_us: u64) -> Now {
    Now { wall: Timestamp::from_millisecond(1_790_000_000_000).unwrap(), up_us }
}

pub(in crate::store) fn created() -> (Now, Event) {
    let created = RunCreated {
        format_version: FORMAT_VERSION,
        q: "0.1.0".into(),
        run_id: RUN.into(),
        workflow: "simple-test".into(),
        version: "1.0.0".into(),
        trigger: "manual".into(),
        scheduled_at: None,
        base: "/base".into(),
        source: "/base/simple-test.json".into(),
        inputs: BTreeMap::from([("name".into(), Json::parse("\"Zoë\"").unwrap())]),
        context: BTreeMap::new(),
        timeout_ms: None,
        max_concurrent_steps: None,
        skills: BTreeMap::new(),
        called: schemas::journal::Called::default(),
    };
    (at(0), Event::RunCreated(Box::new(created)))
}

pub(super) fn ended(attempt: u32, value: &str) -> (Now, Event) {
    let id = AttemptId { step: "fetch".into(), turn: vec![2], attempt };
    let outcome = Outcome::Completed(Output::Inline(Json::parse(value).unwrap()));
    let ended = AttemptEnded {
        started: true,
        exit_code: Some(0),
        usage: Usage { wall_ms: Some(3), ..Usage::default() },
        ..AttemptEnded::new(id, outcome)
    };
    (at(u64::from(attempt) * 1000), Event::AttemptEnded(Box::new(ended)))
}

pub(in crate::store) fn stop() -> (Now, Event) {
    (at(9000), Event::StopRequested { now: false, by: StopSource::SigTerm })
}

/// Five events of different shapes.
pub(super) fn events() -> Vec<(Now, Event)> {
    vec![created(), ended(1, "{\"a\":1}"), ended(2, "[]"), stop(), (at(9001), Event::RunResumed)]
}

/// Each kind of event, as the checked-in sample of the format has them.
pub(super) fn one_of_each() -> Vec<(Now, Event)> {
    let isolation = Isolation {
        memory: Enforcer::CgroupV2,
        cpu: Enforcer::CgroupV2,
        pids: Enforcer::Rlimit,
        io: Enforcer::None,
        kill: KillBy::CgroupKill,
        network: NetworkBy::Namespace,
        filesystem: FilesystemBy::Landlock,
        notes: vec!["io: the controller is not delegated".into()],
    };
    let id = AttemptId { step: "fetch".into(), turn: Vec::new(), attempt: 2 };
    let failure = StepFailure {
        step: Some("fetch".into()),
        code: Code::Timeout,
        message: "took longer than 2 s".into(),
        retryable: true,
        details: Details { limit: Some(2000), stderr: vec!["waiting".into()], ..Details::default() },
    };
    let failed = AttemptEnded {
        id: id.clone(),
        outcome: Outcome::Failed(Box::new(failure)),
        started: true,
        exit_code: None,
        signal: Some(15),
        stop_reason: Some(StopReason::Timeout),
        leftovers_killed: Some(1),
        pids_denied: Some(0),
        core_dumped: Some(false),
        unkillable: false,
        usage: Usage { wall_ms: Some(2003), cpu_user_us: Some(900), ..Usage::default() },
        limits: vec![Limit {
            name: "memory".into(),
            value: 1 << 26,
            by: Enforcer::Monitor,
            held: true,
            why: None,
        }],
        isolation: Some(isolation.clone()),
        agent: None,
    };
    vec![
        created(),
        (at(10), Event::RunStarted { isolation: Box::new(isolation) }),
        ended(1, "{\"a\":1.50}"),
        (at(3000), Event::AttemptStopping { id, reason: StopReason::Timeout }),
        (at(3001), Event::AttemptEnded(Box::new(failed))),
        (at(3002), Event::RunTimedOut),
        stop(),
        (at(9001), Event::RunResumed),
    ]
}

/// Which call to the disk fails, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    /// Index of the call.
    pub(super) call: usize,
    pub(super) errno: i32,
    /// How many bytes a failing write gets down before, in a call of its own.
    pub(super) short: usize,
}

/// A disk in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    /// Length of the longest content that was synced.
    pub(super) synced: Vec<u8>,
    pub(super) calls: usize,
    pub(super) failure: Option<Failure>,
    /// The file cannot grow beyond this.
    pub(super) room: Option<usize>,
    /// The names of the calls, in order.
    pub(super) log: Vec<&'static str>,
}

/// A handle on a [`Memory`] that a test looks into while a writer has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Memory>>);

impl Shared {
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(super) fn writer(&self) -> Writer {
        Writer::on(Box::new(self.clone()), "/test/journal.jsonl".into())
    }

    /// What a next owner sees of the bytes.
    pub(super) fn reopen(&self) -> Result<(Writer, Vec<Record>), Error> {
        let mut records = Vec::new();
        let reader = reader(&self.with(|disk| disk.bytes.clone()));
        let writer = Writer::resume_on(reader, Box::new(self.clone()), |record| records.push(record))?;
        Ok((writer, records))
    }
}

impl Memory {
    fn enter(&mut self, name: &'static str) -> io::Result<()> {
        self.log.push(name);
        self.calls += 1;
        match self.failure {
            Some(failure) if failure.call + 1 == self.calls => {
                Err(io::Error::from_raw_os_error(failure.errno))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn put(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
    }
}

impl Disk for Shared {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|disk| {
            let offset = usize::try_from(offset).unwrap();
            let fails = disk.enter("write");
            match (fails, disk.failure) {
                (Err(error), Some(failure)) => {
                    // What the kernel took before the error is in the file, whatever it returned.
                    disk.put(&bytes[..failure.short.min(bytes.len())], offset);
                    Err(error)
                }
                (Err(error), None) => Err(error),
                (Ok(()), _) => {
                    disk.put(bytes, offset);
                    Ok(bytes.len())
                }
            }
        })
    }

    fn allocate(&mut self, from: u64, length: u64) -> io::Result<()> {
        self.with(|disk| {
            disk.enter("allocate")?;
            let end = usize::try_from(from + length).unwrap();
            if disk.room.is_some_and(|room| end > room) {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            disk.bytes.resize(end, 0);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.with(|disk| {
            disk.enter("sync")?;
            disk.synced = disk.bytes.clone();
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.with(|disk| {
            disk.enter("truncate")?;
            disk.bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        })
    }
}

pub(super) fn reader(bytes: &[u8]) -> Reader<Cursor<Vec<u8>>> {
    Reader::new(Cursor::new(bytes.to_vec()), "/test/journal.jsonl".into(), run())
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    reader(bytes).collect()
}

/// Commits, with room to spare.
#[track_caller]
pub(super) fn commit(writer: &mut Writer) {
    assert!(matches!(writer.commit().unwrap(), Space::Plenty));
}

/// The bytes of a finished journal of these events.
pub(super) fn journal_of(events: &[(Now, Event)]) -> Vec<u8> {
    let disk = Shared::default();
    let mut writer = disk.writer();
    writer.append(events).unwrap();
    commit(&mut writer);
    writer.finish().unwrap();
    disk.with(|disk| disk.bytes.clone())
}

/// The records that a journal of these events gives.
pub(in crate::store) fn records_of(events: &[(Now, Event)]) -> Vec<Record> {
    (1..).zip(events).map(|(seq, (now, event))| Record { seq, now: *now, event: event.clone() }).collect()
}
