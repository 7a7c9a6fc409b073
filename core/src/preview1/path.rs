//! Paths below a directory.

#![allow(
    clippy::cast_possible_truncation,
    reason = "of an i32 that stands for a shorter type, the upper bits mean nothing"
)]

use super::fd::{fdflags, rights, set_times};
use super::stream::nap;
use super::{BufferArg, Call, PathArg, Result};
use crate::abi::{Errno, Fd, Fdflags, Filestat, Filetype, Lookupflags, Oflags, Rights, Timestamp};
use crate::host::{
    self, Directory, GuestPath, INODE_CHARGE, NAME_CHARGE, OpenOptions, Opened, PATH_LIMIT,
    PathBuffer, Quota,
};

fn follow(flags: u32) -> Result<bool> {
    Ok(Lookupflags::from_bits(flags).ok_or(Errno::Inval)?.contains(Lookupflags::SYMLINK_FOLLOW))
}

// Some errors come before `rofs` below a read-only directory, as on a file system that Linux has
// mounted read-only: those that one look at the path finds. Programs depend on `exist`: they make a
// file or directory that may be there already, and go on after that error.

/// Why nothing is made at a path below a read-only directory where nothing is.
fn refuse_to_make(directory: &dyn Directory, path: GuestPath<'_>) -> Errno {
    path.split()
        .parent
        .and_then(|parent| directory.path_filestat(parent, true).err())
        .unwrap_or(Errno::Rofs)
}

/// Why no name is made at a path below a read-only directory.
#[cold]
fn refuse_name(directory: &dyn Directory, path: GuestPath<'_>) -> Errno {
    match directory.path_filestat(path, false) {
        Ok(_) => Errno::Exist,
        Err(Errno::Noent) => refuse_to_make(directory, path),
        Err(errno) => errno,
    }
}

/// Opens below a read-only directory with options that could change something. The file is opened
/// for reading, or not at all.
#[cold]
fn open_unchanged(
    directory: &dyn Directory,
    path: GuestPath<'_>,
    options: OpenOptions,
) -> host::Result<Opened> {
    let OpenOptions { create, exclusive, write, truncate, .. } = options;
    let found = match directory.path_filestat(path, options.follow && !(create && exclusive)) {
        Err(Errno::Noent) if create => return Err(refuse_to_make(directory, path)),
        found => found?,
    };
    match found.filetype {
        _ if create && exclusive => Err(Errno::Exist),
        Filetype::SymbolicLink => Err(Errno::Loop),
        Filetype::Directory => Err(Errno::Isdir),
        _ if options.directory => Err(Errno::Notdir),
        _ if write || truncate => Err(Errno::Rofs),
        _ => directory.open(path, OpenOptions { create: false, exclusive: false, ..options }),
    }
}

/// The charge on `limits.writtenBytes` for the name at the end of a path: the same as in a tree in
/// memory.
fn name_charge(path: GuestPath<'_>) -> u64 {
    NAME_CHARGE.saturating_add(path.split().name.len() as u64)
}

/// The error for a name that the quota has no room for. It is `exist` where the name is taken,
/// because programs make what may be there already and go by that answer.
#[cold]
fn refuse_room(directory: &dyn Directory, path: GuestPath<'_>) -> Errno {
    match directory.path_filestat(path, false) {
        Ok(_) => Errno::Exist,
        Err(Errno::Ask) => Errno::Ask,
        Err(_) => Errno::Dquot,
    }
}

/// Makes something with a new name, held to the quota. `beside` is what it takes beside the name.
fn make(
    call: &Call<'_>,
    directory: &dyn Directory,
    path: GuestPath<'_>,
    beside: u64,
    act: impl FnOnce() -> host::Result<()>,
) -> host::Result<()> {
    let Some(quota) = &call.ctx.quota else { return act() };
    match quota.store(beside.saturating_add(name_charge(path)), act) {
        Err(Errno::Dquot) => Err(refuse_room(directory, path)),
        result => result,
    }
}

