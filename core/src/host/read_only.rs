//! An open file that the guest cannot change, whatever rights its descriptor has.

use super::{File, Result, SetTimes};
use crate::abi::{Errno, Fdflags, Filesize, Sdflags};
use crate::memory::Region;

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
    forward_reading!();

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

    fn set_mode(&self, _: u32) -> Result<()> {
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
