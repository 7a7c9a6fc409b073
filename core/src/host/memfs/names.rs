//! Which name stands for which file.
//!
//! All directories of a tree stand in one table behind one lock, and name each other by their
//! places in it: so nothing changes while a path is resolved, a rename is one step to everyone, and
//! a tree of any depth is dropped without recursion.

use super::file::Body;
use super::overlay::Merged;
use super::volume::{Meta, Volume};
use super::{INODE_CHARGE, NAME_CHARGE, NAME_LIMIT};
use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use crate::host::{Result, SetTimes};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The cookies of `.` and `..` are 0 and 1.
pub(super) const FIRST_COOKIE: u64 = 2;

/// A place in the table of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) usize);

/// The place of the top.
pub(super) const TOP: Id = Id(0);

/// A file of any kind.
pub(super) enum Inode {
    Directory(DirectoryNode),
    Link(LinkNode),
    File(Arc<Body>),
}

/// A directory.
pub(super) struct DirectoryNode {
    pub(super) meta: Meta,
    /// How many descriptors there are. A removed directory lives until the last is closed.
    opens: AtomicU64,
    /// Itself for the top. A removed directory keeps its last.
    pub(super) parent: Id,
    pub(super) entries: Entries,
    /// The directory below, in an overlay.
    pub(super) merged: Option<Box<Merged>>,
}

impl DirectoryNode {
    pub(super) fn new(meta: Meta, opens: u64, parent: Id, merged: Option<Box<Merged>>) -> Self {
        Self { meta, opens: AtomicU64::new(opens), parent, entries: Entries::default(), merged }
    }

    pub(super) fn is_removed(&self) -> bool {
        self.meta.links == 0
    }

    /// Whether it is there, and no descriptor has it open.
    pub(super) fn is_unused(&self) -> bool {
        !self.is_removed() && self.opens.load(Relaxed) == 0
    }
}

/// A symbolic link.
pub(super) struct LinkNode {
    pub(super) meta: Meta,
    pub(super) text: Arc<[u8]>,
}

/// The names in a directory. Each has a cookie that grows with the time of its making, so that a
/// listing can go on where it stopped whatever happened meanwhile.
#[derive(Default)]
pub(super) struct Entries {
    names: BTreeMap<Arc<[u8]>, Entry>,
    by_cookie: BTreeMap<u64, (Arc<[u8]>, Id)>,
    /// How many cookies have been given away.
    cookies: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    id: Id,
    cookie: u64,
}

impl Entries {
    pub(super) fn get(&self, name: &[u8]) -> Option<Id> {
        self.names.get(name).map(|entry| entry.id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The cookie of the next name to be added.
    pub(super) fn end(&self) -> u64 {
        FIRST_COOKIE.saturating_add(self.cookies)
    }

    /// Adds a name, or changes what it stands for: then it keeps its cookie.
    fn set(&mut self, name: &[u8], id: Id) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.id = id;
            if let Some((_, listed)) = self.by_cookie.get_mut(&entry.cookie) {
                *listed = id;
            }
            return;
        }
        let cookie = self.end();
        self.cookies = self.cookies.saturating_add(1);
        self.insert(name, Entry { id, cookie });
    }

    fn insert(&mut self, name: &[u8], entry: Entry) {
        let name: Arc<[u8]> = name.into();
        self.by_cookie.insert(entry.cookie, (Arc::clone(&name), entry.id));
        self.names.insert(name, entry);
    }

    fn remove(&mut self, name: &[u8]) -> Option<Entry> {
        let entry = self.names.remove(name)?;
        self.by_cookie.remove(&entry.cookie);
        Some(entry)
    }

    /// Takes a name away, under which is found what lies below then. Says whether it was there.
    pub(super) fn lower(&mut self, name: &[u8]) -> bool {
        self.remove(name).is_some()
    }

    /// Gives a file another name that is not taken. It keeps its cookie: a program that renames the
    /// files that it lists meets each of them once.
    fn rename(&mut self, old: &[u8], new: &[u8]) {
        if let Some(entry) = self.remove(old) {
            self.insert(new, entry);
        }
    }

