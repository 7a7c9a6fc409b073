//! A directory tree in memory, which behaves as a POSIX file system does.
//!
//! A [`Tree`] outlives the guest: the embedder fills it before and reads it after. What the guest
//! stores is bounded by [`TreeOptions::max_bytes`]: the sizes of all files, holes included,
//! [`INODE_CHARGE`] for every file, directory and symbolic link, the texts of the links, and for
//! every name [`NAME_CHARGE`] and its length. A file that has no name left takes room until it is
//! closed.

mod archive;
mod data;
mod directory;
mod file;
mod names;
mod overlay;
#[cfg(test)]
mod tests;
mod volume;

pub use archive::ArchiveError;

use super::directory::Contained;
use super::walk::{Base, End, Walk};
use super::{Directory, GuestPath, PATH_LIMIT, Result};
use crate::abi::{Clockid, Errno, Filetype, Timestamp};
use directory::{Files, TreeDirectory};
use file::Body;
use names::{Id, Inode, Names};
pub use overlay::{CommitError, Overlay};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use volume::Volume;

/// The charge on [`TreeOptions::max_bytes`] for a file, a directory or a symbolic link beside its
/// data, in bytes: about what it costs the host.
pub const INODE_CHARGE: u64 = 512;

/// The charge on [`TreeOptions::max_bytes`] for a name beside its length, in bytes: about what it
/// costs the host.
pub const NAME_CHARGE: u64 = 128;

/// The longest name in bytes: the usual `NAME_MAX`.
const NAME_LIMIT: usize = 255;

/// The charge for a listed path beside its length, in bytes.
const PATH_CHARGE: usize = 32;

/// Devices of trees begin here, where no host has one.
const FIRST_DEVICE: u64 = 1 << 48;

/// A device number that no other tree of the process has.
fn next_device() -> u64 {
    static DEVICES: AtomicU64 = AtomicU64::new(FIRST_DEVICE);
    DEVICES.fetch_add(1, Relaxed)
}

/// Where a tree has its times from: nanoseconds since 1970-01-01T00:00:00Z.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

fn take_room(room: &mut usize, path: &str) -> Result<()> {
    *room = room.checked_sub(path.len().saturating_add(PATH_CHARGE)).ok_or(Errno::TooBig)?;
    Ok(())
}

fn sort_changes(changes: &mut [Change]) {
    changes.sort_by(|one, other| {
        let key = |change: &Change| change.changed != Changed::Removed;
        (&one.path, key(one)).cmp(&(&other.path, key(other)))
    });
}

/// How something differs from what was there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was not there.
    Added,
    /// It is a file or a symbolic link that says something else.
    Modified,
    /// It is not there any more.
    Removed,
}

/// One thing that is different now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub changed: Changed,
    /// Its path.
    pub path: String,
    /// The type of the file, or the one that it had if it was removed.
    pub filetype: Filetype,
}

/// How to make a [`Tree`].
pub struct TreeOptions {
    /// How much the tree may hold, in bytes. Beyond it is `nospc`.
    pub max_bytes: u64,
    /// The device number that the guest sees. `None`: one that no other tree of the process has.
    pub device: Option<u64>,
    /// The clock.
    pub clock: Clock,
}

impl TreeOptions {
    /// A device number of its own and the host's clock.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        // A host without a clock gives the epoch, as a file system without one does.
        Self {
            max_bytes,
            device: None,
            clock: Box::new(|| super::time(Clockid::Realtime).unwrap_or_default()),
        }
    }
}

/// The state that the handles of a tree share.
struct Inner {
    files: RwLock<Files>,
    top: Id,
    volume: Arc<Volume>,
    /// The files that changes are counted from, sorted by path. None, if nobody has marked any.
    seeds: Mutex<Vec<Seed>>,
}

/// A file that was in a tree when [`Tree::mark`] was called.
struct Seed {
    path: Box<str>,
    ino: u64,
    filetype: Filetype,
}

