//! Paths below a directory, contained.
//!
//! Windows has no call that resolves a path beneath a directory, so the path is walked, one component at a time: each is a plain
//! name, checked by [`names`], and opened relative to the handle of a directory that is held open. What turns out to be a link is
//! not followed by the system; its text is read from the handle and walked. `..` goes back to the directory that the walk came from.
//! So nothing leads outside, also while the tree changes under the walk.
//!
//! A walk pins nothing: all its handles let others rename and remove what they stand for, as descriptors of POSIX do.

use super::call::{self, Kind, SHARE_ALL};
use super::names;
use crate::abi::Errno;
use crate::host::{Result, from_io};
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use std::os::windows::io::{AsHandle, OwnedHandle};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_READ, FILE_READ_ATTRIBUTES,
};

/// A directory that paths are resolved below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    /// The directory.
    pub(super) dir: &'a Dir,
    /// Whether it is a root: `..` stays at the top, and absolute links resolve inside. Otherwise both are refused.
    pub(super) root: bool,
    /// Whether no link is followed, wherever it leads.
    pub(super) no_symlinks: bool,
}

/// Links that one resolution follows, as Linux has it.
const LINK_LIMIT: u32 = 40;

/// Components that one resolution may have to go through, with those of the links.
const COMPONENT_LIMIT: usize = 8192;

/// How often a resolution is tried again that lost a race against a rename.
pub(super) const RACE_LIMIT: u32 = 64;

/// Where a path leads: a name in a directory, or the directory itself.
pub(super) struct Place<'a> {
    base: &'a Dir,
    /// The directories on the way, from the base's on.
    trail: Vec<Dir>,
    /// `None` where the path leads to the directory itself, as `.`, `..` and a path with a trailing slash do.
    pub(super) name: Option<String>,
}

impl Place<'_> {
    /// The directory.
    pub(super) fn dir(&self) -> &Dir {
        self.trail.last().unwrap_or(self.base)
    }

    /// Whether a directory is the place's or one above it.
    pub(super) fn is_below(&self, identity: (u64, u64)) -> Result<bool> {
        for dir in std::iter::once(self.base).chain(&self.trail) {
            if call::identity(dir.as_handle())? == identity {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// In a name.
    Name,
    /// In a name with slashes behind it: it can only be a directory's.
    Slash,
    /// In `.` or `..`, or it has no component: it can only be a directory.
    Dots,
}

/// The components of a path from the last to the first, without `.` and empty ones; and how it ends.
fn push_components(pending: &mut Vec<String>, path: &str) -> Result<End> {
    pending.extend(path.rsplit('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_owned));
    if pending.len() > COMPONENT_LIMIT {
        return Err(Errno::Nametoolong);
    }
    Ok(match path.rsplit('/').find(|part| !part.is_empty()) {
        None | Some("." | "..") => End::Dots,
        Some(_) if path.ends_with('/') => End::Slash,
        Some(_) => End::Name,
    })
}

/// What a walk does about the last component.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    /// A link in it is followed.
    pub(super) follow: bool,
    /// A file is to be made there if there is none, which no name with a slash behind it can be.
    pub(super) create: bool,
}

/// Finds where `path` leads.
///
/// The place is good for a no-follow call only: what its name stands for may change at any time.
pub(super) fn walk<'a>(base: Base<'a>, path: &[u8], last: Last) -> Result<Place<'a>> {
    let path = str::from_utf8(path).map_err(|_| Errno::Ilseq)?;
    let mut pending = Vec::new();
    let mut end = push_components(&mut pending, path)?;
    let mut trail: Vec<Dir> = Vec::new();
    let mut links = 0_u32;
    while let Some(component) = pending.pop() {
        if component == ".." {
            if trail.pop().is_none() && !base.root {
                return Err(Errno::Notcapable);
            }
            continue;
        }
        let at_end = pending.is_empty();
        let is_last = at_end && end == End::Name;
        if last.create && at_end && end == End::Slash {
            return Err(Errno::Isdir);
        }
        if is_last && last.create {
            names::check_new(&component)?
        } else {
            names::check(&component)?
        }
        if is_last && !last.follow {
            return Ok(Place { base: base.dir, trail, name: Some(component) });
        }
        let here = trail.last().unwrap_or(base.dir);
        let opened = match open_name(here, &component, FILE_READ_ATTRIBUTES, SHARE_ALL) {
            Err(Errno::Noent) if is_last => return Ok(Place { base: base.dir, trail, name: Some(component) }),
            opened => opened?,
        };
        match call::kind(opened.as_handle())? {
            Kind::Link if base.no_symlinks => return Err(Errno::Loop),
            Kind::Link => {
                links = links.saturating_add(1);
                if links > LINK_LIMIT {
                    return Err(Errno::Loop);
                }
                let link = call::read_link(opened.as_handle())?;
                if link.has_drive || (link.text.starts_with('/') && !base.root) {
                    return Err(Errno::Notcapable);
                }
                if link.text.starts_with('/') {
                    trail.clear();
                }
                let end_of_text = push_components(&mut pending, &link.text)?;
                if at_end && end == End::Name {
                    end = end_of_text;
                }
            }
            _ if is_last => return Ok(Place { base: base.dir, trail, name: Some(component) }),
            Kind::File => return Err(Errno::Notdir),
            Kind::Directory => trail.push(Dir::from_std_file(opened.into())),
        }
    }
    Ok(Place { base: base.dir, trail, name: None })
}

/// Opens a directory to resolve further names from it or to do something about them.
pub(super) fn open_directory<'a>(base: Base<'a>, path: &[u8]) -> Result<Place<'a>> {
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
