//! Windows.

mod at;
mod call;
mod console;
mod directory;
mod errno;
mod file;
mod library;
mod link;
mod names;
mod pipe;
mod socket;
mod stream;
mod watched;

pub use errno::errno_from_raw;
pub use library::{PipeEnd, close_duplicate, duplicate, inherited_pipe, library_path, open_pipe};
pub use stream::Handle;
pub use watched::Watched;

use crate::abi::{Clockid, Errno, Fdflags, Filestat, Filetype, Timestamp};
use crate::host::directory::Contained;
use crate::host::{
    Access, GivenSocket, Opened, PreopenOptions, Readiness, Result, Stdio, Wait, from_io,
};
use cap_std::fs::Dir;
use directory::HostDirectory;
use file::DiskFile;
use socket::Socket;
use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use stream::StreamFile;
use windows_sys::Win32::Foundation::{
    ERROR_INVALID_HANDLE, FILETIME, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_APPEND_DATA, FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_DATA, FILE_TYPE_CHAR, FILE_TYPE_DISK,
    FILE_TYPE_PIPE, FILE_WRITE_DATA, GetFileType,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::{
    GetSystemTimeAdjustment, GetSystemTimePreciseAsFileTime,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, GetProcessTimes, GetThreadTimes, TerminateProcess,
};
use windows_sys::core::BOOL;

const NANOSECONDS: u64 = 1_000_000_000;

/// The unit of Windows' times in nanoseconds.
const TICK: u64 = 100;

fn unsupported<T>() -> Result<T> {
    Err(Errno::Notsup)
}

/// The frequency of the counter behind the monotonic clock, in counts a second.
#[allow(unsafe_code, reason = "a call that fills a number")]
fn counter_frequency() -> u64 {
    // It does not change while the system runs.
    static KNOWN: OnceLock<u64> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let mut frequency = 0;
        // SAFETY: the pointer is to a local. It does not fail on any Windows since XP.
        unsafe { QueryPerformanceFrequency(&raw mut frequency) };
        u64::try_from(frequency).unwrap_or(0).max(1)
    })
}

/// Nothing is bounded here.
///
/// # Errors
///
/// There are none.
pub fn bound_own_memory(_: Option<u64>) -> io::Result<()> {
    Ok(())
}

/// Threads have no number by which the system tells their CPU time.
#[must_use]
pub fn thread_id() -> Option<u32> {
    None
}

/// The resolution of a clock in nanoseconds.
#[allow(unsafe_code, reason = "a call that fills numbers")]
pub fn clock_resolution(clock: Clockid) -> Result<Timestamp> {
    match clock {
        Clockid::Realtime => Ok(TICK),
        Clockid::Monotonic => Ok(NANOSECONDS.checked_div(counter_frequency()).unwrap_or(1).max(1)),
        Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => {
            // CPU time is counted at the interrupts of the system's clock.
            let (mut adjustment, mut increment, mut disabled) = (0, 0, 0);
            // SAFETY: the pointers are to locals.
            if unsafe {
                GetSystemTimeAdjustment(&raw mut adjustment, &raw mut increment, &raw mut disabled)
            } == 0
            {
                return Err(errno::last());
            }
            Ok(u64::from(increment).saturating_mul(TICK).max(1))
        }
    }
}

/// The time of a clock in nanoseconds.
#[allow(unsafe_code, reason = "calls that fill records")]
pub fn clock_time(clock: Clockid) -> Result<Timestamp> {
    match clock {
        Clockid::Realtime => {
            let mut now = FILETIME::default();
            // SAFETY: the pointer is to a local.
            unsafe { GetSystemTimePreciseAsFileTime(&raw mut now) };
            Ok(call::timestamp(ticks(now)))
        }
        Clockid::Monotonic => {
            let mut counter = 0;
            // SAFETY: the pointer is to a local. It does not fail on any Windows since XP.
            unsafe { QueryPerformanceCounter(&raw mut counter) };
            let time =
                u128::from(u64::try_from(counter).unwrap_or(0)).saturating_mul(NANOSECONDS.into());
            let time = time.checked_div(counter_frequency().into()).unwrap_or(0);
            Ok(u64::try_from(time).unwrap_or(u64::MAX))
        }
        // SAFETY: the handle stands for this process.
        Clockid::ProcessCputimeId => cpu_time(GetProcessTimes, unsafe { GetCurrentProcess() }),
        // SAFETY: the handle stands for this thread.
        Clockid::ThreadCputimeId => cpu_time(GetThreadTimes, unsafe { GetCurrentThread() }),
    }
}

type ReadTimes = unsafe extern "system" fn(
    HANDLE,
    *mut FILETIME,
    *mut FILETIME,
    *mut FILETIME,
    *mut FILETIME,
) -> BOOL;

