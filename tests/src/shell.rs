//! What the servers of the tests have in common: a listening socket on loopback and a thread that answers on it, one
//! connection after the other.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The socket and its thread; both end when dropped.
#[derive(Debug)]
pub(crate) struct Shell {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shell {
    /// Hands each connection to `answer`.
    #[track_caller]
    pub(crate) fn start(mut answer: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let ending = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ending = Arc::clone(&ending);
            move || {
                for stream in listener.incoming().flatten() {
                    if ending.load(Ordering::SeqCst) {
                        return;
                    }
                    if stream.set_read_timeout(Some(PATIENCE)).is_ok() {
                        answer(stream);
                    }
                }
            }
        });
        Self { address, ending, thread: Some(thread) }
    }

    /// Where it is, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes accept(2); if it fails the thread has ended already.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The head of a request; `None`: the client went away.
pub(crate) fn head(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
