//! Preopens inside preopens. Run once more without `openat2`.

use crate::support::host::MetadataExt;
use crate::support::{Guest, Open, Outcome, Setup, fails};
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Filetype, Oflags, Rights};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{
    Directory, GuestPath, Lazy, Nested, Opened, Preopen, PreopenOptions, SingleFile, Tree, View,
    nest, open_preopen,
};

/// The descriptors of the preopens, in their order.
const TOP: u32 = 3;

/// The kind of a test's preopen.
#[derive(Clone)]
enum What {
    Host(&'static str),
    LazyHost(&'static str),
    File(&'static str, &'static str),
    Memory(Tree),
}

#[derive(Clone)]
struct Mount {
    name: &'static str,
    what: What,
    read_only: bool,
    no_symlinks: bool,
}

fn mount(name: &'static str, what: What) -> Mount {
    Mount { name, what, read_only: false, no_symlinks: false }
}

fn host(guest: &Guest, path: &str, name: &str, no_symlinks: bool) -> Box<dyn Directory> {
    let options = PreopenOptions { root: name == "/", no_symlinks, ..PreopenOptions::default() };
    let Opened::Directory(directory) = open_preopen(&guest.temp.path(path), options).unwrap()
    else {
        unreachable!()
    };
    directory
}

fn add(guest: &Guest, mounts: &[Mount]) -> Option<View> {
    let preopens = mounts
        .iter()
        .map(|Mount { name, what, read_only, no_symlinks }| Preopen {
            name: (*name).to_owned(),
            directory: match what {
                What::Host(path) => host(guest, path, name, *no_symlinks),
                What::LazyHost(path) => {
                    let (path, temp) = (*path, Arc::clone(&guest.temp));
                    Box::new(Lazy::new(move || {
                        match open_preopen(&temp.path(path), PreopenOptions::default()) {
                            Ok(Opened::Directory(directory)) => Ok(directory),
                            _ => Err(Errno::Noent),
                        }
                    }))
                }
                What::File(path, name) => Box::new(
                    SingleFile::new(host(guest, path, "", false), name.as_bytes().to_vec())
                        .unwrap(),
                ),
                What::Memory(tree) => tree.root_directory(*name == "/"),
            },
            is_file: matches!(what, What::File(..)),
            read_only: *read_only,
            no_symlinks: *no_symlinks,
            is_lazy: matches!(what, What::LazyHost(_)),
            is_viewed: matches!(what, What::Memory(_)),
        })
        .collect();
    let (nested, view) = nest(preopens, || Tree::new(0));
    for Nested { name, directory, read_only } in nested {
        let preopen = Descriptor::preopen(Opened::Directory(directory), name.as_bytes());
        guest.ctx.table.insert(if read_only { preopen.read_only() } else { preopen }).unwrap();
    }
    view
}

fn names(guest: &mut Guest, fd: u32) -> Vec<String> {
    let mut names: Vec<String> = guest
        .list(fd, 200)
        .into_iter()
        .map(|entry| String::from_utf8(entry.name).unwrap())
        .collect();
    names.sort();
    names
}

fn list(guest: &mut Guest, fd: u32, path: &str) -> Outcome<Vec<String>> {
    let dir = guest.open(fd, path, Open::directory().follow())?;
    let names = names(guest, dir);
    guest.close(dir)?;
    Ok(names)
}

fn read(guest: &mut Guest, fd: u32, path: &str) -> Outcome<String> {
    let file = guest.open(fd, path, Open::reading().follow())?;
    let bytes = guest.read(file, &[100])?;
    guest.close(file)?;
    Ok(String::from_utf8(bytes).unwrap())
}

fn write(guest: &mut Guest, fd: u32, path: &str, text: &str) -> Outcome<()> {
    let file = guest.open(fd, path, Open::creating().follow())?;
    guest.write(file, &[text.as_bytes()])?;
    guest.close(file)
}

/// `/` is a directory of the host that has `proj`, which is covered; `/proj` another one, without
/// `cache`; `/proj/cache` a tree in memory; `/etc/hosts` a file, where the directory has nothing.
fn world() -> (Guest, Tree) {
    let guest = Setup::default().guest();
    let temp = &guest.temp;
    for dir in ["box/proj", "box/proj/hidden", "box/dir", "box/dir/sub", "proj", "proj/src"] {
        temp.create_dir(dir);
    }
    for (file, text) in [
        ("box/file", "outer"),
        ("box/proj/file", "covered"),
        ("box/proj/hidden/file", "covered"),
        ("box/dir/file", "in dir"),
        ("proj/file", "project"),
        ("proj/src/main", "source"),
        ("outside/hosts", "localhost"),
    ] {
        temp.write(file, text);
    }
    for (text, link) in [
        ("proj", "box/to-mount"),
        ("/proj/src", "box/to-mount-absolute"),
        ("proj/file", "box/to-file"),
        ("../../proj/cache", "box/dir/sub/to-cache"),
        ("/etc/hosts", "box/to-hosts"),
        ("../file", "proj/out"),
        ("../dir", "proj/out-dir"),
        ("../../outside/secret", "proj/way-out"),
        ("/file", "proj/absolute"),
        ("src/../../dir/../proj/src", "proj/round"),
    ] {
        temp.symlink(text, link);
    }
    let tree = Tree::new(1 << 20);
    tree.seed("entry", b"cached").unwrap();
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            mount("/proj", What::Host("proj")),
            mount("/proj/cache", What::Memory(tree.clone())),
            mount("/etc/hosts", What::File("outside", "hosts")),
        ],
    );
    (guest, tree)
}

#[test]
fn a_path_from_the_top_arrives_in_mounts_and_comes_back() {
    let (mut guest, _) = world();
    for (path, text) in [
        ("file", "outer"),
        ("proj/file", "project"),
        ("proj//src/main", "source"),
        ("proj/cache/entry", "cached"),
        ("proj/cache/../file", "project"),
        ("proj/cache/../../file", "outer"),
        ("proj/../file", "outer"),
        ("proj/../../../proj/file", "project"),
        ("dir/../proj/file", "project"),
        ("dir/sub/../../proj/cache/entry", "cached"),
        ("to-mount/file", "project"),
        ("to-mount/cache/entry", "cached"),
        ("to-mount/../file", "outer"),
        ("to-mount-absolute/main", "source"),
        ("to-mount-absolute/../cache/entry", "cached"),
        ("to-file", "project"),
        ("dir/sub/to-cache/entry", "cached"),
        ("dir/sub/to-cache/../file", "project"),
        ("proj/out", "outer"),
        ("proj/out-dir/file", "in dir"),
        ("proj/out-dir/../proj/cache/entry", "cached"),
        ("proj/absolute", "outer"),
        ("proj/round/main", "source"),
        ("etc/hosts", "localhost"),
        ("etc/../etc/hosts", "localhost"),
        ("to-hosts", "localhost"),
    ] {
        assert_eq!(read(&mut guest, TOP, path), Ok(text.to_owned()), "{path}");
        let size = text.len() as u64;
        assert_eq!(guest.path_filestat(TOP, path, true).map(|stat| stat.size), Ok(size), "{path}");
    }
    for path in ["proj/hidden", "proj/hidden/file", "to-mount/hidden", "dir/../proj/hidden/file"] {
        assert_eq!(read(&mut guest, TOP, path), fails(Errno::Noent), "{path} is covered");
        assert_eq!(guest.path_filestat(TOP, path, true), fails(Errno::Noent), "{path}");
    }
    for path in ["proj/way-out", "../outside/secret", "proj/../../outside/secret"] {
        assert_eq!(read(&mut guest, TOP, path), fails(Errno::Noent), "{path}");
    }
    for path in ["etc/hosts/", "etc/hosts/x", "etc/hosts/..", "to-hosts/"] {
        let result = read(&mut guest, TOP, path);
        assert_eq!(result, fails(Errno::Notdir), "{path}");
    }
}

