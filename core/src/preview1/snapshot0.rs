//! The functions that snapshot 0, `wasi_unstable`, has with other layouts. All others are those of
//! preview1.
//!
//! <https://github.com/WebAssembly/WASI/blob/wasi-0.1/legacy/preview0/docs.md>

use super::glue::{self, Function};
use super::{Call, PathArg, Result, fd, path, poll};
use crate::abi::{Event, Fd, Filesize, Filestat0, Subscription0};
use crate::memory::GuestPtr;

glue::functions! {
    fd_filestat_get = own::fd_filestat_get(fd: u32) -> (stat: Filestat0);
    fd_seek = own::fd_seek(fd: u32, offset: i64, whence: u32) -> (newoffset: u64);
    path_filestat_get = own::path_filestat_get(fd: u32, flags: u32 as lookupflags, path: PathArg<'_>) -> (stat: Filestat0);
    poll_oneoff = own::poll_oneoff(subscriptions: GuestPtr<Subscription0>, events: GuestPtr<Event>, nsubscriptions: u32) -> (nevents: u32);
}

mod own {
    use super::{
        Call, Event, Fd, Filesize, Filestat0, GuestPtr, PathArg, Result, Subscription0,
        fd as family, path as paths, poll,
    };

    /// [`fd_filestat_get`](family::fd_filestat_get), with a shorter count of links.
    pub(super) fn fd_filestat_get(call: &Call<'_>, fd: Fd) -> Result<Filestat0> {
        family::fd_filestat_get(call, fd).map(Filestat0)
    }

    /// [`fd_seek`](family::fd_seek): here 0 is the current offset, 1 the end and 2 the start.
    pub(super) fn fd_seek(call: &Call<'_>, fd: Fd, offset: i64, whence: u32) -> Result<Filesize> {
        let whence = match whence & 0xff {
            0 => 1,
            1 => 2,
            2 => 0,
            none => none,
        };
        family::fd_seek(call, fd, offset, whence)
    }

    /// [`path_filestat_get`](paths::path_filestat_get), with a shorter count of links.
    pub(super) fn path_filestat_get(
        call: &Call<'_>,
        fd: Fd,
        flags: u32,
        path: PathArg<'_>,
    ) -> Result<Filestat0> {
        paths::path_filestat_get(call, fd, flags, path).map(Filestat0)
    }

    /// [`poll_oneoff`](poll::poll_oneoff), with an identifier in subscriptions to clocks.
    pub(super) fn poll_oneoff(
        call: &Call<'_>,
        subscriptions: GuestPtr<Subscription0>,
        events: GuestPtr<Event>,
        count: u32,
    ) -> Result<u32> {
        poll::poll(call, subscriptions, events, count)
    }
}
