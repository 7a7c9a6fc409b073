//! A directory whose entries come in the order of their names, so that two runs see the same.

use super::{
    Budget, Directory, DirectoryEntry, EntrySink, GuestPath, Lease, OpenOptions, Opened, Result,
    SetTimes,
};
use crate::abi::{Errno, Filestat, Filetype};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// The size of the buffer into which the entries of a directory are read, in bytes.
const CAPACITY: usize = 32 * 1024;

struct Entry {
    /// Where the name is in [`Snapshot::names`].
    start: u32,
    len: u16,
    filetype: Filetype,
    ino: u64,
}

/// The entries of a directory as they were when a listing began, sorted. Cookies count them.
struct Snapshot {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Its share of the instance's memory for listings.
    lease: Lease,
}

impl Snapshot {
    fn of(directory: &dyn Directory, budget: &Arc<Budget>) -> Result<Self> {
        let mut snapshot =
            Self { names: Vec::new(), entries: Vec::new(), lease: Lease::new(budget) };
        let mut added = Ok(());
        directory.entries(0, CAPACITY, &mut |entry: DirectoryEntry<'_>| {
            added = snapshot.add(entry);
            added.is_ok()
        })?;
        added?;
        let Self { names, entries, .. } = &mut snapshot;
        entries.sort_unstable_by(|left, right| left.name(names).cmp(right.name(names)));
        Ok(snapshot)
    }

    fn add(&mut self, entry: DirectoryEntry<'_>) -> Result<()> {
        let start = u32::try_from(self.names.len()).map_err(|_| Errno::Nomem)?;
        let len = u16::try_from(entry.name.len()).map_err(|_| Errno::Nametoolong)?;
        let names = room_for(&self.names, entry.name.len());
        let entries = room_for(&self.entries, 1);
        if names > self.names.capacity() || entries > self.entries.capacity() {
            self.lease.resize(names.saturating_add(entries.saturating_mul(size_of::<Entry>())))?;
            self.names
                .try_reserve_exact(names.saturating_sub(self.names.len()))
                .map_err(|_| Errno::Nomem)?;
            self.entries
                .try_reserve_exact(entries.saturating_sub(self.entries.len()))
                .map_err(|_| Errno::Nomem)?;
        }
        self.names.extend_from_slice(entry.name);
        self.entries.push(Entry { start, len, filetype: entry.filetype, ino: entry.ino });
        Ok(())
    }
}

/// The capacity for a list that is to take so many more elements.
fn room_for<T>(list: &Vec<T>, more: usize) -> usize {
    let needed = list.len().saturating_add(more);
    if needed <= list.capacity() {
        list.capacity()
    } else {
        needed.max(list.capacity().saturating_mul(2)).max(16)
    }
}

impl Entry {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let rest = usize::try_from(self.start)
            .ok()
            .and_then(|start| names.get(start..))
            .unwrap_or_default();
        rest.get(..self.len.into()).unwrap_or(rest)
    }
}

/// Where a listing is.
#[derive(Default)]
enum Progress {
    /// None has begun.
    #[default]
    New,
    /// In the middle.
    Within(Snapshot),
    /// It has come to its end, behind so many entries.
    Ended(u64),
}

/// A directory that lists its entries sorted.
pub struct SortedDirectory {
    inner: Box<dyn Directory>,
    budget: Arc<Budget>,
    progress: Mutex<Progress>,
}

impl SortedDirectory {
    /// Sorts the listings of a directory and of those opened through it, in memory of the budget.
    #[must_use]
    pub fn new(inner: Box<dyn Directory>, budget: &Arc<Budget>) -> Self {
        Self { inner, budget: Arc::clone(budget), progress: Mutex::default() }
    }

    /// The sorted directory's own backend, for operations on two directories.
    fn inner_of(directory: &dyn Directory) -> &dyn Directory {
        directory.as_any().downcast_ref::<Self>().map_or(directory, |sorted| &*sorted.inner)
    }
}

