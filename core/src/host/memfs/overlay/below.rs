//! The directories and files that lie below an overlay.
//!
//! A directory is named by where it lies below, which never changes: an overlay renames what is
//! above. It is reached by a handle that is held, or by the names from one that is. A handle that
//! was let go is opened again only as the same directory.

use super::super::names::{Id, TOP};
use super::super::volume::Volume;
use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use crate::host::{Directory, DirectoryEntry, File, GuestPath, OpenOptions, Opened, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// A file's device and serial number, which no other file has.
pub(in super::super) type Identity = (u64, u64);

pub(super) fn identity(stat: &Filestat) -> Identity {
    (stat.dev, stat.ino)
}

/// Whether what was made at the one time can be what was made at the other. Where the host does not
/// say, the serial number counts alone.
pub(super) fn may_be_one(born: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    born.is_none() || other.is_none() || born == other
}

/// Nothing that is opened below is followed.
pub(super) const DIRECTORY: OpenOptions = OpenOptions { directory: true, ..OpenOptions::READ };

/// How many bytes a listing of a directory below asks for.
const CAPACITY: usize = 32 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that a guest's path has, or a listing.
pub(super) fn one(name: &[u8]) -> GuestPath<'_> {
    GuestPath::of_checked(name)
}

/// A handle of a directory.
pub(super) type Handle = Arc<dyn Directory>;

/// A directory that lies below.
pub(in super::super) struct LowerDir {
    /// The directory that it lies in, and its name there. `None`: it is the top.
    from: Option<(Arc<LowerDir>, Box<[u8]>)>,
    handle: Mutex<Option<Handle>>,
    /// One in which no symbolic link is followed, once a path of several names was asked for.
    sealed: Mutex<Option<Handle>>,
    /// Known at the latest when the handle is let go.
    identity: OnceLock<Identity>,
    /// Those that somebody holds, so that there is one of each.
    children: Mutex<BTreeMap<Box<[u8]>, Weak<LowerDir>>>,
    /// The place of the node that stands for it above. `NOWHERE`: there is none.
    node: AtomicUsize,
    /// How many descriptors there are.
    opens: AtomicUsize,
}

const NOWHERE: usize = usize::MAX;

impl LowerDir {
    /// The top, which the node at the top stands for.
    pub(super) fn top(handle: Handle) -> Self {
        Self::new(None, Some(handle), TOP.0)
    }

    fn new(from: Option<(Arc<LowerDir>, Box<[u8]>)>, handle: Option<Handle>, node: usize) -> Self {
        Self {
            from,
            handle: Mutex::new(handle),
            sealed: Mutex::default(),
            identity: OnceLock::new(),
            children: Mutex::default(),
            node: AtomicUsize::new(node),
            opens: AtomicUsize::new(0),
        }
    }

    /// The directory in this one that somebody holds.
    fn known_child(&self, name: &[u8]) -> Option<Arc<Self>> {
        lock(&self.children).get(name).and_then(Weak::upgrade)
    }

    /// Whoever holds the directory with a name holds one that is there no more.
    pub(super) fn forget_child(&self, name: &[u8]) {
        lock(&self.children).remove(name);
    }

    pub(super) fn parent(&self) -> Option<(&Arc<Self>, &[u8])> {
        self.from.as_ref().map(|(parent, name)| (parent, &**name))
    }

    /// The path of a name in it, from the top.
    pub(super) fn path_of(&self, name: &[u8]) -> String {
        let mut names = vec![name];
        let mut here = self;
        while let Some((dir, name)) = &here.from {
            names.push(name);
            here = dir;
        }
        names.reverse();
        String::from_utf8_lossy(&names.join(&b'/')).into_owned()
    }

    /// The node that stands for it above.
    pub(super) fn node(&self) -> Option<Id> {
        Some(self.node.load(Relaxed)).filter(|node| *node != NOWHERE).map(Id)
    }

    pub(super) fn set_node(&self, node: Option<Id>) {
        self.node.store(node.map_or(NOWHERE, |id| id.0), Relaxed);
    }

    pub(super) fn opens(&self) -> usize {
        self.opens.load(Relaxed)
    }

    pub(super) fn opened(&self) {
        self.opens.fetch_add(1, Relaxed);
    }

    /// Says how many descriptors are left.
    pub(super) fn closed(&self) -> usize {
        let before = self.opens.fetch_update(Relaxed, Relaxed, |opens| opens.checked_sub(1));
        before.unwrap_or(0).saturating_sub(1)
    }

    fn held(&self) -> Option<Handle> {
        lock(&self.handle).clone()
    }

