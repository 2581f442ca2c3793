//! A word to the service manager that started us (sd_notify(3)).

use std::os::{
    linux::net::SocketAddrExt as _,
    unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
};

/// Tells it, if there is one. It has no other use for us than to know, so that failing is no error.
pub(super) fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let send = |address: &SocketAddr| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), address);
    let _nobody_listens = address.and_then(|address| send(&address));
}
