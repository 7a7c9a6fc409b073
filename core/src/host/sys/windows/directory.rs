//! Host directories.

use super::at::HostNames;
use super::call::{self, Entry, SHARE_ALL};
use crate::abi::{Filestat, Filetype};
use crate::host::directory::{Backend, Unlocked};
use crate::host::{EntrySink, Result, SetTimes};
use cap_std::fs::Dir;
use std::ops::{Deref, DerefMut};
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};
use windows_sys::Win32::Storage::FileSystem::FILE_LIST_DIRECTORY;

/// The words of directory entries that are fetched at once.
const LISTING_WORDS: usize = 4096;

/// An open directory of the host.
pub(super) struct HostDirectory {
    dir: Dir,
    listing: Mutex<Listing>,
}

/// The position of a listing. Windows has no cookies, so a guest's cookies count the entries: 1 is
/// behind `.`, 2 behind `..`.
#[derive(Default)]
struct Listing {
    /// The entries that were fetched last. They are kept so that a listing that goes on does not
    /// begin anew, even if entries were removed meanwhile.
    entries: Vec<Entry>,
    /// The cookie at which the first of them begins.
    first: u64,
    /// A second handle of the directory, whose cursor is behind these entries. `None`: nothing was
    /// fetched.
    cursor: Option<OwnedHandle>,
}

/// The cookie behind `.` and `..`.
const BEHIND_DOTS: u64 = 2;

impl HostDirectory {
    pub(super) fn new(dir: Dir) -> Self {
        Self { dir, listing: Mutex::default() }
    }
}

impl Backend for HostDirectory {
    type Dir = Dir;
    type Names = HostNames;

    fn names(&self) -> impl Deref<Target = HostNames> {
        Unlocked(HostNames)
    }

    fn names_mut(&self) -> impl DerefMut<Target = HostNames> {
        Unlocked(HostNames)
    }

    fn dir(&self) -> &Dir {
        &self.dir
    }

    fn open(&self, _: &HostNames, dir: Dir) -> Self {
        Self::new(dir)
    }

    fn filestat(&self) -> Result<Filestat> {
        call::filestat(self.dir.as_handle())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        call::set_times(self.dir.as_handle(), times)
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie < BEHIND_DOTS {
            // The parent may be outside, so `..` is the directory itself, as in the root of a file
            // system.
            let ino = self.filestat()?.ino;
            for (name, next) in [(&b"."[..], 1), (b"..", BEHIND_DOTS)] {
                if cookie < next && !sink.entry(name, ino, Filetype::Directory, next) {
                    if cookie == 0 {
                        *listing = Listing::default();
                    }
                    return Ok(());
                }
            }
        }
        let mut at = cookie.max(BEHIND_DOTS);
        if cookie == 0 || at < listing.first {
            *listing = Listing::default();
        }
        let Listing { entries, first, cursor } = &mut *listing;
        let cursor = if let Some(cursor) = cursor {
            cursor
        } else {
            *first = BEHIND_DOTS;
            cursor.insert(call::reopen(self.dir.as_handle(), FILE_LIST_DIRECTORY, SHARE_ALL)?)
        };
        let mut buffer = vec![0_u64; LISTING_WORDS];
        loop {
            let behind = first.saturating_add(entries.len() as u64);
            if at >= behind {
                if !call::read_directory(cursor.as_handle(), &mut buffer)? {
                    return Ok(());
                }
                *entries = call::entries(&buffer);
                *first = behind;
                buffer.fill(0);
                continue;
            }
            let skipped = usize::try_from(at.saturating_sub(*first)).unwrap_or(usize::MAX);
            for entry in entries.get(skipped..).unwrap_or_default() {
                at = at.saturating_add(1);
                if !sink.entry(entry.name.as_bytes(), entry.ino, entry.filetype, at) {
                    return Ok(());
                }
            }
        }
    }

    fn sync(&self) -> Result<()> {
        call::flush(self.dir.as_handle())
    }
}