#[test]
fn the_preopens_themselves_stay_what_they_were() {
    let (mut guest, _) = world();
    let (proj, cache, hosts) = (TOP + 1, TOP + 2, TOP + 3);
    assert_eq!(read(&mut guest, proj, "file"), Ok("project".into()));
    assert_eq!(read(&mut guest, proj, "cache/entry"), Ok("cached".into()));
    assert_eq!(read(&mut guest, cache, "entry"), Ok("cached".into()));
    assert_eq!(read(&mut guest, hosts, "."), Ok("localhost".into()));
    for path in ["..", "../file", "out", "out-dir/file", "absolute", "cache/../../file"] {
        assert_eq!(
            guest.path_filestat(proj, path, true),
            fails(Errno::Notcapable),
            "{path} leads out of the preopen"
        );
    }
    assert_eq!(guest.path_filestat(cache, "../file", true), fails(Errno::Notcapable));
    assert_eq!(guest.prestat_name(proj, 5), Ok(b"/proj".to_vec()));
}

#[test]
fn a_directory_that_is_held_leads_into_what_is_mounted_below_it() {
    let (mut guest, _) = world();
    let proj = guest.open(TOP, "proj", Open::directory()).unwrap();
    assert_eq!(read(&mut guest, proj, "cache/entry"), Ok("cached".into()));
    assert_eq!(guest.path_filestat(proj, "..", true), fails(Errno::Notcapable));
    let again = guest.open(proj, ".", Open::directory()).unwrap();
    assert_eq!(read(&mut guest, again, "cache/../cache/entry"), Ok("cached".into()));
    let etc = guest.open(TOP, "etc", Open::directory()).unwrap();
    assert_eq!(read(&mut guest, etc, "hosts"), Ok("localhost".into()));
    assert_eq!(names(&mut guest, etc), [".", "..", "hosts"]);
}

#[test]
fn a_listing_has_each_mount_once() {
    let (mut guest, _) = world();
    assert_eq!(
        list(&mut guest, TOP, ".").unwrap(),
        [
            ".",
            "..",
            "dir",
            "etc",
            "file",
            "proj",
            "to-file",
            "to-hosts",
            "to-mount",
            "to-mount-absolute"
        ]
    );
    let expected =
        [".", "..", "absolute", "cache", "file", "out", "out-dir", "round", "src", "way-out"];
    assert_eq!(list(&mut guest, TOP, "proj").unwrap(), expected);
    assert_eq!(names(&mut guest, TOP + 1), expected);
    assert_eq!(list(&mut guest, TOP, "proj/cache").unwrap(), [".", "..", "entry"]);
    for (path, fd) in [(".", TOP), ("proj", TOP), ("etc", TOP)] {
        let dir = guest.open(fd, path, Open::directory()).unwrap();
        for entry in guest.list(dir, 4096) {
            if entry.name == b".." {
                continue;
            }
            let stat = guest.path_filestat(dir, &entry.name, false).unwrap();
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            assert_eq!((entry.ino, entry.filetype), (stat.ino, stat.filetype), "{path}/{name}");
        }
    }
}

#[test]
fn a_listing_goes_on_at_any_cookie_while_the_directory_changes() {
    let (mut guest, _) = world();
    let all = guest.list(TOP, 4096);
    for (at, entry) in all.iter().enumerate() {
        let (rest, _) = guest.readdir(TOP, 4096, entry.next).unwrap();
        assert_eq!(rest, all[at + 1..], "behind {:?}", entry.name);
    }
    // Those of the mounts stay while names come and go.
    guest.temp.write("box/new", "");
    std::fs::remove_file(guest.temp.path("box/file")).unwrap();
    for (at, entry) in all.iter().enumerate().filter(|(_, entry)| entry.name == b"etc") {
        let (rest, _) = guest.readdir(TOP, 4096, entry.next).unwrap();
        assert_eq!(rest, all[at + 1..]);
    }
    // One entry at a time.
    let mut found = Vec::new();
    let mut cookie = 0;
    for _ in 0..100 {
        let (entries, _) = guest.readdir(TOP, 48, cookie).unwrap();
        let Some(entry) = entries.into_iter().next() else { break };
        cookie = entry.next;
        found.push(entry.name);
    }
    assert_eq!(found.len(), all.len());
}

#[test]
fn nothing_is_renamed_or_linked_across() {
    let (mut guest, tree) = world();
    for (old, new) in [
        ("file", "proj/new"),
        ("proj/file", "new"),
        ("proj/file", "proj/cache/new"),
        ("proj/cache/entry", "new"),
        ("dir", "proj/dir"),
        ("proj/src", "dir/src"),
        ("file", "to-mount/new"),
        ("file", "dir/sub/to-cache/new"),
    ] {
        assert_eq!(guest.rename(TOP, old, TOP, new), fails(Errno::Xdev), "{old} to {new}");
    }
    for (old, new) in [
        ("file", "proj/new"),
        ("proj/file", "new"),
        ("proj/cache/entry", "dir/new"),
        ("etc/hosts", "new"),
    ] {
        assert_eq!(guest.link(TOP, old, false, TOP, new), fails(Errno::Xdev), "{old} to {new}");
    }
    // Also by the descriptors of the two preopens, which are directories of one file system.
    assert_eq!(guest.rename(TOP, "file", TOP + 1, "new"), fails(Errno::Xdev));
    assert_eq!(guest.link(TOP + 1, "file", false, TOP, "new"), fails(Errno::Xdev));
    // Within one it works, from wherever it is named.
    guest.rename(TOP, "proj/file", TOP + 1, "renamed").unwrap();
    guest.link(TOP + 1, "renamed", false, TOP, "proj/src/linked").unwrap();
    assert_eq!(read(&mut guest, TOP, "proj/src/linked"), Ok("project".into()));
    guest.rename(TOP, "proj/cache/entry", TOP + 2, "moved").unwrap();
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["moved"]);
    assert_eq!(guest.temp.read("box/proj/file"), b"covered");
    // Nor between two trees of names, whose directories have the same places.
    guest.temp.create_dir("second");
    add(&guest, &[mount("/", What::Host("second")), mount("/in", What::Host("proj"))]);
    let second = TOP + 4;
    assert_eq!(guest.rename(TOP, "file", second, "new"), fails(Errno::Xdev));
    assert_eq!(guest.link(TOP, "file", false, second, "new"), fails(Errno::Xdev));
}