/// Opens a file, held to the quota, which counts one that is created.
fn open_metered(
    directory: &dyn Directory,
    path: GuestPath<'_>,
    options: OpenOptions,
    quota: &Quota,
) -> host::Result<Opened> {
    if !options.create {
        return directory.open(path, options);
    }
    // A slash behind the name is refused in any case.
    if !options.exclusive && !path.split().trailing_slash {
        match directory.open(path, OpenOptions { create: false, ..options }) {
            Ok(Opened::Directory(_)) => return Err(Errno::Isdir),
            Err(Errno::Noent) => {}
            result => return result,
        }
    }
    let open = || directory.open(path, options);
    match quota.store(INODE_CHARGE.saturating_add(name_charge(path)), open) {
        Err(Errno::Dquot) if options.exclusive => Err(refuse_room(directory, path)),
        result => result,
    }
}

/// Creates a directory.
///
/// POSIX: `mkdirat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_create_directory` is missing, or the path leads outside.
/// - `exist`: something is there.
/// - `noent`: a directory on the way is not.
/// - `rofs`: nothing is there, and the descriptor is read-only.
/// - `nospc`, `dquot`: there is no room.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_create_directory>
pub(super) fn path_create_directory(call: &Call<'_>, fd: Fd, path: PathArg<'_>) -> Result<()> {
    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    if descriptor.is_read_only() {
        return Err(
            refuse_name(descriptor.directory(Rights::empty())?, path.read(&mut buffer)?).into()
        );
    }
    let directory = descriptor.directory(Rights::PATH_CREATE_DIRECTORY)?;
    let path = path.read(&mut buffer)?;
    Ok(make(call, directory, path, INODE_CHARGE, || directory.create_directory(path))?)
}

/// The attributes of a file. Times are in nanoseconds since 1970.
///
/// POSIX: `fstatat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_filestat_get` is missing, or the path leads outside.
/// - `noent`: there is no such file.
/// - `loop`: too many symbolic links.
///
/// # Node
/// `node:wasi` cuts the times to seconds.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_filestat_get>
pub(super) fn path_filestat_get(
    call: &Call<'_>,
    fd: Fd,
    flags: u32,
    path: PathArg<'_>,
) -> Result<Filestat> {
    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let directory = descriptor.directory(Rights::PATH_FILESTAT_GET)?;
    Ok(directory.path_filestat(path.read(&mut buffer)?, follow(flags)?)?)
}

/// Sets times of a file, in nanoseconds since 1970.
///
/// POSIX: `utimensat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_filestat_set_times` is missing, or the path leads outside.
/// - `inval`: there is no such flag, or one time is to be set to two values.
/// - `noent`: there is no such file.
/// - `rofs`: there is, and the descriptor is read-only.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_filestat_set_times>
pub(super) fn path_filestat_set_times(
    call: &Call<'_>,
    fd: Fd,
    flags: u32,
    path: PathArg<'_>,
    atim: Timestamp,
    mtim: Timestamp,
    fst_flags: u32,
) -> Result<()> {
    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let times = set_times(atim, mtim, fst_flags);
    if descriptor.is_read_only() {
        times?;
        descriptor
            .directory(Rights::empty())?
            .path_filestat(path.read(&mut buffer)?, follow(flags)?)?;
    }
    let directory = descriptor.directory(Rights::PATH_FILESTAT_SET_TIMES)?;
    let times = times?;
    Ok(directory.path_set_times(path.read(&mut buffer)?, follow(flags)?, times)?)
}

