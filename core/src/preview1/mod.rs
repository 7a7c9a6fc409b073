//! The functions of preview1, one file per family, and the one table of their signatures.
//!
//! A handler takes checked arguments and returns its results; the glue here decodes the one and
//! writes the other. Pointers to results are checked before the handler runs, so a bad pointer
//! leaves no trace.

#![allow(
    clippy::unnecessary_wraps,
    reason = "handlers are of one shape, whether or not they can fail"
)]

mod args;
mod clock;
mod environ;
mod fd;
mod glue;
pub(crate) mod operations;
mod path;
mod poll;
mod proc;
mod random;
mod sched;
pub mod snapshot0;
mod sock;
mod stream;

pub use glue::{Entry, Function, Parameter, SLOTS, Visitor};

use crate::abi::{Errno, Event, Fd, Fdstat, Filestat, Prestat, Subscription};
use crate::ctx::Ctx;
use crate::descriptor::DescriptorRef;
use crate::host::{GuestPath, PathBuffer};
use crate::memory::{
    GuestMemory, GuestPtr, IOVEC_LIMIT, IoVecRoom, IoVecs, IovecError, OutOfBounds, Region,
};
use std::cell::Cell;

/// One call of a function.
pub struct Call<'a> {
    /// The instance that calls.
    pub ctx: &'a Ctx,
    /// Its memory.
    pub memory: GuestMemory<'a>,
    /// The progress of earlier slices, which the function has left when it answered
    /// [`CallError::Again`]; otherwise 0.
    pub resume: &'a Cell<u64>,
}

/// Why a function has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// It failed.
    Errno(Errno),
    /// A pointer lies outside the memory as it is known here. Nothing has been done yet: if the
    /// memory has grown, the caller can make the call again.
    OutOfBounds,
    /// The call has waited for a slice of time without result. The caller makes it again, with the
    /// same arguments and `resume`.
    Again,
    /// The call would have to wait, and its instance [suspends](Ctx::suspends). The caller makes it
    /// again, with the same arguments and `resume`, when a condition in [`Ctx::waiting`] has come
    /// true.
    WouldWait,
    /// The guest wants to end with this code.
    Exit(u32),
}

impl From<Errno> for CallError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<OutOfBounds> for CallError {
    fn from(OutOfBounds: OutOfBounds) -> Self {
        Self::OutOfBounds
    }
}

impl From<IovecError> for CallError {
    fn from(error: IovecError) -> Self {
        match error {
            IovecError::OutOfBounds => Self::OutOfBounds,
            IovecError::TooMany => Self::Errno(Errno::Inval),
        }
    }
}

/// The result of a function.
pub type Result<T> = std::result::Result<T, CallError>;

impl Call<'_> {
    /// The descriptor with a number.
    // Out of line, the result would pass through memory in pieces, which costs as much as the rest
    // of a short call.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: 13 ns a call")]
    fn descriptor(&self, fd: Fd) -> Result<DescriptorRef<'_>> {
        Ok(self.ctx.table.get(fd)?)
    }
}

/// A path argument: a checked range that has not been read yet.
#[derive(Debug, Clone, Copy)]
pub struct PathArg<'m>(Region<'m>);

impl PathArg<'_> {
    /// Copies the path out of the memory, once, and checks it.
    fn read(self, buffer: &mut PathBuffer) -> Result<GuestPath<'_>> {
        Ok(buffer.read(self.0)?)
    }

    /// Copies the text of a symbolic link.
    fn read_text(self, buffer: &mut PathBuffer) -> Result<&[u8]> {
        Ok(buffer.read_text(self.0)?)
    }
}

/// The number of buffers for which a list has room on the stack.
const FEW_BUFFERS: u32 = 16;

/// A list of buffers.
#[derive(Debug, Clone, Copy)]
pub struct IoVecsArg {
    list: GuestPtr<u64>,
    len: u32,
}

impl IoVecsArg {
    /// Reads the list, once, checks every buffer, and does something with them.
    // Nearly all lists have one buffer, and most of the others a few: room for many is so large
    // that to have it on the stack costs more than the rest of the call. `act` is called in one
    // place, as it would not be inlined into two.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: 20 ns a call")]
    fn with<'m, T>(
        self,
        memory: GuestMemory<'m>,
        act: impl FnOnce(IoVecs<'_, 'm>) -> Result<T>,
    ) -> Result<T> {
        let (mut one, mut few, mut many);
        let bufs = match self.len {
            1 => {
                one = IoVecRoom::<1>::new();
                one.read(memory, self.list, 1)?
            }
            0..=FEW_BUFFERS => {
                few = IoVecRoom::<{ FEW_BUFFERS as usize }>::new();
                few.read_list(memory, self.list, self.len)?
            }
            _ => {
                many = Box::new(IoVecRoom::<IOVEC_LIMIT>::new());
                many.read_list(memory, self.list, self.len)?
            }
        };
        act(bufs)
    }
}

/// A buffer that a function fills.
#[derive(Debug, Clone, Copy)]
pub struct BufferArg<'m>(Region<'m>);

