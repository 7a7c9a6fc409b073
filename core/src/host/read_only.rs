//! An open file that nothing changes, whatever rights its descriptor has.

use super::forward::forward_to_inner;
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
    forward_to_inner!();

    fn write(&self, _: &[Region<'_>], _: Fdflags) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn pwrite(&self, _: &[Region<'_>], _: Filesize) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn set_size(&self, _: Filesize) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn allocate(&self, _: Filesize, _: Filesize) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn accept(&self) -> Result<Box<dyn File>> {
        Err(Errno::Rofs)
    }

    fn send(&self, _: &[Region<'_>]) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn shutdown(&self, _: Sdflags) -> Result<()> {
        Err(Errno::Rofs)
    }
}
