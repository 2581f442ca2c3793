//! The daemon's socket: HTTP and JSON for the same user, on `daemon.sock` of the home. `GET /status`,
//! `POST /stop`, and `GET /events`, a stream of what becomes of fires (server-sent events).

use std::{
    convert::Infallible,
    fs::Permissions,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::{get, post},
};
use futures_util::stream::{self, Stream};
use schemas::output::daemon::DaemonStatus;
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    sync::{broadcast, mpsc, oneshot},
};

use super::serve::News;
use crate::store::home::Home;

/// What somebody asks.
#[derive(Debug)]
pub(super) struct Question {
    /// Whether the daemon shall end.
    pub(super) stop: bool,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<DaemonStatus>,
}

#[derive(Clone)]
struct Shared {
    news: mpsc::UnboundedSender<News>,
    events: broadcast::Sender<String>,
}

/// The socket by a path of any length: addresses of sockets have at most 108 bytes (unix(7)), so the folder is
/// named by its descriptor.
pub(super) fn address(home: &Home) -> io::Result<(OwnedFd, PathBuf)> {
    let folder = OwnedFd::from(std::fs::File::open(home.path())?);
    let name = home.daemon_socket();
    let name = name.file_name().unwrap_or_default();
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((folder, path))
}

/// The socket of a daemon that listens; its file goes with it.
#[derive(Debug)]
pub(super) struct Listening(PathBuf);

impl Drop for Listening {
    fn drop(&mut self) {
        // What is left of it, the next daemon removes.
        let _next_daemon = remove(&self.0);
    }
}

fn remove(socket: &Path) -> io::Result<()> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Listens. The caller holds the daemon's lock: a socket that is there is left over.
pub(super) fn listen(
    home: &Home,
    news: &mpsc::UnboundedSender<News>,
    events: &broadcast::Sender<String>,
) -> io::Result<Listening> {
    remove(&home.daemon_socket())?;
    let (_folder, path) = address(home)?;
    let listener = UnixListener::bind(path)?;
    let listening = Listening(home.daemon_socket());
    std::fs::set_permissions(home.daemon_socket(), Permissions::from_mode(0o600))?;
    let shared = Shared { news: news.clone(), events: events.clone() };
    let router = Router::new()
        .route("/status", get(status))
        .route("/stop", post(stop))
        .route("/events", get(follow))
        .with_state(shared);
    tokio::spawn(async move { axum::serve(Ours(listener), router).await });
    Ok(listening)
}

/// Connections of our own user, and of root. Others are closed unheard.
struct Ours(UnixListener);

impl axum::serve::Listener for Ours {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
            let ours = nix::unistd::geteuid().as_raw();
            if stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0) {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn status(State(shared): State<Shared>) -> Result<Json<DaemonStatus>, StatusCode> {
    ask(&shared, false).await
}

async fn stop(State(shared): State<Shared>) -> Result<Json<DaemonStatus>, StatusCode> {
    ask(&shared, true).await
}

async fn ask(shared: &Shared, stop: bool) -> Result<Json<DaemonStatus>, StatusCode> {
    let (answer, receiver) = oneshot::channel();
    // The loop is over, or about to be.
    shared
        .news
        .send(News::Question(Question { stop, answer }))
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    receiver.await.map(Json).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn follow(State(shared): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(shared.events.subscribe(), |mut events| async {
        loop {
            match events.recv().await {
                Ok(line) => return Some((Ok(Event::default().data(line)), events)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }))
}
