//! Open directories, and what there is to do with one name in a directory.

use super::file::{Access, Body, TreeFile};
use super::names::{Id, Inode, Names as Table};
use super::{Inner, volume::Volume};
use crate::abi::{Errno, Filestat};
use crate::host::directory::{Backend, Found, Names};
use crate::host::walk::{Entered, Link, Lookup, Name, Walk};
use crate::host::{EntrySink, OpenOptions, Result, SetTimes};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The state behind a tree's one lock.
pub(super) struct Files {
    pub(super) names: Table,
    pub(super) volume: Arc<Volume>,
}

pub(super) fn access(options: OpenOptions) -> Access {
    Access {
        // As POSIX has no descriptor that does neither.
        read: options.read || !options.write,
        write: options.write,
    }
}

/// A file of a tree, opened.
pub(super) fn file<D>(body: Arc<Body>, options: OpenOptions) -> Found<D> {
    Found::File(Box::new(TreeFile::new(body, access(options), options.flags)))
}

impl Files {
    fn open_existing(&self, id: Id, options: OpenOptions) -> Result<Found<Id>> {
        match self.names.inode(id)? {
            _ if options.create && options.exclusive => Err(Errno::Exist),
            Inode::Link(_) => Ok(Found::Link),
            Inode::Directory(_) if options.create || options.write || options.truncate => {
                Err(Errno::Isdir)
            }
            Inode::Directory(_) => Ok(Found::Directory(id)),
            Inode::File(_) if options.directory => Err(Errno::Notdir),
            Inode::File(body) => {
                if options.truncate {
                    body.set_size(0, false)?;
                }
                Ok(file(Arc::clone(body), options))
            }
        }
    }
}

impl Lookup for Files {
    type Dir = Id;

    fn read_link(&self, dir: &Id, name: Name<'_>) -> Result<Option<Link>> {
        Ok(match self.names.inode(self.names.existing(*dir, name.as_bytes())?)? {
            Inode::Link(link) => Some(Link { text: Arc::clone(&link.text), has_drive: false }),
            _ => None,
        })
    }

    fn enter(&self, dir: &Id, name: Name<'_>) -> Result<Entered<Id>> {
        let id = self.names.existing(*dir, name.as_bytes())?;
        match self.names.inode(id)? {
            Inode::Directory(_) => Ok(Entered::Directory(id)),
            Inode::Link(link) => {
                Ok(Entered::Link(Link { text: Arc::clone(&link.text), has_drive: false }))
            }
            Inode::File(_) => Err(Errno::Notdir),
        }
    }
}

impl Names for Files {
    /// A large file is freed without the lock.
    type Removed = Option<Inode>;

    fn stat(&self, dir: &Id, name: Name<'_>) -> Result<Filestat> {
        self.stat_directory(&self.names.existing(*dir, name.as_bytes())?)
    }

    fn stat_directory(&self, dir: &Id) -> Result<Filestat> {
        self.names.filestat(*dir)
    }

    fn open(&self, dir: &Id, name: Name<'_>, options: OpenOptions) -> Result<Found<Id>> {
        self.open_existing(self.names.existing(*dir, name.as_bytes())?, options)
    }

    fn create(&mut self, dir: &Id, name: Name<'_>, options: OpenOptions) -> Result<Found<Id>> {
        match self.names.lookup(*dir, name.as_bytes())? {
            Some(id) => self.open_existing(id, options),
            None => Ok(file(self.names.create_file(&self.volume, *dir, name.as_bytes())?, options)),
        }
    }

    fn reopen(&self, dir: &Id, _: OpenOptions) -> Result<Id> {
        Ok(*dir)
    }

    fn set_times(&mut self, dir: &Id, name: Name<'_>, times: SetTimes) -> Result<()> {
        let id = self.names.existing(*dir, name.as_bytes())?;
        self.set_directory_times(&id, times)
    }

    fn set_directory_times(&mut self, dir: &Id, times: SetTimes) -> Result<()> {
        self.names.set_times(*dir, times, self.volume.now())
    }

    fn create_directory(&mut self, dir: &Id, name: Name<'_>) -> Result<()> {
        self.names.create_directory(&self.volume, *dir, name.as_bytes()).map(drop)
    }

