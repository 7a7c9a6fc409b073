//! Preopens that the embedder lends read-only: programs read below them as anywhere, and whatever
//! would change something is `rofs`, in the order that Linux has on a file system that is mounted
//! read-only. Of every kind alike.

use crate::path::ACTS;
use crate::support::{ALL, BOX, Guest, Open, Outcome, Setup, fails};
use std::any::Any;
use std::path::PathBuf;
use wasi_rs_core::abi::{Errno, Filestat, Oflags, Rights};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{
    Directory, EntrySink, GuestPath, OpenOptions, Opened, PreopenOptions, SetTimes, SingleFile,
    SortedDirectory, Tree, open_preopen,
};

/// A preopen of the same kind beside it, where everything may be changed.
const WRITABLE: u32 = 4;

/// The rights that Go asks for with `O_RDONLY`: it leaves out only a few of the rights to write.
const GO_READS: Rights = ALL
    .difference(Rights::FD_DATASYNC)
    .difference(Rights::FD_WRITE)
    .difference(Rights::FD_ALLOCATE)
    .difference(Rights::PATH_FILESTAT_SET_SIZE)
    .difference(Rights::SOCK_SHUTDOWN)
    .difference(Rights::SOCK_ACCEPT);

/// The rights that wasi-libc asks for with `O_RDONLY`, before it leaves out those that the
/// directory does not pass on.
const LIBC_READS: Rights = ALL.difference(Rights::WRITING);

const KINDS: [&str; 3] = ["a directory", "a sorted directory", "a tree in memory"];

/// A guest with a read-only preopen and a writable one, and a look at what stands below them.
struct World {
    kind: &'static str,
    guest: Guest,
    tree: Tree,
}

fn opened(directory: Box<dyn Directory>) -> Opened {
    Opened::Directory(directory)
}

impl World {
    fn new(kind: &'static str) -> Self {
        let guest = Setup::default().guest();
        guest.temp.write("box/file", "0123456789");
        guest.temp.create_dir("box/dir");
        guest.temp.write("box/dir/inner", "inner");
        guest.temp.symlink("file", "box/link");
        guest.temp.symlink("nowhere", "box/dangling");
        let tree = Tree::new(1 << 20);
        tree.seed("file", b"0123456789").unwrap();
        tree.seed("dir/inner", b"inner").unwrap();
        tree.seed("secret", b"secret").unwrap();
        let path = |text: &'static str| GuestPath::new(text.as_bytes()).unwrap();
        tree.root_directory(false).symlink(b"file", path("link")).unwrap();
        tree.root_directory(false).symlink(b"nowhere", path("dangling")).unwrap();
        for (name, is_read_only) in [("box", true), ("outside", false)] {
            let host = || {
                let Opened::Directory(directory) =
                    open_preopen(&guest.temp.path(name), PreopenOptions::default()).unwrap()
                else {
                    unreachable!()
                };
                directory
            };
            let object = match kind {
                "a directory" => host(),
                "a sorted directory" => Box::new(SortedDirectory::new(
                    host(),
                    &std::sync::Arc::new(wasi_rs_core::host::Budget::new(1 << 20)),
                )),
                _ => tree.root_directory(false),
            };
            let preopen = Descriptor::preopen(opened(object), name.as_bytes());
            guest
                .ctx
                .table
                .insert(if is_read_only { preopen.read_only() } else { preopen })
                .unwrap();
        }
        Self { kind, guest, tree }
    }

    fn look(&self) -> String {
        let files = self.tree.list_files("", &mut { usize::MAX }).unwrap();
        let bytes: Vec<_> = files.iter().map(|file| self.tree.read_file(file)).collect();
        let times = |path: &str, follow| {
            let stat = self
                .tree
                .root_directory(false)
                .path_filestat(GuestPath::new(path.as_bytes()).unwrap(), follow)
                .unwrap();
            (stat.mtim, stat.nlink, stat.size)
        };
        let stats =
            [".", "file", "dir", "dir/inner", "link", "dangling"].map(|path| times(path, false));
        format!(
            "{:?} {files:?} {bytes:?} {stats:?} {}",
            self.guest.temp.tree(""),
            self.tree.used_bytes()
        )
    }

    /// Makes a call that must change nothing.
    fn unchanged<T>(&mut self, act: impl FnOnce(&mut Guest) -> T) -> T {
        let before = self.look();
        let result = act(&mut self.guest);
        assert_eq!(self.look(), before, "{}", self.kind);
        result
    }
}

