//! The operations of the operating system, sandboxed.
//!
//! The layers above call a [`File`] or a [`Directory`] and do not know its backend. All code that
//! depends on the platform is in [`sys`].

#[macro_use]
mod forward;

mod budget;
mod clock;
mod directory;
mod error;
mod lazy;
#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod link_tree;
mod memfs;
mod mounts;
mod offset;
mod path;
mod pieces;
mod quota;
mod random;
mod read_only;
pub mod readiness;
mod served;
mod single_file;
mod socket;
mod sorted_directory;
pub mod stream;
pub mod sys;
mod walk;

pub use budget::{Budget, Lease};
pub use clock::{SteppingClock, VirtualClocks, monotonic_now, resolution, time};
pub use error::from_io;
pub use lazy::Lazy;
pub use memfs::{
    ArchiveError, Change, Changed, Clock, CommitError, INODE_CHARGE, NAME_CHARGE, Overlay, Tree,
    TreeOptions,
};
pub use mounts::{Nested, Preopen, View, nest};
use path::is_plain_name;
pub use path::{GuestPath, PATH_LIMIT, PathBuffer, Split};
pub use quota::Quota;
pub use random::{SeededRandom, fill};
pub use served::{Answer, Exchange, Flags, Listed, Op, READ_MOST, Request, Served};
pub use single_file::SingleFile;
pub use socket::{GivenSocket, SocketName, SocketNames};
pub use sorted_directory::SortedDirectory;
pub use sys::{duplicate_socket, listen, listen_at, open_exact, open_preopen, stdio, wait};

use crate::abi::{
    Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Riflags, Roflags, Sdflags, Timestamp,
    Whence,
};
use crate::memory::Region;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a table of the process was ever shared between threads. Hardly any process has one, so
/// one load tells a call that it is alone with its descriptor.
static SHARED: AtomicBool = AtomicBool::new(false);

/// Notes that a second thread is about to use the descriptors of a table.
pub fn share_descriptors() {
    SHARED.store(true, Relaxed);
}

/// Whether two threads may use one descriptor.
#[cfg(unix)]
fn are_descriptors_shared() -> bool {
    SHARED.load(Relaxed)
}

/// The result of a host operation: a value, or the errno that the guest sees.
pub type Result<T> = std::result::Result<T, Errno>;

/// The value to set one of a file's times to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// The host's present time.
    Now,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    At(Timestamp),
}

/// The times of a file that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTimes {
    /// The last access.
    pub atim: SetTime,
    /// The last modification.
    pub mtim: SetTime,
}

/// How [`Directory::open`] opens.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "independent flags, named as POSIX names them")]
pub struct OpenOptions {
    /// Create the file if it does not exist.
    pub create: bool,
    /// Fail if it exists.
    pub exclusive: bool,
    /// Fail if it is not a directory.
    pub directory: bool,
    /// Cut it to size 0.
    pub truncate: bool,
    /// Follow a symbolic link in the last component.
    pub follow: bool,
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// A file that is created is its owner's alone, where files have permissions.
    pub private: bool,
    /// The flags of the new descriptor.
    pub flags: Fdflags,
}

impl OpenOptions {
    /// To read a file that is there. No link is followed at the end of the path.
    pub const READ: Self = Self {
        create: false,
        exclusive: false,
        directory: false,
        truncate: false,
        follow: false,
        read: true,
        write: false,
        private: false,
        flags: Fdflags::empty(),
    };
}

/// The directory itself, and in a [`SingleFile`] the file.
const HERE: GuestPath<'_> = GuestPath::of_checked(b".");

/// How [`open_preopen`] opens.
#[derive(Debug, Clone, Copy, Default)]
pub struct PreopenOptions {
    /// The directory is a root to the guest: `..` stays at the top, and absolute symbolic links
    /// resolve inside.
    pub root: bool,
    /// No symbolic link is followed or made.
    pub no_symlinks: bool,
    /// Reading below notes no access times, where the system lets the process ask for that. Linux
    /// does so for files that the process's user owns. Reading a symbolic link notes its access
    /// time all the same.
    pub no_access_times: bool,
}

