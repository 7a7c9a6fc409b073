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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::host::SetTime;
    use crate::host::stream::Stream;
    use crate::memory::GuestMemory;

    #[test]
    fn whatever_would_change_a_file_is_refused() {
        let mut bytes = [0; 4];
        let buffers = [GuestMemory::from_slice(&mut bytes).region(0, 4).unwrap()];
        let times = SetTimes { atim: SetTime::Keep, mtim: SetTime::At(1) };
        // What is written to it alone would vanish without an error.
        let inner = Stream::Null;
        assert_eq!(inner.write(&buffers, Fdflags::empty()), Ok(4));
        let file = ReadOnlyFile::new(Box::new(inner));
        assert_eq!(file.write(&buffers, Fdflags::empty()), Err(Errno::Rofs));
        assert_eq!(file.pwrite(&buffers, 0), Err(Errno::Rofs));
        assert_eq!(file.set_size(0), Err(Errno::Rofs));
        assert_eq!(file.allocate(0, 1), Err(Errno::Rofs));
        assert_eq!(file.set_times(times), Err(Errno::Rofs));
        assert_eq!(file.set_mode(0), Err(Errno::Rofs));
        assert_eq!(file.accept().map(drop), Err(Errno::Rofs));
        assert_eq!(file.send(&buffers), Err(Errno::Rofs));
        assert_eq!(file.shutdown(Sdflags::WR), Err(Errno::Rofs));
        assert_eq!(file.read(&buffers), Ok(0));
    }
}
