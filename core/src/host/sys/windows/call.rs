//! Calls of Windows on the handles of files and directories.

#![allow(unsafe_code, reason = "calls into the system")]

use super::errno;
use super::link::{self, Link};
use crate::abi::{Errno, Filestat, Filetype, Timestamp};
use crate::host::{Result, SetTime, SetTimes};
use crate::memory::Region;
use std::ffi::c_void;
use std::mem::offset_of;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_ACCESS_INFORMATION, FILE_LINK_INFORMATION, FILE_RENAME_IGNORE_READONLY_ATTRIBUTE,
    FILE_RENAME_INFORMATION, FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS,
    FileAccessInformation, FileLinkInformation, FileRenameInformation, FileRenameInformationEx,
    NtQueryInformationFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_HANDLE_EOF, ERROR_INVALID_FUNCTION,
    ERROR_INVALID_PARAMETER, ERROR_NO_MORE_FILES, ERROR_NOT_SUPPORTED, FILETIME,
    GetHandleInformation, GetLastError, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO, FILE_BEGIN, FILE_CURRENT,
    FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX,
    FILE_END, FILE_END_OF_FILE_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_ID_BOTH_DIR_INFO, FILE_INFO_BY_HANDLE_CLASS, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES, FileAttributeTagInfo, FileBasicInfo,
    FileDispositionInfo, FileDispositionInfoEx, FileEndOfFileInfo, FileIdBothDirectoryInfo,
    FlushFileBuffers, GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileSizeEx,
    ReOpenFile, ReadFile, SetFileInformationByHandle, SetFilePointerEx, SetFileTime, WriteFile,
};
use windows_sys::Win32::System::IO::{
    DeviceIoControl, IO_STATUS_BLOCK, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0,
};
use windows_sys::Win32::System::Ioctl::FSCTL_GET_REPARSE_POINT;
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;

/// Others may read, write, rename and remove a file that is open here, as on POSIX.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// The time from 1601, where Windows' times begin, to 1970, in units of 100 ns.
const EPOCH: u64 = 116_444_736_000_000_000;

/// A buffer in which several are gathered, so that the file sees one read or write.
const GATHER_LIMIT: usize = 1 << 20;

/// The longest reparse point.
const REPARSE_LIMIT: usize = 16 * 1024;

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn done(ok: i32) -> Result<()> {
    if ok == 0 { Err(errno::last()) } else { Ok(()) }
}

fn last_code() -> u32 {
    // SAFETY: it has no preconditions.
    unsafe { GetLastError() }
}

/// A time of Windows in nanoseconds since 1970. Earlier times have no representation.
pub(super) fn timestamp(time: u64) -> Timestamp {
    time.saturating_sub(EPOCH).saturating_mul(100)
}

fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// A record of a file, of whatever kind.
///
/// # Safety
/// `T` must be the record of `class`, plain data that may hold any bits.
unsafe fn query<T: Default>(
    handle: BorrowedHandle<'_>,
    class: FILE_INFO_BY_HANDLE_CLASS,
) -> Result<T> {
    let mut record = T::default();
    // SAFETY: the caller's promise; the pointer is to a local of that size.
    done(unsafe {
        GetFileInformationByHandleEx(
            handle.as_raw_handle(),
            class,
            (&raw mut record).cast(),
            size::<T>(),
        )
    })?;
    Ok(record)
}

/// Sets a record of a file. The error is the host's number.
///
/// # Safety
/// `T` must be the record of `class`.
unsafe fn set<T>(
    handle: BorrowedHandle<'_>,
    class: FILE_INFO_BY_HANDLE_CLASS,
    record: &T,
) -> std::result::Result<(), u32> {
    // SAFETY: the caller's promise.
    let ok = unsafe {
        SetFileInformationByHandle(
            handle.as_raw_handle(),
            class,
            ptr::from_ref(record).cast(),
            size::<T>(),
        )
    };
    if ok == 0 { Err(last_code()) } else { Ok(()) }
}

