//! Directories of a file system that the embedder serves, and what there is to do with one name in
//! one.
//!
//! The embedder knows directories by their paths. So an open directory is a path: the walk found
//! no link on it, and later it stands for whatever is at that path.

use super::file::{ServedFile, times_of};
use super::{Answer, Exchange, Flags, NUMBER_LIMIT, Op, Request, Volume, done};
use crate::abi::{Errno, Filestat, Filetype};
use crate::host::directory::{Backend, Contained, Found, Names, Unlocked};
use crate::host::walk::{Entered, Link, Lookup, Name, Walk};
use crate::host::{Directory, EntrySink, OpenOptions, PATH_LIMIT, Result, SetTime, SetTimes};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Devices of served file systems begin here, where neither a host nor a tree has one.
const FIRST_DEVICE: u64 = 1 << 49;

/// A file system that the embedder serves.
pub struct Served {
    volume: Volume,
}

impl Served {
    /// The file system that the embedder knows by `number`.
    #[must_use]
    pub fn new(exchange: &Arc<Exchange>, number: u32) -> Self {
        let device = FIRST_DEVICE.saturating_add(number.into());
        Self { volume: Volume { exchange: Arc::clone(exchange), number, device } }
    }

    /// Its top as a directory. With `root` it is a root to the guest: `..` stays there, and
    /// absolute symbolic links resolve inside. Its cookies count, and are good for a listing that
    /// nothing changes: see [`crate::host::SortedDirectory`].
    #[must_use]
    pub fn root_directory(&self, root: bool) -> Box<dyn Directory> {
        let names = ServedNames(self.volume.clone());
        Box::new(Contained::new(ServedDirectory { names, path: String::from("/") }, root, false))
    }
}

/// The names in a served file system.
#[derive(Clone)]
pub(super) struct ServedNames(Volume);

/// The path of a name.
fn join(dir: &str, name: Name<'_>) -> Result<String> {
    // Guests' paths are UTF-8, and so are the texts of links here.
    let name = str::from_utf8(name.as_bytes()).map_err(|_| Errno::Ilseq)?;
    let slash = if dir.ends_with('/') { "" } else { "/" };
    let path = [dir, slash, name].concat();
    if path.len() > PATH_LIMIT { Err(Errno::Nametoolong) } else { Ok(path) }
}

impl ServedNames {
    fn stat_path(&self, path: &str) -> Result<Filestat> {
        self.on_path(Op::Stat, path.to_owned(), |answer| self.0.filestat(answer))
    }

    fn link_at(&self, path: String) -> Result<Link> {
        self.on_path(Op::ReadLink, path, |answer| {
            let Answer::Text(text) = answer else { return Err(Errno::Io) };
            if text.is_empty() || text.contains('\0') {
                return Err(Errno::Io);
            }
            if text.len() > PATH_LIMIT {
                return Err(Errno::Nametoolong);
            }
            Ok(Link { text: Arc::from(text.as_bytes()), has_drive: false })
        })
    }

    fn on_path<T>(
        &self,
        op: Op,
        path: String,
        read: impl FnOnce(&Answer) -> Result<T>,
    ) -> Result<T> {
        self.0.ask(Request { path, ..self.0.request(op) }, read)
    }

    fn act(&self, op: Op, path: String) -> Result<()> {
        self.on_path(op, path, done)
    }

    fn act_on_two(&self, op: Op, path: String, other: String) -> Result<()> {
        self.0.ask(Request { path, other, ..self.0.request(op) }, done)
    }

    fn open_file(
        &self,
        path: String,
        options: OpenOptions,
        flags: Flags,
        size: u64,
    ) -> Result<Found<String>> {
        let file = self.on_path(Op::Open(flags), path, |answer| match answer {
            Answer::Number(file @ ..=NUMBER_LIMIT) => Ok(*file),
            _ => Err(Errno::Io),
        })?;
        let access = (options.read || !options.write, options.write);
        Ok(Found::File(Box::new(ServedFile::new(&self.0, file, access, options.flags, size))))
    }

    fn open_existing(
        &self,
        path: String,
        stat: &Filestat,
        options: OpenOptions,
    ) -> Result<Found<String>> {
        match stat.filetype {
            _ if options.create && options.exclusive => Err(Errno::Exist),
            Filetype::SymbolicLink => Ok(Found::Link),
            Filetype::Directory if options.create || options.write || options.truncate => {
                Err(Errno::Isdir)
            }
            Filetype::Directory => Ok(Found::Directory(path)),
            _ if options.directory => Err(Errno::Notdir),
            Filetype::RegularFile => {
                let (flags, size) = match (options.truncate, options.write) {
                    (true, _) => (Flags::Truncate, 0),
                    (false, true) => (Flags::Write, stat.size),
                    (false, false) => (Flags::Read, stat.size),
                };
                self.open_file(path, options, flags, size)
            }
            // To open a pipe or a device may wait, or do something.
            _ => Err(Errno::Nxio),
        }
    }