#[test]
fn a_mount_point_is_busy() {
    let (mut guest, _) = world();
    assert_eq!(guest.rmdir(TOP, "proj"), fails(Errno::Busy));
    assert_eq!(guest.rmdir(TOP, "proj/cache"), fails(Errno::Busy));
    assert_eq!(guest.rmdir(TOP, "proj/cache/"), fails(Errno::Busy));
    assert_eq!(guest.rmdir(TOP + 1, "cache"), fails(Errno::Busy));
    assert_eq!(guest.rmdir(TOP, "etc/hosts"), fails(Errno::Notdir));
    assert_eq!(guest.unlink(TOP, "etc/hosts"), fails(Errno::Busy));
    assert_eq!(guest.unlink(TOP, "proj"), fails(Errno::Isdir));
    for (old, new) in [
        ("proj", "other"),
        ("proj/", "other"),
        ("dir", "proj"),
        ("file", "proj"),
        ("etc", "other"),
        ("dir", "etc"),
        ("proj/src", "proj/cache"),
        ("proj/cache", "proj/other"),
    ] {
        assert_eq!(guest.rename(TOP, old, TOP, new), fails(Errno::Busy), "{old} to {new}");
    }
    for path in ["proj", "etc", "etc/hosts", "proj/cache"] {
        assert_eq!(guest.mkdir(TOP, path), fails(Errno::Exist), "{path}");
        assert_eq!(guest.symlink("x", TOP, path), fails(Errno::Exist), "{path}");
        assert!(guest.link(TOP, "file", false, TOP, path).is_err(), "{path}");
        let how = Open::creating().oflags(Oflags::CREAT | Oflags::EXCL);
        assert_eq!(guest.open(TOP, path, how), fails(Errno::Exist), "{path}");
    }
    assert_eq!(guest.rmdir(TOP, "etc"), fails(Errno::Busy));
    assert_eq!(guest.readlink(TOP, "proj", 10), fails(Errno::Inval));
    assert_eq!(guest.temp.tree("box/proj").len(), 4, "what is covered is as it was");
}

#[test]
fn what_stands_in_for_a_missing_directory_takes_nothing() {
    let (mut guest, _) = world();
    assert_eq!(write(&mut guest, TOP, "etc/new", ""), fails(Errno::Rofs));
    assert_eq!(guest.mkdir(TOP, "etc/new"), fails(Errno::Rofs));
    assert_eq!(guest.path_set_times(TOP, "etc", true, 1, 1, 5), fails(Errno::Rofs));
    // The host makes it.
    guest.temp.create_dir("box/etc");
    write(&mut guest, TOP, "etc/new", "made").unwrap();
    assert_eq!(guest.temp.read("box/etc/new"), b"made");
    assert_eq!(list(&mut guest, TOP, "etc").unwrap(), [".", "..", "hosts", "new"]);
    assert_eq!(guest.unlink(TOP, "etc/hosts"), fails(Errno::Busy));
    assert_eq!(guest.rmdir(TOP, "etc"), fails(Errno::Notempty));
    assert_eq!(guest.unlink(TOP, "etc"), fails(Errno::Isdir));
    assert_eq!(guest.rename(TOP, "etc", TOP, "other"), fails(Errno::Busy));
    // Something else has the name.
    std::fs::remove_dir_all(guest.temp.path("box/etc")).unwrap();
    guest.temp.write("box/etc", "a file");
    assert_eq!(list(&mut guest, TOP, "etc").unwrap(), [".", "..", "hosts"]);
    let listed = guest.list(TOP, 4096);
    let etc: Vec<_> = listed.iter().filter(|entry| entry.name == b"etc").collect();
    assert_eq!(etc.len(), 1);
    assert_eq!(etc[0].filetype, Filetype::Directory as u8);
}

#[test]
fn each_mount_is_read_only_for_itself() {
    let guest = Setup::default().guest();
    for dir in ["box/dir", "ro", "ro/dir", "ro/plain", "ro/plain/dir", "rw"] {
        guest.temp.create_dir(dir);
    }
    for dir in ["ro", "ro/plain"] {
        guest.temp.write(&format!("{dir}/file"), "fixed");
        guest.temp.symlink("file", &format!("{dir}/link"));
    }
    guest.temp.write("rw/file", "free");
    guest.temp.write("box/file", "outer");
    let mut guest = guest;
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            Mount { read_only: true, ..mount("/ro", What::Host("ro")) },
            mount("/ro/dir/rw", What::Host("rw")),
        ],
    );
    let refused = |guest: &mut Guest, fd: u32, prefix: &str| {
        let path = |name: &str| format!("{prefix}{name}");
        assert_eq!(write(guest, fd, &path("new"), ""), fails(Errno::Rofs));
        assert_eq!(write(guest, fd, &path("file"), ""), fails(Errno::Rofs));
        for oflags in [Oflags::TRUNC, Oflags::TRUNC | Oflags::CREAT] {
            let how = Open { base: Rights::FD_READ, oflags, ..Open::default().follow() };
            assert_eq!(guest.open(fd, path("file"), how), fails(Errno::Rofs));
        }
        // The error is the one that Linux gives for a file system that is mounted read-only.
        for (name, oflags, base, result) in [
            ("none", Oflags::empty(), Rights::FD_WRITE, Err(Errno::Noent)),
            ("none", Oflags::TRUNC, Rights::FD_READ, Err(Errno::Noent)),
            ("none", Oflags::CREAT, Rights::FD_READ, Err(Errno::Rofs)),
            ("none", Oflags::CREAT | Oflags::EXCL, Rights::FD_READ, Err(Errno::Rofs)),
            ("file", Oflags::CREAT, Rights::FD_READ, Ok(())),
            ("file", Oflags::empty(), Rights::FD_WRITE, Err(Errno::Rofs)),
            ("file", Oflags::CREAT | Oflags::EXCL, Rights::FD_READ, Err(Errno::Exist)),
            ("file", Oflags::DIRECTORY | Oflags::TRUNC, Rights::FD_READ, Err(Errno::Notdir)),
            ("dir", Oflags::CREAT, Rights::FD_READ, Err(Errno::Isdir)),
            ("dir", Oflags::TRUNC, Rights::FD_READ, Err(Errno::Isdir)),
            ("link", Oflags::empty(), Rights::FD_WRITE, Err(Errno::Loop)),
            ("link", Oflags::TRUNC, Rights::FD_READ, Err(Errno::Loop)),
            ("link", Oflags::CREAT | Oflags::EXCL, Rights::FD_READ, Err(Errno::Exist)),
        ] {
            let how = Open { oflags, base, ..Open::default() };
            let opened = guest.open(fd, path(name), how).map(|fd| guest.close(fd).unwrap());
            assert_eq!(opened, result.or_else(fails), "{prefix}{name}: {oflags:?}, {base:?}");
        }
        assert_eq!(guest.mkdir(fd, path("new")), fails(Errno::Rofs));
        assert_eq!(guest.mkdir(fd, path("dir")), fails(Errno::Exist));
        assert_eq!(guest.rmdir(fd, path("dir")), fails(Errno::Rofs));
        assert_eq!(guest.unlink(fd, path("file")), fails(Errno::Rofs));
        assert_eq!(guest.symlink("x", fd, path("new")), fails(Errno::Rofs));
        assert_eq!(guest.link(fd, path("file"), false, fd, path("new")), fails(Errno::Rofs));
        assert_eq!(guest.rename(fd, path("file"), fd, path("new")), fails(Errno::Rofs));
        assert_eq!(guest.path_set_times(fd, path("file"), true, 1, 1, 5), fails(Errno::Rofs));
        assert_eq!(guest.path_set_times(fd, path("dir"), true, 1, 1, 5), fails(Errno::Rofs));
        // A call that keeps both times changes nothing, so it is not refused.
        for name in ["file", "dir", "dir/."] {
            assert_eq!(guest.path_set_times(fd, path(name), true, 1, 1, 0), Ok(()), "{name}");
        }
        assert_eq!(guest.path_set_times(fd, path("none"), true, 1, 1, 0), fails(Errno::Noent));
        // With all rights but to write.
        let how = Open {
            base: Rights::REGULAR_FILE.difference(Rights::FD_WRITE),
            ..Open::default().follow()
        };
        let file = guest.open(fd, path("file"), how).unwrap();
        assert_eq!(guest.read(file, &[9]), Ok(b"fixed".to_vec()));
        assert_eq!(guest.set_times(file, 1, 1, 5), fails(Errno::Rofs));
        assert!(guest.set_size(file, 0).is_err());
        assert!(guest.allocate(file, 0, 100).is_err());
        assert!(guest.write(file, &[b"x"]).is_err());
        assert!(guest.pwrite(file, &[b"x"], 0).is_err());
        guest.close(file).unwrap();
        let dir = guest.open(fd, path("dir"), Open::directory()).unwrap();
        assert_eq!(guest.set_times(dir, 1, 1, 5), fails(Errno::Rofs));
        assert_eq!(guest.mkdir(dir, "new"), fails(Errno::Rofs));
        guest.close(dir).unwrap();
    };
    let before = guest.temp.tree("ro");
    refused(&mut guest, TOP, "ro/");
    refused(&mut guest, TOP, "dir/../ro/");
    // Nothing is mounted below.
    refused(&mut guest, TOP, "ro/plain/");
    refused(&mut guest, TOP + 1, "plain/");
    refused(&mut guest, TOP + 1, "");
    let held = guest.open(TOP, "ro", Open::directory()).unwrap();
    refused(&mut guest, held, "");
    assert_eq!(guest.temp.tree("ro"), before);
    // A writable mount in a read-only one can be changed, by each of its names.
    for (fd, path) in [(TOP, "ro/dir/rw/new"), (TOP + 1, "dir/rw/new"), (TOP + 2, "new")] {
        write(&mut guest, fd, path, "written").unwrap();
        assert_eq!(guest.temp.read("rw/new"), b"written");
        std::fs::remove_file(guest.temp.path("rw/new")).unwrap();
    }
    write(&mut guest, TOP, "new", "x").unwrap();
}