/// Gives a file a second name.
///
/// POSIX: `linkat`.
///
/// # Errors
/// - `badf`: a descriptor is not open.
/// - `notcapable`: the right `path_link_source` or `path_link_target` is missing, or a path leads
///   outside.
/// - `noent`: there is no such file.
/// - `exist`: the new name is taken.
/// - `perm`: it is a directory, or a symbolic link where there are to be none.
/// - `xdev`: the two directories are not of one backend or file system, or symbolic links are
///   denied in one of them only.
/// - `rofs`: a descriptor is read-only.
/// - `nospc`, `dquot`: there is no room.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_link>
pub(super) fn path_link(
    call: &Call<'_>,
    old_fd: Fd,
    old_flags: u32,
    old_path: PathArg<'_>,
    new_fd: Fd,
    new_path: PathArg<'_>,
) -> Result<()> {
    let (mut old_buffer, mut new_buffer) = (PathBuffer::new(), PathBuffer::new());
    let (old, new) = (call.descriptor(old_fd)?, call.descriptor(new_fd)?);
    let (from, to) =
        (old.directory(Rights::PATH_LINK_SOURCE)?, new.directory(Rights::PATH_LINK_TARGET)?);
    let (old_path, follow, new_path) =
        (old_path.read(&mut old_buffer)?, follow(old_flags)?, new_path.read(&mut new_buffer)?);
    Ok(make(call, to, new_path, 0, || from.link(old_path, follow, to, new_path))?)
}

/// Opens a file or a directory and gives it the lowest free number. The new descriptor has the
/// rights asked for, less those that make no sense for what was opened.
///
/// POSIX: `openat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: a right that the call needs is missing, a right asked for is not among the
///   directory's inheriting ones, or the path leads outside.
/// - `noent`: there is no such file, and `CREAT` was not given.
/// - `exist`: there is, and `EXCL` was.
/// - `isdir`: it is a directory, and is to be written.
/// - `notdir`: it is not, and `DIRECTORY` was given.
/// - `loop`: it is a symbolic link, and `SYMLINK_FOLLOW` was not given.
/// - `inval`: there is no such flag, or both `CREAT` and `DIRECTORY`.
/// - `nxio`: a named pipe that nobody reads is to be written, and `NONBLOCK` was given; without it,
///   the call waits for the reader. Or it is a socket.
/// - `again`: another process holds a lease on the file, and `NONBLOCK` was given.
/// - `mfile`, `nfile`: too many files are open. Nothing was created or cut.
/// - `rofs`: the descriptor is read-only, and the right `fd_write` or `TRUNC` was given, or `CREAT`
///   and there is no such file.
/// - `nospc`, `dquot`: there is no room.
///
/// # Node
/// `node:wasi` follows a link in the last component whatever the flags, also to outside.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_open>
#[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
pub(super) fn path_open(
    call: &Call<'_>,
    fd: Fd,
    dirflags: u32,
    path: PathArg<'_>,
    oflags: u32,
    rights_base: u64,
    rights_inheriting: u64,
    fdflags_arg: u32,
) -> Result<Fd> {
    const READS: Rights = Rights::FD_READ.union(Rights::FD_READDIR);

    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let follow = follow(dirflags)?;
    let oflags = Oflags::from_bits(oflags as u16).ok_or(Errno::Inval)?;
    let flags = fdflags(fdflags_arg)?;

    let mut needed = Rights::PATH_OPEN;
    let asked = rights(rights_base, rights_inheriting);
    let read_only = descriptor.is_read_only();
    // Below a read-only directory these two need no right here, because the file that stands at the
    // path decides the error.
    if !read_only {
        needed.set(Rights::PATH_CREATE_FILE, oflags.contains(Oflags::CREAT));
        // A guest that may set the size of the new descriptor could cut the file one call later.
        // Some C libraries open directories without the right `path_filestat_set_size`, and files
        // below them with all rights.
        let may_resize = asked.is_ok_and(|asked| asked.base.contains(Rights::FD_FILESTAT_SET_SIZE));
        needed.set(Rights::PATH_FILESTAT_SET_SIZE, oflags.contains(Oflags::TRUNC) && !may_resize);
    }
    let directory = descriptor.directory(needed)?;

    let asked = asked?;
    let mut given = descriptor.inherit(asked)?;
    // Below a read-only directory, a program that asks for all rights but this one means to read.
    let means_to_write = asked.base.contains(Rights::FD_WRITE);
    let mut inherited = Rights::empty();
    if flags.contains(Fdflags::DSYNC) {
        inherited |= Rights::FD_DATASYNC;
    }
    if flags.intersects(Fdflags::RSYNC | Fdflags::SYNC) {
        inherited |= Rights::FD_SYNC;
    }
    if !descriptor.rights().inheriting.contains(inherited) {
        return Err(Errno::Notcapable.into());
    }
    if oflags.contains(Oflags::CREAT | Oflags::DIRECTORY) {
        return Err(Errno::Inval.into());
    }
    let options = OpenOptions {
        create: oflags.contains(Oflags::CREAT),
        exclusive: oflags.contains(Oflags::EXCL),
        directory: oflags.contains(Oflags::DIRECTORY),
        truncate: oflags.contains(Oflags::TRUNC),
        follow,
        read: asked.base.intersects(READS),
        write: if read_only { means_to_write } else { asked.base.intersects(Rights::WRITING) },
        private: false,
        flags,
    };
    let path = path.read(&mut buffer)?;
    // A file that was created or cut could not be put back.
    let number = call.ctx.table.reserve()?;
    let quota = call.ctx.quota.as_deref();
    let open = |options| match quota {
        None => directory.open(path, options),
        Some(quota) => open_metered(directory, path, options, quota),
    };
    let opened = if read_only && (options.create || options.write || options.truncate) {
        open_unchanged(directory, path, options)
    } else {
        match open(options) {
            // Go asks for the right to set the size of what it only reads, and the host does not
            // let everything be written.
            Err(Errno::Acces | Errno::Perm | Errno::Rofs | Errno::Txtbsy)
                if options.write && !means_to_write && !options.truncate =>
            {
                given.base.remove(Rights::FD_ALLOCATE.union(Rights::FD_FILESTAT_SET_SIZE));
                open(OpenOptions { write: false, ..options })
            }
            opened => opened,
        }
    };
    if matches!(opened, Err(Errno::Again)) && !flags.contains(Fdflags::NONBLOCK) {
        // No event tells when the file can be opened. Others may use the number meanwhile.
        drop(number);
        return Err(nap(call));
    }
    let opened = match &call.ctx.quota {
        None => opened?,
        Some(quota) => quota.meter(opened?),
    };
    let child = descriptor.child(opened, given, flags);
    drop(descriptor);
    Ok(number.fill(child)?)
}

