//! Preopens inside preopens: one tree of names over several directories, which a guest sees through
//! the outermost preopen.
//!
//! A mount point is a place in the tree of names, not a file: the directory around it may lack it,
//! and a file that stands there on the host is covered. So a path is walked here, one name at a
//! time, over directories of any backend, which are asked for one name at a time and follow
//! nothing. A whole path goes to a backend only from a directory below which nothing is mounted,
//! and the backend keeps it below that directory.
//!
//! Preopens of which none lies in another do without all of this.

use super::directory::{Backend, Contained, Found, Names, Unlocked};
use super::pieces::read_all;
use super::read_only::ReadOnlyFile;
use super::walk::{Base, End, Entered, Link, Lookup, Name, Walk};
use super::{
    Directory, EntrySink, GuestPath, HERE, OpenOptions, Opened, PATH_LIMIT, Result, SetTimes, Tree,
};
use crate::abi::{Errno, Filestat, Filetype};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The cookies from here on are of mount points. Those of a directory's own entries are below: the
/// kernel's are signed numbers, an overlay counts from the next, and all others from 0.
const MOUNT_COOKIES: u64 = 3 << 62;

/// The first serial number of mount points that do not tell theirs.
const FIRST_INO: u64 = 1 << 48;

/// The most symbolic links on the way to one mount point, as on Linux.
const LINK_LIMIT: u32 = 40;

const ENTER: OpenOptions = OpenOptions { directory: true, ..OpenOptions::READ };

/// A preopen that others may lie in.
#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
pub struct Preopen {
    /// The guest's name for it.
    pub name: String,
    /// Its directory: a [`super::SingleFile`] if `is_file`.
    pub directory: Box<dyn Directory>,
    /// Whether it is a single file.
    pub is_file: bool,
    /// Whether the guest changes nothing in it.
    pub read_only: bool,
    /// Whether no symbolic link is followed in it.
    pub no_symlinks: bool,
    /// Whether it is left alone until the guest uses it.
    pub is_lazy: bool,
    /// Whether the embedder reads it by a [`View`].
    pub is_viewed: bool,
}

/// A preopen as the guest gets it.
pub struct Nested {
    /// The guest's name for it.
    pub name: String,
    /// The directory.
    pub directory: Box<dyn Directory>,
    /// Whether the descriptor is read-only. Where mounts differ in this, each enforces its own.
    pub read_only: bool,
}

/// Joins preopens whose names lie below one another. The others stay what they are.
///
/// The place of a mount point is determined here, as by `mount` on Linux: symbolic links on the way
/// are followed. A mount point that does not exist, or that a dangling link hides, lies where its
/// name says. The names of relative and of absolute preopens are two trees.
///
/// `stand_in` makes an empty tree in the place of a missing directory on the way.
///
/// If any preopens are joined, the result has a view of them, too.
#[must_use]
pub fn nest(preopens: Vec<Preopen>, stand_in: impl Fn() -> Tree) -> (Vec<Nested>, Option<View>) {
    let positions: Vec<Option<Position>> =
        preopens.iter().map(|preopen| Position::of(&preopen.name)).collect();
    let mut order: Vec<usize> = (0..preopens.len()).collect();
    order.sort_by(|one, other| positions.get(*one).cmp(&positions.get(*other)));
    // A preopen that lies in others is sorted right behind one of them.
    let nests = |pair: &[usize]| match pair {
        [outer, inner] => is_below(&positions, *outer, *inner),
        _ => false,
    };
    if !order.windows(2).any(nests) {
        let preopens = preopens.into_iter();
        return (
            preopens
                .map(|Preopen { name, directory, read_only, .. }| Nested {
                    name,
                    directory,
                    read_only,
                })
                .collect(),
            None,
        );
    }
    join(preopens, &positions, stand_in)
}

/// The tree of names as the embedder reads it: trees in memory and overlays as the guest sees them,
/// and nothing in all other preopens.
#[derive(Clone)]
pub struct View {
    space: Arc<Space>,
    /// The nodes of the preopens that are joined.
    nodes: Arc<[Option<usize>]>,
}

impl View {
    fn new(space: &Space, nodes: Vec<Option<usize>>, is_viewed: &[bool], empty: &Tree) -> Self {
        let nothing: Arc<dyn Directory> = Arc::from(empty.root_directory(false));
        // Behind the preopens is what stands in for directories on the way.
        let viewed = is_viewed.iter().copied().chain(std::iter::repeat(true));
        let mounts = space.mounts.iter().zip(viewed).map(|(mount, is_viewed)| Mount {
            directory: Arc::clone(if is_viewed { &mount.directory } else { &nothing }),
            is_file: mount.is_file && is_viewed,
            ..*mount
        });
        let space = Space { mounts: mounts.collect(), nodes: space.nodes.clone() };
        Self { space: Arc::new(space), nodes: nodes.into() }
    }

