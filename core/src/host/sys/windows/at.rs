//! Names in a held directory.
//!
//! Windows has only one call on a name in a directory: the one that opens. To stat, rename, link or
//! remove is to open the name relative to its directory's handle, and then to call on the new
//! handle. The system does not follow a link that is opened so; the link's text is read from the
//! handle. Two calls of cap-std take a path instead, so the directory is held against being renamed
//! meanwhile.
//!
//! A walk pins nothing: with all its handles, others may rename and remove the files, as with
//! descriptors of POSIX.

use super::call::{self, Kind, SHARE_ALL};
use super::file::DiskFile;
use super::{link, names};
use crate::abi::{Errno, Fdflags, Filestat};
use crate::host::directory::{Found, Names};
use crate::host::walk::{Entered, Link, Lookup, Name, Walk};
use crate::host::{OpenOptions, Result, SetTimes, from_io};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions as HostOptions, OpenOptionsExt};
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_FLAG_WRITE_THROUGH,
    FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES,
};

/// The names of the host's files. They need no lock, because the host has its own.
pub(super) struct HostNames;

/// A name in the form that Windows takes. Guests' paths are UTF-8, and the text of links is kept as
/// Unicode.
fn text(name: Name<'_>) -> Result<&str> {
    str::from_utf8(name.as_bytes()).map_err(|_| Errno::Ilseq)
}

/// Options to open a name without following a link.
fn host_options(access: u32, flags: u32) -> HostOptions {
    let mut options = HostOptions::new();
    options
        .access_mode(access)
        .share_mode(SHARE_ALL)
        .custom_flags(flags | FILE_FLAG_OPEN_REPARSE_POINT)
        .follow(FollowSymlinks::No);
    options
}

fn open_with(dir: &Dir, name: Name<'_>, options: &HostOptions) -> Result<OwnedHandle> {
    dir.open_with(text(name)?, options)
        .map(|file| file.into_std().into())
        .map_err(|error| from_io(&error))
}

/// Opens the object with a name, be it a link or a directory.
fn open_name(dir: &Dir, name: Name<'_>, access: u32) -> Result<OwnedHandle> {
    open_with(dir, name, &host_options(access, FILE_FLAG_BACKUP_SEMANTICS))
}

fn kind_of_name(dir: &Dir, name: Name<'_>) -> Result<Kind> {
    call::kind(open_name(dir, name, FILE_READ_ATTRIBUTES)?.as_handle())
}

fn as_directory(handle: OwnedHandle) -> Dir {
    Dir::from_std_file(handle.into())
}

/// Keeps a directory in its place during the two calls that need its path: a handle that does not
/// share the right to remove keeps the directory, and all above it, from being renamed.
fn pin(dir: &Dir) -> Result<Dir> {
    call::reopen(
        dir.as_handle(),
        FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES,
        FILE_SHARE_READ | FILE_SHARE_WRITE,
    )
    .map(as_directory)
}

fn read_link(handle: BorrowedHandle<'_>) -> Result<Link> {
    let link = call::read_link(handle)?;
    Ok(Link { text: Arc::from(link.text.into_bytes()), has_drive: link.has_drive })
}

