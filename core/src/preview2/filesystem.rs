//! Files and directories.

use super::area::descriptor_type;
use super::area::{
    Block, Code, DirectorySeed, Fallible, HashValue, Lists, OptionCode, Owned, Stat,
};
use super::glue::{Bytes, Text, Times};
use super::resources::{DescriptorRep, ErrorRep, Listing, ListingRep, OpenFile, Resource, State};
use super::streams::{Input, Output, left_of};
use super::{Call, Result, Trap};
use crate::abi::{Errno, Fd, Fdflags, Filesize, Filestat, Filetype, Fstflags, Oflags, Rights};
use crate::ctx::Ctx;
use crate::descriptor::DescriptorRef;
use crate::host::{Directory, DirectoryEntry, File, Lease, Opened, PATH_LIMIT};
use crate::memory::{GuestMemory, Region};
use crate::preview1;
use crate::preview1::operations::{self, Open, Path};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// The most bytes that a read takes before the guest is asked for memory.
const BUFFER: u64 = 64 << 10;

/// How many bytes of a file one read gives at most.
const READ_MOST: u64 = 64 << 20;

/// How many bytes of names a directory is asked for at once.
const LISTING: usize = 16 << 10;

/// How many bytes of a write go to the host at once.
const PIECE: usize = 64 << 20;

/// The flags of `descriptor-flags`.
mod flag {
    pub(super) const READ: u32 = 1;
    pub(super) const WRITE: u32 = 1 << 1;
    pub(super) const FILE_INTEGRITY_SYNC: u32 = 1 << 2;
    pub(super) const DATA_INTEGRITY_SYNC: u32 = 1 << 3;
    pub(super) const REQUESTED_WRITE_SYNC: u32 = 1 << 4;
    pub(super) const MUTATE_DIRECTORY: u32 = 1 << 5;
}

const SYMLINK_FOLLOW: u32 = 1;

fn follows(path_flags: u32) -> bool {
    path_flags & SYMLINK_FOLLOW != 0
}

/// The error for a missing right: 0.2 has no rights, and a descriptor that was opened without one
/// is simply not open for the operation.
fn own_word(errno: Errno) -> Errno {
    if errno == Errno::Notcapable { Errno::Badf } else { errno }
}

fn file_of<'a>(descriptor: &'a DescriptorRef<'_>, rights: Rights) -> Result<&'a dyn File> {
    descriptor.file(rights).map_err(|errno| own_word(errno).into())
}

fn file_to_read<'a>(descriptor: &'a DescriptorRef<'_>) -> Result<&'a dyn File> {
    descriptor.file_to_read(Rights::FD_READ).map_err(|errno| own_word(errno).into())
}

/// A word for a file on which a path is looked up.
fn check_directory(call: &Call<'_>, file: &OpenFile) -> Result<()> {
    match call.ctx.table.get(file.fd)?.object() {
        Opened::Directory(_) => Ok(()),
        Opened::File(_) => Err(Errno::Notdir.into()),
    }
}

/// The directory of a rep.
fn directory(call: &Call<'_>, rep: DescriptorRep) -> Result<Rc<OpenFile>> {
    let file = call.file(rep)?;
    check_directory(call, &file)?;
    Ok(file)
}

/// Reads from an offset, once.
pub(super) fn pread(
    call: &Call<'_>,
    file: &OpenFile,
    region: Region<'_>,
    offset: Filesize,
) -> Result<usize> {
    let descriptor = call.ctx.table.get(file.fd)?;
    Ok(file_to_read(&descriptor)?.pread(&[region], offset)?)
}

/// Writes at an offset, once. A descriptor of the host that appends would append.
pub(super) fn pwrite(
    ctx: &Ctx,
    file: &OpenFile,
    region: Region<'_>,
    offset: Filesize,
) -> Result<usize> {
    let descriptor = ctx.table.get(file.fd)?;
    let opened = file_of(&descriptor, Rights::FD_WRITE)?;
    if file.appends.get() {
        opened.set_flags(Fdflags::APPEND, Fdflags::empty())?;
        file.appends.set(false);
    }
    Ok(opened.pwrite(&[region], offset)?)
}

