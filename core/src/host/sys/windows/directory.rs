//! Host directories.

use super::call::{self, Entry, Kind, SHARE_ALL};
use super::file::DiskFile;
use super::resolve::{self, Base, Place, RACE_LIMIT};
use super::walk::{Last, walk};
use super::{link, names};
use crate::abi::{Errno, Fdflags, Filestat, Filetype};
use crate::host::{Directory, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTime, SetTimes, Split, from_io};
use cap_std::fs::Dir;
use std::any::Any;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_FLAG_WRITE_THROUGH, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES,
};

/// The words of directory entries that are fetched at once.
const LISTING_WORDS: usize = 4096;

/// A directory of the host.
pub(super) struct HostDirectory {
    dir: Dir,
    root: bool,
    no_symlinks: bool,
    listing: Mutex<Listing>,
}

/// Where a listing stands. Windows has no cookies, so those of a guest count the entries: 1 is behind `.`, 2 behind `..`.
#[derive(Default)]
struct Listing {
    /// What was fetched last. Kept so that a listing that goes on does not begin anew, whatever was removed meanwhile.
    entries: Vec<Entry>,
    /// The cookie at which the first of them begins.
    first: u64,
    /// The directory once more, whose cursor is behind them. `None`: nothing was fetched.
    cursor: Option<OwnedHandle>,
}

/// The cookie behind `.` and `..`.
const BEHIND_DOTS: u64 = 2;

/// What a name turned out to be.
enum Found {
    /// This, opened.
    Opened(Opened),
    /// A link.
    Link,
}

impl HostDirectory {
    pub(super) fn new(dir: Dir, root: bool, no_symlinks: bool) -> Self {
        Self { dir, root, no_symlinks, listing: Mutex::default() }
    }