/// Whether an error says that the file system does not know the request.
fn is_unknown(code: u32) -> bool {
    matches!(code, ERROR_INVALID_PARAMETER | ERROR_INVALID_FUNCTION | ERROR_NOT_SUPPORTED)
}

/// The type of a handle's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// A link of any kind, to a file or a directory.
    Link,
    /// Anything else.
    File,
}

fn kind_of(attributes: u32, tag: u32) -> Kind {
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 && link::is_surrogate(tag) {
        Kind::Link
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        Kind::Directory
    } else {
        Kind::File
    }
}

fn filetype_of(kind: Kind) -> Filetype {
    match kind {
        Kind::Directory => Filetype::Directory,
        Kind::Link => Filetype::SymbolicLink,
        Kind::File => Filetype::RegularFile,
    }
}

/// The type of a handle's object.
pub(super) fn kind(handle: BorrowedHandle<'_>) -> Result<Kind> {
    // SAFETY: the class and its record.
    let info: FILE_ATTRIBUTE_TAG_INFO = unsafe { query(handle, FileAttributeTagInfo)? };
    Ok(kind_of(info.FileAttributes, info.ReparseTag))
}

fn information(handle: BorrowedHandle<'_>) -> Result<BY_HANDLE_FILE_INFORMATION> {
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the pointer is to a local.
    done(unsafe { GetFileInformationByHandle(handle.as_raw_handle(), &raw mut info) })?;
    Ok(info)
}

/// The identity of a file: its volume and its number there.
pub(super) fn identity(handle: BorrowedHandle<'_>) -> Result<(u64, u64)> {
    let info = information(handle)?;
    Ok((
        info.dwVolumeSerialNumber.into(),
        u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow),
    ))
}

/// The attributes of a file, a directory or a link.
pub(super) fn filestat(handle: BorrowedHandle<'_>) -> Result<Filestat> {
    let info = information(handle)?;
    let kind = if info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        kind_of(info.dwFileAttributes, 0)
    } else {
        self::kind(handle)?
    };
    // SAFETY: the class and its record.
    let changed = unsafe { query::<FILE_BASIC_INFO>(handle, FileBasicInfo) }
        .map_or(0, |times| times.ChangeTime);
    // Some file systems do not note it.
    let changed = u64::try_from(changed)
        .ok()
        .filter(|time| *time != 0)
        .unwrap_or(ticks(info.ftLastWriteTime));
    let size = match kind {
        // By POSIX the size of a link is the length of its text: programs make room for it.
        Kind::Link => read_link(handle).map_or(0, |link| link.text.len() as u64),
        Kind::Directory => 0,
        Kind::File => u64::from(info.nFileSizeHigh) << 32 | u64::from(info.nFileSizeLow),
    };
    Ok(Filestat {
        dev: info.dwVolumeSerialNumber.into(),
        ino: u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow),
        filetype: filetype_of(kind),
        nlink: info.nNumberOfLinks.into(),
        size,
        atim: timestamp(ticks(info.ftLastAccessTime)),
        mtim: timestamp(ticks(info.ftLastWriteTime)),
        ctim: timestamp(changed),
    })
}

/// The text of a link.
///
/// # Errors
/// - `inval`: it is none.
/// - `notcapable`: the text is of an unknown kind, so nobody can tell where the link leads.
pub(super) fn read_link(handle: BorrowedHandle<'_>) -> Result<Link> {
    let mut buffer = vec![0_u8; REPARSE_LIMIT];
    let mut used = 0;
    // SAFETY: the buffer has the length that is given, and the other pointers are to locals or null
    // where that is allowed.
    done(unsafe {
        DeviceIoControl(
            handle.as_raw_handle(),
            FSCTL_GET_REPARSE_POINT,
            ptr::null(),
            0,
            buffer.as_mut_ptr().cast(),
            u32::try_from(buffer.len()).unwrap_or(0),
            &raw mut used,
            ptr::null_mut(),
        )
    })?;
    let data = usize::try_from(used).ok().and_then(|used| buffer.get(..used)).unwrap_or_default();
    link::parse(data).ok_or(Errno::Notcapable)
}

