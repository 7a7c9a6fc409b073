//! The meaning of a call on a path, for every backend: which component the call is about, what `.`,
//! `..` and a slash at the end mean there, which symbolic links are followed, and which of two
//! errors a guest sees.
//!
//! A backend has operations on one name in a held directory, none of which follows a link
//! ([`Names`]), and the operations of an open directory itself ([`Backend`]). [`Contained`] is the
//! [`Directory`] above them. Linux is the measure: its outcomes, in its order.

use super::walk::{Base, End, Lookup, Name, Walk};
use super::{
    Directory, EntrySink, File, GuestPath, OpenOptions, Opened, Result, SetTime, SetTimes, Split,
};
use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use std::any::Any;
use std::ops::{Deref, DerefMut};

/// How many times a call tries to open or to stat what a path leads to: once for each link that it
/// may follow, and some for names that turned into links and back meanwhile.
const RACE_LIMIT: u32 = 64;

/// An object that was opened by its name.
pub(super) enum Found<D> {
    /// A directory.
    Directory(D),
    /// Anything else that can be opened.
    File(Box<dyn File>),
    /// A symbolic link, which is not opened.
    Link,
}

/// Operations on one name in a held directory. None of them follows a symbolic link.
pub(super) trait Names: Lookup + Sized {
    /// The rest of a file when its last name is removed. The caller drops it after unlocking the
    /// names, because that may take long.
    type Removed;

    /// Whether a symbolic link is of one kind if it leads to a directory, and of another if not.
    const LINKS_HAVE_KINDS: bool = false;

