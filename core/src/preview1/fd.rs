//! Descriptors.

#![allow(
    clippy::cast_possible_truncation,
    reason = "of an i32 that stands for a shorter type, the upper bits mean nothing"
)]

use super::stream::{all, attempt, in_pieces};
use super::{BufferArg, Call, CallError, IoVecsArg, Result};
use crate::abi::{
    Advice, Dirent, Errno, Fd, Fdflags, Fdstat, Filesize, Filestat, Fstflags, Prestat, Rights,
    RightsPair, Timestamp, Whence,
};
use crate::descriptor::Descriptor;
use crate::host::{DirectoryEntry, Interest, Opened, SetTime, SetTimes};
use crate::memory::Record;

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Gives advice on how a range of a file will be used.
///
/// POSIX: `posix_fadvise`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_advise` is missing.
/// - `inval`: there is no such advice, or the offset or the length is beyond 2^63.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_advise>
pub(super) fn fd_advise(
    call: &Call<'_>,
    fd: Fd,
    offset: Filesize,
    len: Filesize,
    advice: u32,
) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    let file = descriptor.file(Rights::FD_ADVISE)?;
    let advice = Advice::from_value(advice & 0xff).ok_or(Errno::Inval)?;
    Ok(file.advise(offset, len, advice)?)
}

/// Makes sure that there is room for a range of a file, and extends the file to its end.
///
/// POSIX: `posix_fallocate`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_allocate` is missing.
/// - `rofs`: the descriptor is read-only.
/// - `inval`: the offset or the length is beyond 2^63.
/// - `fbig`: the range ends beyond 2^63.
/// - `nospc`, `dquot`: there is no room.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_allocate>
pub(super) fn fd_allocate(call: &Call<'_>, fd: Fd, offset: Filesize, len: Filesize) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    Ok(descriptor.file(Rights::FD_ALLOCATE)?.allocate(offset, len)?)
}

/// Closes a descriptor, and the host's descriptor behind it. Stdio stays open on the host.
///
/// POSIX: `close`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
///
/// # Node
/// `node:wasi` closes the host's stdio.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_close>
pub(super) fn fd_close(call: &Call<'_>, fd: Fd) -> Result<()> {
    Ok(call.ctx.table.remove(fd)?)
}

/// Writes a file's data to the device.
///
/// POSIX: `fdatasync`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_datasync` is missing.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_datasync>
pub(super) fn fd_datasync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    Ok(descriptor.file(Rights::FD_DATASYNC)?.datasync()?)
}

/// Writes a file's or directory's data and attributes to the device.
///
/// POSIX: `fsync`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `fd_sync` is missing.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_sync>
pub(super) fn fd_sync(call: &Call<'_>, fd: Fd) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    descriptor.require(Rights::FD_SYNC)?;
    match descriptor.object() {
        Opened::File(file) => file.sync()?,
        Opened::Directory(directory) => directory.sync()?,
    }
    Ok(())
}

/// The type, flags and rights of a descriptor.
///
/// POSIX: `fcntl(F_GETFL)` in part.
///
/// # Errors
/// - `badf`: the descriptor is not open.
///
/// # Node
/// `node:wasi` gives the host's own flags, which mean something else.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_get>
pub(super) fn fd_fdstat_get(call: &Call<'_>, fd: Fd) -> Result<Fdstat> {
    Ok(call.descriptor(fd)?.fdstat()?)
}

/// Sets a file's flags. `APPEND` and `NONBLOCK` can be changed; of stdio, only the guest's view of
/// them.
///
/// POSIX: `fcntl(F_SETFL)`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_fdstat_set_flags` is missing.
/// - `inval`: there is no such flag.
/// - `notsup`: `DSYNC`, `RSYNC` or `SYNC` would change, or the host's stdout would have to stop
///   appending.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_set_flags>
pub(super) fn fd_fdstat_set_flags(call: &Call<'_>, fd: Fd, flags: u32) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    Ok(descriptor.set_flags(fdflags(flags)?)?)
}

/// The flags in an argument.
pub(super) fn fdflags(flags: u32) -> Result<Fdflags> {
    Ok(Fdflags::from_bits(flags as u16).ok_or(Errno::Inval)?)
}

/// Takes rights away.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: a right that it does not have is among them.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_fdstat_set_rights>
pub(super) fn fd_fdstat_set_rights(
    call: &Call<'_>,
    fd: Fd,
    base: u64,
    inheriting: u64,
) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    Ok(descriptor.shrink_rights(rights(base, inheriting)?)?)
}