#[test]
fn an_outer_one_that_is_read_only_holds_inner_ones_that_are_not() {
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("box/work");
    let tree = Tree::new(1 << 20);
    add(
        &guest,
        &[
            Mount { read_only: true, ..mount("/", What::Host("box")) },
            mount("/work", What::Memory(tree.clone())),
        ],
    );
    write(&mut guest, TOP, "work/out", "result").unwrap();
    assert_eq!(tree.read_file("out").unwrap(), b"result");
    assert_eq!(write(&mut guest, TOP, "out", ""), fails(Errno::Rofs));
    assert_eq!(guest.rmdir(TOP, "work"), fails(Errno::Busy));
    assert_eq!(guest.temp.tree("box").len(), 2);
}

#[test]
fn a_preopen_is_read_only_if_all_is_that_lies_in_it() {
    for (inner_read_only, deep_read_only) in [(true, true), (true, false), (false, true)] {
        let guest = Setup::default().guest();
        let tree = Tree::new(0);
        let ro = |name, read_only| Mount { read_only, ..mount(name, What::Memory(tree.clone())) };
        let inner = ro("/dir/in", inner_read_only);
        add(&guest, &[ro("/", true), inner, ro("/dir/in/deep", deep_read_only), ro("/rw", false)]);
        assert!(!guest.ctx.table.get(TOP).unwrap().is_read_only(), "`/rw` lies in it");

        let guest = Setup::default().guest();
        let inner = ro("/dir/in", inner_read_only);
        add(&guest, &[ro("/", true), inner, ro("/dir/in/deep", deep_read_only)]);
        let all = inner_read_only && deep_read_only;
        assert_eq!(guest.ctx.table.get(TOP).unwrap().is_read_only(), all);
        assert_eq!(guest.ctx.table.get(TOP + 1).unwrap().is_read_only(), all);
        assert_eq!(guest.ctx.table.get(TOP + 2).unwrap().is_read_only(), deep_read_only);
    }
}

#[test]
fn opening_a_mount_point_is_opening_what_is_mounted() {
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("dir");
    guest.temp.write("outside/file", "text");
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            mount("/host", What::Host("dir")),
            mount("/tree", What::Memory(Tree::new(1 << 20))),
            mount("/file", What::File("outside", "file")),
            Mount { read_only: true, ..mount("/fixed", What::File("outside", "secret")) },
        ],
    );
    let isdir = Err(Errno::Isdir);
    for (oflags, base, directory, file, fixed) in [
        (Oflags::empty(), Rights::FD_READ, Ok(()), Ok(()), Ok(())),
        (Oflags::CREAT, Rights::FD_READ, isdir, Ok(()), Ok(())),
        (Oflags::empty(), Rights::FD_WRITE, isdir, Ok(()), Err(Errno::Rofs)),
        (Oflags::CREAT, Rights::FD_WRITE, isdir, Ok(()), Err(Errno::Rofs)),
        (Oflags::TRUNC, Rights::FD_READ, isdir, Ok(()), Err(Errno::Rofs)),
        (Oflags::TRUNC, Rights::FD_WRITE, isdir, Ok(()), Err(Errno::Rofs)),
        (Oflags::DIRECTORY, Rights::FD_READ, Ok(()), Err(Errno::Notdir), Err(Errno::Notdir)),
    ] {
        for (path, result) in [
            ("host", directory),
            ("host/.", directory),
            ("tree", directory),
            ("tree/.", directory),
            ("file", file),
            ("fixed", fixed),
        ] {
            let how = Open { oflags, base, ..Open::default() };
            let opened = guest.open(TOP, path, how).map(|fd| guest.close(fd).unwrap());
            assert_eq!(opened, result.or_else(fails), "{path}: {oflags:?}, {base:?}");
        }
    }
    assert_eq!(guest.temp.read("outside/file"), b"", "it was truncated");
    assert_eq!(guest.temp.read("outside/secret"), b"secret");
    write(&mut guest, TOP, "file", "new").unwrap();
    assert_eq!(guest.temp.read("outside/file"), b"new");
}

#[test]
fn the_times_of_a_mount_point_are_those_of_what_is_mounted() {
    let (mut guest, _) = world();
    let covered = guest.temp.stat("box/proj").mtime();
    let mut seconds = 1000;
    for (path, is_file, below) in [
        ("proj", false, Some("proj")),
        ("proj/", false, Some("proj")),
        ("proj/.", false, Some("proj")),
        ("proj/src", false, Some("proj/src")),
        ("proj/src/main", true, Some("proj/src/main")),
        ("proj/cache", false, None),
        ("proj/cache/.", false, None),
        ("proj/cache/entry", true, None),
        ("etc/hosts", true, Some("outside/hosts")),
        (".", false, Some("box")),
        ("dir/..", false, Some("box")),
    ] {
        seconds += 1;
        let time = u64::try_from(seconds).unwrap() * 1_000_000_000;
        guest.path_set_times(TOP, path, true, 0, time, 4).unwrap();
        let stat = guest.path_filestat(TOP, path, true).unwrap();
        assert_eq!(stat.mtim, time, "{path}");
        assert_eq!(stat.filetype == Filetype::RegularFile as u8, is_file, "{path}");
        if let Some(below) = below {
            assert_eq!(guest.temp.stat(below).mtime(), seconds, "{path}");
        }
    }
    assert_eq!(guest.temp.stat("box/proj").mtime(), covered);
}

