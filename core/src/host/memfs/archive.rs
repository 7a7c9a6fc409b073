//! Archives of `tar` as trees.
//!
//! An archive is a stranger's: whatever it says, it is unpacked into a tree in memory, name by name
//! and following no link, and what it may take is bounded. One that cannot be unpacked as it says
//! is refused as a whole.

use super::names::{Id, Inode};
use super::{Files, NAME_LIMIT, Tree, TreeOptions};
use crate::abi::{Errno, Filetype, Timestamp};
use crate::host::{Directory, HERE, OpenOptions, Opened, SetTime, SetTimes, from_io};
use crate::memory::GuestMemory;
use flate2::read::MultiGzDecoder;
use std::cell::Cell;
use std::fmt::{self, Display, Formatter};
use std::io::{self, Read};
use std::sync::Arc;
use tar::{Archive, Entry, EntryType};

/// How many bytes of headers one entry may have, its long names and extended attributes included.
const HEADER_LIMIT: u64 = 1 << 20;

/// How many bytes an archive may unpack to for each byte that the tree may hold, its headers and
/// what later entries replace included. A small file takes 660 bytes of the tree or more, and with
/// extended headers 2560 of the archive.
const STREAM_FACTOR: u64 = 4;

/// How many bytes are moved at once. A file in memory has pieces of this size, and those of nothing
/// but zeros take no memory.
const PIECE: usize = 64 * 1024;

/// Why an archive was refused.
#[derive(Debug)]
pub struct ArchiveError {
    /// The errno that says it best. `inval`: it is no archive, or a broken one.
    pub errno: Errno,
    /// In which entry.
    pub entry: Option<String>,
    /// The fault.
    pub reason: String,
}

impl ArchiveError {
    fn new(errno: Errno, reason: impl Into<String>) -> Self {
        Self { errno, entry: None, reason: reason.into() }
    }
}

impl Display for ArchiveError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(formatter, "entry {entry:?}: {}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl std::error::Error for ArchiveError {}

type Result<T> = std::result::Result<T, ArchiveError>;

impl From<Errno> for ArchiveError {
    fn from(errno: Errno) -> Self {
        let reason = match errno {
            Errno::Nospc => "the archive holds more than maxBytes",
            Errno::Nametoolong => "a name has more than 255 bytes",
            Errno::Notdir => "it lies below what is no directory",
            Errno::Exist => "something else has its name",
            errno => errno.name(),
        };
        Self::new(errno, reason)
    }
}

/// The source of an archive's bytes: the file, or the decompressor.
impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        if let Some(&Exceeded(errno, reason)) =
            error.get_ref().and_then(|inner| inner.downcast_ref())
        {
            return Self::new(errno, reason);
        }
        let errno = if error.raw_os_error().is_some() { from_io(&error) } else { Errno::Inval };
        Self::new(errno, format!("it is no tar archive, or a broken one: {error}"))
    }
}

/// A limit that was reached.
#[derive(Debug)]
struct Exceeded(Errno, &'static str);

impl Display for Exceeded {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.1)
    }
}

impl std::error::Error for Exceeded {}

/// How many bytes may still be read.
struct Limits {
    /// Until the next entry, or the end of this one's data.
    here: Cell<u64>,
    /// Of the archive.
    all: Cell<u64>,
}

/// A reader that is held to limits.
struct Limited<'a, R> {
    inner: R,
    limits: &'a Limits,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (here, all) = (self.limits.here.get(), self.limits.all.get());
        let exceeded = if all == 0 {
            Some(Exceeded(Errno::Nospc, "the archive unpacks to many times maxBytes"))
        } else if here == 0 {
            Some(Exceeded(Errno::TooBig, "the headers of an entry take more than 1 MiB"))
        } else {
            None
        };
        if let Some(exceeded) = exceeded {
            return Err(io::Error::other(exceeded));
        }
        let most = usize::try_from(here.min(all)).map_or(buf.len(), |most| most.min(buf.len()));
        let done = self.inner.read(buf.get_mut(..most).unwrap_or_default())?;
        self.limits.here.set(here.saturating_sub(done as u64));
        self.limits.all.set(all.saturating_sub(done as u64));
        Ok(done)
    }
}

/// An open regular file as a reader.
pub(super) struct FileReader {
    file: Box<dyn crate::host::File>,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let len = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        let failed = |errno: Errno| io::Error::other(errno.name());
        let region =
            GuestMemory::from_slice(buf).region(0, len).map_err(|_| failed(Errno::Inval))?;
        self.file.read(&[region]).map_err(failed)
    }
}

