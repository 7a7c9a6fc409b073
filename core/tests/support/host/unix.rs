//! The parts of Unix that tests need.

use std::fs::{self, File};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use wasi_rs_core::host::Stdio;

pub use std::fs::Metadata;
pub use std::os::unix::fs::MetadataExt;
pub use std::os::unix::net::UnixStream as Stream;

/// The unit of a file's times in nanoseconds.
pub const TICK: u64 = 1;

/// A descriptor that the host lends a guest as its stdio.
pub type Lent = OwnedFd;

pub fn lend(lent: &Lent) -> io::Result<Stdio> {
    wasi_rs_core::host::stdio(lent.as_raw_fd())
}

/// The device that takes everything and is always at its end.
pub fn null() -> Lent {
    fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap().into()
}

/// Two sockets that are connected to each other.
pub fn stream_pair() -> (Stream, Stream) {
    Stream::pair().unwrap()
}

pub fn metadata(path: &Path) -> io::Result<Metadata> {
    fs::symlink_metadata(path)
}

pub fn symlink(text: &str, path: &Path) {
    std::os::unix::fs::symlink(text, path).unwrap();
}

/// Lets a descriptor answer that it would block.
pub fn set_nonblocking(fd: &impl AsFd) {
    let flags = rustix::fs::fcntl_getfl(fd).unwrap();
    rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
}

/// The host's flags of a descriptor.
pub fn status_flags(fd: &impl AsFd) -> u64 {
    rustix::fs::fcntl_getfl(fd).unwrap().bits().into()
}

/// A second look at something open: it is not closed with it.
#[allow(unsafe_code, reason = "a descriptor that belongs to another")]
pub fn look_at(open: &impl AsRawFd) -> ManuallyDrop<File> {
    // SAFETY: it is not closed through what is returned.
    ManuallyDrop::new(unsafe { File::from_raw_fd(open.as_raw_fd()) })
}

/// Two sockets for messages that are connected to each other.
pub fn datagram_pair() -> (UnixDatagram, UnixDatagram) {
    UnixDatagram::pair().unwrap()
}

/// A socket for a connection that there is none of.
pub fn unconnected() -> Lent {
    rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
        .unwrap()
}

/// A directory, open.
pub fn open_directory(path: &Path) -> File {
    File::open(path).unwrap()
}