impl Inner {
    /// Nothing that blocks happens while one of the two locks is held, and no other lock of the
    /// crate but that of one file is taken under it.
    fn files(&self) -> RwLockReadGuard<'_, Files> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn files_mut(&self) -> RwLockWriteGuard<'_, Files> {
        self.files.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory tree in memory. Clones are the same tree.
#[derive(Clone)]
pub struct Tree {
    inner: Arc<Inner>,
}

/// The components of a path of the embedder's.
///
/// # Errors
/// - `inval`: the path is absolute or empty, or holds `.`, `..`, an empty component or a NUL.
/// - `nametoolong`: the path has more than [`PATH_LIMIT`] bytes, or a component more than 255.
fn components(path: &str) -> Result<Vec<&str>> {
    if path.contains('\0') {
        return Err(Errno::Inval);
    }
    let components: Vec<&str> = path.split('/').collect();
    if components.iter().any(|component| matches!(*component, "" | "." | "..")) {
        return Err(Errno::Inval);
    }
    if path.len() > PATH_LIMIT || components.iter().any(|component| component.len() > NAME_LIMIT) {
        return Err(Errno::Nametoolong);
    }
    Ok(components)
}

impl Tree {
    /// An empty tree that holds up to `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self::with_options(TreeOptions::new(max_bytes))
    }

    /// An empty tree.
    #[must_use]
    pub fn with_options(options: TreeOptions) -> Self {
        let device = options.device.unwrap_or_else(next_device);
        let volume = Arc::new(Volume::new(options.max_bytes, device, options.clock));
        let (names, top) = Names::new(&volume);
        let files = RwLock::new(Files { names, volume: Arc::clone(&volume) });
        Self { inner: Arc::new(Inner { files, top, volume, seeds: Mutex::default() }) }
    }

    /// The tree's top as a directory. With `root` it is a root to the guest: `..` stays there, and
    /// absolute symbolic links resolve inside.
    #[must_use]
    pub fn root_directory(&self, root: bool) -> Box<dyn Directory> {
        let top = TreeDirectory::new(&self.inner, &self.inner.files(), self.inner.top);
        Box::new(Contained::new(top, root, false))
    }

    /// How much of `max_bytes` is taken.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.inner.volume.used()
    }

