//! The walk along a path: what [`resolve`](super::resolve) does with directories of any kind, so that it can be held against the
//! kernel of a system that resolves beneath a directory itself.

use super::link::Link;
use super::names;
use crate::abi::Errno;
use crate::host::Result;

/// What a walk goes through.
pub(super) trait Step: Sized {
    /// What a name, which has been checked, stands for in the directory. Nothing is followed.
    fn look(&self, name: &str) -> Result<Seen<Self>>;
}

/// What a name stands for.
pub(super) enum Seen<D> {
    /// A directory, open.
    Directory(D),
    /// A link.
    Link(Link),
    /// Anything else.
    File,
}

/// A directory that paths are resolved below.
pub(super) struct Base<'a, D> {
    /// The directory.
    pub(super) dir: &'a D,
    /// Whether it is a root: `..` stays at the top, and absolute links resolve inside. Otherwise both are refused.
    pub(super) root: bool,
    /// Whether no link is followed, wherever it leads.
    pub(super) no_symlinks: bool,
}

/// Links that one resolution follows, as Linux has it.
const LINK_LIMIT: u32 = 40;

/// Components that one resolution may have to go through, with those of the links.
const COMPONENT_LIMIT: usize = 8192;

/// Where a path leads: a name in a directory, or the directory itself.
pub(super) struct Place<'a, D> {
    base: &'a D,
    /// The directories on the way, from the base's on.
    trail: Vec<D>,
    /// `None` where the path leads to the directory itself, as `.`, `..` and a path with a trailing slash do.
    pub(super) name: Option<String>,
}