    /// The attributes of the object with a name.
    fn stat(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Filestat>;

    /// The attributes of a directory.
    fn stat_directory(&self, dir: &Self::Dir) -> Result<Filestat>;

    /// When the object with a name was made: see [`Directory::path_born`].
    fn born(&self, dir: &Self::Dir, name: Name<'_>) -> Option<Timestamp> {
        let (_, _) = (dir, name);
        None
    }

    /// Opens the object with a name. `options.create` is not set, and `options.follow` means
    /// nothing.
    fn open(
        &self,
        dir: &Self::Dir,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Found<Self::Dir>>;

    /// The same, where a file is made if the name is free.
    fn create(
        &mut self,
        dir: &Self::Dir,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Found<Self::Dir>>;

    /// Opens a directory once more, to be used by the guest.
    fn reopen(&self, dir: &Self::Dir, options: OpenOptions) -> Result<Self::Dir>;

    /// Sets times of the object with a name.
    fn set_times(&mut self, dir: &Self::Dir, name: Name<'_>, times: SetTimes) -> Result<()>;

    /// Sets times of a directory.
    fn set_directory_times(&mut self, dir: &Self::Dir, times: SetTimes) -> Result<()>;

    /// Makes a directory.
    fn create_directory(&mut self, dir: &Self::Dir, name: Name<'_>) -> Result<()>;

    /// Makes a symbolic link. `to_directory` is whether it leads to a directory, where links have
    /// kinds.
    fn create_link(
        &mut self,
        dir: &Self::Dir,
        name: Name<'_>,
        text: &[u8],
        to_directory: bool,
    ) -> Result<()>;

    /// Copies the text of a symbolic link, cut to the room, and returns how many bytes that are. Of
    /// anything else: `inval`.
    fn link_text(&self, dir: &Self::Dir, name: Name<'_>, room: &mut [u8]) -> Result<usize>;

    /// Removes an empty directory. Of anything else: `notdir`.
    fn remove_directory(&mut self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Removed>;

    /// Removes a name that is not a directory's: that is `isdir`.
    fn unlink(&mut self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Removed>;

    /// Renames a file or a directory to a name that is free, or whose object may be replaced.
    fn rename(
        &mut self,
        from: (&Self::Dir, Name<'_>),
        into: (&Walk<'_, Self>, Name<'_>),
    ) -> Result<Self::Removed>;

    /// Gives a file, or a symbolic link, a second name. Of a directory: `perm`.
    fn link(&mut self, from: (&Self::Dir, Name<'_>), into: (&Self::Dir, Name<'_>)) -> Result<()>;

    /// Opens the object that a path leads to, if the system itself keeps paths below a directory.
    /// `None`: it does not, so the path is walked.
    fn open_below(
        &self,
        base: Base<'_, Self::Dir>,
        path: &[u8],
        options: OpenOptions,
    ) -> Option<Result<Found<Self::Dir>>> {
        let (_, _, _) = (base, path, options);
        None
    }

    /// The attributes of the object that a path leads to, in the same way.
    fn stat_below(
        &self,
        base: Base<'_, Self::Dir>,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Filestat>> {
        let (_, _, _) = (base, path, follow);
        None
    }

    /// Opens the directory that a path leads to, only to find names in it, in the same way.
    fn enter_below(&self, base: Base<'_, Self::Dir>, path: &[u8]) -> Option<Result<Self::Dir>> {
        let (_, _) = (base, path);
        None
    }
}

/// An open directory of a backend.
pub(super) trait Backend: Send + Sync + Sized + 'static {
    /// A directory to find names in.
    type Dir;

    /// The operations on names.
    type Names: Names<Dir = Self::Dir>;

    /// The names, to look at: where they are behind a lock, nothing changes while this is held.
    fn names(&self) -> impl Deref<Target = Self::Names>;

    /// The names, to change.
    fn names_mut(&self) -> impl DerefMut<Target = Self::Names>;

    /// The directory.
    fn dir(&self) -> &Self::Dir;

    /// A directory that was found below this one, as one of its own.
    fn open(&self, names: &Self::Names, dir: Self::Dir) -> Self;

    /// Whether a file may have names in both directories.
    fn has_files_of(&self, other: &Self) -> bool {
        let _ = other;
        true
    }

    /// The directory's attributes.
    fn filestat(&self) -> Result<Filestat>;

    /// Sets times of the directory.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// [`Directory::entries`].
    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()>;

    /// Writes the directory to the device.
    fn sync(&self) -> Result<()>;

    /// [`Directory::mode`].
    fn mode(&self) -> Option<u32> {
        None
    }

    /// [`Directory::set_mode`].
    fn set_mode(&self, mode: u32) -> Result<()> {
        let _ = mode;
        Ok(())
    }
}

/// Names that need no lock, as the system has its own.
pub(super) struct Unlocked<N>(pub(super) N);

impl<N> Deref for Unlocked<N> {
    type Target = N;

    fn deref(&self) -> &N {
        &self.0
    }
}

impl<N> DerefMut for Unlocked<N> {
    fn deref_mut(&mut self) -> &mut N {
        &mut self.0
    }
}

/// An open directory of any backend, with all that is below it and nothing else.
pub(super) struct Contained<B> {
    backend: B,
    root: bool,
    no_symlinks: bool,
}

impl<B: Backend> Contained<B> {
    /// With `root`, the directory is a root: `..` stays at the top, and absolute links resolve
    /// inside. With `no_symlinks`, no symbolic link is followed or made.
    pub(super) fn new(backend: B, root: bool, no_symlinks: bool) -> Self {
        Self { backend, root, no_symlinks }
    }

    fn base(&self) -> Base<'_, B::Dir> {
        Base { dir: self.backend.dir(), root: self.root, no_symlinks: self.no_symlinks }
    }

    #[inline]
    fn walk<'a>(&'a self, path: &'a [u8], end: End) -> Walk<'a, B::Names> {
        Walk::new(self.base(), path, end)
    }

    /// Goes to the directory that the walk's path leads to.
    fn enter(&self, names: &B::Names, walk: &mut Walk<'_, B::Names>) -> Result<()> {
        if let Some(dir) = names.enter_below(self.base(), walk.path()) {
            walk.arrive(dir?);
        } else {
            walk.advance(names)?;
            walk.settle();
        }
        Ok(())
    }

    /// The walk to the directory that holds a path's last component.
    #[inline]
    fn walk_to_parent<'a>(&'a self, split: &Split<'a>) -> Walk<'a, B::Names> {
        self.walk(split.parent.map_or(&[], GuestPath::as_bytes), End::Directory)
    }

    /// Goes to the directory that holds a path's last component, and checks that. With `is_new`,
    /// something is to be made there.
    fn last_name<'a>(
        &self,
        names: &B::Names,
        walk: &mut Walk<'_, B::Names>,
        split: &Split<'a>,
        is_new: bool,
    ) -> Result<Name<'a>> {
        if split.parent.is_some() {
            self.enter(names, walk)?;
        }
        Name::new::<B::Names>(split.name, is_new)
    }

    /// The error for a path that can only be a directory's, in a call that is not for directories,
    /// or not for `.` and `..`: `errno`, unless the path leads outside or nowhere.
    fn refuse(&self, names: &B::Names, path: GuestPath<'_>, errno: Errno) -> Errno {
        self.enter(names, &mut self.walk(path.as_bytes(), End::Directory)).err().unwrap_or(errno)
    }

    /// The error for a trailing slash where something other than a directory is to be made. It
    /// depends on whether the name is taken. The slash is never handed to the host, because some
    /// systems follow a link before a slash.
    fn refuse_slash(names: &B::Names, dir: &B::Dir, name: Name<'_>) -> Errno {
        names.stat(dir, name).err().unwrap_or(Errno::Exist)
    }

    /// [`Directory::path_filestat`] of more than one name. Out of line, so that one name does not
    /// pay for the room of a walk.
    #[inline(never)]
    fn stat_path(
        &self,
        names: &B::Names,
        path: GuestPath<'_>,
        follow: bool,
        is_link: bool,
    ) -> Result<Filestat> {
        match names.stat_below(self.base(), path.as_bytes(), follow) {
            Some(stat) => stat,
            None => self.stat_by_walking(names, path, follow, is_link),
        }
    }

    /// The other directory of an operation on two.
    ///
    /// Nothing is moved or linked between two directories of which only one denies symbolic links.
    /// Otherwise a link could come into the one that denies them, also later, through a directory
    /// that was opened on the other side and then moved.
    fn beside<'a>(&self, other: &'a dyn Directory) -> Result<&'a Self> {
        let other: &Self = other.as_any().downcast_ref().ok_or(Errno::Xdev)?;
        if self.no_symlinks == other.no_symlinks && self.backend.has_files_of(&other.backend) {
            Ok(other)
        } else {
            Err(Errno::Xdev)
        }
    }

    /// Refuses a symbolic link where links are denied. A link that the host has made may lead
    /// elsewhere when it has another name.
    fn check_no_link(&self, stat: &Filestat) -> Result<()> {
        if self.no_symlinks && stat.filetype == Filetype::SymbolicLink {
            Err(Errno::Perm)
        } else {
            Ok(())
        }
    }

    /// [`Directory::open`]. `open` opens one name.
    #[inline]
    fn open_path<G: Deref<Target = B::Names>>(
        &self,
        mut names: G,
        path: GuestPath<'_>,
        options: OpenOptions,
        open: impl Fn(&mut G, &B::Dir, Name<'_>) -> Result<Found<B::Dir>>,
    ) -> Result<Opened> {
        let mut may_be_link = false;
        if let Some(name) = Name::of_path::<B::Names>(path, options.create)? {
            match open(&mut names, self.backend.dir(), name) {
                // A link is no directory, so one may have caused `notdir`.
                Ok(Found::Link) | Err(Errno::Notdir) if options.follow => may_be_link = true,
                found => return self.opened(&names, found?, options),
            }
        }
        let found = match names.open_below(self.base(), path.as_bytes(), options) {
            Some(found) => found?,
            None => self.open_by_walking(&mut names, path, options, may_be_link, open)?,
        };
        self.opened(&names, found, options)
    }

    /// The same, one name at a time. With `may_be_link`, the path is one name, which seems to be a
    /// symbolic link's.
    pub(super) fn open_by_walking<G: Deref<Target = B::Names>>(
        &self,
        names: &mut G,
        path: GuestPath<'_>,
        options: OpenOptions,
        mut may_be_link: bool,
        open: impl Fn(&mut G, &B::Dir, Name<'_>) -> Result<Found<B::Dir>>,
    ) -> Result<Found<B::Dir>> {
        // With `exclusive` a link is not followed: its name exists already.
        let follow = options.follow && !(options.create && options.exclusive);
        let mut walk = self.walk(path.as_bytes(), if options.create { End::New } else { End::Any });
        walk.advance(names)?;
        for _ in 0..RACE_LIMIT {
            if may_be_link && !walk.follow(names)? && options.directory {
                return Err(Errno::Notdir);
            }
            let Some(name) = walk.name() else {
                return if options.create && options.exclusive {
                    Err(Errno::Exist)
                } else if options.create || options.write || options.truncate {
                    Err(Errno::Isdir)
                } else {
                    names.reopen(walk.dir(), options).map(Found::Directory)
                };
            };
            match open(names, walk.dir(), name) {
                Ok(Found::Link) if follow => {}
                // Some systems say no more of a link.
                Err(Errno::Notdir) if follow && options.directory => {}
                found => return found,
            }
            may_be_link = true;
        }
        Err(Errno::Loop)
    }

    fn opened(
        &self,
        names: &B::Names,
        found: Found<B::Dir>,
        options: OpenOptions,
    ) -> Result<Opened> {
        match found {
            Found::File(file) => Ok(Opened::File(file)),
            // Only the preopen itself is the guest's `/`. From a directory below it, `..` above
            // that directory is refused.
            Found::Directory(dir) => Ok(Opened::Directory(Box::new(Self::new(
                self.backend.open(names, dir),
                false,
                self.no_symlinks,
            )))),
            Found::Link => Err(if options.directory { Errno::Notdir } else { Errno::Loop }),
        }
    }

    /// [`Directory::path_filestat`], one name at a time. With `is_link`, the path is one name, a
    /// symbolic link's.
    pub(super) fn stat_by_walking(
        &self,
        names: &B::Names,
        path: GuestPath<'_>,
        follow: bool,
        mut is_link: bool,
    ) -> Result<Filestat> {
        let mut walk = self.walk(path.as_bytes(), End::Any);
        walk.advance(names)?;
        for _ in 0..RACE_LIMIT {
            if is_link {
                walk.follow(names)?;
            }
            let Some(name) = walk.name() else { return names.stat_directory(walk.dir()) };
            let stat = names.stat(walk.dir(), name)?;
            is_link = stat.filetype == Filetype::SymbolicLink;
            if !follow || !is_link {
                return Ok(stat);
            }
        }
        Err(Errno::Loop)
    }

    /// Whether a symbolic link with this text would lead to a directory if it stood at `split`. Its
    /// present target counts, if that lies inside.
    fn leads_to_directory(&self, names: &B::Names, split: &Split<'_>, text: &[u8]) -> bool {
        let whole = match split.parent {
            Some(parent) if !text.starts_with(b"/") => [parent.as_bytes(), b"/", text].concat(),
            _ => text.to_vec(),
        };
        self.walk(&whole, End::Directory).advance(names).is_ok()
    }
}

impl<B: Backend> Directory for Contained<B> {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        match (options.create, options.directory) {
            (true, true) => Err(Errno::Inval),
            (true, false) => {
                self.open_path(self.backend.names_mut(), path, options, |names, dir, name| {
                    names.create(dir, name, options)
                })
            }
            (false, _) => {
                self.open_path(self.backend.names(), path, options, |names, dir, name| {
                    names.open(dir, name, options)
                })
            }
        }
    }

    fn filestat(&self) -> Result<Filestat> {
        self.backend.filestat()
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        let names = self.backend.names();
        let mut is_link = false;
        if let Some(name) = Name::of_path::<B::Names>(path, false)? {
            let stat = names.stat(self.backend.dir(), name)?;
            is_link = stat.filetype == Filetype::SymbolicLink;
            if !follow || !is_link {
                return Ok(stat);
            }
        }
        self.stat_path(&names, path, follow, is_link)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.backend.set_times(times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        let mut names = self.backend.names_mut();
        let mut place = self.walk(path.as_bytes(), End::Any);
        place.advance(&names)?;
        if follow {
            place.follow_all(&names)?;
        }
        // A host that may change nothing may not even look whether there is such a file.
        let keeps = times == (SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep });
        match place.name() {
            Some(name) if keeps => names.stat(place.dir(), name).map(drop),
            Some(name) => names.set_times(place.dir(), name, times),
            None if keeps => Ok(()),
            None => names.set_directory_times(place.dir(), times),
        }
    }

    fn path_born(&self, path: GuestPath<'_>) -> Option<Timestamp> {
        let names = self.backend.names();
        let split = path.split();
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, false).ok()?;
        names.born(walk.dir(), name)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.backend.entries(cookie, capacity, sink)
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.backend.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse(&names, path, Errno::Exist));
        }
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, true)?;
        names.create_directory(walk.dir(), name)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.backend.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse(
                &names,
                path,
                if split.name == b"." { Errno::Inval } else { Errno::Notempty },
            ));
        }
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, false)?;
        let removed = names.remove_directory(walk.dir(), name);
        drop(names);
        removed.map(drop)
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        let mut names = self.backend.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse(&names, path, Errno::Isdir));
        }
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, false)?;
        if split.trailing_slash {
            let stat = names.stat(walk.dir(), name)?;
            return Err(if stat.filetype == Filetype::Directory {
                Errno::Isdir
            } else {
                Errno::Notdir
            });
        }
        let removed = names.unlink(walk.dir(), name);
        drop(names);
        removed.map(drop)
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        if self.no_symlinks {
            return Err(Errno::Perm);
        }
        let mut names = self.backend.names_mut();
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse(&names, path, Errno::Exist));
        }
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, true)?;
        if split.trailing_slash {
            return Err(Self::refuse_slash(&names, walk.dir(), name));
        }
        let to_directory =
            B::Names::LINKS_HAVE_KINDS && self.leads_to_directory(&names, &split, target);
        names.create_link(walk.dir(), name, target, to_directory)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        let names = self.backend.names();
        let split = path.split();
        if split.is_dots() || split.trailing_slash {
            return Err(self.refuse(&names, path, Errno::Inval));
        }
        let mut walk = self.walk_to_parent(&split);
        let name = self.last_name(&names, &mut walk, &split, false)?;
        names.link_text(walk.dir(), name, text)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        let to = self.beside(to)?;
        let mut names = self.backend.names_mut();
        let (from, into) = (old.split(), new.split());
        if from.is_dots() {
            return Err(self.refuse(&names, old, Errno::Busy));
        }
        if into.is_dots() {
            return Err(to.refuse(&names, new, Errno::Busy));
        }
        let (mut old_walk, mut new_walk) = (self.walk_to_parent(&from), to.walk_to_parent(&into));
        let old_name = self.last_name(&names, &mut old_walk, &from, false)?;
        let new_name = to.last_name(&names, &mut new_walk, &into, true)?;
        let only_directory = from.trailing_slash || into.trailing_slash;
        if only_directory || self.no_symlinks {
            let stat = names.stat(old_walk.dir(), old_name)?;
            if only_directory && stat.filetype != Filetype::Directory {
                return Err(Errno::Notdir);
            }
            self.check_no_link(&stat)?;
        }
        let replaced = names.rename((old_walk.dir(), old_name), (&new_walk, new_name));
        drop(names);
        replaced.map(drop)
    }

    fn link(
        &self,
        old: GuestPath<'_>,
        follow: bool,
        to: &dyn Directory,
        new: GuestPath<'_>,
    ) -> Result<()> {
        let to = self.beside(to)?;
        let mut names = self.backend.names_mut();
        let (from, into) = (old.split(), new.split());
        // In Linux's order: the old name, the new name's directory, the new name, and last whether
        // the file can have another name.
        let mut place = self.walk(old.as_bytes(), End::Any);
        let is_directory = from.is_dots() || from.trailing_slash;
        if is_directory {
            let errno = self.refuse(&names, old, Errno::Perm);
            if errno != Errno::Perm {
                return Err(errno);
            }
        } else {
            place.advance(&names)?;
            if follow {
                place.follow_all(&names)?;
            }
            place.settle();
        }
        let source = if is_directory { None } else { place.name() };
        // The old name is looked up here only where the new name is wrong: otherwise the link
        // itself finds it missing.
        let refuse =
            |errno| source.and_then(|name| names.stat(place.dir(), name).err()).unwrap_or(errno);
        if into.is_dots() {
            return Err(refuse(to.refuse(&names, new, Errno::Exist)));
        }
        let mut new_walk = to.walk_to_parent(&into);
        let new_name = to.last_name(&names, &mut new_walk, &into, true).map_err(refuse)?;
        if into.trailing_slash {
            return Err(refuse(Self::refuse_slash(&names, new_walk.dir(), new_name)));
        }
        let Some(name) = source else {
            // A directory has no second name.
            return Err(match names.stat(new_walk.dir(), new_name) {
                Ok(_) => Errno::Exist,
                Err(Errno::Noent) => Errno::Perm,
                Err(errno) => errno,
            });
        };
        if self.no_symlinks {
            self.check_no_link(&names.stat(place.dir(), name)?)?;
        }
        names.link((place.dir(), name), (new_walk.dir(), new_name))
    }

    fn sync(&self) -> Result<()> {
        self.backend.sync()
    }

    fn mode(&self) -> Option<u32> {
        self.backend.mode()
    }

    fn set_mode(&self, mode: u32) -> Result<()> {
        self.backend.set_mode(mode)
    }

    fn without_links(&self) -> Result<Box<dyn Directory>> {
        let names = self.backend.names();
        let options = OpenOptions { directory: true, ..OpenOptions::READ };
        let dir = names.reopen(self.backend.dir(), options)?;
        Ok(Box::new(Self::new(self.backend.open(&names, dir), self.root, true)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