// In the order of `node:wasi`'s `wasiImport`. `npm run generate` makes JavaScript's imports and the
// page of functions from this table.
glue::functions! {
    args_get = args::args_get(argv: GuestPtr<u32>, argv_buf: GuestPtr<u8>) -> ();
    args_sizes_get = args::args_sizes_get() -> (argc: u32, argv_buf_size: u32);
    clock_res_get = clock::clock_res_get(id: u32 as clockid) -> (resolution: u64);
    clock_time_get = clock::clock_time_get(id: u32 as clockid, precision: u64) -> (time: u64);
    environ_get = environ::environ_get(environ: GuestPtr<u32>, environ_buf: GuestPtr<u8>) -> ();
    environ_sizes_get = environ::environ_sizes_get() -> (environc: u32, environ_buf_size: u32);
    fd_advise = fd::fd_advise(fd: u32, offset: u64, len: u64, advice: u32 as advice) -> ();
    fd_allocate = fd::fd_allocate(fd: u32, offset: u64, len: u64) -> ();
    fd_close = fd::fd_close(fd: u32) -> ();
    fd_datasync = fd::fd_datasync(fd: u32) -> ();
    fd_fdstat_get = fd::fd_fdstat_get(fd: u32) -> (stat: Fdstat);
    fd_fdstat_set_flags = fd::fd_fdstat_set_flags(fd: u32, flags: u32 as fdflags) -> ();
    fd_fdstat_set_rights = fd::fd_fdstat_set_rights(fd: u32, fs_rights_base: u64 as rights, fs_rights_inheriting: u64 as rights) -> ();
    fd_filestat_get = fd::fd_filestat_get(fd: u32) -> (stat: Filestat);
    fd_filestat_set_size = fd::fd_filestat_set_size(fd: u32, size: u64) -> ();
    fd_filestat_set_times = fd::fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, fst_flags: u32 as fstflags) -> ();
    fd_pread = fd::fd_pread(fd: u32, iovs: IoVecsArg, offset: u64) -> (nread: u32);
    fd_prestat_get = fd::fd_prestat_get(fd: u32) -> (prestat: Prestat);
    fd_prestat_dir_name = fd::fd_prestat_dir_name(fd: u32, path: BufferArg<'_>) -> ();
    fd_pwrite = fd::fd_pwrite(fd: u32, iovs: IoVecsArg, offset: u64) -> (nwritten: u32);
    fd_read = fd::fd_read(fd: u32, iovs: IoVecsArg) -> (nread: u32);
    fd_readdir = fd::fd_readdir(fd: u32, buf: BufferArg<'_>, cookie: u64) -> (bufused: u32);
    fd_renumber = fd::fd_renumber(fd: u32, to: u32) -> ();
    fd_seek = fd::fd_seek(fd: u32, offset: i64, whence: u32 as whence) -> (newoffset: u64);
    fd_sync = fd::fd_sync(fd: u32) -> ();
    fd_tell = fd::fd_tell(fd: u32) -> (offset: u64);
    fd_write = fd::fd_write(fd: u32, iovs: IoVecsArg) -> (nwritten: u32);
    path_create_directory = path::path_create_directory(fd: u32, path: PathArg<'_>) -> ();
    path_filestat_get = path::path_filestat_get(fd: u32, flags: u32 as lookupflags, path: PathArg<'_>) -> (stat: Filestat);
    path_filestat_set_times = path::path_filestat_set_times(fd: u32, flags: u32 as lookupflags, path: PathArg<'_>, atim: u64, mtim: u64, fst_flags: u32 as fstflags) -> ();
    path_link = path::path_link(old_fd: u32, old_flags: u32 as lookupflags, old_path: PathArg<'_>, new_fd: u32, new_path: PathArg<'_>) -> ();
    path_open = path::path_open(fd: u32, dirflags: u32 as lookupflags, path: PathArg<'_>, oflags: u32 as oflags, fs_rights_base: u64 as rights, fs_rights_inheriting: u64 as rights, fdflags: u32 as fdflags) -> (opened_fd: u32);
    path_readlink = path::path_readlink(fd: u32, path: PathArg<'_>, buf: BufferArg<'_>) -> (bufused: u32);
    path_remove_directory = path::path_remove_directory(fd: u32, path: PathArg<'_>) -> ();
    path_rename = path::path_rename(fd: u32, old_path: PathArg<'_>, new_fd: u32, new_path: PathArg<'_>) -> ();
    path_symlink = path::path_symlink(old_path: PathArg<'_>, fd: u32, new_path: PathArg<'_>) -> ();
    path_unlink_file = path::path_unlink_file(fd: u32, path: PathArg<'_>) -> ();
    poll_oneoff = poll::poll_oneoff(subscriptions: GuestPtr<Subscription>, events: GuestPtr<Event>, nsubscriptions: u32) -> (nevents: u32);
    proc_exit = proc::proc_exit(code: u32) -> ();
    proc_raise = proc::proc_raise(sig: u32) -> ();
    random_get = random::random_get(buf: BufferArg<'_>) -> ();
    sched_yield = sched::sched_yield() -> ();
    sock_accept = sock::sock_accept(fd: u32, flags: u32 as fdflags) -> (fd_out: u32);
    sock_recv = sock::sock_recv(fd: u32, ri_data: IoVecsArg, ri_flags: u32 as riflags) -> (ro_datalen: u32, ro_flags: u16);
    sock_send = sock::sock_send(fd: u32, si_data: IoVecsArg, si_flags: u32) -> (so_datalen: u32);
    sock_shutdown = sock::sock_shutdown(fd: u32, how: u32 as sdflags) -> ();
}