/// The directions for which the host has opened a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
}

impl Access {
    /// For both.
    pub const BOTH: Self = Self { read: true, write: true };
}

/// A standard stream of a guest.
pub struct Stdio {
    /// The open file or directory.
    pub object: Opened,
    /// The flags that the guest sees.
    pub flags: Fdflags,
    /// The directions for which the host has the descriptor open.
    pub access: Access,
}

/// The result of [`Directory::open`].
pub enum Opened {
    /// Anything that is not a directory.
    File(Box<dyn File>),
    /// A directory.
    Directory(Box<dyn Directory>),
}

/// The condition to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Data to read.
    Read,
    /// Room for data.
    Write,
}

/// The result of a wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The operation would not block.
    pub ready: bool,
    /// The peer has closed its end.
    pub hangup: bool,
    /// The descriptor is not one that the host has open.
    pub invalid: bool,
}

/// The source of the news that a file is ready.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// None: the file is always ready.
    Ready,
    /// The host's poll.
    Host(sys::Handle<'a>),
    /// The embedder's stream: the file is ready when that has given something, or has ended.
    Input(&'a stream::Input),
}

/// One of the files of a [`wait`].
#[derive(Debug)]
pub struct Wait<'a> {
    /// The file.
    pub handle: sys::Handle<'a>,
    /// Wait until it can be read.
    pub read: bool,
    /// Wait until it can be written.
    pub write: bool,
    /// Filled by the wait: whether it can be read.
    pub readable: Readiness,
    /// Filled by the wait: whether it can be written.
    pub writable: Readiness,
}

/// An open file that is not a directory.
///
/// A call that would block answers `again`, whatever the flags: waiting is the caller's business.
/// So does [`Directory::open`].
pub trait File: Send + Sync {
    /// The type of the file.
    fn filetype(&self) -> Filetype;

    /// Whether it is a terminal.
    fn is_terminal(&self) -> bool;

    /// Whether it is a socket.
    fn is_socket(&self) -> bool;

    /// The input that a function of the embedder feeds, if this is its stream.
    fn input(&self) -> Option<&Arc<stream::Input>> {
        None
    }

    /// Checks that a descriptor lent by the host is still open there.
    fn check_open(&self) -> Result<()> {
        Ok(())
    }

    /// Reads at the file's offset and moves it. Zero is the end of the file.
    fn read(&self, bufs: &[Region<'_>]) -> Result<usize>;

    /// Writes at the file's offset and moves it; with `APPEND` in `flags`, at the end.
    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize>;

    /// Reads at `offset` and leaves the file's own where it is.
    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize>;

    /// Writes at `offset` and leaves the file's own where it is.
    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize>;

    /// Moves the offset and returns the new one.
    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize>;

    /// The attributes.
    fn filestat(&self) -> Result<Filestat>;

    /// The attributes at the time of opening, if they are known without asking the host.
    fn filestat_when_opened(&self) -> Option<Filestat> {
        None
    }

    /// Sets the size; new bytes are zero.
    fn set_size(&self, size: Filesize) -> Result<()>;

    /// Makes sure that there is room for a range, and extends the file to its end.
    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()>;

    /// Gives advice on a range.
    fn advise(&self, offset: Filesize, len: Filesize, advice: Advice) -> Result<()>;

    /// Writes data and attributes to the device.
    fn sync(&self) -> Result<()>;

    /// Writes data to the device.
    fn datasync(&self) -> Result<()>;

    /// Sets times.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// Changes the descriptor's flags from `old` to `new`.
    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()>;

    /// The permission bits, where files have them.
    fn mode(&self) -> Option<u32> {
        None
    }

    /// Sets the permission bits, where files have them.
    fn set_mode(&self, mode: u32) -> Result<()> {
        let _ = mode;
        Ok(())
    }

    /// How it tells that it is ready.
    fn source(&self) -> Source<'_>;

    /// Whether its device and its serial number stay what they are as long as it is open, and take
    /// a question to the host.
    fn keeps_identity(&self) -> bool {
        false
    }

    /// How many bytes can be read at once, as far as the host knows.
    fn available(&self) -> Filesize;

    /// The two ends of a socket.
    fn socket_names(&self) -> Result<SocketNames> {
        Err(Errno::Notsock)
    }

    /// Takes a connection.
    fn accept(&self) -> Result<Box<dyn File>> {
        Err(Errno::Notsock)
    }

    /// Receives from a socket.
    fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
        let (_, _) = (bufs, flags);
        Err(Errno::Notsock)
    }

    /// Sends through a socket.
    fn send(&self, bufs: &[Region<'_>]) -> Result<usize> {
        let _ = bufs;
        Err(Errno::Notsock)
    }

    /// Shuts channels of a socket down.
    fn shutdown(&self, how: Sdflags) -> Result<()> {
        let _ = how;
        Err(Errno::Notsock)
    }
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy)]
pub struct DirectoryEntry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The serial number of the file.
    pub ino: u64,
    /// The type of the file.
    pub filetype: Filetype,
    /// The cookie at which the entry after this one begins.
    pub next: u64,
}

