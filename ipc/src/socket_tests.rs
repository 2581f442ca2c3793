//! The rules of [`super`]: descriptors stay with their frame, and strangers are refused.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use schemas::json::Json;

use super::{Error, MAX_DESCRIPTORS, Outgoing, Receiver, send};
use crate::frame;
use crate::message::{FromLauncher, FromWorker, SkillResult, Stage, VERSION};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("socketpair")
}

fn null() -> OwnedFd {
    File::open("/dev/null").expect("/dev/null").into()
}

fn born(ticket: u64) -> FromLauncher {
    FromLauncher::Born { ticket, pid: 7 }
}

fn not_born(ticket: u64) -> FromLauncher {
    FromLauncher::NotBorn { ticket, stage: Stage::Exec, errno: 2 }
}

/// Sends bytes with descriptors as a hostile peer may.
fn send_raw(socket: &UnixStream, bytes: &[u8], descriptors: usize) {
    let null = null();
    let raw = vec![null.as_raw_fd(); descriptors];
    let rights = [ControlMessage::ScmRights(&raw)];
    let sent = sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &rights, MsgFlags::empty(), None);
    assert_eq!(sent.expect("sendmsg"), bytes.len());
}

#[test]
fn descriptors_come_with_their_own_frame() {
    let (ours, theirs) = pair();
    let mut file = File::from(nix_memfd());
    file.write_all(b"hello").expect("write");
    file.seek(SeekFrom::Start(0)).expect("seek");
    send(&ours, &not_born(1), Vec::new()).expect("send");
    send(&ours, &born(2), vec![file.into()]).expect("send");
    send(&ours, &born(3), vec![null()]).expect("send");
    drop(ours);

    let mut receiver = Receiver::new();
    let (first, none) = receiver.wait::<FromLauncher>(&theirs).expect("frame").expect("first");
    assert_eq!((first, none.len()), (not_born(1), 0));
    let (second, mut one) = receiver.wait::<FromLauncher>(&theirs).expect("frame").expect("second");
    assert_eq!((second, one.len()), (born(2), 1));
    let received = one.pop().expect("one");
    let flags = FdFlag::from_bits_retain(fcntl(received.as_fd(), FcntlArg::F_GETFD).expect("fcntl"));
    assert!(flags.contains(FdFlag::FD_CLOEXEC));
    let mut text = String::new();
    File::from(received).read_to_string(&mut text).expect("read");
    assert_eq!(text, "hello");
    let (third, _) = receiver.wait::<FromLauncher>(&theirs).expect("frame").expect("third");
    assert_eq!(third, born(3));
    assert!(receiver.wait::<FromLauncher>(&theirs).expect("end").is_none());
}

fn nix_memfd() -> OwnedFd {
    let name = c"test";
    nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("memfd")
}

#[test]
fn large_values_cross_a_non_blocking_socket() {
    let (ours, theirs) = pair();
    ours.set_nonblocking(true).expect("mode");
    theirs.set_nonblocking(true).expect("mode");
    let text = format!("\"{}\"", "x".repeat(frame::MAX_FRAME - 100));
    let value = Json::parse(&text).expect("json");
    let message = FromWorker::Result(SkillResult::Value { value: Some(value) });
    let mut outgoing = Outgoing::new(&message, Vec::new()).expect("encodes");
    let mut receiver = Receiver::new();
    let mut blocked = 0;
    let received = loop {
        match outgoing.send(&ours) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => blocked += 1,
            Err(error) => panic!("send: {error}"),
        }
        match receiver.fill(&theirs) {
            Ok(length) => assert!(length > 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if let Some((message, _)) = receiver.take::<FromWorker>().expect("valid") {
            break message;
        }
    };
    assert!(blocked > 0);
    let FromWorker::Result(SkillResult::Value { value: Some(value) }) = received else {
        panic!("{received:?}")
    };
    assert_eq!(value.as_str(), text);
}

#[test]
fn missing_and_surplus_descriptors_are_refused() {
    assert!(matches!(
        Outgoing::new(&born(1), Vec::new()),
        Err(Error::MissingDescriptors { needed: 1, found: 0 })
    ));
    assert!(matches!(Outgoing::new(&not_born(1), vec![null()]), Err(Error::SurplusDescriptors { count: 1 })));

    let check = |message: &FromLauncher, descriptors: usize| {
        let (ours, theirs) = pair();
        let bytes = frame::encode(message).expect("encodes");
        if descriptors == 0 {
            (&ours).write_all(&bytes).expect("write");
        } else {
            send_raw(&ours, &bytes, descriptors);
        }
        drop(ours);
        let mut receiver = Receiver::new();
        let first = receiver.wait::<FromLauncher>(&theirs);
        first.and_then(|_| receiver.wait::<FromLauncher>(&theirs)).map(|_| ())
    };
    assert!(check(&born(1), 1).is_ok());
    assert!(matches!(check(&born(1), 0), Err(Error::MissingDescriptors { needed: 1, found: 0 })));
    assert!(matches!(check(&born(1), 2), Err(Error::SurplusDescriptors { count: 1 })));
    assert!(matches!(check(&not_born(1), 1), Err(Error::SurplusDescriptors { count: 1 })));
}

#[test]
fn a_flood_of_descriptors_is_cut_and_closed() {
    let before = open_descriptors();
    let (ours, theirs) = pair();
    send_raw(&ours, b"x", MAX_DESCRIPTORS * 8);
    let mut receiver = Receiver::new();
    assert_eq!(receiver.fill(&theirs).expect_err("lost").kind(), ErrorKind::InvalidData);

    let (ours, theirs) = pair();
    let mut receiver = Receiver::new();
    let mut refused = false;
    for _ in 0..4 {
        send_raw(&ours, &[0], MAX_DESCRIPTORS);
        refused |= receiver.fill(&theirs).is_err();
    }
    assert!(refused);
    drop((ours, theirs, receiver));
    // Other tests of this process open and close too: only a flood would be more than this.
    assert!(open_descriptors() < before + 4 * MAX_DESCRIPTORS);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let (ours, theirs) = pair();
    let bytes = frame::encode(&not_born(1)).expect("encodes");
    (&ours).write_all(&bytes[..bytes.len() - 1]).expect("write");
    drop(ours);
    let got = Receiver::new().wait::<FromLauncher>(&theirs);
    assert!(matches!(got, Err(Error::Frame(frame::Error::Truncated))));
}

#[test]
fn sending_to_a_closed_socket_is_an_error_and_no_signal() {
    let (ours, theirs) = pair();
    drop(theirs);
    let got = send(&ours, &FromWorker::Started { version: VERSION }, Vec::new());
    assert!(matches!(got, Err(Error::Io(error)) if error.kind() == ErrorKind::BrokenPipe));
}
