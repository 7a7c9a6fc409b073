//! Names in a held directory, by the system's `*at` calls, and whole paths where the kernel can
//! keep them below a directory.
//!
//! On Linux the kernel resolves: `openat2` with `RESOLVE_BENEATH`, or `RESOLVE_IN_ROOT` below a
//! root. Where `openat2` is missing (an old kernel, a seccomp filter, another system), the path is
//! [walked](crate::host::walk).

use super::errno::from_rustix;
use super::file::{HostFile, Owned, Ownership};
use super::platform::{self, DIRECTORY, born};
use super::{filestat_of, filetype_of, timestamps};
use crate::abi::{Errno, Fdflags, Filestat, Filetype, Timestamp};
use crate::host::directory::{Found, Names};
use crate::host::walk::{Base, Entered, Link, Lookup, Name, Walk};
use crate::host::{OpenOptions, Result, SetTimes};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno as Host;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The number of times that a resolution by the kernel is tried again after it lost a race against
/// a rename.
pub(super) const RACE_LIMIT: u32 = 64;

/// Room for the text of a symbolic link: no system has longer ones.
const LINK_ROOM: usize = 4096;

/// The names of the host's files. They need no lock, because the host has its own.
pub(super) struct HostNames {
    /// Whether opened files note no access times, where the process may ask for that: it has to own
    /// the file.
    pub(super) quiet: bool,
}

/// The attributes of a name, without following a link.
pub(super) fn stat_name(dir: &Owned, name: &[u8]) -> Result<Stat> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(from_rustix)
}

fn is_directory(dir: &Owned, name: Name<'_>) -> bool {
    stat_name(dir, name.as_bytes()).is_ok_and(|stat| filetype_of(&stat) == Filetype::Directory)
}

