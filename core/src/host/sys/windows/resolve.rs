//! Paths below a directory, contained.
//!
//! Windows has no call that resolves a path beneath a directory, so the path is walked, one component at a time: each is a plain
//! name, checked by [`names`](super::names), and opened relative to the handle of a directory that is held open. What turns out to be a link is
//! not followed by the system; its text is read from the handle and walked. `..` goes back to the directory that the walk came from.
//! So nothing leads outside, also while the tree changes under the walk.
//!
//! A walk pins nothing: all its handles let others rename and remove what they stand for, as descriptors of POSIX do.

use super::call::{self, Kind, SHARE_ALL};
use super::walk::{self, Last, Seen, Step, walk};
use crate::abi::Errno;
use crate::host::{Result, from_io};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use std::os::windows::io::{AsHandle, OwnedHandle};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_READ, FILE_READ_ATTRIBUTES,
};

/// A directory that paths are resolved below.
pub(super) type Base<'a> = walk::Base<'a, Dir>;

/// Where a path leads: a name in a directory, or the directory itself.
pub(super) type Place<'a> = walk::Place<'a, Dir>;

/// How often a resolution is tried again that lost a race against a rename.
pub(super) const RACE_LIMIT: u32 = 64;

impl Step for Dir {
    fn look(&self, name: &str) -> Result<Seen<Self>> {
        let opened = open_name(self, name, FILE_READ_ATTRIBUTES, SHARE_ALL)?;
        Ok(match call::kind(opened.as_handle())? {
            Kind::Link => Seen::Link(call::read_link(opened.as_handle())?),
            Kind::File => Seen::File,
            Kind::Directory => Seen::Directory(Self::from_std_file(opened.into())),
        })
    }
}

/// Whether a directory is the place's or one above it.
pub(super) fn is_below(place: &Place<'_>, identity: (u64, u64)) -> Result<bool> {
    for dir in place.way() {
        if call::identity(dir.as_handle())? == identity {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a directory to resolve further names from it or to do something about them.
pub(super) fn open_directory<'a>(base: &Base<'a>, path: &[u8]) -> Result<Place<'a>> {
    let mut path = path.to_vec();
    // So that a link at its end is followed, and nothing but a directory will do.
    path.push(b'/');
    walk(base, &path, Last { follow: true, create: false })
}

/// Opens what a name stands for, be it a link or a directory. The name has been checked.
pub(super) fn open_name(dir: &Dir, name: &str, access: u32, share: u32) -> Result<OwnedHandle> {
    open_options(dir, name, options(access, FILE_FLAG_BACKUP_SEMANTICS).share_mode(share))
}

/// Opens a directory itself anew, to list it if that is allowed.
pub(super) fn open_self(dir: &Dir) -> Result<Dir> {
    let handle = match call::reopen(dir.as_handle(), FILE_GENERIC_READ, SHARE_ALL) {
        Err(Errno::Acces) => call::reopen(dir.as_handle(), FILE_READ_ATTRIBUTES, SHARE_ALL)?,
        handle => handle?,
    };
    Ok(Dir::from_std_file(handle.into()))
}

/// Options to open a name without following what it stands for.
pub(super) fn options(access: u32, flags: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.access_mode(access).share_mode(SHARE_ALL).custom_flags(flags | FILE_FLAG_OPEN_REPARSE_POINT).follow(FollowSymlinks::No);
    options
}

/// Opens a name, which has been checked.
pub(super) fn open_options(dir: &Dir, name: &str, options: &OpenOptions) -> Result<OwnedHandle> {
    dir.open_with(name, options).map(|file| file.into_std().into()).map_err(|error| from_io(&error))
}
