//! Every message survives its way through a frame.

use schemas::json::Json;

use super::*;
use crate::frame::{Decoder, encode};
use crate::limits::ProcessLimits;

#[track_caller]
fn check<M: Message + std::fmt::Debug>(message: &M) {
    let mut decoder = Decoder::new();
    decoder.feed(&encode(message).expect("encodes"));
    let back: M = decoder.take().expect("decodes").expect("whole");
    assert_eq!(format!("{back:?}"), format!("{message:?}"));
    assert!(decoder.is_empty());
}

fn birth() -> ToLauncher {
    ToLauncher::Birth(Box::new(Birth {
        ticket: u64::MAX,
        leaf: Some("/sys/fs/cgroup/leaf".into()),
        sandbox: Sandbox {
            namespaces: true,
            mounts: true,
            user_namespace: UserNamespace::Last,
            network: Network::Bridge(vec![3128, 8080]),
            capabilities: Capabilities::Standard,
            tmp_size: Bytes(64 << 20),
            keep_visible: vec!["/tmp/a".into()],
            work: Some("/tmp/work".into()),
            root: Some(Root {
                read: vec!["/b".into()],
                write: vec!["/c".into()],
                hidden: vec!["/e".into()],
                empty: vec!["/d".into()],
            }),
            seccomp: Seccomp::AllowUserns,
            no_fork: true,
            user: Some(Identity { uid: 1000, gid: 100 }),
            delegate: false,
        },
    }))
}

fn task(work: Work) -> ToWorker {
    ToWorker::Task(Box::new(Task {
        work_dir: Some("/w".into()),
        limits: ProcessLimits { open_files: Some(64), ..ProcessLimits::default() },
        env: vec![("A".into(), "b=c\n".into())],
        cwd: Some("/".into()),
        streams: Streams { input: true, outputs: true, events: true },
        work,
    }))
}

#[test]
fn to_launcher() {
    check(&ToLauncher::Setup {
        version: VERSION,
        probe: None,
        capabilities: Capabilities::Standard,
        filtered: true,
        strict: false,
        hidden: vec!["/home/a/.ssh".into()],
        guarded: vec!["/usr/bin/q".into()],
    });
    check(&birth());
}

#[test]
fn to_worker() {
    check(&task(Work::Program { argv: vec!["true".into()] }));
    let inputs = Some(Json::parse("{\"text\": [1, 2.50, \"\\u00e9\"]}").expect("json"));
    check(&task(Work::Builtin { skill: "echo".into(), inputs, work_dir: "/w".into() }));
    check(&task(Work::Builtin { skill: "echo".into(), inputs: None, work_dir: "/w".into() }));
}

#[test]
fn streams_come_with_a_task() {
    for (input, outputs, events, descriptors) in
        [(false, false, false, 0), (true, false, false, 1), (false, true, false, 2), (true, true, true, 4)]
    {
        assert_eq!(Streams { input, outputs, events }.descriptors(), descriptors);
    }
}

#[test]
fn from_launcher() {
    check(&FromLauncher::Ready {
        version: VERSION,
        birth: BirthKind::IntoCgroup,
        namespaces: true,
        strict: Some(false),
        network: None,
        seccomp: true,
        notes: vec!["x".into()],
    });
    check(&FromLauncher::Born { ticket: 1, pid: 2 });
    check(&FromLauncher::NotBorn { ticket: 1, stage: Stage::Leaf, errno: 2 });
    for status in [WaitStatus::Exited(255), WaitStatus::Signaled { signal: 64, core_dumped: true }] {
        check(&FromLauncher::Exited { ticket: 1, status, usage: ProcessUsage::default() });
    }
}

#[test]
fn from_worker() {
    check(&FromWorker::Started { version: VERSION });
    check(&FromWorker::SetupFailed { stage: Stage::Exec, errno: 2 });
    check(&FromWorker::Listening { ports: vec![3128] });
    check(&FromWorker::Log { level: "info".into(), text: "a\nb".into() });
    let value = Json::parse("{\"deep\": [{\"a\": null}], \"n\": 1e400}").expect("json");
    check(&FromWorker::Result(SkillResult::Value { value: Some(value) }));
    check(&FromWorker::Result(SkillResult::Value { value: None }));
    let error =
        SkillError { code: "X".into(), message: "y".into(), retryable: true, details: Some(Json::null()) };
    check(&FromWorker::Result(SkillResult::BadInput { pointer: "/a".into(), message: "no".into() }));
    let usage = ProcessUsage { user_us: 1, system_us: 2, max_rss_bytes: 4096 };
    check(&FromWorker::LeaderExited { status: WaitStatus::Exited(0), leftovers: 3, usage });
    // Absent and null details are one.
    check(&FromWorker::Result(SkillResult::Error(SkillError { details: None, ..error })));
}
