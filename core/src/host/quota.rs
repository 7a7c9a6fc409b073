//! Limits on what a guest writes and lists.

use super::{File, Opened, Result, SetTimes};
use crate::abi::{Errno, Fdflags, Filesize, Sdflags};
use crate::memory::Region;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The rest of a guest's limits. All of its descriptors and threads draw on it.
#[derive(Debug)]
pub struct Quota {
    written_bytes: AtomicU64,
    readdir_entries: AtomicU64,
}

impl Quota {
    /// A quota; `None` is no limit.
    #[must_use]
    pub fn new(written_bytes: Option<u64>, readdir_entries: Option<u64>) -> Self {
        let limit = |limit: Option<u64>| AtomicU64::new(limit.unwrap_or(u64::MAX));
        Self { written_bytes: limit(written_bytes), readdir_entries: limit(readdir_entries) }
    }

    /// Takes up to `wanted`, and returns how much there was.
    fn reserve(left: &AtomicU64, wanted: u64) -> u64 {
        let before = left
            .fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(wanted)))
            .unwrap_or_else(|left| left);
        before.min(wanted)
    }

    fn release(left: &AtomicU64, amount: u64) {
        let _ = left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_add(amount)));
    }

    /// Does something that stores `bytes`: names, files, texts of links. If it fails, nothing has
    /// been stored.
    ///
    /// # Errors
    /// - `dquot`: there is less left, and nothing was done.
    pub fn store<T>(&self, bytes: u64, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let granted = Self::reserve(&self.written_bytes, bytes);
        let result = if granted < bytes { Err(Errno::Dquot) } else { act() };
        if result.is_err() {
            Self::release(&self.written_bytes, granted);
        }
        result
    }

    /// Takes one entry of a listing.
    ///
    /// # Errors
    /// - `dquot`: there is none left.
    pub fn take_entry(&self) -> Result<()> {
        if Self::reserve(&self.readdir_entries, 1) == 1 { Ok(()) } else { Err(Errno::Dquot) }
    }

    /// Gives entries back that were not listed after all.
    pub fn give_entries_back(&self, entries: u64) {
        Self::release(&self.readdir_entries, entries);
    }

    /// Holds an open file to the quota.
    #[must_use]
    pub fn meter(self: &Arc<Self>, opened: Opened) -> Opened {
        match opened {
            Opened::File(inner) => {
                Opened::File(Box::new(Metered { inner, quota: Arc::clone(self) }))
            }
            directory @ Opened::Directory(_) => directory,
        }
    }
}

/// A file whose writes draw on a quota.
struct Metered {
    inner: Box<dyn File>,
    quota: Arc<Quota>,
}

