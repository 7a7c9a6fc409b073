//! Paths below a directory, contained.
//!
//! One name that is no link needs no resolving. On Linux the kernel resolves: `openat2` with `RESOLVE_BENEATH`, or `RESOLVE_IN_ROOT` below a root. Where it is not
//! to be had (an old kernel, a seccomp filter, another system), [`walk`] takes one component at a time: every step is a
//! no-follow call on a directory it holds open, a symbolic link is read and its text walked, and `..` goes back to the directory it came
//! from, not to wherever the host says the parent is now. So neither resolver can be led outside, also while the tree changes under it.

use super::errno::from_rustix;
use super::file::Owned;
use super::platform::{self, DIRECTORY};
use crate::abi::Errno;
use crate::host::{Result, is_plain_name};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno as Host;
use std::borrow::Cow;
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

/// Symbolic links that one resolution follows, as Linux has it.
const LINK_LIMIT: u32 = 40;

/// Components that one resolution may have to go through, with those of the links: what 40 links of full length can reach is cut.
const COMPONENT_LIMIT: usize = 8192;

/// How often a resolution is tried again that lost a race against a rename.
pub(super) const RACE_LIMIT: u32 = 64;

/// Opens a path. `NOFOLLOW` in `flags` leaves a link in the last component alone.
pub(super) fn open(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    // One name leads nowhere else, unless it is a link to follow; where a link itself can be opened, it would be.
    if is_plain_name(path) && !flags.contains(OFlags::PATH) {
        match platform::open_name(base.fd, path, flags | OFlags::NOFOLLOW, mode) {
            // A link, or as a directory something else, which may be a link.
            Err(Host::LOOP | Host::NOTDIR) if !flags.contains(OFlags::NOFOLLOW) => {}
            Err(Host::INTR | Host::AGAIN) => {}
            result => return result.map_err(from_rustix),
        }
    }
    match platform::open_below(base, path, flags, mode) {
        Some(result) => result,
        None => open_by_walking(base, path, flags, mode),
    }
}

/// The attributes of what is at a path. With `follow`, of what a link there leads to.
pub(super) fn stat(base: Base<'_>, path: &[u8], follow: bool) -> Result<Stat> {
    if let Some(flags) = platform::FOR_NOTHING {
        let flags = flags | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let found = Owned::from(open(base, path, flags, Mode::empty())?);
        return rustix::fs::fstat(&found).map_err(from_rustix);
    }
    let place = walk(base, path, follow)?;
    let name = place.name.as_deref().unwrap_or(b".");
    rustix::fs::statat(place.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(from_rustix)
}

/// Opens a directory for [`walk`]'s next step or for a no-follow call on a name in it.
pub(super) fn open_directory(base: Base<'_>, path: &[u8]) -> Result<OwnedFd> {
    open(base, path, DIRECTORY, Mode::empty())
}

/// Where a path leads: a name in a directory, or the directory itself.
pub(super) struct Place<'a> {
    directory: Held<'a>,
    /// `None` where the path leads to the directory itself, as `.`, `..` and a path with a trailing slash do.
    pub(super) name: Option<Cow<'a, [u8]>>,
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
fn push_components(pending: &mut Vec<Vec<u8>>, path: &[u8]) -> Result<End> {
    pending.extend(path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec));
    if pending.len() > COMPONENT_LIMIT {
        return Err(Errno::Nametoolong);
    }
    Ok(match path.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty()) {
        None | Some(b"." | b"..") => End::Dots,
        Some(_) if path.ends_with(b"/") => End::Slash,
        Some(_) => End::Name,
    })
}

/// Finds where `path` leads. With `follow`, a symbolic link in the last component is followed.
///
/// The place is good for a no-follow call only: what its name stands for may change at any time.
pub(super) fn walk<'a>(base: Base<'a>, path: &'a [u8], follow: bool) -> Result<Place<'a>> {
    // One name leads nowhere else, unless it is a link to follow.
    if is_plain_name(path) && (!follow || !is_link(base.fd, path)?) {
        return Ok(Place { directory: Held::Base(base.fd), name: Some(Cow::Borrowed(path)) });
    }
    walk_to(base, path, follow, false)
}

fn is_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    match rustix::fs::readlinkat_raw(directory, name, &mut [0_u8; 1]) {
        Ok(_) => Ok(true),
        // No link, or nothing at all.
        Err(Host::INVAL | Host::NOENT) => Ok(false),
        Err(error) => Err(from_rustix(error)),
    }
}

