//! An open file that the guest cannot change, whatever rights its descriptor has.

use super::{File, Result, SetTimes, Source};
use crate::abi::{
    Advice, Errno, Fdflags, Filesize, Filestat, Filetype, Riflags, Roflags, Sdflags, Whence,
};
use crate::host::stream::Input;
use crate::memory::Region;
use std::sync::Arc;

/// A file of a mount that is read-only, below a directory that is not.
pub(super) struct ReadOnlyFile {
    inner: Box<dyn File>,
}

impl ReadOnlyFile {
    /// A file that was opened for reading.
    pub(super) fn new(inner: Box<dyn File>) -> Self {
        Self { inner }
    }
}

impl File for ReadOnlyFile {
    fn filetype(&self) -> Filetype {
        self.inner.filetype()
    }

    fn is_terminal(&self) -> bool {
        self.inner.is_terminal()
    }

    fn is_socket(&self) -> bool {
        self.inner.is_socket()
    }

    fn input(&self) -> Option<&Arc<Input>> {
        self.inner.input()
    }

    fn check_open(&self) -> Result<()> {
        self.inner.check_open()
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.inner.read(bufs)
    }

    fn write(&self, _: &[Region<'_>], _: Fdflags) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.inner.pread(bufs, offset)
    }

    fn pwrite(&self, _: &[Region<'_>], _: Filesize) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        self.inner.seek(delta, whence)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.inner.filestat()
    }

    fn set_size(&self, _: Filesize) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn allocate(&self, _: Filesize, _: Filesize) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn advise(&self, offset: Filesize, len: Filesize, advice: Advice) -> Result<()> {
        self.inner.advise(offset, len, advice)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn datasync(&self) -> Result<()> {
        self.inner.datasync()
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        self.inner.set_flags(old, new)
    }

    fn source(&self) -> Source<'_> {
        self.inner.source()
    }

    fn available(&self) -> Filesize {
        self.inner.available()
    }

    fn accept(&self) -> Result<Box<dyn File>> {
        Err(Errno::Rofs)
    }

    fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
        self.inner.recv(bufs, flags)
    }

    fn send(&self, _: &[Region<'_>]) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn shutdown(&self, _: Sdflags) -> Result<()> {
        Err(Errno::Rofs)
    }
}