/// Opens the file of a handle anew, with other access.
pub(super) fn reopen(handle: BorrowedHandle<'_>, access: u32, share: u32) -> Result<OwnedHandle> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    // SAFETY: the handle is open.
    let handle = unsafe { ReOpenFile(handle.as_raw_handle(), access, share, flags) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(errno::last());
    }
    // SAFETY: the call has made it for us.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Sets times of a file or directory, whatever the handle was opened for.
pub(super) fn set_times(handle: BorrowedHandle<'_>, times: SetTimes) -> Result<()> {
    let mut now = FILETIME::default();
    // SAFETY: the pointer is to a local.
    unsafe { GetSystemTimePreciseAsFileTime(&raw mut now) };
    let filetime = |time| match time {
        SetTime::Keep => None,
        SetTime::Now => Some(now),
        SetTime::At(time) => {
            let ticks = (time / 100).saturating_add(EPOCH);
            #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
            Some(FILETIME { dwLowDateTime: ticks as u32, dwHighDateTime: (ticks >> 32) as u32 })
        }
    };
    let (atim, mtim) = (filetime(times.atim), filetime(times.mtim));
    if atim.is_none() && mtim.is_none() {
        return Ok(());
    }
    let set = |handle: BorrowedHandle<'_>| {
        let pointer = |time: &Option<FILETIME>| time.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the pointers are to locals, or null for a time that stays.
        done(unsafe {
            SetFileTime(handle.as_raw_handle(), ptr::null(), pointer(&atim), pointer(&mtim))
        })
    };
    match set(handle) {
        // On POSIX a file that was opened to be read can be given times. A file that was opened to
        // be written has to be given them through this handle: closing a handle that has written
        // sets the time once more, unless that handle has set it.
        Err(Errno::Acces) => set(reopen(handle, FILE_WRITE_ATTRIBUTES, SHARE_ALL)?.as_handle()),
        result => result,
    }
}

/// Removes the name that a handle was opened by. The handle needs the access `DELETE`.
pub(super) fn remove(handle: BorrowedHandle<'_>) -> Result<()> {
    // The name is removed now, not when the last handle is closed.
    let flags = FILE_DISPOSITION_FLAG_DELETE
        | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
        | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE;
    // SAFETY: the class and its record.
    match unsafe { set(handle, FileDispositionInfoEx, &FILE_DISPOSITION_INFO_EX { Flags: flags }) }
    {
        Ok(()) => return Ok(()),
        Err(code) if !is_unknown(code) => return Err(errno::from_code(code)),
        Err(_) => {}
    }
    // SAFETY: the class and its record.
    unsafe { set(handle, FileDispositionInfo, &FILE_DISPOSITION_INFO { DeleteFile: true }) }
        .map_err(errno::from_code)
}

/// Renames the file of a handle, which needs the access `DELETE`, to `name` in `directory`. A file
/// in its place is replaced.
pub(super) fn rename(
    handle: BorrowedHandle<'_>,
    directory: BorrowedHandle<'_>,
    name: &str,
) -> Result<()> {
    let flags = FILE_RENAME_REPLACE_IF_EXISTS
        | FILE_RENAME_POSIX_SEMANTICS
        | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    match set_name(handle, FileRenameInformationEx, flags, directory, name) {
        Err(code) if is_unknown(code) => {}
        result => return result.map_err(errno::from_code),
    }
    set_name(handle, FileRenameInformation, 1, directory, name).map_err(errno::from_code)
}