/// Writes at the end, once, wherever others have moved it.
pub(super) fn append(ctx: &Ctx, file: &OpenFile, region: Region<'_>) -> Result<usize> {
    let descriptor = ctx.table.get(file.fd)?;
    let opened = file_of(&descriptor, Rights::FD_WRITE)?;
    if !file.appends.get() {
        opened.set_flags(Fdflags::empty(), Fdflags::APPEND)?;
        file.appends.set(true);
    }
    Ok(opened.write(&[region], descriptor.flags() | Fdflags::APPEND)?)
}

fn fallible<T>(result: Result<T>) -> Result<Fallible<T>> {
    result.map(Fallible)
}

type Answer<T> = Result<Fallible<T>>;

// --- The preopened directories -------------------------------------------------------------------

/// The directories that the embedder gives, with their names.
pub(super) fn get_directories(call: &Call<'_>) -> Result<DirectorySeed> {
    let (mut reps, mut names) = (Vec::new(), Vec::new());
    for fd in call.state.preopens(call.ctx) {
        let Ok(descriptor) = call.ctx.table.get(fd) else { continue };
        let Some(name) = descriptor.preopen_name() else { continue };
        names.push(name.to_vec());
        reps.push(call.state.add(Resource::Descriptor(State::lent(fd)))?);
    }
    Ok(DirectorySeed(Lists::strings(names.iter().map(Vec::as_slice), 1, &reps)?))
}

// --- A descriptor itself -------------------------------------------------------------------------

/// Whether a file has positions: of a pipe or a device, a stream reads and writes what comes next.
fn has_positions(file: &dyn File) -> bool {
    matches!(file.filetype(), Filetype::RegularFile | Filetype::BlockDevice)
}

pub(super) fn read_via_stream(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    offset: Filesize,
) -> Answer<Owned> {
    fallible(call.file(descriptor).and_then(|open| {
        let positions = has_positions(file_to_read(&call.ctx.table.get(open.fd)?)?);
        let stream = if positions { Input::of_file(open, offset) } else { Input::of_stream(open) };
        Ok(Owned(Resource::Input(Rc::new(stream))))
    }))
}

/// A stream that writes to a file: in a file with positions, where `place` says.
fn writing(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    place: impl FnOnce(Rc<OpenFile>) -> Output,
) -> Answer<Owned> {
    fallible(call.file(descriptor).and_then(|open| {
        let descriptor = call.ctx.table.get(open.fd)?;
        let positions = has_positions(file_of(&descriptor, Rights::FD_WRITE)?);
        drop(descriptor);
        let stream = if positions { place(open) } else { Output::of_stream(open, call.state) };
        Ok(Owned(Resource::Output(Rc::new(stream))))
    }))
}

pub(super) fn write_via_stream(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    offset: Filesize,
) -> Answer<Owned> {
    writing(call, descriptor, |open| Output::of_file(open, offset))
}

