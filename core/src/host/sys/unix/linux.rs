//! The parts of Unix in which Linux differs from other systems.

#![allow(
    unsafe_code,
    reason = "system calls that neither rustix nor the C library makes as they are needed here"
)]

use super::at::RACE_LIMIT;
use super::errno::{errno_from_raw, from_rustix};
use super::file::{Owned, retry};
use super::{Entry, nanoseconds};
use crate::abi::{Advice, Dirent, Errno, Filesize, Filetype, Timestamp};
use crate::host::Result;
use crate::host::walk::Base;
use crate::memory::{Record, Region};
use libc::c_long;
use rustix::event::PollFlags;
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags, ResolveFlags, StatxFlags, openat2};
use rustix::io::Errno as Host;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The event that a socket's peer will send no more. It is reported separately, and only on
/// request.
pub(super) const PEER_CLOSED: PollFlags = PollFlags::RDHUP;

/// The clock that only goes forward.
pub(super) const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// For opening a directory only to resolve further names from it.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The flag that `F_GETFL` reports for a descriptor that is good for nothing but paths.
pub(super) const FOR_PATHS: OFlags = OFlags::PATH;

/// The flags to open anything only to ask for its attributes, if there is such a way.
pub(super) const FOR_NOTHING: Option<OFlags> = Some(OFlags::PATH.union(OFlags::CLOEXEC));

/// The flag to open a file without noting the access time. The kernel grants it to the file's owner
/// only.
pub(super) const NO_ACCESS_TIME: OFlags = OFlags::NOATIME;

/// Whether [`nowait`] can do more than refuse.
pub(super) const HAS_NOWAIT: bool = true;

