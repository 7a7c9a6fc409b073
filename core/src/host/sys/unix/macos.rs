//! The parts of Unix in which macOS differs from other systems. It has `preadv` and `pwritev` from
//! macOS 11 on.

#![allow(unsafe_code, reason = "system calls that rustix does not make as they are needed here")]

use super::errno::from_rustix;
use super::file::{Owned, retry, send as send_all};
pub(super) use super::listing::Listing;
use super::nanoseconds;
use crate::abi::{Advice, Errno, Filesize, Timestamp};
use crate::host::Result;
use crate::host::walk::Base;
use crate::memory::Region;
use rustix::event::PollFlags;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The event that a socket's peer will send no more: macOS does not report it separately.
pub(super) const PEER_CLOSED: PollFlags = PollFlags::empty();

/// The clock that only goes forward. `CLOCK_MONOTONIC` on macOS is the time of day less that of the
/// start, in microseconds, and goes back when the time of day is set. Node uses this clock, too.
pub(super) const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC_RAW;

/// For opening a directory only to resolve further names from it.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// For a directory that may be searched and not read.
const SEARCH: OFlags =
    OFlags::from_bits_retain(libc::O_SEARCH.cast_unsigned()).union(OFlags::CLOEXEC);

/// The flag of a descriptor that is good for nothing but paths: macOS has no such descriptors.
pub(super) const FOR_PATHS: OFlags = OFlags::empty();

/// For opening anything to ask for its attributes, if there is such a way.
pub(super) const FOR_NOTHING: Option<OFlags> = None;

/// The flag to open a file without noting the access time: macOS has none.
pub(super) const NO_ACCESS_TIME: OFlags = OFlags::empty();

/// Whether [`nowait`] can do more than refuse.
pub(super) const HAS_NOWAIT: bool = false;

/// The number of bytes that a stream socket takes at once if it polls as writable: its low-water
/// mark, unless someone has changed that.
const SOCKET_ROOM: usize = 2048;

fn count(bufs: &[Region<'_>]) -> libc::c_int {
    libc::c_int::try_from(bufs.len()).unwrap_or(libc::c_int::MAX)
}

/// Reads and writes.
pub(super) mod call {
    use super::{AsRawFd, BorrowedFd, Errno, Region, Result, count, retry};

    // SAFETY, for all of them: the regions are checked ranges of guest memory, laid out as iovecs.

    pub(in super::super) fn readv(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        // SAFETY: as above.
        retry(|| unsafe { libc::readv(fd.as_raw_fd(), bufs.as_ptr().cast(), count(bufs)) })
    }

    pub(in super::super) fn writev(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        // SAFETY: as above.
        retry(|| unsafe { libc::writev(fd.as_raw_fd(), bufs.as_ptr().cast(), count(bufs)) })
    }

    pub(in super::super) fn preadv(
        fd: BorrowedFd<'_>,
        bufs: &[Region<'_>],
        offset: u64,
    ) -> Result<usize> {
        let offset = i64::try_from(offset).map_err(|_| Errno::Inval)?;
        // SAFETY: as above.
        retry(|| unsafe { libc::preadv(fd.as_raw_fd(), bufs.as_ptr().cast(), count(bufs), offset) })
    }

    pub(in super::super) fn pwritev(
        fd: BorrowedFd<'_>,
        bufs: &[Region<'_>],
        offset: u64,
    ) -> Result<usize> {
        let offset = i64::try_from(offset).map_err(|_| Errno::Inval)?;
        // SAFETY: as above.
        retry(|| unsafe {
            libc::pwritev(fd.as_raw_fd(), bufs.as_ptr().cast(), count(bufs), offset)
        })
    }
}

/// On macOS a poll has to come first.
pub(super) mod nowait {
    use super::{BorrowedFd, Errno, Region, Result};

    pub(in super::super) fn readv(_: BorrowedFd<'_>, _: &[Region<'_>]) -> Result<usize> {
        Err(Errno::Notsup)
    }

    pub(in super::super) fn writev(_: BorrowedFd<'_>, _: &[Region<'_>], _: bool) -> Result<usize> {
        Err(Errno::Notsup)
    }
}

/// Opens a path below a directory, where the kernel can.
pub(super) fn open_below(
    _: Base<'_, Owned>,
    _: &[u8],
    _: OFlags,
    _: Mode,
) -> Option<Result<OwnedFd>> {
    None
}

/// Opens a name in a directory, or `.`.
pub(super) fn open_name(
    directory: impl AsFd + Copy,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::openat(directory, name, flags, mode) {
        Err(Host::ACCESS) if flags.difference(OFlags::NOFOLLOW) == DIRECTORY => {
            rustix::fs::openat(directory, name, SEARCH | flags.intersection(OFlags::NOFOLLOW), mode)
        }
        result => result,
    }
}

/// Opens a descriptor's file anew. There is no way: `/dev/fd` only duplicates.
pub(super) fn reopen(_: BorrowedFd<'_>, _: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(Host::NOTSUP)
}

/// Takes a connection. It waits if the socket's flags say so. There is no `accept4`, so a process
/// that is started meanwhile may inherit it.
pub(super) fn accept(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let accepted = rustix::net::accept(socket)?;
    rustix::io::fcntl_setfd(&accepted, rustix::io::FdFlags::CLOEXEC)?;
    Ok(accepted)
}

/// A socket to listen on, which does not wait. A process that is started meanwhile may inherit it,
/// as above.
pub(super) fn listening_socket(family: rustix::net::AddressFamily) -> rustix::io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Sends on a socket without waiting. The kernel heeds `MSG_DONTWAIT` only when it receives, so a
/// socket that blocks is first asked for room, and a stream then gets no more than there is room
/// for.
pub(super) fn send(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    let sent = if rustix::fs::fcntl_getfl(fd).map_err(from_rustix)?.contains(OFlags::NONBLOCK) {
        send_all(fd, bufs)
    } else if super::poll_one(fd, PollFlags::OUT, 0).map_err(from_rustix)?.is_empty() {
        Err(Errno::Again)
    } else if rustix::net::sockopt::socket_type(fd).map_err(from_rustix)?
        == rustix::net::SocketType::STREAM
    {
        let first = bufs.first().map(|first| first.start(SOCKET_ROOM));
        send_all(fd, first.as_slice())
    } else {
        send_all(fd, bufs)
    };
    // The kernel says so of a connection that is being closed.
    sent.map_err(|errno| if errno == Errno::Prototype { Errno::Pipe } else { errno })
}

/// Whether a socket takes connections. The kernel does not answer `SO_ACCEPTCONN`. But a connected
/// socket does not listen, and `accept` fails at once on a socket that does neither.
pub(super) fn is_listening(fd: BorrowedFd<'_>) -> Result<bool> {
    match rustix::net::getpeername(fd) {
        Ok(_) => Ok(false),
        Err(Host::NOTCONN) => Ok(true),
        Err(error) => Err(from_rustix(error)),
    }
}

/// Fills the bytes with random ones of the kernel, where that is faster than a generator. Nobody
/// has measured it on macOS.
pub(super) fn random(_: &mut [u8]) -> bool {
    false
}

/// Makes room for a range and extends the file to its end. `notsup`: the file system cannot reserve
/// room.
/// The system can only reserve room behind the bytes that the file occupies: holes before its end
/// stay.
pub(super) fn allocate(fd: BorrowedFd<'_>, offset: Filesize, len: Filesize) -> Result<()> {
    const BLOCK: u64 = 512;
    let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
    let stat = rustix::fs::fstat(fd).map_err(from_rustix)?;
    if u64::try_from(stat.st_size).is_ok_and(|size| size >= end) {
        return Ok(());
    }
    let occupied = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
    let missing = end.saturating_sub(occupied);
    if missing > 0 {
        let mut store = libc::fstore_t {
            fst_flags: libc::F_ALLOCATEALL,
            fst_posmode: libc::F_PEOFPOSMODE,
            fst_offset: 0,
            fst_length: i64::try_from(missing).map_err(|_| Errno::Fbig)?,
            fst_bytesalloc: 0,
        };
        // SAFETY: the command takes a pointer to such a record, which is a local.
        retry(|| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_PREALLOCATE, &raw mut store) })?;
    }
    // Not rustix's `fallocate`, which would cut a longer file.
    rustix::fs::ftruncate(fd, end).map_err(from_rustix)
}