type Act = fn(&mut Guest, u32) -> Outcome<()>;

fn open(guest: &mut Guest, fd: u32, path: &str, oflags: Oflags, base: Rights) -> Outcome<()> {
    guest.open(fd, path, Open { oflags, base, ..Open::default().follow() }).map(drop)
}

const READS: Rights = Rights::FD_READ;
const WRITES: Rights = Rights::FD_WRITE;
const NEW: Oflags = Oflags::CREAT.union(Oflags::EXCL);

/// Calls, and Linux's errors for them.
const REFUSED: &[(&str, Errno, Act)] = &[
    ("mkdir", Errno::Rofs, |guest, fd| guest.mkdir(fd, "new")),
    ("mkdir of what is there", Errno::Exist, |guest, fd| guest.mkdir(fd, "dir")),
    ("mkdir in what is not there", Errno::Noent, |guest, fd| guest.mkdir(fd, "missing/new")),
    ("mkdir below", Errno::Rofs, |guest, fd| guest.mkdir(fd, "dir/new")),
    ("mkdir outside", Errno::Notcapable, |guest, fd| guest.mkdir(fd, "../new")),
    ("rmdir", Errno::Rofs, |guest, fd| guest.rmdir(fd, "dir")),
    ("unlink", Errno::Rofs, |guest, fd| guest.unlink(fd, "file")),
    ("unlink of a link", Errno::Rofs, |guest, fd| guest.unlink(fd, "link")),
    ("symlink", Errno::Rofs, |guest, fd| guest.symlink("file", fd, "new")),
    ("symlink where something is", Errno::Exist, |guest, fd| guest.symlink("file", fd, "dangling")),
    ("link", Errno::Rofs, |guest, fd| guest.link(fd, "file", false, fd, "new")),
    ("link out", Errno::Rofs, |guest, fd| guest.link(fd, "file", false, WRITABLE, "new")),
    ("link out, following", Errno::Rofs, |guest, fd| guest.link(fd, "link", true, WRITABLE, "new")),
    ("link in", Errno::Rofs, |guest, fd| guest.link(WRITABLE, "secret", false, fd, "new")),
    ("rename", Errno::Rofs, |guest, fd| guest.rename(fd, "file", fd, "new")),
    ("rename out", Errno::Rofs, |guest, fd| guest.rename(fd, "file", WRITABLE, "new")),
    ("rename of a directory out", Errno::Rofs, |guest, fd| {
        guest.rename(fd, "dir", WRITABLE, "new")
    }),
    ("rename in", Errno::Rofs, |guest, fd| guest.rename(WRITABLE, "secret", fd, "new")),
    ("rename onto", Errno::Rofs, |guest, fd| guest.rename(WRITABLE, "secret", fd, "file")),
    ("set_times", Errno::Rofs, |guest, fd| guest.path_set_times(fd, "file", false, 1, 1, 5)),
    ("set_times, following", Errno::Rofs, |guest, fd| {
        guest.path_set_times(fd, "link", true, 1, 1, 5)
    }),
    ("set_times of nothing", Errno::Noent, |guest, fd| {
        guest.path_set_times(fd, "missing", false, 1, 1, 5)
    }),
    ("set_times of two values", Errno::Inval, |guest, fd| {
        guest.path_set_times(fd, "file", false, 1, 1, 3)
    }),
    ("set_times of the directory", Errno::Rofs, |guest, fd| guest.set_times(fd, 1, 1, 5)),
    ("open to write", Errno::Rofs, |guest, fd| open(guest, fd, "file", Oflags::empty(), WRITES)),
    ("open to read and write", Errno::Rofs, |guest, fd| {
        open(guest, fd, "dir/inner", Oflags::empty(), READS | WRITES)
    }),
    ("open with all rights", Errno::Rofs, |guest, fd| {
        open(guest, fd, "file", Oflags::empty(), Rights::REGULAR_FILE)
    }),
    ("open of a link to write", Errno::Rofs, |guest, fd| {
        open(guest, fd, "link", Oflags::empty(), WRITES)
    }),
    ("open of a link to write, not following", Errno::Loop, |guest, fd| {
        guest.open(fd, "link", Open::default()).map(drop)
    }),
    ("open of nothing to write", Errno::Noent, |guest, fd| {
        open(guest, fd, "missing", Oflags::empty(), WRITES)
    }),
    ("open of a directory to write", Errno::Isdir, |guest, fd| {
        open(guest, fd, "dir", Oflags::empty(), WRITES)
    }),
    ("open outside to write", Errno::Notcapable, |guest, fd| {
        open(guest, fd, "../outside/secret", Oflags::empty(), WRITES)
    }),
    ("TRUNC", Errno::Rofs, |guest, fd| open(guest, fd, "file", Oflags::TRUNC, WRITES)),
    ("TRUNC, for reading", Errno::Rofs, |guest, fd| open(guest, fd, "file", Oflags::TRUNC, READS)),
    ("TRUNC, with Go's rights", Errno::Rofs, |guest, fd| {
        open(guest, fd, "file", Oflags::TRUNC, Rights::REGULAR_FILE.difference(WRITES))
    }),
    ("TRUNC of a link", Errno::Rofs, |guest, fd| open(guest, fd, "link", Oflags::TRUNC, READS)),
    ("TRUNC of nothing", Errno::Noent, |guest, fd| {
        open(guest, fd, "missing", Oflags::TRUNC, READS)
    }),
    ("CREAT", Errno::Rofs, |guest, fd| open(guest, fd, "new", Oflags::CREAT, READS)),
    ("CREAT to write", Errno::Rofs, |guest, fd| open(guest, fd, "new", Oflags::CREAT, WRITES)),
    ("CREAT behind a link", Errno::Rofs, |guest, fd| {
        open(guest, fd, "dangling", Oflags::CREAT, READS)
    }),
    ("CREAT in what is not there", Errno::Noent, |guest, fd| {
        open(guest, fd, "missing/new", Oflags::CREAT, READS)
    }),
    ("CREAT of what is there, to write", Errno::Rofs, |guest, fd| {
        open(guest, fd, "file", Oflags::CREAT, WRITES)
    }),
    ("CREAT of a directory", Errno::Isdir, |guest, fd| {
        open(guest, fd, "dir", Oflags::CREAT, READS)
    }),
    ("CREAT and TRUNC", Errno::Rofs, |guest, fd| {
        open(guest, fd, "file", Oflags::CREAT | Oflags::TRUNC, READS)
    }),
    ("TRUNC of a file that is to be a directory", Errno::Notdir, |guest, fd| {
        open(guest, fd, "file", Oflags::TRUNC | Oflags::DIRECTORY, READS)
    }),
    ("CREAT and EXCL", Errno::Rofs, |guest, fd| open(guest, fd, "new", NEW, WRITES)),
    ("CREAT and EXCL of what is there", Errno::Exist, |guest, fd| {
        open(guest, fd, "file", NEW, WRITES)
    }),
    ("CREAT and EXCL of a link to nowhere", Errno::Exist, |guest, fd| {
        open(guest, fd, "dangling", NEW, WRITES)
    }),
    ("CREAT outside", Errno::Notcapable, |guest, fd| {
        open(guest, fd, "../outside/new", Oflags::CREAT, WRITES)
    }),
];