#[allow(unsafe_code, reason = "a call that fills records")]
fn cpu_time(read: ReadTimes, handle: HANDLE) -> Result<Timestamp> {
    let [mut created, mut ended, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: the pointers are to locals.
    if unsafe { read(handle, &raw mut created, &raw mut ended, &raw mut kernel, &raw mut user) }
        == 0
    {
        return Err(errno::last());
    }
    Ok(ticks(kernel).saturating_add(ticks(user)).saturating_mul(TICK))
}

fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}

/// Fills the bytes with random ones of the system, where that is faster than a generator. Nobody
/// has measured it on Windows.
#[must_use]
pub fn random(_: &mut [u8]) -> bool {
    false
}

/// Lets another thread run.
pub fn yield_now() {
    std::thread::yield_now();
}

/// Ends the process at once, without running exit handlers: other threads may be in the middle of
/// their work.
#[allow(unsafe_code, reason = "std's own exit runs them")]
pub fn end_process(code: i32) -> ! {
    // SAFETY: the handle stands for this process.
    unsafe { TerminateProcess(GetCurrentProcess(), code.cast_unsigned()) };
    std::process::abort()
}

/// The attributes of an object that has none.
fn stream_stat(filetype: Filetype) -> Filestat {
    Filestat { dev: 0, ino: 0, filetype, nlink: 1, size: 0, atim: 0, mtim: 0, ctim: 0 }
}

/// Opens a directory of the host for a guest. Not sandboxed: the path is the embedder's.
pub fn open_preopen(path: &Path, options: PreopenOptions) -> io::Result<Opened> {
    // `Dir::open_ambient_dir` would keep others from renaming and removing the directory while a
    // guest has it.
    let directory =
        OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
    if !directory.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let directory = Dir::from_std_file(directory);
    Ok(Opened::Directory(Box::new(Contained::new(
        HostDirectory::new(directory),
        options.root,
        options.no_symlinks,
    ))))
}

/// Opens a directory of the host by a canonical path. Windows opens it whole: only its last
/// component is held against being a link.
pub fn open_exact(path: &Path, options: PreopenOptions) -> Result<Opened> {
    let is_link = std::fs::symlink_metadata(path).map_err(|error| from_io(&error))?.is_symlink();
    if is_link {
        return Err(Errno::Loop);
    }
    open_preopen(path, options).map_err(|error| from_io(&error))
}

/// Borrows a descriptor of the host's C library as a guest's stdio. It is never closed, nor is its
/// mode changed.
pub fn stdio(fd: i32) -> io::Result<Stdio> {
    lend(handle_of(fd).expose_provenance())
}

/// The handle behind a descriptor. Descriptors are numbers of a C library, and each program and
/// library may have its own copy of that library. So the host is asked, which is libuv in Node. A
/// host that cannot answer still has the three standard handles of every process.
#[allow(unsafe_code, reason = "a function of the host that is found by its name")]
fn handle_of(fd: i32) -> HANDLE {
    type GetHandle = unsafe extern "C" fn(i32) -> HANDLE;
    static KNOWN: OnceLock<Option<GetHandle>> = OnceLock::new();
    let ask = KNOWN.get_or_init(|| {
        // The program itself, or the library that it has Node in.
        [None, Some("node.dll"), Some("libnode.dll")].into_iter().find_map(|library| {
            let name = library.map(|name| name.encode_utf16().chain([0]).collect::<Vec<u16>>());
            // SAFETY: the name ends in NUL, or is null for the program.
            let module =
                unsafe { GetModuleHandleW(name.as_ref().map_or(ptr::null(), Vec::as_ptr)) };
            if module.is_null() {
                return None;
            }
            // SAFETY: the module is loaded and the name ends in NUL.
            let function = unsafe { GetProcAddress(module, c"uv_get_osfhandle".as_ptr().cast()) }?;
            // SAFETY: this is the function's type.
            Some(unsafe {
                std::mem::transmute::<unsafe extern "system" fn() -> isize, GetHandle>(function)
            })
        })
    });
    match (ask, fd) {
        // SAFETY: it takes any number.
        (Some(ask), _) => unsafe { ask(fd) },
        // SAFETY: they have no preconditions.
        (None, 0) => unsafe { GetStdHandle(STD_INPUT_HANDLE) },
        // SAFETY: as above.
        (None, 1) => unsafe { GetStdHandle(STD_OUTPUT_HANDLE) },
        // SAFETY: as above.
        (None, 2) => unsafe { GetStdHandle(STD_ERROR_HANDLE) },
        (None, _) => INVALID_HANDLE_VALUE,
    }
}