    /// The bytes of the file that a guest finds at a path below a preopen, in whichever preopen
    /// that is. With `root`, for a guest that calls the preopen `/`. `None`: it is joined with no
    /// other.
    ///
    /// # Errors
    /// Those of opening and reading it; `noent` for what is in a preopen that is not viewed.
    #[must_use]
    pub fn read(&self, preopen: usize, path: GuestPath<'_>, root: bool) -> Option<Result<Vec<u8>>> {
        let node = (*self.nodes.get(preopen)?)?;
        Some(self.read_below(preopen, node, path, root))
    }

    fn read_below(
        &self,
        preopen: usize,
        node: usize,
        path: GuestPath<'_>,
        root: bool,
    ) -> Result<Vec<u8>> {
        let names = Mounts(Arc::clone(&self.space));
        let top = self.space.at(preopen, node)?;
        let mut place = Walk::<Mounts>::new(
            Base { dir: &top, root, no_symlinks: false },
            path.as_bytes(),
            End::Any,
        );
        place.advance(&names)?;
        place.follow_all(&names)?;
        let name = place.name().ok_or(Errno::Isdir)?;
        match names.open(place.dir(), name, OpenOptions::READ)? {
            Found::File(file) => read_all(&*file),
            Found::Directory(_) => Err(Errno::Isdir),
            Found::Link => Err(Errno::Loop),
        }
    }

    /// Whether something that is mounted hides what has a path below a preopen, of which no part
    /// is followed.
    #[must_use]
    pub fn is_covered(&self, preopen: usize, path: &str) -> bool {
        let mut node = self.nodes.get(preopen).copied().flatten();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(here) = node.and_then(|node| self.space.nodes.get(node)) else { return false };
            let Some(next) = here.children.get(name.as_bytes()) else { return false };
            if self.space.nodes.get(*next).is_some_and(|node| node.mount.is_some()) {
                return true;
            }
            node = Some(*next);
        }
        false
    }
}

/// Whether one preopen lies in another.
fn is_below(positions: &[Option<Position>], outer: usize, inner: usize) -> bool {
    match (positions.get(outer), positions.get(inner)) {
        (Some(Some(outer)), Some(Some(inner))) => {
            outer.is_absolute == inner.is_absolute
                && outer.names.len() < inner.names.len()
                && inner.names.starts_with(&outer.names)
        }
        _ => false,
    }
}

fn join(
    preopens: Vec<Preopen>,
    positions: &[Option<Position>],
    stand_in: impl Fn() -> Tree,
) -> (Vec<Nested>, Option<View>) {
    let count = preopens.len();
    let is_nested: Vec<bool> = (0..count)
        .map(|one| {
            (0..count)
                .any(|other| is_below(positions, one, other) || is_below(positions, other, one))
        })
        .collect();
    let mut space = Space::default();
    let (mut names, mut viewed) = (Vec::new(), Vec::new());
    for Preopen { name, directory, is_file, read_only, no_symlinks, is_lazy, is_viewed } in preopens
    {
        names.push(name);
        viewed.push(is_viewed);
        let directory = Arc::from(directory);
        space.mounts.push(Mount { directory, is_file, read_only, no_symlinks, is_lazy });
    }
    // The outer comes before the inner. Of two in one place, the later one is seen there, as in C
    // libraries.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|one| {
        positions.get(*one).and_then(Option::as_ref).map_or(0, |position| position.names.len())
    });
    let mut nodes = vec![None; count];
    for mount in order {
        let Some(Some(position)) = positions.get(mount) else { continue };
        if is_nested.get(mount) != Some(&true) {
            continue;
        }
        let node = space.place(mount, position);
        // The way of the next mount may lead through them.
        space.stand_in(&stand_in);
        if let Some(slot) = nodes.get_mut(mount) {
            *slot = Some(node);
        }
    }
    let view = View::new(&space, nodes.clone(), &viewed, &stand_in());
    let mounts = Mounts(Arc::new(space));
    let preopens = names.into_iter().zip(nodes).zip(&mounts.0.mounts).enumerate();
    let preopens = preopens
        .map(|(index, ((name, node), mount))| {
            // Nothing lies in a file. A file in the place of its own preopen stays unchanged.
            let node = node.filter(|_| !mount.is_file);
            match node.and_then(|node| Some((node, mounts.0.at(index, node).ok()?))) {
                Some((node, place)) => {
                    let root = name == "/";
                    let directory = MountedDirectory { mounts: mounts.clone(), place };
                    let directory = Box::new(Contained::new(directory, root, false));
                    let read_only = mount.read_only && mounts.0.is_read_only_below(node);
                    Nested { name, directory, read_only }
                }
                None => Nested {
                    name,
                    read_only: mount.read_only,
                    directory: Box::new(Shared(Arc::clone(&mount.directory))),
                },
            }
        })
        .collect();
    (preopens, Some(view))
}

