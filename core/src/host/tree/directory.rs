//! Open directories.

use super::file::{Access, TreeFile};
use super::names::{Base, Found, Id, Inode, Last, Names};
use super::{Inner, volume::Volume};
use crate::abi::{Errno, Filestat};
use crate::host::{Directory, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTimes, Split};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An open directory of a tree.
pub(super) struct TreeDirectory {
    tree: Arc<Inner>,
    base: Base,
    /// Where the listing ends: what is created after its start is left to the next, so that a program which creates
    /// files as it lists comes to an end.
    listing_end: AtomicU64,
}

impl Drop for TreeDirectory {
    fn drop(&mut self) {
        self.tree.names_mut().closed(self.base.id, &self.tree.volume);
    }
}

impl TreeDirectory {
    pub(super) fn new(tree: &Arc<Inner>, names: &Names, base: Base) -> Self {
        names.opened(base.id);
        Self { tree: Arc::clone(tree), base, listing_end: AtomicU64::new(u64::MAX) }
    }

    fn volume(&self) -> &Volume {
        &self.tree.volume
    }

    /// The directory that holds a path's last component.
    fn parent(&self, names: &Names, split: &Split<'_>) -> Result<Id> {
        match split.parent {
            None => Ok(self.base.id),
            Some(path) => names.find_directory(self.base, path.as_bytes()),
        }
    }

    /// For a path that can only be a directory: `errno`, unless the path leads outside or nowhere.
    fn refuse_dots(&self, names: &Names, path: GuestPath<'_>, errno: Errno) -> Errno {
        names.find_directory(self.base, path.as_bytes()).err().unwrap_or(errno)
    }

    /// What a trailing slash means where something other than a directory is to be made: what stands there decides the errno.
    fn refuse_slash(names: &Names, parent: Id, name: &[u8]) -> Errno {
        match names.existing(parent, name) {
            Ok(id) if names.is_directory(id) => Errno::Exist,
            Ok(_) => Errno::Notdir,
            Err(errno) => errno,
        }
    }

    /// The other directory of an operation on two.
    fn same_tree<'a>(&self, other: &'a dyn Directory) -> Result<&'a Self> {
        let other: &Self = other.as_any().downcast_ref().ok_or(Errno::Xdev)?;
        if Arc::ptr_eq(&self.tree, &other.tree) { Ok(other) } else { Err(Errno::Xdev) }
    }

    fn open_existing(&self, names: &Names, found: Found<'_>, id: Id, options: OpenOptions) -> Result<Opened> {
        if options.create {
            if options.exclusive {
                return Err(Errno::Exist);
            }
            if names.is_directory(id) {
                return Err(Errno::Isdir);
            }
        }
        if (found.directory || options.directory) && !names.is_directory(id) {
            return Err(Errno::Notdir);
        }
        match names.inode(id)? {
            Inode::Link(_) => Err(Errno::Loop),
            Inode::Directory(_) if options.write || options.truncate => Err(Errno::Isdir),
            Inode::Directory(_) => {
                // Only the preopen is what the guest calls `/`: from a directory below it, `..` above that directory is refused.
                let base = Base { id, root: false };
                Ok(Opened::Directory(Box::new(Self::new(&self.tree, names, base))))
            }
            Inode::File(body) => {
                if options.truncate {
                    body.set_size(0, false)?;
                }
                Ok(Opened::File(Box::new(TreeFile::new(Arc::clone(body), access(options), options.flags))))
            }
        }
    }
}

fn access(options: OpenOptions) -> Access {
    Access {
        // As POSIX has no descriptor that does neither.
        read: options.read || !options.write,
        write: options.write,
    }
}

