//! A socket that one thread watches for all guests.

use super::Handle;
use crate::host::readiness::Watching;
use polling::{Event, Poller};
use std::os::windows::io::{AsRawSocket, OwnedSocket};

/// A duplicate of a socket that is watched. Pipes and consoles cannot be watched.
pub struct Watched {
    socket: OwnedSocket,
    read: bool,
    write: bool,
}

impl Watched {
    /// Duplicates a socket, to wait until it can be read or written.
    pub fn new(handle: Handle<'_>, read: bool, write: bool) -> Result<Self, Watching> {
        let socket = handle.socket().ok_or(Watching::Unknown)?;
        let socket = socket.try_clone_to_owned().map_err(|_| Watching::Unknown)?;
        Ok(Self { socket, read, write })
    }

    /// Registers it with the poller for one event, under a number.
    #[allow(unsafe_code, reason = "the poller borrows the socket")]
    pub fn add(&self, poller: &Poller, id: usize) -> Watching {
        let event = Event::new(id, self.read, self.write);
        // SAFETY: the socket is open, and whoever has added it removes it before it is closed.
        let added = unsafe { poller.add(self.socket.as_raw_socket(), event) };
        if added.is_ok() { Watching::Watched } else { Watching::Unknown }
    }

    /// Whether the socket can be read or written now: the poller has told of it, and the call finds
    /// out when it is made again.
    #[allow(clippy::unused_self, reason = "as on Unix")]
    #[must_use]
    pub fn is_ready(&self) -> bool {
        true
    }

    /// Removes it from the poller and closes it.
    pub fn remove(self, poller: &Poller) {
        // It fails where the poller has forgotten it: then there is nothing to take away.
        let _ = poller.delete(&self.socket);
    }
}
