//! Host directories.

use super::at::{HostNames, stat_name};
use super::errno::from_rustix;
use super::file::{Owned, mode, set_mode};
use super::platform::Listing;
use super::{Entry, filestat_of, filetype_of, timestamps};
use crate::abi::{Filestat, Filetype};
use crate::host::directory::{Backend, Unlocked};
use crate::host::{EntrySink, Result, SetTimes};
use rustix::fs::AtFlags;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An open directory of the host.
pub(super) struct HostDirectory {
    dir: Owned,
    listing: Listing,
    /// The directory's serial number once it was asked for. No file has 0.
    ino: AtomicU64,
    /// See [`HostNames`].
    quiet: bool,
}

impl HostDirectory {
    pub(super) fn new(dir: Owned, quiet: bool) -> Self {
        Self { dir, listing: Listing::default(), ino: AtomicU64::new(0), quiet }
    }

    /// The type of a file, where the directory's entry lacks it, as on few file systems.
    #[cold]
    #[inline(never)]
    fn ask_filetype(&self, name: &[u8]) -> Filetype {
        stat_name(&self.dir, name).map_or(Filetype::Unknown, |stat| filetype_of(&stat))
    }

    /// The directory's serial number, which never changes.
    #[cold]
    #[inline(never)]
    fn ino(&self) -> Result<u64> {
        let mut ino = self.ino.load(Relaxed);
        if ino == 0 {
            ino = self.filestat()?.ino;
            self.ino.store(ino, Relaxed);
        }
        Ok(ino)
    }
}

impl Backend for HostDirectory {
    type Dir = Owned;
    type Names = HostNames;

    fn names(&self) -> impl Deref<Target = HostNames> {
        Unlocked(HostNames { quiet: self.quiet })
    }

    fn names_mut(&self) -> impl DerefMut<Target = HostNames> {
        Unlocked(HostNames { quiet: self.quiet })
    }

    fn dir(&self) -> &Owned {
        &self.dir
    }

    fn open(&self, names: &HostNames, dir: Owned) -> Self {
        Self::new(dir, names.quiet)
    }

    fn filestat(&self) -> Result<Filestat> {
        rustix::fs::fstat(&self.dir).map(|stat| filestat_of(&stat)).map_err(from_rustix)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        // By name, because the descriptor may be good for nothing but paths.
        rustix::fs::utimensat(&self.dir, c".", &timestamps(times), AtFlags::empty())
            .map_err(from_rustix)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.listing.entries(
            self.dir.as_fd(),
            cookie,
            capacity,
            |Entry { name, ino, filetype, next }| {
                let filetype =
                    if filetype == Filetype::Unknown { self.ask_filetype(name) } else { filetype };
                // The parent may be outside, so `..` is the directory itself, as in the root of a
                // file system.
                let ino = if name == b".." { self.ino()? } else { ino };
                Ok(sink.entry(name, ino, filetype, next))
            },
        )
    }

    fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.dir).map_err(from_rustix)
    }

    fn mode(&self) -> Option<u32> {
        mode(&self.dir)
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        set_mode(&self.dir, mode)
    }
}