    /// Checks that nothing has a name.
    fn check_vacant(&self, path: &str) -> Result<()> {
        match self.stat_path(path) {
            Ok(_) => Err(Errno::Exist),
            Err(Errno::Noent) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn set_times_at(&self, path: String, stat: &Filestat, times: SetTimes) -> Result<()> {
        let times = times_of(times, || Ok(*stat))?;
        // Where times of links cannot be set, those of what they lead to are not set instead.
        let position = u64::from(stat.filetype == Filetype::SymbolicLink);
        let request = self.0.request(Op::SetTimes);
        self.0.ask(Request { position, times, path, ..request }, done)
    }
}

impl Lookup for ServedNames {
    type Dir = String;

    fn read_link(&self, dir: &String, name: Name<'_>) -> Result<Option<Link>> {
        let path = join(dir, name)?;
        match self.stat_path(&path)?.filetype {
            Filetype::SymbolicLink => self.link_at(path).map(Some),
            _ => Ok(None),
        }
    }

    fn enter(&self, dir: &String, name: Name<'_>) -> Result<Entered<String>> {
        let path = join(dir, name)?;
        match self.stat_path(&path)?.filetype {
            Filetype::Directory => Ok(Entered::Directory(path)),
            Filetype::SymbolicLink => self.link_at(path).map(Entered::Link),
            _ => Err(Errno::Notdir),
        }
    }
}

impl Names for ServedNames {
    type Removed = ();

    fn stat(&self, dir: &String, name: Name<'_>) -> Result<Filestat> {
        self.stat_path(&join(dir, name)?)
    }

    fn stat_directory(&self, dir: &String) -> Result<Filestat> {
        let stat = self.stat_path(dir)?;
        if stat.filetype == Filetype::Directory { Ok(stat) } else { Err(Errno::Notdir) }
    }

    fn open(&self, dir: &String, name: Name<'_>, options: OpenOptions) -> Result<Found<String>> {
        let path = join(dir, name)?;
        let stat = self.stat_path(&path)?;
        self.open_existing(path, &stat, options)
    }

    fn create(
        &mut self,
        dir: &String,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Found<String>> {
        let path = join(dir, name)?;
        match self.stat_path(&path) {
            Ok(stat) => self.open_existing(path, &stat, options),
            Err(Errno::Noent) => self.open_file(path, options, Flags::Create, 0),
            Err(errno) => Err(errno),
        }
    }

    fn reopen(&self, dir: &String, _: OpenOptions) -> Result<String> {
        Ok(dir.clone())
    }

    fn set_times(&mut self, dir: &String, name: Name<'_>, times: SetTimes) -> Result<()> {
        let path = join(dir, name)?;
        let stat = self.stat_path(&path)?;
        self.set_times_at(path, &stat, times)
    }

    fn set_directory_times(&mut self, dir: &String, times: SetTimes) -> Result<()> {
        let stat = self.stat_directory(dir)?;
        self.set_times_at(dir.clone(), &stat, times)
    }

    // Implementations differ in what they do to a link, to a directory that is not empty, and to a
    // name that is taken. So these are checked first.

    fn create_directory(&mut self, dir: &String, name: Name<'_>) -> Result<()> {
        let path = join(dir, name)?;
        self.check_vacant(&path)?;
        self.act(Op::MakeDirectory, path)
    }

    fn create_link(&mut self, dir: &String, name: Name<'_>, text: &[u8], _: bool) -> Result<()> {
        let text = str::from_utf8(text).map_err(|_| Errno::Ilseq)?;
        let path = join(dir, name)?;
        self.check_vacant(&path)?;
        self.act_on_two(Op::Symlink, path, text.to_owned())
    }

    fn link_text(&self, dir: &String, name: Name<'_>, room: &mut [u8]) -> Result<usize> {
        let Some(link) = self.read_link(dir, name)? else { return Err(Errno::Inval) };
        let len = link.text.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), link.text.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn remove_directory(&mut self, dir: &String, name: Name<'_>) -> Result<()> {
        let path = join(dir, name)?;
        if self.stat_path(&path)?.filetype != Filetype::Directory {
            return Err(Errno::Notdir);
        }
        self.check_empty(&path)?;
        self.act(Op::RemoveDirectory, path)
    }

    fn unlink(&mut self, dir: &String, name: Name<'_>) -> Result<()> {
        let path = join(dir, name)?;
        if self.stat_path(&path)?.filetype == Filetype::Directory {
            return Err(Errno::Isdir);
        }
        self.act(Op::Unlink, path)
    }

    fn rename(
        &mut self,
        (from, old): (&String, Name<'_>),
        (into, new): (&Walk<'_, Self>, Name<'_>),
    ) -> Result<()> {
        let (old, new) = (join(from, old)?, join(into.dir(), new)?);
        let stat = self.stat_path(&old)?;
        let is_directory = stat.filetype == Filetype::Directory;
        let is_below = |path: &str, top: &str| {
            path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
        };
        if is_directory && is_below(&new, &old) {
            return Err(Errno::Inval);
        }
        if is_below(&old, &new) {
            return Err(Errno::Notempty);
        }
        if old == new {
            return Ok(());
        }
        match self.stat_path(&new) {
            Ok(target) => match (is_directory, target.filetype == Filetype::Directory) {
                // Two names of one file: both stay.
                (false, false)
                    if stat.ino != 0 && (stat.dev, stat.ino) == (target.dev, target.ino) =>
                {
                    return Ok(());
                }
                (true, false) => return Err(Errno::Notdir),
                (false, true) => return Err(Errno::Isdir),
                (true, true) => self.check_empty(&new)?,
                (false, false) => {}
            },
            Err(Errno::Noent) => {}
            Err(errno) => return Err(errno),
        }
        self.act_on_two(Op::Rename, old, new)
    }

    fn link(
        &mut self,
        (from, old): (&String, Name<'_>),
        (into, new): (&String, Name<'_>),
    ) -> Result<()> {
        let (old, new) = (join(from, old)?, join(into, new)?);
        let stat = self.stat_path(&old)?;
        self.check_vacant(&new)?;
        if stat.filetype == Filetype::Directory {
            return Err(Errno::Perm);
        }
        self.act_on_two(Op::Link, old, new)
    }
}

impl ServedNames {
    fn check_empty(&self, path: &str) -> Result<()> {
        self.on_path(Op::List, path.to_owned(), |answer| match answer {
            Answer::Names(names) if names.is_empty() => Ok(()),
            Answer::Names(_) => Err(Errno::Notempty),
            _ => Err(Errno::Io),
        })
    }
}

/// An open directory.
pub(super) struct ServedDirectory {
    names: ServedNames,
    path: String,
}

impl Backend for ServedDirectory {
    type Dir = String;
    type Names = ServedNames;

    fn names(&self) -> impl Deref<Target = ServedNames> {
        &self.names
    }

    fn names_mut(&self) -> impl DerefMut<Target = ServedNames> {
        Unlocked(self.names.clone())
    }

    fn dir(&self) -> &String {
        &self.path
    }

    fn open(&self, names: &ServedNames, dir: String) -> Self {
        Self { names: names.clone(), path: dir }
    }

    fn has_files_of(&self, other: &Self) -> bool {
        let (own, other) = (&self.names.0, &other.names.0);
        Arc::ptr_eq(&own.exchange, &other.exchange) && own.number == other.number
    }

    fn filestat(&self) -> Result<Filestat> {
        self.names.stat_directory(&self.path)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        if times == (SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep }) {
            return Ok(());
        }
        self.names.clone().set_directory_times(&self.path, times)
    }

    fn entries(&self, cookie: u64, _: usize, sink: &mut dyn EntrySink) -> Result<()> {
        let stat = self.filestat()?;
        self.names.on_path(Op::List, self.path.clone(), |answer| {
            let Answer::Names(names) = answer else { return Err(Errno::Io) };
            let is_name = |name: &str| {
                !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
            };
            if names.iter().any(|listed| !is_name(&listed.name) || listed.name.len() > PATH_LIMIT) {
                return Err(Errno::Io);
            }
            let own = [".", ".."].map(|name| (name, stat.ino, Filetype::Directory));
            let all = own
                .into_iter()
                .chain(names.iter().map(|listed| (&*listed.name, listed.ino, listed.filetype)));
            let from = usize::try_from(cookie).unwrap_or(usize::MAX);
            for (at, (name, ino, filetype)) in all.enumerate().skip(from) {
                if !sink.entry(name.as_bytes(), ino, filetype, (at as u64).saturating_add(1)) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