/// [`walk`]. With `create`, a file is to be made at the end if there is none, which no name with a slash behind it can be.
fn walk_to<'a>(base: Base<'a>, path: &[u8], follow: bool, create: bool) -> Result<Place<'a>> {
    let mut pending = Vec::new();
    let mut end = push_components(&mut pending, path)?;
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
        let last = pending.is_empty() && end == End::Name;
        if create && pending.is_empty() && end == End::Slash {
            // The kernel says so before it looks.
            return Err(Errno::Isdir);
        }
        if last && !follow {
            return Ok(place(&mut trail, Some(Cow::Owned(component))));
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
                let end_of_text = push_components(&mut pending, target)?;
                if at_end && end == End::Name {
                    end = end_of_text;
                }
                continue;
            }
            // Not a link.
            Err(Host::INVAL) => {}
            Err(Host::NOENT) if last => return Ok(place(&mut trail, Some(Cow::Owned(component)))),
            Err(error) => return Err(from_rustix(error)),
        }
        if last {
            return Ok(place(&mut trail, Some(Cow::Owned(component))));
        }
        let next = platform::open_name(here, &component, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).map_err(from_rustix)?;
        trail.push(next);
    }
    Ok(place(&mut trail, None))
}

fn open_by_walking(base: Base<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    // What must not exist is not looked for behind a link: that is there already.
    let follow = !flags.contains(OFlags::NOFOLLOW) && !flags.contains(OFlags::CREATE.union(OFlags::EXCL));
    for _ in 0..RACE_LIMIT {
        let place = walk_to(base, path, follow, flags.contains(OFlags::CREATE))?;
        let Some(name) = &place.name else {
            if flags.contains(OFlags::CREATE) {
                return Err(if flags.contains(OFlags::EXCL) { Errno::Exist } else { Errno::Isdir });
            }
            return platform::open_name(place.as_fd(), b".", flags, mode).map_err(from_rustix);
        };
        match platform::open_name(place.as_fd(), name, flags | OFlags::NOFOLLOW, mode) {
            // What was no link a moment ago is one now.
            Err(Host::LOOP) if follow => {}
            result => return result.map_err(from_rustix),
        }
    }
    Err(Errno::Loop)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::fd::AsFd;
    use std::path::{Path, PathBuf};

    /// A directory with links of every kind, `top`, beside one that is outside.
    struct Temp(PathBuf, BTreeSet<PathBuf>);

    impl Temp {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().canonicalize().unwrap().join(format!("wasi-rs-resolve-{name}-{}", std::process::id()));
            for directory in ["", "top", "top/a", "top/a/b", "top/c", "outside"] {
                std::fs::create_dir(path.join(directory)).unwrap();
            }
            for file in ["top/f", "top/a/f", "top/a/b/f", "outside/f"] {
                std::fs::write(path.join(file), file).unwrap();
            }
            let outside = path.join("outside");
            for (text, link) in [
                ("a", "top/da"),
                ("a/b", "top/db"),
                ("../c", "top/a/dc"),
                ("..", "top/a/up"),
                (".", "top/a/b/here"),
                ("../..", "top/a/b/upper"),
                ("f", "top/lf"),
                ("../f", "top/a/lf"),
                ("da/lf", "top/llf"),
                ("missing", "top/dangling"),
                ("f/", "top/slash-file"),
                ("a/", "top/slash"),
                ("loop", "top/loop"),
                ("a/../../outside", "top/out"),
                (outside.to_str().unwrap(), "top/absolute-out"),
                ("/a/b", "top/absolute"),
                ("/", "top/slash-only"),
                ("//a//../f", "top/a/absolute-f"),
                ("/../../f", "top/c/above"),
            ] {
                std::os::unix::fs::symlink(text, path.join(link)).unwrap();
            }
            let all = everything(&path);
            Self(path, all)
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// What was opened, or why not.
    type Found = Result<(u64, u64, bool)>;

    fn found(opened: Result<OwnedFd>) -> Found {
        opened.map(|fd| {
            let stat = rustix::fs::fstat(&fd).unwrap();
            let writes = rustix::fs::fcntl_getfl(&fd).unwrap().intersects(OFlags::WRONLY | OFlags::RDWR);
            (stat.st_dev, stat.st_ino, writes)
        })
    }

    /// The next of a row of numbers that look random and are always the same.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    fn flags() -> Vec<OFlags> {
        let read = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let write = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let path = OFlags::PATH | OFlags::CLOEXEC;
        let mut all = Vec::new();
        for flags in [
            read,
            write,
            path,
            read | OFlags::DIRECTORY,
            DIRECTORY,
            write | OFlags::CREATE,
            write | OFlags::CREATE | OFlags::EXCL,
            read | OFlags::TRUNC,
        ] {
            all.extend([flags, flags | OFlags::NOFOLLOW]);
        }
        all
    }

    fn compare(temp: &Temp, path: &str, flags: OFlags, root: bool, no_symlinks: bool) {
        let top = rustix::fs::open(temp.0.join("top"), DIRECTORY, Mode::empty()).unwrap();
        let base = Base { fd: top.as_fd(), root, no_symlinks };
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o600) } else { Mode::empty() };
        let Some(by_kernel) = platform::open_below(base, path.as_bytes(), flags, mode).map(found) else {
            panic!("this kernel has no openat2");
        };
        // What was created is taken away again, so that the other finds the same.
        let created = clean(temp);
        let by_walking = found(open_by_walking(base, path.as_bytes(), flags, mode));
        assert_eq!(clean(temp), created, "{path:?} {flags:?} created something else");
        let case = format!("{path:?} with {flags:?}, root: {root}, no links: {no_symlinks}");
        match (by_kernel, by_walking) {
            // A file that was created twice.
            (Ok(_), Ok(_)) if !created.is_empty() => {}
            // Both stand in the way; which is met first differs.
            (Err(one), Err(other)) => {
                assert!(one == other || (no_symlinks && [one, other].contains(&Errno::Loop)), "{case}: {one:?} and {other:?}");
            }
            (by_kernel, by_walking) => assert_eq!(by_kernel, by_walking, "{case}"),
        }
        assert_eq!(std::fs::read(temp.0.join("outside/f")).unwrap(), b"outside/f", "{case}");
    }

    /// All that stands below, as far as something can be created there.
    fn everything(temp: &Path) -> BTreeSet<PathBuf> {
        let places = ["", "top", "top/a", "top/a/b", "top/c", "outside"].map(|place| temp.join(place));
        places.iter().flat_map(|place| std::fs::read_dir(place).unwrap()).map(|entry| entry.unwrap().path()).collect()
    }

    /// Removes what was created, and says where.
    fn clean(temp: &Temp) -> Vec<PathBuf> {
        let now = everything(&temp.0);
        let created: Vec<PathBuf> = now.difference(&temp.1).cloned().collect();
        for path in &created {
            assert!(path.starts_with(temp.0.join("top")), "{} was created", path.display());
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(now.len() - created.len(), temp.1.len());
        created
    }

    #[test]
    fn the_two_resolvers_lead_to_the_same() {
        const PARTS: [&str; 28] = [
            "a",
            "b",
            "c",
            "f",
            "da",
            "db",
            "dc",
            "up",
            "here",
            "upper",
            "lf",
            "llf",
            "dangling",
            "slash",
            "slash-file",
            "loop",
            "out",
            "absolute-out",
            "absolute",
            "slash-only",
            "absolute-f",
            "above",
            "missing",
            "new",
            "..",
            "..",
            ".",
            "",
        ];
        let temp = Temp::new("same");
        let mut state = 1;
        let flags = flags();
        for part in PARTS.into_iter().filter(|part| !part.is_empty()) {
            for flags in &flags {
                for root in [false, true] {
                    compare(&temp, part, *flags, root, false);
                    compare(&temp, &format!("{part}/"), *flags, root, false);
                    compare(&temp, part, *flags, root, true);
                }
            }
        }
        for _ in 0..8000 {
            let length = 1 + next(&mut state) % 6;
            let parts: Vec<&str> = (0..length).map(|_| PARTS[usize::try_from(next(&mut state)).unwrap() % PARTS.len()]).collect();
            let path = parts.join("/");
            let path = path.trim_start_matches('/');
            if path.is_empty() {
                continue;
            }
            let flags = flags[usize::try_from(next(&mut state)).unwrap() % flags.len()];
            compare(&temp, path, flags, next(&mut state).is_multiple_of(2), next(&mut state).is_multiple_of(8));
        }
    }

    #[test]
    fn a_walk_holds_no_more_than_it_needs() {
        let temp = Temp::new("descriptors");
        let top = rustix::fs::open(temp.0.join("top"), DIRECTORY, Mode::empty()).unwrap();
        let base = Base { fd: top.as_fd(), root: false, no_symlinks: false };
        let open = || {
            std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
                let target = std::fs::read_link(entry.as_ref().unwrap().path());
                target.is_ok_and(|target| target.starts_with(&temp.0))
            })
        };
        let place = walk(base, b"a/b/here/here/f", true).unwrap();
        assert_eq!(open().count(), 2, "the base and the directory of the file");
        drop(place);
        assert_eq!(open().count(), 1);
        assert!(walk(base, b"a/b/../../..", true).is_err());
        assert_eq!(open().count(), 1);
    }
}
