//! Tells the service manager that started this process what state it is in, by the protocol of `sd_notify(3)`: one
//! datagram to the socket that `NOTIFY_SOCKET` names. Without that variable nothing happens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const VARIABLE: &str = "NOTIFY_SOCKET";

/// What a service manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Every mapping has been taken up and calls are served.
    Ready,
    /// An orderly stop has begun.
    Stopping,
}

impl State {
    fn message(self) -> &'static str {
        match self {
            Self::Ready => "READY=1\nSTATUS=serving",
            Self::Stopping => "STOPPING=1\nSTATUS=draining",
        }
    }
}

/// Tells the service manager, if there is one. That it could not be told is logged and otherwise nothing: a manager
/// that needs to know ends a service that it never hears from.
pub(super) fn tell(state: State) {
    let Some(address) = std::env::var_os(VARIABLE) else {
        return;
    };
    if let Err(error) = send(&address, state.message()) {
        tracing::warn!(%error, ?state, "cannot tell the service manager");
    }
}

/// Sends to a socket by its path, or by its abstract name behind an `@`. Never blocks: a manager that does not read
/// must not stop the server.
fn send(address: &OsStr, message: &str) -> io::Result<()> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_socket_with_a_path_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), State::Ready.message()).unwrap();
        assert!(received(&manager).starts_with("READY=1\n"));
    }

    #[test]
    fn an_abstract_socket_is_told() {
        let name = format!("millstream-test-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), State::Stopping.message()).unwrap();
        assert!(received(&manager).starts_with("STOPPING=1\n"));
    }

    #[test]
    fn nobody_there_is_an_error_and_nothing_more() {
        assert!(send(OsStr::new("/nonexistent/notify"), "READY=1").is_err());
    }
}