/// Gives the file of a handle a second name.
pub(super) fn hard_link(
    handle: BorrowedHandle<'_>,
    directory: BorrowedHandle<'_>,
    name: &str,
) -> Result<()> {
    match set_name(handle, FileLinkInformation, 0, directory, name) {
        // A link to a directory is a kind of directory, and cannot have a second name either.
        Err(ERROR_ACCESS_DENIED)
            if information(handle)?.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0 =>
        {
            Err(Errno::Perm)
        }
        result => result.map_err(errno::from_code),
    }
}

/// Sets one of the records that end in a name. Each begins with flags, of which older ones know the
/// lowest alone.
fn set_name(
    handle: BorrowedHandle<'_>,
    class: i32,
    flags: u32,
    directory: BorrowedHandle<'_>,
    name: &str,
) -> std::result::Result<(), u32> {
    const DIRECTORY: usize = offset_of!(FILE_RENAME_INFORMATION, RootDirectory);
    const LENGTH: usize = offset_of!(FILE_RENAME_INFORMATION, FileNameLength);
    const NAME: usize = offset_of!(FILE_RENAME_INFORMATION, FileName);
    const { assert!(DIRECTORY == offset_of!(FILE_LINK_INFORMATION, RootDirectory)) };
    const { assert!(LENGTH == offset_of!(FILE_LINK_INFORMATION, FileNameLength)) };
    const { assert!(NAME == offset_of!(FILE_LINK_INFORMATION, FileName)) };
    const { assert!(align_of::<FILE_RENAME_INFORMATION>() <= align_of::<u64>()) };

    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_ne_bytes).collect();
    let length = u32::try_from(name.len()).map_err(|_| ERROR_INVALID_PARAMETER)?;
    let bytes = NAME.saturating_add(name.len()).max(size_of::<FILE_RENAME_INFORMATION>());
    // As aligned as the record.
    let mut record = vec![0_u64; bytes.div_ceil(size_of::<u64>())];
    let base = record.as_mut_ptr().cast::<u8>();
    // SAFETY: the record has room for all of them, and each is where the record has it.
    unsafe {
        base.cast::<u32>().write_unaligned(flags);
        base.add(DIRECTORY).cast::<*mut c_void>().write_unaligned(directory.as_raw_handle());
        base.add(LENGTH).cast::<u32>().write_unaligned(length);
        ptr::copy_nonoverlapping(name.as_ptr(), base.add(NAME), name.len());
    }
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: the handles are open, and the record is one of this class and as long as is said.
    let result = unsafe {
        NtSetInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            base.cast(),
            u32::try_from(bytes).unwrap_or(0),
            class,
        )
    };
    status_code(result)
}

/// The host's error number for a status of the kernel.
pub(super) fn status_code(status: NTSTATUS) -> std::result::Result<(), u32> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: it has no preconditions.
    Err(unsafe { RtlNtStatusToDosError(status) })
}

/// The access mask of a handle.
pub(super) fn access(handle: BorrowedHandle<'_>) -> Result<u32> {
    let mut info = FILE_ACCESS_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: the pointers are to locals, and the class is that of the record.
    let result = unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            (&raw mut info).cast(),
            size::<FILE_ACCESS_INFORMATION>(),
            FileAccessInformation,
        )
    };
    status_code(result).map_err(errno::from_code)?;
    Ok(info.AccessFlags)
}

/// Whether a handle is still open in this process.
pub(super) fn check_open(handle: BorrowedHandle<'_>) -> Result<()> {
    let mut flags = 0;
    // SAFETY: the pointer is to a local, and any number may stand for the handle.
    done(unsafe { GetHandleInformation(handle.as_raw_handle(), &raw mut flags) })
}

