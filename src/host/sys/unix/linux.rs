//! What Linux does otherwise than other systems.

#![allow(unsafe_code, reason = "system calls that neither rustix nor the C library makes as they are needed here")]

use super::Entry;
use super::errno::from_rustix;
use super::file::{count, retry};
use super::resolve::{Base, RACE_LIMIT};
use crate::abi::{Advice, Errno, Filesize};
use crate::host::Result;
use crate::memory::Region;
use rustix::event::PollFlags;
use rustix::fs::{FallocateFlags, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno as Host;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A socket's peer will send no more. It is reported apart, and only if asked.
pub(super) const PEER_CLOSED: PollFlags = PollFlags::RDHUP;

/// The clock that only goes forward.
pub(super) const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// For opening a directory only to resolve further names from it.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// For opening anything to ask for its attributes, if there is such a way.
pub(super) const FOR_NOTHING: Option<OFlags> = Some(OFlags::PATH.union(OFlags::CLOEXEC));

/// Whether [`nowait`] can do more than refuse.
pub(super) const HAS_NOWAIT: bool = true;

const UNKNOWN: u8 = 0;
const PRESENT: u8 = 1;
const ABSENT: u8 = 2;
static OPENAT2: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether `openat2` works here. Asked once: seccomp filters of old containers answer EPERM instead of ENOSYS, which
/// must neither be taken for a refusal nor cost a failing call each time.
fn present(base: Base<'_>) -> bool {
    match OPENAT2.load(Relaxed) {
        PRESENT => true,
        ABSENT => false,
        _ => {
            let works = match openat2(base.fd, c".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH) {
                Ok(_) => true,
                // That says nothing of the call itself: ask again next time.
                Err(Host::MFILE | Host::NFILE | Host::NOMEM | Host::INTR | Host::AGAIN) => return false,
                Err(_) => false,
            };
            OPENAT2.store(if works { PRESENT } else { ABSENT }, Relaxed);
            works
        }
    }
}

/// Lets a fuzz target compare the two resolvers.
#[cfg(fuzzing)]
pub fn pretend_openat2(is_present: bool) {
    OPENAT2.store(if is_present { PRESENT } else { ABSENT }, Relaxed);
}

/// Opens a path below a directory. `None`: the kernel cannot, so walk.
pub(super) fn open_below(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Option<Result<OwnedFd>> {
    if !present(base) {
        return None;
    }
    let mut scope = if base.root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
    scope.set(ResolveFlags::NO_SYMLINKS, base.no_symlinks);
    for _ in 0..RACE_LIMIT {
        return Some(match openat2(base.fd, path, flags, mode, scope | ResolveFlags::NO_MAGICLINKS) {
            Ok(fd) => Ok(fd),
            // A rename on the host while `..` was resolved.
            Err(Host::AGAIN | Host::INTR) => continue,
            Err(Host::NOSYS) => {
                OPENAT2.store(ABSENT, Relaxed);
                return None;
            }
            Err(Host::XDEV) => Err(Errno::Notcapable),
            Err(error) => Err(from_rustix(error)),
        });
    }
    None
}

/// Opens a name in a directory, or `.`.
pub(super) fn open_name(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, flags, mode)
}

/// Reads and writes, without the C library: in a process with threads its functions can be cancelled, and the bookkeeping
/// for that costs 30 ns a call.
pub(super) mod call {
    use super::{AsRawFd, BorrowedFd, Region, Result, count, retry};
    use libc::c_long;

    // A variadic function takes what the kernel takes: all arguments are as wide as a register.

    /// The upper half of an offset, where one register is too narrow for it.
    #[cfg(target_pointer_width = "64")]
    const UPPER_HALF: c_long = 0;

    // SAFETY, for all of them: the regions are checked ranges of guest memory, laid out as iovecs. One buffer is the usual case,
    // and cheaper for the kernel without a list.

    pub(in super::super) fn readv(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        let fd = c_long::from(fd.as_raw_fd());
        match bufs {
            // SAFETY: as above.
            [one] => retry(|| unsafe { libc::syscall(libc::SYS_read, fd, one.as_ptr(), one.len()) }),
            // SAFETY: as above.
            _ => retry(|| unsafe { libc::syscall(libc::SYS_readv, fd, bufs.as_ptr(), c_long::from(count(bufs))) }),
        }
    }

    pub(in super::super) fn writev(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        let fd = c_long::from(fd.as_raw_fd());
        match bufs {
            // SAFETY: as above.
            [one] => retry(|| unsafe { libc::syscall(libc::SYS_write, fd, one.as_ptr(), one.len()) }),
            // SAFETY: as above.
            _ => retry(|| unsafe { libc::syscall(libc::SYS_writev, fd, bufs.as_ptr(), c_long::from(count(bufs))) }),
        }
    }

    // On 64-bit systems an offset is one argument, and the upper half that `preadv` takes besides is unused.
    #[cfg(target_pointer_width = "64")]
    pub(in super::super) fn preadv(fd: BorrowedFd<'_>, bufs: &[Region<'_>], offset: i64) -> Result<usize> {
        let fd = c_long::from(fd.as_raw_fd());
        match bufs {
            // SAFETY: as above.
            [one] => retry(|| unsafe { libc::syscall(libc::SYS_pread64, fd, one.as_ptr(), one.len(), offset) }),
            // SAFETY: as above.
            _ => retry(|| unsafe { libc::syscall(libc::SYS_preadv, fd, bufs.as_ptr(), c_long::from(count(bufs)), offset, UPPER_HALF) }),
        }
    }

    #[cfg(target_pointer_width = "64")]
    pub(in super::super) fn pwritev(fd: BorrowedFd<'_>, bufs: &[Region<'_>], offset: i64) -> Result<usize> {
        let fd = c_long::from(fd.as_raw_fd());
        match bufs {
            // SAFETY: as above.
            [one] => retry(|| unsafe { libc::syscall(libc::SYS_pwrite64, fd, one.as_ptr(), one.len(), offset) }),
            // SAFETY: as above.
            _ => retry(|| unsafe { libc::syscall(libc::SYS_pwritev, fd, bufs.as_ptr(), c_long::from(count(bufs)), offset, UPPER_HALF) }),
        }
    }
}

