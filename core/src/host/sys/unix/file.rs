//! Host files: regular files, pipes, sockets, terminals and devices.

#![allow(
    unsafe_code,
    reason = "vectored input and output on guest memory, which no slice may cover"
)]

use super::errno::from_rustix;
use super::platform::{self, call, nowait};
use super::socket::{self, BoundPath};
use super::{access, errno, filestat_of, filetype_of, poll_one, timestamps, unsupported};
use crate::abi::{
    Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Riflags, Roflags, Sdflags, Whence,
};
use crate::host::are_descriptors_shared;
use crate::host::offset::sought;
use crate::host::{File, Interest, Result, SetTimes, SocketNames, Source};
use crate::memory::Region;
use rustix::event::PollFlags;
use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno as Host;
use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

// `Region` goes to the host as `struct iovec`.
const _: () = assert!(size_of::<Region<'static>>() == size_of::<libc::iovec>());
const _: () = assert!(align_of::<Region<'static>>() == align_of::<libc::iovec>());
const _: () = assert!(std::mem::offset_of!(libc::iovec, iov_base) == 0);

/// The owner of a descriptor.
pub(super) enum Ownership {
    /// Opened for the guest, without blocking; closed with the file.
    Owned(Owned),
    /// The host: everyone who has the descriptor shares its flags and its offset, and it is not
    /// closed here.
    Borrowed(BorrowedFd<'static>),
}

/// A descriptor that is closed by the bare system call, as [`call`]'s functions are.
pub(super) struct Owned(ManuallyDrop<OwnedFd>);

impl From<OwnedFd> for Owned {
    fn from(fd: OwnedFd) -> Self {
        Self(ManuallyDrop::new(fd))
    }
}

impl AsFd for Owned {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let fd = self.0.as_raw_fd();
        // SAFETY: the descriptor is owned, and its own destructor does not run.
        unsafe { rustix::io::close(fd) };
    }
}

/// The kind of a file, as far as reading and writing differ.
enum Kind {
    /// A regular file whose offset is kept here.
    Regular(Position),
    /// A regular file whose offset is the kernel's, because others share it.
    SharedRegular,
    /// A pipe.
    Pipe(Lent),
    /// A stream or datagram socket.
    Socket {
        identity: Identity,
        /// The file that a listener has made.
        _bound: Option<Box<BoundPath>>,
    },
    /// A terminal.
    Terminal(Lent),
    /// Any other device. Some of them take all that is written, without a reader.
    Device { lent: Lent, takes_all: bool },
}

/// A file's device and serial number, which no other file has.
type Identity = (u64, u64);

/// Properties of a file whose reads and writes may wait, for the case that the host has lent it.
struct Lent {
    /// False once the kernel has said that it cannot try without waiting.
    nowait: AtomicBool,
    /// Whether opening the descriptor anew gives the same file.
    reopens: bool,
    identity: Identity,
}

impl Lent {
    fn new(stat: &Stat, reopens: bool) -> Self {
        Self { nowait: AtomicBool::new(platform::HAS_NOWAIT), reopens, identity: identity(stat) }
    }

    /// Tries without waiting, where the kernel can.
    #[inline]
    fn at_once(&self, transfer: impl FnOnce() -> Result<usize>) -> Option<Result<usize>> {
        if self.nowait.load(Relaxed) {
            match transfer() {
                Err(Errno::Notsup | Errno::Nosys) => self.nowait.store(false, Relaxed),
                result => return Some(result),
            }
        }
        None
    }
}

pub(super) fn identity(stat: &Stat) -> Identity {
    let stat = filestat_of(stat);
    (stat.dev, stat.ino)
}

/// The files for which a thread of this process polls and then makes a call that may wait.
static ASKED: Mutex<BTreeSet<Identity>> = Mutex::new(BTreeSet::new());

/// The right to poll a file and then to call. One thread has it at a time, so that no other thread
/// is told of the same bytes.
struct Asking(Identity);

impl Asking {
    /// `again`: another thread has the right.
    fn about(identity: Identity) -> Result<Self> {
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.insert(identity) { Ok(Self(identity)) } else { Err(Errno::Again) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Whether opening a terminal anew may give another one: `/dev/tty`, `/dev/console` and `/dev/ptmx`
/// have this device number on Linux.
fn is_alias(stat: &Stat) -> bool {
    major(stat) == 5
}

/// Whether a write to a character device never waits. The devices of memory, such as `/dev/null`,
/// have this device number on Linux. On other systems nobody can tell.
fn takes_all(stat: &Stat) -> bool {
    !platform::HAS_NOWAIT || major(stat) == 1
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "the field's type differs between systems"
)]
fn major(stat: &Stat) -> u32 {
    rustix::fs::major(stat.st_rdev as rustix::fs::Dev) as u32
}

/// The offset of a file that no one else shares with the guest.
#[derive(Default)]
struct Position {
    offset: AtomicU64,
    /// Held by the thread that reads or writes at the offset, as the kernel does: two threads that
    /// read by one descriptor get different bytes.
    transfer: Mutex<()>,
}

impl Position {
    fn get(&self) -> u64 {
        self.offset.load(Relaxed)
    }

    fn set(&self, offset: u64) {
        self.offset.store(offset, Relaxed);
    }

    /// Lets `transfer` read or write at the offset, and moves the offset by the result, unless
    /// another thread has set it meanwhile.
    fn advance(&self, transfer: impl FnOnce(u64) -> Result<usize>) -> Result<usize> {
        let held = self.lock();
        let from = self.get();
        let moved = transfer(from)?;
        let to = from.saturating_add(moved as u64);
        if held.is_some() {
            // Another thread has set the offset: its seek counts as the later one.
            let _ = self.offset.compare_exchange(from, to, Relaxed, Relaxed);
        } else {
            self.set(to);
        }
        Ok(moved)
    }

    /// Waits for other threads that read or write, if there can be any. A lock and an exchange of
    /// the offset take about 20 ns, as much as a short read takes outside the kernel.
    fn lock(&self) -> Option<MutexGuard<'_, ()>> {
        are_descriptors_shared()
            .then(|| self.transfer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The permission bits of an open file.
#[allow(clippy::useless_conversion, reason = "the field's type differs between systems")]
pub(super) fn mode(fd: impl AsFd) -> Option<u32> {
    rustix::fs::fstat(fd).ok().map(|stat| u32::from(stat.st_mode) & 0o7777)
}

/// Sets the permission bits of an open file.
#[allow(clippy::useless_conversion, reason = "the type differs between systems")]
pub(super) fn set_mode(fd: impl AsFd, mode: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(mode.try_into().map_err(|_| Errno::Inval)?);
    rustix::fs::fchmod(fd, mode).map_err(from_rustix)
}

/// A file of the host.
pub(super) struct HostFile {
    // Dropped before the descriptor: `BoundPath` needs the open socket.
    kind: Kind,
    fd: Ownership,
    filetype: Filetype,
    poses_as_terminal: bool,
    /// The attributes at the time of opening, if somebody is going to ask for them.
    opened: Option<Box<Filestat>>,
}

/// The number of bytes that a pipe takes without waiting if it polls as writable, by POSIX.
const PIPE_ATOMIC: usize = 512;

impl HostFile {
    /// A regular file that was opened for the guest.
    pub(super) fn regular(fd: Owned) -> Self {
        Self {
            fd: Ownership::Owned(fd),
            filetype: Filetype::RegularFile,
            kind: Kind::Regular(Position::default()),
            poses_as_terminal: false,
            opened: None,
        }
    }

    /// Tells the guest that this is a terminal. It is read and written by its own kind.
    pub(super) fn pose_as_terminal(&mut self) {
        self.filetype = Filetype::CharacterDevice;
        self.poses_as_terminal = true;
    }

    /// Keeps the attributes at the time of opening.
    pub(super) fn keep_stat(&mut self, stat: &Stat) {
        self.opened = Some(Box::new(filestat_of(stat)));
    }

    pub(super) fn new(fd: Ownership, stat: &Stat) -> Self {
        let mut file = Self {
            fd,
            filetype: filetype_of(stat),
            kind: Kind::Device { lent: Lent::new(stat, false), takes_all: false },
            poses_as_terminal: false,
            opened: None,
        };
        file.kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if matches!(file.fd, Ownership::Owned(_)) => {
                Kind::Regular(Position::default())
            }
            FileType::RegularFile => Kind::SharedRegular,
            FileType::Fifo => Kind::Pipe(Lent::new(stat, true)),
            FileType::Socket => {
                if rustix::net::sockopt::socket_type(file.as_fd())
                    .is_ok_and(|kind| kind == rustix::net::SocketType::DGRAM)
                {
                    file.filetype = Filetype::SocketDgram;
                }
                Kind::Socket { identity: identity(stat), _bound: None }
            }
            FileType::CharacterDevice if rustix::termios::isatty(file.as_fd()) => {
                Kind::Terminal(Lent::new(stat, !is_alias(stat)))
            }
            FileType::BlockDevice => Kind::Device { lent: Lent::new(stat, false), takes_all: true },
            FileType::CharacterDevice => {
                Kind::Device { lent: Lent::new(stat, false), takes_all: takes_all(stat) }
            }
            _ => return file,
        };
        file
    }

    /// A socket with the file that it has made.
    pub(super) fn socket(fd: Ownership, stat: &Stat, bound: Option<Box<BoundPath>>) -> Self {
        let mut file = Self::new(fd, stat);
        file.kind = Kind::Socket { identity: identity(stat), _bound: bound };
        file
    }

    fn is_owned(&self) -> bool {
        matches!(self.fd, Ownership::Owned(_))
    }

    /// Whether it is the process's standard output or standard error, under this descriptor or
    /// another.
    fn is_output_of_the_process(&self) -> bool {
        fn is_same(stat: &Stat, other: impl AsFd) -> bool {
            rustix::fs::fstat(other)
                .is_ok_and(|other| (other.st_dev, other.st_ino) == (stat.st_dev, stat.st_ino))
        }
        rustix::fs::fstat(self.as_fd()).is_ok_and(|stat| {
            is_same(&stat, std::io::stdout()) || is_same(&stat, std::io::stderr())
        })
    }

    /// Reads at the kernel's offset.
    #[inline]
    fn readv(&self, bufs: &[Region<'_>]) -> Result<usize> {
        call::readv(self.as_fd(), bufs)
    }

    /// Writes at the kernel's offset.
    #[inline]
    fn writev(&self, bufs: &[Region<'_>]) -> Result<usize> {
        call::writev(self.as_fd(), bufs)
    }

    #[inline]
    fn preadv(&self, bufs: &[Region<'_>], offset: u64) -> Result<usize> {
        call::preadv(self.as_fd(), bufs, offset)
    }

    #[inline]
    fn pwritev(&self, bufs: &[Region<'_>], offset: u64) -> Result<usize> {
        call::pwritev(self.as_fd(), bufs, offset)
    }

    /// Answers `again` unless the host says that the operation would not block.
    fn ready(&self, flags: PollFlags) -> Result<()> {
        let found = poll_one(self.as_fd(), flags, 0).map_err(from_rustix)?;
        if !found.is_empty() {
            return Ok(());
        }
        // A descriptor that is open for the other direction only would never be ready.
        let open_for = access(rustix::fs::fcntl_getfl(self.as_fd()).map_err(from_rustix)?);
        let fits = if flags.contains(PollFlags::IN) { open_for.read } else { open_for.write };
        Err(if fits { Errno::Again } else { Errno::Badf })
    }

    fn read_stream(&self, bufs: &[Region<'_>], lent: &Lent) -> Result<usize> {
        if self.is_owned() {
            // A named pipe that no writer has opened yet reads as its end; the poll tells the two
            // apart.
            self.ready(PollFlags::IN)?;
            return self.readv(bufs);
        }
        if let Some(result) = lent.at_once(|| nowait::readv(self.as_fd(), bufs)) {
            return result;
        }
        if matches!(self.kind, Kind::Pipe(_)) {
            self.ready(PollFlags::IN)?;
        }
        self.aside(lent, Interest::Read, |fd, _| call::readv(fd, bufs))
    }

    /// Writes to a stream of the host: no more than `room` bytes if it has to be polled first.
    fn write_stream(&self, bufs: &[Region<'_>], lent: &Lent, room: usize) -> Result<usize> {
        if let Some(result) = lent.at_once(|| nowait::writev(self.as_fd(), bufs, false)) {
            return result;
        }
        self.aside(lent, Interest::Write, |fd, asked| match bufs.first() {
            Some(first) if asked && room < usize::MAX => call::writev(fd, &[first.start(room)]),
            _ => call::writev(fd, bufs),
        })
    }

    /// Reads or writes by a descriptor that does not block: the host's own, if it does not, or else
    /// a descriptor that is opened for this call. That one is closed at once, because the other end
    /// of a pipe waits until all are closed.
    ///
    /// Where there is neither, `transfer` gets the host's descriptor after a poll that says that it
    /// would not wait, and is told so. It waits all the same if another process comes first.
    #[inline(never)]
    fn aside(
        &self,
        lent: &Lent,
        interest: Interest,
        transfer: impl FnOnce(BorrowedFd<'_>, bool) -> Result<usize>,
    ) -> Result<usize> {
        let flags = rustix::fs::fcntl_getfl(self.as_fd()).map_err(from_rustix)?;
        let open_for = access(flags);
        let (fits, direction, ready) = match interest {
            Interest::Read => (open_for.read, OFlags::RDONLY, PollFlags::IN),
            Interest::Write => (open_for.write, OFlags::WRONLY, PollFlags::OUT),
        };
        if !fits {
            // A descriptor that is opened anew could do what the host's cannot.
            return Err(Errno::Badf);
        }
        if flags.contains(OFlags::NONBLOCK) {
            return transfer(self.as_fd(), false);
        }
        if lent.reopens {
            match platform::reopen(self.as_fd(), direction) {
                Ok(own) => {
                    let own = Owned::from(own);
                    // Another file system may be mounted where the kernel's own should be.
                    let stat = rustix::fs::fstat(&own).map_err(from_rustix)?;
                    if identity(&stat) == lent.identity {
                        return transfer(own.as_fd(), false);
                    }
                }
                // A named pipe that nobody reads.
                Err(Host::NXIO) if matches!(self.kind, Kind::Pipe(_)) => return Err(Errno::Pipe),
                Err(_) => {}
            }
        }
        let _asking = Asking::about(lent.identity)?;
        self.ready(ready)?;
        transfer(self.as_fd(), true)
    }

    fn receive(&self, bufs: &[Region<'_>], flags: i32) -> Result<(usize, i32)> {
        let mut message = message(bufs);
        // SAFETY: the message points to checked ranges of guest memory and has no address and no
        // control data.
        let received = retry(|| unsafe {
            libc::recvmsg(self.as_raw_fd(), &raw mut message, flags | libc::MSG_DONTWAIT)
        })?;
        Ok((received, message.msg_flags))
    }

    fn transmit(&self, bufs: &[Region<'_>]) -> Result<usize> {
        platform::send(self.as_fd(), bufs)
    }
}

impl AsFd for HostFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Ownership::Owned(fd) => fd.as_fd(),
            Ownership::Borrowed(fd) => *fd,
        }
    }
}

impl AsRawFd for HostFile {
    fn as_raw_fd(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }
}

/// Sends on a socket, without waiting where the system heeds the flag for that.
pub(super) fn send(fd: BorrowedFd<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    let message = message(bufs);
    // SAFETY: the message points to checked ranges of guest memory and has no address and no
    // control data.
    retry(|| unsafe {
        libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    })
}

fn message(bufs: &[Region<'_>]) -> libc::msghdr {
    // SAFETY: all zero is a message without address, buffers and control data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = bufs.as_ptr().cast_mut().cast();
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the field's type differs between systems; at most 1024"
    )]
    {
        message.msg_iovlen = bufs.len() as _;
    }
    message
}

/// Calls again after each interruption by a signal.
pub(super) fn retry<T>(mut call: impl FnMut() -> T) -> Result<usize>
where
    usize: TryFrom<T>,
{
    loop {
        let result = call();
        if let Ok(done) = usize::try_from(result) {
            return Ok(done);
        }
        let error = std::io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(raw) => return Err(errno::errno_from_raw(raw).unwrap_or(Errno::Io)),
            None => return Err(Errno::Io),
        }
    }
}

impl File for HostFile {
    fn filetype(&self) -> Filetype {
        self.filetype
    }

    fn filestat_when_opened(&self) -> Option<Filestat> {
        self.opened.as_deref().copied()
    }

    fn is_terminal(&self) -> bool {
        self.poses_as_terminal || matches!(self.kind, Kind::Terminal(_))
    }

    fn is_socket(&self) -> bool {
        matches!(self.kind, Kind::Socket { .. })
    }

    fn check_open(&self) -> Result<()> {
        match &self.fd {
            Ownership::Owned(_) => Ok(()),
            Ownership::Borrowed(fd) => rustix::io::fcntl_getfd(fd).map(drop).map_err(from_rustix),
        }
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        match &self.kind {
            Kind::Regular(position) => position.advance(|offset| self.preadv(bufs, offset)),
            Kind::SharedRegular => self.readv(bufs),
            // An empty read says nothing of the other end.
            _ if bufs.is_empty() => Ok(0),
            Kind::Pipe(lent) | Kind::Terminal(lent) | Kind::Device { lent, .. } => {
                self.read_stream(bufs, lent)
            }
            Kind::Socket { .. } => self.receive(bufs, 0).map(|(received, _)| received),
        }
    }

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        match &self.kind {
            Kind::Regular(position) if flags.contains(Fdflags::APPEND) => {
                let _held = position.lock();
                let done = self.writev(bufs)?;
                if done > 0 {
                    // The kernel found the end at the time of the write.
                    position.set(
                        rustix::fs::seek(self.as_fd(), SeekFrom::Current(0))
                            .map_err(from_rustix)?,
                    );
                }
                Ok(done)
            }
            Kind::Regular(position) => position.advance(|offset| self.pwritev(bufs, offset)),
            Kind::SharedRegular if flags.contains(Fdflags::APPEND) => {
                match nowait::writev(self.as_fd(), bufs, true) {
                    // The host has set the flag.
                    Err(Errno::Notsup) => self.writev(bufs),
                    // The kernel is too old. Another process may write between the two.
                    Err(Errno::Nosys) => {
                        rustix::fs::seek(self.as_fd(), SeekFrom::End(0)).map_err(from_rustix)?;
                        self.writev(bufs)
                    }
                    result => result,
                }
            }
            Kind::SharedRegular | Kind::Device { takes_all: true, .. } => self.writev(bufs),
            _ if bufs.is_empty() => Ok(0),
            Kind::Pipe(_) | Kind::Device { .. } if self.is_owned() => self.writev(bufs),
            Kind::Pipe(lent) => self.write_stream(bufs, lent, PIPE_ATOMIC),
            // The bytes may be one message, which cannot be cut.
            Kind::Device { lent, .. } => self.write_stream(bufs, lent, usize::MAX),
            Kind::Socket { .. } => self.transmit(bufs),
            Kind::Terminal(_) if self.is_owned() => {
                self.ready(PollFlags::OUT)?;
                self.writev(bufs)
            }
            Kind::Terminal(lent) => self.write_stream(bufs, lent, 1),
        }
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.preadv(bufs, offset)
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.pwritev(bufs, offset)
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        let Kind::Regular(position) = &self.kind else {
            let target = match whence {
                Whence::Set => SeekFrom::Start(u64::try_from(delta).map_err(|_| Errno::Inval)?),
                Whence::Cur => SeekFrom::Current(delta),
                Whence::End => SeekFrom::End(delta),
            };
            return rustix::fs::seek(self.as_fd(), target).map_err(from_rustix);
        };
        let to = sought(position.get(), (delta, whence), || {
            // Cheaper than asking for all attributes. The position of the kernel's own offset means
            // nothing.
            rustix::fs::seek(self.as_fd(), SeekFrom::End(0)).map_err(from_rustix)
        })?;
        if whence != Whence::Cur || delta != 0 {
            position.set(to);
        }
        Ok(to)
    }

    fn filestat(&self) -> Result<Filestat> {
        let stat = rustix::fs::fstat(self.as_fd()).map_err(from_rustix)?;
        Ok(Filestat { filetype: self.filetype, ..filestat_of(&stat) })
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        if i64::try_from(size).is_err() {
            return Err(Errno::Inval);
        }
        rustix::fs::ftruncate(self.as_fd(), size).map_err(from_rustix)
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        let (Ok(start), Ok(extent)) = (i64::try_from(offset), i64::try_from(len)) else {
            return Err(Errno::Inval);
        };
        let end = start.checked_add(extent).map(i64::unsigned_abs).ok_or(Errno::Fbig)?;
        if len == 0 {
            // The host refuses an empty range; `node:wasi` does not.
            return Ok(());
        }
        match platform::allocate(self.as_fd(), offset, len) {
            // The file system cannot reserve room; the guest sees only the size.
            Err(Errno::Notsup | Errno::Nosys) => {
                let stat = rustix::fs::fstat(self.as_fd()).map_err(from_rustix)?;
                if u64::try_from(stat.st_size).unwrap_or(0) < end {
                    self.set_size(end)
                } else {
                    Ok(())
                }
            }
            result => result,
        }
    }

    fn advise(&self, offset: Filesize, len: Filesize, advice: Advice) -> Result<()> {
        if i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
            return Err(Errno::Inval);
        }
        platform::advise(self.as_fd(), offset, len, advice)
    }

    fn sync(&self) -> Result<()> {
        platform::sync(self.as_fd())
    }

    fn datasync(&self) -> Result<()> {
        platform::datasync(self.as_fd())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        rustix::fs::futimens(self.as_fd(), &timestamps(times)).map_err(from_rustix)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        let changed = old.symmetric_difference(new);
        if changed.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC) {
            // The host fixes these when it opens a file.
            return unsupported();
        }
        if !changed.contains(Fdflags::APPEND) {
            // The caller decides whether a call blocks, not the host's flag.
            return Ok(());
        }
        if self.is_socket() {
            // A socket always appends. Another process may have it, too, and its flags.
            return Ok(());
        }
        if self.is_owned() {
            let mut flags = rustix::fs::fcntl_getfl(self.as_fd()).map_err(from_rustix)?;
            flags.set(OFlags::APPEND, new.contains(Fdflags::APPEND));
            return rustix::fs::fcntl_setfl(self.as_fd(), flags).map_err(from_rustix);
        }
        // The host's descriptor keeps its flags. Each write can ask for appending, but cannot ask
        // for not appending.
        if new.contains(Fdflags::APPEND)
            && (platform::HAS_NOWAIT || !matches!(self.kind, Kind::SharedRegular))
        {
            return Ok(());
        }
        let host = rustix::fs::fcntl_getfl(self.as_fd()).map_err(from_rustix)?;
        if host.contains(OFlags::APPEND) == new.contains(Fdflags::APPEND) {
            Ok(())
        } else {
            unsupported()
        }
    }

    fn mode(&self) -> Option<u32> {
        mode(self)
    }

    fn set_mode(&self, new: u32) -> Result<()> {
        set_mode(self, new)
    }

    fn keeps_identity(&self) -> bool {
        true
    }

    fn source(&self) -> Source<'_> {
        match self.kind {
            Kind::Regular(_) | Kind::SharedRegular => Source::Ready,
            _ => Source::Host(self.as_fd()),
        }
    }

    fn available(&self) -> Filesize {
        let offset = match &self.kind {
            Kind::Regular(position) => Some(position.get()),
            Kind::SharedRegular => rustix::fs::tell(self.as_fd()).ok(),
            _ => return rustix::io::ioctl_fionread(self.as_fd()).unwrap_or(0),
        };
        let size = rustix::fs::fstat(self.as_fd())
            .map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        size.saturating_sub(offset.unwrap_or(0))
    }

    fn socket_names(&self) -> Result<SocketNames> {
        if !self.is_socket() {
            return Err(Errno::Notsock);
        }
        socket::names(self.as_fd())
    }

    fn accept(&self) -> Result<Box<dyn File>> {
        let Kind::Socket { identity, .. } = self.kind else { return Err(Errno::Notsock) };
        if !platform::is_listening(self.as_fd())? {
            return Err(Errno::Inval);
        }
        // A listener of the host may wait. The only flag against that is the socket's own, which is
        // not ours to set.
        let waits =
            !rustix::fs::fcntl_getfl(self.as_fd()).map_err(from_rustix)?.contains(OFlags::NONBLOCK);
        let _asking = if waits { Some(Asking::about(identity)?) } else { None };
        if waits {
            self.ready(PollFlags::IN)?;
        }
        let socket = platform::accept(self.as_fd()).map_err(from_rustix)?;
        let stat = rustix::fs::fstat(&socket).map_err(from_rustix)?;
        Ok(Box::new(Self::new(Ownership::Owned(socket.into()), &stat)))
    }

    fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
        if !self.is_socket() {
            return Err(Errno::Notsock);
        }
        let peek = if flags.contains(Riflags::RECV_PEEK) { libc::MSG_PEEK } else { 0 };
        let (received, flags) = self.receive(bufs, peek)?;
        let truncated = if flags & libc::MSG_TRUNC == 0 {
            Roflags::empty()
        } else {
            Roflags::RECV_DATA_TRUNCATED
        };
        Ok((received, truncated))
    }

    fn send(&self, bufs: &[Region<'_>]) -> Result<usize> {
        if !self.is_socket() {
            return Err(Errno::Notsock);
        }
        self.transmit(bufs)
    }

    fn shutdown(&self, how: Sdflags) -> Result<()> {
        // The output of a process that another Node.js reads is a socket in the place of a pipe. To
        // shut it down would end the host's own output.
        if !self.is_socket() || self.is_output_of_the_process() {
            return Err(Errno::Notsock);
        }
        let how = match (how.contains(Sdflags::RD), how.contains(Sdflags::WR)) {
            (true, true) => rustix::net::Shutdown::Both,
            (true, false) => rustix::net::Shutdown::Read,
            (false, true) => rustix::net::Shutdown::Write,
            (false, false) => return Err(Errno::Inval),
        };
        rustix::net::shutdown(self.as_fd(), how).map_err(from_rustix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time_asks_and_then_calls() {
        let (one, other) = ((u64::MAX, 1), (u64::MAX, 2));
        let asking = Asking::about(one).ok().unwrap();
        assert_eq!(
            std::thread::spawn(move || Asking::about(one).err()).join().unwrap(),
            Some(Errno::Again)
        );
        assert!(Asking::about(other).is_ok(), "of another file it may ask meanwhile");
        drop(asking);
        assert!(Asking::about(one).is_ok());
    }
}
