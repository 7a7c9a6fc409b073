//! Tests of the tree alone, and beside a directory of the host.

use super::*;
use crate::abi::{Advice, Fdflags, Filestat, Filetype, Whence};
use crate::host::{
    Directory, DirectoryEntry, File, GuestPath, OpenOptions, Opened, SetTime, SetTimes, Source,
};
use crate::memory::GuestMemory;

const READ: OpenOptions = OpenOptions {
    create: false,
    exclusive: false,
    directory: false,
    truncate: false,
    follow: true,
    read: true,
    write: false,
    private: false,
    flags: Fdflags::empty(),
};
const CREATE: OpenOptions = OpenOptions { create: true, write: true, ..READ };
const DIRECTORY: OpenOptions = OpenOptions { directory: true, ..READ };

fn path(text: &str) -> GuestPath<'_> {
    GuestPath::new(text.as_bytes()).unwrap()
}

fn open_file(directory: &dyn Directory, name: &str, options: OpenOptions) -> Result<Box<dyn File>> {
    match directory.open(path(name), options)? {
        Opened::File(file) => Ok(file),
        Opened::Directory(_) => panic!("{name} is a directory"),
    }
}

fn open_directory(directory: &dyn Directory, name: &str) -> Result<Box<dyn Directory>> {
    match directory.open(path(name), DIRECTORY)? {
        Opened::Directory(directory) => Ok(directory),
        Opened::File(_) => panic!("{name} is a file"),
    }
}