/// Reads and writes that do not wait, on descriptors whose flags are not ours to change.
pub(super) mod nowait {
    use super::{AsRawFd, BorrowedFd, Region, Result, count, retry};
    use libc::c_long;

    const HERE: c_long = -1;

    pub(in super::super) fn readv(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        // SAFETY: the regions are checked ranges of guest memory, laid out as iovecs.
        retry(|| unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                c_long::from(fd.as_raw_fd()),
                bufs.as_ptr(),
                c_long::from(count(bufs)),
                HERE,
                HERE,
                c_long::from(libc::RWF_NOWAIT),
            )
        })
    }

    /// With `append`, at the end of a regular file, whether or not the descriptor has that flag.
    pub(in super::super) fn writev(fd: BorrowedFd<'_>, bufs: &[Region<'_>], append: bool) -> Result<usize> {
        let flags = if append { libc::RWF_APPEND } else { libc::RWF_NOWAIT };
        // SAFETY: as above.
        retry(|| unsafe {
            libc::syscall(
                libc::SYS_pwritev2,
                c_long::from(fd.as_raw_fd()),
                bufs.as_ptr(),
                c_long::from(count(bufs)),
                HERE,
                HERE,
                c_long::from(flags),
            )
        })
    }
}

/// Sends on a socket without waiting.
pub(super) fn send(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    super::file::send(fd, bufs)
}

/// Whether a socket takes connections.
pub(super) fn is_listening(fd: BorrowedFd<'_>) -> Result<bool> {
    rustix::net::sockopt::socket_acceptconn(fd).map_err(from_rustix)
}