#[test]
fn a_preopen_beside_nested_ones_does_what_it_does_alone() {
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("alone");
    add(
        &guest,
        &[
            mount("/a", What::Host("box")),
            mount("/a/b", What::Host("outside")),
            mount("/alone", What::Host("alone")),
        ],
    );
    let alone = TOP + 2;
    write(&mut guest, alone, "file", "text").unwrap();
    assert_eq!(guest.filestat(alone).unwrap().ino, guest.temp.stat("alone").ino());
    guest.set_times(alone, 0, 7_000_000_000, 4).unwrap();
    assert_eq!(guest.temp.stat("alone").mtime(), 7);
    guest.path_set_times(alone, "file", false, 0, 8_000_000_000, 4).unwrap();
    assert_eq!(guest.path_filestat(alone, "file", false).unwrap().mtim, 8_000_000_000);
    guest.mkdir(alone, "dir").unwrap();
    guest.symlink("file", alone, "link").unwrap();
    assert_eq!(guest.readlink(alone, "link", 9), Ok(b"file".to_vec()));
    guest.link(alone, "file", false, alone, "linked").unwrap();
    guest.rename(alone, "linked", alone, "renamed").unwrap();
    assert_eq!(names(&mut guest, alone), [".", "..", "dir", "file", "link", "renamed"]);
    assert_eq!(guest.temp.read("alone/renamed"), b"text");
    guest.rmdir(alone, "dir").unwrap();
    for path in ["file", "link", "renamed"] {
        guest.unlink(alone, path).unwrap();
    }
    assert_eq!(names(&mut guest, alone), [".", ".."]);
    guest.sync(alone).unwrap();
}

#[test]
fn where_one_denies_symbolic_links_the_others_have_theirs() {
    let mut guest = Setup::default().guest();
    for dir in ["strict", "strict/dir", "box/dir"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("strict/dir/file", "x");
    guest.temp.symlink("dir", "strict/link");
    guest.temp.symlink("strict/dir", "box/to-strict");
    guest.temp.symlink("strict/link", "box/to-link");
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            Mount { no_symlinks: true, ..mount("/strict", What::Host("strict")) },
        ],
    );
    assert_eq!(read(&mut guest, TOP, "to-strict/file"), Ok("x".into()));
    for path in ["strict/link/file", "to-link/file", "dir/../strict/link/file"] {
        assert_eq!(read(&mut guest, TOP, path), fails(Errno::Loop), "{path}");
    }
    assert_eq!(guest.symlink("dir", TOP, "strict/new"), fails(Errno::Perm));
    assert_eq!(guest.rename(TOP, "strict/link", TOP, "strict/new"), fails(Errno::Perm));
    assert_eq!(guest.rename(TOP, "to-strict", TOP, "strict/new"), fails(Errno::Xdev));
    guest.symlink("dir", TOP, "new").unwrap();
}

#[test]
fn a_mount_lies_where_the_links_on_its_way_lead() {
    let mut guest = Setup::default().guest();
    for dir in ["box/real", "box/real/sub", "mnt"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/real/file", "real");
    guest.temp.write("mnt/file", "mounted");
    guest.temp.symlink("real", "box/link");
    guest.temp.symlink("../outside", "box/out");
    guest.temp.symlink("loop", "box/loop");
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            mount("/link/sub", What::Host("mnt")),
            mount("/link/new", What::Host("mnt")),
            mount("/out/in", What::Host("mnt")),
            mount("/loop/in", What::Host("mnt")),
        ],
    );
    for path in [
        "link/sub/file",
        "real/sub/file",
        "link/new/file",
        "real/new/file",
        "out/in/file",
        "link/sub/../sub/file",
    ] {
        assert_eq!(read(&mut guest, TOP, path), Ok("mounted".into()), "{path}");
    }
    assert_eq!(read(&mut guest, TOP, "link/file"), Ok("real".into()));
    assert_eq!(list(&mut guest, TOP, "link").unwrap(), [".", "..", "file", "new", "sub"]);
    assert_eq!(guest.rename(TOP, "real", TOP, "other"), fails(Errno::Busy));
    assert_eq!(read(&mut guest, TOP, "out/secret"), fails(Errno::Noent));
}