/// Calls with a region over a copy of `bytes`, and gives the copy back.
fn with_region<T>(
    bytes: &[u8],
    call: impl FnOnce(&[crate::memory::Region<'_>]) -> T,
) -> (T, Vec<u8>) {
    let mut copy = bytes.to_vec();
    let len = u32::try_from(copy.len()).unwrap();
    if len == 0 {
        return (call(&[]), copy);
    }
    let result = call(&[GuestMemory::from_slice(&mut copy).region(0, len).unwrap()]);
    (result, copy)
}

fn write(file: &dyn File, bytes: &[u8]) -> Result<usize> {
    with_region(bytes, |bufs| file.write(bufs, Fdflags::empty())).0
}

fn append(file: &dyn File, bytes: &[u8]) -> Result<usize> {
    with_region(bytes, |bufs| file.write(bufs, Fdflags::APPEND)).0
}

fn pwrite(file: &dyn File, bytes: &[u8], offset: u64) -> Result<usize> {
    with_region(bytes, |bufs| file.pwrite(bufs, offset)).0
}

fn read(file: &dyn File, len: usize) -> Result<Vec<u8>> {
    let (done, mut bytes) = with_region(&vec![0xaa; len], |bufs| file.read(bufs));
    bytes.truncate(done?);
    Ok(bytes)
}

fn pread(file: &dyn File, len: usize, offset: u64) -> Result<Vec<u8>> {
    let (done, mut bytes) = with_region(&vec![0xaa; len], |bufs| file.pread(bufs, offset));
    bytes.truncate(done?);
    Ok(bytes)
}

/// The entries from a cookie on, at most some, with the cookie behind each.
fn list(
    directory: &dyn Directory,
    cookie: u64,
    most: usize,
) -> Result<Vec<(String, u64, Filetype, u64)>> {
    let mut entries = Vec::new();
    directory.entries(cookie, 4096, &mut |entry: DirectoryEntry<'_>| {
        entries.push((
            String::from_utf8(entry.name.to_vec()).unwrap(),
            entry.ino,
            entry.filetype,
            entry.next,
        ));
        entries.len() < most
    })?;
    Ok(entries)
}

fn names(directory: &dyn Directory) -> Vec<String> {
    let mut names: Vec<String> =
        list(directory, 0, usize::MAX).unwrap().into_iter().map(|entry| entry.0).collect();
    names.sort_unstable();
    names
}

fn readlink(directory: &dyn Directory, name: &str, room: usize) -> Result<Vec<u8>> {
    let mut text = vec![0; room];
    let len = directory.readlink(path(name), &mut text)?;
    text.truncate(len);
    Ok(text)
}

mod alone {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn tree() -> (Tree, Box<dyn Directory>) {
        let tree = Tree::new(1 << 30);
        let top = tree.root_directory(false);
        (tree, top)
    }

    /// A tree whose clock counts calls from 1000 on.
    fn ticking() -> (Tree, Box<dyn Directory>) {
        let ticks = AtomicU64::new(1000);
        let clock = Box::new(move || ticks.fetch_add(1, Relaxed));
        let tree =
            Tree::with_options(TreeOptions { clock, device: Some(7), ..TreeOptions::new(1 << 20) });
        let top = tree.root_directory(false);
        (tree, top)
    }

    fn inodes(tree: &Tree) -> usize {
        tree.inner.files().names.count()
    }

    #[test]
    fn what_is_seeded_is_read_and_listed() {
        let (tree, top) = tree();
        tree.seed("config.json", b"{}").unwrap();
        tree.seed("dir/sub/x", b"one").unwrap();
        tree.seed("dir/sub/x", b"three").unwrap();
        tree.seed("dir.txt", b"").unwrap();
        tree.create_directories("empty/one").unwrap();
        tree.create_directories("empty").unwrap();
        top.symlink(b"sub/x", path("dir/link")).unwrap();
        top.symlink(b"/dir/link", path("absolute")).unwrap();
        assert_eq!(
            tree.list_files("", &mut { usize::MAX }).unwrap(),
            ["absolute", "config.json", "dir.txt", "dir/link", "dir/sub/x"]
        );
        assert_eq!(tree.read_file("config.json").unwrap(), b"{}");
        assert_eq!(tree.read_file("dir/sub/x").unwrap(), b"three");
        assert_eq!(tree.read_file("dir/link").unwrap(), b"three");
        assert_eq!(tree.read_file("absolute").unwrap(), b"three");
        assert_eq!(tree.read_file("dir.txt").unwrap(), b"");
        assert_eq!(tree.read_file("dir"), Err(Errno::Isdir));
        assert_eq!(tree.read_file("missing"), Err(Errno::Noent));
        assert_eq!(tree.read_file("dir.txt/x"), Err(Errno::Notdir));
        assert_eq!(tree.seed("dir", b""), Err(Errno::Isdir));
        assert_eq!(tree.seed("dir.txt/x", b""), Err(Errno::Notdir));
        assert_eq!(tree.seed("dir/link", b""), Err(Errno::Exist));
        assert_eq!(tree.create_directories("dir.txt"), Err(Errno::Notdir));
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        let (tree, _) = tree();
        for path in
            ["", "/", "/a", "a/", "a//b", ".", "./a", "a/.", "..", "a/..", "../a", "a/../b", "a\0"]
        {
            assert_eq!(tree.seed(path, b""), Err(Errno::Inval), "{path:?}");
            assert_eq!(tree.create_directories(path), Err(Errno::Inval), "{path:?}");
            assert_eq!(tree.read_file(path), Err(Errno::Inval), "{path:?}");
        }
        assert_eq!(tree.seed(&"a".repeat(256), b""), Err(Errno::Nametoolong));
        assert_eq!(tree.seed(&"a/".repeat(2048), b""), Err(Errno::Inval));
        assert_eq!(tree.seed(&format!("{}a", "a/".repeat(2048)), b""), Err(Errno::Nametoolong));
        assert_eq!(inodes(&tree), 1);
        tree.seed(&"a".repeat(255), b"").unwrap();
    }

    #[test]
    fn attributes_are_those_of_posix() {
        let (tree, top) = ticking();
        let stat = top.filestat().unwrap();
        assert_eq!(
            stat,
            Filestat {
                dev: 7,
                ino: 1,
                filetype: Filetype::Directory,
                nlink: 2,
                size: 0,
                atim: 1000,
                mtim: 1000,
                ctim: 1000
            }
        );
        tree.seed("file", b"abc").unwrap();
        top.symlink(b"file", path("link")).unwrap();
        top.create_directory(path("d")).unwrap();
        assert_eq!(top.filestat().unwrap().nlink, 3);
        let file = top.path_filestat(path("link"), true).unwrap();
        assert_eq!(
            (file.dev, file.ino, file.filetype, file.nlink, file.size),
            (7, 2, Filetype::RegularFile, 1, 3)
        );
        let link = top.path_filestat(path("link"), false).unwrap();
        assert_eq!(
            (link.ino, link.filetype, link.nlink, link.size),
            (3, Filetype::SymbolicLink, 1, 4)
        );
        assert_eq!(readlink(&*top, "link", 2).unwrap(), b"fi");
        assert_eq!(readlink(&*top, "link", 0).unwrap(), b"");
        assert_eq!(readlink(&*top, "file", 0), Err(Errno::Inval));
        assert!(top.path_filestat(path("link"), false).unwrap().atim > link.atim);
        top.link(path("file"), false, &*top, path("d/second")).unwrap();
        let open = open_file(&*top, "d/second", READ).unwrap();
        let second = open.filestat().unwrap();
        assert_eq!(
            (second.ino, second.nlink, second.mtim, second.atim),
            (file.ino, 2, file.mtim, file.atim)
        );
        assert!(second.ctim > file.ctim);
        assert_eq!(top.path_filestat(path("file"), false).unwrap(), second);
        let other = Tree::new(0);
        let third = Tree::new(0);
        let device = |tree: &Tree| tree.root_directory(false).filestat().unwrap().dev;
        assert_ne!(device(&other), device(&third));
        assert_ne!(device(&other), device(&tree));
        assert_eq!(top.mode(), None, "nothing in memory has permission bits");
    }

    #[test]
    fn times_follow_what_happens() {
        let (_, top) = ticking();
        let file = open_file(&*top, "file", CREATE).unwrap();
        let made = file.filestat().unwrap();
        assert_eq!((made.atim, made.mtim, made.ctim), (1001, 1001, 1001));
        assert_eq!(top.filestat().unwrap().mtim, 1001);
        write(&*file, b"abc").unwrap();
        let written = file.filestat().unwrap();
        assert_eq!((written.atim, written.mtim, written.ctim), (1001, 1002, 1002));
        write(&*file, b"").unwrap();
        assert_eq!(file.filestat().unwrap().mtim, 1002);
        pread(&*file, 1, 0).unwrap();
        let read = file.filestat().unwrap();
        assert!(read.atim > read.mtim);
        pread(&*file, 1, 0).unwrap();
        assert_eq!(file.filestat().unwrap().atim, read.atim);
        file.set_times(SetTimes { atim: SetTime::At(5), mtim: SetTime::Keep }).unwrap();
        let set = file.filestat().unwrap();
        assert_eq!((set.atim, set.mtim), (5, 1002));
        assert!(set.ctim > read.ctim);
        file.set_times(SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep }).unwrap();
        assert_eq!(file.filestat().unwrap(), set);
        top.path_set_times(
            path("file"),
            false,
            SetTimes { atim: SetTime::Now, mtim: SetTime::At(u64::MAX) },
        )
        .unwrap();
        let set = file.filestat().unwrap();
        assert_eq!(set.mtim, u64::MAX);
        assert_eq!(set.atim, set.ctim);
    }

    #[test]
    fn the_same_clock_and_device_give_the_same_attributes() {
        let run = || {
            let (_, top) = ticking();
            top.create_directory(path("d")).unwrap();
            write(&*open_file(&*top, "d/f", CREATE).unwrap(), b"xyz").unwrap();
            top.rename(path("d/f"), &*top, path("g")).unwrap();
            (top.path_filestat(path("g"), false).unwrap(), list(&*top, 0, 9).unwrap())
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn a_removed_file_lives_while_it_is_open() {
        let (tree, top) = tree();
        let empty = tree.used_bytes();
        let file = open_file(&*top, "file", CREATE).unwrap();
        write(&*file, &[7; 1000]).unwrap();
        top.unlink_file(path("file")).unwrap();
        assert_eq!(top.path_filestat(path("file"), false), Err(Errno::Noent));
        assert_eq!(file.filestat().unwrap().nlink, 0);
        assert_eq!(pread(&*file, 2000, 0).unwrap(), [7; 1000]);
        assert_eq!(tree.used_bytes(), empty + 1000 + INODE_CHARGE);
        let again = open_file(&*top, "file", CREATE).unwrap();
        assert_ne!(again.filestat().unwrap().ino, file.filestat().unwrap().ino);
        drop(file);
        assert_eq!(tree.used_bytes(), empty + INODE_CHARGE + NAME_CHARGE + 4);
        drop(again);
        top.unlink_file(path("file")).unwrap();
        assert_eq!((tree.used_bytes(), inodes(&tree)), (empty, 1));
    }

    #[test]
    fn a_removed_directory_lives_while_it_is_open() {
        let (tree, top) = tree();
        let empty = tree.used_bytes();
        top.create_directory(path("d")).unwrap();
        let first = open_directory(&*top, "d").unwrap();
        let second = open_directory(&*first, ".").unwrap();
        top.remove_directory(path("d")).unwrap();
        drop(first);
        assert_eq!(second.filestat().unwrap().nlink, 0);
        assert_eq!(list(&*second, 0, 9), Err(Errno::Noent));
        assert_eq!(second.create_directory(path("x")), Err(Errno::Noent));
        assert_eq!(second.symlink(b"t", path("x")), Err(Errno::Noent));
        assert_eq!(open_file(&*second, "x", CREATE).map(drop), Err(Errno::Noent));
        assert_eq!(second.path_filestat(path(".."), false), Err(Errno::Notcapable));
        assert_eq!(second.path_filestat(path("."), false).unwrap().nlink, 0);
        assert_eq!(tree.used_bytes(), empty + INODE_CHARGE);
        drop(second);
        assert_eq!((tree.used_bytes(), inodes(&tree)), (empty, 1));
    }

    #[test]
    fn no_path_leads_outside() {
        let (tree, top) = tree();
        tree.seed("d/e/file", b"").unwrap();
        tree.seed("secret", b"").unwrap();
        for (target, link) in [
            ("../..", "d/up"),
            ("/secret", "d/absolute"),
            ("../../secret", "d/e/near"),
            ("..", "d/e/d"),
        ] {
            top.symlink(target.as_bytes(), path(link)).unwrap();
        }
        let d = open_directory(&*top, "d").unwrap();
        for escape in [
            "..",
            "../secret",
            "e/../..",
            "e/../../secret",
            "up",
            "up/secret",
            "absolute",
            "e/near",
            "e/d/../secret",
            "./..",
        ] {
            assert_eq!(d.path_filestat(path(escape), true), Err(Errno::Notcapable), "{escape}");
            assert_eq!(d.open(path(escape), READ).map(drop), Err(Errno::Notcapable), "{escape}");
        }
        assert!(d.path_filestat(path("e/d/e/file"), true).is_ok());
        // The preopen may lead to what the directory below it may not.
        assert!(top.path_filestat(path("d/e/near"), true).is_ok());
        assert_eq!(top.path_filestat(path("d/up"), true), Err(Errno::Notcapable));
        assert_eq!(top.path_filestat(path("d/absolute"), true), Err(Errno::Notcapable));
        let root = tree.root_directory(true);
        assert!(root.path_filestat(path("d/absolute"), true).is_ok());
        assert!(root.path_filestat(path("d/up/../../secret"), true).is_ok());
        let below = open_directory(&*root, "d").unwrap();
        assert_eq!(below.path_filestat(path(".."), true), Err(Errno::Notcapable));
        assert_eq!(below.path_filestat(path("absolute"), true), Err(Errno::Notcapable));
    }

    #[test]
    fn forty_links_are_followed_and_no_more() {
        let (tree, top) = tree();
        tree.seed("0", b"end").unwrap();
        for index in 1..=41 {
            top.symlink((index - 1).to_string().as_bytes(), path(&index.to_string())).unwrap();
        }
        assert_eq!(top.path_filestat(path("40"), true).unwrap().filetype, Filetype::RegularFile);
        assert_eq!(top.path_filestat(path("41"), true), Err(Errno::Loop));
        assert_eq!(top.path_filestat(path("41"), false).unwrap().filetype, Filetype::SymbolicLink);
        top.symlink(b"self", path("self")).unwrap();
        assert_eq!(top.open(path("self"), READ).map(drop), Err(Errno::Loop));
        assert_eq!(top.open(path("self"), CREATE).map(drop), Err(Errno::Loop));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn long_chains_of_links_end_soon() {
        let (_, top) = tree();
        // Every link multiplies the components, so that the number of links is what bounds the
        // work.
        top.create_directory(path("d")).unwrap();
        let text = "d/../".repeat(790);
        for index in 0..45 {
            let text = if index == 0 { text.clone() } else { format!("{}/{text}", index - 1) };
            top.symlink(text.as_bytes(), path(&index.to_string())).unwrap();
        }
        assert!(top.path_filestat(path("39/."), true).is_ok());
        assert_eq!(top.path_filestat(path("40/."), true), Err(Errno::Loop));
    }

    #[test]
    fn a_listing_neither_skips_nor_repeats_while_the_directory_changes() {
        let (_, top) = tree();
        for index in 0..100 {
            top.create_directory(path(&format!("d{index}"))).unwrap();
        }
        let mut seen = Vec::new();
        let mut cookie = 0;
        loop {
            let entries = list(&*top, cookie, 3).unwrap();
            let Some(last) = entries.last() else { break };
            cookie = last.3;
            for (name, ..) in entries {
                if name != "." && name != ".." {
                    top.remove_directory(path(&name)).unwrap();
                    // Names that come later are left to the next listing, or this one would not
                    // end.
                    top.create_directory(path(&format!("new-{name}"))).unwrap();
                }
                seen.push(name);
            }
        }
        assert_eq!(seen.len(), 102);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 102);
        assert!(!seen.iter().any(|name| name.starts_with("new")));
        assert_eq!(list(&*top, 0, usize::MAX).unwrap().len(), 102);
    }

    #[test]
    fn a_listing_meets_a_renamed_file_once() {
        let (_, top) = tree();
        for index in 0..20 {
            drop(open_file(&*top, &index.to_string(), CREATE).unwrap());
        }
        let mut cookie = 2;
        let mut count = 0;
        while let Some((name, _, _, next)) = list(&*top, cookie, 1).unwrap().pop() {
            top.rename(path(&name), &*top, path(&format!("{name}-old"))).unwrap();
            cookie = next;
            count += 1;
            assert!(count <= 20);
        }
        assert_eq!(count, 20);
        assert!(names(&*top).iter().all(|name| name.starts_with('.') || name.ends_with("-old")));
    }

    #[test]
    fn cookies_are_ordinal_and_any_number_is_one() {
        let (tree, top) = tree();
        tree.seed("d/f", b"").unwrap();
        let d = open_directory(&*top, "d").unwrap();
        let all = list(&*d, 0, 9).unwrap();
        let ino = |name: &str| top.path_filestat(path(name), false).unwrap().ino;
        assert_eq!(
            all,
            [
                (".".to_string(), ino("d"), Filetype::Directory, 1),
                ("..".to_string(), ino("."), Filetype::Directory, 2),
                ("f".to_string(), ino("d/f"), Filetype::RegularFile, 3),
            ]
        );
        for (at, entry) in all.iter().enumerate() {
            assert_eq!(list(&*d, entry.3, 9).unwrap(), all[at + 1..]);
        }
        for cookie in [3, 4, 1000, u64::MAX >> 1, u64::MAX] {
            assert_eq!(list(&*d, cookie, 9).unwrap(), []);
        }
        let fresh = open_directory(&*top, "d").unwrap();
        assert_eq!(list(&*fresh, u64::MAX, 9).unwrap(), []);
        assert_eq!(list(&*fresh, 2, 9).unwrap().len(), 1);
    }

    #[test]
    fn what_is_too_much_is_refused_and_leaves_nothing() {
        let tree = Tree::new(2 * (INODE_CHARGE + NAME_CHARGE + 1) + 100);
        let top = tree.root_directory(false);
        let file = open_file(&*top, "a", CREATE).unwrap();
        let full = INODE_CHARGE + NAME_CHARGE + 1;
        assert_eq!(write(&*file, &[1; 2000]), Ok(usize::try_from(full).unwrap() + 100));
        assert_eq!(write(&*file, b"x"), Err(Errno::Nospc));
        assert_eq!(file.filestat().unwrap().size, full + 100);
        assert_eq!(top.create_directory(path("b")), Err(Errno::Nospc));
        assert_eq!(top.symlink(b"t", path("b")), Err(Errno::Nospc));
        assert_eq!(top.link(path("a"), false, &*top, path("b")), Err(Errno::Nospc));
        assert_eq!(open_file(&*top, "b", CREATE).map(drop), Err(Errno::Nospc));
        assert_eq!(top.rename(path("a"), &*top, path("longer")), Err(Errno::Nospc));
        assert_eq!(names(&*top), [".", "..", "a"]);
        top.rename(path("a"), &*top, path("c")).unwrap();
        file.set_size(100).unwrap();
        drop(open_file(&*top, "b", CREATE).unwrap());
        assert_eq!(tree.used_bytes(), tree.max_bytes());
        assert_eq!(tree.seed("b", b"x"), Err(Errno::Nospc));
        assert_eq!(tree.seed("c", &[5; 101]), Err(Errno::Nospc));
        tree.seed("c", &[5; 99]).unwrap();
        assert_eq!(pread(&*file, 200, 0).unwrap(), [5; 99]);
        assert_eq!(tree.used_bytes(), tree.max_bytes() - 1);
        top.unlink_file(path("b")).unwrap();
        top.unlink_file(path("c")).unwrap();
        drop(file);
        assert_eq!(tree.used_bytes(), 0);
    }

    #[test]
    fn names_and_links_count_too() {
        let most = if cfg!(miri) { 1 << 15 } else { 1 << 20 };
        let tree = Tree::new(most);
        let top = tree.root_directory(false);
        let mut made = 0_u32;
        let result = loop {
            let name = format!("{made:0>200}");
            if let Err(errno) = top.symlink(&[b'x'; 4000], path(&name)) {
                break errno;
            }
            made += 1;
            assert!(made < 1000);
        };
        assert_eq!(result, Errno::Nospc);
        assert_eq!(u64::from(made), most / (4000 + 200 + INODE_CHARGE + NAME_CHARGE));
        for index in 0..made {
            top.unlink_file(path(&format!("{index:0>200}"))).unwrap();
        }
        assert_eq!((tree.used_bytes(), inodes(&tree)), (0, 1));
    }

    #[test]
    fn a_huge_size_takes_no_memory() {
        let tree = Tree::new(u64::MAX);
        let top = tree.root_directory(false);
        let file = open_file(&*top, "f", CREATE).unwrap();
        file.set_size(1 << 60).unwrap();
        pwrite(&*file, b"end", (1 << 60) - 3).unwrap();
        assert_eq!(pread(&*file, 6, (1 << 60) - 6).unwrap(), b"\0\0\0end");
        assert_eq!(pread(&*file, 70_000, 1 << 59).unwrap(), vec![0; 70_000]);
        if !cfg!(miri) {
            assert_eq!(tree.read_file("f"), Err(Errno::Nomem));
        }
        let body = |tree: &Tree| {
            let files = tree.inner.files();
            match files.names.existing(tree.inner.top, b"f").and_then(|id| files.names.inode(id)) {
                Ok(Inode::File(body)) => Arc::clone(body),
                _ => panic!(),
            }
        };
        assert!(body(&tree).memory() <= 1 << 16);
        file.set_size(1 << 20).unwrap();
        assert_eq!(body(&tree).memory(), 0);
        assert_eq!(tree.read_file("f").unwrap(), vec![0; 1 << 20]);
        // A large file cut short keeps no more than it holds.
        tree.seed("f", &vec![1; 60_000]).unwrap();
        file.set_size(1).unwrap();
        assert!(body(&tree).memory() <= 64);
        file.set_size(4).unwrap();
        assert_eq!(tree.read_file("f").unwrap(), [1, 0, 0, 0]);

        let small = Tree::new(1 << 20);
        let file = open_file(&*small.root_directory(false), "f", CREATE).unwrap();
        assert_eq!(file.set_size(1 << 21), Err(Errno::Nospc));
        assert_eq!(file.allocate(0, 1 << 21), Err(Errno::Nospc));
        assert_eq!(pwrite(&*file, b"x", 1 << 21), Err(Errno::Nospc));
        assert_eq!(file.filestat().unwrap().size, 0);
        assert_eq!(small.used_bytes(), INODE_CHARGE + NAME_CHARGE + 1);
    }

    #[test]
    fn offsets_end_at_two_to_the_63rd() {
        let tree = Tree::new(u64::MAX);
        let file = open_file(&*tree.root_directory(false), "f", CREATE).unwrap();
        let most = i64::MAX.unsigned_abs();
        assert_eq!(pwrite(&*file, b"", most), Ok(0));
        assert_eq!(pwrite(&*file, b"x", most), Err(Errno::Inval));
        assert_eq!(pwrite(&*file, b"xy", most - 1), Err(Errno::Inval));
        assert_eq!(pwrite(&*file, b"x", most - 1), Ok(1));
        assert_eq!(pread(&*file, 2, most - 2).unwrap(), b"\0x");
        assert_eq!(pread(&*file, 3, most - 2), Err(Errno::Inval));
        assert_eq!(pread(&*file, 0, most).unwrap(), b"");
        assert_eq!(pwrite(&*file, b"x", most + 1), Err(Errno::Inval));
        assert_eq!(pread(&*file, 1, u64::MAX), Err(Errno::Inval));
        assert_eq!(file.set_size(most + 1), Err(Errno::Inval));
        assert_eq!(file.allocate(most, 1), Err(Errno::Fbig));
        assert_eq!(file.allocate(u64::MAX, 1), Err(Errno::Inval));
        assert_eq!(file.advise(u64::MAX, 0, Advice::Normal), Err(Errno::Inval));
        assert_eq!(file.seek(i64::MAX, Whence::Set), Ok(most));
        assert_eq!(file.seek(1, Whence::Cur), Err(Errno::Overflow));
        assert_eq!(file.seek(1, Whence::End), Err(Errno::Overflow));
        assert_eq!(file.seek(-1, Whence::Set), Err(Errno::Inval));
        assert_eq!(file.seek(i64::MIN, Whence::Cur), Err(Errno::Inval));
        assert_eq!(file.seek(0, Whence::Cur), Ok(most));
        assert_eq!(write(&*file, b"x"), Err(Errno::Inval));
        assert_eq!(read(&*file, 1), Err(Errno::Inval));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn bytes_are_the_same_however_they_are_cut() {
        let (tree, top) = tree();
        let file = open_file(&*top, "f", CREATE).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
        let mut rest = &bytes[..];
        for step in [1, 63, 64, 65, 4096, 60_000, 65_536, 1].into_iter().cycle() {
            let (piece, after) = rest.split_at(step.min(rest.len()));
            if piece.is_empty() {
                break;
            }
            assert_eq!(write(&*file, piece), Ok(piece.len()));
            rest = after;
        }
        assert_eq!(tree.read_file("f").unwrap(), bytes);
        for (len, offset) in [
            (1, 65_535),
            (2, 65_535),
            (131_073, 65_535),
            (300_000, 0),
            (9, 199_995),
            (9, 200_000),
            (9, 300_000),
        ] {
            let from = offset.min(bytes.len());
            let to = (offset + len).min(bytes.len());
            assert_eq!(
                pread(&*file, len, offset as u64).unwrap(),
                bytes[from..to.max(from)],
                "{len} {offset}"
            );
        }
        // Several buffers, one over the border of a chunk.
        let mut room = vec![0; 100];
        let memory = GuestMemory::from_slice(&mut room);
        let bufs = [
            memory.region(0, 10).unwrap(),
            memory.region(50, 1).unwrap(),
            memory.region(20, 20).unwrap(),
        ];
        assert_eq!(file.pread(&bufs, 65_530), Ok(31));
        assert_eq!(room[..10], bytes[65_530..65_540]);
        assert_eq!(room[50], bytes[65_540]);
        assert_eq!(room[20..40], bytes[65_541..65_561]);
    }

    #[test]
    fn renames_keep_count_of_links_and_room() {
        let (tree, top) = tree();
        for name in ["a", "a/x", "b", "b/x", "long name"] {
            top.create_directory(path(name)).unwrap();
        }
        let links = |name: &str| top.path_filestat(path(name), false).unwrap().nlink;
        assert_eq!([links("."), links("a"), links("b")], [5, 3, 3]);
        top.rename(path("a/x"), &*top, path("b/x")).unwrap();
        assert_eq!([links("."), links("a"), links("b"), links("b/x")], [5, 2, 3, 2]);
        top.rename(path("b/x"), &*top, path("long name")).unwrap();
        assert_eq!([links("."), links("a"), links("b")], [5, 2, 2]);
        top.rename(path("a"), &*top, path("b")).unwrap();
        assert_eq!(links("."), 4);
        let used = tree.used_bytes();
        top.rename(path("long name"), &*top, path("s")).unwrap();
        assert_eq!(tree.used_bytes(), used - 8);
        top.rename(path("s"), &*top, path("b/longer")).unwrap();
        assert_eq!(tree.used_bytes(), used - 3);
        top.remove_directory(path("b/longer")).unwrap();
        top.remove_directory(path("b")).unwrap();
        assert_eq!((tree.used_bytes(), inodes(&tree), links(".")), (0, 1, 2));
    }

    #[test]
    fn two_trees_are_two_devices() {
        let (first, second) = (Tree::new(1 << 20), Tree::new(1 << 20));
        first.seed("f", b"").unwrap();
        let (from, to) = (first.root_directory(false), second.root_directory(false));
        assert_eq!(from.rename(path("f"), &*to, path("g")), Err(Errno::Xdev));
        assert_eq!(from.link(path("f"), false, &*to, path("g")), Err(Errno::Xdev));
        let again = first.root_directory(true);
        from.rename(path("f"), &*again, path("g")).unwrap();
        assert_eq!(first.list_files("", &mut { usize::MAX }).unwrap(), ["g"]);
    }

    #[test]
    fn a_deep_tree_is_made_moved_and_dropped() {
        let tree = Tree::new(u64::MAX);
        let mut here = tree.root_directory(false);
        let depth = if cfg!(miri) { 300 } else { 50_000 };
        for _ in 0..depth {
            here.create_directory(path("d")).unwrap();
            here = open_directory(&*here, "d").unwrap();
        }
        drop(open_file(&*here, "f", CREATE).unwrap());
        let top = tree.root_directory(false);
        assert_eq!(top.rename(path("d"), &*here, path("x")), Err(Errno::Inval));
        top.create_directory(path("e")).unwrap();
        here.create_directory(path("x")).unwrap();
        here.rename(path("x"), &*top, path("e")).unwrap();
        if depth > 3000 {
            assert_eq!(tree.list_files("", &mut { usize::MAX }), Err(Errno::Nametoolong));
        }
        drop((here, top));
        drop(tree);
    }

    #[test]
    fn an_open_file_is_ready_and_knows_what_is_left() {
        let (_, top) = tree();
        let file = open_file(&*top, "f", CREATE).unwrap();
        write(&*file, b"abcdef").unwrap();
        assert_eq!(file.available(), 0);
        file.seek(2, Whence::Set).unwrap();
        assert_eq!(file.available(), 4);
        assert!(matches!(file.source(), Source::Ready));
        assert!(!file.is_terminal() && !file.is_socket());
        assert_eq!(file.filetype(), Filetype::RegularFile);
        assert_eq!(file.accept().map(drop), Err(Errno::Notsock));
        assert_eq!(file.set_flags(Fdflags::empty(), Fdflags::SYNC), Err(Errno::Notsup));
        file.set_flags(Fdflags::empty(), Fdflags::NONBLOCK | Fdflags::APPEND).unwrap();
        assert_eq!(pwrite(&*file, b"gh", 0), Ok(2));
        assert_eq!(pread(&*file, 9, 0).unwrap(), b"abcdefgh");
        assert_eq!(file.seek(0, Whence::Cur), Ok(2));
        file.set_flags(Fdflags::APPEND, Fdflags::empty()).unwrap();
        assert_eq!(pwrite(&*file, b"A", 0), Ok(1));
        assert_eq!(pread(&*file, 9, 0).unwrap(), b"Abcdefgh");
        assert_eq!((file.sync(), file.datasync(), top.sync()), (Ok(()), Ok(()), Ok(())));
    }

    #[test]
    fn threads_append_and_read_one_descriptor_without_loss() {
        const THREADS: usize = 4;
        let rounds = if cfg!(miri) { 5 } else { 2000 };
        let (tree, top) = tree();
        let log = open_file(&*top, "log", CREATE).unwrap();
        let counter = open_file(&*top, "counter", CREATE).unwrap();
        let bytes: Vec<u8> = (0..THREADS * rounds)
            .flat_map(|index| u32::try_from(index).unwrap().to_le_bytes())
            .collect();
        write(&*counter, &bytes).unwrap();
        counter.seek(0, Whence::Set).unwrap();
        let mut numbers: Vec<u32> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (log, counter, top) = (&*log, &*counter, &*top);
                    scope.spawn(move || {
                        let name = format!("t{thread}");
                        let mut numbers = Vec::new();
                        for _ in 0..rounds {
                            append(log, &[u8::try_from(thread).unwrap(); 8]).unwrap();
                            numbers.push(u32::from_le_bytes(
                                read(counter, 4).unwrap().try_into().unwrap(),
                            ));
                            // Two names for all, moved about meanwhile.
                            top.create_directory(path(&name)).unwrap();
                            let _ = top.rename(path(&name), top, path("shared"));
                            let _ = top.remove_directory(path(&name));
                            let _ =
                                open_directory(top, "shared").map(|shared| list(&*shared, 0, 9));
                        }
                        numbers
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (0..u32::try_from(THREADS * rounds).unwrap()).collect::<Vec<_>>());
        let log = tree.read_file("log").unwrap();
        assert_eq!(log.len(), THREADS * rounds * 8);
        assert!(log.chunks(8).all(|record| record.iter().all(|byte| *byte == record[0])));
        let _ = top.remove_directory(path("shared"));
        assert_eq!(inodes(&tree), 3);
    }
}

mod over_a_tree {
    use super::*;

    /// An overlay, its top, and the top of what lies below.
    fn overlay(files: &[&str]) -> (Overlay, Box<dyn Directory>, Box<dyn Directory>) {
        let below = Tree::new(1 << 20);
        for file in files {
            below.seed(file, b"below").unwrap();
        }
        let lower = below.root_directory(false);
        let overlay = Overlay::new(below.root_directory(false), TreeOptions::new(1 << 20)).unwrap();
        let top = overlay.root_directory(false, false);
        (overlay, top, lower)
    }

    const TIMES: SetTimes = SetTimes { atim: SetTime::Keep, mtim: SetTime::At(7) };

    #[test]
    fn a_directory_that_was_removed_does_not_come_back() {
        // In a directory that was opened by its names, one by one, and by a path.
        for is_deep in [false, true] {
            let (overlay, top, _) = overlay(&["a/x/f", "a/y"]);
            let file = if is_deep {
                open_file(&*top, "a/x/f", READ).unwrap()
            } else {
                let dir = open_directory(&*open_directory(&*top, "a").unwrap(), "x").unwrap();
                open_file(&*dir, "f", READ).unwrap()
            };
            top.unlink_file(path("a/x/f")).unwrap();
            top.remove_directory(path("a/x")).unwrap();
            // The open descriptor still sets the file's times and reads it.
            file.set_times(TIMES).unwrap();
            assert_eq!(file.filestat().unwrap().mtim, 7);
            assert_eq!(read(&*file, 9).unwrap(), b"below");
            assert_eq!(top.path_filestat(path("a/x"), false).err(), Some(Errno::Noent));
            assert_eq!(names(&*open_directory(&*top, "a").unwrap()), [".", "..", "y"]);
            // Nor does it take the place of another.
            top.create_directory(path("a/x")).unwrap();
            drop(open_file(&*top, "a/x/new", CREATE).unwrap());
            file.set_times(TIMES).unwrap();
            assert_eq!(names(&*open_directory(&*top, "a/x").unwrap()), [".", "..", "new"]);
            let changes = overlay.changes("", &mut { usize::MAX }).unwrap();
            let changes: Vec<_> =
                changes.iter().map(|change| (change.changed, &*change.path)).collect();
            assert_eq!(changes, [(Changed::Removed, "a/x/f"), (Changed::Added, "a/x/new")]);
        }
    }

    #[test]
    fn a_file_that_is_open_is_found_where_a_commit_has_put_it() {
        for deep in ["d", "d/d"] {
            let (overlay, top, lower) = overlay(&[&format!("{deep}/f")]);
            let commit = || overlay.commit("", &mut { usize::MAX });
            let file = open_file(&*top, &format!("{deep}/f"), READ).unwrap();
            top.rename(path("d"), &*top, path("e")).unwrap();
            commit().unwrap();
            let moved = deep.replacen('d', "e", 1);
            // Its times are set by the descriptor, and then it gets another name.
            file.set_times(TIMES).unwrap();
            commit().unwrap();
            let is_there = |name: &str| lower.path_filestat(path(name), false);
            assert_eq!(is_there(&format!("{moved}/f")).unwrap().mtim, 7);
            top.rename(path(&format!("{moved}/f")), &*top, path("g")).unwrap();
            commit().unwrap();
            assert_eq!(is_there("g").unwrap().mtim, 7);
            assert_eq!(is_there(&format!("{moved}/f")).err(), Some(Errno::Noent));
            assert_eq!(read(&*open_file(&*lower, "g", READ).unwrap(), 9).unwrap(), b"below");
            assert_eq!(read(&*file, 9).unwrap(), b"below");
        }
    }

    #[test]
    fn a_name_that_is_left_below_shows_what_was_written_by_another() {
        let (overlay, top, lower) = overlay(&["a"]);
        lower.link(path("a"), false, &*lower, path("b")).unwrap();
        let file = open_file(&*top, "a", OpenOptions { truncate: true, ..CREATE }).unwrap();
        write(&*file, b"new").unwrap();
        top.rename(path("a"), &*top, path("c")).unwrap();
        // The old name first, so that the file has one name below.
        overlay.commit("a", &mut { usize::MAX }).unwrap();
        assert_eq!(names(&*lower), [".", "..", "b"]);
        overlay.commit("", &mut { usize::MAX }).unwrap();
        let inos = ["b", "c"].map(|name| {
            let file = open_file(&*lower, name, READ).unwrap();
            assert_eq!(read(&*file, 9).unwrap(), b"new", "{name}");
            file.filestat().unwrap().ino
        });
        assert_eq!(inos[0], inos[1]);
        assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()));
    }

    #[test]
    fn a_file_that_has_lost_its_last_name_below_is_not_looked_for_there() {
        let (overlay, top, lower) = overlay(&["a"]);
        lower.link(path("a"), false, &*lower, path("b")).unwrap();
        let file = open_file(&*top, "a", OpenOptions { truncate: true, ..CREATE }).unwrap();
        write(&*file, b"new").unwrap();
        top.rename(path("a"), &*top, path("c")).unwrap();
        overlay.commit("a", &mut { usize::MAX }).unwrap();
        assert_eq!(overlay.aliases(), 1);
        top.unlink_file(path("b")).unwrap();
        // The new name gets the permissions of the last one.
        let error = overlay.commit("b", &mut { usize::MAX }).unwrap_err();
        assert_eq!((error.errno, error.done), (Errno::Busy, Vec::new()));
        overlay.commit("", &mut { usize::MAX }).unwrap();
        // Another file of the host may get its serial number.
        assert_eq!((names(&*lower).len(), overlay.aliases()), (3, 0));
        assert_eq!(read(&*open_file(&*lower, "c", READ).unwrap(), 9).unwrap(), b"new");
    }

    #[test]
    fn what_could_not_be_renamed_is_as_the_host_makes_it() {
        let (overlay, top, lower) = overlay(&["d/x", "f"]);
        lower.symlink(b"one", path("l")).unwrap();
        assert_eq!(top.rename(path("l"), &*top, path("d")), Err(Errno::Isdir));
        assert_eq!(top.rename(path("d"), &*top, path("l")), Err(Errno::Notdir));
        assert_eq!(top.rename(path("l"), &*top, path("l")), Ok(()));
        assert_eq!(top.rename(path("f"), &*top, path("d")), Err(Errno::Isdir));
        lower.unlink_file(path("l")).unwrap();
        lower.symlink(b"two", path("l")).unwrap();
        assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()));
        assert_eq!(readlink(&*top, "l", 9).unwrap(), b"two");
        overlay.commit("", &mut { usize::MAX }).unwrap();
        assert_eq!(readlink(&*lower, "l", 9).unwrap(), b"two");
    }

    #[test]
    fn a_rename_to_another_name_of_the_same_file_leaves_both() {
        let (overlay, top, lower) = overlay(&["d/x", "f"]);
        lower.link(path("f"), false, &*lower, path("g")).unwrap();
        lower.link(path("f"), false, &*lower, path("d/h")).unwrap();
        for (old, new) in [("f", "g"), ("g", "f"), ("f", "d/h"), ("f", "g")] {
            assert_eq!(top.rename(path(old), &*top, path(new)), Ok(()));
            assert_eq!(top.rename(path(old), &*top, path("d")), Err(Errno::Isdir));
            assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()));
        }
        let options = OpenOptions { write: true, ..READ };
        write(&*open_file(&*top, "g", options).unwrap(), b"new").unwrap();
        for name in ["f", "g", "d/h"] {
            assert_eq!(read(&*open_file(&*top, name, READ).unwrap(), 3).unwrap(), b"new");
            assert_eq!(top.path_filestat(path(name), false).unwrap().nlink, 3);
        }
        overlay.commit("", &mut { usize::MAX }).unwrap();
        assert_eq!(read(&*open_file(&*lower, "d/h", READ).unwrap(), 3).unwrap(), b"new");
    }

    #[test]
    fn nothing_is_made_in_what_was_in_a_directory_that_was_removed() {
        let (_, top, lower) = overlay(&["x/y/f"]);
        let inner = open_directory(&*top, "x/y").unwrap();
        // The host removes what the guest has open. So the guest can remove what that lay in.
        lower.unlink_file(path("x/y/f")).unwrap();
        lower.remove_directory(path("x/y")).unwrap();
        top.remove_directory(path("x")).unwrap();
        assert_eq!(inner.create_directory(path("new")), Err(Errno::Noent));
        assert_eq!(inner.set_times(TIMES), Err(Errno::Noent));
        assert_eq!(top.path_filestat(path("x"), false).err(), Some(Errno::Noent));
    }
}

