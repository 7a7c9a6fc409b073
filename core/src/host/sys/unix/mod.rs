//! Unix.

mod at;
mod directory;
mod errno;
mod file;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_vendor = "apple", test))]
mod listing;
#[cfg(target_vendor = "apple")]
mod macos;
mod pipe;
mod socket;
mod watched;

pub use errno::errno_from_raw;
#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as platform;
#[cfg(all(fuzzing, any(target_os = "linux", target_os = "android")))]
pub use linux::pretend_openat2;
#[cfg(target_vendor = "apple")]
use macos as platform;
pub use pipe::{PipeEnd, close_duplicate, duplicate, inherited_pipe, library_path, open_pipe};
pub use watched::Watched;

use crate::abi::{Clockid, Errno, Fdflags, Filestat, Filetype, Timestamp};
use crate::host::directory::Contained;
use crate::host::walk::{Base, End, Walk};
use crate::host::{
    Access, Opened, PreopenOptions, Readiness, Result, SetTime, SetTimes, Stdio, Wait,
};
use at::HostNames;
use directory::HostDirectory;
use file::{HostFile, Ownership};
use platform::PEER_CLOSED;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags, Stat, Timestamps, UTIME_NOW, UTIME_OMIT};
pub use socket::{duplicate_socket, listen, listen_at};
use std::fs::File as StdFile;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// The handle that [`wait`] waits on.
pub type Handle<'a> = BorrowedFd<'a>;

/// One entry of a directory.
struct Entry<'a> {
    /// Its name.
    name: &'a [u8],
    /// The serial number of the file.
    ino: u64,
    /// The type of the file, if the directory knows it.
    filetype: Filetype,
    /// The cookie at which the entry after this one begins.
    next: u64,
}

const NANOSECONDS: u64 = 1_000_000_000;

fn clock_id(clock: Clockid) -> libc::clockid_t {
    match clock {
        Clockid::Realtime => libc::CLOCK_REALTIME,
        Clockid::Monotonic => platform::MONOTONIC,
        Clockid::ProcessCputimeId => libc::CLOCK_PROCESS_CPUTIME_ID,
        Clockid::ThreadCputimeId => libc::CLOCK_THREAD_CPUTIME_ID,
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> Timestamp {
    // A time before 1970 has no representation.
    let Ok(seconds) = u64::try_from(seconds) else { return 0 };
    seconds.saturating_mul(NANOSECONDS).saturating_add(u64::try_from(nanoseconds).unwrap_or(0))
}

/// Reads a clock through the C library, which reads the kernel's page (vDSO) without a system call.
#[allow(unsafe_code, reason = "calls into the C library that fill a record")]
fn read_clock(
    read: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int,
    clock: Clockid,
) -> Result<Timestamp> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local.
    if unsafe { read(clock_id(clock), &raw mut time) } != 0 {
        return Err(Errno::Inval);
    }
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "the fields' types differ between systems"
    )]
    Ok(nanoseconds(time.tv_sec.into(), time.tv_nsec.into()))
}

/// The resolution of a clock in nanoseconds.
pub fn clock_resolution(clock: Clockid) -> Result<Timestamp> {
    // The resolution does not change, and asking the kernel takes ten times as long as the rest of
    // the call.
    static KNOWN: [OnceLock<Result<Timestamp>>; 4] = [const { OnceLock::new() }; 4];
    let read = || read_clock(libc::clock_getres, clock);
    KNOWN.get(clock as usize).map_or_else(read, |known| *known.get_or_init(read))
}

/// The time of a clock in nanoseconds.
pub fn clock_time(clock: Clockid) -> Result<Timestamp> {
    read_clock(libc::clock_gettime, clock)
}

/// Fills the bytes with random ones of the system, if there is a short way to ask for them.
pub fn random(bytes: &mut [u8]) -> bool {
    platform::random(bytes)
}

/// The system's number of this thread, where it has one.
#[must_use]
pub fn thread_id() -> Option<u32> {
    platform::thread_id()
}

/// Lets this process have at most `more` bytes of memory of its own above what it has now, or as
/// many as before the first call, for `None`. The system refuses to map more. Only Linux counts
/// such memory; elsewhere nothing is bounded.
///
/// # Errors
///
/// The system does not set the bound.
pub fn bound_own_memory(more: Option<u64>) -> io::Result<()> {
    platform::bound_own_memory(more)
}