    fn base(&self) -> Base<'_> {
        Base { dir: &self.dir, root: self.root, no_symlinks: self.no_symlinks }
    }

    /// The other directory of an operation on two.
    ///
    /// Where only one of them denies symbolic links, nothing goes from the one into the other: a link would come in, also later, through
    /// a directory that was opened on the other side and then moved.
    fn beside<'a>(&self, other: &'a dyn Directory) -> Result<&'a Self> {
        let other: &Self = other.as_any().downcast_ref().ok_or(Errno::Xdev)?;
        if self.no_symlinks == other.no_symlinks { Ok(other) } else { Err(Errno::Xdev) }
    }

    /// Refuses a symbolic link where there are to be none: one that the host has made says something else under another name.
    fn check_no_link(&self, kind: Kind) -> Result<()> {
        if self.no_symlinks && kind == Kind::Link { Err(Errno::Perm) } else { Ok(()) }
    }

    /// The directory that holds a path's last component. What is done to the name in it must not follow a link.
    fn parent(&self, split: &Split<'_>) -> Result<Place<'_>> {
        resolve::open_directory(&self.base(), split.parent.map_or(b".", GuestPath::as_bytes))
    }

    /// The last component, which something is to be made under.
    fn new_name<'a>(split: &Split<'a>) -> Result<&'a str> {
        let name = str::from_utf8(split.name).map_err(|_| Errno::Ilseq)?;
        names::check_new(name).map(|()| name)
    }

    /// The last component, which something stands under.
    fn name<'a>(split: &Split<'a>) -> Result<&'a str> {
        let name = str::from_utf8(split.name).map_err(|_| Errno::Ilseq)?;
        names::check(name).map(|()| name)
    }

    /// For a path that ends in `.` or `..`: `errno`, unless the path leads outside or nowhere.
    fn refuse_dots(&self, path: GuestPath<'_>, errno: Errno) -> Errno {
        resolve::open_directory(&self.base(), path.as_bytes()).err().unwrap_or(errno)
    }

    /// What a trailing slash means where something other than a directory is to be made: what stands there decides the errno.
    fn refuse_slash(parent: &Dir, name: &str) -> Errno {
        match kind_of_name(parent, name) {
            Ok(Kind::Directory) => Errno::Exist,
            Ok(_) => Errno::Notdir,
            Err(errno) => errno,
        }
    }

    /// A handle on what a path leads to, whatever it is.
    fn handle_on(&self, path: GuestPath<'_>, follow: bool, access: u32) -> Result<OwnedHandle> {
        for _ in 0..RACE_LIMIT {
            let place = walk(&self.base(), path.as_bytes(), Last { follow, create: false })?;
            let Some(name) = &place.name else {
                return call::reopen(place.dir().as_handle(), access, SHARE_ALL);
            };
            let handle = resolve::open_name(place.dir(), name, access, SHARE_ALL)?;
            // What was no link a moment ago may be one now.
            if !follow || call::kind(handle.as_handle())? != Kind::Link {
                return Ok(handle);
            }
        }
        Err(Errno::Loop)
    }

    fn opened_directory(&self, dir: Dir) -> Opened {
        // Only the preopen is what the guest calls `/`: from a directory below it, `..` above that directory is refused.
        Opened::Directory(Box::new(Self::new(dir, false, self.no_symlinks)))
    }

    /// Opens a name as a file, or makes one.
    fn open_file(dir: &Dir, name: &str, options: OpenOptions) -> Result<Found> {
        let mut access = FILE_READ_ATTRIBUTES;
        if options.read || !options.write {
            access |= FILE_GENERIC_READ;
        }
        if options.write || options.truncate {
            access |= FILE_GENERIC_WRITE;
        }
        let writes_through = options.flags.intersects(Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC);
        let mut host = resolve::options(access, if writes_through { FILE_FLAG_WRITE_THROUGH } else { 0 });
        // The host wants this of whoever creates; what counts is the access.
        host.write(true).create(options.create).create_new(options.create && options.exclusive);
        let handle = resolve::open_options(dir, name, &host)?;
        if call::kind(handle.as_handle())? == Kind::Link {
            return Ok(Found::Link);
        }
        if options.truncate {
            // Not as it is opened: that would have cut what turns out to be a link.
            call::set_size(handle.as_handle(), 0)?;
        }
        Ok(Found::Opened(Opened::File(Box::new(DiskFile::owned(handle)))))
    }

    /// Opens a name that is no file, or may be none.
    fn open_other(&self, dir: &Dir, name: &str, options: OpenOptions) -> Result<Found> {
        let handle = match resolve::open_name(dir, name, FILE_GENERIC_READ, SHARE_ALL) {
            // A directory that may be searched and not read is still good for paths, as is what a look at its kind is for.
            Err(Errno::Acces) => resolve::open_name(dir, name, FILE_READ_ATTRIBUTES, SHARE_ALL)?,
            handle => handle?,
        };
        match call::kind(handle.as_handle())? {
            Kind::Link => Ok(Found::Link),
            Kind::File if options.directory => Err(Errno::Notdir),
            Kind::File => Err(Errno::Acces),
            Kind::Directory if options.create && options.exclusive => Err(Errno::Exist),
            Kind::Directory if options.create || options.write || options.truncate => Err(Errno::Isdir),
            Kind::Directory => Ok(Found::Opened(self.opened_directory(Dir::from_std_file(handle.into())))),
        }
    }

    /// The directory itself is to be opened.
    fn open_place(&self, place: &Place<'_>, options: OpenOptions) -> Result<Opened> {
        if options.create && options.exclusive {
            return Err(Errno::Exist);
        }
        if options.create || options.write || options.truncate {
            return Err(Errno::Isdir);
        }
        resolve::open_self(place.dir()).map(|dir| self.opened_directory(dir))
    }
}

fn kind_of_name(dir: &Dir, name: &str) -> Result<Kind> {
    call::kind(resolve::open_name(dir, name, FILE_READ_ATTRIBUTES, SHARE_ALL)?.as_handle())
}

/// Makes sure that a directory stays where it is, for the two calls that need its path: a handle that does not share the right to
/// remove keeps it, and all above it, from being renamed.
fn pin(dir: &Dir) -> Result<Dir> {
    let handle = call::reopen(dir.as_handle(), FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE)?;
    Ok(Dir::from_std_file(handle.into()))
}

