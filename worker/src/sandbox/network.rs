//! The inside of an own network namespace: its loopback, and the sockets by which the engine is reached. They
//! belong to the namespace in which they were made, whoever holds them: the engine takes connections on them as if
//! it stood inside, and needs no process there.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use ipc::message::{FromWorker, Network, Stage};
use ipc::socket;
use nix::errno::Errno;

use crate::birth::{AtStage, Failure};
use crate::sys;

/// Arranges the namespace and hands the sockets out.
pub(crate) fn arrange(network: &Network, control: &OwnedFd) -> Result<(), Failure> {
    match network {
        Network::Host | Network::None => Ok(()),
        Network::Loopback => sys::raise_loopback().at(Stage::Network),
        Network::Bridge(ports) => {
            sys::raise_loopback().at(Stage::Network)?;
            let listen = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map(OwnedFd::from);
            let sockets = ports.iter().map(listen).collect::<Result<_, _>>().at(Stage::Network)?;
            socket::send(control, &FromWorker::Listening { ports: ports.clone() }, sockets)
                .map_err(|_| Failure { stage: Stage::Network, errno: Errno::EPIPE })
        }
    }
}