/// The same operations on a directory of the host and on a tree have the same outcomes.
#[cfg(all(unix, not(miri)))]
mod beside_the_host {
    use super::*;
    use crate::host::{PreopenOptions, open_preopen};
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::path::PathBuf;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let name =
                format!("wasi-rs-tree-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// The outcome of an operation, in a form to compare.
    type Outcome = Result<String>;

    type Directories = (Box<dyn Directory>, Box<dyn Directory>);
    type Files = (Box<dyn File>, Box<dyn File>, Fdflags);

    /// The kind of tree that is compared with the host.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Kind {
        /// A tree in memory.
        Tree,
        /// An overlay over a directory with nothing in it.
        OverEmpty,
        /// An overlay over a directory that holds what a test begins with.
        Over,
    }

    #[derive(Debug, Clone, Copy)]
    struct Setup {
        root: bool,
        kind: Kind,
    }

    enum Subject {
        Tree(Tree),
        Overlay { overlay: Overlay, lower: Folder, before: BTreeMap<PathBuf, String> },
    }

    struct Pair {
        directories: Vec<Directories>,
        files: Vec<Files>,
        step: usize,
        setup: Setup,
        subject: Subject,
        folder: Folder,
        /// Whether both have the same number of names of each file.
        counts_links: bool,
    }