/// A guest with a preopen `top` that has `links`, texts before names, beside `real/sub`, in which
/// `mnt` is mounted as `point`.
fn behind_links(top: &'static str, links: &[(&str, &str)], point: &'static str) -> Guest {
    let guest = Setup::default().guest();
    for dir in ["box/real", "box/real/sub", "mnt"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("mnt/file", "mounted");
    for (text, link) in links {
        guest.temp.symlink(text, &format!("box/{link}"));
    }
    add(&guest, &[mount(top, What::Host("box")), mount(point, What::Host("mnt"))]);
    guest
}

#[test]
fn each_kind_of_link_leads_to_a_mount_point() {
    for (top, links, point, place) in [
        // Absolute ones lead from a root, and `..` stays in it.
        ("/", &[("/real", "a")][..], "/a/in", "real/in"),
        ("/", &[("///real//./sub//", "a")], "/a/in", "real/sub/in"),
        ("/", &[("/", "real/up")], "/real/up/real/in", "real/in"),
        ("/", &[("/real", "real/sub/a")], "/real/sub/a/in", "real/in"),
        ("/", &[("../../real", "a")], "/a/in", "real/in"),
        ("/", &[("../../..", "real/sub/up")], "/real/sub/up/real/in", "real/in"),
        // Elsewhere, relative ones do that stay below the preopen.
        ("/p", &[("real/sub/..", "a")], "/p/a/in", "real/in"),
        ("/p", &[("..", "real/sub/up")], "/p/real/sub/up/in", "real/in"),
        (".", &[("real", "a")], "a/in", "real/in"),
        ("q/p", &[("real/../real/.", "a")], "q/p/a/in", "real/in"),
        // Links behind links, and a link in the mount point's own place.
        ("/", &[("b", "a"), ("real/c", "b"), ("sub", "real/c")], "/a/in", "real/sub/in"),
        ("/", &[("real/sub", "a")], "/a", "real/sub"),
        ("/", &[("b", "a"), ("real/none", "b")], "/a", "real/none"),
        ("/", &[("none", "a")], "/a/in", "none/in"),
        ("/", &[("none/./more", "a")], "/a//in", "none/more/in"),
    ] {
        let guest = &mut behind_links(top, links, point);
        let path = format!("{place}/file");
        assert_eq!(read(guest, TOP, &path), Ok("mounted".into()), "{top}: {point}");
        let by_name = point.strip_prefix(top).unwrap_or(point).trim_start_matches('/');
        let by_name = format!("{by_name}/file");
        assert_eq!(read(guest, TOP, &by_name), Ok("mounted".into()), "{top}: {point}");
        let (above, name) = place.rsplit_once('/').unwrap();
        // The folder has it even if the folder of the host lacks it.
        assert!(list(guest, TOP, above).unwrap().contains(&name.to_owned()), "{top}: {point}");
        let stat = guest.path_filestat(TOP, place, false).unwrap();
        assert_eq!(Ok(stat.ino), guest.filestat(TOP + 1).map(|stat| stat.ino), "{top}: {point}");
        assert_eq!(guest.rmdir(TOP, place), fails(Errno::Busy), "{top}: {point}");
        let new = format!("{place}-new");
        assert_eq!(guest.rename(TOP, place, TOP, new), fails(Errno::Busy), "{top}: {point}");
    }
}

/// The mount is not put anywhere else, either.
#[test]
fn a_link_that_leads_nowhere_hides_a_mount_point() {
    for (top, links, point, place, errno) in [
        // Out of a preopen that is no root.
        ("/p", &[("/real", "a")][..], "/p/a/in", "real/in", Errno::Notcapable),
        (".", &[("/real", "a")], "a/in", "real/in", Errno::Notcapable),
        ("/p", &[("../real", "a")], "/p/a/in", "real/in", Errno::Notcapable),
        (".", &[("real/../../real", "a")], "a/in", "real/in", Errno::Notcapable),
        // What is not there has no directory above.
        ("/", &[("none/../real", "a")], "/a/in", "real/in", Errno::Noent),
        ("/", &[("b", "a"), ("a", "b")], "/a/in", "real/in", Errno::Loop),
    ] {
        let guest = &mut behind_links(top, links, point);
        assert_eq!(guest.path_filestat(TOP, place, true), fails(Errno::Noent), "{top}: {point}");
        let stat = guest.path_filestat(TOP, "a/in/file", true);
        assert_eq!(stat, fails(errno), "{top}: {point}");
        // By its own descriptor it is there.
        assert_eq!(read(guest, TOP + 1, "file"), Ok("mounted".into()), "{top}: {point}");
        assert_eq!(list(guest, TOP, "real").unwrap(), [".", "..", "sub"], "{top}: {point}");
        assert!(!list(guest, TOP, ".").unwrap().contains(&"none".into()), "{top}: {point}");
    }
    // The place of the preopen around it is taken.
    let guest = &mut behind_links("/", &[(".", "a")], "/a");
    assert_eq!(list(guest, TOP, ".").unwrap(), [".", "..", "a", "real"]);
    assert_eq!(read(guest, TOP, "a/file"), Ok("mounted".into()));
    // Nothing is opened to look for links in what is opened when it is used.
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("later");
    guest.temp.create_dir("later/real");
    guest.temp.symlink("real", "later/a");
    add(&guest, &[mount("/p", What::LazyHost("later")), mount("/p/a/in", What::Host("outside"))]);
    assert_eq!(list(&mut guest, TOP, "real").unwrap(), [".", ".."]);
}

#[test]
fn as_many_links_lead_to_a_mount_point_as_to_a_file() {
    for (count, is_found) in [(40, true), (41, false)] {
        let names: Vec<String> = (1..count).map(|number| format!("l{number}")).collect();
        let texts = std::iter::once("real").chain(names.iter().map(String::as_str));
        let links: Vec<(&str, &str)> =
            texts.zip(names.iter().map(String::as_str).chain(["a"])).collect();
        assert_eq!(links.len(), count);
        let guest = &mut behind_links("/", &links, "/a/in");
        assert_eq!(read(guest, TOP, "real/in/file").is_ok(), is_found, "{count}");
        let found = read(guest, TOP, "a/in/file");
        assert_eq!(found, if is_found { Ok("mounted".into()) } else { fails(Errno::Loop) });
    }
}

#[test]
fn a_file_behind_a_link_is_covered() {
    let mut guest = Setup::default().guest();
    for dir in ["box/private", "box/private/etc"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/private/etc/hosts", "the host's");
    guest.temp.write("box/private/name", "the host's");
    guest.temp.write("outside/hosts", "the guest's");
    guest.temp.symlink("private/etc", "box/etc");
    guest.temp.symlink("../name", "box/private/etc/name");
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            mount("/etc/hosts", What::File("outside", "hosts")),
            mount("/etc/name", What::File("outside", "hosts")),
        ],
    );
    for path in ["etc/hosts", "private/etc/hosts", "etc/name", "private/name"] {
        assert_eq!(read(&mut guest, TOP, path), Ok("the guest's".into()), "{path}");
    }
    // The link itself is as it was.
    assert_eq!(guest.readlink(TOP, "etc/name", 20), Ok(b"../name".to_vec()));
    assert_eq!(guest.unlink(TOP, "private/name"), fails(Errno::Busy));
    assert_eq!(guest.temp.read("box/private/name"), b"the host's");
    // A file on the way to a mount is covered by an empty directory, as without a link.
    let mut guest = Setup::default().guest();
    for dir in ["box/real", "mnt"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/real/way", "covered");
    guest.temp.write("mnt/file", "mounted");
    guest.temp.symlink("real", "box/link");
    add(&guest, &[mount("/", What::Host("box")), mount("/link/way/in", What::Host("mnt"))]);
    for path in ["link/way/in/file", "real/way/in/file"] {
        assert_eq!(read(&mut guest, TOP, path), Ok("mounted".into()), "{path}");
    }
    assert_eq!(list(&mut guest, TOP, "real/way").unwrap(), [".", "..", "in"]);
}

/// The directories that stand in for missing ones, and mounts, are on the way to others.
#[test]
fn a_link_leads_through_other_mounts_to_a_mount_point() {
    let mut guest = Setup::default().guest();
    for dir in ["one", "one/real", "one/real/sub", "two", "two/deep", "three"] {
        guest.temp.create_dir(dir);
    }
    for (file, text) in [("two/file", "two"), ("two/deep/file", "deep"), ("three/file", "three")] {
        guest.temp.write(file, text);
    }
    for (text, link) in [
        ("missing", "box/link"),
        (".", "box/here"),
        ("mnt/one/to-real", "box/to-one"),
        ("real/sub", "one/to-real"),
        ("../..", "one/out"),
        ("/mnt/two/deep", "one/to-two"),
        ("loop", "two/loop"),
        ("/mnt/two/one", "one/two"),
        ("/mnt/one/two", "two/one"),
    ] {
        guest.temp.symlink(text, link);
    }
    add(
        &guest,
        &[
            mount("/", What::Host("box")),
            mount("/mnt/one", What::Host("one")),
            mount("/mnt/two", What::Host("two")),
            // `missing` is in no directory of the host.
            mount("/missing/a", What::Host("two")),
            mount("/here/missing/b", What::Host("three")),
            mount("/link/a/deep/c", What::Host("three")),
            mount("/here/to-one/in/d", What::Host("three")),
            mount("/mnt/one/out/missing/e", What::Host("three")),
            mount("/here/mnt/one/to-two/f/g", What::Host("three")),
        ],
    );
    for (path, text) in [
        ("missing/a/file", "two"),
        ("link/a/deep/file", "deep"),
        ("missing/b/file", "three"),
        ("here/missing/b/file", "three"),
        ("missing/a/deep/c/file", "three"),
        ("missing/b/../a/deep/c/../file", "deep"),
        ("mnt/one/real/sub/in/d/file", "three"),
        ("to-one/in/d/file", "three"),
        ("missing/e/file", "three"),
        ("mnt/two/deep/f/g/file", "three"),
        ("mnt/one/to-two/f/g/../../file", "deep"),
        ("mnt/one/out/mnt/two/file", "two"),
        ("mnt/one/real/sub/in/d/../../../../out/mnt/two/file", "two"),
    ] {
        assert_eq!(read(&mut guest, TOP, path), Ok(text.into()), "{path}");
    }
    for (path, names) in [
        ("missing", &[".", "..", "a", "b", "e"][..]),
        ("link", &[".", "..", "a", "b", "e"]),
        ("mnt/one/real/sub", &[".", "..", "in"]),
        ("mnt/one/real/sub/in", &[".", "..", "d"]),
        ("mnt", &[".", "..", "one", "two"]),
    ] {
        assert_eq!(list(&mut guest, TOP, path).unwrap(), names, "{path}");
    }
    // A link in the last place, with and without following it.
    for (path, text) in [("mnt/one/to-two", "/mnt/two/deep"), ("to-one", "mnt/one/to-real")] {
        let link = guest.path_filestat(TOP, path, false).unwrap();
        assert_eq!(link.filetype, Filetype::SymbolicLink as u8, "{path}");
        let target = guest.path_filestat(TOP, path, true).unwrap();
        assert_eq!(target.filetype, Filetype::Directory as u8, "{path}");
        assert_eq!(guest.readlink(TOP, path, 50), Ok(text.into()), "{path}");
        assert_eq!(guest.open(TOP, path, Open::default()), fails(Errno::Loop), "{path}");
    }
    for path in ["mnt/two/loop", "mnt/one/two", "mnt/two/one/file", "mnt/two/loop/file"] {
        assert_eq!(guest.path_filestat(TOP, path, true), fails(Errno::Loop), "{path}");
        assert_eq!(read(&mut guest, TOP, path), fails(Errno::Loop), "{path}");
    }
    // Across by a link. One directory that is mounted twice is two places.
    for (old, new) in [
        ("mnt/two/file", "mnt/one/out/new"),
        ("mnt/two/file", "mnt/one/new"),
        ("mnt/one/to-two/file", "mnt/one/new"),
        ("mnt/two/file", "link/a/new"),
    ] {
        assert_eq!(guest.rename(TOP, old, TOP, new), fails(Errno::Xdev), "{old} to {new}");
        assert_eq!(guest.link(TOP, old, false, TOP, new), fails(Errno::Xdev), "{old} to {new}");
    }
    guest.rename(TOP, "mnt/one/to-two/file", TOP, "mnt/two/moved").unwrap();
    assert_eq!(guest.temp.read("two/moved"), b"deep");
}

#[test]
fn a_view_shows_what_is_in_memory() {
    let guest = Setup::default().guest();
    guest.temp.write("box/file", "the host's");
    guest.temp.create_dir("box/dir");
    let [top, inner] = [(); 2].map(|()| Tree::new(1 << 20));
    top.seed("dir/file", b"outer").unwrap();
    top.seed("dir/in/file", b"covered").unwrap();
    inner.seed("deep/file", b"inner").unwrap();
    let root = top.root_directory(true);
    for (text, link) in [
        ("dir/in/deep", "link"),
        ("/dir/in/deep/file", "absolute"),
        ("loop", "loop"),
        ("../dir/file", "dir/up"),
    ] {
        root.symlink(text.as_bytes(), GuestPath::new(link.as_bytes()).unwrap()).unwrap();
    }
    let mounts = [
        mount("/", What::Memory(top.clone())),
        mount("/dir/in", What::Memory(inner.clone())),
        mount("/dir/host", What::Host("box")),
        mount("/dir/one", What::File("box", "file")),
        mount("alone", What::Memory(Tree::new(0))),
    ];
    let view = add(&guest, &mounts).unwrap();
    let read = |preopen, path: &str, root| {
        let bytes = view.read(preopen, GuestPath::new(path.as_bytes()).unwrap(), root)?;
        Some(bytes.map(|bytes| String::from_utf8(bytes).unwrap()))
    };
    for (preopen, path, result) in [
        (0, "dir/file", Ok("outer")),
        (0, "dir/in/deep/file", Ok("inner")),
        (0, "dir/in/deep/../../file", Ok("outer")),
        (0, "link/file", Ok("inner")),
        (0, "absolute", Ok("inner")),
        (0, "dir/up", Ok("outer")),
        (0, "../dir/file", Ok("outer")),
        (1, "deep/file", Ok("inner")),
        (0, "dir/in/file", Err(Errno::Noent)),
        (0, "dir", Err(Errno::Isdir)),
        (0, "dir/in", Err(Errno::Isdir)),
        (0, ".", Err(Errno::Isdir)),
        (0, "loop", Err(Errno::Loop)),
        (0, "dir/file/", Err(Errno::Notdir)),
        // What is of the host is not shown.
        (0, "dir/host/file", Err(Errno::Noent)),
        (2, "file", Err(Errno::Noent)),
        (0, "dir/host", Err(Errno::Isdir)),
        (0, "dir/one", Err(Errno::Isdir)),
        (0, "dir/one/none", Err(Errno::Noent)),
    ] {
        assert_eq!(read(preopen, path, true), Some(result.map(str::to_owned)), "{preopen}: {path}");
    }
    assert_eq!(read(0, "absolute", false), Some(Err(Errno::Notcapable)));
    assert_eq!(read(1, "../file", false), Some(Err(Errno::Notcapable)));
    for preopen in [4, 5, usize::MAX] {
        assert_eq!(read(preopen, "file", false), None, "{preopen}");
        assert!(!view.is_covered(preopen, "dir/in"), "{preopen}");
    }
    for (preopen, path, is_covered) in [
        (0, "dir", false),
        (0, "dir/file", false),
        (0, "in", false),
        (0, "", false),
        (0, "dir/in", true),
        (0, "//dir//in/", true),
        (0, "dir/in/file", true),
        (0, "dir/host/none", true),
        (0, "dir/one", true),
        (1, "deep/file", false),
        (1, "in", false),
    ] {
        assert_eq!(view.is_covered(preopen, path), is_covered, "{preopen}: {path}");
    }
    // Preopens of which none lies in another have none.
    assert!(add(&guest, &mounts[3..]).is_none());
}

#[test]
fn names_that_do_not_nest_are_left_alone() {
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("box/b");
    guest.temp.create_dir("other");
    guest.temp.write("box/file", "x");
    add(
        &guest,
        &[
            mount("/a", What::Host("box")),
            mount("/ab", What::Host("other")),
            mount("a/b", What::Host("other")),
            mount("/a/../a/b", What::Host("other")),
        ],
    );
    assert_eq!(names(&mut guest, TOP), [".", "..", "b", "file"]);
    // Two directories of one file system, as ever.
    guest.rename(TOP, "file", TOP + 1, "moved").unwrap();
    assert_eq!(guest.temp.read("other/moved"), b"x");
}

#[test]
fn relative_names_nest_too() {
    let mut guest = Setup::default().guest();
    guest.temp.create_dir("in");
    guest.temp.write("in/file", "inner");
    add(&guest, &[mount(".", What::Host("box")), mount("./a//b/", What::Host("in"))]);
    assert_eq!(read(&mut guest, TOP, "a/b/file"), Ok("inner".into()));
    assert_eq!(guest.path_filestat(TOP, "a/../..", true), fails(Errno::Notcapable));
    assert_eq!(names(&mut guest, TOP), [".", "..", "a"]);
}

#[test]
fn trees_hold_directories_of_the_host_and_are_opened_when_they_are_used() {
    let mut guest = Setup::default().guest();
    let tree = Tree::new(1 << 20);
    tree.seed("dir/file", b"memory").unwrap();
    add(
        &guest,
        &[
            mount("/", What::Memory(tree.clone())),
            mount("/dir/host", What::Host("box")),
            mount("/later", What::LazyHost("later")),
            mount("/later/in", What::Host("outside")),
        ],
    );
    write(&mut guest, TOP, "dir/host/new", "made").unwrap();
    assert_eq!(guest.temp.read("box/new"), b"made");
    assert_eq!(guest.rename(TOP, "dir/file", TOP, "dir/host/file"), fails(Errno::Xdev));
    assert_eq!(list(&mut guest, TOP, ".").unwrap(), [".", "..", "dir", "later"]);
    assert_eq!(guest.open(TOP, "later", Open::directory()), fails(Errno::Noent));
    assert_eq!(read(&mut guest, TOP, "later/in/secret"), Ok("secret".into()));
    guest.temp.create_dir("later");
    write(&mut guest, TOP, "later/file", "now").unwrap();
    assert_eq!(list(&mut guest, TOP, "later").unwrap(), [".", "..", "file", "in"]);
    assert_eq!(guest.temp.read("later/file"), b"now");
    assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), ["dir/file"]);
}

