//! Regular files and devices other than consoles.

use super::call::{self, At, From};
use super::unsupported;
use crate::abi::{Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Whence};
use crate::host::{File, Result, SetTimes, Source};
use crate::memory::Region;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Storage::FileSystem::{FILE_APPEND_DATA, FILE_WRITE_DATA};

/// The owner of a handle.
pub(super) enum Ownership {
    /// Opened for the guest; closed with the file.
    Owned(OwnedHandle),
    /// The host: everyone who has the handle shares its offset, and it is not closed here.
    Borrowed(BorrowedHandle<'static>),
}

impl AsHandle for Ownership {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        match self {
            Self::Owned(handle) => handle.as_handle(),
            Self::Borrowed(handle) => *handle,
        }
    }
}

impl Ownership {
    /// Checks that a handle lent by the host is still open there.
    pub(super) fn check_open(&self) -> Result<()> {
        match self {
            Self::Owned(_) => Ok(()),
            Self::Borrowed(handle) => call::check_open(*handle),
        }
    }
}

/// The keeper of a file's offset.
#[derive(Debug, Clone, Copy)]
enum Offset {
    /// This process, because nobody else shares the offset.
    Own(u64),
    /// The system, because others share the offset.
    Shared,
}

/// A file that never blocks.
pub(super) struct DiskFile {
    handle: Ownership,
    filetype: Filetype,
    /// Held by the thread that reads or writes: Windows moves the handle's offset with every
    /// transfer, wherever in the file that is.
    offset: Mutex<Offset>,
    /// Whether the handle can do nothing but append.
    appends: bool,
}

impl DiskFile {
    /// A regular file that was opened for the guest.
    pub(super) fn owned(handle: OwnedHandle) -> Self {
        let offset = Mutex::new(Offset::Own(0));
        Self {
            handle: Ownership::Owned(handle),
            filetype: Filetype::RegularFile,
            offset,
            appends: false,
        }
    }

    /// A file of the host.
    pub(super) fn borrowed(
        handle: BorrowedHandle<'static>,
        filetype: Filetype,
        appends: bool,
    ) -> Self {
        Self {
            handle: Ownership::Borrowed(handle),
            filetype,
            offset: Mutex::new(Offset::Shared),
            appends,
        }
    }

    fn is_regular(&self) -> bool {
        self.filetype == Filetype::RegularFile
    }

    fn offset(&self) -> MutexGuard<'_, Offset> {
        self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Transfers at the file's offset and moves it.
    fn advance(&self, transfer: impl FnOnce(At) -> Result<usize>) -> Result<usize> {
        let mut offset = self.offset();
        let Offset::Own(from) = *offset else { return transfer(At::Current) };
        let moved = transfer(at(from)?)?;
        *offset = Offset::Own(from.saturating_add(moved as u64));
        Ok(moved)
    }

    /// Transfers at another offset and leaves the file's own where it is.
    fn aside(&self, from: u64, transfer: impl FnOnce(At) -> Result<usize>) -> Result<usize> {
        let at = at(from)?;
        let offset = self.offset();
        if !self.is_regular() {
            return transfer(At::Current);
        }
        let Offset::Shared = *offset else { return transfer(at) };
        let handle = self.handle.as_handle();
        let before = call::seek(handle, 0, From::Current)?;
        let result = transfer(at);
        call::seek(handle, i64::try_from(before).map_err(|_| Errno::Overflow)?, From::Start)?;
        result
    }
}

/// An offset from the guest. The greatest numbers mean something else to Windows.
fn at(offset: u64) -> Result<At> {
    if i64::try_from(offset).is_ok() { Ok(At::Offset(offset)) } else { Err(Errno::Inval) }
}