    /// All that there is to know of a folder. A symbolic link's time of access is no part of it:
    /// Linux notes it for whoever reads the link.
    #[cfg(unix)]
    fn state(folder: &std::path::Path) -> BTreeMap<PathBuf, String> {
        use std::os::unix::fs::MetadataExt;

        let mut state = BTreeMap::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(path) = pending.pop() {
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let is_link = stat.is_symlink();
            let mut text = format!(
                "mode {:o} ino {} links {} size {} atime {:?} mtime {}.{} ctime {}.{}",
                stat.mode(),
                stat.ino(),
                stat.nlink(),
                stat.size(),
                (!is_link).then(|| (stat.atime(), stat.atime_nsec())),
                stat.mtime(),
                stat.mtime_nsec(),
                stat.ctime(),
                stat.ctime_nsec()
            );
            if is_link {
                write!(text, " {:?}", std::fs::read_link(&path).unwrap()).unwrap();
            } else if stat.is_dir() {
                pending
                    .extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                write!(text, " {:?}", std::fs::read(&path).unwrap()).unwrap();
            }
            state.insert(path, text);
        }
        state
    }

    #[cfg(not(unix))]
    fn state(_: &std::path::Path) -> BTreeMap<PathBuf, String> {
        BTreeMap::new()
    }

