//! A descriptor that one thread watches for all guests.

use super::{Handle, poll_one};
use crate::host::readiness::Watching;
use polling::{Event, PollMode, Poller};
use rustix::event::PollFlags;
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const IS_EPOLL: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A duplicate of the descriptor of a file that is watched.
pub struct Watched {
    fd: OwnedFd,
    read: bool,
    write: bool,
}

impl Watched {
    /// Duplicates a descriptor, to wait until it can be read or written.
    pub fn new(handle: Handle<'_>, read: bool, write: bool) -> Result<Self, Watching> {
        // The number is 3 or more: a program may close one of the first three and expect the next
        // file there.
        match rustix::io::fcntl_dupfd_cloexec(handle, 3) {
            Ok(fd) => Ok(Self { fd, read, write }),
            Err(Host::MFILE | Host::NFILE | Host::NOMEM) => Err(Watching::Unknown),
            // The descriptor is not open. The call finds that out when it is made again.
            Err(_) => Err(Watching::Ready),
        }
    }

    /// Registers it with the poller, under a number.
    #[allow(unsafe_code, reason = "the poller borrows the descriptor")]
    pub fn add(&self, poller: &Poller, id: usize) -> Watching {
        let event = Event::new(id, self.read, self.write);
        // The poller asks epoll for urgent data of a peer as well, which no guest reads, and which
        // would be told of for as long as it is there. By its edges, it is told of once.
        let mode = if IS_EPOLL { PollMode::Edge } else { PollMode::Oneshot };
        // SAFETY: the descriptor is open, and whoever has added it removes it before it is closed.
        let added = unsafe { poller.add_with_mode(self.fd.as_raw_fd(), event, mode) };
        match added.map_err(|error| Host::from_io_error(&error)) {
            Ok(()) => Watching::Watched,
            // Files and devices that never wait.
            Err(Some(Host::PERM)) if IS_EPOLL => Watching::Ready,
            // No room for it; or a terminal of macOS.
            Err(_) => Watching::Unknown,
        }
    }

    /// Whether the file can be read or written now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.read);
        flags.set(PollFlags::OUT, self.write);
        // If the system cannot tell, the call finds out when it is made again.
        poll_one(self.fd.as_fd(), flags, 0).map_or(true, |found| !found.is_empty())
    }

    /// Removes it from the poller and closes it. Closing alone would leave it registered while
    /// another descriptor of the same file is open.
    pub fn remove(self, poller: &Poller) {
        // This fails if the poller has forgotten the descriptor: then there is nothing to remove.
        let _ = poller.delete(&self.fd);
    }
}