/// Fills `buffer` with entries of a directory: those after the last ones that this handle gave.
/// `false`: there are no more.
pub(super) fn read_directory(handle: BorrowedHandle<'_>, buffer: &mut [u64]) -> Result<bool> {
    let len = u32::try_from(size_of_val(buffer)).unwrap_or(0);
    // SAFETY: the buffer has the length that is given, and is as aligned as the records in it.
    if unsafe {
        GetFileInformationByHandleEx(
            handle.as_raw_handle(),
            FileIdBothDirectoryInfo,
            buffer.as_mut_ptr().cast(),
            len,
        )
    } != 0
    {
        return Ok(true);
    }
    match last_code() {
        ERROR_NO_MORE_FILES => Ok(false),
        code => Err(errno::from_code(code)),
    }
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) ino: u64,
    pub(super) filetype: Filetype,
}

/// The entries in a buffer of [`read_directory`], without those that no guest could name: `.`, `..`
/// and what is not Unicode.
pub(super) fn entries(buffer: &[u64]) -> Vec<Entry> {
    const NAME: usize = offset_of!(FILE_ID_BOTH_DIR_INFO, FileName);
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    loop {
        let number = |at: usize| {
            rest.get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        let next = number(offset_of!(FILE_ID_BOTH_DIR_INFO, NextEntryOffset)) as usize;
        let len = number(offset_of!(FILE_ID_BOTH_DIR_INFO, FileNameLength)) as usize;
        let units = rest.get(NAME..).and_then(|rest| rest.get(..len)).unwrap_or_default();
        let units: Vec<u16> =
            units.as_chunks().0.iter().map(|unit| u16::from_ne_bytes(*unit)).collect();
        if let Ok(name) = String::from_utf16(&units)
            && !matches!(name.as_str(), "" | "." | "..")
        {
            let ino = rest
                .get(offset_of!(FILE_ID_BOTH_DIR_INFO, FileId)..)
                .and_then(|rest| rest.first_chunk());
            // Of a reparse point, the size of its attributes is its tag.
            let kind = kind_of(
                number(offset_of!(FILE_ID_BOTH_DIR_INFO, FileAttributes)),
                number(offset_of!(FILE_ID_BOTH_DIR_INFO, EaSize)),
            );
            entries.push(Entry {
                name,
                ino: ino.map_or(0, |bytes| u64::from_ne_bytes(*bytes)),
                filetype: filetype_of(kind),
            });
        }
        match rest.get(next..) {
            Some(tail) if next > 0 => rest = tail,
            _ => return entries,
        }
    }
}

/// Writes a file or a directory to the device.
pub(super) fn flush(handle: BorrowedHandle<'_>) -> Result<()> {
    // SAFETY: the handle is open.
    match done(unsafe { FlushFileBuffers(handle.as_raw_handle()) }) {
        // Nothing was written through a handle that cannot write, as those of directories are.
        Err(Errno::Acces) => Ok(()),
        result => result,
    }
}

/// The size of a file.
pub(super) fn file_size(handle: BorrowedHandle<'_>) -> Result<u64> {
    let mut size = 0;
    // SAFETY: the pointer is to a local.
    done(unsafe { GetFileSizeEx(handle.as_raw_handle(), &raw mut size) })?;
    Ok(u64::try_from(size).unwrap_or(0))
}

/// Sets the size of a file.
pub(super) fn set_size(handle: BorrowedHandle<'_>, size: i64) -> Result<()> {
    // SAFETY: the class and its record.
    match unsafe { set(handle, FileEndOfFileInfo, &FILE_END_OF_FILE_INFO { EndOfFile: size }) } {
        // The number itself is valid, so this file system has no files of that size.
        Err(ERROR_INVALID_PARAMETER) => Err(Errno::Fbig),
        result => result.map_err(errno::from_code),
    }
}

/// The position from which a file's own offset is moved.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Start,
    Current,
    End,
}

/// Moves a file's own offset and returns the new one.
pub(super) fn seek(handle: BorrowedHandle<'_>, delta: i64, from: From) -> Result<u64> {
    let method = match from {
        From::Start => FILE_BEGIN,
        From::Current => FILE_CURRENT,
        From::End => FILE_END,
    };
    let mut to = 0;
    // SAFETY: the pointer is to a local.
    done(unsafe { SetFilePointerEx(handle.as_raw_handle(), delta, &raw mut to, method) })?;
    Ok(u64::try_from(to).unwrap_or(0))
}

