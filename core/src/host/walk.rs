//! Resolution of paths, one name at a time, so that no path leads outside.
//!
//! Each step of a walk looks at one name in a directory that is held open, without following it.
//! The walk reads the text of a symbolic link and goes on in it. For `..` it goes back to the
//! directory that it came from, not to the present parent. So a path stays below its directory also
//! while the tree changes under the walk. The result is a name in a held directory, good for one
//! no-follow call.
//!
//! Every backend finds its files by this code. Where the kernel can keep a path below a directory
//! (`openat2`), the kernel is asked instead; the tests compare the two.

use super::{GuestPath, Result};
use crate::abi::Errno;
use std::sync::Arc;

/// Symbolic links that one resolution follows, as Linux has it.
const LINK_LIMIT: u32 = 40;

/// Looks at one name in a directory. Nothing is followed.
pub(super) trait Lookup {
    /// A directory, held open.
    type Dir;

    /// Whether a [`Walk`] keeps the directories above the last one.
    const KEEPS_WAY: bool = false;

    /// Checks that a name, which is neither empty nor `.` nor `..`, is one of this file system.
    /// With `is_new`, something is to be made under it.
    fn check(name: &[u8], is_new: bool) -> Result<()> {
        let (_, _) = (name, is_new);
        Ok(())
    }

    /// The symbolic link with this name. `None`: it is something else.
    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Link>>;

    /// Opens the directory with this name, unless a symbolic link has it. Anything else is
    /// `notdir`.
    fn enter(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Entered<Self::Dir>>;
}

/// One plain name that [`Lookup::check`] has let pass: without slashes, neither `.` nor `..`.
///
/// Only this module makes one, so a backend is never handed anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks a component of a path.
    ///
    /// # Errors
    /// - `inval`: it has a slash, or is empty, `.` or `..`.
    /// - those of [`Lookup::check`].
    pub(super) fn new<L: Lookup>(name: &'a [u8], is_new: bool) -> Result<Self> {
        if name.is_empty() || !super::is_plain_name(name) {
            return Err(Errno::Inval);
        }
        L::check(name, is_new)?;
        Ok(Self(name))
    }

    /// A path that is one plain name, checked in the same way. `None`: it may lead elsewhere.
    #[inline]
    pub(super) fn of_path<L: Lookup>(path: GuestPath<'a>, is_new: bool) -> Result<Option<Self>> {
        if !path.is_plain_name() {
            return Ok(None);
        }
        L::check(path.as_bytes(), is_new)?;
        Ok(Some(Self(path.as_bytes())))
    }

    /// The bytes.
    pub(super) fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// A symbolic link.
pub(super) struct Link {
    /// Its text, with `/` between names.
    pub(super) text: Arc<[u8]>,
    /// Whether it leads to a place that no guest has a name for, whatever its text looks like: to
    /// another drive.
    pub(super) has_drive: bool,
}

/// The next step of a walk.
pub(super) enum Entered<D> {
    /// A directory.
    Directory(D),
    /// A symbolic link to read on in.
    Link(Link),
}

/// A directory that paths are resolved below.
pub(super) struct Base<'a, D> {
    /// The directory.
    pub(super) dir: &'a D,
    /// Whether it is a root: `..` stays at the top, and absolute links resolve inside. Otherwise
    /// both are refused.
    pub(super) root: bool,
    /// Whether no symbolic link is followed, wherever it leads.
    pub(super) no_symlinks: bool,
}

impl<D> Clone for Base<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Base<'_, D> {}

/// The kind of object that a path may end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Anything.
    Any,
    /// A file that is made if there is none, which no name with a slash behind it can be.
    New,
    /// A directory, which is entered, as if a slash stood behind the path.
    Directory,
}

/// How many items a [`Stack`] holds without asking for memory.
const INLINE: usize = 4;

/// A stack that is hardly ever high: to ask for memory takes as long as a step in a tree in memory.
struct Stack<T> {
    first: [Option<T>; INLINE],
    len: usize,
    more: Vec<T>,
}

impl<T> Stack<T> {
    fn new() -> Self {
        Self { first: [const { None }; INLINE], len: 0, more: Vec::new() }
    }

    #[inline]
    fn push(&mut self, item: T) {
        match self.first.get_mut(self.len) {
            Some(slot) => *slot = Some(item),
            None => self.more.push(item),
        }
        self.len = self.len.wrapping_add(1);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        match self.first.get_mut(self.len) {
            Some(slot) => slot.take(),
            None => self.more.pop(),
        }
    }