impl Directory for HostDirectory {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        // What must not exist is not looked for behind a link: that is there already.
        let follow = options.follow && !(options.create && options.exclusive);
        for _ in 0..RACE_LIMIT {
            let place = walk(&self.base(), path.as_bytes(), Last { follow, create: options.create })?;
            let Some(name) = &place.name else { return self.open_place(&place, options) };
            let found = if options.directory {
                self.open_other(place.dir(), name, options)?
            } else {
                match Self::open_file(place.dir(), name, options) {
                    // Windows says this of a directory, too.
                    Err(Errno::Acces | Errno::Isdir) => self.open_other(place.dir(), name, options)?,
                    found => found?,
                }
            };
            match found {
                Found::Opened(opened) => return Ok(opened),
                // What was no link a moment ago is one now.
                Found::Link if follow => {}
                Found::Link if options.directory => return Err(Errno::Notdir),
                Found::Link => return Err(Errno::Loop),
            }
        }
        Err(Errno::Loop)
    }

    fn filestat(&self) -> Result<Filestat> {
        call::filestat(self.dir.as_handle())
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        call::filestat(self.handle_on(path, follow, FILE_READ_ATTRIBUTES)?.as_handle())
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        call::set_times(self.dir.as_handle(), times)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        let keep = times == (SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep });
        // There has to be such a file all the same.
        let access = if keep { FILE_READ_ATTRIBUTES } else { FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES };
        call::set_times(self.handle_on(path, follow, access)?.as_handle(), times)
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie < BEHIND_DOTS {
            // What lies above may be outside: as in the root of a file system, `..` is the directory itself.
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

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Exist));
        }
        let parent = self.parent(&split)?;
        let name = Self::new_name(&split)?;
        pin(parent.dir())?.create_dir(name).map_err(|error| from_io(&error))
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, if split.name == b"." { Errno::Inval } else { Errno::Notempty }));
        }
        let parent = self.parent(&split)?;
        let name = Self::name(&split)?;
        if kind_of_name(parent.dir(), name)? != Kind::Directory {
            return Err(Errno::Notdir);
        }
        let handle = resolve::open_name(parent.dir(), name, DELETE | FILE_READ_ATTRIBUTES, SHARE_ALL)?;
        if call::kind(handle.as_handle())? != Kind::Directory {
            return Err(Errno::Notdir);
        }
        call::remove(handle.as_handle())
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Isdir));
        }
        let parent = self.parent(&split)?;
        let name = Self::name(&split)?;
        let kind = kind_of_name(parent.dir(), name)?;
        match (kind, split.trailing_slash) {
            (Kind::Directory, _) => return Err(Errno::Isdir),
            (_, true) => return Err(Errno::Notdir),
            (_, false) => {}
        }
        let handle = resolve::open_name(parent.dir(), name, DELETE | FILE_READ_ATTRIBUTES, SHARE_ALL)?;
        if call::kind(handle.as_handle())? == Kind::Directory {
            return Err(Errno::Isdir);
        }
        call::remove(handle.as_handle())
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        if self.no_symlinks {
            return Err(Errno::Perm);
        }
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Exist));
        }
        let text = link::from_guest(target)?;
        let parent = self.parent(&split)?;
        let name = Self::new_name(&split)?;
        if split.trailing_slash {
            return Err(Self::refuse_slash(parent.dir(), name));
        }
        // Windows has two kinds of links, for files and for directories. What the link leads to now, if that is inside, says which.
        let whole = [split.parent.map_or(&b""[..], GuestPath::as_bytes), b"/", target].concat();
        let whole = whole.strip_prefix(b"/").unwrap_or(&whole);
        let leads_to_directory = match walk(&self.base(), whole, Last { follow: true, create: false }) {
            Ok(place) => match &place.name {
                None => true,
                Some(name) => kind_of_name(place.dir(), name).is_ok_and(|kind| kind == Kind::Directory),
            },
            Err(_) => false,
        };
        let pinned = pin(parent.dir())?;
        if leads_to_directory { pinned.symlink_dir(text, name) } else { pinned.symlink_file(text, name) }.map_err(|error| from_io(&error))
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        let split = path.split();
        if split.is_dots() || split.trailing_slash {
            return Err(self.refuse_dots(path, Errno::Inval));
        }
        let parent = self.parent(&split)?;
        let name = Self::name(&split)?;
        let handle = resolve::open_name(parent.dir(), name, FILE_READ_ATTRIBUTES, SHARE_ALL)?;
        if call::kind(handle.as_handle())? != Kind::Link {
            return Err(Errno::Inval);
        }
        let link = call::read_link(handle.as_handle())?;
        let len = link.text.len().min(text.len());
        for (to, from) in text.iter_mut().zip(link.text.bytes()) {
            *to = from;
        }
        Ok(len)
    }

    fn rename(&self, old: GuestPath<'_>, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        let to = self.beside(to)?;
        let (from, into) = (old.split(), new.split());
        if from.is_dots() {
            return Err(self.refuse_dots(old, Errno::Busy));
        }
        if into.is_dots() {
            return Err(to.refuse_dots(new, Errno::Busy));
        }
        let (old_parent, new_parent) = (self.parent(&from)?, to.parent(&into)?);
        let (old_name, new_name) = (Self::name(&from)?, Self::new_name(&into)?);
        let source = resolve::open_name(old_parent.dir(), old_name, DELETE | FILE_READ_ATTRIBUTES, SHARE_ALL)?;
        let kind = call::kind(source.as_handle())?;
        if (from.trailing_slash || into.trailing_slash) && kind != Kind::Directory {
            return Err(Errno::Notdir);
        }
        self.check_no_link(kind)?;
        let identity = call::identity(source.as_handle())?;
        if kind == Kind::Directory && resolve::is_below(&new_parent, identity)? {
            return Err(Errno::Inval);
        }
        let mut replaced = false;
        match resolve::open_name(new_parent.dir(), new_name, FILE_READ_ATTRIBUTES, SHARE_ALL) {
            Err(Errno::Noent) => {}
            Err(errno) => return Err(errno),
            Ok(target) => {
                let target_kind = call::kind(target.as_handle())?;
                let same = call::identity(target.as_handle())? == identity;
                drop(target);
                match (kind, target_kind) {
                    // Two names of one file: nothing happens, unless they are one name in another case.
                    _ if same => {
                        let in_place = call::identity(old_parent.dir().as_handle())? == call::identity(new_parent.dir().as_handle())?
                            && old_name.to_lowercase() == new_name.to_lowercase();
                        if !in_place || old_name == new_name {
                            return Ok(());
                        }
                    }
                    (Kind::Directory, Kind::Directory) => {
                        // Windows does not replace a directory, and POSIX only an empty one.
                        let target = resolve::open_name(new_parent.dir(), new_name, DELETE | FILE_READ_ATTRIBUTES, SHARE_ALL)?;
                        if call::kind(target.as_handle())? != Kind::Directory {
                            return Err(Errno::Notdir);
                        }
                        call::remove(target.as_handle())?;
                        replaced = true;
                    }
                    (Kind::Directory, _) => return Err(Errno::Notdir),
                    (_, Kind::Directory) => return Err(Errno::Isdir),
                    _ => {}
                }
            }
        }
        let renamed = call::rename(source.as_handle(), new_parent.dir().as_handle(), new_name);
        if renamed.is_err() && replaced {
            // Another handle below the source, for one. The empty directory that had the name comes back.
            let _ = pin(new_parent.dir()).map(|parent| parent.create_dir(new_name));
        }
        renamed
    }

    fn link(&self, old: GuestPath<'_>, follow: bool, to: &dyn Directory, new: GuestPath<'_>) -> Result<()> {
        let to = self.beside(to)?;
        let (from, into) = (old.split(), new.split());
        if from.is_dots() || from.trailing_slash {
            // A directory, if it is anything; and those have no second name.
            return Err(self.refuse_dots(old, Errno::Perm));
        }
        if into.is_dots() {
            return Err(to.refuse_dots(new, Errno::Exist));
        }
        let handle = self.handle_on(old, follow, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)?;
        let parent = to.parent(&into)?;
        let name = Self::new_name(&into)?;
        if into.trailing_slash {
            return Err(Self::refuse_slash(parent.dir(), name));
        }
        let kind = call::kind(handle.as_handle())?;
        if kind == Kind::Directory {
            return Err(Errno::Perm);
        }
        self.check_no_link(kind)?;
        call::hard_link(handle.as_handle(), parent.dir().as_handle(), name)
    }

    fn sync(&self) -> Result<()> {
        call::flush(self.dir.as_handle())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