impl Directory for TreeDirectory {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        if options.create && options.directory {
            return Err(Errno::Inval);
        }
        let last = Last { follow: options.follow && !(options.create && options.exclusive), create: options.create };
        {
            let names = self.tree.names();
            let found = names.walk(self.base, path.as_bytes(), last)?;
            match found.id {
                Some(id) => return self.open_existing(&names, found, id, options),
                None if !options.create => return Err(Errno::Noent),
                None => {}
            }
        }
        // Someone may have changed anything between the two locks.
        let mut names = self.tree.names_mut();
        let found = names.walk(self.base, path.as_bytes(), last)?;
        if let Some(id) = found.id {
            return self.open_existing(&names, found, id, options);
        }
        let (parent, name) = found.place.ok_or(Errno::Io)?;
        // The name may be that of a link's text.
        let name = name.to_vec();
        let body = names.create_file(&self.tree.volume, parent, &name)?;
        Ok(Opened::File(Box::new(TreeFile::new(body, access(options), options.flags))))
    }

    fn filestat(&self) -> Result<Filestat> {
        self.tree.names().filestat(self.base.id, self.volume())
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        let names = self.tree.names();
        names.filestat(names.find(self.base, path.as_bytes(), follow)?, self.volume())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.tree.names_mut().set_times(self.base.id, times, self.volume().now())
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        let mut names = self.tree.names_mut();
        let id = names.find(self.base, path.as_bytes(), follow)?;
        names.set_times(id, times, self.volume().now())
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let names = self.tree.names();
        let node = names.directory(self.base.id)?;
        if node.meta.links == 0 {
            // Linux has it so.
            return Err(Errno::Noent);
        }
        node.meta.accessed(self.volume());
        if cookie == 0 {
            self.listing_end.store(node.entries.end(), Relaxed);
        }
        for (at, name, id) in [(0, &b"."[..], self.base.id), (1, b"..", node.parent)] {
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

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.tree.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(&names, path, Errno::Exist));
        }
        let parent = self.parent(&names, &split)?;
        names.create_directory(self.volume(), parent, split.name).map(drop)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.tree.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(&names, path, if split.name == b"." { Errno::Inval } else { Errno::Notempty }));
        }
        let parent = self.parent(&names, &split)?;
        let removed = names.remove_directory(self.volume(), parent, split.name);
        drop(names);
        removed.map(drop)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.tree.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(&names, path, Errno::Isdir));
        }
        let parent = self.parent(&names, &split)?;
        if split.trailing_slash {
            let id = names.existing(parent, split.name)?;
            return Err(if names.is_directory(id) { Errno::Isdir } else { Errno::Notdir });
        }
        let removed = names.unlink(self.volume(), parent, split.name);
        // A large file is freed without the lock.
        drop(names);
        removed.map(drop)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        let mut names = self.tree.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(&names, path, Errno::Exist));
        }
        let parent = self.parent(&names, &split)?;
        if split.trailing_slash {
            return Err(Self::refuse_slash(&names, parent, split.name));
        }
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        names.create_link(self.volume(), parent, split.name, target)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        let names = self.tree.names();
        let split = path.split();
        if split.is_dots() || split.trailing_slash {
            return Err(self.refuse_dots(&names, path, Errno::Inval));
        }
        let parent = self.parent(&names, &split)?;
        let Inode::Link(link) = names.inode(names.existing(parent, split.name)?)? else { return Err(Errno::Inval) };
        link.meta.accessed(self.volume());
        let len = link.text.len().min(text.len());
        if let (Some(to), Some(from)) = (text.get_mut(..len), link.text.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        let to = self.same_tree(to)?;
        let mut names = self.tree.names_mut();
        let (from, into) = (old.split(), new.split());
        if from.is_dots() {
            return Err(self.refuse_dots(&names, old, Errno::Busy));
        }
        if into.is_dots() {
            return Err(to.refuse_dots(&names, new, Errno::Busy));
        }
        let (old_parent, new_parent) = (self.parent(&names, &from)?, to.parent(&names, &into)?);
        if (from.trailing_slash || into.trailing_slash) && !names.is_directory(names.existing(old_parent, from.name)?) {
            return Err(Errno::Notdir);
        }
        let replaced = names.rename(self.volume(), (old_parent, from.name), (new_parent, into.name));
        drop(names);
        replaced.map(drop)
    }

    fn link(&self, old: GuestPath<'_>, follow: bool, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        let to = self.same_tree(to)?;
        let mut names = self.tree.names_mut();
        let (from, into) = (old.split(), new.split());
        if from.is_dots() || from.trailing_slash {
            return Err(self.refuse_dots(&names, old, Errno::Perm));
        }
        if into.is_dots() {
            return Err(to.refuse_dots(&names, new, Errno::Exist));
        }
        let found = names.walk(self.base, old.as_bytes(), Last { follow, create: false })?;
        if found.place.is_none() || found.directory {
            // A link's text that can only be a directory's.
            let id = found.id.ok_or(Errno::Noent)?;
            return Err(if names.is_directory(id) { Errno::Perm } else { Errno::Notdir });
        }
        let id = found.id;
        let parent = to.parent(&names, &into)?;
        if into.trailing_slash {
            return Err(Self::refuse_slash(&names, parent, into.name));
        }
        let id = id.ok_or(Errno::Noent)?;
        names.link(self.volume(), id, parent, into.name)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where the entry after one begins.
fn cookie_after(cookie: u64) -> u64 {
    cookie.saturating_add(1)
}
