//! Host directories.

use super::errno::from_rustix;
use super::file::{HostFile, Owned, Ownership};
use super::platform::{self, Listing};
use super::resolve::{self, Base};
use super::{Entry, filestat_of, filetype_of, timestamps};
use crate::abi::{Errno, Fdflags, Filestat, Filetype};
use crate::host::{Directory, EntrySink, GuestPath, OpenOptions, Opened, Result, SetTime, SetTimes, Split};
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno as Host;
use std::any::Any;
use std::fs::File as StdFile;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A directory of the host.
pub(super) struct HostDirectory {
    dir: Dir,
    root: bool,
    no_symlinks: bool,
    listing: Listing,
    /// Its own serial number once it was asked for. 0 is none that a file has.
    ino: AtomicU64,
}

/// The directory that holds a path's last component.
enum Parent<'a> {
    This(BorrowedFd<'a>),
    Below(Owned),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::This(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

impl HostDirectory {
    pub(super) fn new(dir: Dir, root: bool, no_symlinks: bool) -> Self {
        Self { dir, root, no_symlinks, listing: Listing::default(), ino: AtomicU64::new(0) }
    }

    /// The type of a file that the directory does not know, as few file systems have it.
    #[cold]
    #[inline(never)]
    fn ask_filetype(&self, name: &[u8]) -> Filetype {
        stat_name(self.dir.as_fd(), name).map_or(Filetype::Unknown, |stat| filetype_of(&stat))
    }

    /// The directory's serial number, which stays as it is.
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

    fn base(&self) -> Base<'_> {
        Base { fd: self.dir.as_fd(), root: self.root, no_symlinks: self.no_symlinks }
    }

    /// Opens the directory that holds the last component. What is done to the name in it must not follow a link.
    fn parent(&self, split: &Split<'_>) -> Result<Parent<'_>> {
        match split.parent {
            None => Ok(Parent::This(self.dir.as_fd())),
            Some(path) => resolve::open_directory(self.base(), path.as_bytes()).map(|fd| Parent::Below(fd.into())),
        }
    }

    /// For a path that ends in `.` or `..`: `errno`, unless the path leads outside or nowhere.
    fn refuse_dots(&self, path: GuestPath<'_>, errno: Errno) -> Errno {
        resolve::open_directory(self.base(), path.as_bytes()).err().unwrap_or(errno)
    }

    /// What a trailing slash means where something other than a directory is to be made: what stands there decides the
    /// errno. The slash is never handed to the host, as some systems follow a link before it.
    fn refuse_slash(parent: &Parent<'_>, name: &[u8]) -> Errno {
        match stat_name(parent.as_fd(), name) {
            Ok(stat) if filetype_of(&stat) == Filetype::Directory => Errno::Exist,
            Ok(_) => Errno::Notdir,
            Err(errno) => errno,
        }
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
    fn check_no_link(&self, stat: &Stat) -> Result<()> {
        if self.no_symlinks && filetype_of(stat) == Filetype::SymbolicLink { Err(Errno::Perm) } else { Ok(()) }
    }

    /// Whether there is a named pipe at a path: one that is to be written has no reader yet, where other files have no device.
    #[cold]
    #[inline(never)]
    fn is_pipe(&self, path: GuestPath<'_>, follow: bool) -> bool {
        resolve::stat(self.base(), path.as_bytes(), follow).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
    }

    fn open_any(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<OwnedFd> {
        let mut flags = match (options.read, options.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        // Opening a pipe must not wait for its other end; waiting is done where a thread can be stopped.
        flags |= OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        flags.set(OFlags::CREATE, options.create);
        flags.set(OFlags::EXCL, options.exclusive);
        flags.set(OFlags::DIRECTORY, options.directory);
        flags.set(OFlags::TRUNC, options.truncate);
        flags.set(OFlags::NOFOLLOW, !options.follow);
        flags.set(OFlags::APPEND, options.flags.contains(Fdflags::APPEND));
        flags.set(OFlags::DSYNC, options.flags.contains(Fdflags::DSYNC));
        if options.flags.intersects(Fdflags::SYNC | Fdflags::RSYNC) {
            flags |= OFlags::SYNC;
        }
        let mode = if options.create { Mode::from_raw_mode(0o666) } else { Mode::empty() };
        match resolve::open(self.base(), path.as_bytes(), flags, mode) {
            // A directory that may be searched and not read is still good for paths.
            Err(Errno::Acces) if options.directory && !options.write => {
                let flags = platform::DIRECTORY | if options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
                resolve::open(self.base(), path.as_bytes(), flags, Mode::empty())
            }
            Err(Errno::Nxio) if options.write && !options.flags.contains(Fdflags::NONBLOCK) && self.is_pipe(path, options.follow) => {
                Err(Errno::Again)
            }
            result => result,
        }
    }
}

/// The attributes of a name, without following a link.
fn stat_name(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Stat> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(from_rustix)
}

impl Directory for HostDirectory {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened> {
        let fd = self.open_any(path, options)?;
        // To ask takes a quarter of the time of an open, and sometimes it is known. (Some kernels make a file of what is to be both
        // created and a directory.)
        let stat = match (options.create, options.exclusive, options.directory) {
            (true, true, false) => return Ok(Opened::File(Box::new(HostFile::regular(fd.into())))),
            (false, _, true) => None,
            _ => Some(rustix::fs::fstat(&fd).map_err(from_rustix)?).filter(|stat| filetype_of(stat) != Filetype::Directory),
        };
        Ok(match stat {
            Some(stat) => Opened::File(Box::new(HostFile::new(Ownership::Owned(fd.into()), &stat))),
            // Only the preopen is what the guest calls `/`: from a directory below it, `..` above that directory is refused.
            None => Opened::Directory(Box::new(Self::new(Dir::from_std_file(StdFile::from(fd)), false, self.no_symlinks))),
        })
    }

    fn filestat(&self) -> Result<Filestat> {
        rustix::fs::fstat(&self.dir).map(|stat| filestat_of(&stat)).map_err(from_rustix)
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat> {
        if path.is_plain_name() {
            // One name cannot lead outside, so one call does, unless it is a link to follow.
            let stat = stat_name(self.dir.as_fd(), path.as_bytes())?;
            if !follow || filetype_of(&stat) != Filetype::SymbolicLink {
                return Ok(filestat_of(&stat));
            }
        }
        resolve::stat(self.base(), path.as_bytes(), follow).map(|stat| filestat_of(&stat))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        // By name, as the descriptor may be good for nothing but paths.
        rustix::fs::utimensat(&self.dir, c".", &timestamps(times), AtFlags::empty()).map_err(from_rustix)
    }

    fn path_set_times(&self, path: GuestPath<'_>, follow: bool, times: SetTimes) -> Result<()> {
        let place = resolve::walk(self.base(), path.as_bytes(), follow)?;
        let name = place.name.as_deref().unwrap_or(b".");
        if times == (SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep }) {
            // The host may not even look whether there is such a file.
            return stat_name(place.as_fd(), name).map(drop);
        }
        rustix::fs::utimensat(place.as_fd(), name, &timestamps(times), AtFlags::SYMLINK_NOFOLLOW).map_err(from_rustix)
    }

    fn entries(&self, cookie: u64, capacity: usize, sink: &mut dyn EntrySink) -> Result<()> {
        self.listing.entries(self.dir.as_fd(), cookie, capacity, |Entry { name, ino, filetype, next }| {
            let filetype = if filetype == Filetype::Unknown { self.ask_filetype(name) } else { filetype };
            // What lies above may be outside: as in the root of a file system, `..` is the directory itself.
            let ino = if name == b".." { self.ino()? } else { ino };
            Ok(sink.entry(name, ino, filetype, next))
        })
    }

    fn create_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Exist));
        }
        let parent = self.parent(&split)?;
        rustix::fs::mkdirat(parent.as_fd(), split.name, Mode::from_raw_mode(0o777)).map_err(from_rustix)
    }

    fn remove_directory(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, if split.name == b"." { Errno::Inval } else { Errno::Notempty }));
        }
        let parent = self.parent(&split)?;
        match rustix::fs::unlinkat(parent.as_fd(), split.name, AtFlags::REMOVEDIR) {
            // Some systems say so of a directory that is not empty.
            Err(Host::EXIST) => Err(Errno::Notempty),
            result => result.map_err(from_rustix),
        }
    }

    fn unlink_file(&self, path: GuestPath<'_>) -> Result<()> {
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Isdir));
        }
        let parent = self.parent(&split)?;
        if split.trailing_slash {
            let stat = stat_name(parent.as_fd(), split.name)?;
            return Err(if filetype_of(&stat) == Filetype::Directory { Errno::Isdir } else { Errno::Notdir });
        }
        match rustix::fs::unlinkat(parent.as_fd(), split.name, AtFlags::empty()) {
            // POSIX lets a system say EPERM of a directory.
            Err(Host::PERM) if stat_name(parent.as_fd(), split.name).is_ok_and(|stat| filetype_of(&stat) == Filetype::Directory) => {
                Err(Errno::Isdir)
            }
            result => result.map_err(from_rustix),
        }
    }

    fn symlink(&self, target: &[u8], path: GuestPath<'_>) -> Result<()> {
        if self.no_symlinks {
            return Err(Errno::Perm);
        }
        let split = path.split();
        if split.is_dots() {
            return Err(self.refuse_dots(path, Errno::Exist));
        }
        let parent = self.parent(&split)?;
        if split.trailing_slash {
            return Err(Self::refuse_slash(&parent, split.name));
        }
        rustix::fs::symlinkat(target, parent.as_fd(), split.name).map_err(from_rustix)
    }

    fn readlink(&self, path: GuestPath<'_>, text: &mut [u8]) -> Result<usize> {
        let split = path.split();
        if split.is_dots() || split.trailing_slash {
            return Err(self.refuse_dots(path, Errno::Inval));
        }
        let parent = self.parent(&split)?;
        if text.is_empty() {
            // The host refuses an empty buffer; what stands there still has to be a link.
            let stat = stat_name(parent.as_fd(), split.name)?;
            return if filetype_of(&stat) == Filetype::SymbolicLink { Ok(0) } else { Err(Errno::Inval) };
        }
        rustix::fs::readlinkat_raw(parent.as_fd(), split.name, text).map_err(from_rustix)
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
        let only_directory = from.trailing_slash || into.trailing_slash;
        if only_directory || self.no_symlinks {
            let stat = stat_name(old_parent.as_fd(), from.name)?;
            if only_directory && filetype_of(&stat) != Filetype::Directory {
                return Err(Errno::Notdir);
            }
            self.check_no_link(&stat)?;
        }
        match rustix::fs::renameat(old_parent.as_fd(), from.name, new_parent.as_fd(), into.name) {
            Err(Host::EXIST) => Err(Errno::Notempty),
            result => result.map_err(from_rustix),
        }
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
        let place = resolve::walk(self.base(), old.as_bytes(), follow)?;
        let name = place.name.as_deref().ok_or(Errno::Perm)?;
        let parent = to.parent(&into)?;
        if into.trailing_slash {
            return Err(Self::refuse_slash(&parent, into.name));
        }
        if self.no_symlinks {
            self.check_no_link(&stat_name(place.as_fd(), name)?)?;
        }
        rustix::fs::linkat(place.as_fd(), name, parent.as_fd(), into.name, AtFlags::empty()).map_err(from_rustix)
    }

    fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.dir).map_err(from_rustix)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