/// A compression that is not known, by its first bytes.
fn compression(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 4] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ];
    KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name)
}

impl Tree {
    /// A tree of what an archive of `tar` holds: directories, files, symbolic and hard links, with
    /// their times of modification. gzip is known by its first bytes. Devices, pipes, owners and
    /// permissions are left out. A later entry replaces an earlier one of the same name. Slashes at
    /// the beginning of a name mean nothing.
    ///
    /// The tree holds at most [`TreeOptions::max_bytes`], holes included; the headers of one entry
    /// take at most 1 MiB, and the archive unpacks to at most 4 times `max_bytes` and 1 MiB.
    ///
    /// # Errors
    /// - `inval`: it is no archive, or a broken one, or a sparse file is in a format that is not
    ///   read.
    /// - `nospc`, `2big`: it exceeds a limit.
    /// - `notcapable`: a name or the target of a hard link has `..` in it.
    /// - `noent`: the target of a hard link is not there yet.
    /// - `nametoolong`, `ilseq`: a name has more than 255 bytes, or is not UTF-8.
    /// - `notdir`, `isdir`, `exist`, `perm`: two entries contradict each other.
    /// - `nomem`: the host has no memory for it.
    pub fn of_archive(
        options: TreeOptions,
        mut archive: impl Read,
    ) -> std::result::Result<Self, ArchiveError> {
        let tree = Self::with_options(options);
        let mut start = Vec::new();
        archive.by_ref().take(6).read_to_end(&mut start)?;
        if let Some(name) = compression(&start) {
            let reason =
                format!("it is no tar archive: it seems to be {name}, and only gzip is read");
            return Err(ArchiveError::new(Errno::Inval, reason));
        }
        let is_gzip = start.starts_with(b"\x1f\x8b");
        let whole = start.chain(archive);
        if is_gzip {
            tree.unpack(MultiGzDecoder::new(whole))?;
        } else {
            tree.unpack(whole)?;
        }
        Ok(tree)
    }

    /// The same of a file of the host: `.` in a [`super::super::SingleFile`].
    ///
    /// # Errors
    /// - as [`Self::of_archive`].
    /// - those of opening and reading the file.
    /// - `inval`: it is no regular file.
    pub fn of_archive_file(
        options: TreeOptions,
        file: &dyn Directory,
    ) -> std::result::Result<Self, ArchiveError> {
        let failed = |errno: Errno| ArchiveError::new(errno, errno.name());
        // Before the open: opening a pipe has an effect on its other end.
        let stat = file.path_filestat(HERE, false).map_err(failed)?;
        if stat.filetype != Filetype::RegularFile {
            return Err(ArchiveError::new(Errno::Inval, "it is no regular file"));
        }
        match file.open(HERE, OpenOptions::READ).map_err(failed)? {
            Opened::File(file) if file.filetype() == Filetype::RegularFile => {
                Self::of_archive(options, FileReader { file })
            }
            _ => Err(ArchiveError::new(Errno::Inval, "it is no regular file")),
        }
    }

    fn unpack(&self, reader: impl Read) -> Result<()> {
        let max_bytes = self.max_bytes();
        let most = max_bytes.saturating_mul(STREAM_FACTOR).saturating_add(HEADER_LIMIT);
        let limits = Limits { here: Cell::new(HEADER_LIMIT), all: Cell::new(most) };
        let mut archive = Archive::new(Limited { inner: reader, limits: &limits });
        let mut files = self.inner.files_mut();
        let mut unpacking = Unpacking {
            files: &mut files,
            top: self.inner.top,
            room: vec![0; PIECE],
            directories: Vec::new(),
        };
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry.path_bytes().into_owned();
            unpacking.add(&mut entry, &name, &limits).map_err(|error| ArchiveError {
                // An error of the archive is not one of the entry that it was met in.
                entry: Some(
                    String::from_utf8_lossy(name.get(..NAME_SHOWN).unwrap_or(&name)).into(),
                ),
                ..error
            })?;
            limits.here.set(HEADER_LIMIT);
        }
        unpacking.finish();
        if limits.all.get() == most {
            return Err(ArchiveError::new(Errno::Inval, EMPTY));
        }
        Ok(())
    }
}

const EMPTY: &str = "it is no tar archive: it is empty";

/// How many bytes of a name an error shows.
const NAME_SHOWN: usize = 256;

