//! Files that are read below.

use super::super::directory::access;
use super::super::file::{Body, TreeFile};
use super::Inner;
use super::below::LowerFile;
use crate::abi::{Advice, Fdflags, Filesize, Filestat, Filetype, Whence};
use crate::host::directory::Found;
use crate::host::offset::{check_offset, check_range};
use crate::host::{File, OpenOptions, Result, SetTimes, Source};
use crate::memory::Region;
use std::sync::Arc;

/// A file that was opened to be read while its bytes lay below. Once another descriptor has copied
/// it up, this one reads the copy.
pub(super) struct OverlayFile {
    file: TreeFile,
    lower: Arc<LowerFile>,
    inner: Arc<Inner>,
}

impl OverlayFile {
    pub(super) fn found<D>(
        inner: &Arc<Inner>,
        body: &Arc<Body>,
        lower: Arc<LowerFile>,
        options: OpenOptions,
    ) -> Found<D> {
        let file = TreeFile::new(Arc::clone(body), access(options), options.flags);
        Found::File(Box::new(Self { file, lower, inner: Arc::clone(inner) }))
    }

    /// Reads the copy, or what lies below. A copy that is made meanwhile is as good as one that is
    /// made after the read.
    #[inline]
    fn read_at(&self, bufs: &[Region<'_>], offset: u64) -> Result<usize> {
        check_range(bufs, offset)?;
        match self.file.body().read_above(bufs, offset) {
            Some(done) => Ok(done),
            None => self.lower.0.pread(bufs, offset),
        }
    }
}

impl File for OverlayFile {
    fn filetype(&self) -> Filetype {
        Filetype::RegularFile
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_socket(&self) -> bool {
        false
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.file.check_readable()?;
        let mut position = self.file.position();
        let done = self.read_at(bufs, *position)?;
        *position = position.saturating_add(done as u64);
        Ok(done)
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        check_offset(offset)?;
        self.file.check_readable()?;
        self.read_at(bufs, offset)
    }

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        self.file.write(bufs, flags)
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.file.pwrite(bufs, offset)
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        self.file.seek(delta, whence)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.file.filestat()
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        self.file.set_size(size)
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        self.file.allocate(offset, len)
    }

    fn advise(&self, offset: Filesize, len: Filesize, advice: Advice) -> Result<()> {
        self.file.advise(offset, len, advice)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn datasync(&self) -> Result<()> {
        Ok(())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        let layers = self.inner.layers();
        layers.state().raise_open(self.file.body())?;
        drop(layers);
        self.file.set_times(times)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        self.file.set_flags(old, new)
    }

    fn source(&self) -> Source<'_> {
        Source::Ready
    }

    fn available(&self) -> Filesize {
        self.file.available()
    }
}