/// Borrows a handle of the host, given as a number, as a guest's stdio, as [`stdio`] does.
#[allow(unsafe_code, reason = "a handle given by its number")]
pub fn lend(handle: usize) -> io::Result<Stdio> {
    let invalid = || io::Error::from_raw_os_error(ERROR_INVALID_HANDLE.cast_signed());
    // -1 is what the system has for no handle, -2 what a C library has for a standard stream that
    // is not there.
    if matches!(handle.cast_signed(), -2..=0) {
        return Err(invalid());
    }
    // SAFETY: it is none of the numbers that stand for no handle. Nothing is closed through the
    // borrow, and a handle that is not open answers with an error.
    let handle = unsafe { BorrowedHandle::borrow_raw(ptr::with_exposed_provenance_mut(handle)) };
    // SAFETY: any number may stand for the handle.
    let kind = unsafe { GetFileType(handle.as_raw_handle()) };
    // A handle that cannot say for what it is open fails when it is used.
    let rights = call::access(handle);
    let access = rights.map_or(Access::BOTH, |rights| Access {
        read: rights & FILE_READ_DATA != 0,
        write: rights & (FILE_WRITE_DATA | FILE_APPEND_DATA) != 0,
    });
    let lend = |object, flags| Ok(Stdio { object, flags, access });
    let file = match kind {
        FILE_TYPE_DISK if call::kind(handle).is_ok_and(|kind| kind == call::Kind::Directory) => {
            let dir = Dir::from_std_file(handle.try_clone_to_owned()?.into());
            let directory = Contained::new(HostDirectory::new(dir), false, false);
            return lend(Opened::Directory(Box::new(directory)), Fdflags::empty());
        }
        FILE_TYPE_DISK => {
            let appends = rights.is_ok_and(|rights| {
                rights & FILE_APPEND_DATA != 0 && rights & FILE_WRITE_DATA == 0
            });
            let file = DiskFile::borrowed(handle, Filetype::RegularFile, appends);
            return lend(
                Opened::File(Box::new(file)),
                if appends { Fdflags::APPEND } else { Fdflags::empty() },
            );
        }
        FILE_TYPE_CHAR if console::is_console(handle) => StreamFile::console(handle),
        FILE_TYPE_CHAR => {
            let file = DiskFile::borrowed(handle, Filetype::CharacterDevice, false);
            return lend(Opened::File(Box::new(file)), Fdflags::empty());
        }
        // Sockets are of this type, too, and say so; a pipe does not tell more to who may only
        // write.
        FILE_TYPE_PIPE => StreamFile::socket(handle).unwrap_or_else(|| StreamFile::pipe(handle)),
        _ => return Err(invalid()),
    };
    lend(Opened::File(Box::new(file)), Fdflags::empty())
}

/// Listens on an address of the Internet protocol. Port 0 is one that the system chooses.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<GivenSocket> {
    Ok(given(StreamFile::own_socket(Socket::listen(address, backlog)?), true))
}

/// Unix sockets are files of other systems. Node has pipes in their place, which a guest cannot
/// accept connections from.
pub fn listen_at(_: &Path, _: i32) -> io::Result<GivenSocket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Duplicates a socket of the host. Its mode stays unchanged, because everyone who has the socket
/// shares it.
///
/// # Errors
/// - `WSAENOTSOCK`: the descriptor is no socket.
#[allow(unsafe_code, reason = "a handle given by its number")]
pub fn duplicate_socket(fd: i32) -> io::Result<GivenSocket> {
    let handle = handle_of(fd);
    if matches!(handle.addr().cast_signed(), -2..=0) {
        return Err(io::Error::from_raw_os_error(ERROR_INVALID_HANDLE.cast_signed()));
    }
    // SAFETY: it is none of the numbers that stand for no handle. Nothing is closed through the
    // borrow, and a handle that is no socket, or not open, answers with an error.
    let handle = unsafe { BorrowedHandle::borrow_raw(handle) };
    let (socket, is_listening) = Socket::duplicate(handle)?;
    Ok(given(StreamFile::own_socket(socket), is_listening))
}

fn given(file: StreamFile, is_listening: bool) -> GivenSocket {
    GivenSocket { object: Opened::File(Box::new(file)), is_listening }
}

/// The first and the longest sleep of a wait that has to look again and again.
const NAP: Duration = Duration::from_millis(1);
const NAP_MOST: Duration = Duration::from_millis(10);

/// Waits until one of the files is ready or `timeout` nanoseconds have passed.
///
/// Windows waits for sockets in one way, for consoles in another, and for pipes not at all. So this
/// looks at the files and naps between two looks, unless all of them are of one kind that the
/// system can wait for.
pub fn wait(waits: &mut [Wait<'_>], timeout: Timestamp) -> Result<()> {
    let start = Instant::now();
    let timeout = Duration::from_nanos(timeout);
    let mut nap = NAP;
    loop {
        let mut any = false;
        for wait in &mut *waits {
            wait.readable = if wait.read { wait.handle.readable()? } else { Readiness::default() };
            wait.writable = if wait.write { wait.handle.writable()? } else { Readiness::default() };
            any |= wait.readable.ready || wait.writable.ready;
        }
        let left = timeout.saturating_sub(start.elapsed());
        if any || left.is_zero() {
            return Ok(());
        }
        match waits {
            [] => std::thread::sleep(left),
            [one] if one.handle.can_wait() => one.handle.wait(one.read, one.write, left)?,
            _ => {
                std::thread::sleep(nap.min(left));
                nap = nap.saturating_mul(2).min(NAP_MOST);
            }
        }
    }
}