    /// How much the tree may hold.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.inner.volume.max_bytes
    }

    /// The directory at the end of some components, made with all on the way that do not exist.
    /// Links are not followed.
    fn make_directories(&self, names: &mut Names, components: &[&str]) -> Result<Id> {
        let mut here = self.inner.top;
        for component in components {
            here = match names.lookup(here, component.as_bytes())? {
                Some(id) => names.directory(id).map(|_| id)?,
                None => names.create_directory(&self.inner.volume, here, component.as_bytes())?,
            };
        }
        Ok(here)
    }

    /// Makes a directory, with all on the way that do not exist. It may exist.
    ///
    /// # Errors
    /// - `inval`: the path is absolute or empty, or holds `.`, `..`, an empty component or a NUL.
    /// - `nametoolong`: the path has more than [`PATH_LIMIT`] bytes, or a component more than 255.
    /// - `notdir`: something else stands there or on the way.
    /// - `nospc`: the tree is full.
    pub fn create_directories(&self, path: &str) -> Result<()> {
        self.make_directories(&mut self.inner.files_mut().names, &components(path)?).map(drop)
    }

    /// Makes a file with some bytes, or gives the file that there is these bytes; directories on
    /// the way are made. No link is followed.
    ///
    /// # Errors
    /// - `inval`: the path is absolute or empty, or holds `.`, `..`, an empty component or a NUL.
    /// - `nametoolong`: the path has more than [`PATH_LIMIT`] bytes, or a component more than 255.
    /// - `notdir`: something on the way is not a directory.
    /// - `isdir`: a directory stands there.
    /// - `exist`: a symbolic link stands there.
    /// - `nospc`: the tree is full.
    pub fn seed(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let components = components(path)?;
        let (name, parents) = components.split_last().ok_or(Errno::Inval)?;
        let mut files = self.inner.files_mut();
        let names = &mut files.names;
        let parent = self.make_directories(names, parents)?;
        let body: Arc<Body> = match names.lookup(parent, name.as_bytes())? {
            None => names.create_file(&self.inner.volume, parent, name.as_bytes())?,
            Some(id) => match names.inode(id)? {
                Inode::File(body) => Arc::clone(body),
                Inode::Directory(_) => return Err(Errno::Isdir),
                Inode::Link(_) => return Err(Errno::Exist),
            },
        };
        drop(files);
        body.replace(bytes)
    }

    /// The bytes of the file that a path leads to, with symbolic links followed inside the tree.
    ///
    /// # Errors
    /// - `inval`: the path is absolute or empty, or holds `.`, `..`, an empty component or a NUL.
    /// - `noent`: there is none.
    /// - `notdir`: something on the way is not a directory.
    /// - `isdir`: it is a directory.
    /// - `loop`: too many symbolic links.
    /// - `nomem`: the host has no memory for a copy.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        components(path)?;
        self.read_at(GuestPath::new(path.as_bytes())?, true)
    }

    /// The bytes of the file that a guest finds at a path, with symbolic links followed inside the
    /// tree. With `root`, for a guest that calls the tree `/`: see [`Self::root_directory`].
    ///
    /// # Errors
    /// - `noent`: there is none.
    /// - `notdir`: something on the way is not a directory, or slashes follow the name of a file.
    /// - `isdir`: it is a directory.
    /// - `notcapable`: the path leads out of the tree.
    /// - `loop`: too many symbolic links.
    /// - `nomem`: the host has no memory for a copy.
    pub fn read_at(&self, path: GuestPath<'_>, root: bool) -> Result<Vec<u8>> {
        let body = {
            let files = self.inner.files();
            let base = Base { dir: &self.inner.top, root, no_symlinks: false };
            let mut place = Walk::<Files>::new(base, path.as_bytes(), End::Any);
            place.advance(&files)?;
            place.follow_all(&files)?;
            let name = place.name().ok_or(Errno::Isdir)?;
            match files.names.inode(files.names.existing(*place.dir(), name.as_bytes())?)? {
                Inode::File(body) => Arc::clone(body),
                Inode::Directory(_) => return Err(Errno::Isdir),
                Inode::Link(_) => return Err(Errno::Loop),
            }
        };
        body.to_vec()
    }

    /// Whether a path leads to a symbolic link, which is not followed at the end of the path.
    ///
    /// # Errors
    /// - `inval`: the path is absolute or empty, or holds `.`, `..`, an empty component or a NUL.
    /// - `noent`: there is nothing.
    /// - `notdir`: something on the way is not a directory.
    pub fn is_link(&self, path: &str) -> Result<bool> {
        components(path)?;
        let files = self.inner.files();
        let base = Base { dir: &self.inner.top, root: true, no_symlinks: false };
        let mut place = Walk::<Files>::new(base, path.as_bytes(), End::Any);
        place.advance(&files)?;
        let Some(name) = place.name() else { return Ok(false) };
        let id = files.names.existing(*place.dir(), name.as_bytes())?;
        Ok(matches!(files.names.inode(id)?, Inode::Link(_)))
    }

    fn seeds(&self) -> MutexGuard<'_, Vec<Seed>> {
        self.inner.seeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all that is in the tree to `visit`, with its path and its place: a directory before
    /// what is in it. `room` is what the paths of directories may take meanwhile.
    fn visit(
        names: &Names,
        top: Id,
        room: &mut usize,
        mut visit: impl FnMut(&str, Id, &mut usize) -> Result<()>,
    ) -> Result<()> {
        let mut pending = vec![(top, String::new())];
        while let Some((directory, parent)) = pending.pop() {
            for (name, id) in names.directory(directory)?.entries.sorted() {
                // Every name is one: guests' paths are checked.
                let name = str::from_utf8(name).map_err(|_| Errno::Ilseq)?;
                let mut path = [&*parent, name].concat();
                if path.len() > PATH_LIMIT {
                    return Err(Errno::Nametoolong);
                }
                visit(&path, id, room)?;
                if names.is_directory(id) {
                    path.push('/');
                    take_room(room, &path)?;
                    pending.push((id, path));
                }
            }
        }
        Ok(())
    }

    /// From now on, what is in the tree is what [`Self::changes`] compares with.
    ///
    /// # Errors
    /// - `nametoolong`: a path would have more than [`PATH_LIMIT`] bytes.
    pub fn mark(&self) -> Result<()> {
        // In the order in which `changes` takes the two locks.
        let mut held = self.seeds();
        let files = self.inner.files();
        let names = &files.names;
        let mut seeds = Vec::new();
        Self::visit(names, self.inner.top, &mut { usize::MAX }, |path, id, _| {
            let (ino, filetype) = names.listed(id)?;
            if let Inode::File(body) = names.inode(id)? {
                body.forget_changes();
            }
            seeds.push(Seed { path: path.into(), ino, filetype });
            Ok(())
        })?;
        seeds.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        *held = seeds;
        Ok(())
    }

    /// The differences from the files that were there at [`Self::mark`], or from none, sorted by
    /// path. A removed file comes before the file that has its path now. Each path stands behind
    /// `prefix`. `room` is the number of bytes that the paths may take, each with 32 more, and
    /// afterwards the rest of it.
    ///
    /// A file is modified if it was written, cut, replaced by another or given times; a directory
    /// never is.
    ///
    /// # Errors
    /// - `nametoolong`: a path would have more than [`PATH_LIMIT`] bytes.
    /// - `2big`: the paths do not fit `room`.
    pub fn changes(&self, prefix: &str, room: &mut usize) -> Result<Vec<Change>> {
        let seeds = self.seeds();
        let files = self.inner.files();
        let names = &files.names;
        let mut changes = Vec::new();
        let mut note = |changed, path: &str, filetype, room: &mut usize| {
            let path = [prefix, path].concat();
            take_room(room, &path)?;
            changes.push(Change { changed, path, filetype });
            Ok(())
        };
        let mut is_there = vec![false; seeds.len()];
        Self::visit(names, self.inner.top, room, |path, id, room| {
            let (ino, filetype) = names.listed(id)?;
            let place = seeds.binary_search_by(|seed| (*seed.path).cmp(path));
            let seed = place.ok().and_then(|at| seeds.get(at).zip(is_there.get_mut(at)));
            let Some((seed, is_there)) = seed.filter(|(seed, _)| seed.filetype == filetype) else {
                return note(Changed::Added, path, filetype, room);
            };
            *is_there = true;
            let is_changed = match names.inode(id)? {
                Inode::Directory(_) => false,
                Inode::Link(_) => ino != seed.ino,
                Inode::File(body) => ino != seed.ino || body.is_changed(),
            };
            if is_changed { note(Changed::Modified, path, filetype, room) } else { Ok(()) }
        })?;
        for (seed, _) in seeds.iter().zip(&is_there).filter(|(_, is_there)| !**is_there) {
            note(Changed::Removed, &seed.path, seed.filetype, room)?;
        }
        sort_changes(&mut changes);
        Ok(changes)
    }

    /// The paths of all regular files and symbolic links, each behind `prefix`, sorted by their
    /// bytes. `room` says how many bytes these paths and those of the directories may have
    /// together, with 32 for each, and afterwards what is left of it. It bounds what a few bytes of
    /// the tree can make: each of the many hard links that a guest makes below a deep directory has
    /// a long path.
    ///
    /// # Errors
    /// - `nametoolong`: a path would have more than [`PATH_LIMIT`] bytes. Guests can nest
    ///   directories deeper than a path can say.
    /// - `2big`: the paths do not fit `room`.
    pub fn list_files(&self, prefix: &str, room: &mut usize) -> Result<Vec<String>> {
        let files = self.inner.files();
        let names = &files.names;
        let mut paths = Vec::new();
        let mut pending = vec![(self.inner.top, String::new())];
        while let Some((directory, parent)) = pending.pop() {
            for (name, id) in names.directory(directory)?.entries.sorted() {
                // Every name is one: guests' paths are checked.
                let name = str::from_utf8(name).map_err(|_| Errno::Ilseq)?;
                let is_directory = names.is_directory(id);
                let len = parent.len().saturating_add(name.len());
                if len > PATH_LIMIT {
                    return Err(Errno::Nametoolong);
                }
                // A directory's path, too, is kept until its turn.
                let charge = len.saturating_add(prefix.len()).saturating_add(PATH_CHARGE);
                *room = room.checked_sub(charge).ok_or(Errno::TooBig)?;
                if is_directory {
                    pending.push((id, [&*parent, name, "/"].concat()));
                } else {
                    paths.push([prefix, &*parent, name].concat());
                }
            }
        }
        drop(files);
        paths.sort_unstable();
        Ok(paths)
    }
}