/// The components of a name in an archive.
fn components(name: &[u8]) -> Result<Vec<&[u8]>> {
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    for part in &parts {
        if *part == b".." {
            return Err(ArchiveError::new(Errno::Notcapable, "a name has '..' in it"));
        }
        if part.contains(&0) {
            return Err(ArchiveError::new(Errno::Inval, "a name has a NUL in it"));
        }
        if str::from_utf8(part).is_err() {
            return Err(ArchiveError::new(Errno::Ilseq, "a name is not UTF-8"));
        }
        if part.len() > NAME_LIMIT {
            return Err(Errno::Nametoolong.into());
        }
    }
    Ok(parts)
}

/// A tree that an archive is unpacked into. Nobody else has it yet.
struct Unpacking<'a> {
    files: &'a mut Files,
    top: Id,
    room: Vec<u8>,
    /// Directories with their times, which are set when nothing more is made in them.
    directories: Vec<(Id, Timestamp)>,
}

impl Unpacking<'_> {
    fn add<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        name: &[u8],
        limits: &Limits,
    ) -> Result<()> {
        let kind = entry.header().entry_type();
        let attributes = Attributes::of(entry)?;
        let parts = components(name)?;
        // Before POSIX, a slash at the end told directories from files.
        let is_directory = kind.is_dir() || (kind.is_file() && name.ends_with(b"/"));
        if is_directory {
            let id = self.directory(&parts)?;
            self.directories.push((id, attributes.modified));
            return Ok(());
        }
        let has_bytes = kind.is_file() || kind.is_gnu_sparse() || kind == EntryType::Continuous;
        if !has_bytes && !kind.is_symlink() && !kind.is_hard_link() {
            return Ok(());
        }
        let Some((last, parents)) = parts.split_last() else { return Err(Errno::Isdir.into()) };
        if kind.is_hard_link() {
            return self.hard_link(entry, last, parents);
        }
        if kind.is_symlink() {
            let text = entry.link_name_bytes().unwrap_or_default();
            if text.is_empty() || text.contains(&0) {
                return Err(ArchiveError::new(Errno::Inval, "a symbolic link has no target"));
            }
            let parent = self.vacate(parents, last)?;
            let volume = Arc::clone(&self.files.volume);
            self.files.names.create_link(&volume, parent, last, &text)?;
            let id = self.files.names.existing(parent, last)?;
            return self.set_time(id, attributes.modified);
        }
        if attributes.is_sparse {
            let reason = "a sparse file in the format of extended headers is not read";
            return Err(ArchiveError::new(Errno::Inval, reason));
        }
        self.file(entry, last, parents, &attributes, limits)
    }

    /// Makes a file and fills it. Its size is taken of the tree's room before a byte is read.
    fn file<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        last: &[u8],
        parents: &[&[u8]],
        attributes: &Attributes,
        limits: &Limits,
    ) -> Result<()> {
        let parent = self.vacate(parents, last)?;
        let volume = Arc::clone(&self.files.volume);
        let body = self.files.names.create_file(&volume, parent, last)?;
        let size = entry.size();
        body.set_size(size, false)?;
        limits.here.set(limits.here.get().saturating_add(size));
        let mut offset = 0_u64;
        while offset < size {
            let mut filled = 0_usize;
            // A whole piece at a time: one of nothing but zeros is a hole.
            while let Some(room) = self.room.get_mut(filled..).filter(|room| !room.is_empty()) {
                match entry.read(room)? {
                    0 => break,
                    done => filled = filled.saturating_add(done),
                }
            }
            let piece = self.room.get_mut(..filled).unwrap_or_default();
            if piece.is_empty() {
                return Err(ArchiveError::new(
                    Errno::Inval,
                    "the archive ends in the middle of it",
                ));
            }
            if piece.iter().any(|byte| *byte != 0) {
                let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                let region = GuestMemory::from_slice(piece)
                    .region(0, len)
                    .map_err(|_| ArchiveError::from(Errno::Inval))?;
                let (done, _) = body.write(&[region], Some(offset))?;
                if done < filled {
                    return Err(Errno::Nomem.into());
                }
            }
            offset = offset.saturating_add(filled as u64);
        }
        body.set_times(at(attributes.modified));
        Ok(())
    }

    /// Gives what an earlier entry has made a second name.
    fn hard_link<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        last: &[u8],
        parents: &[&[u8]],
    ) -> Result<()> {
        let target = entry.link_name_bytes().unwrap_or_default();
        let parts = components(&target)?;
        let missing = || ArchiveError::new(Errno::Noent, "the target of a hard link is not there");
        let mut id = self.top;
        for part in &parts {
            id = match self.files.names.lookup(id, part) {
                Ok(found) => found.ok_or_else(missing)?,
                Err(Errno::Notdir) => return Err(missing()),
                Err(errno) => return Err(errno.into()),
            };
        }
        if self.files.names.is_directory(id) {
            return Err(ArchiveError::new(Errno::Perm, "a hard link leads to a directory"));
        }
        let parent = self.directory(parents)?;
        if self.files.names.lookup(parent, last)? == Some(id) {
            return Ok(());
        }
        let parent = self.vacate(parents, last)?;
        let volume = Arc::clone(&self.files.volume);
        Ok(self.files.names.link(&volume, id, parent, last)?)
    }

    /// The directory at the end of some components, made with all on the way. No link is followed.
    fn directory(&mut self, parts: &[&[u8]]) -> Result<Id> {
        let mut here = self.top;
        let volume = Arc::clone(&self.files.volume);
        for part in parts {
            let names = &mut self.files.names;
            here = match names.lookup(here, part)? {
                Some(id) => names.directory(id).map(|_| id)?,
                None => names.create_directory(&volume, here, part)?,
            };
        }
        Ok(here)
    }

    /// The directory for a new name, of which nothing is left there.
    fn vacate(&mut self, parents: &[&[u8]], last: &[u8]) -> Result<Id> {
        let parent = self.directory(parents)?;
        let volume = Arc::clone(&self.files.volume);
        let names = &mut self.files.names;
        match names.lookup(parent, last)? {
            Some(id) if names.is_directory(id) => {
                Err(ArchiveError::new(Errno::Isdir, "a directory has its name"))
            }
            Some(_) => {
                drop::<Option<Inode>>(names.unlink(&volume, parent, last)?);
                Ok(parent)
            }
            None => Ok(parent),
        }
    }

    fn set_time(&mut self, id: Id, modified: Timestamp) -> Result<()> {
        let now = self.files.volume.now();
        Ok(self.files.names.set_times(id, at(modified), now)?)
    }

    fn finish(mut self) {
        for (id, modified) in std::mem::take(&mut self.directories) {
            // They are there: no entry takes a directory away.
            let _ = self.set_time(id, modified);
        }
    }
}