/// The receiver of a listing's entries.
pub trait EntrySink {
    /// Takes an entry and says whether it wants more.
    // Arguments pass in registers. A `DirectoryEntry` would pass through memory, which takes as
    // long as all else that is done here.
    fn entry(&mut self, name: &[u8], ino: u64, filetype: Filetype, next: u64) -> bool;
}

impl<F: FnMut(DirectoryEntry<'_>) -> bool> EntrySink for F {
    #[inline]
    fn entry(&mut self, name: &[u8], ino: u64, filetype: Filetype, next: u64) -> bool {
        self(DirectoryEntry { name, ino, filetype, next })
    }
}

/// An open directory, and what can be done below it.
///
/// No path leads outside: an attempt is `notcapable`. A symbolic link in the middle of a path is
/// followed below the directory; one in the last component where the operation says so.
pub trait Directory: Send + Sync {
    /// Opens or creates a file, or opens a directory. `again`: the host would wait, as for a reader
    /// of a named pipe that is to be written, and `NONBLOCK` is not among the flags.
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened>;

    /// The attributes of the directory itself.
    fn filestat(&self) -> Result<Filestat>;

    /// The attributes of the file at `path`.
    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat>;

    /// When the file at `path` was made, which tells it from an earlier one that had the same
    /// serial number. A symbolic link is not followed. `None`: the host does not say.
    fn path_born(&self, path: GuestPath<'_>) -> Option<Timestamp> {
        let _ = path;
        None
    }

    /// Sets times of the directory itself.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// Sets times of the file at `path`.
    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()>;

    /// Gives the entries from `cookie` on to `sink` until it wants no more. 0 is the start, with a
    /// fresh look at the directory. `capacity` is about how many bytes the sink takes.
    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()>;

    /// Creates a directory.
    fn create_directory(&self, path: GuestPath<'_>) -> Result<()>;

    /// Removes an empty directory.
    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()>;

    /// Removes a file or a symbolic link.
    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()>;

    /// Creates a symbolic link at `path` with the text `target`.
    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()>;

    /// Copies the text of a symbolic link to `text`, cut to its size, and returns how many bytes
    /// that are.
    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize>;

    /// Renames the file at `old` to `new` below `to`.
    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()>;

    /// Makes `new` below `to` a hard link to the file at `old`.
    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()>;

    /// Writes the directory to the device.
    fn sync(&self) -> Result<()>;

    /// The permission bits, where directories have them.
    fn mode(&self) -> Option<u32> {
        None
    }

    /// Sets the permission bits, where directories have them.
    fn set_mode(&self, mode: u32) -> Result<()> {
        let _ = mode;
        Ok(())
    }

    /// The same directory, in which no symbolic link is followed, neither on the way to a path's
    /// last component nor there.
    ///
    /// # Errors
    /// - `notsup`: there is none.
    /// - those of opening it once more.
    fn without_links(&self) -> Result<Box<dyn Directory>> {
        Err(Errno::Notsup)
    }

    /// The backend: operations on two directories work within one backend only.
    fn as_any(&self) -> &dyn Any;
}