    /// The names whose cookies lie in a range, in the order of their making.
    pub(super) fn range(
        &self,
        cookies: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, &[u8], Id)> {
        self.by_cookie.range(cookies).map(|(cookie, (name, id))| (*cookie, &**name, *id))
    }

    /// All names and what they stand for, sorted.
    pub(super) fn sorted(&self) -> impl DoubleEndedIterator<Item = (&[u8], Id)> {
        self.names.iter().map(|(name, entry)| (&**name, entry.id))
    }
}

/// How much room a name takes.
pub(super) fn name_charge(name: &[u8]) -> u64 {
    NAME_CHARGE.saturating_add(name.len() as u64)
}

/// All files of a tree.
pub(super) struct Names {
    inodes: Vec<Option<Inode>>,
    free: Vec<Id>,
    last_ino: u64,
}

impl Names {
    /// A tree with an empty top.
    pub(super) fn new(volume: &Volume) -> (Self, Id) {
        Self::with_top(0, |ino| {
            let meta = Meta::new(volume, ino, 2, volume.now());
            DirectoryNode::new(meta, 0, TOP, None)
        })
    }

    /// A tree with a top that `make` makes with its serial number. All serial numbers are greater
    /// than `last_ino`.
    pub(super) fn with_top(last_ino: u64, make: impl FnOnce(u64) -> DirectoryNode) -> (Self, Id) {
        let mut names = Self { inodes: Vec::new(), free: Vec::new(), last_ino };
        let ino = names.next_ino();
        let id = names.store(Inode::Directory(make(ino)));
        (names, id)
    }

    fn next_ino(&mut self) -> u64 {
        self.last_ino = self.last_ino.saturating_add(1);
        self.last_ino
    }

    fn store(&mut self, inode: Inode) -> Id {
        if let Some(id) = self.free.pop()
            && let Some(slot) = self.inodes.get_mut(id.0)
        {
            *slot = Some(inode);
            return id;
        }
        let id = Id(self.inodes.len());
        self.inodes.push(Some(inode));
        id
    }

    pub(super) fn release(&mut self, id: Id) -> Option<Inode> {
        let inode = self.inodes.get_mut(id.0)?.take()?;
        self.free.push(id);
        Some(inode)
    }

    /// The inode in a place. Places are handed out only while an inode stands there, so `io` means
    /// a defect here.
    pub(super) fn inode(&self, id: Id) -> Result<&Inode> {
        self.inodes.get(id.0).and_then(Option::as_ref).ok_or(Errno::Io)
    }

    fn inode_mut(&mut self, id: Id) -> Result<&mut Inode> {
        self.inodes.get_mut(id.0).and_then(Option::as_mut).ok_or(Errno::Io)
    }