/// The place that a preopen's name stands for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    is_absolute: bool,
    names: Vec<Box<[u8]>>,
}

impl Position {
    /// `None`: the name leads up, so it lies in no other.
    fn of(name: &str) -> Option<Self> {
        let names = name.split('/').filter(|name| !name.is_empty() && *name != ".");
        let names: Vec<Box<[u8]>> = names.map(|name| name.as_bytes().into()).collect();
        (!names.iter().any(|name| **name == *b".."))
            .then(|| Self { is_absolute: name.starts_with('/'), names })
    }
}

/// A directory or a file that is mounted, or an empty tree in the place of a missing directory.
#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
struct Mount {
    directory: Arc<dyn Directory>,
    is_file: bool,
    read_only: bool,
    no_symlinks: bool,
    is_lazy: bool,
}

impl Mount {
    fn stat(&self) -> Result<Filestat> {
        if self.is_file {
            self.directory.path_filestat(HERE, false)
        } else {
            self.directory.filestat()
        }
    }

    fn filetype(&self) -> Filetype {
        if self.is_file { Filetype::RegularFile } else { Filetype::Directory }
    }
}

/// A name that is a mount point, or on the way to one.
#[derive(Clone, Default)]
struct Node {
    children: BTreeMap<Box<[u8]>, usize>,
    /// The preopen that is mounted here, by its index.
    mount: Option<usize>,
    /// The directory that stands here if nothing is mounted and the directory above has none of
    /// this name: an empty one, in which nothing can be made.
    stand_in: Option<usize>,
}

/// The tree of names.
#[derive(Default)]
struct Space {
    /// The preopens in their order, and then the empty trees.
    mounts: Vec<Mount>,
    /// The first two are the tops for absolute and for relative names.
    nodes: Vec<Node>,
}

/// The meaning of a name in a directory that leads to mounts.
enum Spot<'a> {
    /// A name that the directory's own backend has.
    Plain,
    /// The same: a directory, on the way to a mount point.
    Way(usize),
    /// A mount, or an empty tree in the place of a missing directory on the way to one.
    Mount { index: usize, mount: &'a Mount, node: usize },
}

impl Space {
    /// Puts a preopen into its place, and returns the node there.
    fn place(&mut self, mount: usize, position: &Position) -> usize {
        if self.nodes.is_empty() {
            self.nodes.extend([Node::default(), Node::default()]);
        }
        let top = usize::from(!position.is_absolute);
        let found = self.resolve(top, position);
        let taken = |space: &Self, names: &[Box<[u8]>]| {
            space
                .find(top, names)
                .and_then(|node| space.nodes.get(node))
                .and_then(|node| node.mount)
        };
        let names = found.filter(|names| taken(self, names).is_none());
        let names = names.as_ref().unwrap_or(&position.names);
        let mut here = top;
        for name in names {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(here) else { return here };
            here = *node.children.entry(name.clone()).or_insert(next);
            if here == next {
                self.nodes.push(Node::default());
            }
        }
        if let Some(node) = self.nodes.get_mut(here) {
            node.mount = Some(mount);
        }
        here
    }

    fn find(&self, top: usize, names: &[Box<[u8]>]) -> Option<usize> {
        names.iter().try_fold(top, |node, name| {
            self.nodes.get(node).and_then(|node| node.children.get(name)).copied()
        })
    }