    #[inline]
    fn last(&self) -> Option<&T> {
        match self.first.get(self.len.checked_sub(1)?) {
            Some(slot) => slot.as_ref(),
            None => self.more.last(),
        }
    }

    fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    #[allow(dead_code, reason = "for `Walk::dirs`")]
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().flatten().chain(&self.more)
    }
}

/// The text of a link on the way, and how far it was read.
struct Text {
    text: Arc<[u8]>,
    at: usize,
}

impl Text {
    fn is_finished(&self) -> bool {
        self.at >= self.text.len()
    }
}

/// A component of a text.
struct Component {
    start: usize,
    end: usize,
    /// Where the next one begins.
    next: usize,
    /// Whether a slash follows.
    slash: bool,
}

/// The first component from `at` on. Of nothing but slashes, there is none.
#[inline]
fn component(text: &[u8], at: usize) -> Option<Component> {
    let start = skip_slashes(text, at);
    let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
    let len = rest.iter().position(|byte| *byte == b'/');
    let end = len.map_or(text.len(), |len| start.wrapping_add(len));
    Some(Component { start, end, next: skip_slashes(text, end), slash: len.is_some() })
}

#[inline]
fn skip_slashes(text: &[u8], mut at: usize) -> usize {
    while text.get(at) == Some(&b'/') {
        at = at.wrapping_add(1);
    }
    at
}

/// A way along a path, up to its last name. What that stands for has not been looked at: a
/// no-follow call on it says whether it is a link, and then the walk can go on.
///
/// The place is good for such a call only. What the name stands for may change at any time, unless
/// the backend is locked.
pub(super) struct Walk<'a, L: Lookup> {
    base: Base<'a, L::Dir>,
    /// The directories from the base on.
    way: Stack<L::Dir>,
    path: &'a [u8],
    path_at: usize,
    /// The text of the link that is being read.
    text: Option<Text>,
    /// Those of the links around it, of which none has come to its end, the innermost last.
    outer: Vec<Text>,
    /// Where the last name stands in the innermost text, or in the path.
    name: Option<(usize, usize)>,
    end: End,
    links: u32,
}

impl<'a, L: Lookup> Walk<'a, L> {
    /// A walk along a path that has not begun: [`Walk::advance`] goes to the last name.
    #[inline]
    pub(super) fn new(base: Base<'a, L::Dir>, path: &'a [u8], end: End) -> Self {
        Self {
            base,
            way: Stack::new(),
            path,
            path_at: 0,
            text: None,
            outer: Vec::new(),
            name: None,
            end,
            links: 0,
        }
    }