    fn host_directory(folder: &Folder, options: PreopenOptions) -> Box<dyn Directory> {
        let Opened::Directory(host) = open_preopen(&folder.0, options).unwrap() else {
            panic!("not a directory")
        };
        host
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            if let Subject::Overlay { lower, before, .. } = &self.subject
                && !std::thread::panicking()
                && !before.is_empty()
            {
                let after = state(&lower.0);
                for (path, was) in before {
                    assert_eq!(Some(was), after.get(path), "{} was changed", path.display());
                }
                assert_eq!(before.len(), after.len(), "there is something new below");
            }
        }
    }

    /// Attributes that do not depend on the file system. A directory's size does, and on some also
    /// its links.
    fn attributes(stat: Filestat) -> String {
        match stat.filetype {
            Filetype::Directory => "directory".to_string(),
            filetype => format!("{filetype:?} {} links {} bytes", stat.nlink, stat.size),
        }
    }

    /// The same without the number of names.
    fn without_links(attributes: &str) -> String {
        match attributes.split(' ').collect::<Vec<_>>()[..] {
            [filetype, _, "links", size, "bytes"] => format!("{filetype} {size} bytes"),
            _ => attributes.to_string(),
        }
    }

    impl Pair {
        fn new(setup: Setup) -> Self {
            let Setup { root, kind } = setup;
            let folder = Folder::new();
            let host =
                host_directory(&folder, PreopenOptions { root, ..PreopenOptions::default() });
            let (subject, top) = if kind == Kind::Tree {
                let tree = Tree::new(1 << 32);
                let top = tree.root_directory(root);
                (Subject::Tree(tree), top)
            } else {
                let lower = Folder::new();
                let options = PreopenOptions { no_access_times: true, ..PreopenOptions::default() };
                let below = host_directory(&lower, options);
                let overlay = Overlay::new(below, TreeOptions::new(1 << 32)).unwrap();
                let top = overlay.root_directory(root, false);
                let before = BTreeMap::new();
                (Subject::Overlay { overlay, lower, before }, top)
            };
            Self {
                directories: vec![(host, top)],
                files: Vec::new(),
                step: 0,
                setup,
                subject,
                folder,
                counts_links: true,
            }
        }

        /// Does something to both that is to lie below, if there is such a place.
        fn below(&mut self, act: impl FnOnce(&mut Self)) {
            let Setup { root, kind } = self.setup;
            let Subject::Overlay { lower, .. } = &self.subject else { return act(self) };
            if kind == Kind::OverEmpty {
                return act(self);
            }
            let plain = host_directory(lower, PreopenOptions { root, ..PreopenOptions::default() });
            let top = std::mem::replace(&mut self.directories[0].1, plain);
            act(self);
            self.files.clear();
            self.directories.truncate(1);
            self.directories[0].1 = top;
            if let Subject::Overlay { lower, before, .. } = &mut self.subject {
                // Twice, as the first look notes times of access.
                state(&lower.0);
                *before = state(&lower.0);
            }
        }

        /// Does the same to both and compares.
        #[track_caller]
        fn check(&mut self, what: &str, on_host: &Outcome, on_tree: Outcome) -> Outcome {
            let shown = |outcome: &Outcome| match outcome {
                Ok(text) if !self.counts_links => Ok(without_links(text)),
                outcome => outcome.clone(),
            };
            assert_eq!(
                shown(on_host),
                shown(&on_tree),
                "step {}: {what} (the host is on the left)",
                self.step
            );
            self.step += 1;
            on_tree
        }

        #[track_caller]
        fn directory(
            &mut self,
            at: usize,
            what: &str,
            call: impl Fn(&dyn Directory) -> Outcome,
        ) -> Outcome {
            let (host, tree) = &self.directories[at];
            let (on_host, on_tree) = (call(&**host), call(&**tree));
            self.check(&format!("{what} in {at}"), &on_host, on_tree)
        }

        #[track_caller]
        fn two(
            &mut self,
            from: usize,
            to: usize,
            what: &str,
            call: impl Fn(&dyn Directory, &dyn Directory) -> Outcome,
        ) -> Outcome {
            let ((host, tree), (host_to, tree_to)) =
                (&self.directories[from], &self.directories[to]);
            let (on_host, on_tree) = (call(&**host, &**host_to), call(&**tree, &**tree_to));
            self.check(&format!("{what} from {from} to {to}"), &on_host, on_tree)
        }

        #[track_caller]
        fn file(
            &mut self,
            at: usize,
            what: &str,
            call: impl Fn(&dyn File, Fdflags) -> Outcome,
        ) -> Outcome {
            let (host, tree, flags) = &self.files[at];
            let (on_host, on_tree) = (call(&**host, *flags), call(&**tree, *flags));
            self.check(&format!("{what} of file {at}"), &on_host, on_tree)
        }

        #[track_caller]
        fn open(&mut self, at: usize, name: &str, options: OpenOptions) -> Outcome {
            let (host, tree) = &self.directories[at];
            let (on_host, on_tree) =
                (host.open(path(name), options), tree.open(path(name), options));
            let describe = |opened: &Result<Opened>| match opened {
                Ok(Opened::File(file)) => Ok(format!("{:?}", file.filetype())),
                Ok(Opened::Directory(_)) => Ok("directory".to_string()),
                Err(errno) => Err(*errno),
            };
            let (host_outcome, tree_outcome) = (describe(&on_host), describe(&on_tree));
            let outcome = self.check(
                &format!("open {name:?} in {at} with {options:?}"),
                &host_outcome,
                tree_outcome,
            );
            match (on_host, on_tree) {
                (Ok(Opened::File(host)), Ok(Opened::File(tree))) => {
                    self.files.push((host, tree, options.flags));
                }
                (Ok(Opened::Directory(host)), Ok(Opened::Directory(tree))) => {
                    self.directories.push((host, tree));
                }
                _ => {}
            }
            outcome
        }

        #[track_caller]
        fn create_directory(&mut self, at: usize, name: &str) -> Outcome {
            self.directory(at, &format!("create directory {name:?}"), |dir| {
                dir.create_directory(path(name)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn remove_directory(&mut self, at: usize, name: &str) -> Outcome {
            self.directory(at, &format!("remove directory {name:?}"), |dir| {
                dir.remove_directory(path(name)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn unlink(&mut self, at: usize, name: &str) -> Outcome {
            self.directory(at, &format!("unlink {name:?}"), |dir| {
                dir.unlink_file(path(name)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn symlink(&mut self, at: usize, text: &str, name: &str) -> Outcome {
            self.directory(at, &format!("symlink {name:?} to {text:?}"), |dir| {
                dir.symlink(text.as_bytes(), path(name)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn readlink(&mut self, at: usize, name: &str, room: usize) -> Outcome {
            self.directory(at, &format!("readlink {name:?} to {room} bytes"), |dir| {
                super::readlink(dir, name, room).map(|text| String::from_utf8(text).unwrap())
            })
        }

        #[track_caller]
        fn stat(&mut self, at: usize, name: &str, follow: bool) -> Outcome {
            self.directory(at, &format!("stat {name:?} follow {follow}"), |dir| {
                dir.path_filestat(path(name), follow).map(attributes)
            })
        }

        #[track_caller]
        fn set_times(&mut self, at: usize, name: &str, follow: bool, times: SetTimes) -> Outcome {
            self.directory(at, &format!("times {name:?} follow {follow}"), |dir| {
                dir.path_set_times(path(name), follow, times)?;
                let stat = dir.path_filestat(path(name), follow)?;
                let time = |set, is| match set {
                    SetTime::At(_) => is,
                    _ => 0,
                };
                Ok(format!("{} {}", time(times.atim, stat.atim), time(times.mtim, stat.mtim)))
            })
        }

        #[track_caller]
        fn rename(&mut self, from: usize, old: &str, to: usize, new: &str) -> Outcome {
            self.two(from, to, &format!("rename {old:?} to {new:?}"), |from, to| {
                from.rename(path(old), to, path(new)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn link(&mut self, from: usize, old: &str, follow: bool, to: usize, new: &str) -> Outcome {
            self.two(from, to, &format!("link {old:?} follow {follow} to {new:?}"), |from, to| {
                from.link(path(old), follow, to, path(new)).map(|()| String::new())
            })
        }

        #[track_caller]
        fn list(&mut self, at: usize) -> Outcome {
            self.directory(at, "list", |dir| {
                let mut entries = super::list(dir, 0, usize::MAX)?;
                entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                let mut text = String::new();
                for (name, ino, filetype, _) in entries {
                    if name != ".." {
                        // The number is the one that the attributes have.
                        assert_eq!(dir.path_filestat(path(&name), false)?.ino, ino, "{name}");
                    }
                    write!(text, "{name} {filetype:?}, ").unwrap();
                }
                Ok(text)
            })
        }
    }

    const NAMES: &[&str] = &[
        ".",
        "..",
        "./",
        "./.",
        "../",
        "f",
        "f/",
        "f//",
        "f/.",
        "f/x",
        "f/..",
        "d",
        "d/",
        "d/.",
        "d/..",
        "d/../",
        "d/../..",
        "d/../d/f",
        "d/f",
        "d/f/",
        "d//f",
        "d/./f",
        "d/e",
        "d/e/..",
        "d/e/../..",
        "d/e/../../..",
        "none",
        "none/",
        "none/x",
        "none/..",
        "lf",
        "lf/",
        "lf/.",
        "lf/x",
        "ld",
        "ld/",
        "ld/.",
        "ld/..",
        "ld/f",
        "ld/none",
        "dangling",
        "dangling/",
        "loop",
        "loop/",
        "loop/x",
        "out",
        "out/",
        "out/x",
        "up",
        "up/f",
        "slash",
        "slash/",
        "filed",
        "filed/",
        "deep",
        "deep/",
        "deep/..",
        "absolute",
        "absolute/",
        "absolute/f",
        "top",
        "top/",
        "top/d",
        "dotl",
        "dotl/",
        "new",
        "new/",
        "d/new",
        "d/new/",
        "ld/new",
    ];

    /// Files, directories, and links to all that a link can lead to.
    fn furnish(pair: &mut Pair) {
        pair.below(furnish_both);
    }

    fn furnish_both(pair: &mut Pair) {
        for name in ["d", "d/e", "d/g"] {
            pair.create_directory(0, name).unwrap();
        }
        for name in ["f", "d/f", "d/g/f"] {
            pair.open(0, name, CREATE).unwrap();
        }
        for (text, name) in [
            ("f", "lf"),
            ("d", "ld"),
            ("nowhere", "dangling"),
            ("loop", "loop"),
            ("../outside", "out"),
            ("..", "up"),
            ("d/", "slash"),
            ("f/", "filed"),
            ("d/e/../../ld/e", "deep"),
            ("/d", "absolute"),
            ("/", "top"),
            ("d/.", "dotl"),
            ("../f", "d/lf"),
        ] {
            pair.symlink(0, text, name).unwrap();
        }
        pair.files.clear();
    }

    const KINDS: [Kind; 3] = [Kind::Tree, Kind::OverEmpty, Kind::Over];

    fn each_setup(run: impl Fn(Setup)) {
        for (kind, root) in [
            (Kind::Tree, false),
            (Kind::Tree, true),
            (Kind::OverEmpty, false),
            (Kind::Over, false),
            (Kind::Over, true),
        ] {
            run(Setup { root, kind });
        }
    }

    fn each_kind(run: impl Fn(Pair)) {
        for kind in KINDS {
            run(Pair::new(Setup { root: false, kind }));
        }
    }

    #[test]
    fn paths_lead_to_the_same() {
        each_setup(|setup| {
            let mut pair = Pair::new(setup);
            furnish(&mut pair);
            pair.open(0, "d", DIRECTORY).unwrap();
            for at in [0, 1] {
                for name in NAMES {
                    for follow in [false, true] {
                        let _ = pair.stat(at, name, follow);
                        let times = SetTimes {
                            atim: SetTime::At(1_234_567_890_123_456_789),
                            mtim: SetTime::At(42),
                        };
                        let _ = pair.set_times(at, name, follow, times);
                        let _ = pair.set_times(
                            at,
                            name,
                            follow,
                            SetTimes { atim: SetTime::Keep, mtim: SetTime::At(43) },
                        );
                    }
                    for room in [0, 3, 100] {
                        let _ = pair.readlink(at, name, room);
                    }
                }
            }
            assert!(pair.step > 1000);
        });
    }

    #[test]
    fn open_does_the_same_with_all_flags() {
        each_setup(|setup| {
            for flags in 0..128_u32 {
                let bit = |index: u32| flags & (1 << index) != 0;
                let options = OpenOptions {
                    create: bit(0),
                    exclusive: bit(1),
                    directory: bit(2),
                    truncate: bit(3),
                    follow: bit(4),
                    read: bit(5),
                    write: bit(6),
                    private: false,
                    flags: Fdflags::empty(),
                };
                if options.create && options.directory {
                    continue;
                }
                let mut pair = Pair::new(setup);
                furnish(&mut pair);
                for name in NAMES {
                    let _ = pair.open(0, name, options);
                }
                for at in 0..pair.directories.len() {
                    let _ = pair.list(at);
                }
                for name in NAMES {
                    let _ = pair.stat(0, name, true);
                }
            }
        });
    }

    #[test]
    fn names_are_made_and_removed_with_the_same_outcomes() {
        each_setup(|setup| {
            for kind in 0..4 {
                for name in NAMES {
                    let mut pair = Pair::new(setup);
                    furnish(&mut pair);
                    let _ = match kind {
                        0 => pair.create_directory(0, name),
                        1 => pair.remove_directory(0, name),
                        2 => pair.unlink(0, name),
                        _ => pair.symlink(0, "text", name),
                    };
                    let _ = pair.list(0);
                }
            }
        });
    }

    #[test]
    fn renames_and_links_have_the_same_outcomes() {
        each_setup(|setup| {
            let mut pair = Pair::new(setup);
            furnish(&mut pair);
            for old in NAMES {
                for new in NAMES {
                    // Made anew only where something changed.
                    let mut changed = pair.link(0, old, false, 0, new).is_ok();
                    changed |= pair.link(0, old, true, 0, new).is_ok();
                    changed |= pair.rename(0, old, 0, new).is_ok();
                    if changed {
                        let _ = pair.list(0);
                        pair = Pair::new(setup);
                        furnish(&mut pair);
                    }
                }
            }
        });
    }

    /// Both do as the kernel does with the same paths, where they do not lead outside.
    #[cfg(target_os = "linux")]
    #[test]
    fn links_fail_in_linux_s_order() {
        use rustix::fs::{AtFlags, CWD, linkat};
        use rustix::io::Errno as Host;

        const OLD: &[&str] = &[
            "f",
            "f/",
            "d",
            "d/",
            "d/.",
            ".",
            "none",
            "none/",
            "none/x",
            "f/x",
            "lf",
            "lf/",
            "ld",
            "ld/",
            "dangling",
            "dangling/",
        ];
        const NEW: &[&str] = &[
            "new",
            "new/",
            "f",
            "f/",
            "d",
            "d/",
            ".",
            "d/.",
            "lf",
            "lf/",
            "ld",
            "ld/",
            "dangling",
            "dangling/",
            "none/x",
            "f/x",
            "f/.",
            "none/.",
        ];
        each_kind(|mut pair| {
            let folder = Folder::new();
            let real = |name: &str| format!("{}/{name}", folder.0.display());
            std::fs::create_dir(real("d")).unwrap();
            std::fs::write(real("f"), "").unwrap();
            pair.below(|pair| {
                pair.create_directory(0, "d").unwrap();
                pair.open(0, "f", CREATE).unwrap();
                for (text, name) in [("f", "lf"), ("d", "ld"), ("nowhere", "dangling")] {
                    std::os::unix::fs::symlink(text, real(name)).unwrap();
                    pair.symlink(0, text, name).unwrap();
                }
            });
            for (old, new, follow) in OLD.iter().flat_map(|old| {
                NEW.iter().flat_map(move |new| [(old, new, false), (old, new, true)])
            }) {
                let flags = if follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
                let expected = match linkat(CWD, real(old), CWD, real(new), flags) {
                    Ok(()) => Ok(String::new()),
                    Err(Host::NOENT) => Err(Errno::Noent),
                    Err(Host::EXIST) => Err(Errno::Exist),
                    Err(Host::NOTDIR) => Err(Errno::Notdir),
                    Err(Host::PERM) => Err(Errno::Perm),
                    Err(errno) => panic!("link {old:?} to {new:?}: {errno}"),
                };
                assert_eq!(
                    pair.link(0, old, follow, 0, new),
                    expected,
                    "link {old:?} to {new:?}, follow {follow}"
                );
                if expected.is_ok() {
                    std::fs::remove_file(real(new)).unwrap();
                    pair.unlink(0, new).unwrap();
                }
            }
        });
    }

    #[test]
    fn long_names_and_removed_directories_are_refused_alike() {
        each_kind(|mut pair| {
            let long = "n".repeat(256);
            let longest = "n".repeat(255);
            let inside = format!("{long}/x");
            for name in [&long[..], &longest, &inside] {
                let _ = pair.create_directory(0, name);
                let _ = pair.stat(0, name, true);
                let _ = pair.open(0, name, CREATE);
                let _ = pair.symlink(0, "t", name);
                let _ = pair.unlink(0, name);
                let _ = pair.rename(0, name, 0, "x");
                let _ = pair.rename(0, "x", 0, name);
                let _ = pair.link(0, "x", false, 0, name);
                let _ = pair.readlink(0, name, 9);
                let _ = pair.remove_directory(0, name);
            }
            pair.create_directory(0, "gone").unwrap();
            pair.open(0, "file", CREATE).unwrap();
            pair.open(0, "gone", DIRECTORY).unwrap();
            pair.remove_directory(0, "gone").unwrap();
            let _ = pair.list(1);
            for name in [".", "..", "x", "x/y"] {
                let _ = pair.stat(1, name, true);
                let _ = pair.create_directory(1, name);
                let _ = pair.open(1, name, CREATE);
                let _ = pair.open(1, name, DIRECTORY);
                let _ = pair.symlink(1, "t", name);
                let _ = pair.unlink(1, name);
                let _ = pair.remove_directory(1, name);
                let _ = pair.rename(0, "file", 1, name);
                let _ = pair.link(0, "file", false, 1, name);
            }
        });
    }

    /// Small numbers from a fixed start, the same every time.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % sides as u64).unwrap()
        }

        fn flip(&mut self) -> bool {
            self.roll(2) == 0
        }

        fn name(&mut self) -> String {
            const PARTS: &[&str] = &["a", "a", "b", "b", "c", "c", "d", "l", "m", ".", ".."];
            let mut name = PARTS[self.roll(PARTS.len())].to_string();
            for _ in 0..[0, 0, 0, 1, 1, 2, 3][self.roll(7)] {
                name.push('/');
                if self.roll(10) == 0 {
                    name.push('/');
                }
                name.push_str(PARTS[self.roll(PARTS.len())]);
            }
            if self.roll(8) == 0 {
                name.push('/');
            }
            name
        }
    }

    /// Times to set: of access and of modification, or of modification alone.
    fn times(seconds: usize) -> SetTimes {
        let time = SetTime::At(seconds as u64 * 1_000_000_000);
        let atim = if seconds.is_multiple_of(2) { SetTime::Keep } else { time };
        SetTimes { atim, mtim: time }
    }

    /// Does something with one of the open files.
    fn random_file_step(pair: &mut Pair, dice: &mut Dice, offset: usize, len: usize) {
        let bytes = vec![u8::try_from(pair.step % 255).unwrap() + 1; len];
        let at = dice.roll(pair.files.len());
        let _ = match dice.roll(11) {
            0 | 1 => pair.file(at, &format!("write {len}"), |file, flags| {
                if len == 0 && flags.contains(Fdflags::APPEND) {
                    return Ok(String::new());
                }
                let (done, _) = with_region(&bytes, |bufs| file.write(bufs, flags));
                Ok(format!("{} at {}", done?, file.seek(0, Whence::Cur)?))
            }),
            2 => pair.file(at, &format!("pwrite {len} at {offset}"), |file, _| {
                // Systems differ in what appending means here.
                if cfg!(target_os = "linux") {
                    Ok(pwrite(file, &bytes, offset as u64)?.to_string())
                } else {
                    Ok(String::new())
                }
            }),
            3 | 4 => pair
                .file(at, &format!("read {len}"), |file, _| Ok(format!("{:?}", read(file, len)?))),
            5 => pair.file(at, &format!("pread {len} at {offset}"), |file, _| {
                Ok(format!("{:?}", pread(file, len, offset as u64)?))
            }),
            6 => {
                let whence = [Whence::Set, Whence::Cur, Whence::End][dice.roll(3)];
                let delta = i64::try_from(offset).unwrap() - 500;
                pair.file(at, &format!("seek {delta} {whence:?}"), |file, _| {
                    Ok(file.seek(delta, whence)?.to_string())
                })
            }
            7 => pair.file(at, &format!("size {offset}"), |file, _| {
                file.set_size(offset as u64).map(|()| String::new())
            }),
            8 => pair.file(at, &format!("allocate {len} at {offset}"), |file, _| {
                file.allocate(offset as u64, len as u64).map(|()| String::new())
            }),
            9 => pair.file(at, &format!("times {offset}"), |file, _| {
                file.set_times(times(offset))?;
                Ok(file.filestat()?.mtim.to_string())
            }),
            _ => {
                pair.files.swap_remove(at);
                return;
            }
        };
        if at < pair.files.len() {
            let _ = pair.file(at, "stat", |file, _| file.filestat().map(attributes));
        }
    }

    fn random_step(pair: &mut Pair, dice: &mut Dice) {
        let at = dice.roll(pair.directories.len());
        let name = dice.name();
        let offset = [0, 1, 100, 4095, 65_536, 70_000][dice.roll(6)] + dice.roll(50);
        let len = [0, 1, 10, 300, 9000, 66_000][dice.roll(6)];
        if !pair.files.is_empty() && dice.roll(3) == 0 {
            return random_file_step(pair, dice, offset, len);
        }
        let _ = match dice.roll(16) {
            0..=3 => {
                let (directory, create) =
                    [(false, true), (false, false), (true, false)][dice.roll(3)];
                let options = OpenOptions {
                    create,
                    exclusive: dice.roll(4) == 0,
                    directory,
                    truncate: dice.roll(4) == 0,
                    follow: dice.flip(),
                    read: dice.flip(),
                    write: dice.flip(),
                    private: false,
                    flags: if dice.roll(3) == 0 { Fdflags::APPEND } else { Fdflags::empty() },
                };
                pair.open(at, &name, options)
            }
            4 | 5 => pair.create_directory(at, &name),
            6 => pair.remove_directory(at, &name),
            7 => pair.unlink(at, &name),
            8 => {
                let text =
                    if dice.roll(6) == 0 { format!("/{}", dice.name()) } else { dice.name() };
                pair.symlink(at, &text, &name)
            }
            9 => {
                let (to, new) = (dice.roll(pair.directories.len()), dice.name());
                pair.rename(at, &name, to, &new)
            }
            10 => {
                let (to, new) = (dice.roll(pair.directories.len()), dice.name());
                pair.link(at, &name, dice.flip(), to, &new)
            }
            11 => pair.stat(at, &name, dice.flip()),
            12 => pair.list(at),
            13 => {
                // A path that leads through the link that it ends in notes when that was read.
                let times = SetTimes { atim: SetTime::Keep, ..times(offset) };
                pair.set_times(at, &name, dice.flip(), times)
            }
            14 => pair.directory(at, &format!("times {offset}"), |dir| {
                dir.set_times(times(offset))?;
                Ok(dir.filestat()?.mtim.to_string())
            }),
            _ => pair.readlink(at, &name, dice.roll(8)),
        };
        // Descriptors come and go; the preopen stays.
        if pair.directories.len() > 12 {
            let at = 1 + dice.roll(pair.directories.len() - 1);
            pair.directories.swap_remove(at);
        }
        if pair.files.len() > 12 {
            let at = dice.roll(pair.files.len());
            pair.files.swap_remove(at);
        }
    }

    #[test]
    fn thousands_of_random_operations_have_the_same_outcomes() {
        for kind in KINDS {
            for seed in 1..=8_u64 {
                random_run(kind, seed, 2500);
            }
        }
    }

    /// A million of one kind, which takes minutes: `cargo test --release -- --ignored a_million`.
    /// `WASI_RS_SEED` is where the seeds begin, and `WASI_RS_RANDOM_CALLS` how many it shall be.
    fn a_million_of(kind: Kind) {
        const RUN: usize = 2500;
        let given =
            |name, usual: u64| std::env::var(name).map_or(usual, |number| number.parse().unwrap());
        let first = given("WASI_RS_SEED", 1001);
        let runs = given("WASI_RS_RANDOM_CALLS", 1_000_000).div_ceil(RUN as u64);
        for seed in first..first.saturating_add(runs) {
            random_run(kind, seed, RUN);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_million_random_operations_have_the_same_outcomes_in_a_tree() {
        a_million_of(Kind::Tree);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_million_random_operations_have_the_same_outcomes_over_nothing() {
        a_million_of(Kind::OverEmpty);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn a_million_random_operations_have_the_same_outcomes_over_a_directory() {
        a_million_of(Kind::Over);
    }

    /// The contents of a folder: types, bytes and texts of links by path.
    fn contents(folder: &std::path::Path) -> BTreeMap<PathBuf, String> {
        let mut contents = BTreeMap::new();
        let mut pending = vec![folder.to_owned()];
        while let Some(path) = pending.pop() {
            for entry in std::fs::read_dir(&path).unwrap() {
                let path = entry.unwrap().path();
                let filetype = std::fs::symlink_metadata(&path).unwrap().file_type();
                let text = if filetype.is_symlink() {
                    format!("link {:?}", std::fs::read_link(&path).unwrap())
                } else if filetype.is_dir() {
                    pending.push(path.clone());
                    "directory".to_string()
                } else {
                    format!("{:?}", std::fs::read(&path).unwrap())
                };
                contents.insert(path.strip_prefix(folder).unwrap().to_owned(), text);
            }
        }
        contents
    }

    /// Which paths in a folder are names of one file, for files that have several.
    #[cfg(unix)]
    fn names_of_files(folder: &std::path::Path) -> std::collections::BTreeSet<Vec<PathBuf>> {
        use std::os::unix::fs::MetadataExt as _;
        let mut names = BTreeMap::<u64, Vec<PathBuf>>::new();
        for path in contents(folder).into_keys() {
            let stat = std::fs::symlink_metadata(folder.join(&path)).unwrap();
            if stat.is_file() {
                names.entry(stat.ino()).or_default().push(path);
            }
        }
        names.into_values().filter(|names| names.len() > 1).collect()
    }

    /// The changes from one folder to another, found without an overlay. Whether what is the same
    /// in both was written cannot be seen.
    fn differences(
        old: &BTreeMap<PathBuf, String>,
        new: &BTreeMap<PathBuf, String>,
    ) -> Vec<(String, Changed)> {
        let mut paths: Vec<&PathBuf> = old.keys().chain(new.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        let mut all = Vec::new();
        let kind = |text: &str| match text.split(' ').next() {
            Some("link") => 0,
            Some("directory") => 1,
            _ => 2,
        };
        for path in paths {
            let name = path.to_str().unwrap().to_string();
            match (old.get(path), new.get(path)) {
                (Some(old), Some(new)) if old == new => {}
                (Some(old), Some(new)) if kind(old) == kind(new) => {
                    all.push((name, Changed::Modified));
                }
                (old, new) => {
                    all.extend(old.map(|_| (name.clone(), Changed::Removed)));
                    all.extend(new.map(|_| (name, Changed::Added)));
                }
            }
        }
        all.sort_by(|one, other| {
            let key = |changed| changed != Changed::Removed;
            (&one.0, key(one.1)).cmp(&(&other.0, key(other.1)))
        });
        all
    }

    #[test]
    fn what_is_committed_is_what_there_is() {
        for seed in 1..=24_u64 {
            commit_run(seed);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn what_is_committed_a_thousand_times_is_what_there_is() {
        let first = std::env::var("WASI_RS_SEED").map_or(1000, |seed| seed.parse().unwrap());
        for seed in first..=first + 1000_u64 {
            commit_run(seed);
        }
    }

    #[test]
    fn what_is_committed_in_parts_is_what_there_is() {
        for seed in 1..=12_u64 {
            parts_run(seed);
        }
    }

    #[test]
    #[ignore = "takes minutes"]
    fn what_is_committed_in_parts_a_thousand_times_is_what_there_is() {
        let first = std::env::var("WASI_RS_SEED").map_or(1000, |seed| seed.parse().unwrap());
        for seed in first..=first + 1000_u64 {
            parts_run(seed);
        }
    }

    /// The guest goes on between commits of parts.
    fn parts_run(seed: u64) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut pair = over_random_files(seed, &mut dice);
        // The host has a file twice that a part has a new name of.
        pair.counts_links = false;
        for round in 0..12 {
            for _ in 0..dice.roll(60) {
                random_step(&mut pair, &mut dice);
            }
            let Subject::Overlay { overlay, lower, before } = &mut pair.subject else { panic!() };
            before.clear();
            let (old, new) = (contents(&lower.0), contents(&pair.folder.0));
            let changes = overlay.changes("", &mut { usize::MAX }).unwrap();
            let expected = differences(&old, &new);
            let listed = |(path, changed): &(String, Changed)| {
                changes.iter().any(|change| change.path == *path && change.changed == *changed)
            };
            for change in expected.iter().filter(|change| change.1 != Changed::Modified) {
                assert!(listed(change), "seed {seed}, round {round}: {change:?}");
            }
            let within = match changes.get(dice.roll(changes.len().max(1) + 1)) {
                Some(Change { path, .. }) => match path.rfind('/') {
                    Some(end) if dice.flip() => path[..end].to_owned(),
                    _ => path.clone(),
                },
                None => String::new(),
            };
            match overlay.commit(&within, &mut { usize::MAX }) {
                Ok(_) => {}
                // Something was renamed, and its new name is elsewhere.
                Err(CommitError { errno: Errno::Busy, done, .. }) if !within.is_empty() => {
                    assert_eq!(done, Vec::new());
                }
                Err(error) => panic!("seed {seed}, round {round}: {error:?}"),
            }
            let is_part = |path: &str| {
                let (path, within) = (format!("{path}/"), format!("{within}/"));
                within == "/" || path.starts_with(&within) || within.starts_with(&path)
            };
            let below = contents(&lower.0);
            for (path, changed) in differences(&old, &below) {
                // A file is written under all of its names.
                let is_written = changed == Changed::Modified;
                assert!(is_part(&path) || is_written, "seed {seed}, {within}: {path} {changed:?}");
            }
            if within.is_empty() {
                assert_eq!(below, new, "seed {seed}, round {round}");
                assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()));
            }
        }
        pair.files.clear();
        pair.directories.truncate(1);
        let Subject::Overlay { overlay, lower, .. } = &pair.subject else { panic!() };
        overlay
            .commit("", &mut { usize::MAX })
            .unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(contents(&lower.0), contents(&pair.folder.0), "seed {seed}");
        #[cfg(unix)]
        assert_eq!(names_of_files(&lower.0), names_of_files(&pair.folder.0), "seed {seed}");
        assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()), "seed {seed}");
        // Nothing stays behind.
        clear(&*pair.directories[0].1);
        assert!(overlay.changes("", &mut { usize::MAX }).is_ok());
        #[cfg(unix)]
        assert_eq!(
            (overlay.used_bytes(), overlay.count()),
            (overlay.covered_bytes(), 1),
            "seed {seed}"
        );
    }

    /// An overlay over files that were made at random, some of which have several names.
    fn over_random_files(seed: u64, dice: &mut Dice) -> Pair {
        let mut pair = Pair::new(Setup { root: seed.is_multiple_of(2), kind: Kind::Over });
        pair.below(|pair| {
            for _ in 0..200 {
                random_step(pair, dice);
            }
            // Names of one file, some of them in directories that are renamed and removed.
            let _ = pair.create_directory(0, "d");
            if pair.open(0, "d/a", CREATE).is_ok() {
                for name in ["a", "c", "d/b", "d/c"] {
                    let _ = pair.unlink(0, name);
                    let _ = pair.link(0, "d/a", false, 0, name);
                }
            }
        });
        pair
    }

    fn commit_run(seed: u64) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut pair = over_random_files(seed, &mut dice);
        for _ in 0..3 {
            for _ in 0..dice.roll(150) {
                random_step(&mut pair, &mut dice);
            }
            let Subject::Overlay { overlay, lower, before } = &mut pair.subject else { panic!() };
            let (old, new) = (contents(&lower.0), contents(&pair.folder.0));
            let changes = overlay.changes("", &mut { usize::MAX }).unwrap();
            let listed: Vec<(String, Changed)> =
                changes.iter().map(|change| (change.path.clone(), change.changed)).collect();
            let expected = differences(&old, &new);
            for change in &expected {
                // A name of a file that has others, by which it was written.
                let is_linked = change.1 == Changed::Modified;
                assert!(listed.contains(change) || is_linked, "seed {seed}: {change:?}");
            }
            for change in &listed {
                let is_written = change.1 == Changed::Modified;
                assert!(expected.contains(change) || is_written, "seed {seed}: {change:?}");
            }
            // Some of it first, which changes nothing to the guest.
            if !changes.is_empty() && dice.flip() {
                let part = &changes[dice.roll(changes.len())];
                let done = match overlay.commit(&part.path, &mut { usize::MAX }) {
                    Ok(done) => {
                        assert!(done.contains(part), "seed {seed}: {part:?} is not in {done:?}");
                        done
                    }
                    // It was renamed, and its new name is elsewhere.
                    Err(CommitError { errno: Errno::Busy, done, .. }) => {
                        assert_eq!(done, Vec::new());
                        done
                    }
                    Err(error) => panic!("seed {seed}: {error:?}"),
                };
                let left = overlay.changes("", &mut { usize::MAX }).unwrap();
                // A file is written under all of its names.
                let may_be_done = |change: &Change| change.changed == Changed::Modified;
                for change in &changes {
                    assert!(
                        left.contains(change) != done.contains(change) || may_be_done(change),
                        "seed {seed}: {change:?} after {part:?}"
                    );
                }
                assert!(left.iter().all(|change| changes.contains(change)), "seed {seed}");
                let below = contents(&lower.0);
                for (name, changed) in differences(&old, &below) {
                    let is_done = |change: &Change| change.path == name;
                    assert!(
                        changed == Changed::Modified || done.iter().any(is_done),
                        "seed {seed}: {name} {changed:?}"
                    );
                }
            }
            let done = overlay
                .commit("", &mut { usize::MAX })
                .unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            assert!(done.iter().all(|change| changes.contains(change)), "seed {seed}");
            let now = contents(&lower.0);
            for (path, text) in &new {
                assert!(now.get(path) == Some(text), "seed {seed}: {}", path.display());
            }
            assert_eq!(now.len(), new.len(), "seed {seed}");
            #[cfg(unix)]
            assert_eq!(names_of_files(&lower.0), names_of_files(&pair.folder.0), "seed {seed}");
            assert_eq!(overlay.changes("", &mut { usize::MAX }), Ok(Vec::new()), "seed {seed}");
            before.clear();
        }
    }

    fn random_run(kind: Kind, seed: u64, steps: usize) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut pair = Pair::new(Setup { root: seed.is_multiple_of(2), kind });
        if kind == Kind::Over {
            // The entries below were made in the same way.
            pair.below(|pair| {
                for _ in 0..400 {
                    random_step(pair, &mut dice);
                }
            });
        }
        for _ in 0..steps {
            random_step(&mut pair, &mut dice);
        }
        // All of it can be taken down again, and nothing stays behind.
        pair.files.clear();
        pair.directories.truncate(1);
        clear(&*pair.directories[0].1);
        match &pair.subject {
            Subject::Tree(tree) => {
                assert_eq!(tree.used_bytes(), 0, "seed {seed}");
                assert_eq!(tree.inner.files().names.count(), 1, "seed {seed}");
            }
            Subject::Overlay { overlay, .. } => {
                let covered = overlay.covered_bytes();
                assert_eq!(overlay.used_bytes(), covered, "{kind:?}, seed {seed}");
                assert_eq!(overlay.count(), 1, "{kind:?}, seed {seed}");
            }
        }
    }

    fn clear(directory: &dyn Directory) {
        for name in names(directory).iter().filter(|name| *name != "." && *name != "..") {
            if let Ok(below) = open_directory(directory, name)
                && directory.path_filestat(path(name), false).unwrap().filetype
                    == Filetype::Directory
            {
                clear(&*below);
                directory.remove_directory(path(name)).unwrap();
            } else {
                directory.unlink_file(path(name)).unwrap();
            }
        }
    }

    /// Two names of one file that lies below were made two files by the rename of one to the other.
    #[test]
    fn names_of_one_file_below_stay_names_of_one_file() {
        for kind in KINDS {
            let mut pair = Pair::new(Setup { root: false, kind });
            pair.below(|pair| {
                pair.open(0, "f", CREATE).unwrap();
                pair.symlink(0, "text", "l").unwrap();
                for (old, new) in [("f", "g"), ("f", "h"), ("l", "m"), ("l", "n")] {
                    pair.link(0, old, false, 0, new).unwrap();
                }
            });
            pair.files.clear();
            for (old, new) in [("f", "g"), ("l", "m")] {
                pair.rename(0, old, 0, new).unwrap();
            }
            let _ = pair.list(0);
            let writing = OpenOptions { write: true, ..READ };
            pair.open(0, "f", READ).unwrap();
            pair.open(0, "h", writing).unwrap();
            pair.file(1, "write", |file, _| Ok(write(file, b"one")?.to_string())).unwrap();
            let read = pair.file(0, "read", |file, _| Ok(format!("{:?}", read(file, 9)?)));
            assert_eq!(read, Ok(format!("{:?}", b"one")));
            for name in ["f", "g", "h", "l", "m", "n"] {
                pair.stat(0, name, false).unwrap();
                pair.unlink(0, name).unwrap();
            }
            let _ = pair.file(0, "stat", |file, _| file.filestat().map(attributes));
        }
    }

    /// The file was cut before its bytes were read from it.
    #[test]
    fn times_of_a_file_with_two_names_are_committed_without_its_bytes() {
        let mut pair = Pair::new(Setup { root: false, kind: Kind::Over });
        pair.below(|pair| {
            pair.open(0, "f", CREATE).unwrap();
            pair.file(0, "write", |file, _| Ok(write(file, b"bytes")?.to_string())).unwrap();
            pair.link(0, "f", false, 0, "g").unwrap();
        });
        let times = SetTimes { atim: SetTime::At(1_000_000_000), mtim: SetTime::At(2_000_000_000) };
        pair.set_times(0, "f", false, times).unwrap();
        let Subject::Overlay { overlay, lower, before } = &mut pair.subject else { panic!() };
        assert_eq!(overlay.commit("", &mut { usize::MAX }).unwrap().len(), 1);
        for name in ["f", "g"] {
            let path = lower.0.join(name);
            assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            assert_eq!(modified, std::time::UNIX_EPOCH + std::time::Duration::from_secs(2));
        }
        before.clear();
    }

    #[test]
    fn no_file_goes_from_one_backend_to_the_other() {
        let mut pair = Pair::new(Setup { root: false, kind: Kind::Tree });
        pair.open(0, "f", CREATE).unwrap();
        let (host, tree) = &pair.directories[0];
        assert_eq!(host.rename(path("f"), &**tree, path("g")), Err(Errno::Xdev));
        assert_eq!(tree.rename(path("f"), &**host, path("g")), Err(Errno::Xdev));
        assert_eq!(host.link(path("f"), false, &**tree, path("g")), Err(Errno::Xdev));
        assert_eq!(tree.link(path("f"), false, &**host, path("g")), Err(Errno::Xdev));
    }
}