    fn create_link(&mut self, dir: &Id, name: Name<'_>, text: &[u8], _: bool) -> Result<()> {
        if text.is_empty() {
            return Err(Errno::Noent);
        }
        self.names.create_link(&self.volume, *dir, name.as_bytes(), text)
    }

    fn link_text(&self, dir: &Id, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        let Inode::Link(link) = self.names.inode(self.names.existing(*dir, name.as_bytes())?)?
        else {
            return Err(Errno::Inval);
        };
        link.meta.accessed(&self.volume);
        let len = link.text.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), link.text.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn remove_directory(&mut self, dir: &Id, name: Name<'_>) -> Result<Self::Removed> {
        self.names.remove_directory(&self.volume, *dir, name.as_bytes())
    }

    fn unlink(&mut self, dir: &Id, name: Name<'_>) -> Result<Self::Removed> {
        self.names.unlink(&self.volume, *dir, name.as_bytes())
    }

    fn rename(
        &mut self,
        (from, old): (&Id, Name<'_>),
        (into, new): (&Walk<'_, Self>, Name<'_>),
    ) -> Result<Self::Removed> {
        let (from, into) = ((*from, old.as_bytes()), (*into.dir(), new.as_bytes()));
        self.names.rename(&self.volume, from, into, false)
    }

    fn link(&mut self, (from, old): (&Id, Name<'_>), (into, new): (&Id, Name<'_>)) -> Result<()> {
        let id = self.names.existing(*from, old.as_bytes())?;
        self.names.link(&self.volume, id, *into, new.as_bytes())
    }
}

/// An open directory of a tree.
pub(super) struct TreeDirectory {
    tree: Arc<Inner>,
    id: Id,
    /// Where the listing ends: what is created after its start is left to the next, so that a
    /// program which creates files as it lists comes to an end.
    listing_end: AtomicU64,
}

impl Drop for TreeDirectory {
    fn drop(&mut self) {
        self.tree.files_mut().names.closed(self.id, self.volume());
    }
}

impl TreeDirectory {
    pub(super) fn new(tree: &Arc<Inner>, files: &Files, id: Id) -> Self {
        files.names.opened(id);
        Self { tree: Arc::clone(tree), id, listing_end: AtomicU64::new(u64::MAX) }
    }

    fn volume(&self) -> &Volume {
        &self.tree.volume
    }
}

impl Backend for TreeDirectory {
    type Dir = Id;
    type Names = Files;

    fn names(&self) -> impl Deref<Target = Files> {
        self.tree.files()
    }

    fn names_mut(&self) -> impl DerefMut<Target = Files> {
        self.tree.files_mut()
    }

    fn dir(&self) -> &Id {
        &self.id
    }

    fn open(&self, names: &Files, dir: Id) -> Self {
        Self::new(&self.tree, names, dir)
    }

    fn has_files_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tree, &other.tree)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.tree.files().stat_directory(&self.id)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.tree.files_mut().set_directory_times(&self.id, times)
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let files = self.tree.files();
        let names = &files.names;
        let node = names.directory(self.id)?;
        if node.meta.links == 0 {
            // Linux has it so.
            return Err(Errno::Noent);
        }
        node.meta.accessed(self.volume());
        if cookie == 0 {
            self.listing_end.store(node.entries.end(), Relaxed);
        }
        for (at, name, id) in [(0, &b"."[..], self.id), (1, b"..", node.parent)] {
            if at < cookie {
                continue;
            }
            let (ino, filetype) = names.listed(id)?;
            if !sink.entry(name, ino, filetype, cookie_after(at)) {
                return Ok(());
            }
        }
        let Some(last) = self.listing_end.load(Relaxed).checked_sub(1) else { return Ok(()) };
        if cookie > last {
            return Ok(());
        }
        for (at, name, id) in node.entries.range(cookie..=last) {
            let (ino, filetype) = names.listed(id)?;
            if !sink.entry(name, ino, filetype, cookie_after(at)) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}

/// Where the entry after one begins.
pub(super) fn cookie_after(cookie: u64) -> u64 {
    cookie.saturating_add(1)
}