impl Directory for SortedDirectory {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        Ok(match self.inner.open(path, options)? {
            Opened::Directory(inner) => Opened::Directory(Box::new(Self::new(inner, &self.budget))),
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
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept again if the listing does not end here.
        let snapshot = match std::mem::take(&mut *progress) {
            Progress::Within(snapshot) if cookie > 0 => snapshot,
            Progress::Ended(count) if cookie >= count => {
                *progress = Progress::Ended(count);
                return Ok(());
            }
            earlier => {
                // Its memory may be what the next needs.
                drop(earlier);
                Snapshot::of(&*self.inner, &self.budget)?
            }
        };
        let start = usize::try_from(cookie).unwrap_or(usize::MAX);
        let rest = snapshot.entries.get(start..).unwrap_or_default();
        for (entry, next) in rest.iter().zip(cookie.saturating_add(1)..) {
            if !sink.entry(entry.name(&snapshot.names), entry.ino, entry.filetype, next) {
                *progress = Progress::Within(snapshot);
                return Ok(());
            }
        }
        *progress = Progress::Ended(snapshot.entries.len() as u64);
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

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        self.inner.link(old, follow, Self::inner_of(to), new)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Tree;

    fn names(directory: &dyn Directory, cookie: u64, most: usize) -> Result<Vec<String>> {
        let mut found = Vec::new();
        directory.entries(cookie, 0, &mut |entry: DirectoryEntry<'_>| {
            if found.len() == most {
                return false;
            }
            found.push(String::from_utf8(entry.name.to_vec()).unwrap());
            true
        })?;
        Ok(found)
    }

    #[test]
    fn all_open_directories_share_one_budget_until_their_listings_end() {
        let tree = Tree::new(1 << 20);
        for at in 0..1000 {
            tree.seed(&format!("{:04}", 999 - at), b"").unwrap();
        }
        let budget = Arc::new(Budget::new(100_000));
        let open = || SortedDirectory::new(tree.root_directory(false), &budget);
        let directories: Vec<SortedDirectory> = (0..10).map(|_| open()).collect();
        let begun: Vec<_> = directories.iter().map(|directory| names(directory, 0, 3)).collect();
        let refused = begun.iter().filter(|result| **result == Err(Errno::Nomem)).count();
        assert!((5..10).contains(&refused), "{refused} of ten were refused");
        assert_eq!(begun[0], Ok([".", "..", "0000"].map(str::to_owned).into()));
        // Who ends makes room.
        let rest = names(&directories[0], 3, usize::MAX).unwrap();
        assert_eq!((rest.len(), &*rest[998]), (999, "0999"));
        assert!(names(&directories[9], 0, 3).is_ok());
        assert_eq!(names(&directories[0], 1002, 3), Ok(vec![]));
        drop(directories);
        assert_eq!(budget.left(), 100_000);
    }

    #[test]
    fn a_listing_goes_on_in_what_there_was_when_it_began() {
        let tree = Tree::new(1 << 20);
        for name in ["b", "d"] {
            tree.seed(name, b"").unwrap();
        }
        let budget = Arc::new(Budget::new(4096));
        let directory = SortedDirectory::new(tree.root_directory(false), &budget);
        assert_eq!(names(&directory, 0, 3).unwrap(), [".", "..", "b"]);
        for name in ["a", "c"] {
            tree.seed(name, b"").unwrap();
        }
        assert_eq!(names(&directory, 3, usize::MAX).unwrap(), ["d"]);
        // The start looks again, even within a listing.
        assert_eq!(names(&directory, 0, 3).unwrap(), [".", "..", "a"]);
        tree.seed("0", b"").unwrap();
        assert_eq!(names(&directory, 0, 3).unwrap(), [".", "..", "0"]);
    }

    #[test]
    fn a_listing_that_has_ended_takes_nothing_and_can_be_gone_back_into() {
        let tree = Tree::new(1 << 20);
        for name in ["c", "a", "b"] {
            tree.seed(name, b"").unwrap();
        }
        let budget = Arc::new(Budget::new(4096));
        let directory = SortedDirectory::new(tree.root_directory(false), &budget);
        assert_eq!(names(&directory, 0, usize::MAX).unwrap(), [".", "..", "a", "b", "c"]);
        assert_eq!(budget.left(), 4096);
        assert_eq!(names(&directory, 5, usize::MAX).unwrap(), [""; 0]);
        assert_eq!(names(&directory, 3, 1).unwrap(), ["b"]);
        assert!(budget.left() < 4096);
        assert_eq!(names(&directory, 4, usize::MAX).unwrap(), ["c"]);
        assert_eq!(budget.left(), 4096);
    }
}