impl File for DiskFile {
    fn filetype(&self) -> Filetype {
        self.filetype
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_socket(&self) -> bool {
        false
    }

    fn check_open(&self) -> Result<()> {
        self.handle.check_open()
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.advance(|at| call::read(self.handle.as_handle(), bufs, at))
    }

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        let handle = self.handle.as_handle();
        if !flags.contains(Fdflags::APPEND) || !self.is_regular() {
            return self.advance(|at| call::write(handle, bufs, at));
        }
        let mut offset = self.offset();
        let done = call::write(handle, bufs, At::End)?;
        if matches!(*offset, Offset::Own(_)) && done > 0 {
            // The system found the end at the time of the write.
            *offset = Offset::Own(call::seek(handle, 0, From::Current)?);
        }
        Ok(done)
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.aside(offset, |at| call::read(self.handle.as_handle(), bufs, at))
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.aside(offset, |at| call::write(self.handle.as_handle(), bufs, at))
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        let handle = self.handle.as_handle();
        let mut offset = self.offset();
        let from = match (whence, *offset) {
            (Whence::Set, _) => 0,
            (Whence::Cur, Offset::Own(from)) => from,
            (Whence::Cur, Offset::Shared) => call::seek(handle, 0, From::Current)?,
            (Whence::End, _) if self.is_regular() => call::file_size(handle)?,
            (Whence::End, _) => return call::seek(handle, delta, From::End),
        };
        let from = i64::try_from(from).map_err(|_| Errno::Overflow)?;
        let to = from.checked_add(delta).ok_or(Errno::Overflow)?;
        let target = u64::try_from(to).map_err(|_| Errno::Inval)?;
        match *offset {
            Offset::Own(_) => *offset = Offset::Own(target),
            Offset::Shared => return call::seek(handle, to, From::Start),
        }
        Ok(target)
    }

    fn filestat(&self) -> Result<Filestat> {
        if !self.is_regular() {
            return Ok(super::stream_stat(self.filetype));
        }
        call::filestat(self.handle.as_handle())
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        if !self.is_regular() {
            return Err(Errno::Inval);
        }
        match call::set_size(
            self.handle.as_handle(),
            i64::try_from(size).map_err(|_| Errno::Inval)?,
        ) {
            Err(_) if !self.is_writable() => Err(Errno::Inval),
            result => result,
        }
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        let (Ok(start), Ok(extent)) = (i64::try_from(offset), i64::try_from(len)) else {
            return Err(Errno::Inval);
        };
        let end = start.checked_add(extent).ok_or(Errno::Fbig)?;
        if len == 0 {
            // As on the other systems.
            return Ok(());
        }
        if !self.is_regular() {
            return Err(Errno::Nodev);
        }
        // A file that grows has its room at once, unless it is sparse or compressed.
        let _offset = self.offset();
        if call::file_size(self.handle.as_handle())? < end.unsigned_abs() {
            return match call::set_size(self.handle.as_handle(), end) {
                Err(_) if !self.is_writable() => Err(Errno::Badf),
                result => result,
            };
        }
        if self.is_writable() { Ok(()) } else { Err(Errno::Badf) }
    }

    fn advise(&self, offset: Filesize, len: Filesize, _: Advice) -> Result<()> {
        // Windows takes advice only when a file is opened, and only one piece of it.
        if i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
            Err(Errno::Inval)
        } else {
            Ok(())
        }
    }

    fn sync(&self) -> Result<()> {
        if !self.is_regular() {
            return Err(Errno::Inval);
        }
        call::flush(self.handle.as_handle())
    }

    fn datasync(&self) -> Result<()> {
        self.sync()
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        if !self.is_regular() {
            return Err(Errno::Perm);
        }
        call::set_times(self.handle.as_handle(), times)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        let changed = old.symmetric_difference(new);
        if changed.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC) {
            // The host fixes these when it opens a file.
            return unsupported();
        }
        // Each write can ask for appending. A handle that can only append cannot do otherwise.
        if self.appends && !new.contains(Fdflags::APPEND) { unsupported() } else { Ok(()) }
    }

    fn source(&self) -> Source<'_> {
        Source::Ready
    }

    fn available(&self) -> Filesize {
        if !self.is_regular() {
            return 0;
        }
        let handle = self.handle.as_handle();
        let offset = match *self.offset() {
            Offset::Own(offset) => offset,
            Offset::Shared => call::seek(handle, 0, From::Current).unwrap_or(0),
        };
        call::file_size(handle).unwrap_or(0).saturating_sub(offset)
    }
}

impl DiskFile {
    fn is_writable(&self) -> bool {
        // Asked of the system, as a borrowed handle may have been opened for anything.
        call::access(self.handle.as_handle())
            .is_ok_and(|access| access & (FILE_WRITE_DATA | FILE_APPEND_DATA) != 0)
    }
}