pub(super) fn append_via_stream(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<Owned> {
    writing(call, descriptor, Output::of_end)
}

pub(super) fn advise(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    offset: Filesize,
    length: Filesize,
    advice: u32,
) -> Answer<()> {
    /// `normal`, `sequential`, `random`, `will-need`, `dont-need`, `no-reuse`: the same numbers.
    const ADVICES: u32 = 6;
    fallible(call.file(descriptor).and_then(|file| {
        if advice >= ADVICES {
            return Err(Trap::Argument.into());
        }
        Ok(operations::advise(&call.preview1(), file.fd, offset, length, advice)?)
    }))
}

pub(super) fn sync_data(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<()> {
    fallible(call.file(descriptor).and_then(|file| {
        let descriptor = call.ctx.table.get(file.fd)?;
        if matches!(descriptor.object(), Opened::Directory(_)) {
            drop(descriptor);
            // A directory has no data apart from its entries.
            return Ok(operations::sync(&call.preview1(), file.fd)?);
        }
        // Preview1's right to do this belongs to those to write. POSIX asks for neither.
        Ok(file_of(&descriptor, Rights::FD_SYNC)?.datasync()?)
    }))
}

pub(super) fn sync(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<()> {
    fallible(
        call.file(descriptor).and_then(|file| Ok(operations::sync(&call.preview1(), file.fd)?)),
    )
}

pub(super) fn get_flags(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<u8> {
    fallible(call.file(descriptor).and_then(|file| {
        let descriptor = call.ctx.table.get(file.fd)?;
        let rights = descriptor.rights().base;
        let fdflags = descriptor.flags();
        let is_directory = matches!(descriptor.object(), Opened::Directory(_));
        let mut flags = 0;
        for (flag, is_set) in [
            (flag::READ, rights.intersects(Rights::FD_READ | Rights::FD_READDIR)),
            (flag::WRITE, !descriptor.is_read_only() && rights.contains(Rights::FD_WRITE)),
            (flag::FILE_INTEGRITY_SYNC, fdflags.contains(Fdflags::SYNC)),
            (flag::DATA_INTEGRITY_SYNC, fdflags.contains(Fdflags::DSYNC)),
            (flag::REQUESTED_WRITE_SYNC, fdflags.contains(Fdflags::RSYNC)),
            (flag::MUTATE_DIRECTORY, is_directory && !descriptor.is_read_only()),
        ] {
            if is_set {
                flags |= flag;
            }
        }
        Ok(u8::try_from(flags).unwrap_or(0))
    }))
}

pub(super) fn get_type(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<u8> {
    /// The number of `socket`.
    const SOCKET: u8 = 7;
    fallible(call.file(descriptor).and_then(|file| {
        let descriptor = call.ctx.table.get(file.fd)?;
        Ok(match descriptor.object() {
            Opened::Directory(_) => descriptor_type(Filetype::Directory),
            Opened::File(file) if file.is_socket() => SOCKET,
            Opened::File(file) => descriptor_type(file.filetype()),
        })
    }))
}

pub(super) fn set_size(call: &Call<'_>, descriptor: DescriptorRep, size: Filesize) -> Answer<()> {
    fallible(call.file(descriptor).and_then(|file| {
        let descriptor = call.ctx.table.get(file.fd)?;
        Ok(file_of(&descriptor, Rights::FD_FILESTAT_SET_SIZE)?.set_size(size)?)
    }))
}

/// The arguments of preview1 for two times.
fn times(access: Times, modification: Times) -> Result<(u64, u64, u32)> {
    const SECOND: u64 = 1_000_000_000;
    let one = |times, at: Fstflags, now: Fstflags| match times {
        Times::NoChange => Ok((0, Fstflags::empty())),
        Times::Now => Ok((0, now)),
        Times::At { nanoseconds, .. } if u64::from(nanoseconds) >= SECOND => Err(Errno::Inval),
        Times::At { seconds, nanoseconds } => seconds
            .checked_mul(SECOND)
            .and_then(|time| time.checked_add(nanoseconds.into()))
            .map(|time| (time, at))
            .ok_or(Errno::Overflow),
    };
    let (atim, one_flags) = one(access, Fstflags::ATIM, Fstflags::ATIM_NOW)?;
    let (mtim, other_flags) = one(modification, Fstflags::MTIM, Fstflags::MTIM_NOW)?;
    Ok((atim, mtim, u32::from((one_flags | other_flags).bits())))
}

pub(super) fn set_times(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    access: Times,
    modification: Times,
) -> Answer<()> {
    fallible(call.file(descriptor).and_then(|file| {
        let (atim, mtim, flags) = times(access, modification)?;
        Ok(operations::set_times(&call.preview1(), file.fd, atim, mtim, flags)?)
    }))
}

/// Reads from an offset; the second result says whether the file has come to its end.
pub(super) fn read(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    length: Filesize,
    offset: Filesize,
) -> Answer<Lists<12>> {
    fallible(call.file(descriptor).and_then(|file| {
        if length > BUFFER
            && let Ok(Some(left)) = left_of(call, &file, offset)
            && left > BUFFER
        {
            // It must be one that can be read.
            file_to_read(&call.ctx.table.get(file.fd)?)?;
            let len = usize::try_from(length.min(left).min(READ_MOST)).unwrap_or(0);
            return Lists::<12>::read(Block::File { file, offset, len, stream: None }, false);
        }
        let mut buffer = call.state.buffer.borrow_mut();
        let size = usize::try_from(BUFFER).unwrap_or(0);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let len = u32::try_from(length.min(BUFFER)).unwrap_or(0);
        let region = GuestMemory::from_slice(&mut buffer).region(0, len)?;
        let count = pread(call, &file, region, offset)?;
        Lists::<12>::read(Block::Buffered(count), count == 0 && len > 0)
    }))
}

/// Writes at an offset, and says how much.
pub(super) fn write(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    buffer: Bytes<'_>,
    offset: Filesize,
) -> Answer<u64> {
    fallible(call.file(descriptor).and_then(|file| {
        let count = pwrite(call.ctx, &file, buffer.0.start(PIECE), offset)?;
        Ok(count as u64)
    }))
}

/// Asks for what a file is, and remembers what of it cannot change while the file is open: programs
/// of preview1 ask for both at once, because there it is one record.
fn stat_of(call: &Call<'_>, file: &OpenFile) -> Result<Filestat> {
    let stat = operations::stat(&call.preview1(), file.fd)?;
    if file.identity.get().is_none()
        && matches!(
            call.ctx.table.get(file.fd)?.object(),
            Opened::File(opened) if opened.keeps_identity()
        )
    {
        file.identity.set(Some(hash(stat)));
    }
    Ok(stat)
}

pub(super) fn stat(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<Stat> {
    fallible(call.file(descriptor).and_then(|file| stat_of(call, &file)).map(Stat))
}

/// A file that has the same number on the same device is the same.
fn hash(stat: Filestat) -> HashValue {
    HashValue { lower: stat.ino, upper: stat.dev }
}

pub(super) fn metadata_hash(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<HashValue> {
    fallible(call.file(descriptor).and_then(|file| match file.identity.get() {
        Some(known) => Ok(known),
        None => stat_of(call, &file).map(hash),
    }))
}

pub(super) fn is_same_object(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    other: DescriptorRep,
) -> Result<bool> {
    let (one, other) = (call.file(descriptor)?, call.file(other)?);
    if one.fd == other.fd {
        return Ok(true);
    }
    let look = |file: &OpenFile| operations::stat(&call.preview1(), file.fd).map(hash);
    Ok(matches!((look(&one), look(&other)), (Ok(one), Ok(other)) if one == other))
}

// --- Listings ------------------------------------------------------------------------------------

pub(super) fn read_directory(call: &Call<'_>, descriptor: DescriptorRep) -> Answer<Owned> {
    fallible(directory(call, descriptor).and_then(|file| {
        call.ctx.table.get(file.fd)?.directory(Rights::FD_READDIR).map_err(own_word)?;
        Ok(Owned(Resource::Listing(Rc::new(Listing {
            file,
            cookie: Cell::new(0),
            entries: RefCell::default(),
            lease: RefCell::new(Lease::new(&call.ctx.listings)),
            ended: Cell::new(false),
        }))))
    }))
}

/// The charge for an entry beside its name, in bytes: about what it costs.
const ENTRY_CHARGE: usize = 64;

/// By how much the share of the memory for listings grows, in bytes.
const LEASE_STEP: usize = 4 << 10;

/// Asks the host for more entries.
///
/// # Errors
/// - `nomem`: the listings of the instance have taken what they may.
/// - those of listing the directory.
fn list(listing: &Listing, directory: &dyn Directory) -> Result<()> {
    let mut entries = listing.entries.borrow_mut();
    let mut lease = listing.lease.borrow_mut();
    let (mut used, mut seen) = (0_usize, 0_usize);
    let (mut taken, mut room, mut refused) = (0_usize, 0_usize, None);
    directory.entries(listing.cookie.get(), LISTING, &mut |entry: DirectoryEntry<'_>| {
        seen = seen.saturating_add(1);
        if entry.name != b"." && entry.name != b".." {
            taken = taken.saturating_add(entry.name.len()).saturating_add(ENTRY_CHARGE);
            if taken > room {
                room = taken.saturating_add(LEASE_STEP);
                if let Err(errno) = lease.resize(room) {
                    refused = Some(errno);
                    return false;
                }
            }
            used = used.saturating_add(entry.name.len()).saturating_add(size_of::<usize>());
            entries.push_back((descriptor_type(entry.filetype), entry.name.into()));
        }
        listing.cookie.set(entry.next);
        used < LISTING
    })?;
    listing.ended.set(seen == 0);
    match refused {
        Some(errno) if entries.is_empty() => Err(errno.into()),
        _ => Ok(()),
    }
}

/// The next entry. `.` and `..` are none.
pub(super) fn read_directory_entry(call: &Call<'_>, stream: ListingRep) -> Answer<Lists<16>> {
    fallible(call.listing(stream).and_then(|listing| {
        let descriptor = call.ctx.table.get(listing.file.fd)?;
        let opened = descriptor.directory(Rights::FD_READDIR).map_err(own_word)?;
        while listing.entries.borrow().is_empty() && !listing.ended.get() {
            list(&listing, opened)?;
        }
        if listing.entries.borrow().is_empty() {
            return Lists::<16>::entry(None);
        }
        if let Some(quota) = &call.ctx.quota {
            quota.take_entry()?;
        }
        let mut entries = listing.entries.borrow_mut();
        let entry = entries.pop_front();
        if entries.is_empty() {
            *entries = VecDeque::new();
            listing.lease.borrow_mut().resize(0)?;
        }
        drop(entries);
        if entry.as_ref().is_some_and(|(_, name)| str::from_utf8(name).is_err()) {
            return Err(Errno::Ilseq.into());
        }
        Lists::<16>::entry(entry)
    }))
}

// --- Paths below a descriptor --------------------------------------------------------------------

/// Does to a path below a directory what takes nothing else.
fn on_path(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path: Text<'_>,
    act: fn(&preview1::Call<'_>, Fd, Path<'_>) -> preview1::Result<()>,
) -> Answer<()> {
    fallible(
        directory(call, descriptor)
            .and_then(|file| Ok(act(&call.preview1(), file.fd, Path::new(path.0))?)),
    )
}

pub(super) fn create_directory_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path: Text<'_>,
) -> Answer<()> {
    on_path(call, descriptor, path, operations::create_directory)
}

pub(super) fn remove_directory_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path: Text<'_>,
) -> Answer<()> {
    on_path(call, descriptor, path, operations::remove_directory)
}

pub(super) fn unlink_file_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path: Text<'_>,
) -> Answer<()> {
    on_path(call, descriptor, path, operations::unlink)
}

fn stat_of_path(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path_flags: u32,
    path: Text<'_>,
) -> Result<Filestat> {
    let file = directory(call, descriptor)?;
    let path = Path::new(path.0);
    Ok(operations::stat_at(&call.preview1(), file.fd, follows(path_flags), path)?)
}

pub(super) fn stat_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path_flags: u32,
    path: Text<'_>,
) -> Answer<Stat> {
    fallible(stat_of_path(call, descriptor, path_flags, path).map(Stat))
}

pub(super) fn metadata_hash_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path_flags: u32,
    path: Text<'_>,
) -> Answer<HashValue> {
    fallible(stat_of_path(call, descriptor, path_flags, path).map(hash))
}

pub(super) fn set_times_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path_flags: u32,
    path: Text<'_>,
    access: Times,
    modification: Times,
) -> Answer<()> {
    fallible(directory(call, descriptor).and_then(|file| {
        let times = times(access, modification)?;
        let (call, path) = (call.preview1(), Path::new(path.0));
        Ok(operations::set_times_at(&call, file.fd, follows(path_flags), path, times)?)
    }))
}