    /// The place that a position stands for when the symbolic links on the way are followed, from
    /// the outermost preopen around it. `None`: they lead nowhere.
    fn resolve(&self, top: usize, position: &Position) -> Option<Vec<Box<[u8]>>> {
        let mut node = top;
        let mut outer = 0;
        let mount = loop {
            if let Some(mount) = self.nodes.get(node)?.mount {
                break mount;
            }
            let name = position.names.get(outer)?;
            node = self.nodes.get(node)?.children.get(name).copied()?;
            outer = outer.saturating_add(1);
        };
        let base = self.at(mount, node).ok()?;
        let is_root = position.is_absolute && outer == 0;
        let mut way: Vec<(Box<[u8]>, Place)> = Vec::new();
        let mut rest: VecDeque<Box<[u8]>> = position.names.iter().skip(outer).cloned().collect();
        let (mut links, mut is_there) = (0_u32, true);
        let mut names = Vec::new();
        while let Some(name) = rest.pop_front() {
            if name.is_empty() || *name == *b"." {
                continue;
            }
            if !is_there {
                if *name == *b".." {
                    return None;
                }
                names.push(name);
                continue;
            }
            if *name == *b".." {
                if way.pop().is_none() && !is_root {
                    return None;
                }
                continue;
            }
            let here = way.last().map_or(&base, |(_, place)| place);
            if self.mounts.get(here.mount)?.is_lazy {
                is_there = false;
                names.push(name);
                continue;
            }
            match self.enter(here, Name::new::<Mounts>(&name, false).ok()?) {
                Ok(Entered::Directory(place)) => way.push((name, place)),
                Ok(Entered::Link(link)) => {
                    links = links.saturating_add(1);
                    let is_absolute = link.text.starts_with(b"/");
                    if links > LINK_LIMIT || link.has_drive || (is_absolute && !is_root) {
                        return None;
                    }
                    if is_absolute {
                        way.clear();
                    }
                    for part in link.text.rsplit(|byte| *byte == b'/') {
                        rest.push_front(part.into());
                    }
                }
                // A file is covered: by what is mounted in its place, or by what stands in for the
                // directory on the way.
                Err(Errno::Noent | Errno::Notdir) => {
                    is_there = false;
                    names.push(name);
                }
                Err(_) => return None,
            }
        }
        let outer = position.names.iter().take(outer).cloned();
        Some(outer.chain(way.into_iter().map(|(name, _)| name)).chain(names).collect())
    }

    /// Makes the empty trees for missing directories on the way to mount points, where there is
    /// none.
    fn stand_in(&mut self, make: impl Fn() -> Tree) {
        // The two tops are on no way.
        for node in self.nodes.iter_mut().skip(2) {
            if node.mount.is_none() && node.stand_in.is_none() {
                node.stand_in = Some(self.mounts.len());
                self.mounts.push(Mount {
                    directory: Arc::from(make().root_directory(false)),
                    is_file: false,
                    read_only: true,
                    no_symlinks: false,
                    is_lazy: false,
                });
            }
        }
    }

    /// Whether nothing that is mounted below a node can be changed.
    fn is_read_only_below(&self, node: usize) -> bool {
        let mut pending = vec![node];
        while let Some(children) =
            pending.pop().and_then(|node| self.nodes.get(node)).map(|node| &node.children)
        {
            for child in children.values() {
                let mount = self.nodes.get(*child).and_then(|child| child.mount);
                let mount = mount.and_then(|mount| self.mounts.get(mount));
                if mount.is_some_and(|mount| !mount.read_only) {
                    return false;
                }
                pending.push(*child);
            }
        }
        true
    }

    /// A mount's top as a place of a walk.
    fn at(&self, mount: usize, node: usize) -> Result<Place> {
        let directory = Arc::clone(&self.mounts.get(mount).ok_or(Errno::Io)?.directory);
        Ok(Place { directory, mount, node: self.with_children(node) })
    }

    fn with_children(&self, node: usize) -> Option<usize> {
        self.nodes.get(node).filter(|found| !found.children.is_empty()).map(|_| node)
    }

    fn child(&self, dir: &Place, name: &[u8]) -> Option<(usize, &Node)> {
        let node = *self.nodes.get(dir.node?)?.children.get(name)?;
        Some((node, self.nodes.get(node)?))
    }

