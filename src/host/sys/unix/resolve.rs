//! Paths below a directory, contained.
//!
//! On Linux the kernel resolves: `openat2` with `RESOLVE_BENEATH`, or `RESOLVE_IN_ROOT` below a root. Where it is not
//! to be had (an old kernel, a seccomp filter, another system), [`walk`] takes one component at a time: every step is a
//! no-follow call on a directory it holds open, a symbolic link is read and its text walked, and `..` goes back to the directory it came
//! from, not to wherever the host says the parent is now. So neither resolver can be led outside, also while the tree changes under it.

use super::errno::from_rustix;
use crate::abi::Errno;
use crate::host::Result;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as Host;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A directory that paths are resolved below.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    /// The directory.
    pub(super) fd: BorrowedFd<'a>,
    /// Whether it is a root: `..` stays at the top, and absolute links resolve inside. Otherwise both are refused.
    pub(super) root: bool,
    /// Whether no symbolic link is followed, wherever it leads.
    pub(super) no_symlinks: bool,
}

/// For opening a directory only to resolve further names from it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// For opening a directory only to resolve further names from it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Symbolic links that one resolution follows, as Linux has it.
const LINK_LIMIT: u32 = 40;

/// Components that one resolution may have to go through, with those of the links: what 40 links of full length can reach is cut.
const COMPONENT_LIMIT: usize = 8192;

/// How often a resolution is tried again that lost a race against a rename.
const RACE_LIMIT: u32 = 64;

/// Opens a path. `NOFOLLOW` in `flags` leaves a link in the last component alone.
pub(super) fn open(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(result) = kernel::open(base, path, flags, mode) {
        return result;
    }
    open_by_walking(base, path, flags, mode)
}

/// Opens a directory for [`walk`]'s next step or for a no-follow call on a name in it.
pub(super) fn open_directory(base: Base<'_>, path: &[u8]) -> Result<OwnedFd> {
    open(base, path, DIRECTORY, Mode::empty())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel {
    use super::{Base, DIRECTORY, Errno, Host, Mode, OFlags, OwnedFd, RACE_LIMIT, Result, from_rustix};
    use rustix::fs::{ResolveFlags, openat2};
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    const UNKNOWN: u8 = 0;
    const PRESENT: u8 = 1;
    const ABSENT: u8 = 2;
    static OPENAT2: AtomicU8 = AtomicU8::new(UNKNOWN);

    /// Whether `openat2` works here. Asked once: seccomp filters of old containers answer EPERM instead of ENOSYS, which
    /// must neither be taken for a refusal nor cost a failing call each time.
    fn present(base: Base<'_>) -> bool {
        match OPENAT2.load(Relaxed) {
            PRESENT => true,
            ABSENT => false,
            _ => {
                let works = match openat2(base.fd, c".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH) {
                    Ok(_) => true,
                    // That says nothing of the call itself: ask again next time.
                    Err(Host::MFILE | Host::NFILE | Host::NOMEM | Host::INTR | Host::AGAIN) => return false,
                    Err(_) => false,
                };
                OPENAT2.store(if works { PRESENT } else { ABSENT }, Relaxed);
                works
            }
        }
    }

    /// Lets the tests decide.
    #[cfg(test)]
    pub(crate) fn pretend(is_present: bool) {
        OPENAT2.store(if is_present { PRESENT } else { ABSENT }, Relaxed);
    }

    /// `None`: the kernel cannot, so walk.
    pub(super) fn open(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Option<Result<OwnedFd>> {
        if !present(base) {
            return None;
        }
        let mut scope = if base.root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
        scope.set(ResolveFlags::NO_SYMLINKS, base.no_symlinks);
        for _ in 0..RACE_LIMIT {
            return Some(match openat2(base.fd, path, flags, mode, scope | ResolveFlags::NO_MAGICLINKS) {
                Ok(fd) => Ok(fd),
                // A rename on the host while `..` was resolved.
                Err(Host::AGAIN | Host::INTR) => continue,
                Err(Host::NOSYS) => {
                    OPENAT2.store(ABSENT, Relaxed);
                    return None;
                }
                Err(Host::XDEV) => Err(Errno::Notcapable),
                Err(error) => Err(from_rustix(error)),
            });
        }
        None
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
pub(crate) use kernel::pretend as pretend_openat2;

/// Where a path leads: a name in a directory, or the directory itself.
pub(super) struct Place<'a> {
    directory: Held<'a>,
    /// `None` where the path leads to the directory itself, as `.`, `..` and a path with a trailing slash do.
    pub(super) name: Option<Vec<u8>>,
}

enum Held<'a> {
    Base(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Place<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.directory {
            Held::Base(fd) => *fd,
            Held::Below(fd) => fd.as_fd(),
        }
    }
}

/// The components of a path from the last to the first, without `.` and empty ones; and whether it can only be a directory.
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) -> Result<bool> {
    pending.extend(path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec));
    if pending.len() > COMPONENT_LIMIT {
        return Err(Errno::Nametoolong);
    }
    Ok(matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b"..")))
}