/// Tells the host how a range will be used. It can only be told to read ahead.
pub(super) fn advise(
    fd: BorrowedFd<'_>,
    offset: Filesize,
    len: Filesize,
    advice: Advice,
) -> Result<()> {
    // As `posix_fadvise` elsewhere, which is for what has an offset.
    rustix::fs::tell(fd).map_err(from_rustix)?;
    if advice != Advice::Willneed {
        return Ok(());
    }
    let most = u64::from(i32::MAX.unsigned_abs());
    let len = if len == 0 { most } else { len.min(most) };
    match rustix::fs::fcntl_rdadvise(fd, offset, len) {
        // Advice may be ignored: the file system reads no ahead.
        Err(Host::NOTSUP | Host::OPNOTSUPP | Host::NOTTY | Host::INVAL) => Ok(()),
        result => result.map_err(from_rustix),
    }
}

/// When a file was made.
pub(super) fn born(dir: BorrowedFd<'_>, name: &[u8]) -> Option<Timestamp> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(nanoseconds(stat.st_birthtime, stat.st_birthtime_nsec))
}

/// Writes data and attributes to the device, past the device's own cache, as Node does. `fsync` on
/// macOS does not go so far.
pub(super) fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::fcntl_fullfsync(fd) {
        // The file system cannot do it, as many network file systems.
        Err(Host::NOTSUP | Host::OPNOTSUPP | Host::NOTTY | Host::INVAL) => {
            rustix::fs::fsync(fd).map_err(from_rustix)
        }
        result => result.map_err(from_rustix),
    }
}

/// Writes data to the device. There is no call that leaves the attributes.
pub(super) fn datasync(fd: BorrowedFd<'_>) -> Result<()> {
    sync(fd)
}

/// The system does not count what `RLIMIT_DATA` names.
#[allow(clippy::unnecessary_wraps, reason = "Linux can fail")]
pub(super) fn bound_own_memory(_: Option<u64>) -> std::io::Result<()> {
    Ok(())
}

/// Threads have no number by which the system tells their CPU time.
pub(super) fn thread_id() -> Option<u32> {
    None
}