    fn mounted(&self, index: usize, node: usize) -> Result<Spot<'_>> {
        let mount = self.mounts.get(index).ok_or(Errno::Io)?;
        Ok(Spot::Mount { index, mount, node })
    }

    /// The meaning of a name in a directory that leads to mounts. For a name on the way to a mount
    /// point, the directory is asked whether it has it.
    fn spot(&self, dir: &Place, name: Name<'_>) -> Result<Spot<'_>> {
        let Some((index, node)) = self.child(dir, name.as_bytes()) else { return Ok(Spot::Plain) };
        if let Some(mount) = node.mount {
            return self.mounted(mount, index);
        }
        match dir.directory.path_filestat(of(name), false) {
            Ok(Filestat { filetype: Filetype::Directory | Filetype::SymbolicLink, .. }) => {
                Ok(Spot::Way(index))
            }
            Ok(_) | Err(Errno::Noent) => self.mounted(node.stand_in.ok_or(Errno::Io)?, index),
            Err(errno) => Err(errno),
        }
    }

    fn mount_of(&self, dir: &Place) -> Result<&Mount> {
        self.mounts.get(dir.mount).ok_or(Errno::Io)
    }

    fn check_writable(&self, dir: &Place) -> Result<()> {
        if self.mount_of(dir)?.read_only { Err(Errno::Rofs) } else { Ok(()) }
    }

    /// The text of the symbolic link with a name. `None`: it is something else.
    fn link(&self, dir: &Place, name: Name<'_>) -> Result<Option<Link>> {
        let mut room = [0; PATH_LIMIT + 1];
        let len = match dir.directory.readlink(of(name), &mut room) {
            Ok(len) => len,
            Err(Errno::Inval) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if self.mount_of(dir)?.no_symlinks {
            return Err(Errno::Loop);
        }
        let text = room.get(..len).filter(|_| len <= PATH_LIMIT).ok_or(Errno::Nametoolong)?;
        Ok(Some(Link { text: Arc::from(text), has_drive: false }))
    }

    /// Opens a directory of a backend, unless a symbolic link has the name.
    fn enter_plain(
        &self,
        dir: &Place,
        name: Name<'_>,
        node: Option<usize>,
    ) -> Result<Entered<Place>> {
        match dir.directory.open(of(name), ENTER) {
            Ok(Opened::Directory(directory)) => Ok(Entered::Directory(Place {
                directory: Arc::from(directory),
                mount: dir.mount,
                node: node.and_then(|node| self.with_children(node)),
            })),
            Ok(Opened::File(_)) => Err(Errno::Notdir),
            // Which of the two a link is depends on the backend.
            Err(Errno::Notdir | Errno::Loop) => match self.link(dir, name)? {
                Some(link) => Ok(Entered::Link(link)),
                None => Err(Errno::Notdir),
            },
            Err(errno) => Err(errno),
        }
    }

    fn enter(&self, dir: &Place, name: Name<'_>) -> Result<Entered<Place>> {
        match self.spot(dir, name)? {
            Spot::Plain => self.enter_plain(dir, name, None),
            Spot::Way(node) => self.enter_plain(dir, name, Some(node)),
            Spot::Mount { mount, .. } if mount.is_file => Err(Errno::Notdir),
            Spot::Mount { index, node, .. } => self.at(index, node).map(Entered::Directory),
        }
    }

    /// The part of a path that the backend can resolve as a whole, because nothing is mounted
    /// there, and the directory that it begins in. `None`: there is no such part.
    fn plain_part<'a>(&self, base: &Place, path: &'a [u8]) -> Result<Option<(Place, &'a [u8])>> {
        let mut here = Place { directory: Arc::clone(&base.directory), ..*base };
        let mut rest = path;
        while here.node.is_some() {
            let Some(end) = rest.iter().position(|byte| *byte == b'/') else { return Ok(None) };
            let (name, behind) = rest.split_at(end);
            let Ok(name) = Name::new::<Mounts>(name, false) else { return Ok(None) };
            let slashes = behind.iter().take_while(|byte| **byte == b'/').count();
            rest = behind.get(slashes..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            match self.enter(&here, name)? {
                Entered::Directory(place) => here = place,
                Entered::Link(_) => return Ok(None),
            }
        }
        Ok(Some((here, rest)))
    }

    /// Applies a function to that part of a path. `None`: the path has to be walked, because it
    /// leads out of that directory or has no such part.
    fn below<T>(
        &self,
        base: &Place,
        path: &[u8],
        act: impl FnOnce(&Place, GuestPath<'_>) -> Result<T>,
    ) -> Option<Result<T>> {
        match self.plain_part(base, path) {
            Ok(Some((place, rest))) => match act(&place, GuestPath::of_checked(rest)) {
                Err(Errno::Notcapable) => None,
                result => Some(result),
            },
            Ok(None) => None,
            Err(errno) => Some(Err(errno)),
        }
    }

    /// The object that was opened in a mount, as the walk sees it.
    fn opened(&self, dir: &Place, opened: Opened, node: Option<usize>) -> Result<Found<Place>> {
        Ok(match opened {
            Opened::File(file) if self.mount_of(dir)?.read_only => {
                Found::File(Box::new(ReadOnlyFile::new(file)))
            }
            Opened::File(file) => Found::File(file),
            Opened::Directory(directory) => Found::Directory(Place {
                directory: Arc::from(directory),
                mount: dir.mount,
                node: node.and_then(|node| self.with_children(node)),
            }),
        })
    }

    /// Opens what is mounted under a name.
    fn open_mount(
        &self,
        (index, mount, node): (usize, &Mount, usize),
        options: OpenOptions,
    ) -> Result<Found<Place>> {
        let OpenOptions { create, exclusive, directory, truncate, write, .. } = options;
        if create && exclusive {
            return Err(Errno::Exist);
        }
        if !mount.is_file && (create || write || truncate) {
            return Err(Errno::Isdir);
        }
        if mount.is_file && directory {
            return Err(Errno::Notdir);
        }
        if mount.read_only && (write || truncate) {
            return Err(Errno::Rofs);
        }
        let options =
            OpenOptions { create: false, exclusive: false, directory: !mount.is_file, ..options };
        let opened = mount.directory.open(HERE, options)?;
        self.opened(&self.at(index, node)?, opened, Some(node))
    }

    /// Opens a name where the mount may be read-only or deny links.
    fn open_plain(
        &self,
        dir: &Place,
        name: Name<'_>,
        node: Option<usize>,
        mut options: OpenOptions,
    ) -> Result<Found<Place>> {
        let OpenOptions { create, exclusive, directory, truncate, write, .. } = options;
        options.follow = false;
        if (create || write || truncate) && (node.is_some() || self.mount_of(dir)?.read_only) {
            let found = match dir.directory.path_filestat(of(name), false) {
                Err(Errno::Noent) if create => return Err(Errno::Rofs),
                found => found?,
            };
            match found.filetype {
                _ if create && exclusive => return Err(Errno::Exist),
                Filetype::SymbolicLink => return Ok(Found::Link),
                Filetype::Directory => return Err(Errno::Isdir),
                _ if directory => return Err(Errno::Notdir),
                _ if write || truncate => return Err(Errno::Rofs),
                _ => (options.create, options.exclusive) = (false, false),
            }
        }
        match dir.directory.open(of(name), options) {
            Ok(opened) => self.opened(dir, opened, node),
            Err(Errno::Loop) => Ok(Found::Link),
            Err(errno) => Err(errno),
        }
    }

    fn open(&self, dir: &Place, name: Name<'_>, options: OpenOptions) -> Result<Found<Place>> {
        match self.spot(dir, name)? {
            Spot::Plain => self.open_plain(dir, name, None, options),
            Spot::Way(node) => self.open_plain(dir, name, Some(node), options),
            Spot::Mount { index, mount, node } => self.open_mount((index, mount, node), options),
        }
    }

    fn stat(&self, dir: &Place, name: Name<'_>) -> Result<Filestat> {
        match self.spot(dir, name)? {
            Spot::Plain | Spot::Way(_) => dir.directory.path_filestat(of(name), false),
            Spot::Mount { mount, .. } => mount.stat(),
        }
    }

    /// Checks that a name can be given to something new.
    fn check_vacant(&self, dir: &Place, name: Name<'_>) -> Result<()> {
        if !matches!(self.spot(dir, name)?, Spot::Plain) {
            return Err(Errno::Exist);
        }
        if self.mount_of(dir)?.read_only {
            return Err(match dir.directory.path_filestat(of(name), false) {
                Ok(_) => Errno::Exist,
                Err(Errno::Noent) => Errno::Rofs,
                Err(errno) => errno,
            });
        }
        Ok(())
    }
}

/// One directory in two places: a preopen, and a mount.
struct Shared(Arc<dyn Directory>);

impl Directory for Shared {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        self.0.open(path, options)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.0.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        self.0.path_filestat(path, follow)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.0.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        self.0.path_set_times(path, follow, times)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.0.entries(cookie, capacity, sink)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.0.create_directory(path)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        self.0.remove_directory(path)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        self.0.unlink_file(path)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        self.0.symlink(target, path)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        self.0.readlink(path, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        self.0.rename(old, to, new)
    }

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        self.0.link(old, follow, to, new)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn as_any(&self) -> &dyn Any {
        // Another directory looks for one of its own kind.
        self.0.as_any()
    }
}

/// A name that was checked, as a path.
fn of(name: Name<'_>) -> GuestPath<'_> {
    GuestPath::of_checked(name.as_bytes())
}

/// A directory in the tree of names, held open.
pub(super) struct Place {
    directory: Arc<dyn Directory>,
    /// Which mount it is in.
    mount: usize,
    /// Where it is, if anything is mounted below it.
    node: Option<usize>,
}

/// The names in all mounts of a tree.
#[derive(Clone)]
pub(super) struct Mounts(Arc<Space>);

impl Lookup for Mounts {
    type Dir = Place;

    fn read_link(&self, dir: &Place, name: Name<'_>) -> Result<Option<Link>> {
        match self.0.spot(dir, name)? {
            Spot::Plain | Spot::Way(_) => self.0.link(dir, name),
            Spot::Mount { .. } => Ok(None),
        }
    }

    fn enter(&self, dir: &Place, name: Name<'_>) -> Result<Entered<Place>> {
        self.0.enter(dir, name)
    }
}

impl Names for Mounts {
    type Removed = ();

    fn stat(&self, dir: &Place, name: Name<'_>) -> Result<Filestat> {
        self.0.stat(dir, name)
    }

    fn stat_directory(&self, dir: &Place) -> Result<Filestat> {
        dir.directory.filestat()
    }

    fn open(&self, dir: &Place, name: Name<'_>, options: OpenOptions) -> Result<Found<Place>> {
        self.0.open(dir, name, options)
    }

    fn create(
        &mut self,
        dir: &Place,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Found<Place>> {
        self.0.open(dir, name, options)
    }

    fn reopen(&self, dir: &Place, options: OpenOptions) -> Result<Place> {
        match dir.directory.open(HERE, OpenOptions { directory: true, ..options })? {
            Opened::Directory(directory) => {
                Ok(Place { directory: Arc::from(directory), mount: dir.mount, node: dir.node })
            }
            Opened::File(_) => Err(Errno::Notdir),
        }
    }

    fn set_times(&mut self, dir: &Place, name: Name<'_>, times: SetTimes) -> Result<()> {
        match self.0.spot(dir, name)? {
            Spot::Plain | Spot::Way(_) => {
                if self.0.mount_of(dir)?.read_only {
                    dir.directory.path_filestat(of(name), false)?;
                    return Err(Errno::Rofs);
                }
                dir.directory.path_set_times(of(name), false, times)
            }
            Spot::Mount { mount, .. } if mount.read_only => Err(Errno::Rofs),
            Spot::Mount { mount, .. } if mount.is_file => {
                mount.directory.path_set_times(HERE, false, times)
            }
            Spot::Mount { mount, .. } => mount.directory.set_times(times),
        }
    }

    fn set_directory_times(&mut self, dir: &Place, times: SetTimes) -> Result<()> {
        self.0.check_writable(dir)?;
        dir.directory.set_times(times)
    }

    fn create_directory(&mut self, dir: &Place, name: Name<'_>) -> Result<()> {
        self.0.check_vacant(dir, name)?;
        dir.directory.create_directory(of(name))
    }

    fn create_link(&mut self, dir: &Place, name: Name<'_>, text: &[u8], _: bool) -> Result<()> {
        if self.0.mount_of(dir)?.no_symlinks {
            return Err(Errno::Perm);
        }
        self.0.check_vacant(dir, name)?;
        dir.directory.symlink(text, of(name))
    }

    fn link_text(&self, dir: &Place, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        match self.0.spot(dir, name)? {
            Spot::Plain | Spot::Way(_) => dir.directory.readlink(of(name), room),
            Spot::Mount { .. } => Err(Errno::Inval),
        }
    }

    // Mount points and the directories on their way cannot be removed or renamed.

    fn remove_directory(&mut self, dir: &Place, name: Name<'_>) -> Result<()> {
        match self.0.spot(dir, name)? {
            Spot::Plain => {
                self.0.check_writable(dir)?;
                dir.directory.remove_directory(of(name))
            }
            Spot::Way(_) => {
                self.0.check_writable(dir)?;
                match dir.directory.path_filestat(of(name), false)?.filetype {
                    Filetype::Directory => Err(Errno::Notempty),
                    _ => Err(Errno::Notdir),
                }
            }
            Spot::Mount { mount, .. } if mount.is_file => Err(Errno::Notdir),
            Spot::Mount { .. } => Err(Errno::Busy),
        }
    }

    fn unlink(&mut self, dir: &Place, name: Name<'_>) -> Result<()> {
        match self.0.spot(dir, name)? {
            Spot::Plain => {
                self.0.check_writable(dir)?;
                dir.directory.unlink_file(of(name))
            }
            Spot::Way(_) => {
                self.0.check_writable(dir)?;
                match dir.directory.path_filestat(of(name), false)?.filetype {
                    Filetype::Directory => Err(Errno::Isdir),
                    _ => Err(Errno::Busy),
                }
            }
            Spot::Mount { mount, .. } if mount.is_file => Err(Errno::Busy),
            Spot::Mount { .. } => Err(Errno::Isdir),
        }
    }

    fn rename(
        &mut self,
        (from, old): (&Place, Name<'_>),
        (into, new): (&Walk<'_, Self>, Name<'_>),
    ) -> Result<()> {
        let to = into.dir();
        if from.mount != to.mount {
            return Err(Errno::Xdev);
        }
        if !matches!(self.0.spot(from, old)?, Spot::Plain) {
            return Err(Errno::Busy);
        }
        if !matches!(self.0.spot(to, new)?, Spot::Plain) {
            from.directory.path_filestat(of(old), false)?;
            return Err(Errno::Busy);
        }
        self.0.check_writable(from)?;
        from.directory.rename(of(old), &*to.directory, of(new))
    }

    fn link(
        &mut self,
        (from, old): (&Place, Name<'_>),
        (into, new): (&Place, Name<'_>),
    ) -> Result<()> {
        if from.mount != into.mount || matches!(self.0.spot(from, old)?, Spot::Mount { .. }) {
            return Err(Errno::Xdev);
        }
        self.0.check_writable(from)?;
        if !matches!(self.0.spot(into, new)?, Spot::Plain) {
            from.directory.path_filestat(of(old), false)?;
            return Err(Errno::Exist);
        }
        from.directory.link(of(old), false, &*into.directory, of(new))
    }

    fn open_below(
        &self,
        base: Base<'_, Place>,
        path: &[u8],
        options: OpenOptions,
    ) -> Option<Result<Found<Place>>> {
        let space = &*self.0;
        let changes = options.create || options.write || options.truncate;
        space.below(base.dir, path, |place, path| {
            if changes && space.mount_of(place)?.read_only {
                // The walk finds out which error it is, by the kind of file that stands there.
                return Err(Errno::Notcapable);
            }
            space.opened(place, place.directory.open(path, options)?, None)
        })
    }

    fn stat_below(
        &self,
        base: Base<'_, Place>,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Filestat>> {
        self.0.below(base.dir, path, |place, path| place.directory.path_filestat(path, follow))
    }

    fn enter_below(&self, base: Base<'_, Place>, path: &[u8]) -> Option<Result<Place>> {
        self.0.below(base.dir, path, |place, path| {
            match place.directory.open(path, OpenOptions { follow: true, ..ENTER })? {
                Opened::Directory(directory) => {
                    Ok(Place { directory: Arc::from(directory), mount: place.mount, node: None })
                }
                Opened::File(_) => Err(Errno::Notdir),
            }
        })
    }
}

/// An open directory in a tree of mounts.
pub(super) struct MountedDirectory {
    mounts: Mounts,
    place: Place,
}

impl Backend for MountedDirectory {
    type Dir = Place;
    type Names = Mounts;

    fn names(&self) -> impl Deref<Target = Mounts> {
        &self.mounts
    }

    fn names_mut(&self) -> impl DerefMut<Target = Mounts> {
        Unlocked(self.mounts.clone())
    }

    fn dir(&self) -> &Place {
        &self.place
    }

    fn open(&self, names: &Mounts, dir: Place) -> Self {
        Self { mounts: names.clone(), place: dir }
    }

    fn has_files_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mounts.0, &other.mounts.0)
    }

    fn filestat(&self) -> Result<Filestat> {
        self.place.directory.filestat()
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.mounts.0.check_writable(&self.place)?;
        self.place.directory.set_times(times)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let (space, place) = (&*self.mounts.0, &self.place);
        let Some(node) = place.node.and_then(|node| space.nodes.get(node)) else {
            return place.directory.entries(cookie, capacity, sink);
        };
        if cookie < MOUNT_COOKIES {
            let mut own = Own { space, node, sink, stopped: false, failed: None };
            place.directory.entries(cookie, capacity, &mut own)?;
            if let Some(errno) = own.failed {
                return Err(errno);
            }
            if own.stopped {
                return Ok(());
            }
        }
        // Mount points come behind the directory's own entries, each at its place among all of them
        // whether or not it is shown.
        let from = usize::try_from(cookie.saturating_sub(MOUNT_COOKIES)).unwrap_or(usize::MAX);
        for (at, (name, index)) in node.children.iter().enumerate().skip(from) {
            let child = space.nodes.get(*index).ok_or(Errno::Io)?;
            let mount = match child.mount {
                Some(mount) => space.mounts.get(mount).ok_or(Errno::Io)?,
                None => match space.spot(place, Name::new::<Mounts>(name, false)?)? {
                    Spot::Mount { mount, .. } => mount,
                    Spot::Plain | Spot::Way(_) => continue,
                },
            };
            let ino = match mount.stat() {
                Ok(stat) => stat.ino,
                Err(Errno::Ask) => return Err(Errno::Ask),
                Err(_) => FIRST_INO.saturating_add(*index as u64),
            };
            let next = MOUNT_COOKIES.saturating_add(at as u64).saturating_add(1);
            if !sink.entry(name, ino, mount.filetype(), next) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.place.directory.sync()
    }
}

/// Takes a directory's own entries, without those that a mount covers.
struct Own<'a> {
    space: &'a Space,
    node: &'a Node,
    sink: &'a mut dyn EntrySink,
    stopped: bool,
    failed: Option<Errno>,
}

impl EntrySink for Own<'_> {
    fn entry(&mut self, name: &[u8], ino: u64, filetype: Filetype, next: u64) -> bool {
        let child = self.node.children.get(name).and_then(|index| self.space.nodes.get(*index));
        if child.is_some_and(|child| {
            child.mount.is_some()
                || !matches!(filetype, Filetype::Directory | Filetype::SymbolicLink)
        }) {
            return true;
        }
        if next >= MOUNT_COOKIES {
            self.failed = Some(Errno::Overflow);
            return false;
        }
        self.stopped = !self.sink.entry(name, ino, filetype, next);
        !self.stopped
    }
}