/// Whether a directory is the one that a walk came to, or one that it came through.
fn is_on_way(walk: &Walk<'_, HostNames>, identity: (u64, u64)) -> Result<bool> {
    for dir in walk.dirs() {
        if call::identity(dir.as_handle())? == identity {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a name as a file, or makes one.
fn open_file(dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
    let mut access = FILE_READ_ATTRIBUTES;
    if options.read || !options.write {
        access |= FILE_GENERIC_READ;
    }
    if options.write || options.truncate {
        access |= FILE_GENERIC_WRITE;
    }
    let writes_through = options.flags.intersects(Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC);
    let mut host = host_options(access, if writes_through { FILE_FLAG_WRITE_THROUGH } else { 0 });
    // Windows demands this access for creating a file. The access that was asked for counts.
    host.write(true).create(options.create).create_new(options.create && options.exclusive);
    let handle = open_with(dir, name, &host)?;
    if call::kind(handle.as_handle())? == Kind::Link {
        return Ok(Found::Link);
    }
    if options.truncate {
        // The file is cut after it was opened: cutting while opening would cut a link, too.
        call::set_size(handle.as_handle(), 0)?;
    }
    Ok(Found::File(Box::new(DiskFile::owned(handle))))
}

/// Opens a name that is no file, or may be none.
fn open_other(dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
    let handle = match open_name(dir, name, FILE_GENERIC_READ) {
        // A directory that may be searched but not read is still good for paths, and an object that
        // is opened only for its kind needs no more.
        Err(Errno::Acces) => open_name(dir, name, FILE_READ_ATTRIBUTES)?,
        handle => handle?,
    };
    match call::kind(handle.as_handle())? {
        Kind::Link => Ok(Found::Link),
        Kind::File if options.directory => Err(Errno::Notdir),
        Kind::File => Err(Errno::Acces),
        Kind::Directory if options.create && options.exclusive => Err(Errno::Exist),
        Kind::Directory if options.create || options.write || options.truncate => Err(Errno::Isdir),
        Kind::Directory => Ok(Found::Directory(as_directory(handle))),
    }
}

fn open(dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
    if options.directory {
        return open_other(dir, name, options);
    }
    match open_file(dir, name, options) {
        // Windows has this error for a directory, too.
        Err(Errno::Acces | Errno::Isdir) => open_other(dir, name, options),
        found => found,
    }
}

impl Lookup for HostNames {
    type Dir = Dir;

    /// A rename has to know whether a directory would come to lie below itself.
    const KEEPS_WAY: bool = true;

    fn check(name: &[u8], is_new: bool) -> Result<()> {
        names::check_bytes(name, is_new)
    }

    fn read_link(&self, dir: &Dir, name: Name<'_>) -> Result<Option<Link>> {
        let opened = open_name(dir, name, FILE_READ_ATTRIBUTES)?;
        match call::kind(opened.as_handle())? {
            Kind::Link => read_link(opened.as_handle()).map(Some),
            Kind::File | Kind::Directory => Ok(None),
        }
    }

    fn enter(&self, dir: &Dir, name: Name<'_>) -> Result<Entered<Dir>> {
        let opened = open_name(dir, name, FILE_READ_ATTRIBUTES)?;
        match call::kind(opened.as_handle())? {
            Kind::Link => read_link(opened.as_handle()).map(Entered::Link),
            Kind::Directory => Ok(Entered::Directory(as_directory(opened))),
            Kind::File => Err(Errno::Notdir),
        }
    }
}

impl Names for HostNames {
    type Removed = ();

    const LINKS_HAVE_KINDS: bool = true;

    fn stat(&self, dir: &Dir, name: Name<'_>) -> Result<Filestat> {
        call::filestat(open_name(dir, name, FILE_READ_ATTRIBUTES)?.as_handle())
    }

    fn stat_directory(&self, dir: &Dir) -> Result<Filestat> {
        call::filestat(dir.as_handle())
    }

    fn open(&self, dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
        open(dir, name, options)
    }

    fn create(&mut self, dir: &Dir, name: Name<'_>, options: OpenOptions) -> Result<Found<Dir>> {
        open(dir, name, options)
    }

    fn reopen(&self, dir: &Dir, _: OpenOptions) -> Result<Dir> {
        // To list it, if that is allowed.
        match call::reopen(dir.as_handle(), FILE_GENERIC_READ, SHARE_ALL) {
            Err(Errno::Acces) => call::reopen(dir.as_handle(), FILE_READ_ATTRIBUTES, SHARE_ALL),
            handle => handle,
        }
        .map(as_directory)
    }

    fn set_times(&mut self, dir: &Dir, name: Name<'_>, times: SetTimes) -> Result<()> {
        let handle = open_name(dir, name, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)?;
        call::set_times(handle.as_handle(), times)
    }

    fn set_directory_times(&mut self, dir: &Dir, times: SetTimes) -> Result<()> {
        // This opens the directory anew where the handle is not good for that.
        call::set_times(dir.as_handle(), times)
    }

    fn create_directory(&mut self, dir: &Dir, name: Name<'_>) -> Result<()> {
        pin(dir)?.create_dir(text(name)?).map_err(|error| from_io(&error))
    }

    fn create_link(
        &mut self,
        dir: &Dir,
        name: Name<'_>,
        target: &[u8],
        to_directory: bool,
    ) -> Result<()> {
        let (target, name) = (link::from_guest(target)?, text(name)?);
        let pinned = pin(dir)?;
        if to_directory {
            pinned.symlink_dir(target, name)
        } else {
            pinned.symlink_file(target, name)
        }
        .map_err(|error| from_io(&error))
    }

    fn link_text(&self, dir: &Dir, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        let link = self.read_link(dir, name)?.ok_or(Errno::Inval)?;
        let len = link.text.len().min(room.len());
        for (to, from) in room.iter_mut().zip(&*link.text) {
            *to = *from;
        }
        Ok(len)
    }

    fn remove_directory(&mut self, dir: &Dir, name: Name<'_>) -> Result<()> {
        if kind_of_name(dir, name)? != Kind::Directory {
            return Err(Errno::Notdir);
        }
        let handle = open_name(dir, name, DELETE | FILE_READ_ATTRIBUTES)?;
        if call::kind(handle.as_handle())? != Kind::Directory {
            return Err(Errno::Notdir);
        }
        call::remove(handle.as_handle())
    }

    fn unlink(&mut self, dir: &Dir, name: Name<'_>) -> Result<()> {
        if kind_of_name(dir, name)? == Kind::Directory {
            return Err(Errno::Isdir);
        }
        let handle = open_name(dir, name, DELETE | FILE_READ_ATTRIBUTES)?;
        if call::kind(handle.as_handle())? == Kind::Directory {
            return Err(Errno::Isdir);
        }
        call::remove(handle.as_handle())
    }

    fn rename(
        &mut self,
        (from, old): (&Dir, Name<'_>),
        (into, new): (&Walk<'_, HostNames>, Name<'_>),
    ) -> Result<()> {
        let source = open_name(from, old, DELETE | FILE_READ_ATTRIBUTES)?;
        let kind = call::kind(source.as_handle())?;
        let identity = call::identity(source.as_handle())?;
        if kind == Kind::Directory && is_on_way(into, identity)? {
            return Err(Errno::Inval);
        }
        let mut replaced = false;
        match open_name(into.dir(), new, FILE_READ_ATTRIBUTES) {
            Err(Errno::Noent) => {}
            Err(errno) => return Err(errno),
            Ok(target) => {
                let target_kind = call::kind(target.as_handle())?;
                let same = call::identity(target.as_handle())? == identity;
                drop(target);
                match (kind, target_kind) {
                    // Two names of one file: nothing happens, unless they are one name in another
                    // case.
                    _ if same => {
                        let in_place = call::identity(from.as_handle())?
                            == call::identity(into.dir().as_handle())?
                            && text(old)?.to_lowercase() == text(new)?.to_lowercase();
                        if !in_place || old == new {
                            return Ok(());
                        }
                    }
                    (Kind::Directory, Kind::Directory) => {
                        // Windows does not replace a directory, and POSIX only an empty one.
                        let target = open_name(into.dir(), new, DELETE | FILE_READ_ATTRIBUTES)?;
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
        let renamed = call::rename(source.as_handle(), into.dir().as_handle(), text(new)?);
        if renamed.is_err() && replaced {
            // Another handle below the source, for one. The empty directory that had the name comes
            // back.
            let _ = self.create_directory(into.dir(), new);
        }
        renamed
    }

    fn link(&mut self, (from, old): (&Dir, Name<'_>), (into, new): (&Dir, Name<'_>)) -> Result<()> {
        let handle = open_name(from, old, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)?;
        if call::kind(handle.as_handle())? == Kind::Directory {
            return Err(Errno::Perm);
        }
        call::hard_link(handle.as_handle(), into.as_handle(), text(new)?)
    }
}