fn at(time: Timestamp) -> SetTimes {
    SetTimes { atim: SetTime::At(time), mtim: SetTime::At(time) }
}

/// The headers of an entry, as far as they are used.
struct Attributes {
    /// Nanoseconds since 1970. What lies before is 1970.
    modified: Timestamp,
    /// Whether it is a sparse file by extended headers, of which the reader of archives knows
    /// nothing.
    is_sparse: bool,
}

impl Attributes {
    fn of<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self> {
        const SECOND: u64 = 1_000_000_000;
        let mut found = Self {
            modified: entry.header().mtime().unwrap_or(0).saturating_mul(SECOND),
            is_sparse: false,
        };
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            match extension.key_bytes() {
                b"mtime" => {
                    if let Some(time) = nanoseconds(extension.value_bytes()) {
                        found.modified = time;
                    }
                }
                key => found.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(found)
    }
}

/// The time that a decimal number of seconds stands for.
fn nanoseconds(text: &[u8]) -> Option<Timestamp> {
    let text = str::from_utf8(text).ok()?;
    if text.starts_with('-') {
        return Some(0);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (seconds, fraction): (u64, u64) = (seconds.parse().ok()?, digits.parse().ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Filestat;
    use crate::host::GuestPath;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use tar::{Builder, Header};

    const LIMIT: u64 = 1 << 20;

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(1_000_000_000);
        header
    }

    /// An entry whose name is not looked at by who makes the archive.
    fn raw(name: &[u8], kind: EntryType, link: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut header = header(kind, bytes.len() as u64);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        let mut block = header.as_bytes().to_vec();
        block.extend_from_slice(bytes);
        block.resize(block.len().next_multiple_of(512), 0);
        block
    }

    fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
        raw(name.as_bytes(), EntryType::Regular, b"", bytes)
    }

    fn unpack(bytes: &[u8]) -> std::result::Result<Tree, ArchiveError> {
        Tree::of_archive(TreeOptions::new(LIMIT), bytes)
    }

    fn refused(parts: &[Vec<u8>]) -> Errno {
        match unpack(&parts.concat()) {
            Ok(tree) => panic!("{:?}", tree.list_files("", &mut { usize::MAX })),
            Err(error) => error.errno,
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn files(tree: &Tree) -> Vec<String> {
        tree.list_files("", &mut { usize::MAX }).unwrap()
    }

    fn stat(tree: &Tree, path: &str) -> Filestat {
        let path = GuestPath::new(path.as_bytes()).unwrap();
        tree.root_directory(false).path_filestat(path, false).unwrap()
    }

    #[test]
    fn an_archive_is_what_was_put_into_it() {
        let mut builder = Builder::new(Vec::new());
        let mut add = |name: &str, kind, link: Option<&str>, bytes: &[u8]| {
            let mut header = header(kind, bytes.len() as u64);
            match link {
                Some(link) => builder.append_link(&mut header, name, link).unwrap(),
                None => builder.append_data(&mut header, name, bytes).unwrap(),
            }
        };
        let long = format!("deep/{}/{}", "n".repeat(200), "m".repeat(255));
        add("./", EntryType::Directory, None, b"");
        add("./dir/", EntryType::Directory, None, b"");
        add("./dir/file", EntryType::Regular, None, b"one");
        add("dir/link", EntryType::Symlink, Some("../../outside"), b"");
        add("hard", EntryType::Link, Some("./dir/file"), b"");
        add("hard-link", EntryType::Link, Some("dir/link"), b"");
        add(&long, EntryType::Regular, None, &vec![7; 200_000]);
        add("empty", EntryType::Regular, None, b"");
        add("pipe", EntryType::Fifo, None, b"");
        add("twice", EntryType::Regular, None, b"first");
        add("twice", EntryType::Regular, None, b"second");
        let bytes = builder.into_inner().unwrap();
        for archive in
            [bytes.clone(), gzip(&bytes), [gzip(&bytes[..700]), gzip(&bytes[700..])].concat()]
        {
            let tree = unpack(&archive).unwrap();
            assert_eq!(
                files(&tree),
                [&long, "dir/file", "dir/link", "empty", "hard", "hard-link", "twice"]
                    .map(String::from)
                    .into_iter()
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect::<Vec<_>>()
            );
            assert_eq!(tree.read_file("hard").unwrap(), b"one");
            assert_eq!(tree.read_file(&long).unwrap(), vec![7; 200_000]);
            assert_eq!(tree.read_file("twice").unwrap(), b"second");
            assert_eq!(tree.read_file("dir/link").err(), Some(Errno::Noent));
            assert_eq!(
                (stat(&tree, "hard").nlink, stat(&tree, "hard").ino),
                (2, stat(&tree, "dir/file").ino)
            );
            for path in ["dir", "dir/file", "dir/link", "empty"] {
                assert_eq!(stat(&tree, path).mtim, 1_000_000_000_000_000_000, "{path}");
            }
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let whole = file("f", &[1; 2000]);
        let mut damaged = whole.clone();
        damaged[3] ^= 1;
        let mut xz = b"\xfd7zXZ\0".to_vec();
        xz.resize(2000, 0);
        for bytes in [
            vec![],
            b"no archive".to_vec(),
            vec![b'x'; 5000],
            whole[..100].to_vec(),
            whole[..1000].to_vec(),
            damaged,
            xz,
            gzip(b""),
            gzip(b"no archive"),
            gzip(&whole)[..60].to_vec(),
            b"\x1f\x8b".to_vec(),
        ] {
            let error = unpack(&bytes).err().unwrap();
            assert_eq!(error.errno, Errno::Inval, "{error} of {} bytes", bytes.len());
        }
        assert_eq!(files(&unpack(&[0; 1024]).unwrap()), [""; 0], "one without entries");
        assert_eq!(files(&unpack(&whole).unwrap()), ["f"], "one without an end");
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["../f", "a/../../f", "a/..", "..", "/../f", "./../f"] {
            assert_eq!(refused(&[file(name, b"x")]), Errno::Notcapable, "{name}");
            assert_eq!(
                refused(&[raw(name.as_bytes(), EntryType::Directory, b"", b"")]),
                Errno::Notcapable,
                "{name}"
            );
            assert_eq!(
                refused(&[raw(b"f", EntryType::Link, name.as_bytes(), b"")]),
                Errno::Notcapable,
                "{name}"
            );
        }
        let tree = unpack(&[file("/etc/passwd", b"x"), file("//b", b"y")].concat()).unwrap();
        assert_eq!(files(&tree), ["b", "etc/passwd"]);
        assert_eq!(
            refused(&[file("a\u{fffd}", b"")].map(|mut block| {
                block[2] = 0xff;
                let mut header = Header::from_byte_slice(&block[..512]).clone();
                header.set_cksum();
                header.as_bytes().to_vec()
            })),
            Errno::Ilseq
        );
        let link = |text: &str| raw(b"link", EntryType::Symlink, text.as_bytes(), b"");
        // Nothing is made behind a link, wherever it leads.
        for text in ["/etc", "..", ".", "dir"] {
            assert_eq!(
                refused(&[
                    raw(b"dir", EntryType::Directory, b"", b""),
                    link(text),
                    file("link/f", b"x")
                ]),
                Errno::Notdir,
                "{text}"
            );
            assert_eq!(
                refused(&[
                    file("dir/f", b""),
                    link(text),
                    raw(b"h", EntryType::Link, b"link/f", b"")
                ]),
                Errno::Noent
            );
        }
        // The link is replaced, not what it leads to.
        let tree = unpack(&[file("g", b"g"), link("g"), file("link", b"f")].concat()).unwrap();
        assert_eq!(
            (tree.read_file("g").unwrap(), tree.read_file("link").unwrap()),
            (b"g".into(), b"f".into())
        );
    }

    #[test]
    fn entries_that_contradict_each_other_are_refused() {
        let dir = || raw(b"d", EntryType::Directory, b"", b"");
        let hard = |target: &[u8]| raw(b"h", EntryType::Link, target, b"");
        for (parts, errno) in [
            (vec![hard(b"missing")], Errno::Noent),
            (vec![hard(b"")], Errno::Perm),
            (vec![hard(b"h")], Errno::Noent),
            (vec![dir(), hard(b"d")], Errno::Perm),
            (vec![file("f", b""), hard(b"f/x")], Errno::Noent),
            (vec![dir(), file("d", b"")], Errno::Isdir),
            (vec![file("d", b""), dir()], Errno::Notdir),
            (vec![file("d", b""), file("d/f", b"")], Errno::Notdir),
            (vec![file(".", b"")], Errno::Isdir),
            (vec![raw(b"l", EntryType::Symlink, b"", b"")], Errno::Inval),
        ] {
            assert_eq!(refused(&parts), errno);
        }
        // Of itself, a link is what is there.
        let tree = unpack(&[file("h", b"x"), hard(b"h")].concat()).unwrap();
        assert_eq!(tree.read_file("h").unwrap(), b"x");
    }

    /// A sparse file in GNU's format, of which nothing but a size is there.
    fn sparse(size: u64) -> Vec<u8> {
        let mut header = header(EntryType::GNUSparse, 0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[0] = b's';
        gnu.set_real_size(size);
        gnu.sparse[0].offset.copy_from_slice(format!("{size:011o}\0").as_bytes());
        gnu.sparse[0].numbytes.copy_from_slice(b"00000000000\0");
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    #[test]
    fn what_it_may_take_is_bounded() {
        let size = 8 << 30;
        assert_eq!(refused(&[sparse(size - 1)]), Errno::Nospc, "a sparse bomb");
        // Holes count, and take no memory.
        let tree = unpack(&sparse(500_000)).unwrap();
        assert_eq!((stat(&tree, "s").size, tree.used_bytes() > 500_000), (500_000, true));
        let data = vec![0; 1 << 20];
        assert_eq!(refused(&[file("f", &data)]), Errno::Nospc);
        let mut huge = header(EntryType::Regular, u64::MAX / 4);
        huge.set_path("huge").unwrap();
        huge.set_cksum();
        assert_eq!(refused(&[huge.as_bytes().to_vec()]), Errno::Nospc, "nothing of it is read");
        // One name over and over.
        let many = file("f", b"x").repeat(10_000);
        assert_eq!(refused(&[gzip(&many)]), Errno::Nospc);
        let count = (LIMIT / (INODE + NAME)) as usize;
        let names: Vec<u8> = (0..=count).flat_map(|at| file(&format!("{at:06}"), b"")).collect();
        assert_eq!(refused(&[gzip(&names)]), Errno::Nospc);
    }

    const INODE: u64 = super::super::INODE_CHARGE;
    const NAME: u64 = super::super::NAME_CHARGE;

    #[test]
    fn headers_are_bounded() {
        let extended =
            |kind: u8, bytes: &[u8]| raw(b"././@LongLink", EntryType::new(kind), b"", bytes);
        let long = vec![b'n'; 1_000_000];
        assert_eq!(refused(&[extended(b'L', &long), file("f", b"")]), Errno::Nametoolong);
        assert_eq!(refused(&[extended(b'L', &vec![b'n'; 2 << 20]), file("f", b"")]), Errno::TooBig);
        assert_eq!(refused(&[extended(b'K', &vec![b'n'; 2 << 20]), file("f", b"")]), Errno::TooBig);
        let mut pax = b"2000018 path=".to_vec();
        pax.resize(2_000_000, b'n');
        assert_eq!(refused(&[extended(b'x', &pax), file("f", b"")]), Errno::TooBig);
        let one = extended(b'x', b"12 path=abc\n");
        assert_eq!(refused(&[one.repeat(2), file("f", b"")]), Errno::Inval);
        let global = extended(b'g', b"12 path=abc\n");
        assert_eq!(refused(&[gzip(&global.repeat(20_000))]), Errno::Nospc, "without end");
        assert_eq!(refused(&[extended(b'x', b"no length\n"), file("f", b"")]), Errno::Inval);
        assert_eq!(refused(std::slice::from_ref(&one)), Errno::Inval, "of nothing");
        let tree = unpack(&[one, file("f", b"x")].concat()).unwrap();
        assert_eq!(files(&tree), ["abc"]);
        let sparse = extended(b'x', b"22 GNU.sparse.major=1\n");
        assert_eq!(refused(&[sparse, file("f", b"x")]), Errno::Inval);
        // Entries that are left out may not be endless either.
        let mut device = header(EntryType::Char, 64 << 20);
        device.set_cksum();
        let blocks = [device.as_bytes().to_vec(), vec![0; 64 << 20]].concat();
        assert_eq!(refused(&[gzip(&blocks)]), Errno::TooBig);
    }

    /// An extended header with one record.
    fn pax(key: &str, value: &str) -> Vec<u8> {
        let rest = format!(" {key}={value}\n");
        let digits = |len: usize| len.to_string().len();
        let len = rest.len() + digits(rest.len() + digits(rest.len()));
        raw(b"x", EntryType::XHeader, b"", format!("{len}{rest}").as_bytes())
    }

    #[test]
    fn sizes_in_extended_headers_are_held_to_the_same() {
        // The first leads to no place in an archive.
        for (size, errno) in [
            (u64::MAX, Errno::Inval),
            (u64::MAX / 2, Errno::Nospc),
            (1 << 40, Errno::Nospc),
            (LIMIT, Errno::Nospc),
        ] {
            let parts = [pax("size", &size.to_string()), file("f", b"x")];
            assert_eq!(refused(&parts), errno, "{size}");
        }
        assert_eq!(refused(&[pax("size", "5000"), file("f", b"x")]), Errno::Inval, "cut off");
        for (size, kept) in [("x", 1), ("-1", 1), ("18446744073709551616", 1), ("", 1)] {
            match unpack(&[pax("size", size), file("f", b"x")].concat()) {
                Ok(tree) => assert_eq!(stat(&tree, "f").size, kept, "{size:?}"),
                Err(error) => assert_eq!(error.errno, Errno::Inval, "{size:?}: {error}"),
            }
        }
        // Skipped bytes are bounded by the size in the header, too.
        let device = raw(b"d", EntryType::Char, b"", b"");
        let endless = [pax("size", "1099511627776"), device].concat();
        let zeros = vec![0; 4 << 20];
        assert_eq!(refused(&[endless, gzip(&zeros)]), Errno::Inval);
    }

    #[test]
    fn long_names_are_held_to_the_same() {
        let long = |kind: u8, bytes: &[u8]| raw(b"././@LongLink", EntryType::new(kind), b"", bytes);
        for (name, errno) in [
            (&b"a/../b"[..], Errno::Notcapable),
            (b"..", Errno::Notcapable),
            (b"a\0b", Errno::Inval),
            (b"a\xff", Errno::Ilseq),
        ] {
            for entry in [
                [long(b'L', name), file("f", b"")].concat(),
                [long(b'L', name), raw(b"l", EntryType::Symlink, b"t", b"")].concat(),
                [long(b'L', name), raw(b"d", EntryType::Directory, b"", b"")].concat(),
                [file("f", b""), long(b'K', name), raw(b"h", EntryType::Link, b"f", b"")].concat(),
            ] {
                assert_eq!(refused(&[entry]), errno, "{name:?}");
            }
        }
        assert_eq!(refused(&[pax("path", "a/../../f"), file("f", b"")]), Errno::Notcapable);
        let link = raw(b"h", EntryType::Link, b"f", b"");
        assert_eq!(refused(&[file("f", b""), pax("linkpath", "../f"), link]), Errno::Notcapable);
        // A symbolic link keeps its text, and leads nowhere.
        let out = "../".repeat(200) + "etc/passwd";
        let link = raw(b"l", EntryType::Symlink, b"t", b"");
        let tree = unpack(&[long(b'K', out.as_bytes()), link].concat()).unwrap();
        assert_eq!(tree.read_file("l").err(), Some(Errno::Noent));
        let guest = tree.root_directory(false);
        let path = GuestPath::new(b"l").unwrap();
        assert_eq!(guest.path_filestat(path, true).err(), Some(Errno::Notcapable));
        // A name of more directories than there is room for.
        assert_eq!(refused(&[long(b'L', &b"a/".repeat(400_000)), file("f", b"")]), Errno::Nospc);
    }

    /// Entries without end, of one kind.
    struct Endless {
        block: Vec<u8>,
        at: usize,
        read: u64,
    }

    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let rest = &self.block[self.at..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            self.at = (self.at + len) % self.block.len();
            self.read += len as u64;
            assert!(self.read < 10 << 30, "it is read without end");
            Ok(len)
        }
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        for (block, errno) in [
            (file("f", b"x"), Errno::Nospc),
            (raw(b"d", EntryType::Directory, b"", b""), Errno::Nospc),
            (raw(b"p", EntryType::Fifo, b"", b""), Errno::Nospc),
            (raw(b"l", EntryType::Symlink, b"t", b""), Errno::Nospc),
            (pax("comment", "x"), Errno::Inval),
            (raw(b"g", EntryType::XGlobalHeader, b"", b"12 path=abc\n"), Errno::Nospc),
            (raw(b"././@LongLink", EntryType::GNULongName, b"", b"x"), Errno::Inval),
        ] {
            let mut source = Endless { block: block.clone(), at: 0, read: 0 };
            let error = Tree::of_archive(TreeOptions::new(LIMIT), &mut source).err().unwrap();
            assert_eq!(error.errno, errno, "{:?}: {error}", &block[..10]);
            assert!(source.read <= LIMIT * STREAM_FACTOR + HEADER_LIMIT + 6, "{}", source.read);
        }
    }

    #[test]
    fn times_have_fractions_and_may_be_strange() {
        for (text, time) in [
            ("1.5", Some(1_500_000_000)),
            ("1", Some(1_000_000_000)),
            ("0.0000000019", Some(1)),
            ("-5.5", Some(0)),
            ("99999999999999", Some(u64::MAX)),
            ("x", None),
            ("1.x", None),
            ("", None),
        ] {
            assert_eq!(nanoseconds(text.as_bytes()), time, "{text}");
        }
        let extended = raw(b"x", EntryType::XHeader, b"", b"20 mtime=1234567.25\n");
        let tree = unpack(&[extended, file("f", b"")].concat()).unwrap();
        assert_eq!(stat(&tree, "f").mtim, 1_234_567_250_000_000);
    }

    #[test]
    fn random_damage_is_refused_or_harmless() {
        let mut state = 1_u64;
        let mut next = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % most
        };
        let whole = [
            raw(b"d/", EntryType::Directory, b"", b""),
            file("d/f", &[5; 700]),
            sparse(9000),
            raw(b"l", EntryType::Symlink, b"d/f", b""),
            raw(b"h", EntryType::Link, b"d/f", b""),
            raw(b"x", EntryType::XHeader, b"", b"12 path=abc\n"),
            file("g", b"g"),
        ]
        .concat();
        let (mut read, mut refused) = (0, 0);
        for _ in 0..4000 {
            let mut bytes = whole.clone();
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).unwrap();
            if next(2) == 0 {
                // A header that is wrong and says that it is right.
                let start = at / 512 * 512;
                let mut header = Header::from_byte_slice(&bytes[start..start + 512]).clone();
                header.set_cksum();
                bytes[start..start + 512].copy_from_slice(header.as_bytes());
            }
            bytes.truncate(bytes.len() - next(3) * 200);
            match unpack(&bytes) {
                Ok(tree) => {
                    read += 1;
                    assert!(tree.used_bytes() <= LIMIT);
                }
                Err(_) => refused += 1,
            }
        }
        assert!(read > 500 && refused > 500, "{read} and {refused}");
    }
}