/// Fills the bytes with random ones of the kernel's. `false`: it has none, as before 3.17.
pub(super) fn random(bytes: &mut [u8]) -> bool {
    // SAFETY: the kernel writes to these bytes and to no other.
    let filled = retry(|| unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) });
    filled == Ok(bytes.len())
}

/// Makes room for a range and extends the file to its end. `nosys` or `notsup`: the file system cannot reserve room.
pub(super) fn allocate(fd: BorrowedFd<'_>, offset: Filesize, len: Filesize) -> Result<()> {
    rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len).map_err(from_rustix)
}

/// Tells the host how a range will be used.
pub(super) fn advise(fd: BorrowedFd<'_>, offset: Filesize, len: Filesize, advice: Advice) -> Result<()> {
    use rustix::fs::Advice as HostAdvice;
    let advice = match advice {
        Advice::Normal => HostAdvice::Normal,
        Advice::Sequential => HostAdvice::Sequential,
        Advice::Random => HostAdvice::Random,
        Advice::Willneed => HostAdvice::WillNeed,
        Advice::Dontneed => HostAdvice::DontNeed,
        Advice::Noreuse => HostAdvice::NoReuse,
    };
    rustix::fs::fadvise(fd, offset, NonZeroU64::new(len), advice).map_err(from_rustix)
}

/// Writes data and attributes to the device.
pub(super) fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsync(fd).map_err(from_rustix)
}

/// Writes data to the device.
pub(super) fn datasync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fdatasync(fd).map_err(from_rustix)
}

/// The bytes of directory entries that are fetched at once, at most and at least.
const ENTRIES_MOST: usize = 16 * 1024;
const ENTRIES_LEAST: usize = 1024;

/// The entries of a directory. Cookies are the kernel's.
#[derive(Default)]
pub(super) struct Listing {
    /// Where the kernel's cursor stands: the cookie of the entry it gives next. Kept so that a listing that goes on does not seek.
    cursor: Mutex<Option<u64>>,
}

impl Listing {
    /// Gives the entries from `cookie` on to `sink` until it wants no more. `capacity` is about how many bytes it takes.
    pub(super) fn entries(
        &self,
        directory: BorrowedFd<'_>,
        cookie: u64,
        capacity: usize,
        sink: &mut dyn FnMut(Entry<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; ENTRIES_MOST];
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie == 0 || *cursor != Some(cookie) {
            *cursor = None;
            if i64::try_from(cookie).is_err() {
                // Past anything that a host's cookie can be.
                return Ok(());
            }
            rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(cookie)).map_err(listing_error)?;
        }
        loop {
            let room = capacity.clamp(ENTRIES_LEAST, ENTRIES_MOST);
            let buffer = buffer.get_mut(..room).ok_or(Errno::Io)?;
            let mut entries = rustix::fs::RawDir::new(directory, buffer);
            let mut last = None;
            // One fill of the buffer at a time: the iterator itself would fetch more than the sink takes.
            while last.is_none() || !entries.is_buffer_empty() {
                let Some(entry) = entries.next() else {
                    *cursor = None;
                    return Ok(());
                };
                let entry = entry.map_err(listing_error)?;
                let next = entry.next_entry_cookie();
                let name = entry.file_name().to_bytes();
                if !sink(Entry { name, ino: entry.ino(), file_type: entry.file_type(), next })? {
                    // The kernel's cursor stands behind what the buffer held.
                    *cursor = if entries.is_buffer_empty() { Some(next) } else { None };
                    return Ok(());
                }
                last = Some(next);
            }
            *cursor = last;
        }
    }
}

/// A descriptor that is good for nothing but paths cannot be listed: the directory may be searched, not read.
fn listing_error(error: Host) -> Errno {
    match error {
        Host::BADF => Errno::Acces,
        error => from_rustix(error),
    }
}
