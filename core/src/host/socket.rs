//! Sockets that the embedder gives to a guest, as data.

use super::Opened;
use std::net::SocketAddr;

/// The name that a socket is bound or connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketName {
    /// An address and a port of the Internet protocol.
    Ip(SocketAddr),
    /// The path of a Unix socket. Empty: it has none. An abstract name begins with NUL.
    Path(Vec<u8>),
}

/// The two ends of a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocketNames {
    /// This end. `None`: it is of a family that has no name here.
    pub local: Option<SocketName>,
    /// The other end. `None`: the socket is not connected.
    pub peer: Option<SocketName>,
}

/// A socket that the embedder gives to a guest.
pub struct GivenSocket {
    /// The open socket.
    pub object: Opened,
    /// Whether it takes connections. Otherwise it is a connection.
    pub is_listening: bool,
}
