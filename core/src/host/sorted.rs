//! A directory whose entries come in the order of their names, so that two runs see the same.

use super::{Directory, DirectoryEntry, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTimes};
use crate::abi::{Errno, Filestat, Filetype};
use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// The most entries that are sorted: they have to be held all at once.
const ENTRY_LIMIT: usize = 1 << 20;

/// What the entries of one directory are read into at a time.
const CAPACITY: usize = 32 * 1024;

struct Entry {
    name: Vec<u8>,
    ino: u64,
    filetype: Filetype,
}

/// A directory that lists its entries sorted.
pub struct Sorted {
    inner: Box<dyn Directory>,
    /// The entries as they were when a listing began. Cookies count them.
    entries: Mutex<Vec<Entry>>,
}

impl Sorted {
    /// Sorts the listings of a directory and of those opened through it.
    #[must_use]
    pub fn new(inner: Box<dyn Directory>) -> Self {
        Self { inner, entries: Mutex::new(Vec::new()) }
    }

    fn snapshot(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.inner.entries(0, CAPACITY, &mut |entry: DirectoryEntry<'_>| {
            entries.push(Entry { name: entry.name.to_vec(), ino: entry.ino, filetype: entry.filetype });
            entries.len() <= ENTRY_LIMIT
        })?;
        if entries.len() > ENTRY_LIMIT {
            return Err(Errno::Nomem);
        }
        entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// The directory that does the work, for operations on two directories.
    fn inner_of(directory: &dyn Directory) -> &dyn Directory {
        directory.as_any().downcast_ref::<Self>().map_or(directory, |sorted| &*sorted.inner)
    }
}

impl Directory for Sorted {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        Ok(match self.inner.open(path, options)? {
            Opened::Directory(inner) => Opened::Directory(Box::new(Self::new(inner))),
            file @ Opened::File(_) => file,
        })
    }

    fn filestat(&self) -> Result<Filestat> {
        self.inner.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        self.inner.path_filestat(path, follow)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inner.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        self.inner.path_set_times(path, follow, times)
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie == 0 {
            *entries = self.snapshot()?;
        }
        let start = usize::try_from(cookie).unwrap_or(usize::MAX);
        for (entry, next) in entries.iter().skip(start).zip(cookie.saturating_add(1)..) {
            if !sink.entry(&entry.name, entry.ino, entry.filetype, next) {
                break;
            }
        }
        Ok(())
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.create_directory(path)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.remove_directory(path)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.inner.unlink_file(path)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.inner.symlink(target, path)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        self.inner.readlink(path, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        self.inner.rename(old, Self::inner_of(to), new)
    }

    fn link(&self, old: GuestPath<'_>, follow: bool, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        self.inner.link(old, follow, Self::inner_of(to), new)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