#[test]
fn whatever_would_change_something_is_refused() {
    for kind in KINDS {
        let mut world = World::new(kind);
        for (name, errno, act) in REFUSED {
            assert_eq!(
                world.unchanged(|guest| act(guest, BOX)),
                fails(*errno),
                "{name} below {kind}"
            );
        }
        for path in [
            "file",
            "link",
            "dangling",
            "dir",
            "dir/inner",
            "new",
            "dir/new",
            "dir/../file",
            ".",
            "dir/",
            "new/",
        ] {
            for (_, act) in ACTS {
                // Reading may succeed.
                let _ = world.unchanged(|guest| act(guest, BOX, path.as_bytes()));
            }
        }
        // Nothing of that has cost the guest a number.
        let lowest = world.guest.open(BOX, "file", Open::reading()).unwrap();
        assert!((0..lowest).all(|fd| world.guest.fdstat(fd).is_ok()), "{kind}");
    }
}

#[test]
fn nor_is_it_through_a_directory_that_was_opened_there() {
    for kind in KINDS {
        for (path, asked) in [
            (".", LIBC_READS),
            (".", GO_READS),
            ("dir/..", Rights::DIRECTORY),
            (".", Rights::PATH_OPEN),
        ] {
            let mut world = World::new(kind);
            // As a C library does.
            let passed = world.guest.fdstat(BOX).unwrap().inheriting;
            let how = Open { base: asked & passed, inheriting: passed, ..Open::directory() };
            let dir = world.guest.open(BOX, path, how).unwrap();
            let stat = world.guest.fdstat(dir).unwrap();
            assert!(!stat.base.intersects(Rights::CHANGING), "{:?}", stat.base);
            assert!(
                stat.inheriting.contains(Rights::FD_WRITE),
                "what is to be written is asked for, and refused"
            );
            for (name, errno, act) in REFUSED {
                let result = world.unchanged(|guest| act(guest, dir));
                // A guest without the right to look at a file gets the error for that.
                let lacks = asked == Rights::PATH_OPEN && result == fails(Errno::Notcapable);
                assert!(
                    result == fails(*errno) || lacks,
                    "{name} below {path} of {kind}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn programs_read_there_with_the_rights_that_their_runtimes_ask_for() {
    for kind in KINDS {
        for asked in [
            GO_READS,
            LIBC_READS,
            GO_READS | Rights::FD_ALLOCATE | Rights::FD_DATASYNC,
            Rights::FD_READ,
        ] {
            let mut world = World::new(kind);
            let stat = world.guest.fdstat(BOX).unwrap();
            assert_eq!(
                (stat.base, stat.inheriting),
                (Rights::DIRECTORY, Rights::DIRECTORY | Rights::REGULAR_FILE),
                "{kind}"
            );
            for oflags in [Oflags::empty(), Oflags::CREAT] {
                let how = Open {
                    oflags,
                    base: asked & stat.inheriting,
                    inheriting: stat.inheriting,
                    ..Open::default().follow()
                };
                let fd = world.guest.open(BOX, "link", how).unwrap();
                assert_eq!(world.guest.read(fd, &[4]), Ok(b"0123".to_vec()), "{kind}");
                let stat = world.guest.fdstat(fd).unwrap();
                assert_eq!(
                    stat.base,
                    asked & Rights::REGULAR_FILE.difference(Rights::CHANGING),
                    "{kind}"
                );
                let grabs =
                    world.guest.set_rights(fd, stat.base | Rights::FD_WRITE, stat.inheriting);
                assert_eq!(grabs, fails(Errno::Notcapable));
                // As of any file that was opened for reading.
                assert_eq!(
                    world.unchanged(|guest| guest.write(fd, &[b"x"])),
                    fails(Errno::Notcapable),
                    "{kind}"
                );
                assert_eq!(
                    world.unchanged(|guest| guest.pwrite(fd, &[b"x"], 0)),
                    fails(Errno::Notcapable),
                    "{kind}"
                );
                for refused in [
                    world.unchanged(|guest| guest.set_size(fd, 0)),
                    world.unchanged(|guest| guest.set_size(fd, 100)),
                    world.unchanged(|guest| guest.allocate(fd, 0, 100)),
                    world.unchanged(|guest| guest.set_times(fd, 1, 1, 5)),
                ] {
                    assert_eq!(refused, fails(Errno::Rofs), "{kind} with {asked:?}");
                }
                if asked.contains(Rights::FD_DATASYNC) {
                    assert_eq!(world.guest.datasync(fd), Ok(()), "that changes nothing");
                }
                // It stays what it is under another number.
                let other = world.guest.open(WRITABLE, "secret", Open::default()).unwrap();
                world.guest.renumber(fd, other).unwrap();
                assert_eq!(world.guest.write(other, &[b"x"]), fails(Errno::Notcapable));
                assert_eq!(world.guest.set_size(other, 0), fails(Errno::Rofs));
            }
        }
    }
}

#[test]
fn a_guest_may_give_away_its_rights_there_too() {
    for kind in KINDS {
        let mut world = World::new(kind);
        let stat = world.guest.fdstat(BOX).unwrap();
        assert_eq!(world.guest.set_rights(BOX, stat.base, stat.inheriting), Ok(()));
        world.guest.set_rights(BOX, Rights::PATH_OPEN, Rights::FD_READ | Rights::FD_SEEK).unwrap();
        assert_eq!(
            world.guest.open(BOX, "file", Open::reading().base(GO_READS)),
            fails(Errno::Notcapable)
        );
        assert_eq!(
            world.guest.open(BOX, "file", Open::default().base(WRITES)),
            fails(Errno::Notcapable)
        );
        assert!(world.guest.open(BOX, "file", Open::default().base(READS)).is_ok());
        world.guest.set_rights(BOX, Rights::empty(), Rights::empty()).unwrap();
        assert_eq!(
            world.guest.open(BOX, "file", Open::default().base(Rights::empty())),
            fails(Errno::Notcapable)
        );
    }
}

/// A directory whose files are removed as soon as somebody has looked at them.
struct Vanishing {
    inner: Box<dyn Directory>,
    folder: PathBuf,
}

impl Directory for Vanishing {
    fn open(&self, path: GuestPath<'_>, options: OpenOptions) -> Result<Opened, Errno> {
        self.inner.open(path, options)
    }

    fn path_filestat(&self, path: GuestPath<'_>, follow: bool) -> Result<Filestat, Errno> {
        let stat = self.inner.path_filestat(path, follow)?;
        std::fs::remove_file(self.folder.join(str::from_utf8(path.as_bytes()).unwrap())).unwrap();
        Ok(stat)
    }

    fn filestat(&self) -> Result<Filestat, Errno> {
        unreachable!()
    }

    fn set_times(&self, _: SetTimes) -> Result<(), Errno> {
        unreachable!()
    }

    fn path_set_times(&self, _: GuestPath<'_>, _: bool, _: SetTimes) -> Result<(), Errno> {
        unreachable!()
    }

    fn entries(&self, _: u64, _: usize, _: &mut dyn EntrySink) -> Result<(), Errno> {
        unreachable!()
    }

    fn create_directory(&self, _: GuestPath<'_>) -> Result<(), Errno> {
        unreachable!()
    }

    fn remove_directory(&self, _: GuestPath<'_>) -> Result<(), Errno> {
        unreachable!()
    }

    fn unlink_file(&self, _: GuestPath<'_>) -> Result<(), Errno> {
        unreachable!()
    }

    fn symlink(&self, _: &[u8], _: GuestPath<'_>) -> Result<(), Errno> {
        unreachable!()
    }

    fn readlink(&self, _: GuestPath<'_>, _: &mut [u8]) -> Result<usize, Errno> {
        unreachable!()
    }

    fn rename(&self, _: GuestPath<'_>, _: &dyn Directory, _: GuestPath<'_>) -> Result<(), Errno> {
        unreachable!()
    }

    fn link(
        &self,
        _: GuestPath<'_>,
        _: bool,
        _: &dyn Directory,
        _: GuestPath<'_>,
    ) -> Result<(), Errno> {
        unreachable!()
    }

    fn sync(&self) -> Result<(), Errno> {
        unreachable!()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn no_file_is_made_in_the_place_of_one_that_was_there() {
    let mut guest = Setup::default().guest();
    let folder = guest.temp.path("box");
    let Opened::Directory(inner) = open_preopen(&folder, PreopenOptions::default()).unwrap() else {
        unreachable!()
    };
    let vanishing = Descriptor::preopen(opened(Box::new(Vanishing { inner, folder })), b"box");
    guest.ctx.table.insert(vanishing.read_only()).unwrap();
    guest.temp.write("box/file", "");
    assert_eq!(open(&mut guest, BOX, "file", Oflags::CREAT, READS), fails(Errno::Noent));
    assert!(!guest.temp.there("box/file"));
}

#[test]
fn a_single_file_is_read_only_as_well() {
    let mut guest = Setup::default().guest();
    guest.temp.write("box/file", "0123456789");
    let Opened::Directory(parent) =
        open_preopen(&guest.temp.path("box"), PreopenOptions::default()).unwrap()
    else {
        unreachable!()
    };
    let file = SingleFile::new(parent, b"file".to_vec()).unwrap();
    guest
        .ctx
        .table
        .insert(Descriptor::preopen(opened(Box::new(file)), b"file").read_only())
        .unwrap();
    let object = open_preopen(&guest.temp.path("outside"), PreopenOptions::default()).unwrap();
    guest.ctx.table.insert(Descriptor::preopen(object, b"outside")).unwrap();
    let before = guest.temp.tree("");
    assert!(guest.fdstat(BOX).unwrap().inheriting.contains(Rights::FD_WRITE));
    let all = Rights::REGULAR_FILE;
    for (errno, result) in [
        (Errno::Rofs, open(&mut guest, BOX, ".", Oflags::empty(), WRITES)),
        (Errno::Rofs, open(&mut guest, BOX, ".", Oflags::empty(), all)),
        (Errno::Rofs, open(&mut guest, BOX, ".", Oflags::TRUNC, READS)),
        (Errno::Rofs, open(&mut guest, BOX, ".", Oflags::CREAT | Oflags::TRUNC, WRITES)),
        (Errno::Exist, open(&mut guest, BOX, ".", NEW, READS)),
        (Errno::Rofs, open(&mut guest, BOX, "new", Oflags::CREAT, READS)),
        (Errno::Rofs, guest.path_set_times(BOX, ".", false, 1, 1, 5)),
        (Errno::Rofs, guest.set_times(BOX, 1, 1, 5)),
        (Errno::Exist, guest.mkdir(BOX, ".")),
        (Errno::Rofs, guest.rmdir(BOX, ".")),
        (Errno::Rofs, guest.unlink(BOX, ".")),
        (Errno::Rofs, guest.link(BOX, ".", false, WRITABLE, "new")),
        (Errno::Rofs, guest.rename(BOX, ".", WRITABLE, "new")),
        (Errno::Rofs, guest.rename(WRITABLE, "secret", BOX, ".")),
        (Errno::Notcapable, open(&mut guest, BOX, "../file", Oflags::empty(), WRITES)),
    ] {
        assert_eq!(result, fails(errno));
    }
    for oflags in [Oflags::empty(), Oflags::CREAT] {
        let fd = guest
            .open(BOX, ".", Open::default().oflags(oflags).base(GO_READS & Rights::REGULAR_FILE))
            .unwrap();
        assert_eq!(guest.read(fd, &[4]), Ok(b"0123".to_vec()));
        assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Notcapable));
        assert_eq!(guest.set_size(fd, 0), fails(Errno::Rofs));
        assert_eq!(guest.set_times(fd, 1, 1, 5), fails(Errno::Rofs));
    }
    assert_eq!(guest.temp.tree(""), before);
}

/// Where everything may be written, but the host does not let the process write this file.
#[cfg(target_os = "linux")]
#[test]
fn what_the_host_lets_nobody_write_can_be_read_with_gos_rights() {
    let guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    guest.temp.chmod("box/file", 0o444);
    let mut thread = guest.thread();
    crate::support::host::without_privileges(move || {
        let asked = Open::default().base(GO_READS & Rights::REGULAR_FILE);
        let fd = thread.open(BOX, "file", asked).unwrap();
        assert_eq!(thread.read(fd, &[4]), Ok(b"0123".to_vec()));
        let base = thread.fdstat(fd).unwrap().base;
        assert!(
            base.contains(Rights::FD_READ)
                && !base.intersects(Rights::FD_FILESTAT_SET_SIZE | Rights::FD_ALLOCATE),
            "{base:?}"
        );
        assert_eq!(thread.set_size(fd, 0), fails(Errno::Notcapable));
        assert_eq!(
            thread.open(BOX, "file", Open::default()),
            fails(Errno::Acces),
            "whoever asks to write is told"
        );
        assert_eq!(thread.open(BOX, "file", asked.oflags(Oflags::TRUNC)), fails(Errno::Acces));
        assert_eq!(thread.temp.read("box/file"), b"0123456789");
    });
}

/// A file that is lent read-only stays so, whatever rights it has and of whatever type it is.
#[test]
fn a_file_that_is_lent_read_only_is_not_written() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    let Opened::Directory(directory) =
        open_preopen(&guest.temp.path("box"), PreopenOptions::default()).unwrap()
    else {
        unreachable!()
    };
    let options = wasi_rs_core::host::OpenOptions {
        create: false,
        exclusive: false,
        directory: false,
        truncate: false,
        follow: false,
        read: true,
        write: true,
        private: false,
        flags: wasi_rs_core::abi::Fdflags::empty(),
    };
    let file = directory.open(GuestPath::new(b"file").unwrap(), options).unwrap();
    let given = Descriptor::given(file, wasi_rs_core::abi::Fdflags::empty()).read_only();
    assert!(given.rights().base.contains(Rights::FD_WRITE));
    let fd = guest.ctx.table.insert(given).unwrap();
    assert_eq!(guest.read(fd, &[4]), Ok(b"0123".to_vec()));
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Rofs));
    assert_eq!(guest.set_size(fd, 0), fails(Errno::Rofs));
    assert_eq!(guest.temp.read("box/file"), b"0123456789");
}