/// While the host renames the directory that holds a mount point and puts a link out in its place,
/// no path leads outside or to what is covered.
#[test]
fn the_longest_link_is_read_as_a_whole() {
    let (mut guest, _) = world();
    // 4095 bytes.
    let text = "./".repeat(2045) + "filed";
    guest.temp.write("box/filed", "found");
    guest.temp.symlink(&text, "box/longest");
    for path in ["longest", "dir/../longest"] {
        assert_eq!(read(&mut guest, TOP, path), Ok("found".into()), "{path}");
    }
}

/// The host fails with `ENXIO` where a socket is opened, and with `ENOTDIR` where a directory is
/// asked for.
#[cfg(unix)]
#[test]
fn what_is_no_directory_is_not_opened_as_one() {
    let (mut guest, _) = world();
    let _socket = std::os::unix::net::UnixListener::bind(guest.temp.path("box/sock")).unwrap();
    for path in ["sock/x", "sock/..", "dir/../sock/x", "sock/"] {
        assert_eq!(guest.path_filestat(TOP, path, true), fails(Errno::Notdir), "{path}");
    }
}

#[test]
fn a_mount_that_has_no_serial_number_gets_one_that_no_file_has() {
    let mut guest = Setup::default().guest();
    add(&guest, &[mount("/", What::Host("box")), mount("/in", What::LazyHost("none"))]);
    let entries = guest.list(TOP, 4096);
    let entry = entries.iter().find(|entry| entry.name == b"in").unwrap();
    assert_eq!((entry.ino >> 48, entry.filetype), (1, Filetype::Directory as u8));
}