const UNKNOWN: u8 = 0;
const PRESENT: u8 = 1;
const ABSENT: u8 = 2;
static OPENAT2: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Whether `openat2` works here. It is asked once, because seccomp filters of old containers answer
/// EPERM instead of ENOSYS: that must not pass for a refusal, nor cost a failing call each time.
fn present(dir: &Owned) -> bool {
    match OPENAT2.load(Relaxed) {
        PRESENT => true,
        ABSENT => false,
        _ => {
            let works = match openat2(dir, c".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH) {
                Ok(_) => true,
                // A kernel that does not have it, or not these flags; or a filter.
                Err(Host::NOSYS | Host::PERM | Host::INVAL | Host::TOOBIG) => false,
                // This error is not about the call itself, but about the directory or what the
                // host has left: ask again next time.
                Err(_) => return false,
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

/// The number of this thread below `/proc/self/task`.
pub(super) fn thread_id() -> Option<u32> {
    u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).ok()
}

/// Sets `RLIMIT_DATA`, which counts what the process has mapped to write for itself alone:
/// WebAssembly memories, V8's heaps and code, and what its compiler takes.
pub(super) fn bound_own_memory(more: Option<u64>) -> std::io::Result<()> {
    static BEFORE: OnceLock<Option<u64>> = OnceLock::new();
    let limit = getrlimit(Resource::Data);
    let before = *BEFORE.get_or_init(|| limit.current);
    let wanted = more.map(|more| own_memory().saturating_add(more));
    let current = match (before, wanted) {
        (Some(before), Some(wanted)) => Some(before.min(wanted)),
        (before, wanted) => before.or(wanted),
    };
    Ok(setrlimit(Resource::Data, Rlimit { current, maximum: limit.maximum })?)
}

/// How many bytes the process has of what `RLIMIT_DATA` counts. Without `/proc` it is 0, so that a
/// bound above it is too low rather than too high.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmData:")?.strip_suffix("kB"));
    let kibibytes = size.and_then(|size| size.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// Opens a path below a directory. `None`: the kernel cannot, so walk.
pub(super) fn open_below(
    base: Base<'_, Owned>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Option<Result<OwnedFd>> {
    if !present(base.dir) {
        return None;
    }
    let mut scope = if base.root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
    scope.set(ResolveFlags::NO_SYMLINKS, base.no_symlinks);
    for _ in 0..RACE_LIMIT {
        return Some(
            match openat2(base.dir, path, flags, mode, scope | ResolveFlags::NO_MAGICLINKS) {
                Ok(fd) => Ok(fd),
                // The host renamed something while `..` was resolved.
                Err(Host::AGAIN | Host::INTR) => continue,
                Err(Host::NOSYS) => {
                    OPENAT2.store(ABSENT, Relaxed);
                    return None;
                }
                Err(Host::XDEV) => Err(Errno::Notcapable),
                Err(error) => Err(from_rustix(error)),
            },
        );
    }
    None
}

/// Opens a name in a directory, or `.`.
pub(super) fn open_name(
    directory: impl AsFd,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, flags, mode)
}

/// Makes a system call until no signal interrupts it.
///
/// It does not go through the C library, whose functions are cancellation points where a process
/// has threads: the bookkeeping costs 30 ns a call. It is inline, as everything between a function
/// of preview1 and here is meant to be, because a system call evicts the outer frames from the
/// return predictor, and each return to one of them costs more then (RATIONALE).
///
/// # Safety
/// As the system call demands of its arguments. Those that it does not take are ignored. Pointers
/// among them are exposed, as the kernel goes by them.
#[inline]
unsafe fn system_call(
    number: c_long,
    [first, second, third, fourth, fifth, sixth]: [usize; 6],
) -> Result<usize> {
    let number = usize::try_from(number).map_err(|_| Errno::Nosys)?;
    loop {
        // SAFETY: the caller's promise.
        let result =
            unsafe { syscalls::raw::syscall6(number, first, second, third, fourth, fifth, sixth) };
        // Results are below the upper half of the range; errors are negative, and so in it.
        if result.cast_signed() >= 0 {
            return Ok(result);
        }
        unless_interrupted(result)?;
    }
}

/// The error that a system call has returned, unless a signal has interrupted it.
#[cold]
#[inline(never)]
fn unless_interrupted(result: usize) -> Result<()> {
    match i32::try_from(result.cast_signed().wrapping_neg()) {
        Ok(libc::EINTR) => Ok(()),
        Ok(raw) => Err(errno_from_raw(raw).unwrap_or(Errno::Io)),
        Err(_) => Err(Errno::Io),
    }
}

fn number_of(fd: BorrowedFd<'_>) -> usize {
    // The number of an open descriptor is not negative.
    usize::try_from(fd.as_raw_fd()).unwrap_or(usize::MAX)
}

/// Reads and writes.
pub(super) mod call {
    use super::{BorrowedFd, Errno, Region, Result, number_of, system_call};

    // SAFETY, for all of them: the regions are checked ranges of guest memory, laid out as iovecs.
    // One buffer is the usual case, and cheaper for the kernel without a list.

    #[inline]
    pub(in super::super) fn readv(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        let fd = number_of(fd);
        match bufs {
            // SAFETY: as above.
            [one] => unsafe {
                system_call(
                    libc::SYS_read,
                    [fd, one.as_ptr().expose_provenance(), one.len(), 0, 0, 0],
                )
            },
            // SAFETY: as above.
            _ => unsafe {
                system_call(
                    libc::SYS_readv,
                    [fd, bufs.as_ptr().expose_provenance(), bufs.len(), 0, 0, 0],
                )
            },
        }
    }

    #[inline]
    pub(in super::super) fn writev(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        let fd = number_of(fd);
        match bufs {
            // SAFETY: as above.
            [one] => unsafe {
                system_call(
                    libc::SYS_write,
                    [fd, one.as_ptr().expose_provenance(), one.len(), 0, 0, 0],
                )
            },
            // SAFETY: as above.
            _ => unsafe {
                system_call(
                    libc::SYS_writev,
                    [fd, bufs.as_ptr().expose_provenance(), bufs.len(), 0, 0, 0],
                )
            },
        }
    }

    // On 64-bit systems an offset is one argument, and the upper half that `preadv` takes besides
    // is unused. The kernel refuses those from 2^63 on, with the errno that they should have.
    #[cfg(target_pointer_width = "64")]
    #[inline]
    pub(in super::super) fn preadv(
        fd: BorrowedFd<'_>,
        bufs: &[Region<'_>],
        offset: u64,
    ) -> Result<usize> {
        let fd = number_of(fd);
        let offset = usize::try_from(offset).map_err(|_| Errno::Inval)?;
        match bufs {
            // SAFETY: as above.
            [one] => unsafe {
                system_call(
                    libc::SYS_pread64,
                    [fd, one.as_ptr().expose_provenance(), one.len(), offset, 0, 0],
                )
            },
            // SAFETY: as above.
            _ => unsafe {
                system_call(
                    libc::SYS_preadv,
                    [fd, bufs.as_ptr().expose_provenance(), bufs.len(), offset, 0, 0],
                )
            },
        }
    }

    #[cfg(target_pointer_width = "64")]
    #[inline]
    pub(in super::super) fn pwritev(
        fd: BorrowedFd<'_>,
        bufs: &[Region<'_>],
        offset: u64,
    ) -> Result<usize> {
        let fd = number_of(fd);
        let offset = usize::try_from(offset).map_err(|_| Errno::Inval)?;
        match bufs {
            // SAFETY: as above.
            [one] => unsafe {
                system_call(
                    libc::SYS_pwrite64,
                    [fd, one.as_ptr().expose_provenance(), one.len(), offset, 0, 0],
                )
            },
            // SAFETY: as above.
            _ => unsafe {
                system_call(
                    libc::SYS_pwritev,
                    [fd, bufs.as_ptr().expose_provenance(), bufs.len(), offset, 0, 0],
                )
            },
        }
    }
}

/// Reads and writes that do not wait, on descriptors whose flags are not ours to change.
pub(super) mod nowait {
    use super::{BorrowedFd, Region, Result, number_of, system_call};

    /// The offset that means the descriptor's own.
    const HERE: usize = usize::MAX;
    const NOWAIT: usize = libc::RWF_NOWAIT as usize;
    const APPEND: usize = libc::RWF_APPEND as usize;

    #[inline]
    pub(in super::super) fn readv(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
        let list = bufs.as_ptr().expose_provenance();
        // SAFETY: the regions are checked ranges of guest memory, laid out as iovecs.
        unsafe {
            system_call(libc::SYS_preadv2, [number_of(fd), list, bufs.len(), HERE, HERE, NOWAIT])
        }
    }

    /// With `append`, at the end of a regular file, even if the descriptor lacks that flag.
    #[inline]
    pub(in super::super) fn writev(
        fd: BorrowedFd<'_>,
        bufs: &[Region<'_>],
        append: bool,
    ) -> Result<usize> {
        let list = bufs.as_ptr().expose_provenance();
        let flags = if append { APPEND } else { NOWAIT };
        // SAFETY: as above.
        unsafe {
            system_call(libc::SYS_pwritev2, [number_of(fd), list, bufs.len(), HERE, HERE, flags])
        }
    }
}

/// Opens a descriptor's file anew, in one direction and without blocking. The new descriptor can be
/// closed alone.
///
/// Pipes and terminals can be opened so, if the process still may: they may belong to another user
/// since the host has opened them. Sockets cannot, and devices must not be: opening one may make
/// another device, or have an effect.
pub(super) fn reopen(fd: BorrowedFd<'_>, direction: OFlags) -> rustix::io::Result<OwnedFd> {
    let own = fd.as_raw_fd();
    let path = format!("/proc/self/fd/{own}");
    rustix::fs::open(
        path,
        direction | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Takes a connection. It waits if the socket's flags say so.
pub(super) fn accept(socket: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::net::accept_with(socket, SocketFlags::CLOEXEC)
}

/// A socket to listen on, which does not wait.
pub(super) fn listening_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

/// Sends on a socket without waiting.
pub(super) fn send(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    super::file::send(fd, bufs)
}

/// Whether a socket takes connections.
pub(super) fn is_listening(fd: BorrowedFd<'_>) -> Result<bool> {
    rustix::net::sockopt::socket_acceptconn(fd).map_err(from_rustix)
}

/// Fills the bytes with random ones of the kernel. `false`: it has none, as before Linux 3.17.
pub(super) fn random(bytes: &mut [u8]) -> bool {
    // By the C library, which Miri knows: it is called once for many bytes.
    // SAFETY: the kernel writes to these bytes and to no other.
    let filled =
        retry(|| unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), 0) });
    filled == Ok(bytes.len())
}

/// Makes room for a range and extends the file to its end. `nosys` or `notsup`: the file system
/// cannot reserve room.
pub(super) fn allocate(fd: BorrowedFd<'_>, offset: Filesize, len: Filesize) -> Result<()> {
    rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len).map_err(from_rustix)
}

/// Tells the host how a range will be used.
pub(super) fn advise(
    fd: BorrowedFd<'_>,
    offset: Filesize,
    len: Filesize,
    advice: Advice,
) -> Result<()> {
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

/// When a file was made, where the file system notes that.
pub(super) fn born(dir: BorrowedFd<'_>, name: &[u8]) -> Option<Timestamp> {
    let (flags, mask) = (AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME);
    let stat = rustix::fs::statx(dir, name, flags, mask).ok()?;
    (stat.stx_mask & mask.bits() != 0)
        .then(|| nanoseconds(stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec.into()))
}

/// Writes data and attributes to the device.
pub(super) fn sync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsync(fd).map_err(from_rustix)
}

/// Writes data to the device.
pub(super) fn datasync(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fdatasync(fd).map_err(from_rustix)
}

/// The bytes of directory entries that are fetched at once, at most and at least. The record of a
/// name of 255 bytes has 280.
const ENTRIES_MOST: usize = 16 * 1024;
const ENTRIES_LEAST: usize = 280;

/// The entries of a directory. Cookies are the kernel's.
#[derive(Default)]
pub(super) struct Listing {
    progress: Mutex<Progress>,
}

/// The state that one call leaves for the next.
#[derive(Default)]
struct Progress {
    /// Where the kernel's cursor stands: the cookie of the entry it gives next. Kept so that a
    /// listing that goes on does not seek.
    cursor: Option<u64>,
    /// The length of the latest entries, as the kernel's records and as the guest's. Entries that
    /// are fetched and do not fit into the guest's buffer have to be fetched again.
    records: usize,
    entries: usize,
}

impl Progress {
    /// How many bytes of records there are in `room` bytes for a guest, as far as one can know:
    /// names are about as long as the latest.
    fn fetch(&self, room: usize) -> usize {
        // To begin with, names of twelve bytes.
        let (records, entries) =
            if self.entries == 0 { (32, 36) } else { (self.records, self.entries) };
        let expected = room.saturating_mul(records).checked_div(entries).unwrap_or(room);
        // One more: the last entry is cut.
        expected.saturating_add(64).clamp(ENTRIES_LEAST, ENTRIES_MOST)
    }
}

impl Listing {
    /// Gives the entries from `cookie` on to `sink` until it wants no more. `capacity` is about how
    /// many bytes it takes.
    pub(super) fn entries(
        &self,
        directory: BorrowedFd<'_>,
        cookie: u64,
        capacity: usize,
        mut sink: impl FnMut(Entry<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; ENTRIES_MOST];
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        // The cursor is known again only if all goes well.
        let cursor = progress.cursor.take();
        if cookie == 0 || cursor != Some(cookie) {
            if i64::try_from(cookie).is_err() {
                // No cookie of the host is so large.
                return Ok(());
            }
            rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(cookie))
                .map_err(from_rustix)
                .map_err(|errno| seek_error(directory, errno))?;
        }
        let mut room = capacity;
        loop {
            let mut rest =
                records(directory, &mut buffer, progress.fetch(room)).map_err(listing_error)?;
            if rest.is_empty() {
                return Ok(());
            }
            let fetched = rest.len();
            let (mut taken, mut next, mut goes_on) = (0_usize, 0, true);
            while goes_on && !rest.is_empty() {
                let (entry, behind) = first_record(rest).ok_or(Errno::Io)?;
                rest = behind;
                next = entry.next;
                taken = taken
                    .wrapping_add(size_of::<<Dirent as Record>::Bytes>())
                    .wrapping_add(entry.name.len());
                goes_on = sink(entry)?;
            }
            progress.records = fetched.saturating_sub(rest.len());
            progress.entries = taken;
            if !goes_on {
                // The kernel's cursor stands behind what the buffer held.
                progress.cursor = rest.is_empty().then_some(next);
                return Ok(());
            }
            // A sink may take more than it said.
            room = if taken < room { room.saturating_sub(taken) } else { capacity };
        }
    }
}

/// Fetches about `size` bytes of records from the kernel's cursor on; none at the end.
fn records<'a>(
    directory: BorrowedFd<'_>,
    buffer: &'a mut [MaybeUninit<u8>],
    size: usize,
) -> Result<&'a [u8]> {
    let mut size = size.min(buffer.len());
    loop {
        for byte in buffer.iter_mut().take(size) {
            // The kernel leaves gaps between records as they are.
            byte.write(0);
        }
        let to = buffer.as_mut_ptr().expose_provenance();
        // SAFETY: the kernel writes to the buffer's first `size` bytes.
        match unsafe {
            system_call(libc::SYS_getdents64, [number_of(directory), to, size, 0, 0, 0])
        } {
            // A name so long that its record does not fit.
            Err(Errno::Inval) if size < buffer.len() => size = buffer.len(),
            Ok(filled) => {
                let filled = filled.min(size);
                // SAFETY: the kernel has written at most `size` bytes, and so many were written
                // before.
                return Ok(unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), filled) });
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// The first of the kernel's records, and those behind it. The name ends in NUL. The bytes after
/// the NUL, up to a multiple of eight, mean nothing.
///
/// ```text
///  0 d_ino u64 | 8 d_off i64 | 16 d_reclen u16 | 18 d_type u8 | 19 d_name ...
/// ```
#[inline]
fn first_record(records: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (words, _) = records.as_chunks::<8>();
    let [ino, next, third, ..] = *words else { return None };
    let [low, high, kind, ..] = third;
    let (record, behind) =
        records.split_at_checked(usize::from(u16::from_ne_bytes([low, high])))?;
    let name = record.get(19..)?;
    // Five bytes of the name are in the word that ends the head.
    let len = match first_zero(u64::from_le_bytes(third) | 0xff_ffff) {
        Some(at) => at.wrapping_sub(3),
        None => name_len(name)?,
    };
    let (name, _) = name.split_at_checked(len).filter(|(_, end)| !end.is_empty())?;
    let filetype = match kind {
        libc::DT_REG => Filetype::RegularFile,
        libc::DT_DIR => Filetype::Directory,
        libc::DT_LNK => Filetype::SymbolicLink,
        libc::DT_FIFO | libc::DT_SOCK => Filetype::SocketStream,
        libc::DT_CHR => Filetype::CharacterDevice,
        libc::DT_BLK => Filetype::BlockDevice,
        _ => Filetype::Unknown,
    };
    Some((
        Entry { name, ino: u64::from_ne_bytes(ino), filetype, next: u64::from_ne_bytes(next) },
        behind,
    ))
}

/// The length of a name that ends in NUL, of at least five bytes.
#[inline]
fn name_len(name: &[u8]) -> Option<usize> {
    let mut len = 5_usize;
    let (words, _) = name.get(len..)?.as_chunks();
    for word in words {
        if let Some(at) = first_zero(u64::from_le_bytes(*word)) {
            return Some(len.wrapping_add(at));
        }
        len = len.wrapping_add(size_of_val(word));
    }
    // The kernel's records are of whole words.
    name.iter().position(|byte| *byte == 0)
}

/// Which of eight bytes, the lowest first, is the first that is zero.
#[inline]
fn first_zero(word: u64) -> Option<usize> {
    // Of the bits that this leaves, the lowest belongs to that byte.
    let zeros = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
    if zeros == 0 { None } else { usize::try_from(zeros.trailing_zeros() / u8::BITS).ok() }
}

/// A descriptor that is good for nothing but paths cannot be listed: the directory may be searched,
/// not read.
fn listing_error(errno: Errno) -> Errno {
    if errno == Errno::Badf { Errno::Acces } else { errno }
}

/// ext4 knows no cookies of a directory that was removed. Whoever fetches its entries is told that
/// it is gone.
fn seek_error(directory: BorrowedFd<'_>, errno: Errno) -> Errno {
    let is_removed = || rustix::fs::fstat(directory).is_ok_and(|stat| stat.st_nlink == 0);
    if errno == Errno::Inval && is_removed() { Errno::Noent } else { listing_error(errno) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as the kernel writes it, with anything behind the name's end.
    fn record(name: &[u8], kind: u8) -> Vec<u8> {
        let mut record =
            [&7_u64.to_ne_bytes()[..], &i64::MAX.to_ne_bytes(), &[0, 0, kind], name, &[0]].concat();
        record.resize(record.len().next_multiple_of(8), 0xee);
        let len = u16::try_from(record.len()).unwrap().to_ne_bytes();
        record[16..18].copy_from_slice(&len);
        record
    }

    #[test]
    fn a_record_holds_a_name_of_any_length() {
        for len in 1..=1024 {
            // Includes bytes that careless counting would take for the end.
            for byte in [b'n', 1, 0x80, 0xff] {
                let name = vec![byte; len];
                let two = [record(&name, libc::DT_LNK), record(b"next", libc::DT_DIR)].concat();
                let (entry, behind) = first_record(&two).unwrap();
                assert_eq!(
                    (entry.name, entry.ino, entry.next),
                    (&*name, 7, i64::MAX.cast_unsigned()),
                    "{len}"
                );
                assert_eq!(entry.filetype, Filetype::SymbolicLink);
                let (entry, behind) = first_record(behind).unwrap();
                assert_eq!(
                    (entry.name, entry.filetype, behind),
                    (&b"next"[..], Filetype::Directory, &[][..])
                );
            }
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for name in [&b"n"[..], b"12345", b"123456789"] {
            let whole = record(name, libc::DT_REG);
            for len in 0..whole.len() {
                assert!(first_record(&whole[..len]).is_none(), "{len} bytes of {name:?}");
            }
            for wrong in [0, 1, 18, 19, 19 + name.len(), whole.len() + 1, 0xffff] {
                let mut bytes = whole.clone();
                bytes[16..18].copy_from_slice(&u16::try_from(wrong).unwrap().to_ne_bytes());
                assert!(first_record(&bytes).is_none(), "{wrong} for {name:?}");
            }
            let mut endless = whole;
            for byte in &mut endless[19..] {
                *byte = b'x';
            }
            assert!(first_record(&endless).is_none());
        }
    }

    #[test]
    fn as_much_is_fetched_as_fits() {
        let mut progress = Progress::default();
        assert_eq!(
            [0, 4096, usize::MAX].map(|room| progress.fetch(room)),
            [ENTRIES_LEAST, 3704, ENTRIES_MOST]
        );
        // Names of 255 bytes.
        (progress.records, progress.entries) = (280, 279);
        assert_eq!(progress.fetch(4096), 4174);
        (progress.records, progress.entries) = (usize::MAX, 1);
        assert_eq!(progress.fetch(4096), ENTRIES_MOST);
    }
}
