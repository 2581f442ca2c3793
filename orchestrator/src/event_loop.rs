//! Sockets of frames in the event loop.

use std::io;

use ipc::socket::Receiver;
use tokio::{io::Interest, net::UnixStream};

/// Reads once from a socket that may be readable; `None`: it was not. A read that took all there was also counts as
/// the news that no more is there, which otherwise takes a call of its own: what comes later is told anew (epoll(7),
/// edge-triggered).
pub(crate) fn fill(receiver: &mut Receiver, socket: &UnixStream) -> io::Result<Option<usize>> {
    let mut read = None;
    let tried = socket.try_io(Interest::READABLE, || {
        let length = receiver.fill(socket)?;
        read = Some(length);
        let is_over = length > 0 && receiver.is_drained();
        if is_over { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match tried {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(read),
        Ok(()) => Ok(read),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use ipc::{
        message::{FromWorker, VERSION},
        socket::{self, Outgoing},
    };

    use super::*;

    const STARTED: FromWorker = FromWorker::Started { version: VERSION };

    /// Reads until this many messages came, and gives how many reads that took.
    async fn reads(receiver: &mut Receiver, socket: &UnixStream, messages: usize) -> usize {
        let (mut reads, mut found) = (0, 0);
        while found < messages {
            socket.readable().await.expect("the other end is there");
            reads += 1;
            fill(receiver, socket).expect("it can be read");
            while receiver.take::<FromWorker>().expect("a message").is_some() {
                found += 1;
            }
        }
        reads
    }

    #[tokio::test]
    async fn nothing_is_read_in_vain_and_nothing_is_missed() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = UnixStream::from_std(ours).unwrap();
        let mut receiver = Receiver::new();
        for _ in 0..100 {
            socket::send(&theirs, &STARTED, Vec::new()).unwrap();
            assert_eq!(reads(&mut receiver, &ours, 1).await, 1);
        }
        // More than one read takes.
        let mut many = Outgoing::new(&STARTED, Vec::new()).unwrap();
        for _ in 1..300 {
            many = many.and(&STARTED).unwrap();
        }
        many.send(&theirs).unwrap();
        assert!(reads(&mut receiver, &ours, 300).await > 1);
        drop(theirs);
        ours.readable().await.unwrap();
        assert_eq!(fill(&mut receiver, &ours).unwrap(), Some(0));
    }
}