pub(super) fn link_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    old_path_flags: u32,
    old_path: Text<'_>,
    new_descriptor: DescriptorRep,
    new_path: Text<'_>,
) -> Answer<()> {
    fallible(directory(call, descriptor).and_then(|file| {
        let to = directory(call, new_descriptor)?;
        let (old, new) = (Path::new(old_path.0), Path::new(new_path.0));
        let follow = follows(old_path_flags);
        Ok(operations::link(&call.preview1(), file.fd, follow, old, to.fd, new)?)
    }))
}

pub(super) fn rename_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    old_path: Text<'_>,
    new_descriptor: DescriptorRep,
    new_path: Text<'_>,
) -> Answer<()> {
    fallible(directory(call, descriptor).and_then(|file| {
        let to = directory(call, new_descriptor)?;
        let (old, new) = (Path::new(old_path.0), Path::new(new_path.0));
        Ok(operations::rename(&call.preview1(), file.fd, old, to.fd, new)?)
    }))
}

pub(super) fn symlink_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    old_path: Text<'_>,
    new_path: Text<'_>,
) -> Answer<()> {
    fallible(directory(call, descriptor).and_then(|file| {
        let (old, new) = (Path::new(old_path.0), Path::new(new_path.0));
        Ok(operations::symlink(&call.preview1(), old, file.fd, new)?)
    }))
}