#[test]
fn a_directory_is_written_to_the_device_of_what_is_mounted() {
    let mut guest = Setup::default().guest();
    let none = What::LazyHost("none");
    let (top, alone) = (mount("/", none.clone()), mount("alone", none));
    add(&guest, &[top, mount("/in", What::Host("box")), alone]);
    guest.sync(TOP + 1).unwrap();
    assert_eq!(guest.sync(TOP), fails(Errno::Noent), "it cannot be opened");
    assert_eq!(guest.sync(TOP + 2), fails(Errno::Noent));
}

#[test]
fn renames_of_the_directory_above_lead_nowhere_else() {
    let mut guest = Setup::default().guest();
    for dir in ["box/a", "box/a/m", "mnt", "outside/m"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/a/m/file", "covered");
    guest.temp.write("mnt/file", "mounted");
    guest.temp.write("outside/m/file", "secret");
    add(&guest, &[mount("/", What::Host("box")), mount("/a/m", What::Host("mnt"))]);
    let held = guest.open(TOP, "a", Open::directory()).unwrap();
    let temp = Arc::clone(&guest.temp);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let host = std::thread::spawn(move || {
        let [a, b] = ["box/a", "box/b"].map(|path| temp.path(path));
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            std::fs::rename(&a, &b).unwrap();
            temp.symlink("../outside", "box/a");
            std::fs::remove_file(&a).unwrap();
            std::fs::rename(&b, &a).unwrap();
        }
    });
    let mut found = 0;
    for round in 0..3000 {
        let (fd, path) = [(TOP, "a/m/file"), (TOP, "a/../a/m/file"), (held, "m/file")][round % 3];
        match read(&mut guest, fd, path) {
            Ok(text) => {
                assert_eq!(text, "mounted", "{path}");
                found += 1;
            }
            Err(_) => assert_ne!(fd, held, "a held directory keeps what is mounted in it"),
        }
        // By the other name, it is a directory as any.
        if let Ok(text) = read(&mut guest, TOP, "b/m/file") {
            assert_eq!(text, "covered");
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    host.join().unwrap();
    assert!(found > 1000, "{found}");
}

/// The next of a row of numbers that look random and are always the same.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

/// A tree of mounts is, to who looks, the tree that it would be as one directory.
#[test]
fn random_paths_lead_where_they_would_without_mounts() {
    const PARTS: &[&str] = &[
        "a", "b", "c", "m", "n", "f", "..", "..", ".", "", "la", "lm", "ln", "up", "root", "none",
        "new", "lf",
    ];
    let mut guest = Setup::default().guest();
    // One directory with all of it, and the same in pieces, with something else below each mount.
    let pieces = [("one", ["", "a/m", "a/m/c/n", "b/n"]), ("piece", ["", "0", "1", "2"])];
    let contents = [
        ("", ["a", "a/b", "b", "b/c"].as_slice()),
        ("a/m", &["a", "c", "c/b"]),
        ("a/m/c/n", &["a", "b"]),
        ("b/n", &["a", "a/c"]),
    ];
    let links = [
        ("a", "la"),
        ("a/m", "lm"),
        ("b/n/../../a/m/c/n", "ln"),
        ("..", "up"),
        ("/", "root"),
        ("f", "lf"),
        ("../f", "a/lf"),
        ("/a/m/f", "a/ln"),
        ("../..", "a/up"),
    ];
    for (top, places) in pieces {
        guest.temp.create_dir(top);
        for (number, ((place, dirs), other)) in contents.iter().zip(places).enumerate() {
            let base = if top == "one" { format!("one/{place}") } else { format!("piece{other}") };
            if number > 0 {
                guest.temp.create_dir(&base);
            }
            for dir in *dirs {
                guest.temp.create_dir(&format!("{base}/{dir}"));
            }
            for dir in dirs.iter().chain(&[""]) {
                guest.temp.write(&format!("{base}/{dir}/f"), format!("{number}{dir}"));
            }
            for (text, link) in links {
                guest.temp.symlink(text, &format!("{base}/{link}"));
            }
        }
    }
    // The files that the mounts cover.
    for (cover, text) in [("piece/a/m", "covered"), ("piece0/c/n", "covered")] {
        guest.temp.create_dir(cover);
        guest.temp.write(&format!("{cover}/f"), text);
        guest.temp.create_dir(&format!("{cover}/b"));
    }
    add(&guest, &[mount("/", What::Host("one"))]);
    add(
        &guest,
        &[
            mount("/", What::Host("piece")),
            mount("/a/m", What::Host("piece0")),
            mount("/a/m/c/n", What::Host("piece1")),
            mount("/b/n", What::Host("piece2")),
        ],
    );
    let (one, many) = (TOP, TOP + 1);
    let (mut state, mut found, mut refused) = (7, 0, 0);
    for step in 0..6000 {
        let parts: Vec<&str> =
            (0..=next(&mut state) % 6).map(|_| PARTS[next(&mut state) % PARTS.len()]).collect();
        let path = parts.join("/");
        let follow = next(&mut state).is_multiple_of(2);
        let act = next(&mut state) % 8;
        let [expected, got] = [one, many].map(|fd| -> Outcome<String> {
            match act {
                0 | 1 => {
                    let stat = guest.path_filestat(fd, &path, follow)?;
                    let size =
                        if stat.filetype == Filetype::Directory as u8 { 0 } else { stat.size };
                    Ok(format!("{} {size}", stat.filetype))
                }
                2 | 3 => read(&mut guest, fd, &path),
                4 => list(&mut guest, fd, &path).map(|names| names.join(" ")),
                5 => Ok(String::from_utf8(guest.readlink(fd, &path, 100)?).unwrap()),
                6 => {
                    let made = guest.mkdir(fd, &path);
                    if made.is_ok() {
                        guest.rmdir(fd, &path)?;
                    }
                    made.map(|()| String::new())
                }
                _ => {
                    let how = if follow { Open::creating().follow() } else { Open::creating() };
                    let file = guest.open(fd, &path, how)?;
                    guest.write(file, &[format!("{step}").as_bytes()])?;
                    guest.close(file)?;
                    Ok(String::new())
                }
            }
        });
        assert_eq!(got, expected, "{path:?}, {act}, following: {follow}");
        if got.is_ok() { found += 1 } else { refused += 1 }
    }
    assert!(found > 1000 && refused > 1000, "{found} and {refused}");
    assert_eq!(guest.temp.read("piece/a/m/f"), b"covered");
    assert!(guest.temp.stat("piece/a/m").ino() > 0);
}
