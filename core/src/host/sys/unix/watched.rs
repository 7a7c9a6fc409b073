//! A descriptor that one thread watches for all guests.

use super::Handle;
use crate::host::readiness::Watching;
use polling::{Event, Poller};
use rustix::io::Errno as Host;
use std::os::fd::{AsRawFd, OwnedFd};

/// A duplicate of the descriptor of a file that is watched.
pub struct Watched(OwnedFd);

impl Watched {
    /// Duplicates a descriptor.
    pub fn new(handle: Handle<'_>) -> Result<Self, Watching> {
        // The number is 3 or more: a program may close one of the first three and expect the next
        // file there.
        rustix::io::fcntl_dupfd_cloexec(handle, 3).map(Self).map_err(|error| match error {
            Host::MFILE | Host::NFILE | Host::NOMEM => Watching::Unknown,
            // The descriptor is not open. The call finds that out when it is made again.
            _ => Watching::Ready,
        })
    }

    /// Registers it with the poller for one event, under a number.
    #[allow(unsafe_code, reason = "the poller borrows the descriptor")]
    pub fn add(&self, poller: &Poller, id: usize, read: bool, write: bool) -> Watching {
        // SAFETY: the descriptor is open, and whoever has added it removes it before it is closed.
        let added = unsafe { poller.add(self.0.as_raw_fd(), Event::new(id, read, write)) };
        match added.map_err(|error| Host::from_io_error(&error)) {
            Ok(()) => Watching::Watched,
            // Files and devices that never wait.
            Err(Some(Host::PERM)) if cfg!(any(target_os = "linux", target_os = "android")) => {
                Watching::Ready
            }
            // No room for it; or a terminal of macOS.
            Err(_) => Watching::Unknown,
        }
    }

    /// Removes it from the poller and closes it. Closing alone would leave it registered while
    /// another descriptor of the same file is open.
    pub fn remove(self, poller: &Poller) {
        // This fails if the poller has forgotten the descriptor: then there is nothing to remove.
        let _ = poller.delete(&self.0);
    }
}