/// The rights in two arguments. No descriptor has an unknown one, so the error is `notcapable`.
pub(super) fn rights(base: u64, inheriting: u64) -> Result<RightsPair> {
    match (Rights::from_bits(base), Rights::from_bits(inheriting)) {
        (Some(base), Some(inheriting)) => Ok(RightsPair { base, inheriting }),
        _ => Err(Errno::Notcapable.into()),
    }
}

/// The attributes of an open file or directory.
///
/// POSIX: `fstat`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `fd_filestat_get` is missing.
///
/// # Node
/// `node:wasi` cuts the times to seconds.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_get>
pub(super) fn fd_filestat_get(call: &Call<'_>, fd: Fd) -> Result<Filestat> {
    let descriptor = call.descriptor(fd)?;
    descriptor.require(Rights::FD_FILESTAT_GET)?;
    Ok(match descriptor.object() {
        Opened::File(file) => file.filestat()?,
        Opened::Directory(directory) => directory.filestat()?,
    })
}

/// Sets the size of a file; new bytes are zero.
///
/// POSIX: `ftruncate`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_filestat_set_size` is missing.
/// - `rofs`: the descriptor is read-only.
/// - `inval`: the file is not open for writing, or the size is beyond 2^63.
/// - `fbig`: the host does not have files of that size.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_set_size>
pub(super) fn fd_filestat_set_size(call: &Call<'_>, fd: Fd, size: Filesize) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    Ok(descriptor.file(Rights::FD_FILESTAT_SET_SIZE)?.set_size(size)?)
}

/// Sets times of an open file or directory, in nanoseconds since 1970.
///
/// POSIX: `futimens`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `fd_filestat_set_times` is missing.
/// - `rofs`: the descriptor is read-only.
/// - `inval`: there is no such flag, or one time is to be set to two values.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_filestat_set_times>
pub(super) fn fd_filestat_set_times(
    call: &Call<'_>,
    fd: Fd,
    atim: Timestamp,
    mtim: Timestamp,
    flags: u32,
) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    descriptor.require(Rights::FD_FILESTAT_SET_TIMES)?;
    let times = set_times(atim, mtim, flags)?;
    match descriptor.object() {
        Opened::File(file) => file.set_times(times)?,
        Opened::Directory(directory) => directory.set_times(times)?,
    }
    Ok(())
}

/// The times to set in three arguments.
pub(super) fn set_times(atim: Timestamp, mtim: Timestamp, flags: u32) -> Result<SetTimes> {
    let flags = Fstflags::from_bits(flags as u16).ok_or(Errno::Inval)?;
    let one = |at, now, time| match (flags.contains(at), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(SetTime::At(time)),
        (false, true) => Ok(SetTime::Now),
        (false, false) => Ok(SetTime::Keep),
    };
    Ok(SetTimes {
        atim: one(Fstflags::ATIM, Fstflags::ATIM_NOW, atim)?,
        mtim: one(Fstflags::MTIM, Fstflags::MTIM_NOW, mtim)?,
    })
}

/// Reads from an offset without moving the descriptor's own.
///
/// More than 64 MiB are moved in pieces, between which others may read and write; 2,147,479,552
/// bytes are moved at most.
///
/// POSIX: `preadv`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `isdir`: it is a directory.
/// - `notcapable`: the right `fd_read` or `fd_seek` is missing.
/// - `inval`: the range ends beyond 2^63.
/// - `spipe`: the file cannot seek.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_pread>
pub(super) fn fd_pread(call: &Call<'_>, fd: Fd, iovs: IoVecsArg, offset: Filesize) -> Result<u32> {
    iovs.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = descriptor.file_to_read(Rights::FD_READ | Rights::FD_SEEK)?;
        in_pieces(call, bufs, |bufs, done| Ok(file.pread(bufs, offset.saturating_add(done))?))
    })
}

/// The kind of a preopen and the length of its name.
///
/// # Errors
/// - `badf`: the descriptor is not open, or is not a preopen.
///
/// # Node
/// `node:wasi` answers `inval` for a descriptor that is open and not a preopen.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_prestat_get>
pub(super) fn fd_prestat_get(call: &Call<'_>, fd: Fd) -> Result<Prestat> {
    let descriptor = call.descriptor(fd)?;
    let name = descriptor.preopen_name().ok_or(Errno::Badf)?;
    Ok(Prestat { name_len: count(name.len()) })
}