    /// The handle.
    ///
    /// # Errors
    /// - `stale`: another directory lies there now.
    /// - those of opening it.
    pub(super) fn handle(self: &Arc<Self>) -> Result<Handle> {
        if let Some(handle) = self.held() {
            return Ok(handle);
        }
        // From the nearest one that is held, which the top always is.
        let mut way = Vec::new();
        let mut here = self;
        let mut handle = loop {
            if let Some(handle) = here.held() {
                break handle;
            }
            let (parent, _) = here.parent().ok_or(Errno::Stale)?;
            way.push(here);
            here = parent;
        };
        while let Some(here) = way.pop() {
            let (_, name) = here.parent().ok_or(Errno::Stale)?;
            let opened = open_directory(&*handle, name)?;
            let found = identity(&opened.filestat()?);
            if here.identity.get().is_some_and(|known| *known != found) {
                return Err(Errno::Stale);
            }
            handle = opened;
        }
        *lock(&self.handle) = Some(Arc::clone(&handle));
        Ok(handle)
    }

    /// The handle, unless the host has taken the directory away.
    pub(super) fn handle_if_there(self: &Arc<Self>) -> Result<Option<Handle>> {
        match self.handle() {
            Err(Errno::Noent | Errno::Notdir | Errno::Loop | Errno::Stale) => Ok(None),
            handle => handle.map(Some),
        }
    }

    /// Closes the handle, unless the guest has the directory open.
    pub(super) fn let_go(self: &Arc<Self>) {
        if self.from.is_some() && self.opens() == 0 && self.identity().is_ok() {
            *lock(&self.handle) = None;
            *lock(&self.sealed) = None;
        }
    }

    /// A handle for paths of several names, on the way of which no symbolic link is followed: that
    /// is `loop`.
    fn sealed(self: &Arc<Self>) -> Result<Handle> {
        let mut sealed = lock(&self.sealed);
        if let Some(handle) = &*sealed {
            return Ok(Arc::clone(handle));
        }
        let handle: Handle = Arc::from(self.handle()?.without_links()?);
        Ok(Arc::clone(sealed.insert(handle)))
    }

    /// The attributes of what lies at a path. Nothing on the way may have a node.
    pub(super) fn stat_path(self: &Arc<Self>, path: &[u8]) -> Result<Filestat> {
        self.sealed()?.path_filestat(one(path), false)
    }

    /// Opens the regular file that lies at a path, in the same way.
    pub(super) fn open_path(self: &Arc<Self>, path: &[u8]) -> Result<(Arc<LowerFile>, Filestat)> {
        open_regular_in(&*self.sealed()?, path)
    }

    /// The directory's device and serial number.
    pub(super) fn identity(self: &Arc<Self>) -> Result<Identity> {
        if let Some(known) = self.identity.get() {
            return Ok(*known);
        }
        let found = identity(&self.handle()?.filestat()?);
        Ok(*self.identity.get_or_init(|| found))
    }

    /// The attributes of what has a name, if anything has.
    pub(super) fn stat(self: &Arc<Self>, name: &[u8]) -> Result<Option<Filestat>> {
        let Some(handle) = self.handle_if_there()? else { return Ok(None) };
        match handle.path_filestat(one(name), false) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::Noent) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// When what has a name was made, if the host says so.
    pub(super) fn born(self: &Arc<Self>, name: &[u8]) -> Option<Timestamp> {
        self.handle().ok()?.path_born(one(name))
    }

    /// The directory with a name.
    ///
    /// # Errors
    /// - `notdir`, `loop`: something else has it.
    pub(super) fn enter(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Self>> {
        if let Some(known) = self.known_child(name) {
            // The host may have put another in its place.
            if self.stat(name)?.map(|stat| identity(&stat)) == Some(known.identity()?) {
                return Ok(known);
            }
            self.forget_child(name);
        }
        let handle = open_directory(&*self.handle()?, name)?;
        let child =
            Arc::new(Self::new(Some((Arc::clone(self), name.into())), Some(handle), NOWHERE));
        lock(&self.children).insert(name.into(), Arc::downgrade(&child));
        Ok(child)
    }

    /// The text of a symbolic link.
    pub(super) fn link_text(self: &Arc<Self>, name: &[u8]) -> Result<Arc<[u8]>> {
        let mut room = [0; 4096];
        let len = self.handle()?.readlink(one(name), &mut room)?;
        match room.get(..len) {
            // It may go on.
            Some(text) if len < room.len() => Ok(text.into()),
            _ => Err(Errno::Nametoolong),
        }
    }

    /// Gives the names and types of all that is in it, but `.` and `..`, to `take` until it wants
    /// no more. There is nothing in one that the host has removed.
    pub(super) fn list(
        self: &Arc<Self>,
        mut take: impl FnMut(&[u8], Filetype) -> bool,
    ) -> Result<()> {
        let Some(handle) = self.handle_if_there()? else { return Ok(()) };
        let listed = handle.entries(0, CAPACITY, &mut |entry: DirectoryEntry<'_>| {
            matches!(entry.name, b"." | b"..") || take(entry.name, entry.filetype)
        });
        match listed {
            Err(Errno::Noent) => Ok(()),
            listed => listed,
        }
    }
}

