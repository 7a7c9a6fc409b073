//! The operations of preview1 for interfaces that pass arguments in another form, so that paths,
//! rights, quotas and read-only directories mean the same in all of them.

use super::{Call, PathArg, Result, fd, path};
use crate::abi::{Fd, Filesize, Filestat, Lookupflags, Timestamp};
use crate::memory::Region;

/// A path in the guest's memory that has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'m>(Region<'m>);

impl<'m> Path<'m> {
    pub(crate) fn new(region: Region<'m>) -> Self {
        Self(region)
    }

    fn arg(self) -> PathArg<'m> {
        PathArg(self.0)
    }
}

/// How [`open`] opens: the arguments of `path_open`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub(crate) follow: bool,
    pub(crate) oflags: u32,
    pub(crate) rights_base: u64,
    pub(crate) rights_inheriting: u64,
    pub(crate) fdflags: u32,
}

fn lookup(follow: bool) -> u32 {
    if follow { Lookupflags::SYMLINK_FOLLOW.bits() } else { 0 }
}

pub(crate) fn stat(call: &Call<'_>, fd: Fd) -> Result<Filestat> {
    fd::fd_filestat_get(call, fd)
}

pub(crate) fn set_times(
    call: &Call<'_>,
    fd: Fd,
    atim: Timestamp,
    mtim: Timestamp,
    flags: u32,
) -> Result<()> {
    fd::fd_filestat_set_times(call, fd, atim, mtim, flags)
}

pub(crate) fn advise(
    call: &Call<'_>,
    fd: Fd,
    offset: Filesize,
    len: Filesize,
    advice: u32,
) -> Result<()> {
    fd::fd_advise(call, fd, offset, len, advice)
}

pub(crate) fn sync(call: &Call<'_>, fd: Fd) -> Result<()> {
    fd::fd_sync(call, fd)
}

pub(crate) fn create_directory(call: &Call<'_>, fd: Fd, path: Path<'_>) -> Result<()> {
    path::path_create_directory(call, fd, path.arg())
}

pub(crate) fn remove_directory(call: &Call<'_>, fd: Fd, path: Path<'_>) -> Result<()> {
    path::path_remove_directory(call, fd, path.arg())
}

pub(crate) fn unlink(call: &Call<'_>, fd: Fd, path: Path<'_>) -> Result<()> {
    path::path_unlink_file(call, fd, path.arg())
}

pub(crate) fn stat_at(call: &Call<'_>, fd: Fd, follow: bool, path: Path<'_>) -> Result<Filestat> {
    path::path_filestat_get(call, fd, lookup(follow), path.arg())
}

pub(crate) fn set_times_at(
    call: &Call<'_>,
    fd: Fd,
    follow: bool,
    path: Path<'_>,
    (atim, mtim, flags): (Timestamp, Timestamp, u32),
) -> Result<()> {
    path::path_filestat_set_times(call, fd, lookup(follow), path.arg(), atim, mtim, flags)
}

pub(crate) fn link(
    call: &Call<'_>,
    fd: Fd,
    follow: bool,
    path: Path<'_>,
    to: Fd,
    new: Path<'_>,
) -> Result<()> {
    path::path_link(call, fd, lookup(follow), path.arg(), to, new.arg())
}

pub(crate) fn rename(call: &Call<'_>, fd: Fd, path: Path<'_>, to: Fd, new: Path<'_>) -> Result<()> {
    path::path_rename(call, fd, path.arg(), to, new.arg())
}

pub(crate) fn symlink(call: &Call<'_>, text: Path<'_>, fd: Fd, path: Path<'_>) -> Result<()> {
    path::path_symlink(call, text.arg(), fd, path.arg())
}

pub(crate) fn readlink(call: &Call<'_>, fd: Fd, path: Path<'_>, text: Region<'_>) -> Result<u32> {
    path::path_readlink(call, fd, path.arg(), super::BufferArg(text))
}

pub(crate) fn open(call: &Call<'_>, fd: Fd, path: Path<'_>, how: Open) -> Result<Fd> {
    let Open { follow, oflags, rights_base, rights_inheriting, fdflags } = how;
    let follow = lookup(follow);
    path::path_open(call, fd, follow, path.arg(), oflags, rights_base, rights_inheriting, fdflags)
}