/// The flags and the mode to open a file with.
fn open_flags(options: OpenOptions) -> (OFlags, Mode) {
    let mut flags = match (options.read, options.write) {
        (_, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    // Opening a pipe must not wait for its other end. The call waits where its thread can be
    // stopped.
    flags |= OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags.set(OFlags::CREATE, options.create);
    flags.set(OFlags::EXCL, options.exclusive);
    flags.set(OFlags::DIRECTORY, options.directory);
    flags.set(OFlags::TRUNC, options.truncate);
    flags.set(OFlags::NOFOLLOW, !options.follow);
    flags.set(OFlags::APPEND, options.flags.contains(Fdflags::APPEND));
    flags.set(OFlags::DSYNC, options.flags.contains(Fdflags::DSYNC));
    if options.flags.intersects(Fdflags::SYNC | Fdflags::RSYNC) {
        flags |= OFlags::SYNC;
    }
    let mode = if options.private { 0o600 } else { 0o666 };
    (flags, if options.create { Mode::from_raw_mode(mode) } else { Mode::empty() })
}

/// Whether an open failed because a pipe has no reader yet, for which the call is to wait. Other
/// files with this error have no device.
#[cold]
#[inline(never)]
fn waits_for_reader(
    error: Errno,
    options: OpenOptions,
    stat: impl FnOnce() -> Option<Result<Stat>>,
) -> bool {
    error == Errno::Nxio
        && options.write
        && !options.flags.contains(Fdflags::NONBLOCK)
        && matches!(stat(), Some(Ok(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// The flags to open a directory that may be searched but not read: paths can still begin there.
fn search_flags(options: OpenOptions) -> Option<OFlags> {
    (options.directory && !options.write)
        .then(|| DIRECTORY | if options.follow { OFlags::empty() } else { OFlags::NOFOLLOW })
}

/// The opened object, by its type.
fn found(fd: OwnedFd, options: OpenOptions, quiet: bool) -> Result<Found<Owned>> {
    // `fstat` takes a quarter of the time of an open, and sometimes the type is known.
    if options.create && options.exclusive {
        return Ok(Found::File(Box::new(HostFile::regular(fd.into()))));
    }
    if options.directory {
        return Ok(Found::Directory(fd.into()));
    }
    let stat = rustix::fs::fstat(&fd).map_err(from_rustix)?;
    if filetype_of(&stat) == Filetype::Directory {
        return Ok(Found::Directory(fd.into()));
    }
    let mut file = HostFile::new(Ownership::Owned(fd.into()), &stat);
    if quiet {
        // An overlay asks for the attributes next.
        file.keep_stat(&stat);
    }
    Ok(Found::File(Box::new(file)))
}

/// Opens with these flags, and without noting access times if `quiet` and the process may ask for
/// that.
#[inline]
fn open_quietly<T, E: PartialEq>(
    quiet: bool,
    flags: OFlags,
    refused: &E,
    mut open: impl FnMut(OFlags) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    if quiet && !platform::NO_ACCESS_TIME.is_empty() {
        match open(flags | platform::NO_ACCESS_TIME) {
            Err(error) if error == *refused => {}
            opened => return opened,
        }
    }
    open(flags)
}

/// Opens a name, or makes a file.
fn open(dir: &Owned, name: Name<'_>, options: OpenOptions, quiet: bool) -> Result<Found<Owned>> {
    let options = OpenOptions { follow: false, ..options };
    let (flags, mode) = open_flags(options);
    let open = |flags, mode| {
        let attempts =
            (0..RACE_LIMIT).map(|_| platform::open_name(dir, name.as_bytes(), flags, mode));
        attempts
            .into_iter()
            .find(|opened| !matches!(opened, Err(Host::INTR)))
            .unwrap_or(Err(Host::INTR))
    };
    let opened = open_quietly(quiet, flags, &Host::PERM, |flags| open(flags, mode));
    let opened = match (opened, search_flags(options)) {
        (Err(Host::ACCESS), Some(flags)) => open(flags, Mode::empty()),
        (opened, _) => opened,
    };
    match opened {
        Ok(fd) => found(fd, options, quiet),
        // Systems have different errors for a link.
        Err(Host::LOOP | Host::MLINK) => Ok(Found::Link),
        Err(error) => {
            let errno = from_rustix(error);
            Err(if waits_for_reader(errno, options, || Some(stat_name(dir, name.as_bytes()))) {
                Errno::Again
            } else {
                errno
            })
        }
    }
}

/// The attributes of the object that a path leads to, by the kernel's resolution.
fn stat_below(base: Base<'_, Owned>, path: &[u8], follow: bool) -> Option<Result<Stat>> {
    let flags = platform::FOR_NOTHING? | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let opened = platform::open_below(base, path, flags, Mode::empty())?;
    Some(opened.and_then(|fd| rustix::fs::fstat(Owned::from(fd)).map_err(from_rustix)))
}

impl Lookup for HostNames {
    type Dir = Owned;

    fn read_link(&self, dir: &Owned, name: Name<'_>) -> Result<Option<Link>> {
        let mut room = [MaybeUninit::uninit(); LINK_ROOM];
        match rustix::fs::readlinkat_raw(dir, name.as_bytes(), &mut room) {
            // It may go on.
            Ok((_, [])) => Err(Errno::Nametoolong),
            Ok((text, _)) => Ok(Some(Link { text: Arc::from(&*text), has_drive: false })),
            // Not a link.
            Err(Host::INVAL) => Ok(None),
            Err(error) => Err(from_rustix(error)),
        }
    }

    fn enter(&self, dir: &Owned, name: Name<'_>) -> Result<Entered<Owned>> {
        match platform::open_name(dir, name.as_bytes(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
        {
            Ok(fd) => Ok(Entered::Directory(fd.into())),
            // Systems have different errors for a link.
            Err(Host::NOTDIR | Host::LOOP | Host::MLINK) => match self.read_link(dir, name)? {
                Some(link) => Ok(Entered::Link(link)),
                None => Err(Errno::Notdir),
            },
            Err(error) => Err(from_rustix(error)),
        }
    }
}

impl Names for HostNames {
    type Removed = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: 34 instructions of 290 a stat")]
    fn stat(&self, dir: &Owned, name: Name<'_>) -> Result<Filestat> {
        stat_name(dir, name.as_bytes()).map(|stat| filestat_of(&stat))
    }

    fn stat_directory(&self, dir: &Owned) -> Result<Filestat> {
        rustix::fs::fstat(dir).map(|stat| filestat_of(&stat)).map_err(from_rustix)
    }

    fn born(&self, dir: &Owned, name: Name<'_>) -> Option<Timestamp> {
        born(dir.as_fd(), name.as_bytes())
    }

    fn open(&self, dir: &Owned, name: Name<'_>, options: OpenOptions) -> Result<Found<Owned>> {
        open(dir, name, options, self.quiet)
    }

    fn create(
        &mut self,
        dir: &Owned,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Found<Owned>> {
        open(dir, name, options, self.quiet)
    }

    fn reopen(&self, dir: &Owned, options: OpenOptions) -> Result<Owned> {
        let opened = open_quietly(self.quiet, open_flags(options).0, &Host::PERM, |flags| {
            platform::open_name(dir, b".", flags, Mode::empty())
        });
        let opened = match (opened, search_flags(options)) {
            (Err(Host::ACCESS), Some(flags)) => {
                platform::open_name(dir, b".", flags, Mode::empty())
            }
            (opened, _) => opened,
        };
        opened.map(Owned::from).map_err(from_rustix)
    }

    fn set_times(&mut self, dir: &Owned, name: Name<'_>, times: SetTimes) -> Result<()> {
        rustix::fs::utimensat(dir, name.as_bytes(), &timestamps(times), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(from_rustix)
    }

    fn set_directory_times(&mut self, dir: &Owned, times: SetTimes) -> Result<()> {
        // By name, because the descriptor may be good for nothing but paths.
        rustix::fs::utimensat(dir, c".", &timestamps(times), AtFlags::empty()).map_err(from_rustix)
    }

    fn create_directory(&mut self, dir: &Owned, name: Name<'_>) -> Result<()> {
        rustix::fs::mkdirat(dir, name.as_bytes(), Mode::from_raw_mode(0o777)).map_err(from_rustix)
    }

    fn create_link(&mut self, dir: &Owned, name: Name<'_>, text: &[u8], _: bool) -> Result<()> {
        rustix::fs::symlinkat(text, dir, name.as_bytes()).map_err(from_rustix)
    }

    fn link_text(&self, dir: &Owned, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        if room.is_empty() {
            // The host refuses an empty buffer. The call must still fail for an object that is no
            // link.
            let stat = stat_name(dir, name.as_bytes())?;
            return if filetype_of(&stat) == Filetype::SymbolicLink {
                Ok(0)
            } else {
                Err(Errno::Inval)
            };
        }
        rustix::fs::readlinkat_raw(dir, name.as_bytes(), room).map_err(from_rustix)
    }

    fn remove_directory(&mut self, dir: &Owned, name: Name<'_>) -> Result<()> {
        match rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::REMOVEDIR) {
            // Some systems have this error for a directory that is not empty.
            Err(Host::EXIST) => Err(Errno::Notempty),
            result => result.map_err(from_rustix),
        }
    }

    fn unlink(&mut self, dir: &Owned, name: Name<'_>) -> Result<()> {
        match rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty()) {
            // POSIX allows EPERM for a directory.
            Err(Host::PERM) if is_directory(dir, name) => Err(Errno::Isdir),
            result => result.map_err(from_rustix),
        }
    }

    fn rename(
        &mut self,
        (from, old): (&Owned, Name<'_>),
        (into, new): (&Walk<'_, Self>, Name<'_>),
    ) -> Result<()> {
        match rustix::fs::renameat(from, old.as_bytes(), into.dir(), new.as_bytes()) {
            Err(Host::EXIST) => Err(Errno::Notempty),
            result => result.map_err(from_rustix),
        }
    }

    fn link(
        &mut self,
        (from, old): (&Owned, Name<'_>),
        (into, new): (&Owned, Name<'_>),
    ) -> Result<()> {
        rustix::fs::linkat(from, old.as_bytes(), into, new.as_bytes(), AtFlags::empty())
            .map_err(from_rustix)
    }

    fn open_below(
        &self,
        base: Base<'_, Owned>,
        path: &[u8],
        options: OpenOptions,
    ) -> Option<Result<Found<Owned>>> {
        let (flags, mode) = open_flags(options);
        let mut is_walked = false;
        let opened = open_quietly(self.quiet, flags, &Errno::Perm, |flags| {
            platform::open_below(base, path, flags, mode).unwrap_or_else(|| {
                is_walked = true;
                Err(Errno::Nosys)
            })
        });
        if is_walked {
            return None;
        }
        let opened = match (opened, search_flags(options)) {
            (Err(Errno::Acces), Some(flags)) => {
                platform::open_below(base, path, flags, Mode::empty())?
            }
            (opened, _) => opened,
        };
        Some(match opened {
            Ok(fd) => found(fd, options, self.quiet),
            Err(errno) => {
                let stat = || stat_below(base, path, options.follow);
                Err(if waits_for_reader(errno, options, stat) { Errno::Again } else { errno })
            }
        })
    }

    fn stat_below(
        &self,
        base: Base<'_, Owned>,
        path: &[u8],
        follow: bool,
    ) -> Option<Result<Filestat>> {
        stat_below(base, path, follow).map(|stat| stat.map(|stat| filestat_of(&stat)))
    }

    fn enter_below(&self, base: Base<'_, Owned>, path: &[u8]) -> Option<Result<Owned>> {
        platform::open_below(base, path, DIRECTORY, Mode::empty())
            .map(|opened| opened.map(Owned::from))
    }
}

#[cfg(test)]
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tests {
    use super::super::directory::HostDirectory;
    use super::*;
    use crate::host::GuestPath;
    use crate::host::directory::Contained;
    use crate::host::link_tree::{LinkTree, PARTS, next};
    use crate::host::walk::End;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    const PLAIN: HostNames = HostNames { quiet: false };

    #[test]
    fn flags_of_a_file_are_those_of_its_host_file() {
        let flags = |flags| open_flags(OpenOptions { flags, ..OpenOptions::READ }).0;
        let always = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        assert_eq!(flags(Fdflags::empty()), always);
        // The call waits, not the host.
        assert_eq!(flags(Fdflags::NONBLOCK), always);
        assert_eq!(flags(Fdflags::APPEND), always | OFlags::APPEND);
        assert_eq!(flags(Fdflags::DSYNC), always | OFlags::DSYNC);
        for synchronous in [Fdflags::SYNC, Fdflags::RSYNC, Fdflags::SYNC | Fdflags::RSYNC] {
            assert_eq!(flags(synchronous), always | OFlags::SYNC);
        }
    }

    /// The tree, and all that is in it before a call.
    struct Temp(LinkTree, BTreeSet<PathBuf>);

    impl Temp {
        fn new(name: &str) -> Self {
            let tree = LinkTree::new(name);
            let all = everything(&tree.0);
            Self(tree, all)
        }
    }

    fn top(temp: &Temp) -> Owned {
        rustix::fs::open(temp.0.0.join("top"), DIRECTORY, Mode::empty()).unwrap().into()
    }

    /// The call that is made with a path.
    #[derive(Debug, Clone, Copy)]
    enum Call {
        Open(OpenOptions),
        Stat { follow: bool },
        Enter,
    }

    fn calls() -> Vec<Call> {
        let read = OpenOptions {
            create: false,
            exclusive: false,
            directory: false,
            truncate: false,
            follow: false,
            read: true,
            write: false,
            private: false,
            flags: Fdflags::empty(),
        };
        let write = OpenOptions { write: true, ..read };
        let mut all = vec![Call::Stat { follow: false }, Call::Stat { follow: true }, Call::Enter];
        for options in [
            read,
            write,
            OpenOptions { directory: true, ..read },
            OpenOptions { create: true, ..write },
            OpenOptions { create: true, ..read },
            OpenOptions { create: true, exclusive: true, ..write },
            OpenOptions { truncate: true, ..read },
        ] {
            all.extend([Call::Open(options), Call::Open(OpenOptions { follow: true, ..options })]);
        }
        all
    }

    /// The file that a call reached, or its error.
    type Met = Result<(u64, u64, Filetype)>;

    fn met(stat: Result<Filestat>) -> Met {
        stat.map(|stat| (stat.dev, stat.ino, stat.filetype))
    }

    fn met_open(found: Result<Found<Owned>>) -> Met {
        match found? {
            Found::Directory(dir) => met(PLAIN.stat_directory(&dir)),
            Found::File(file) => met(file.filestat()),
            Found::Link => Err(Errno::Loop),
        }
    }

    fn compare(temp: &Temp, path: &str, call: Call, root: bool, no_symlinks: bool) {
        let top = top(temp);
        let base = Base { dir: &top, root, no_symlinks };
        let by_kernel = match call {
            Call::Open(options) => PLAIN.open_below(base, path.as_bytes(), options).map(met_open),
            Call::Stat { follow } => PLAIN.stat_below(base, path.as_bytes(), follow).map(met),
            Call::Enter => {
                PLAIN.enter_below(base, path.as_bytes()).map(|dir| met(PLAIN.stat_directory(&dir?)))
            }
        };
        let by_kernel = by_kernel.expect("this kernel has no openat2");
        // The file that the call created is removed, so that the other way finds the same.
        let created = clean(temp);
        let dir = HostDirectory::new(rustix::io::dup(&top).unwrap().into(), false);
        let contained = Contained::new(dir, root, no_symlinks);
        let guest_path = GuestPath::new(path.as_bytes()).unwrap();
        let by_walking = match call {
            Call::Open(options) => {
                let open = |_: &mut &HostNames, dir: &Owned, name: Name<'_>| {
                    super::open(dir, name, options, false)
                };
                met_open(
                    contained
                        .open_by_walking(&mut &PLAIN, guest_path, options, false, open)
                        .map(|found| match found {
                            Found::Link if options.directory => None,
                            found => Some(found),
                        })
                        .and_then(|found| found.ok_or(Errno::Notdir)),
                )
            }
            Call::Stat { follow } => {
                met(contained.stat_by_walking(&PLAIN, guest_path, follow, false))
            }
            Call::Enter => {
                let mut walk = Walk::new(base, path.as_bytes(), End::Directory);
                walk.advance(&PLAIN).and_then(|()| met(PLAIN.stat_directory(walk.dir())))
            }
        };
        assert_eq!(clean(temp), created, "{path:?} {call:?} created something else");
        let case = format!("{path:?} with {call:?}, root: {root}, no links: {no_symlinks}");
        match (by_kernel, by_walking) {
            // A file that was created twice.
            (Ok(_), Ok(_)) if !created.is_empty() => {}
            // Both stand in the way; which is met first differs.
            (Err(one), Err(other)) if no_symlinks && [one, other].contains(&Errno::Loop) => {}
            (by_kernel, by_walking) => assert_eq!(by_kernel, by_walking, "{case}"),
        }
        assert_eq!(std::fs::read(temp.0.0.join("outside/f")).unwrap(), b"outside/f", "{case}");
    }

    /// All that stands below, as far as something can be created there.
    fn everything(temp: &Path) -> BTreeSet<PathBuf> {
        let places =
            ["", "top", "top/a", "top/a/b", "top/c", "outside"].map(|place| temp.join(place));
        places
            .iter()
            .flat_map(|place| std::fs::read_dir(place).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Removes what was created, and says where.
    fn clean(temp: &Temp) -> Vec<PathBuf> {
        let now = everything(&temp.0.0);
        let created: Vec<PathBuf> = now.difference(&temp.1).cloned().collect();
        for path in &created {
            assert!(path.starts_with(temp.0.0.join("top")), "{} was created", path.display());
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(now.len() - created.len(), temp.1.len());
        created
    }

    #[test]
    fn the_two_resolvers_lead_to_the_same() {
        let temp = Temp::new("same");
        let mut state = 1;
        let calls = calls();
        for part in PARTS.into_iter().filter(|part| !part.is_empty()) {
            for call in &calls {
                for root in [false, true] {
                    compare(&temp, part, *call, root, false);
                    compare(&temp, &format!("{part}/"), *call, root, false);
                    compare(&temp, part, *call, root, true);
                }
            }
        }
        for _ in 0..8000 {
            let length = 1 + next(&mut state) % 6;
            let parts: Vec<&str> = (0..length)
                .map(|_| PARTS[usize::try_from(next(&mut state)).unwrap() % PARTS.len()])
                .collect();
            let path = parts.join("/");
            let path = path.trim_start_matches('/');
            if path.is_empty() {
                continue;
            }
            let call = calls[usize::try_from(next(&mut state)).unwrap() % calls.len()];
            compare(
                &temp,
                path,
                call,
                next(&mut state).is_multiple_of(2),
                next(&mut state).is_multiple_of(8),
            );
        }
    }

    #[test]
    fn a_walk_holds_no_more_than_it_needs() {
        let temp = Temp::new("descriptors");
        let top = top(&temp);
        let base = Base { dir: &top, root: false, no_symlinks: false };
        let open = || {
            std::fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
                let target = std::fs::read_link(entry.as_ref().unwrap().path());
                target.is_ok_and(|target| target.starts_with(&temp.0.0))
            })
        };
        let mut place = Walk::new(base, b"a/b/here/here/f", End::Any);
        place.advance(&PLAIN).unwrap();
        place.settle();
        assert_eq!(open().count(), 2, "the base and the directory of the file");
        drop(place);
        assert_eq!(open().count(), 1);
        assert!(Walk::new(base, b"a/b/../../..", End::Any).advance(&PLAIN).is_err());
        assert_eq!(open().count(), 1);
    }
}