fn open_directory(directory: &dyn Directory, name: &[u8]) -> Result<Handle> {
    match directory.open(one(name), DIRECTORY)? {
        Opened::Directory(directory) => Ok(Arc::from(directory)),
        Opened::File(_) => Err(Errno::Notdir),
    }
}

impl Drop for LowerDir {
    fn drop(&mut self) {
        // Directories lie in each other to any depth, so not by recursion.
        let mut next = self.from.take();
        while let Some((parent, name)) = next {
            let mut children = lock(&parent.children);
            if children.get(&name).is_some_and(|child| child.strong_count() == 0) {
                children.remove(&name);
            }
            drop(children);
            next = Arc::into_inner(parent).and_then(|mut parent| parent.from.take());
        }
    }
}

/// An open file that lies below.
pub(in super::super) struct LowerFile(pub(super) Box<dyn File>);

/// Where a file lies below.
pub(in super::super) struct Origin {
    pub(super) identity: Identity,
    /// The path leads from here.
    dir: Arc<LowerDir>,
    path: Box<[u8]>,
    /// While a descriptor reads it.
    pub(super) file: Mutex<Weak<LowerFile>>,
    /// When it was made, once that was asked for: the host may give its serial number to another.
    born: OnceLock<Option<Timestamp>>,
}

impl Origin {
    /// The file that is open already, or this one from now on.
    pub(super) fn share(&self, open: Arc<LowerFile>) -> Arc<LowerFile> {
        let mut file = lock(&self.file);
        if let Some(shared) = file.upgrade() {
            return shared;
        }
        *file = Arc::downgrade(&open);
        open
    }

    pub(super) fn new(
        identity: Identity,
        dir: &Arc<LowerDir>,
        path: &[u8],
        file: Weak<LowerFile>,
    ) -> Self {
        let (dir, file) = (Arc::clone(dir), Mutex::new(file));
        Self { identity, dir, path: path.into(), file, born: OnceLock::new() }
    }

    /// Notes when it was made.
    pub(super) fn note_birth(&self, born: Option<Timestamp>) {
        let _ = self.born.set(born);
    }

    /// Whether the file that has a name is this one.
    pub(super) fn is_at(&self, dir: &Arc<LowerDir>, name: &[u8], stat: &Filestat) -> bool {
        stat.filetype == Filetype::RegularFile
            && identity(stat) == self.identity
            && self.born.get().is_none_or(|born| may_be_one(*born, dir.born(name)))
    }

    /// The directory that the file lies in, and its name there.
    pub(super) fn place(&self) -> Result<(Arc<LowerDir>, &[u8])> {
        let mut dir = Arc::clone(&self.dir);
        let mut rest = &*self.path;
        while let Some(slash) = rest.iter().position(|byte| *byte == b'/') {
            let (name, behind) = rest.split_at(slash);
            dir = dir.enter(name)?;
            rest = behind.get(1..).unwrap_or_default();
        }
        Ok((dir, rest))
    }

    /// Whether it was found under this name. The host may have put another directory in the place
    /// of the one that it was found in.
    pub(super) fn is_named(&self, dir: &Arc<LowerDir>, name: &[u8]) -> bool {
        let is_dir = |at: &Arc<LowerDir>| {
            Arc::ptr_eq(at, dir) || at.node().is_some() && at.node() == dir.node()
        };
        self.path.ends_with(name)
            && self.place().is_ok_and(|(at, last)| is_dir(&at) && last == name)
    }

    /// Whether it has a name below, and no other.
    pub(super) fn is_last(&self, dir: &Arc<LowerDir>, name: &[u8]) -> bool {
        let is_it = |stat: &Filestat| stat.nlink < 2 && self.is_at(dir, name, stat);
        dir.stat(name).is_ok_and(|stat| stat.as_ref().is_some_and(is_it))
    }

    /// Whether the file is still where it was found.
    pub(super) fn is_there(&self) -> bool {
        let Ok((dir, name)) = self.place() else { return false };
        dir.stat(name).is_ok_and(|stat| stat.is_some_and(|stat| self.is_at(&dir, name, &stat)))
    }

    /// The same file by another of its names.
    pub(super) fn at(&self, dir: &Arc<LowerDir>, name: &[u8]) -> Self {
        let file = lock(&self.file).clone();
        Self { born: self.born.clone(), ..Self::new(self.identity, dir, name, file) }
    }

