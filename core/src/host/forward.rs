//! The methods of [`File`](super::File) that wrappers of files share.

/// Hands every method that changes nothing to the file in `self.inner`: an implementation of
/// [`File`](super::File) for a wrapper writes out only those that change something.
macro_rules! forward_reading {
    () => {
        fn filetype(&self) -> $crate::abi::Filetype {
            self.inner.filetype()
        }

        fn is_terminal(&self) -> bool {
            self.inner.is_terminal()
        }

        fn is_socket(&self) -> bool {
            self.inner.is_socket()
        }

        fn input(&self) -> Option<&std::sync::Arc<$crate::host::stream::Input>> {
            self.inner.input()
        }

        fn check_open(&self) -> $crate::host::Result<()> {
            self.inner.check_open()
        }

        fn read(&self, bufs: &[$crate::memory::Region<'_>]) -> $crate::host::Result<usize> {
            self.inner.read(bufs)
        }

        fn pread(
            &self,
            bufs: &[$crate::memory::Region<'_>],
            offset: $crate::abi::Filesize,
        ) -> $crate::host::Result<usize> {
            self.inner.pread(bufs, offset)
        }

        fn seek(
            &self,
            delta: i64,
            whence: $crate::abi::Whence,
        ) -> $crate::host::Result<$crate::abi::Filesize> {
            self.inner.seek(delta, whence)
        }

        fn filestat(&self) -> $crate::host::Result<$crate::abi::Filestat> {
            self.inner.filestat()
        }

        fn filestat_when_opened(&self) -> Option<$crate::abi::Filestat> {
            self.inner.filestat_when_opened()
        }

        fn advise(
            &self,
            offset: $crate::abi::Filesize,
            len: $crate::abi::Filesize,
            advice: $crate::abi::Advice,
        ) -> $crate::host::Result<()> {
            self.inner.advise(offset, len, advice)
        }

        fn sync(&self) -> $crate::host::Result<()> {
            self.inner.sync()
        }

        fn datasync(&self) -> $crate::host::Result<()> {
            self.inner.datasync()
        }

        fn set_flags(
            &self,
            old: $crate::abi::Fdflags,
            new: $crate::abi::Fdflags,
        ) -> $crate::host::Result<()> {
            self.inner.set_flags(old, new)
        }

        fn mode(&self) -> Option<u32> {
            self.inner.mode()
        }

        fn source(&self) -> $crate::host::Source<'_> {
            self.inner.source()
        }

        fn keeps_identity(&self) -> bool {
            self.inner.keeps_identity()
        }

        fn available(&self) -> $crate::abi::Filesize {
            self.inner.available()
        }

        fn socket_names(&self) -> $crate::host::Result<$crate::host::SocketNames> {
            self.inner.socket_names()
        }

        fn recv(
            &self,
            bufs: &[$crate::memory::Region<'_>],
            flags: $crate::abi::Riflags,
        ) -> $crate::host::Result<(usize, $crate::abi::Roflags)> {
            self.inner.recv(bufs, flags)
        }
    };
}