/// Lets another thread run.
pub fn yield_now() {
    rustix::thread::sched_yield();
}

/// Ends the process at once, without running exit handlers: other threads may be in the middle of
/// their work.
#[allow(unsafe_code, reason = "rustix has no exit")]
pub fn end_process(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

fn filetype_of(stat: &Stat) -> Filetype {
    filetype(FileType::from_raw_mode(stat.st_mode))
}

fn filetype(file_type: FileType) -> Filetype {
    match file_type {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::BlockDevice => Filetype::BlockDevice,
        FileType::Socket | FileType::Fifo => Filetype::SocketStream,
        FileType::Unknown => Filetype::Unknown,
    }
}

#[allow(
    clippy::useless_conversion,
    clippy::cast_lossless,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the fields' types differ between systems"
)]
fn filestat_of(stat: &Stat) -> Filestat {
    let time = |seconds, nanos| {
        nanoseconds(i64::try_from(seconds).unwrap_or(i64::MAX), i64::try_from(nanos).unwrap_or(0))
    };
    Filestat {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        filetype: filetype_of(stat),
        nlink: stat.st_nlink as u64,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        atim: time(stat.st_atime, stat.st_atime_nsec),
        mtim: time(stat.st_mtime, stat.st_mtime_nsec),
        ctim: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

fn timestamps(times: SetTimes) -> Timestamps {
    let time = |time| match time {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::At(time) => Timespec {
            tv_sec: i64::try_from(time / NANOSECONDS).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(time % NANOSECONDS).unwrap_or(0),
        },
    };
    Timestamps { last_access: time(times.atim), last_modification: time(times.mtim) }
}

/// Opens a directory of the host for a guest. Not sandboxed: the path is the embedder's.
pub fn open_preopen(path: &Path, options: PreopenOptions) -> io::Result<Opened> {
    let open = |flags: OFlags| {
        let flags = (flags | OFlags::DIRECTORY).bits().cast_signed();
        StdFile::options().read(true).custom_flags(flags).open(path)
    };
    let opened = match options.no_access_times.then(|| open(platform::NO_ACCESS_TIME)) {
        // Only the owner may ask for that.
        None => open(OFlags::empty()),
        Some(Err(error)) if error.raw_os_error() == Some(libc::EPERM) => open(OFlags::empty()),
        Some(opened) => opened,
    };
    // Listing and syncing need a descriptor that reads. A descriptor that is good for nothing but
    // paths is better than none.
    let dir = match opened {
        Ok(readable) => readable.into(),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => platform::open_name(
            rustix::fs::CWD,
            path.as_os_str().as_bytes(),
            platform::DIRECTORY,
            Mode::empty(),
        )?,
        Err(error) => return Err(error),
    };
    Ok(directory(dir, options))
}

/// A directory of the host as a preopen.
fn directory(dir: OwnedFd, options: PreopenOptions) -> Opened {
    let dir = HostDirectory::new(dir.into(), options.no_access_times);
    Opened::Directory(Box::new(Contained::new(dir, options.root, options.no_symlinks)))
}

/// Opens a directory of the host by an absolute path without following any symbolic link, so that
/// only the directory with just that path is opened.
///
/// # Errors
/// - `inval`: the path is relative.
/// - `loop`: there is a symbolic link on the way.
/// - those of opening a directory.
pub fn open_exact(path: &Path, options: PreopenOptions) -> Result<Opened> {
    let below = path.strip_prefix("/").map_err(|_| Errno::Inval)?.as_os_str().as_bytes();
    let below = if below.is_empty() { &b"."[..] } else { below };
    let top = platform::open_name(rustix::fs::CWD, b"/", platform::DIRECTORY, Mode::empty())
        .map_err(errno::from_rustix)?
        .into();
    let mut walk =
        Walk::new(Base { dir: &top, root: false, no_symlinks: true }, below, End::Directory);
    walk.advance(&HostNames { quiet: false })?;
    let open = |flags| platform::open_name(walk.dir().as_fd(), b".", flags, Mode::empty());
    // As above: a descriptor that is good for nothing but paths is better than none.
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match options.no_access_times.then(|| open(readable | platform::NO_ACCESS_TIME)) {
        None | Some(Err(rustix::io::Errno::PERM)) => open(readable),
        Some(opened) => opened,
    };
    let dir = match opened {
        Err(rustix::io::Errno::ACCESS) => open(platform::DIRECTORY),
        opened => opened,
    };
    Ok(directory(dir.map_err(errno::from_rustix)?, options))
}

/// Borrows a descriptor of the host as a guest's stdio. It is never closed, nor are its flags
/// changed.
#[allow(unsafe_code, reason = "a descriptor given by its number")]
pub fn stdio(fd: RawFd) -> io::Result<Stdio> {
    // SAFETY: `fd` is not negative, as the binding has checked, so it is not the niche -1. Nothing
    // is closed through the borrow, and a descriptor that is not open answers EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let stat = rustix::fs::fstat(borrowed)?;
    let flags = rustix::fs::fcntl_getfl(borrowed)?;
    let access = access(flags);
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let object = directory(borrowed.try_clone_to_owned()?, PreopenOptions::default());
        return Ok(Stdio { object, flags: Fdflags::empty(), access });
    }
    let file = HostFile::new(Ownership::Borrowed(borrowed), &stat);
    Ok(Stdio { object: Opened::File(Box::new(file)), flags: fdflags(flags), access })
}

/// The directions for which a descriptor with these flags is open.
fn access(flags: OFlags) -> Access {
    if flags.intersects(platform::FOR_PATHS) {
        return Access { read: false, write: false };
    }
    let mode = flags.intersection(OFlags::RWMODE);
    Access { read: mode != OFlags::WRONLY, write: mode != OFlags::RDONLY }
}

/// The flags that a guest sees of a host's descriptor. `NONBLOCK` is not among them, because it is
/// the host's affair.
fn fdflags(flags: OFlags) -> Fdflags {
    let mut seen = Fdflags::empty();
    seen.set(Fdflags::APPEND, flags.contains(OFlags::APPEND));
    seen.set(Fdflags::SYNC, flags.contains(OFlags::SYNC));
    seen.set(Fdflags::DSYNC, flags.contains(OFlags::DSYNC));
    seen
}

/// Waits until one of the files is ready or `timeout` nanoseconds have passed.
pub fn wait(waits: &mut [Wait<'_>], timeout: Timestamp) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> = waits
        .iter()
        .map(|wait| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN | PEER_CLOSED, wait.read);
            flags.set(PollFlags::OUT, wait.write);
            PollFd::from_borrowed_fd(wait.handle, flags)
        })
        .collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout / NANOSECONDS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(timeout % NANOSECONDS).unwrap_or(0),
    };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        // An interrupted wait found nothing; the caller comes back.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(errno::from_rustix(error)),
    }
    for (wait, fd) in waits.iter_mut().zip(&fds) {
        let found = fd.revents();
        let unknown = found.contains(PollFlags::NVAL);
        // macOS reports this for devices that it cannot wait for, too: using them shows what they
        // do.
        let invalid = unknown && rustix::io::fcntl_getfd(fd.as_fd()).is_err();
        let hangup = found.intersects(PollFlags::HUP | PEER_CLOSED);
        let failed = found.contains(PollFlags::ERR);
        let state = |flag| Readiness {
            ready: found.contains(flag) || hangup || failed || unknown,
            hangup: hangup || failed,
            invalid,
        };
        wait.readable = if wait.read { state(PollFlags::IN) } else { Readiness::default() };
        wait.writable = if wait.write { state(PollFlags::OUT) } else { Readiness::default() };
    }
    Ok(())
}

/// Whether one file is ready now, or becomes so within `timeout` nanoseconds.
fn poll_one(
    fd: BorrowedFd<'_>,
    flags: PollFlags,
    timeout: Timestamp,
) -> rustix::io::Result<PollFlags> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout / NANOSECONDS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(timeout % NANOSECONDS).unwrap_or(0),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    let [fd] = fds;
    Ok(fd.revents())
}

fn unsupported<T>() -> Result<T> {
    Err(Errno::Notsup)
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn a_time_before_1970_is_0() {
        let times = [(-1, 0), (-1, 999_999_999), (i64::MIN, 5), (0, 0), (0, 7), (2, 3)];
        assert_eq!(
            times.map(|(seconds, fraction)| nanoseconds(seconds, fraction)),
            [0, 0, 0, 0, 7, 2_000_000_003]
        );
    }
}