    /// The path.
    pub(super) fn path(&self) -> &'a [u8] {
        self.path
    }

    /// Comes to a directory, which was found by other means. The walk goes no further.
    pub(super) fn arrive(&mut self, dir: L::Dir) {
        self.way.push(dir);
    }

    /// The directory that the walk has come to.
    #[inline]
    pub(super) fn dir(&self) -> &L::Dir {
        self.way.last().unwrap_or(self.base.dir)
    }

    /// The last name. `None` where the path leads to the directory itself, as `.`, `..` and a path
    /// with a trailing slash do.
    #[inline]
    pub(super) fn name(&self) -> Option<Name<'_>> {
        let (start, end) = self.name?;
        self.reading().get(start..end).map(Name)
    }

    /// The base and the directories from there on, if the backend keeps them.
    #[allow(dead_code, reason = "a rename on Windows alone has to know")]
    pub(super) fn dirs(&self) -> impl Iterator<Item = &L::Dir> {
        std::iter::once(self.base.dir).chain(self.way.iter())
    }

    /// Follows the symbolic link that the last name stands for, and walks on. `false`: it stands
    /// for something else, or for nothing.
    pub(super) fn follow(&mut self, names: &L) -> Result<bool> {
        let Some(name) = self.name() else { return Ok(false) };
        match names.read_link(self.dir(), name) {
            Ok(Some(link)) => {
                self.name = None;
                self.read(link)?;
                self.advance(names)?;
                Ok(true)
            }
            Ok(None) | Err(Errno::Noent) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Follows all symbolic links at the end.
    pub(super) fn follow_all(&mut self, names: &L) -> Result<()> {
        while self.follow(names)? {}
        Ok(())
    }

    /// Closes the directories above the last one, unless the backend keeps them. The walk goes no
    /// further.
    pub(super) fn settle(&mut self) {
        if !L::KEEPS_WAY
            && self.way.len > 1
            && let Some(dir) = self.way.pop()
        {
            self.way.clear();
            self.way.push(dir);
        }
    }

    /// The text that is being read: the path, or that of a link.
    #[inline]
    fn reading(&self) -> &[u8] {
        self.text.as_ref().map_or(self.path, |text| &text.text)
    }

    /// Goes on in the text of a link.
    fn read(&mut self, link: Link) -> Result<()> {
        if self.base.no_symlinks {
            return Err(Errno::Loop);
        }
        self.links = self.links.saturating_add(1);
        if self.links > LINK_LIMIT {
            return Err(Errno::Loop);
        }
        let is_absolute = link.text.starts_with(b"/");
        if link.has_drive || (is_absolute && !self.base.root) {
            return Err(Errno::Notcapable);
        }
        if is_absolute {
            self.way.clear();
        }
        self.leave_finished();
        let at = skip_slashes(&link.text, 0);
        self.outer.extend(self.text.replace(Text { text: link.text, at }));
        Ok(())
    }

    fn leave_finished(&mut self) {
        while self.text.as_ref().is_some_and(Text::is_finished) {
            self.text = self.outer.pop();
        }
    }

    /// The next component. What is read from here on begins behind it.
    #[inline]
    fn next(&mut self) -> Option<Component> {
        self.leave_finished();
        if let Some(text) = &mut self.text {
            let component = component(&text.text, text.at)?;
            text.at = component.next;
            return Some(component);
        }
        let component = component(self.path, self.path_at)?;
        self.path_at = component.next;
        Some(component)
    }

    /// Whether nothing follows but slashes.
    #[inline]
    fn is_at_end(&self) -> bool {
        self.path_at >= self.path.len()
            && self.outer.is_empty()
            && self.text.as_ref().is_none_or(Text::is_finished)
    }

    /// Walks to the last name, or to the directory if the path ends in one.
    ///
    /// # Errors
    /// The first of these on the way, as on Linux:
    /// - `noent`, `notdir`: a directory is not there, or is none.
    /// - `notcapable`: the path leads outside.
    /// - `loop`: more than 40 symbolic links, or one where none may be followed.
    /// - `isdir`: a file is to be made, and its name has a slash behind it.
    /// - those of the backend.
    pub(super) fn advance(&mut self, names: &L) -> Result<()> {
        while let Some(Component { start, end, slash, .. }) = self.next() {
            let is_last = self.is_at_end();
            match self.reading().get(start..end) {
                Some(b".") => continue,
                Some(b"..") => {
                    if self.way.pop().is_none() && !self.base.root {
                        return Err(Errno::Notcapable);
                    }
                    continue;
                }
                _ => {}
            }
            if is_last && slash {
                if self.end == End::New {
                    // The kernel says so before it looks.
                    return Err(Errno::Isdir);
                }
                self.end = End::Directory;
            }
            let ends = is_last && self.end != End::Directory;
            let name = self.reading().get(start..end).unwrap_or_default();
            L::check(name, ends && self.end == End::New)?;
            if ends {
                self.name = Some((start, end));
                break;
            }
            match names.enter(self.dir(), Name(name))? {
                Entered::Link(link) => self.read(link)?,
                Entered::Directory(dir) => self.way.push(dir),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(miri)))]
mod tests {
    use super::*;
    use crate::host::link_tree::{LinkTree, PARTS, next};
    use crate::host::sys::names;
    use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, readlinkat, statat};
    use rustix::io::Errno as Host;
    use std::fs;
    use std::os::fd::OwnedFd;

    const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    /// Windows' rules for names, and its one look, which opens whatever has the name, on the files
    /// of this system.
    struct AsOnWindows;

    /// The same look without the rules, for names that the rules let pass.
    struct Anything;

    fn look(dir: &OwnedFd, name: Name<'_>) -> Result<Option<Entered<OwnedFd>>> {
        let opened =
            rustix::fs::openat(dir, name.as_bytes(), LOOK, Mode::empty()).map_err(errno)?;
        match rustix::fs::FileType::from_raw_mode(
            rustix::fs::fstat(&opened).map_err(errno)?.st_mode,
        ) {
            rustix::fs::FileType::Directory => Ok(Some(Entered::Directory(opened))),
            rustix::fs::FileType::Symlink => {
                let text = readlinkat(&opened, "", Vec::new()).map_err(errno)?.into_bytes();
                Ok(Some(Entered::Link(Link { text: Arc::from(text), has_drive: false })))
            }
            _ => Ok(None),
        }
    }

    impl Lookup for Anything {
        type Dir = OwnedFd;

        fn read_link(&self, dir: &OwnedFd, name: Name<'_>) -> Result<Option<Link>> {
            Ok(if let Some(Entered::Link(link)) = look(dir, name)? { Some(link) } else { None })
        }

        fn enter(&self, dir: &OwnedFd, name: Name<'_>) -> Result<Entered<OwnedFd>> {
            look(dir, name)?.ok_or(Errno::Notdir)
        }
    }

    impl Lookup for AsOnWindows {
        type Dir = OwnedFd;
        const KEEPS_WAY: bool = true;

        fn check(name: &[u8], is_new: bool) -> Result<()> {
            names::check_bytes(name, is_new)
        }

        fn read_link(&self, dir: &OwnedFd, name: Name<'_>) -> Result<Option<Link>> {
            Anything.read_link(dir, name)
        }

        fn enter(&self, dir: &OwnedFd, name: Name<'_>) -> Result<Entered<OwnedFd>> {
            Anything.enter(dir, name)
        }
    }

    fn arrive<'a, L: Lookup>(
        names: &L,
        base: Base<'a, L::Dir>,
        path: &'a [u8],
        follow: bool,
        create: bool,
    ) -> Result<Walk<'a, L>> {
        let mut walk = Walk::new(base, path, if create { End::New } else { End::Any });
        walk.advance(names)?;
        if follow {
            walk.follow_all(names)?;
        }
        Ok(walk)
    }

    fn errno(error: Host) -> Errno {
        match error {
            Host::XDEV => Errno::Notcapable,
            error => crate::host::from_io(&error.into()),
        }
    }

    #[test]
    fn a_walk_leads_where_the_kernel_goes() {
        let temp = LinkTree::new("kernel");
        let top = rustix::fs::open(
            temp.0.join("top"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let (mut state, mut found, mut refused) = (1, 0, 0);
        for _ in 0..40_000 {
            let count = 1 + next(&mut state) % 5;
            let parts: Vec<&str> = (0..count)
                .map(|_| PARTS[usize::try_from(next(&mut state)).unwrap() % PARTS.len()])
                .collect();
            let path = parts.join("/");
            if path.is_empty() || path.starts_with('/') {
                continue;
            }
            let (root, no_symlinks, follow) = (
                next(&mut state).is_multiple_of(2),
                next(&mut state).is_multiple_of(4),
                next(&mut state).is_multiple_of(2),
            );
            let mut scope = ResolveFlags::NO_MAGICLINKS
                | if root { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
            scope.set(ResolveFlags::NO_SYMLINKS, no_symlinks);
            let flags = if follow { LOOK - OFlags::NOFOLLOW } else { LOOK };
            // The kernel says `again` where something was renamed anywhere meanwhile, by another
            // test.
            let kernel = (0..1000)
                .map(|_| openat2(&top, path.as_str(), flags, Mode::empty(), scope).map_err(errno));
            let kernel = kernel
                .into_iter()
                .find(|opened| !matches!(opened, Err(Errno::Again)))
                .unwrap()
                .map(|opened| {
                    let stat = rustix::fs::fstat(opened).unwrap();
                    (stat.st_dev, stat.st_ino)
                });
            let base = Base { dir: &top, root, no_symlinks };
            let walked =
                arrive(&Anything, base, path.as_bytes(), follow, false).and_then(|place| {
                    let name = place.name().map_or(&b"."[..], Name::as_bytes);
                    let stat =
                        statat(place.dir(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
                    Ok((stat.st_dev, stat.st_ino))
                });
            match (kernel, walked) {
                // Both stand in the way; which is met first differs.
                (Err(one), Err(other)) if no_symlinks && [one, other].contains(&Errno::Loop) => {}
                (kernel, walked) => assert_eq!(
                    kernel, walked,
                    "{path:?}, root: {root}, no links: {no_symlinks}, following: {follow}"
                ),
            }
            if walked.is_ok() { found += 1 } else { refused += 1 }
        }
        assert!(found > 4000 && refused > 4000, "{found} and {refused}");
    }

    #[test]
    fn names_are_checked_wherever_they_stand() {
        let temp = LinkTree::new("names");
        for (text, link) in [("nul", "to-device"), ("a/x:y", "to-stream"), ("a\\f", "to-backslash")]
        {
            fs::write(temp.0.join("top").join(text.rsplit('/').next().unwrap()), "").unwrap();
            std::os::unix::fs::symlink(text, temp.0.join("top").join(link)).unwrap();
        }
        let top = rustix::fs::open(
            temp.0.join("top"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let base = Base { dir: &top, root: false, no_symlinks: false };
        let walked = |path: &str, follow, create| {
            arrive(&AsOnWindows, base, path.as_bytes(), follow, create).map(drop)
        };
        for path in [
            "nul",
            "NUL.txt/x",
            "a/x:y",
            "a\\f",
            "..\\outside",
            "to-device",
            "to-stream",
            "to-backslash",
            "a/../aux/../f",
        ] {
            assert_eq!(walked(path, true, false), Err(Errno::Noent), "{path}");
        }
        for path in ["nul", "a/x:y", "a\\f", "to-device", "to-stream", "to-backslash"] {
            assert_eq!(walked(path, true, true), Err(Errno::Inval), "{path}");
        }
        for path in ["nul", "a/x:y", "a\\f"] {
            assert_eq!(walked(path, false, true), Err(Errno::Inval), "{path}");
            assert_eq!(walked(path, false, false), Err(Errno::Noent), "{path}");
        }
        for (path, dirs) in [(&b"f"[..], 1), (b"a/b/../f", 2), (b"a/b/f", 3), (b"a/b/upper/a/f", 2)]
        {
            let place = arrive(&AsOnWindows, base, path, false, false);
            assert_eq!(
                place.map(|place| place.dirs().count()),
                Ok(dirs),
                "the base and those behind it on the way of {path:?}"
            );
        }
        assert_eq!(walked("f/", false, true), Err(Errno::Isdir));
        assert_eq!(walked("absolute", true, false), Err(Errno::Notcapable));
    }

    /// `GHSA-vqjp-4c8c-hfgg`: slashes at the end of a path, or of a link's text, led outside.
    #[test]
    fn ghsa_vqjp_4c8c_hfgg_a_trailing_slash_leads_nowhere_else() {
        let temp = LinkTree::new("slashes");
        for (text, link) in [
            ("../outside/", "slash-out"),
            ("../", "slash-up"),
            ("out/", "chained-out"),
            ("a/../out//", "roundabout-out"),
        ] {
            std::os::unix::fs::symlink(text, temp.0.join("top").join(link)).unwrap();
        }
        let top = rustix::fs::open(
            temp.0.join("top"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let walked = |path: &str, root, follow, create| {
            arrive(
                &AsOnWindows,
                Base { dir: &top, root, no_symlinks: false },
                path.as_bytes(),
                follow,
                create,
            )
            .map(drop)
        };
        for link in [
            "out",
            "absolute-out",
            "slash-out",
            "slash-up",
            "chained-out",
            "roundabout-out",
            "a/../out",
        ] {
            for end in ["/", "//", "/.", "/./", "/f", "//f", "/f/", "/new"] {
                let path = format!("{link}{end}");
                for (follow, create) in [(false, false), (true, false), (false, true), (true, true)]
                {
                    let result = walked(&path, false, follow, create);
                    // No file is made under a name with a slash behind it, wherever that leads.
                    let refused = result == Err(Errno::Isdir)
                        && create
                        && end.bytes().all(|byte| byte == b'/');
                    assert!(
                        result == Err(Errno::Notcapable) || refused,
                        "{path}, {follow}, {create}: {result:?}"
                    );
                    // `..` and `/` stay below a root, where there is no such directory.
                    if !link.starts_with("slash-up") {
                        assert!(
                            walked(&path, true, follow, create).is_err(),
                            "{path}, {follow}, {create}"
                        );
                    }
                }
            }
        }
        // A backslash is no slash, and no character of a name.
        for path in ["out\\", "out\\f", "a\\..\\..\\outside\\", "slash-out\\"] {
            assert_eq!(walked(path, false, true, false), Err(Errno::Noent), "{path}");
        }
        assert_eq!(walked("slash/", false, true, false), Ok(()), "one that stays inside");
    }

    #[test]
    fn a_link_with_a_drive_leads_nowhere() {
        struct Only;
        impl Lookup for Only {
            type Dir = ();

            fn read_link(&self, (): &(), _: Name<'_>) -> Result<Option<Link>> {
                Ok(Some(Link { text: Arc::from(&b"a"[..]), has_drive: true }))
            }

            fn enter(&self, (): &(), _: Name<'_>) -> Result<Entered<()>> {
                self.read_link(&(), Name(b"")).map(|link| Entered::Link(link.unwrap()))
            }
        }
        for root in [false, true] {
            let walked = |path, follow| {
                arrive(&Only, Base { dir: &(), root, no_symlinks: false }, path, follow, false)
            };
            assert_eq!(walked(b"x", true).map(drop), Err(Errno::Notcapable));
            assert_eq!(walked(b"x/y", false).map(drop), Err(Errno::Notcapable));
            assert!(walked(b"x", false).is_ok_and(|place| place.name() == Some(Name(b"x"))));
        }
    }
}