/// The guest's name of a preopen, without a terminator.
///
/// # Errors
/// - `badf`: the descriptor is not open, or is not a preopen.
/// - `nametoolong`: the buffer is shorter than the name.
///
/// # Node
/// `node:wasi` answers `nobufs` for a short buffer.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_prestat_dir_name>
pub(super) fn fd_prestat_dir_name(call: &Call<'_>, fd: Fd, path: BufferArg<'_>) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    let name = descriptor.preopen_name().ok_or(Errno::Badf)?;
    if path.0.len() < name.len() {
        return Err(Errno::Nametoolong.into());
    }
    path.0.write_at(0, name);
    Ok(())
}

/// Writes at an offset without moving the descriptor's own. On Linux, a descriptor that appends
/// writes at the end all the same.
///
/// More than 64 MiB are moved in pieces, between which others may read and write; 2,147,479,552
/// bytes are moved at most.
///
/// POSIX: `pwritev`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_write` or `fd_seek` is missing.
/// - `inval`: the range ends beyond 2^63.
/// - `spipe`: the file cannot seek.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_pwrite>
pub(super) fn fd_pwrite(call: &Call<'_>, fd: Fd, iovs: IoVecsArg, offset: Filesize) -> Result<u32> {
    iovs.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = descriptor.file(Rights::FD_WRITE | Rights::FD_SEEK)?;
        in_pieces(call, bufs, |bufs, done| Ok(file.pwrite(bufs, offset.saturating_add(done))?))
    })
}

/// Reads at the descriptor's offset. It waits for data unless the descriptor has `NONBLOCK`.
///
/// More than 64 MiB are moved in pieces, between which others may read and write; 2,147,479,552
/// bytes are moved at most.
///
/// POSIX: `readv`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `isdir`: it is a directory.
/// - `notcapable`: the right `fd_read` is missing.
/// - `again`: there is nothing to read, and the descriptor has `NONBLOCK`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_read>
pub(super) fn fd_read(call: &Call<'_>, fd: Fd, iovs: IoVecsArg) -> Result<u32> {
    iovs.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = descriptor.file_to_read(Rights::FD_READ)?;
        in_pieces(call, bufs, |bufs, _| {
            attempt(call, &descriptor, file, Interest::Read, file.read(bufs))
        })
    })
}

/// How many bytes of entries are written at once.
const LISTING_SLICE: usize = 1 << 20;

/// Writes entries of a directory from a cookie on, `.` and `..` among them. The last entry is cut
/// where the buffer ends; a buffer that is not full says that there are no more. A cookie is a
/// number below 2^31; positions are numbered in the order in which they were first listed. The
/// number stays valid while the directory changes, as long as the descriptor is open and no listing
/// of more than 65,536 entries begins anew; 0 is the start.
///
/// POSIX: `readdir`, `telldir`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `fd_readdir` is missing, as it is where the descriptor is no
///   directory.
/// - `acces`: the host may search the directory but not read it.
/// - `inval`: no entry was listed with this cookie.
/// - `dquot`: the guest has listed as many entries as it may. Those before the one that is refused
///   are not given either, and do not count: with a shorter buffer the guest gets them.
/// - `nomem`: the listings of all of the guest's open directories have taken the memory that they
///   may.
///
/// # Node
/// `node:wasi` leaves `.` and `..` out and has 0 for every serial number.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_readdir>
pub(super) fn fd_readdir(call: &Call<'_>, fd: Fd, buf: BufferArg<'_>, cookie: u64) -> Result<u32> {
    let descriptor = call.descriptor(fd)?;
    let directory = descriptor.directory(Rights::FD_READDIR)?;
    let buf = buf.0;
    if buf.is_empty() {
        return Ok(0);
    }
    let mut cookies = descriptor.cookies();
    // Where the last slice has stopped, and how many bytes there are: a cookie has 31 bits.
    let resume = call.resume.get();
    let (mut at, mut used) = if resume == 0 {
        if cookie == 0 {
            cookies.restart();
        }
        (u32::try_from(cookie).map_err(|_| Errno::Inval)?, 0)
    } else {
        ((resume >> u32::BITS) as u32, resume as u32 as usize)
    };
    let from = cookies.host(at).ok_or(Errno::Inval)?;
    let end = buf.len().min(used.saturating_add(LISTING_SLICE));
    let (mut refused, mut counted) = (None, 0_u64);
    let quota = call.ctx.quota.as_deref();
    // How many entries the slices before have counted.
    let before = quota.and_then(|_| call.ctx.parked.take()).filter(|_| resume > 0);
    let before = before.and_then(|parked| parked.downcast::<u64>().ok()).map_or(0, |count| *count);
    let listed =
        directory.entries(from, end.saturating_sub(used), &mut |entry: DirectoryEntry<'_>| {
            let next = quota.map_or(Ok(()), |quota| {
                quota.take_entry().inspect(|()| counted = counted.saturating_add(1))
            });
            let next = next.and_then(|()| cookies.after(at, entry.next, &call.ctx.listings));
            let next = match next {
                Ok(next) => next,
                Err(errno) => {
                    refused = Some(errno);
                    return false;
                }
            };
            let head = Dirent {
                next: next.into(),
                ino: entry.ino,
                namlen: count(entry.name.len()),
                filetype: entry.filetype,
            };
            let written = buf.put_with(used, &head, entry.name);
            used = used.wrapping_add(written);
            if written < size_of::<<Dirent as Record>::Bytes>().wrapping_add(entry.name.len()) {
                // An entry that is cut does not count, because the guest asks for it again.
                if let Some(quota) = quota {
                    counted = counted.saturating_sub(1);
                    quota.give_entries_back(1);
                }
                return false;
            }
            at = next;
            used < end
        });
    if let Some(errno) = refused.or(listed.err()) {
        if let Some(quota) = quota {
            if errno == Errno::Ask {
                // The call goes on with this slice.
                quota.give_entries_back(counted);
                call.ctx.parked.set(Some(Box::new(before)));
            } else {
                // The guest gets none of them.
                quota.give_entries_back(counted.saturating_add(before));
            }
        }
        return Err(errno.into());
    }
    if used >= end && used < buf.len() {
        if quota.is_some() {
            call.ctx.parked.set(Some(Box::new(before.saturating_add(counted))));
        }
        call.resume.set(u64::from(at) << u32::BITS | used as u64);
        return Err(CallError::Again);
    }
    Ok(count(used))
}