/// Finds where `path` leads. With `follow`, a symbolic link in the last component is followed.
///
/// The place is good for a no-follow call only: what its name stands for may change at any time.
pub(super) fn walk<'a>(base: Base<'a>, path: &[u8], follow: bool) -> Result<Place<'a>> {
    let mut pending = Vec::new();
    let mut directory_wanted = push_components(&mut pending, path)?;
    let mut trail: Vec<OwnedFd> = Vec::new();
    let mut links = 0_u32;
    let place = |trail: &mut Vec<OwnedFd>, name| Place { directory: trail.pop().map_or(Held::Base(base.fd), Held::Below), name };
    while let Some(component) = pending.pop() {
        if component == b".." {
            if trail.pop().is_none() && !base.root {
                return Err(Errno::Notcapable);
            }
            continue;
        }
        let last = pending.is_empty() && !directory_wanted;
        if last && !follow {
            return Ok(place(&mut trail, Some(component)));
        }
        let here = trail.last().map_or(base.fd, AsFd::as_fd);
        match rustix::fs::readlinkat(here, component.as_slice(), Vec::new()) {
            Ok(_) if base.no_symlinks => return Err(Errno::Loop),
            Ok(target) => {
                links = links.saturating_add(1);
                if links > LINK_LIMIT {
                    return Err(Errno::Loop);
                }
                let target = target.as_bytes();
                if target.starts_with(b"/") {
                    if !base.root {
                        return Err(Errno::Notcapable);
                    }
                    trail.clear();
                }
                let at_end = pending.is_empty();
                let only_directory = push_components(&mut pending, target)?;
                directory_wanted |= at_end && only_directory;
                continue;
            }
            // Not a link.
            Err(Host::INVAL) => {}
            Err(Host::NOENT) if last => return Ok(place(&mut trail, Some(component))),
            Err(error) => return Err(from_rustix(error)),
        }
        if last {
            return Ok(place(&mut trail, Some(component)));
        }
        let next = rustix::fs::openat(here, component.as_slice(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(from_rustix)?;
        trail.push(next);
    }
    Ok(place(&mut trail, None))
}

fn open_by_walking(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    // What must not exist is not looked for behind a link: that is there already.
    let follow = !flags.contains(OFlags::NOFOLLOW) && !flags.contains(OFlags::CREATE.union(OFlags::EXCL));
    for _ in 0..RACE_LIMIT {
        let place = walk(base, path, follow)?;
        let Some(name) = &place.name else {
            if flags.contains(OFlags::CREATE) {
                return Err(if flags.contains(OFlags::EXCL) { Errno::Exist } else { Errno::Isdir });
            }
            return rustix::fs::openat(place.as_fd(), c".", flags, mode).map_err(from_rustix);
        };
        match rustix::fs::openat(place.as_fd(), name.as_slice(), flags | OFlags::NOFOLLOW, mode) {
            // What was no link a moment ago is one now.
            Err(Host::LOOP) if follow => {}
            result => return result.map_err(from_rustix),
        }
    }
    Err(Errno::Loop)
}