/// Copies the text of a symbolic link, cut to the buffer, and returns how many bytes that are.
///
/// POSIX: `readlinkat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_readlink` is missing, or the path leads outside.
/// - `inval`: it is not a symbolic link.
/// - `noent`: there is no such file.
///
/// # Node
/// `node:wasi` counts a terminator and refuses a short buffer.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_readlink>
pub(super) fn path_readlink(
    call: &Call<'_>,
    fd: Fd,
    path: PathArg<'_>,
    buf: BufferArg<'_>,
) -> Result<u32> {
    const SHORT: usize = 256;

    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let directory = descriptor.directory(Rights::PATH_READLINK)?;
    let path = path.read(&mut buffer)?;
    // Clearing room for the longest text takes a fifth of the call.
    if buf.0.len() <= SHORT {
        read_link::<SHORT>(directory, path, buf)
    } else {
        read_link::<PATH_LIMIT>(directory, path, buf)
    }
}

fn read_link<const ROOM: usize>(
    directory: &dyn Directory,
    path: GuestPath<'_>,
    buf: BufferArg<'_>,
) -> Result<u32> {
    let mut text = [0; ROOM];
    let room = text.get_mut(..buf.0.len().min(ROOM)).unwrap_or_default();
    let len = directory.readlink(path, room)?;
    let copied = buf.0.write_at(0, text.get(..len).unwrap_or_default());
    Ok(u32::try_from(copied).unwrap_or(u32::MAX))
}

/// Removes an empty directory.
///
/// POSIX: `unlinkat(AT_REMOVEDIR)`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_remove_directory` is missing, or the path leads outside.
/// - `notempty`: it is not empty.
/// - `notdir`: it is not a directory.
/// - `noent`: there is none.
/// - `rofs`: the descriptor is read-only.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_remove_directory>
pub(super) fn path_remove_directory(call: &Call<'_>, fd: Fd, path: PathArg<'_>) -> Result<()> {
    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let directory = descriptor.directory(Rights::PATH_REMOVE_DIRECTORY)?;
    Ok(directory.remove_directory(path.read(&mut buffer)?)?)
}