/// The place in a file at which a transfer begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    /// At the file's own offset.
    Current,
    /// At this offset. The file's own is moved all the same.
    Offset(u64),
    /// At the end, wherever that is by then.
    End,
}

impl At {
    fn overlapped(self) -> Option<OVERLAPPED> {
        let offset = match self {
            Self::Current => return None,
            Self::Offset(offset) => offset,
            // Windows takes this offset for the end.
            Self::End => u64::MAX,
        };
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let halves = OVERLAPPED_0_0 { Offset: offset as u32, OffsetHigh: (offset >> 32) as u32 };
        Some(OVERLAPPED { Anonymous: OVERLAPPED_0 { Anonymous: halves }, ..OVERLAPPED::default() })
    }
}

fn transferred(ok: i32, count: u32) -> Result<usize> {
    if ok != 0 {
        return Ok(count as usize);
    }
    match last_code() {
        // A pipe whose other end is closed has come to its end, too.
        ERROR_HANDLE_EOF | ERROR_BROKEN_PIPE => Ok(0),
        // POSIX has this error for a descriptor that was not opened for the direction.
        ERROR_ACCESS_DENIED => Err(Errno::Badf),
        code => Err(errno::from_code(code)),
    }
}

/// Reads into the buffers, once.
pub(super) fn read(handle: BorrowedHandle<'_>, bufs: &[Region<'_>], at: At) -> Result<usize> {
    let read = |to: *mut u8, len: usize| {
        let (mut overlapped, mut count) = (at.overlapped(), 0);
        let pointer = overlapped.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        // SAFETY: `to` has room for `len` bytes, and the other pointers are to locals. No handle
        // here is one for overlapped work, so the call has done all of it when it returns.
        let ok = unsafe { ReadFile(handle.as_raw_handle(), to, len, &raw mut count, pointer) };
        transferred(ok, count)
    };
    if let [one] = bufs {
        return read(one.as_ptr(), one.len());
    }
    let mut gathered = vec![0; total(bufs)];
    let count = read(gathered.as_mut_ptr(), gathered.len())?;
    let mut rest = gathered.get(..count).unwrap_or_default();
    for buf in bufs {
        rest = rest.get(buf.write_at(0, rest)..).unwrap_or_default();
    }
    Ok(count)
}

/// Writes the buffers, once.
pub(super) fn write(handle: BorrowedHandle<'_>, bufs: &[Region<'_>], at: At) -> Result<usize> {
    let write = |from: *const u8, len: usize| {
        let (mut overlapped, mut count) = (at.overlapped(), 0);
        let pointer = overlapped.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        // SAFETY: as in `read`.
        let ok = unsafe { WriteFile(handle.as_raw_handle(), from, len, &raw mut count, pointer) };
        match transferred(ok, count) {
            Ok(0) if ok == 0 => Err(Errno::Pipe),
            result => result,
        }
    };
    if let [one] = bufs {
        return write(one.as_ptr(), one.len());
    }
    let gathered = gather(bufs, GATHER_LIMIT);
    write(gathered.as_ptr(), gathered.len())
}

fn total(bufs: &[Region<'_>]) -> usize {
    bufs.iter().fold(0_usize, |sum, buf| sum.saturating_add(buf.len())).min(GATHER_LIMIT)
}

/// The buffers' bytes, at most `limit` of them.
pub(super) fn gather(bufs: &[Region<'_>], limit: usize) -> Vec<u8> {
    let mut gathered = vec![0; total(bufs).min(limit)];
    let mut at = 0_usize;
    for buf in bufs {
        let Some(room) = gathered.get_mut(at..).filter(|room| !room.is_empty()) else { break };
        at = at.saturating_add(buf.read_at(0, room));
    }
    gathered
}