    /// The directory in a place.
    pub(super) fn directory(&self, id: Id) -> Result<&DirectoryNode> {
        match self.inode(id)? {
            Inode::Directory(node) => Ok(node),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn directory_mut(&mut self, id: Id) -> Result<&mut DirectoryNode> {
        match self.inode_mut(id)? {
            Inode::Directory(node) => Ok(node),
            _ => Err(Errno::Notdir),
        }
    }

    /// All directories, also removed ones.
    pub(super) fn directories(&self) -> impl Iterator<Item = (Id, &DirectoryNode)> {
        self.inodes.iter().enumerate().filter_map(|(at, inode)| match inode {
            Some(Inode::Directory(node)) => Some((Id(at), node)),
            _ => None,
        })
    }

    pub(super) fn is_directory(&self, id: Id) -> bool {
        self.directory(id).is_ok()
    }

    /// The serial number and the type of a file, as a listing has them.
    pub(super) fn listed(&self, id: Id) -> Result<(u64, Filetype)> {
        Ok(match self.inode(id)? {
            Inode::Directory(node) => (node.meta.ino, Filetype::Directory),
            Inode::Link(node) => (node.meta.ino, Filetype::SymbolicLink),
            Inode::File(body) => (body.ino(), Filetype::RegularFile),
        })
    }

    pub(super) fn filestat(&self, id: Id) -> Result<Filestat> {
        Ok(match self.inode(id)? {
            Inode::Directory(node) => node.meta.filestat(Filetype::Directory, 0),
            Inode::Link(node) => node.meta.filestat(Filetype::SymbolicLink, node.text.len() as u64),
            Inode::File(body) => body.filestat(),
        })
    }

    pub(super) fn set_times(&mut self, id: Id, times: SetTimes, now: Timestamp) -> Result<()> {
        match self.inode_mut(id)? {
            Inode::Directory(node) => node.meta.set_times(times, now),
            Inode::Link(node) => node.meta.set_times(times, now),
            Inode::File(body) => body.set_times(times),
        }
        Ok(())
    }

    /// A descriptor of a directory was made.
    pub(super) fn opened(&self, id: Id) {
        if let Ok(node) = self.directory(id) {
            node.opens.fetch_add(1, Relaxed);
        }
    }

    /// A descriptor of a directory was closed.
    pub(super) fn closed(&mut self, id: Id, volume: &Volume) {
        let Ok(node) = self.directory_mut(id) else { return };
        let opens = node.opens.get_mut();
        *opens = opens.saturating_sub(1);
        if *opens == 0 && node.is_removed() && self.release(id).is_some() {
            volume.release(INODE_CHARGE);
        }
    }

    /// The inode of a name in a directory.
    ///
    /// # Errors
    /// - `nametoolong`: no file can have it.
    pub(super) fn lookup(&self, directory: Id, name: &[u8]) -> Result<Option<Id>> {
        if name.len() > NAME_LIMIT {
            return Err(Errno::Nametoolong);
        }
        Ok(self.directory(directory)?.entries.get(name))
    }

    /// The inode of a name in a directory, where there has to be one.
    pub(super) fn existing(&self, directory: Id, name: &[u8]) -> Result<Id> {
        self.lookup(directory, name)?.ok_or(Errno::Noent)
    }

    /// Adds a name for a file that was stored, and notes it in the directory. The caller has taken
    /// the room.
    fn enter(&mut self, directory: Id, name: &[u8], id: Id, now: Timestamp) -> Result<()> {
        let is_directory = self.is_directory(id);
        let node = self.directory_mut(directory)?;
        node.entries.set(name, id);
        node.meta.modified(now);
        if is_directory {
            node.meta.links = node.meta.links.saturating_add(1);
        }
        Ok(())
    }

    /// Gives what lies below an overlay a place above, under the name that it has. That changes
    /// nothing to a guest. The caller has taken the room.
    pub(super) fn adopt(&mut self, directory: Id, name: &[u8], inode: Inode) -> Result<Id> {
        // Before anything is stored.
        self.directory(directory)?;
        let id = self.store(inode);
        self.alias(directory, name, id)?;
        Ok(id)
    }

    /// The same for another name of what has a place.
    pub(super) fn alias(&mut self, directory: Id, name: &[u8], id: Id) -> Result<()> {
        self.directory_mut(directory)?.entries.set(name, id);
        Ok(())
    }

    /// Checks that a name can be added.
    fn check_vacant(&self, directory: Id, name: &[u8]) -> Result<()> {
        if self.lookup(directory, name)?.is_some() {
            return Err(Errno::Exist);
        }
        if self.directory(directory)?.is_removed() { Err(Errno::Noent) } else { Ok(()) }
    }

    /// Creates a file of any kind, made by `make` with its serial number. `charge` is what it takes
    /// beside its name.
    fn create(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
        charge: u64,
        make: impl FnOnce(u64, Timestamp) -> Inode,
    ) -> Result<Id> {
        self.check_vacant(directory, name)?;
        volume.reserve(charge.saturating_add(name_charge(name)))?;
        let now = volume.now();
        let ino = self.next_ino();
        let id = self.store(make(ino, now));
        self.enter(directory, name, id, now)?;
        Ok(id)
    }

    /// Creates an empty regular file.
    pub(super) fn create_file(
        &mut self,
        volume: &Arc<Volume>,
        directory: Id,
        name: &[u8],
    ) -> Result<Arc<Body>> {
        let mut made = None;
        self.create(volume, directory, name, INODE_CHARGE, |ino, now| {
            let body = Arc::new(Body::new(volume, ino, now));
            made = Some(Arc::clone(&body));
            Inode::File(body)
        })?;
        made.ok_or(Errno::Io)
    }

    /// Creates an empty directory.
    pub(super) fn create_directory(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
    ) -> Result<Id> {
        self.create(volume, directory, name, INODE_CHARGE, |ino, now| {
            Inode::Directory(DirectoryNode::new(Meta::new(volume, ino, 2, now), 0, directory, None))
        })
    }

    /// Creates a symbolic link.
    pub(super) fn create_link(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
        text: &[u8],
    ) -> Result<()> {
        let charge = INODE_CHARGE.saturating_add(text.len() as u64);
        let make = |ino, now| {
            Inode::Link(LinkNode { meta: Meta::new(volume, ino, 1, now), text: text.into() })
        };
        self.create(volume, directory, name, charge, make).map(drop)
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// - `exist`: the name is taken.
    /// - `perm`: it is a directory.
    pub(super) fn link(
        &mut self,
        volume: &Volume,
        id: Id,
        directory: Id,
        name: &[u8],
    ) -> Result<()> {
        self.check_vacant(directory, name)?;
        if self.is_directory(id) {
            return Err(Errno::Perm);
        }
        volume.reserve(name_charge(name))?;
        let now = volume.now();
        match self.inode_mut(id)? {
            Inode::File(body) => body.add_link(now),
            Inode::Link(LinkNode { meta, .. }) | Inode::Directory(DirectoryNode { meta, .. }) => {
                meta.links = meta.links.saturating_add(1);
                meta.changed(now);
            }
        }
        self.enter(directory, name, id, now)
    }

    /// Takes away the one name of a directory, or one of the names of another file. What nobody
    /// needs any more is returned, to be dropped when the lock is free.
    fn forget(&mut self, volume: &Volume, id: Id, now: Timestamp) -> Result<Option<Inode>> {
        let (is_gone, charge) = match self.inode_mut(id)? {
            Inode::File(body) => (body.remove_link(now) == 0, 0),
            Inode::Link(node) => {
                node.meta.links = node.meta.links.saturating_sub(1);
                node.meta.changed(now);
                (node.meta.links == 0, INODE_CHARGE.saturating_add(node.text.len() as u64))
            }
            Inode::Directory(node) => {
                node.meta.links = 0;
                node.meta.changed(now);
                (*node.opens.get_mut() == 0, INODE_CHARGE)
            }
        };
        if !is_gone {
            return Ok(None);
        }
        // A file gives its own room back, as descriptors may keep it.
        volume.release(charge);
        Ok(self.release(id))
    }

    /// Removes a name, and notes it in the directory.
    fn leave(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
        was_directory: bool,
        now: Timestamp,
    ) -> Result<()> {
        let node = self.directory_mut(directory)?;
        node.entries.remove(name);
        node.meta.modified(now);
        if was_directory {
            node.meta.lose_directory();
        }
        volume.release(name_charge(name));
        Ok(())
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
    ) -> Result<Option<Inode>> {
        let id = self.existing(directory, name)?;
        if !self.directory(id)?.entries.is_empty() {
            return Err(Errno::Notempty);
        }
        let now = volume.now();
        self.leave(volume, directory, name, true, now)?;
        self.forget(volume, id, now)
    }

    /// Removes a file or a symbolic link.
    pub(super) fn unlink(
        &mut self,
        volume: &Volume,
        directory: Id,
        name: &[u8],
    ) -> Result<Option<Inode>> {
        let id = self.existing(directory, name)?;
        if self.is_directory(id) {
            return Err(Errno::Isdir);
        }
        let now = volume.now();
        self.leave(volume, directory, name, false, now)?;
        self.forget(volume, id, now)
    }

    /// Whether a directory is another or lies below it.
    fn is_within(&self, mut id: Id, ancestor: Id) -> Result<bool> {
        loop {
            if id == ancestor {
                return Ok(true);
            }
            let parent = self.directory(id)?.parent;
            if parent == id {
                return Ok(false);
            }
            id = parent;
        }
    }

    /// Renames a file. What nobody needs any more of the one that had the new name is returned.
    /// With `is_full`, a directory that has the new name is not empty, whatever is above.
    ///
    /// # Errors
    /// - `noent`: there is none.
    /// - `inval`: a directory would come to lie below itself.
    /// - `notempty`, `isdir`, `notdir`: what has the new name cannot be replaced.
    pub(super) fn rename(
        &mut self,
        volume: &Volume,
        from: (Id, &[u8]),
        into: (Id, &[u8]),
        is_full: bool,
    ) -> Result<Option<Inode>> {
        let ((old_parent, old_name), (new_parent, new_name)) = (from, into);
        let id = self.existing(old_parent, old_name)?;
        let target = self.lookup(new_parent, new_name)?;
        if self.directory(new_parent)?.is_removed() {
            return Err(Errno::Noent);
        }
        let is_directory = self.is_directory(id);
        if old_parent != new_parent {
            if is_directory && self.is_within(new_parent, id)? {
                return Err(Errno::Inval);
            }
            if let Some(target) = target
                && self.is_directory(target)
                && self.is_within(old_parent, target)?
            {
                return Err(Errno::Notempty);
            }
        }
        if target == Some(id) {
            // Two names of one file: POSIX has both stay.
            return Ok(None);
        }
        if let Some(target) = target {
            match (is_directory, self.is_directory(target)) {
                (true, false) => return Err(Errno::Notdir),
                (false, true) => return Err(Errno::Isdir),
                (true, true) if is_full || !self.directory(target)?.entries.is_empty() => {
                    return Err(Errno::Notempty);
                }
                _ => {}
            }
        } else {
            // The old name's room serves the new one.
            volume.reserve(name_charge(new_name).saturating_sub(name_charge(old_name)))?;
            volume.release(name_charge(old_name).saturating_sub(name_charge(new_name)));
        }

        let now = volume.now();
        if let Some(target) = target {
            self.leave_replaced(new_parent, is_directory)?;
            self.leave(volume, old_parent, old_name, is_directory, now)?;
            self.enter(new_parent, new_name, id, now)?;
            self.moved(id, new_parent, now)?;
            return self.forget(volume, target, now);
        }
        if old_parent == new_parent {
            let node = self.directory_mut(old_parent)?;
            node.entries.rename(old_name, new_name);
            node.meta.modified(now);
        } else {
            let node = self.directory_mut(old_parent)?;
            node.entries.remove(old_name);
            node.meta.modified(now);
            if is_directory {
                node.meta.lose_directory();
            }
            self.enter(new_parent, new_name, id, now)?;
        }
        self.moved(id, new_parent, now)?;
        Ok(None)
    }

    /// A directory that is replaced no longer counts as a link of its parent; that which replaces
    /// it will.
    fn leave_replaced(&mut self, parent: Id, was_directory: bool) -> Result<()> {
        if was_directory {
            self.directory_mut(parent)?.meta.lose_directory();
        }
        Ok(())
    }

    fn moved(&mut self, id: Id, parent: Id, now: Timestamp) -> Result<()> {
        match self.inode_mut(id)? {
            Inode::File(body) => body.renamed(now),
            Inode::Link(node) => node.meta.changed(now),
            Inode::Directory(node) => {
                node.parent = parent;
                node.meta.changed(now);
            }
        }
        Ok(())
    }

    /// How many files there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.inodes.iter().flatten().count()
    }
}