/// Renames a file or a directory.
///
/// POSIX: `renameat`.
///
/// # Errors
/// - `badf`: a descriptor is not open.
/// - `notcapable`: the right `path_rename_source` or `path_rename_target` is missing, or a path
///   leads outside.
/// - `noent`: there is no such file.
/// - `notempty`, `isdir`, `notdir`: what has the new name cannot be replaced.
/// - `busy`: a path ends in `.` or `..`.
/// - `perm`: it is a symbolic link where there are to be none.
/// - `xdev`: the two directories are not of one backend or file system, or symbolic links are
///   denied in one of them only.
/// - `rofs`: a descriptor is read-only.
/// - `nospc`, `dquot`: there is no room.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_rename>
pub(super) fn path_rename(
    call: &Call<'_>,
    fd: Fd,
    old_path: PathArg<'_>,
    new_fd: Fd,
    new_path: PathArg<'_>,
) -> Result<()> {
    let (mut old_buffer, mut new_buffer) = (PathBuffer::new(), PathBuffer::new());
    let (old, new) = (call.descriptor(fd)?, call.descriptor(new_fd)?);
    let (from, to) =
        (old.directory(Rights::PATH_RENAME_SOURCE)?, new.directory(Rights::PATH_RENAME_TARGET)?);
    let (old_path, new_path) = (old_path.read(&mut old_buffer)?, new_path.read(&mut new_buffer)?);
    let rename = || from.rename(old_path, to, new_path);
    let Some(quota) = &call.ctx.quota else { return Ok(rename()?) };
    // The old name's room serves the new one.
    let growth = name_charge(new_path).saturating_sub(name_charge(old_path));
    Ok(quota.store(growth, rename)?)
}

/// Makes a symbolic link with a text. The text may lead outside: then the link does not resolve.
///
/// POSIX: `symlinkat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_symlink` is missing, or the path leads outside.
/// - `perm`: the text is an absolute path, or there are to be no symbolic links.
/// - `exist`: something is there.
/// - `rofs`: nothing is there, and the descriptor is read-only.
/// - `nospc`, `dquot`: there is no room.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_symlink>
pub(super) fn path_symlink(
    call: &Call<'_>,
    old_path: PathArg<'_>,
    fd: Fd,
    new_path: PathArg<'_>,
) -> Result<()> {
    let (mut text_buffer, mut buffer) = (PathBuffer::new(), PathBuffer::new());
    let descriptor = call.descriptor(fd)?;
    if descriptor.is_read_only() {
        return Err(refuse_name(
            descriptor.directory(Rights::empty())?,
            new_path.read(&mut buffer)?,
        )
        .into());
    }
    let directory = descriptor.directory(Rights::PATH_SYMLINK)?;
    let (text, path) = (old_path.read_text(&mut text_buffer)?, new_path.read(&mut buffer)?);
    if text.starts_with(b"/") {
        return Err(Errno::Perm.into());
    }
    let charge = INODE_CHARGE.saturating_add(text.len() as u64);
    Ok(make(call, directory, path, charge, || directory.symlink(text, path))?)
}

/// Removes a file or a symbolic link.
///
/// POSIX: `unlinkat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `path_unlink_file` is missing, or the path leads outside.
/// - `isdir`: it is a directory.
/// - `noent`: there is no such file.
/// - `rofs`: the descriptor is read-only.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#path_unlink_file>
pub(super) fn path_unlink_file(call: &Call<'_>, fd: Fd, path: PathArg<'_>) -> Result<()> {
    let mut buffer = PathBuffer::new();
    let descriptor = call.descriptor(fd)?;
    let directory = descriptor.directory(Rights::PATH_UNLINK_FILE)?;
    Ok(directory.unlink_file(path.read(&mut buffer)?)?)
}
