//! The bridge into a step's own, empty network: its child makes listening sockets in there and hands them out; the
//! engine answers on them, and so decides what there is to be reached. Nothing of it runs inside.
//!
//! What answers is a [`Service`], one for each port: see [`crate::egress`].

use std::{fmt, future::Future, io, net, pin::Pin, rc::Rc, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::AbortHandle,
};

/// Connections that a step may have at once on one port; more wait to be accepted.
const CONNECTIONS: usize = 64;

/// The life of one connection.
pub type Conversation = Pin<Box<dyn Future<Output = ()>>>;

/// What answers on a port.
pub trait Service: fmt::Debug {
    /// Answers one connection, to its end. Dropped in the middle when the step has ended.
    fn answer(self: Rc<Self>, connection: TcpStream) -> Conversation;
}

/// The services of one attempt, by port.
#[derive(Debug, Default)]
pub struct Services(Vec<(u16, Rc<dyn Service>)>);

impl Services {
    /// Answers on a port. The first service of a port stays.
    pub fn add(&mut self, port: u16, service: Rc<dyn Service>) {
        self.0.push((port, service));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports.
    pub fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|(port, _)| *port).collect()
    }

    /// Begins to answer on the sockets that came out. It ends when what is given is dropped.
    pub fn open(&self, sockets: Vec<(u16, net::TcpListener)>) -> io::Result<Open> {
        let mut tasks = Vec::with_capacity(sockets.len());
        for (port, socket) in sockets {
            let Some((_, service)) = self.0.iter().find(|(own, _)| *own == port) else { continue };
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from_std(socket)?;
            let task = tokio::task::spawn_local(accept(listener, Rc::clone(service)));
            tasks.push(task.abort_handle());
        }
        Ok(Open(tasks))
    }
}

/// A bridge that is open.
#[derive(Debug)]
pub struct Open(Vec<AbortHandle>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Accepts until the task is aborted; the conversations end with it.
async fn accept(listener: TcpListener, service: Rc<dyn Service>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    let mut conversations = tokio::task::JoinSet::new();
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        match listener.accept().await {
            Ok((connection, _)) => {
                let conversation = Rc::clone(&service).answer(connection);
                conversations.spawn_local(async move {
                    conversation.await;
                    drop(permit);
                });
            }
            // One that was gone before it was taken, or no descriptor is free: the next one may fare better.
            Err(_) => tokio::task::yield_now().await,
        }
        while conversations.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[derive(Debug)]
    struct Upper;

    impl Service for Upper {
        fn answer(self: Rc<Self>, mut connection: TcpStream) -> Conversation {
            Box::pin(async move {
                let mut byte = [0];
                while connection.read_exact(&mut byte).await.is_ok() {
                    let _gone = connection.write_all(&byte.map(|byte| byte.to_ascii_uppercase())).await;
                }
            })
        }
    }

    #[test]
    fn a_service_answers_on_its_port_until_the_bridge_is_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let socket = net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let mut services = Services::default();
            services.add(80, Rc::new(Upper));
            assert_eq!(services.ports(), [80]);
            let open = services.open(vec![(80, socket)]).unwrap();
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(b"a").await.unwrap();
            let mut answer = [0];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"A");
            drop(open);
            assert_eq!(connection.read(&mut answer).await.unwrap_or(0), 0, "the conversation has ended");
        });
    }
}
