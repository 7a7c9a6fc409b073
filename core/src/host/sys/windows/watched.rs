//! A socket that one thread watches for all guests.

use super::Handle;
use crate::host::readiness::Watching;
use polling::{Event, Poller};
use std::os::windows::io::{AsRawSocket, OwnedSocket};

/// A duplicate of a socket that is watched. Pipes and consoles cannot be watched.
pub struct Watched(OwnedSocket);

impl Watched {
    /// Duplicates a socket.
    pub fn new(handle: Handle<'_>) -> Result<Self, Watching> {
        let socket = handle.socket().ok_or(Watching::Unknown)?;
        socket.try_clone_to_owned().map(Self).map_err(|_| Watching::Unknown)
    }

    /// Registers it with the poller for one event, under a number.
    #[allow(unsafe_code, reason = "the poller borrows the socket")]
    pub fn add(&self, poller: &Poller, id: usize, read: bool, write: bool) -> Watching {
        // SAFETY: the socket is open, and whoever has added it removes it before it is closed.
        let added = unsafe { poller.add(self.0.as_raw_socket(), Event::new(id, read, write)) };
        if added.is_ok() { Watching::Watched } else { Watching::Unknown }
    }

    /// Removes it from the poller and closes it.
    pub fn remove(self, poller: &Poller) {
        // It fails where the poller has forgotten it: then there is nothing to take away.
        let _ = poller.delete(&self.0);
    }
}
