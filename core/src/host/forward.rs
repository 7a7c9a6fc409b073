//! What files that wrap another leave to that one.

/// The methods of [`super::File`] that change nothing, in an `impl` of a type with an `inner` file.
macro_rules! forward_to_inner {
    () => {
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

        fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
            self.inner.pread(bufs, offset)
        }

        fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
            self.inner.seek(delta, whence)
        }

        fn filestat(&self) -> Result<Filestat> {
            self.inner.filestat()
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

        fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
            self.inner.set_flags(old, new)
        }

        fn source(&self) -> Source<'_> {
            self.inner.source()
        }

        fn available(&self) -> Filesize {
            self.inner.available()
        }

        fn recv(&self, bufs: &[Region<'_>], flags: Riflags) -> Result<(usize, Roflags)> {
            self.inner.recv(bufs, flags)
        }
    };
}

pub(super) use forward_to_inner;