impl<D> Place<'_, D> {
    /// The directory.
    pub(super) fn dir(&self) -> &D {
        self.trail.last().unwrap_or(self.base)
    }

    /// The directory and those above it, as far as they are known.
    pub(super) fn way(&self) -> impl Iterator<Item = &D> {
        std::iter::once(self.base).chain(&self.trail)
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
pub(super) fn walk<'a, D: Step>(base: &Base<'a, D>, path: &[u8], last: Last) -> Result<Place<'a, D>> {
    let path = str::from_utf8(path).map_err(|_| Errno::Ilseq)?;
    let mut pending = Vec::new();
    let mut end = push_components(&mut pending, path)?;
    let mut trail: Vec<D> = Vec::new();
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
            names::check_new(&component)?;
        } else {
            names::check(&component)?;
        }
        if is_last && !last.follow {
            return Ok(Place { base: base.dir, trail, name: Some(component) });
        }
        let here = trail.last().unwrap_or(base.dir);
        let seen = match here.look(&component) {
            Err(Errno::Noent) if is_last => return Ok(Place { base: base.dir, trail, name: Some(component) }),
            seen => seen?,
        };
        match seen {
            Seen::Link(_) if base.no_symlinks => return Err(Errno::Loop),
            Seen::Link(link) => {
                links = links.saturating_add(1);
                if links > LINK_LIMIT {
                    return Err(Errno::Loop);
                }
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
            Seen::File => return Err(Errno::Notdir),
            Seen::Directory(directory) => trail.push(directory),
        }
    }
    Ok(Place { base: base.dir, trail, name: None })
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;
    use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, readlinkat, statat};
    use rustix::io::Errno as Host;
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;

    const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    impl Step for OwnedFd {
        fn look(&self, name: &str) -> Result<Seen<Self>> {
            let opened = rustix::fs::openat(self, name, LOOK, Mode::empty()).map_err(errno)?;
            match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&opened).map_err(errno)?.st_mode) {
                rustix::fs::FileType::Directory => Ok(Seen::Directory(opened)),
                rustix::fs::FileType::Symlink => {
                    let text = readlinkat(&opened, "", Vec::new()).map_err(errno)?.into_string().unwrap();
                    Ok(Seen::Link(Link { text, has_drive: false }))
                }
                _ => Ok(Seen::File),
            }
        }
    }

    fn errno(error: Host) -> Errno {
        match error {
            Host::XDEV => Errno::Notcapable,
            error => crate::host::from_io(&error.into()),
        }
    }

    /// A directory `top` with links of every kind, beside one that is outside.
    struct Temp(PathBuf);

    impl Temp {
        fn new() -> Self {
            Self::new_at("kernel")
        }

        fn new_at(name: &str) -> Self {
            let path = std::env::temp_dir().canonicalize().unwrap().join(format!("wasi-rs-walk-{name}-{}", std::process::id()));
            for directory in ["", "top", "top/a", "top/a/b", "top/c", "outside"] {
                fs::create_dir(path.join(directory)).unwrap();
            }
            for file in ["top/f", "top/a/f", "top/a/b/f", "outside/f"] {
                fs::write(path.join(file), file).unwrap();
            }
            let outside = path.join("outside").into_os_string().into_string().unwrap();
            for (text, link) in [
                ("a", "da"),
                ("a/b", "db"),
                ("../c", "a/dc"),
                ("..", "a/up"),
                (".", "a/b/here"),
                ("../..", "a/b/upper"),
                ("f", "lf"),
                ("../f", "a/lf"),
                ("da/lf", "llf"),
                ("missing", "dangling"),
                ("f/", "slash-file"),
                ("a/", "slash"),
                ("loop", "loop"),
                ("a/../../outside", "out"),
                (&outside, "absolute-out"),
                ("/a/b", "absolute"),
                ("/", "slash-only"),
                ("//a//../f", "a/absolute-f"),
                ("/../../f", "c/above"),
            ] {
                std::os::unix::fs::symlink(text, path.join("top").join(link)).unwrap();
            }
            Self(path)
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The next of a row of numbers that look random and are always the same.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn a_walk_leads_where_the_kernel_goes() {
        const PARTS: &[&str] = &[
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
            "slash-file",
            "slash",
            "loop",
            "out",
            "absolute-out",
            "absolute",
            "slash-only",
            "absolute-f",
            "above",
            "missing",
            ".",
            "..",
            "..",
            "a",
            "",
        ];
        let temp = Temp::new();
        let top = rustix::fs::open(temp.0.join("top"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let (mut state, mut found, mut refused) = (1, 0, 0);
        for _ in 0..40_000 {
            let count = 1 + next(&mut state) % 5;
            let parts: Vec<&str> = (0..count).map(|_| PARTS[usize::try_from(next(&mut state)).unwrap() % PARTS.len()]).collect();
            let path = parts.join("/");
            if path.is_empty() || path.starts_with('/') {
                continue;
            }
            let (root, no_symlinks, follow) =
                (next(&mut state).is_multiple_of(2), next(&mut state).is_multiple_of(4), next(&mut state).is_multiple_of(2));
            let mut scope = ResolveFlags::NO_MAGICLINKS | if root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
            scope.set(ResolveFlags::NO_SYMLINKS, no_symlinks);
            let flags = if follow { LOOK - OFlags::NOFOLLOW } else { LOOK };
            // The kernel says `again` where something was renamed anywhere meanwhile, by another test.
            let kernel = (0..1000).map(|_| openat2(&top, path.as_str(), flags, Mode::empty(), scope).map_err(errno));
            let kernel = kernel.into_iter().find(|opened| !matches!(opened, Err(Errno::Again))).unwrap().map(|opened| {
                let stat = rustix::fs::fstat(opened).unwrap();
                (stat.st_dev, stat.st_ino)
            });
            let base = Base { dir: &top, root, no_symlinks };
            let walked = walk(&base, path.as_bytes(), Last { follow, create: false }).and_then(|place| {
                let name = place.name.as_deref().unwrap_or(".");
                let stat = statat(place.dir(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
                Ok((stat.st_dev, stat.st_ino))
            });
            match (kernel, walked) {
                // Both stand in the way; which is met first differs.
                (Err(one), Err(other)) if no_symlinks && [one, other].contains(&Errno::Loop) => {}
                (kernel, walked) => assert_eq!(kernel, walked, "{path:?}, root: {root}, no links: {no_symlinks}, following: {follow}"),
            }
            if walked.is_ok() { found += 1 } else { refused += 1 }
        }
        assert!(found > 5000 && refused > 5000, "{found} and {refused}");
    }

    #[test]
    fn names_are_checked_wherever_they_stand() {
        let temp = Temp::new_at("names");
        for (text, link) in [("nul", "to-device"), ("a/x:y", "to-stream"), ("a\\f", "to-backslash")] {
            fs::write(temp.0.join("top").join(text.rsplit('/').next().unwrap()), "").unwrap();
            std::os::unix::fs::symlink(text, temp.0.join("top").join(link)).unwrap();
        }
        let top = rustix::fs::open(temp.0.join("top"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let walked = |path: &str, last| walk(&Base { dir: &top, root: false, no_symlinks: false }, path.as_bytes(), last).map(drop);
        for path in ["nul", "NUL.txt/x", "a/x:y", "a\\f", "..\\outside", "to-device", "to-stream", "to-backslash", "a/../aux/../f"] {
            assert_eq!(walked(path, Last { follow: true, create: false }), Err(Errno::Noent), "{path}");
        }
        for path in ["nul", "a/x:y", "a\\f", "to-device", "to-stream", "to-backslash"] {
            assert_eq!(walked(path, Last { follow: true, create: true }), Err(Errno::Inval), "{path}");
        }
        for path in ["nul", "a/x:y", "a\\f"] {
            assert_eq!(walked(path, Last { follow: false, create: true }), Err(Errno::Inval), "{path}");
            assert_eq!(walked(path, Last { follow: false, create: false }), Err(Errno::Noent), "{path}");
        }
        let place = walk(&Base { dir: &top, root: false, no_symlinks: false }, b"a/b/../f", Last::default());
        assert_eq!(place.map(|place| place.way().count()), Ok(2), "the base and `a`");
        assert_eq!(walked("f/", Last { follow: false, create: true }), Err(Errno::Isdir));
        assert_eq!(walked("absolute", Last { follow: true, create: false }), Err(Errno::Notcapable));
    }

    /// `GHSA-vqjp-4c8c-hfgg`: slashes at the end of a path, or of a link's text, led outside.
    #[test]
    fn ghsa_vqjp_4c8c_hfgg_a_trailing_slash_leads_nowhere_else() {
        let temp = Temp::new_at("slashes");
        for (text, link) in [("../outside/", "slash-out"), ("../", "slash-up"), ("out/", "chained-out"), ("a/../out//", "roundabout-out")] {
            std::os::unix::fs::symlink(text, temp.0.join("top").join(link)).unwrap();
        }
        let top = rustix::fs::open(temp.0.join("top"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let walked = |path: &str, root, last| walk(&Base { dir: &top, root, no_symlinks: false }, path.as_bytes(), last).map(drop);
        for link in ["out", "absolute-out", "slash-out", "slash-up", "chained-out", "roundabout-out", "a/../out"] {
            for end in ["/", "//", "/.", "/./", "/f", "//f", "/f/", "/new"] {
                let path = format!("{link}{end}");
                for (follow, create) in [(false, false), (true, false), (false, true), (true, true)] {
                    let result = walked(&path, false, Last { follow, create });
                    // No file is made under a name with a slash behind it, wherever that leads.
                    let refused = result == Err(Errno::Isdir) && create && end.bytes().all(|byte| byte == b'/');
                    assert!(result == Err(Errno::Notcapable) || refused, "{path}, {follow}, {create}: {result:?}");
                    // `..` and `/` stay below a root, where there is no such directory.
                    if !link.starts_with("slash-up") {
                        assert!(walked(&path, true, Last { follow, create }).is_err(), "{path}, {follow}, {create}");
                    }
                }
            }
        }
        // A backslash is no slash, and no character of a name.
        for path in ["out\\", "out\\f", "a\\..\\..\\outside\\", "slash-out\\"] {
            assert_eq!(walked(path, false, Last { follow: true, create: false }), Err(Errno::Noent), "{path}");
        }
        assert_eq!(walked("slash/", false, Last { follow: true, create: false }), Ok(()), "one that stays inside");
    }

    #[test]
    fn a_link_with_a_drive_leads_nowhere() {
        struct Only;
        impl Step for Only {
            fn look(&self, _: &str) -> Result<Seen<Self>> {
                Ok(Seen::Link(Link { text: "a".to_owned(), has_drive: true }))
            }
        }
        for root in [false, true] {
            let base = || Base { dir: &Only, root, no_symlinks: false };
            assert_eq!(walk(&base(), b"x", Last { follow: true, create: false }).map(drop), Err(Errno::Notcapable));
            assert_eq!(walk(&base(), b"x/y", Last::default()).map(drop), Err(Errno::Notcapable));
            assert!(walk(&base(), b"x", Last::default()).is_ok_and(|place| place.name.as_deref() == Some("x")));
        }
    }
}