    /// The file, opened if no descriptor has it open.
    ///
    /// # Errors
    /// - `stale`: another file lies there now.
    /// - `acces`: it may not be read, or is no regular file.
    pub(super) fn open(&self) -> Result<Arc<LowerFile>> {
        let mut file = lock(&self.file);
        if let Some(open) = file.upgrade() {
            return Ok(open);
        }
        let (dir, name) = self.place()?;
        let (open, stat) = open_regular(&dir, name)?;
        if identity(&stat) != self.identity {
            return Err(Errno::Stale);
        }
        *file = Arc::downgrade(&open);
        Ok(open)
    }
}

/// Opens a regular file.
///
/// # Errors
/// - `isdir`, `loop`, `acces`: something else has the name.
pub(super) fn open_regular(dir: &Arc<LowerDir>, name: &[u8]) -> Result<(Arc<LowerFile>, Filestat)> {
    open_regular_in(&*dir.handle()?, name)
}

/// Nothing else that lies below is for a guest to open: to open a pipe, a device or a socket does
/// something to the host. A process that waits for a pipe's reader would go on, and what it writes
/// would be lost. So the file is looked at before it is opened.
fn open_regular_in(dir: &dyn Directory, path: &[u8]) -> Result<(Arc<LowerFile>, Filestat)> {
    match dir.path_filestat(one(path), false)?.filetype {
        Filetype::RegularFile => {}
        Filetype::Directory => return Err(Errno::Isdir),
        Filetype::SymbolicLink => return Err(Errno::Loop),
        _ => return Err(Errno::Acces),
    }
    match dir.open(one(path), OpenOptions::READ)? {
        Opened::Directory(_) => Err(Errno::Isdir),
        Opened::File(file) if file.filetype() == Filetype::RegularFile => {
            let stat = file.filestat_when_opened().map_or_else(|| file.filestat(), Ok)?;
            Ok((Arc::new(LowerFile(file)), stat))
        }
        Opened::File(_) => Err(Errno::Acces),
    }
}

/// The directory below that a node stands for.
pub(in super::super) struct Merged {
    pub(super) lower: Arc<LowerDir>,
    /// The names there that count no more: above is what the guest finds under them, or nothing.
    covered: BTreeSet<Box<[u8]>>,
    /// The charge for these names, of the tree's room.
    charge: u64,
    volume: Arc<Volume>,
    /// The directories that it stood for before it was written below somewhere else. Descriptors
    /// may still be of these.
    earlier: Vec<Arc<LowerDir>>,
    is_replaced: bool,
}

impl Merged {
    pub(super) fn new(lower: &Arc<LowerDir>, volume: &Arc<Volume>) -> Self {
        Self {
            lower: Arc::clone(lower),
            covered: BTreeSet::new(),
            charge: 0,
            volume: Arc::clone(volume),
            earlier: Vec::new(),
            is_replaced: false,
        }
    }

    /// Stands for what another has stood for, too.
    pub(super) fn replace(&mut self, old: Option<Box<Self>>) {
        if let Some(mut old) = old {
            self.earlier.append(&mut old.earlier);
            if !Arc::ptr_eq(&old.lower, &self.lower) {
                self.earlier.push(Arc::clone(&old.lower));
            }
            old.is_replaced = true;
        }
    }

    /// Stands for another directory, in which the same names count no more.
    pub(super) fn move_to(&mut self, lower: &Arc<LowerDir>) {
        self.earlier.push(std::mem::replace(&mut self.lower, Arc::clone(lower)));
    }

    /// The directories below have no node any more.
    pub(super) fn let_go(&self) {
        self.lower.set_node(None);
        self.earlier.iter().for_each(|lower| lower.set_node(None));
    }

    pub(super) fn covers(&self, name: &[u8]) -> bool {
        self.covered.contains(name)
    }

    /// Whether it stands for `dir`, and no descriptor has that open or one of those before it.
    pub(super) fn is_idle(&self, dir: &Arc<LowerDir>) -> bool {
        let is_open = |lower: &Arc<LowerDir>| lower.opens() > 0;
        Arc::ptr_eq(&self.lower, dir) && !is_open(dir) && !self.earlier.iter().any(is_open)
    }

    #[cfg(all(test, unix))]
    pub(super) fn charge(&self) -> u64 {
        self.charge
    }

    pub(super) fn covered(&self) -> impl Iterator<Item = &[u8]> {
        self.covered.iter().map(|name| &**name)
    }

    /// Takes a name over. The caller has taken `charge` for it.
    pub(super) fn cover(&mut self, name: &[u8], charge: u64) {
        if self.covered.insert(name.into()) {
            self.charge = self.charge.saturating_add(charge);
        } else {
            self.volume.release(charge);
        }
    }

    /// Gives a name back. `charge` is what was taken for it.
    pub(super) fn uncover(&mut self, name: &[u8], charge: u64) {
        if self.covered.remove(name) {
            self.charge = self.charge.saturating_sub(charge);
            self.volume.release(charge);
        }
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        if !self.is_replaced {
            self.let_go();
        }
        self.volume.release(self.charge);
    }
}