/// Moves a descriptor to the number of another, which is closed.
///
/// POSIX: `dup2` and `close`.
///
/// # Errors
/// - `badf`: one of the two is not open.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_renumber>
pub(super) fn fd_renumber(call: &Call<'_>, fd: Fd, to: Fd) -> Result<()> {
    Ok(call.ctx.table.renumber(fd, to)?)
}

/// Moves the offset of a descriptor and returns the new one.
///
/// POSIX: `lseek`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_seek` is missing, or `fd_tell` where the offset stays as it is.
/// - `inval`: the new offset is negative, or there is no such `whence`.
/// - `overflow`: it is beyond 2^63.
/// - `spipe`: the file cannot seek.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_seek>
pub(super) fn fd_seek(call: &Call<'_>, fd: Fd, offset: i64, whence: u32) -> Result<Filesize> {
    seek(&*call.descriptor(fd)?, offset, Whence::from_value(whence & 0xff).ok_or(Errno::Inval)?)
}

#[inline]
fn seek(descriptor: &Descriptor, offset: i64, whence: Whence) -> Result<Filesize> {
    let tells = whence == Whence::Cur && offset == 0;
    let right = if tells && !descriptor.rights().base.contains(Rights::FD_SEEK) {
        Rights::FD_TELL
    } else {
        Rights::FD_SEEK
    };
    Ok(descriptor.file(right)?.seek(offset, whence)?)
}

/// The offset of a descriptor.
///
/// POSIX: `lseek(fd, 0, SEEK_CUR)`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: both the right `fd_tell` and the right `fd_seek`, which implies it, are missing.
/// - `spipe`: the file cannot seek.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_tell>
pub(super) fn fd_tell(call: &Call<'_>, fd: Fd) -> Result<Filesize> {
    seek(&*call.descriptor(fd)?, 0, Whence::Cur)
}

/// Writes at the descriptor's offset; with `APPEND`, at the end. A stream takes all of it, however
/// long that takes, unless the descriptor has `NONBLOCK`.
///
/// More than 64 MiB are moved in pieces, between which others may read and write; 2,147,479,552
/// bytes are moved at most.
///
/// POSIX: `writev`.
///
/// # Errors
/// - `badf`: the descriptor is not open or is a directory.
/// - `notcapable`: the right `fd_write` is missing.
/// - `again`: there is no room, and the descriptor has `NONBLOCK`.
/// - `pipe`: nobody reads.
/// - `fbig`, `nospc`, `dquot`: there is no room for more.
///
/// # Node
/// `node:wasi` fails with `again` when the host's stdout is a pipe that does not block.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fd_write>
pub(super) fn fd_write(call: &Call<'_>, fd: Fd, iovs: IoVecsArg) -> Result<u32> {
    iovs.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = descriptor.file(Rights::FD_WRITE)?;
        all(call, &descriptor, file, Interest::Write, bufs, |bufs| {
            file.write(bufs, descriptor.flags())
        })
    })
}