/// The text of a symbolic link. One that is an absolute path is not told, as the interface has it.
pub(super) fn readlink_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path: Text<'_>,
) -> Answer<Lists<8>> {
    fallible(directory(call, descriptor).and_then(|file| {
        let mut text = vec![0; PATH_LIMIT];
        let len = u32::try_from(PATH_LIMIT).unwrap_or(0);
        let region = GuestMemory::from_slice(&mut text).region(0, len)?;
        let count = operations::readlink(&call.preview1(), file.fd, Path::new(path.0), region)?;
        text.truncate(count as usize);
        if text.starts_with(b"/") {
            return Err(Errno::Perm.into());
        }
        if str::from_utf8(&text).is_err() {
            return Err(Errno::Ilseq.into());
        }
        Lists::bytes(Block::Bytes(text))
    }))
}

/// Opens a file or a directory.
pub(super) fn open_at(
    call: &Call<'_>,
    descriptor: DescriptorRep,
    path_flags: u32,
    path: Text<'_>,
    open_flags: u32,
    flags: u32,
) -> Answer<Owned> {
    /// `create`, `directory`, `exclusive`, `truncate`: the same numbers.
    const OPEN_FLAGS: u32 = 0xf;
    fallible(directory(call, descriptor).and_then(|file| {
        let (inheriting, is_read_only) = {
            let descriptor = call.ctx.table.get(file.fd)?;
            (descriptor.rights().inheriting, descriptor.is_read_only())
        };
        if flags & flag::MUTATE_DIRECTORY != 0 && is_read_only {
            return Err(Errno::Rofs.into());
        }
        let mut rights = inheriting;
        if flags & flag::WRITE == 0 {
            rights.remove(Rights::WRITING);
        }
        if flags & flag::READ == 0 {
            rights.remove(Rights::FD_READ);
            if flags & flag::WRITE != 0 {
                rights.remove(Rights::FD_READDIR);
            }
        }
        let mut fdflags = Fdflags::empty();
        fdflags.set(Fdflags::SYNC, flags & flag::FILE_INTEGRITY_SYNC != 0);
        fdflags.set(Fdflags::DSYNC, flags & flag::DATA_INTEGRITY_SYNC != 0);
        fdflags.set(Fdflags::RSYNC, flags & flag::REQUESTED_WRITE_SYNC != 0);
        let how = Open {
            follow: follows(path_flags),
            oflags: u32::from(
                Oflags::from_bits_truncate(u16::try_from(open_flags & OPEN_FLAGS).unwrap_or(0))
                    .bits(),
            ),
            rights_base: rights.bits(),
            rights_inheriting: inheriting.bits(),
            fdflags: fdflags.bits().into(),
        };
        let fd = operations::open(&call.preview1(), file.fd, Path::new(path.0), how)?;
        Ok(Owned(Resource::Descriptor(call.state.opened(fd))))
    }))
}

/// The code of a stream's error.
pub(super) fn filesystem_error_code(call: &Call<'_>, error: ErrorRep) -> Result<OptionCode> {
    let errno = call.error(error)?;
    Ok(OptionCode(Some(Code::of(errno))))
}
