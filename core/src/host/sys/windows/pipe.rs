//! Pipes, without waiting.
//!
//! The host's handle blocks in every read and write, and its mode is not ours to change. The system
//! tells how much there is to read. It does not tell how much room there is to write: Windows
//! counts the bytes that a waiting reader has asked for as taken, so a pipe whose reader waits
//! looks full. A write to a pipe that looks full tries one byte, and is cancelled after a while.

#![allow(unsafe_code, reason = "calls into the system")]

use super::call::{self, At, gather, status_code};
use super::errno;
use crate::abi::{Errno, Filesize};
use crate::host::{Readiness, Result};
use crate::memory::Region;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_PIPE_LOCAL_INFORMATION, FilePipeLocalInformation, NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_INVALID_HANDLE, ERROR_OPERATION_ABORTED,
    ERROR_PIPE_NOT_CONNECTED, GetLastError,
};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::IO::{CancelSynchronousIo, IO_STATUS_BLOCK};
use windows_sys::Win32::System::Pipes::PeekNamedPipe;
use windows_sys::Win32::System::Threading::{GetCurrentThreadId, OpenThread, THREAD_TERMINATE};

/// The time after which a write to a pipe that looks full is cancelled.
const TRY: Duration = Duration::from_millis(20);
/// The time after which a cancelled write that goes on is cancelled again: it may not have begun
/// when it was cancelled.
const TRY_AGAIN: Duration = Duration::from_millis(2);

/// The number of bytes that are written at once where the room is unknown.
const UNKNOWN_ROOM: usize = 512;

/// The number of bytes to read. The error is the host's number.
fn peek(handle: BorrowedHandle<'_>) -> std::result::Result<u32, u32> {
    let mut available = 0;
    // SAFETY: the pointer is to a local, and what is not asked for is null.
    if unsafe {
        PeekNamedPipe(
            handle.as_raw_handle(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            &raw mut available,
            ptr::null_mut(),
        )
    } != 0
    {
        return Ok(available);
    }
    // SAFETY: it has no preconditions.
    Err(unsafe { GetLastError() })
}

/// The number of bytes to read.
pub(super) fn available(handle: BorrowedHandle<'_>) -> Filesize {
    peek(handle).map_or(0, Filesize::from)
}

/// Whether a read would not wait.
pub(super) fn readable(handle: BorrowedHandle<'_>) -> Readiness {
    match peek(handle) {
        Ok(available) => Readiness { ready: available > 0, ..Readiness::default() },
        Err(code) => Readiness {
            ready: true,
            hangup: matches!(code, ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED),
            invalid: code == ERROR_INVALID_HANDLE,
        },
    }
}

/// Reads the bytes that are there.
pub(super) fn read(handle: BorrowedHandle<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    if peek(handle) == Ok(0) {
        return Err(Errno::Again);
    }
    // The end of a pipe, or an error, is reported without waiting.
    call::read(handle, bufs, At::Current)
}

/// The number of bytes that can be written for sure. `None`: the handle does not let that be asked.
fn room(handle: BorrowedHandle<'_>) -> Option<usize> {
    let mut info = FILE_PIPE_LOCAL_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    let size = u32::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the pointers are to locals, and the class is that of the record.
    let result = unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            (&raw mut info).cast(),
            size,
            FilePipeLocalInformation,
        )
    };
    status_code(result).ok()?;
    usize::try_from(info.WriteQuotaAvailable).ok()
}

/// Writes as many bytes as fit.
pub(super) fn write(handle: BorrowedHandle<'_>, bufs: &[Region<'_>]) -> Result<usize> {
    let room = room(handle);
    let bytes = gather(bufs, room.unwrap_or(UNKNOWN_ROOM).max(1));
    match room {
        Some(0) => write_briefly(handle, &bytes),
        _ => write_bytes(handle, &bytes).map_err(failed),
    }
}

/// The errno of a write that failed.
fn failed(code: u32) -> Errno {
    // POSIX has this error for a descriptor that was not opened for the direction.
    if code == ERROR_ACCESS_DENIED { Errno::Badf } else { errno::from_code(code) }
}

fn write_bytes(handle: BorrowedHandle<'_>, bytes: &[u8]) -> std::result::Result<usize, u32> {
    let mut count = 0;
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: the slice has `len` bytes, and the other pointer is to a local.
    if unsafe {
        WriteFile(handle.as_raw_handle(), bytes.as_ptr(), len, &raw mut count, ptr::null_mut())
    } != 0
    {
        return Ok(count as usize);
    }
    // SAFETY: it has no preconditions.
    Err(unsafe { GetLastError() })
}

/// Writes, and gives up after a while.
fn write_briefly(handle: BorrowedHandle<'_>, bytes: &[u8]) -> Result<usize> {
    // SAFETY: it has no preconditions.
    let thread = unsafe { OpenThread(THREAD_TERMINATE, 0, GetCurrentThreadId()) };
    if thread.is_null() {
        return Err(errno::last());
    }
    // SAFETY: the call has made it for us.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    let (finished, waiting) = channel::<()>();
    let watch = move |waiting: Receiver<()>| {
        let mut patience = TRY;
        while waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            // SAFETY: the handle is open. The thread does no other work that could be cancelled
            // until this one here has ended.
            unsafe { CancelSynchronousIo(thread.as_raw_handle()) };
            patience = TRY_AGAIN;
        }
    };
    thread::scope(|scope| {
        let watch = thread::Builder::new().spawn_scoped(scope, move || watch(waiting));
        if watch.is_err() {
            return Err(Errno::Nomem);
        }
        let result = write_bytes(handle, bytes);
        drop(finished);
        match result {
            Err(ERROR_OPERATION_ABORTED) => Err(Errno::Again),
            result => result.map_err(failed),
        }
    })
}