impl Metered {
    /// Writes what the quota allows of the buffers.
    fn write_within(
        &self,
        bufs: &[Region<'_>],
        write: impl FnOnce(&[Region<'_>]) -> Result<usize>,
    ) -> Result<usize> {
        let total = bufs.iter().fold(0_u64, |sum, buf| sum.saturating_add(buf.len() as u64));
        let granted = Quota::reserve(&self.quota.written_bytes, total);
        if granted == 0 && total > 0 {
            return Err(Errno::Dquot);
        }
        let result = if granted == total {
            write(bufs)
        } else {
            let mut left = usize::try_from(granted).unwrap_or(usize::MAX);
            let within: Vec<Region<'_>> = bufs
                .iter()
                .map(|buf| {
                    let part = buf.start(left);
                    left = left.saturating_sub(part.len());
                    part
                })
                .filter(|part| !part.is_empty())
                .collect();
            write(&within)
        };
        let written = result.as_ref().map_or(0, |written| *written as u64);
        Quota::release(&self.quota.written_bytes, granted.saturating_sub(written));
        result
    }
}

impl File for Metered {
    forward_reading!();

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        self.write_within(bufs, |bufs| self.inner.write(bufs, flags))
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        self.write_within(bufs, |bufs| self.inner.pwrite(bufs, offset))
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        let growth = size.saturating_sub(self.inner.filestat()?.size);
        self.quota.store(growth, || self.inner.set_size(size))
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        // The whole size counts, because a part before the file's end may be a hole.
        self.quota.store(len, || self.inner.allocate(offset, len))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner.set_times(times)
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.inner.set_mode(mode)
    }

    fn accept(&self) -> Result<Box<dyn File>> {
        let inner = self.inner.accept()?;
        Ok(Box::new(Self { inner, quota: Arc::clone(&self.quota) }))
    }

    fn send(&self, bufs: &[Region<'_>]) -> Result<usize> {
        self.write_within(bufs, |bufs| self.inner.send(bufs))
    }

    fn shutdown(&self, how: Sdflags) -> Result<()> {
        self.inner.shutdown(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::stream::{Output, Stream};
    use crate::memory::GuestMemory;

    #[test]
    fn a_quota_gives_what_it_has_and_takes_back() {
        let left = AtomicU64::new(10);
        assert_eq!(Quota::reserve(&left, 4), 4);
        assert_eq!(Quota::reserve(&left, 9), 6);
        assert_eq!(Quota::reserve(&left, 1), 0);
        Quota::release(&left, 3);
        assert_eq!(Quota::reserve(&left, 5), 3);
    }

    #[cfg(unix)]
    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no directories")]
    fn a_metered_file_tells_what_the_file_in_it_tells() {
        use crate::host::{GuestPath, OpenOptions, PreopenOptions, open_preopen};

        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let Ok(Opened::Directory(directory)) = open_preopen(here, PreopenOptions::default()) else {
            panic!("a directory");
        };
        let path = GuestPath::new(b"Cargo.toml").unwrap();
        let quota = Arc::new(Quota::new(None, None));
        let Opened::File(file) = quota.meter(directory.open(path, OpenOptions::READ).unwrap())
        else {
            panic!("a file");
        };
        assert!(file.mode().is_some_and(|mode| mode & 0o400 != 0));
        assert_eq!(
            file.filestat().unwrap().size,
            std::fs::metadata(here.join("Cargo.toml")).unwrap().len()
        );
    }

    #[cfg(unix)]
    #[test]
    #[cfg_attr(miri, ignore = "Miri opens no sockets")]
    fn a_metered_file_does_what_the_file_in_it_does() {
        use crate::host::stdio;
        use std::io::Read;
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::PermissionsExt;
        use std::os::unix::net::UnixStream;

        let quota = Arc::new(Quota::new(None, None));
        let metered = |fd: &dyn AsRawFd| match quota.meter(stdio(fd.as_raw_fd()).unwrap().object) {
            Opened::File(file) => file,
            Opened::Directory(_) => panic!("a file"),
        };
        let (ours, mut other) = UnixStream::pair().unwrap();
        other.set_nonblocking(true).unwrap();
        let socket = metered(&ours);
        assert_eq!(other.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        socket.shutdown(Sdflags::WR).unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 0, "the end");
        let not_a_socket = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(metered(&not_a_socket).shutdown(Sdflags::WR), Err(Errno::Notsock));

        let path = std::env::temp_dir().join(format!("wasi-rs-quota-{}", std::process::id()));
        let host = std::fs::File::create_new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for mode in [0o640, 0o751] {
            metered(&host).set_mode(mode).unwrap();
            assert_eq!(host.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
    }

    /// The rest of a quota of 100 bytes after `act`.
    fn left_after(act: impl FnOnce(&Arc<Quota>)) -> u64 {
        let quota = Arc::new(Quota::new(Some(100), None));
        act(&quota);
        Quota::reserve(&quota.written_bytes, u64::MAX)
    }

    #[test]
    fn what_a_short_write_did_not_write_is_given_back() {
        let write = |file: &dyn File, len: u32| {
            let mut bytes = [7; 64];
            let region = GuestMemory::from_slice(&mut bytes).region(0, len).unwrap();
            file.write(&[region], Fdflags::empty())
        };
        let left = left_after(|quota| {
            let output = Arc::new(Output::default());
            let collector = Stream::Collector { output: Arc::clone(&output), cap: 30, ends: false };
            let Opened::File(file) = quota.meter(Opened::File(Box::new(collector))) else {
                panic!()
            };
            assert_eq!(
                [write(&*file, 20), write(&*file, 20), write(&*file, 20)],
                [Ok(20), Ok(10), Err(Errno::Nospc)]
            );
            assert_eq!(output.copy().len(), 30);
        });
        assert_eq!(left, 70);
        let left = left_after(|quota| {
            let Opened::File(file) = quota.meter(Opened::File(Box::new(Stream::Null))) else {
                panic!()
            };
            assert_eq!(
                [write(&*file, 64), write(&*file, 64), write(&*file, 1)],
                [Ok(64), Ok(36), Err(Errno::Dquot)]
            );
        });
        assert_eq!(left, 0);
    }

    #[test]
    fn what_fails_stores_nothing() {
        let left = left_after(|quota| {
            assert_eq!(quota.store(101, || Ok(())), Err(Errno::Dquot));
            assert_eq!(quota.store(60, || Err::<(), _>(Errno::Exist)), Err(Errno::Exist));
            assert_eq!(quota.store(60, || Ok(7)), Ok(7));
            assert_eq!(quota.store(41, || Ok(())), Err(Errno::Dquot));
        });
        assert_eq!(left, 40);
    }

    #[test]
    fn entries_end() {
        let quota = Quota::new(None, Some(2));
        assert_eq!(
            [quota.take_entry(), quota.take_entry(), quota.take_entry()],
            [Ok(()), Ok(()), Err(Errno::Dquot)]
        );
    }
}
