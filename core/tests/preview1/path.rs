//! Paths below a directory, where none leads outside. Run once more without `openat2`.

use crate::support::host::{MetadataExt, TICK, nanoseconds};
use crate::support::{BOX, Guest, Open, Outcome, fails};
use wasi_rs_core::abi::{Errno, Fdflags, Oflags, Rights};
use wasi_rs_core::preview1::CallError;

/// `file`, `dir/nested/deep`, `dir/inner`, an empty `empty`, and links: `link` to the file,
/// `dirlink` to the directory, `dangling`, `loop`.
fn world() -> Guest {
    let guest = Guest::new();
    let temp = &guest.temp;
    temp.write("box/file", "0123456789");
    for dir in ["box/dir", "box/dir/nested", "box/empty"] {
        temp.create_dir(dir);
    }
    temp.write("box/dir/inner", "inner");
    temp.write("box/dir/nested/deep", "deep");
    for (text, link) in [
        ("file", "link"),
        ("dir", "dirlink"),
        ("missing", "dangling"),
        ("loop", "loop"),
        ("../file", "dir/back"),
    ] {
        temp.symlink(text, &format!("box/{link}"));
    }
    guest
}

/// Every function that takes a path, each of its paths, with and without following a link at the
/// end.
pub type Act = fn(&mut Guest, u32, &[u8]) -> Outcome<()>;
pub const ACTS: &[(&str, Act)] = &[
    ("path_create_directory", |guest, fd, path| guest.mkdir(fd, path)),
    ("path_filestat_get", |guest, fd, path| guest.path_filestat(fd, path, false).map(drop)),
    ("path_filestat_get following", |guest, fd, path| {
        guest.path_filestat(fd, path, true).map(drop)
    }),
    ("path_filestat_set_times", |guest, fd, path| guest.path_set_times(fd, path, false, 1, 2, 5)),
    ("path_filestat_set_times following", |guest, fd, path| {
        guest.path_set_times(fd, path, true, 1, 2, 5)
    }),
    ("path_link from", |guest, fd, path| guest.link(fd, path, false, BOX, "linked")),
    ("path_link from, following", |guest, fd, path| guest.link(fd, path, true, BOX, "linked")),
    ("path_link to", |guest, fd, path| guest.link(BOX, "file", false, fd, path)),
    ("path_open", |guest, fd, path| guest.open(fd, path, Open::reading()).map(drop)),
    ("path_open following", |guest, fd, path| {
        guest.open(fd, path, Open::reading().follow()).map(drop)
    }),
    ("path_open to write", |guest, fd, path| {
        guest.open(fd, path, Open::default().follow()).map(drop)
    }),
    ("path_open to append", |guest, fd, path| {
        guest.open(fd, path, Open::default().flags(Fdflags::APPEND).follow()).map(drop)
    }),
    ("path_open with CREAT", |guest, fd, path| guest.open(fd, path, Open::creating()).map(drop)),
    ("path_open with CREAT, following", |guest, fd, path| {
        guest.open(fd, path, Open::creating().follow()).map(drop)
    }),
    ("path_open with CREAT and EXCL", |guest, fd, path| {
        guest
            .open(fd, path, Open::default().oflags(Oflags::CREAT | Oflags::EXCL).follow())
            .map(drop)
    }),
    ("path_open with TRUNC", |guest, fd, path| {
        guest.open(fd, path, Open::default().oflags(Oflags::TRUNC)).map(drop)
    }),
    ("path_open with TRUNC, following", |guest, fd, path| {
        guest.open(fd, path, Open::default().oflags(Oflags::TRUNC).follow()).map(drop)
    }),
    ("path_open with DIRECTORY", |guest, fd, path| {
        guest.open(fd, path, Open::directory()).map(drop)
    }),
    ("path_open with DIRECTORY, following", |guest, fd, path| {
        guest.open(fd, path, Open::directory().follow()).map(drop)
    }),
    ("path_readlink", |guest, fd, path| guest.readlink(fd, path, 99).map(drop)),
    ("path_remove_directory", |guest, fd, path| guest.rmdir(fd, path)),
    ("path_rename from", |guest, fd, path| guest.rename(fd, path, BOX, "renamed")),
    ("path_rename to", |guest, fd, path| guest.rename(BOX, "file", fd, path)),
    ("path_symlink", |guest, fd, path| guest.symlink("text", fd, path)),
    ("path_unlink_file", |guest, fd, path| guest.unlink(fd, path)),
];

#[test]
fn what_is_no_path_is_refused_by_every_function() {
    let long = vec![b'a'; 4096];
    let huge = vec![b'/'; 20_000];
    for (path, errno) in [
        (&b""[..], Errno::Noent),
        (b"file\0", Errno::Inval),
        (b"\0", Errno::Inval),
        (b"fi\0le", Errno::Inval),
        (b"../outside\0", Errno::Inval),
        (b"a\xff", Errno::Ilseq),
        (b"\xc0\xaf", Errno::Ilseq),
        (b"\xed\xa0\x80", Errno::Ilseq),
        (&long, Errno::Nametoolong),
        (&huge, Errno::Nametoolong),
        (b"/", Errno::Notcapable),
        (b"/file", Errno::Notcapable),
        (b"//file", Errno::Notcapable),
        (b"/etc/passwd", Errno::Notcapable),
    ] {
        let mut guest = world();
        let before = guest.temp.tree("");
        for (name, act) in ACTS {
            assert_eq!(
                act(&mut guest, BOX, path),
                fails(errno),
                "{name} with {:?}",
                String::from_utf8_lossy(path)
            );
        }
        assert_eq!(guest.temp.tree(""), before);
    }
}

#[test]
fn a_missing_directory_on_the_way_is_missed_by_every_function() {
    for (path, errno) in [
        ("missing/x", Errno::Noent),
        ("missing/../file", Errno::Noent),
        ("dangling/x", Errno::Noent),
        ("file/x", Errno::Notdir),
        ("file/../file", Errno::Notdir),
        ("link/x", Errno::Notdir),
        ("loop/x", Errno::Loop),
        ("dir/missing/x", Errno::Noent),
        ("dir/inner/x", Errno::Notdir),
    ] {
        let mut guest = world();
        let before = guest.temp.tree("");
        for (name, act) in ACTS {
            assert_eq!(act(&mut guest, BOX, path.as_bytes()), fails(errno), "{name} with {path}");
        }
        assert_eq!(guest.temp.tree(""), before, "{path}");
    }
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let longest = "n".repeat(255);
    let too_long = "n".repeat(256);
    for (name, act) in ACTS {
        let mut guest = world();
        assert_eq!(act(&mut guest, BOX, too_long.as_bytes()), fails(Errno::Nametoolong), "{name}");
        assert_eq!(
            act(&mut guest, BOX, format!("{too_long}/x").as_bytes()),
            fails(Errno::Nametoolong),
            "{name}"
        );
    }
    let mut guest = world();
    assert!(guest.open(BOX, &longest, Open::creating()).is_ok());
    assert!(guest.temp.there(&format!("box/{longest}")));
    // The longest path there is.
    let path = "./".repeat(2046) + "/.";
    assert!(guest.path_filestat(BOX, path + "/", false).is_ok());
}

#[test]
fn any_way_that_stays_inside_leads_there() {
    let mut guest = world();
    let deep = guest.temp.stat("box/dir/nested/deep").ino();
    for path in [
        "dir/nested/deep",
        "./dir//nested/././deep",
        "dir/../dir/nested/../nested/deep",
        "dir/.//nested/../../dir/nested/../nested///./deep",
        "dirlink/nested/deep",
        "dirlink/../dir/nested/deep",
        "empty/../dirlink/nested/deep",
    ] {
        for follow in [false, true] {
            assert_eq!(
                guest.path_filestat(BOX, path, follow).map(|stat| stat.ino),
                Ok(deep),
                "{path}"
            );
        }
        let fd = guest.open(BOX, path, Open::default()).unwrap();
        assert_eq!(guest.read(fd, &[9]), Ok(b"deep".to_vec()));
        guest.close(fd).unwrap();
    }
    let dir = guest.temp.stat("box/dir").ino();
    for path in [
        "dir",
        "dir/",
        "dir///",
        "dir/.",
        "./dir/./",
        "dir/nested/..",
        "dir/nested/../",
        "dirlink/",
        "dirlink/.",
        "dirlink/nested/..",
    ] {
        assert_eq!(guest.path_filestat(BOX, path, false).map(|stat| stat.ino), Ok(dir), "{path}");
        let fd = guest.open(BOX, path, Open::directory()).unwrap();
        assert_eq!(guest.filestat(fd).map(|stat| stat.ino), Ok(dir), "{path}");
        guest.close(fd).unwrap();
    }
    let top = guest.temp.stat("box").ino();
    for path in [".", "./", "dir/..", "dirlink/..", "dir/nested/../.."] {
        assert_eq!(guest.path_filestat(BOX, path, true).map(|stat| stat.ino), Ok(top), "{path}");
    }
}

#[test]
fn names_are_any_unicode() {
    let mut guest = world();
    let elsewhere = [" ", "\n", "\\", "...", "a..", "*", "a:b", "nul"];
    let everywhere = ["ünïcödé", "日本語", "🦀", "..a", "-", "\u{7f}", "\u{202e}x"];
    let (names, refused) =
        if cfg!(windows) { (&[][..], &elsewhere[..]) } else { (&elsewhere[..], &[][..]) };
    for name in refused {
        assert_eq!(guest.open(BOX, name, Open::creating()), fails(Errno::Inval), "{name}");
        assert_eq!(guest.mkdir(BOX, name), fails(Errno::Inval), "{name}");
        assert_eq!(guest.rename(BOX, "file", BOX, name), fails(Errno::Inval), "{name}");
        assert_eq!(guest.link(BOX, "file", false, BOX, name), fails(Errno::Inval), "{name}");
        assert_eq!(guest.symlink("file", BOX, name), fails(Errno::Inval), "{name}");
        assert_eq!(guest.open(BOX, name, Open::reading()), fails(Errno::Noent), "{name}");
        assert_eq!(
            guest.open(BOX, format!("{name}/x"), Open::creating()),
            fails(Errno::Noent),
            "{name}"
        );
        assert_eq!(guest.path_filestat(BOX, name, true), fails(Errno::Noent), "{name}");
        assert_eq!(guest.unlink(BOX, name), fails(Errno::Noent), "{name}");
        assert_eq!(guest.readlink(BOX, name, 9), fails(Errno::Noent), "{name}");
    }
    for name in names.iter().chain(&everywhere) {
        let fd = guest.open(BOX, name, Open::creating()).unwrap();
        guest.write(fd, &[name.as_bytes()]).unwrap();
        assert_eq!(guest.temp.read(&format!("box/{name}")), name.as_bytes());
        assert_eq!(guest.unlink(BOX, name), Ok(()));
    }
}

#[cfg(unix)]
#[test]
fn a_name_of_the_hosts_that_is_no_utf_8_can_be_listed_and_read_as_it_is() {
    let mut guest = world();
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"not\xffutf8");
    std::os::unix::fs::symlink(name, guest.temp.path("box/empty").join(name)).unwrap();
    std::os::unix::fs::symlink(name, guest.temp.path("box/pointer")).unwrap();
    let fd = guest.open(BOX, "empty", Open::directory()).unwrap();
    assert!(guest.list(fd, 4096).iter().any(|entry| entry.name == b"not\xffutf8"));
    assert_eq!(guest.readlink(BOX, "pointer", 99), Ok(b"not\xffutf8".to_vec()));
}

#[test]
fn directories_are_created() {
    let mut guest = world();
    for path in [
        "new",
        "new/inner",
        "dir/new",
        "dirlink/linked",
        "dir/nested/../other",
        "slash/",
        "slashes///",
        "./dot",
    ] {
        assert_eq!(guest.mkdir(BOX, path), Ok(()), "{path}");
        assert!(guest.temp.stat(&format!("box/{path}")).is_dir());
        assert_eq!(guest.mkdir(BOX, path), fails(Errno::Exist), "{path}");
    }
    for path in [
        "file",
        "dir",
        "dir/",
        "link",
        "dirlink",
        "dirlink/",
        "dangling",
        "loop",
        ".",
        "./",
        "dir/.",
        "dir/..",
        "dirlink/..",
    ] {
        assert_eq!(guest.mkdir(BOX, path), fails(Errno::Exist), "{path}");
    }
    assert_eq!(guest.temp.stat("box/new").mode() & 0o7000, 0);
}

#[test]
fn directories_are_removed() {
    let mut guest = world();
    for (path, errno) in [
        ("missing", Errno::Noent),
        ("file", Errno::Notdir),
        ("file/", Errno::Notdir),
        ("dir", Errno::Notempty),
        ("dir/", Errno::Notempty),
        ("link", Errno::Notdir),
        ("dirlink", Errno::Notdir),
        ("dirlink/", Errno::Notdir),
        ("dangling", Errno::Notdir),
        (".", Errno::Inval),
        ("empty/.", Errno::Inval),
        ("empty/..", Errno::Notempty),
        ("dir/nested/..", Errno::Notempty),
    ] {
        assert_eq!(guest.rmdir(BOX, path), fails(errno), "{path}");
    }
    assert_eq!(guest.rmdir(BOX, "empty/"), Ok(()));
    assert!(!guest.temp.there("box/empty"));
    guest.mkdir(BOX, "dir/new").unwrap();
    assert_eq!(guest.rmdir(BOX, "dirlink/new"), Ok(()));
    assert!(!guest.temp.there("box/dir/new"));
}

#[test]
fn files_and_links_are_unlinked() {
    let mut guest = world();
    for (path, errno) in [
        ("missing", Errno::Noent),
        ("missing/", Errno::Noent),
        ("file/", Errno::Notdir),
        ("link/", Errno::Notdir),
        ("dirlink/", Errno::Notdir),
        ("dir", Errno::Isdir),
        ("dir/", Errno::Isdir),
        ("empty", Errno::Isdir),
        (".", Errno::Isdir),
        ("dir/..", Errno::Isdir),
        ("dir/.", Errno::Isdir),
    ] {
        assert_eq!(guest.unlink(BOX, path), fails(errno), "{path}");
    }
    for path in ["link", "dirlink", "dangling", "loop"] {
        assert_eq!(guest.unlink(BOX, path), Ok(()), "{path}");
        assert!(!guest.temp.there(&format!("box/{path}")));
    }
    assert!(
        guest.temp.there("box/file") && guest.temp.there("box/dir/inner"),
        "the link goes, not what it leads to"
    );
    assert_eq!(guest.unlink(BOX, "dir/back"), Ok(()));
    assert_eq!(guest.unlink(BOX, "dir/../file"), Ok(()));
    assert!(!guest.temp.there("box/file"));
}

#[test]
fn attributes_of_a_link_or_of_what_it_leads_to() {
    let mut guest = world();
    for (path, follow, below, filetype) in [
        ("file", false, "file", 4),
        ("file", true, "file", 4),
        ("dir", true, "dir", 3),
        ("link", false, "link", 7),
        ("link", true, "file", 4),
        ("dirlink", false, "dirlink", 7),
        ("dirlink", true, "dir", 3),
        ("dir/back", false, "dir/back", 7),
        ("dir/back", true, "file", 4),
        ("dirlink/back", true, "file", 4),
        ("dangling", false, "dangling", 7),
        ("loop", false, "loop", 7),
    ] {
        let host = guest.temp.stat(&format!("box/{below}"));
        let stat = guest.path_filestat(BOX, path, follow).unwrap();
        assert_eq!(
            (stat.dev, stat.ino, stat.filetype),
            (host.dev(), host.ino(), filetype),
            "{path} {follow}"
        );
        assert_eq!((stat.nlink, stat.size), (host.nlink(), host.size()), "{path} {follow}");
        let times = [
            (host.atime(), host.atime_nsec()),
            (host.mtime(), host.mtime_nsec()),
            (host.ctime(), host.ctime_nsec()),
        ];
        assert_eq!(
            [stat.atim, stat.mtim, stat.ctim],
            times.map(|(seconds, nanos)| nanoseconds(seconds, nanos)),
            "{path} {follow}"
        );
    }
    for (path, follow, errno) in [
        ("missing", false, Errno::Noent),
        ("missing", true, Errno::Noent),
        ("dangling", true, Errno::Noent),
        ("loop", true, Errno::Loop),
        ("file/", false, Errno::Notdir),
        ("file/", true, Errno::Notdir),
        ("file/.", true, Errno::Notdir),
        ("link/", false, Errno::Notdir),
        ("dangling/", false, Errno::Noent),
    ] {
        assert_eq!(guest.path_filestat(BOX, path, follow), fails(errno), "{path} {follow}");
    }
}

#[test]
fn lookup_flags_that_do_not_exist_are_refused() {
    let mut guest = world();
    for flags in [2, 4, 0x8000_0000, u64::from(u32::MAX)] {
        guest.fresh();
        let (path, room) = (guest.put(b"file"), guest.room(64));
        let stat = guest.call("path_filestat_get", &[3, flags, path, 4, room]);
        let times = guest.call("path_filestat_set_times", &[3, flags, path, 4, 1, 1, 5]);
        let link = guest.call("path_link", &[3, flags, path, 4, 3, path, 3]);
        let open = guest.call("path_open", &[3, flags, path, 4, 0, 2, 0, 0, room]);
        assert_eq!([stat, times, link, open], [fails(Errno::Inval); 4], "{flags}");
    }
}

#[test]
fn times_are_set_of_a_link_or_of_what_it_leads_to() {
    const TIMES: u32 = 1 | 4;
    let at = 1_234_567_890_123_456_789 / TICK * TICK;
    for (path, follow, changed) in [
        ("file", false, "file"),
        ("file", true, "file"),
        ("dir/nested/deep", true, "dir/nested/deep"),
        ("dir", false, "dir"),
        ("dir/", false, "dir"),
        (".", true, "."),
        ("dir/..", false, "."),
        ("link", false, "link"),
        ("link", true, "file"),
        ("dirlink", false, "dirlink"),
        ("dirlink", true, "dir"),
        ("dirlink/", false, "dir"),
        ("dangling", false, "dangling"),
        ("loop", false, "loop"),
        ("dirlink/back", true, "file"),
    ] {
        let mut guest = world();
        assert_eq!(
            guest.path_set_times(BOX, path, follow, 42 * TICK, at, TIMES),
            Ok(()),
            "{path} {follow}"
        );
        let set: Vec<&str> =
            [".", "file", "dir", "dir/nested/deep", "link", "dirlink", "dangling", "loop"]
                .into_iter()
                .filter(|below| {
                    let host = guest.temp.stat(&format!("box/{below}"));
                    nanoseconds(host.mtime(), host.mtime_nsec()) == at
                        && nanoseconds(host.atime(), host.atime_nsec()) == 42 * TICK
                })
                .collect();
        assert_eq!(set, [changed], "{path} {follow}");
    }
    let mut guest = world();
    let before = guest.temp.tree("box");
    for (path, follow, flags, errno) in [
        ("missing", false, TIMES, Errno::Noent),
        ("dangling", true, TIMES, Errno::Noent),
        ("loop", true, TIMES, Errno::Loop),
        ("file/", true, TIMES, Errno::Notdir),
        ("file", true, 1 | 2, Errno::Inval),
        ("file", true, 4 | 8, Errno::Inval),
        ("file", true, 16, Errno::Inval),
    ] {
        assert_eq!(
            guest.path_set_times(BOX, path, follow, 1, 1, flags),
            fails(errno),
            "{path} {flags}"
        );
    }
    assert_eq!(guest.temp.tree("box"), before);
    // To now, and one alone.
    guest.path_set_times(BOX, "file", false, 5 * TICK, 6, TIMES).unwrap();
    guest.path_set_times(BOX, "file", false, 9, 9, 8).unwrap();
    let stat = guest.path_filestat(BOX, "file", false).unwrap();
    assert!(stat.atim == 5 * TICK && stat.mtim > at);
}

#[test]
fn hard_links_are_made() {
    let mut guest = world();
    for (old, new) in [
        ("file", "one"),
        ("dir/inner", "two"),
        ("file", "dir/three"),
        ("dirlink/inner", "dirlink/four"),
        ("file", "./five"),
    ] {
        assert_eq!(guest.link(BOX, old, false, BOX, new), Ok(()), "{old} {new}");
        assert_eq!(
            guest.temp.stat(&format!("box/{new}")).ino(),
            guest.temp.stat(&format!("box/{old}")).ino()
        );
    }
    assert_eq!(guest.path_filestat(BOX, "file", false).unwrap().nlink, 4);
    // Of a link itself, or of what it leads to.
    assert_eq!(guest.link(BOX, "link", false, BOX, "same-link"), Ok(()));
    assert_eq!(guest.temp.stat("box/same-link").ino(), guest.temp.stat("box/link").ino());
    assert_eq!(guest.link(BOX, "dangling", false, BOX, "same-dangling"), Ok(()));
    assert_eq!(guest.link(BOX, "loop", false, BOX, "same-loop"), Ok(()));
    assert_eq!(guest.link(BOX, "dirlink/back", true, BOX, "followed"), Ok(()));
    assert_eq!(guest.temp.stat("box/followed").ino(), guest.temp.stat("box/file").ino());
    let before = guest.temp.tree("box");
    for (old, follow, new, errno) in [
        ("missing", false, "new", Errno::Noent),
        ("file", false, "dir/inner", Errno::Exist),
        ("file", false, "file", Errno::Exist),
        ("file", false, "empty", Errno::Exist),
        ("file", false, "empty/", Errno::Exist),
        ("file", false, "dangling", Errno::Exist),
        ("file", false, ".", Errno::Exist),
        ("file", false, "dir/..", Errno::Exist),
        ("file", false, "new/", Errno::Noent),
        ("file", false, "dir/inner/", Errno::Exist),
        ("dir", false, "file", Errno::Exist),
        (".", false, "file/", Errno::Exist),
        ("missing", false, "file", Errno::Noent),
        ("missing", false, "file/new", Errno::Noent),
        ("file/", false, "new", Errno::Notdir),
        ("dir", false, "new", Errno::Perm),
        ("dir/", false, "new", Errno::Perm),
        (".", false, "new", Errno::Perm),
        ("dir/..", true, "new", Errno::Perm),
        ("dirlink", true, "new", Errno::Perm),
        ("dirlink/", false, "new", Errno::Perm),
        ("dangling", true, "new", Errno::Noent),
        ("loop", true, "new", Errno::Loop),
    ] {
        assert_eq!(guest.link(BOX, old, follow, BOX, new), fails(errno), "{old} {follow} {new}");
    }
    assert_eq!(guest.temp.tree("box"), before);
}

#[test]
fn links_and_renames_go_between_descriptors() {
    let mut guest = world();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    let empty = guest.open(BOX, "empty", Open::directory()).unwrap();
    assert_eq!(guest.link(dir, "inner", false, empty, "linked"), Ok(()));
    assert_eq!(guest.rename(dir, "nested/deep", empty, "moved"), Ok(()));
    assert_eq!(guest.rename(dir, "nested", empty, "moved-dir"), Ok(()));
    assert_eq!(guest.temp.read("box/empty/linked"), b"inner");
    assert_eq!(guest.temp.read("box/empty/moved"), b"deep");
    assert!(guest.temp.stat("box/empty/moved-dir").is_dir());
    let file = guest.open(BOX, "file", Open::default()).unwrap();
    for other in [99, file] {
        let errno = if other == 99 { Errno::Badf } else { Errno::Notcapable };
        assert_eq!(guest.link(BOX, "file", false, other, "new"), fails(errno));
        assert_eq!(guest.link(other, "file", false, BOX, "new"), fails(errno));
        assert_eq!(guest.rename(BOX, "file", other, "new"), fails(errno));
        assert_eq!(guest.rename(other, "file", BOX, "new"), fails(errno));
    }
}

#[test]
fn files_and_directories_are_renamed() {
    for (old, new) in [
        ("file", "new"),
        ("file", "dir/inner"),
        ("file", "file"),
        ("file", "link"),
        ("file", "dangling"),
        ("link", "new"),
        ("loop", "file"),
        ("dir", "new"),
        ("dir/", "new/"),
        ("dir/", "new"),
        ("dir", "new///"),
        ("dir", "empty"),
        ("dir", "empty/"),
        ("dir/nested", "nested"),
        ("dirlink/inner", "dirlink/nested/deep"),
        ("dir/../file", "dir/nested/../new"),
    ] {
        let mut guest = world();
        let moved = guest.temp.stat(&format!("box/{}", old.trim_end_matches('/'))).ino();
        assert_eq!(guest.rename(BOX, old, BOX, new), Ok(()), "{old} to {new}");
        assert_eq!(
            guest.temp.stat(&format!("box/{}", new.trim_end_matches('/'))).ino(),
            moved,
            "{old} to {new}"
        );
        assert!(old == new || !guest.temp.there(&format!("box/{}", old.trim_end_matches('/'))));
    }
    let mut guest = world();
    let before = guest.temp.tree("box");
    for (old, new, errno) in [
        ("missing", "new", Errno::Noent),
        ("missing", "file", Errno::Noent),
        ("missing/", "new/", Errno::Noent),
        ("dir", "file", Errno::Notdir),
        ("dir", "link", Errno::Notdir),
        ("dir", "dirlink", Errno::Notdir),
        ("file", "dir", Errno::Isdir),
        ("file", "empty", Errno::Isdir),
        ("empty", "dir", Errno::Notempty),
        ("dir", "dir/nested/new", Errno::Inval),
        ("dir", "dir/new", Errno::Inval),
        ("file/", "new", Errno::Notdir),
        ("file", "new/", Errno::Notdir),
        ("link/", "new", Errno::Notdir),
        ("dirlink/", "new", Errno::Notdir),
        (".", "new", Errno::Busy),
        ("dir/.", "new", Errno::Busy),
        ("dir/..", "new", Errno::Busy),
        ("dir", ".", Errno::Busy),
        ("dir", "empty/..", Errno::Busy),
        ("dir", "empty/.", Errno::Busy),
    ] {
        assert_eq!(guest.rename(BOX, old, BOX, new), fails(errno), "{old} to {new}");
    }
    assert_eq!(guest.temp.tree("box"), before);
}

#[test]
fn symbolic_links_are_made_and_read() {
    let mut guest = world();
    for (text, path) in [
        ("file", "new"),
        ("../../outside/secret", "escaping"),
        ("..", "up"),
        (".", "here"),
        ("a//b/./../c/", "dir/odd"),
        ("ünï", "dirlink/unicode"),
        ("new", "./dot"),
    ] {
        assert_eq!(guest.symlink(text, BOX, path), Ok(()), "{text} at {path}");
        let made = std::fs::read_link(guest.temp.path(&format!("box/{path}"))).unwrap();
        assert_eq!(
            made.to_str().unwrap().replace('\\', "/"),
            text,
            "the host has its own separators"
        );
        assert_eq!(guest.readlink(BOX, path, 99), Ok(text.as_bytes().to_vec()));
    }
    let longest = "t".repeat(4095);
    let result = guest.symlink(&longest, BOX, "long");
    if result.is_ok() {
        assert_eq!(guest.readlink(BOX, "long", 5000), Ok(longest.clone().into_bytes()));
    }
    assert_eq!(guest.symlink(longest + "t", BOX, "longer"), fails(Errno::Nametoolong));
    let before = guest.temp.tree("box");
    for (text, path, errno) in [
        ("x", "file", Errno::Exist),
        ("x", "dir", Errno::Exist),
        ("x", "dir/", Errno::Exist),
        ("x", "dangling", Errno::Exist),
        ("x", "file/", Errno::Exist),
        ("x", "dangling/", Errno::Exist),
        ("x", "missing/", Errno::Noent),
        ("x", ".", Errno::Exist),
        ("x", "dir/..", Errno::Exist),
        ("/", "absolute", Errno::Perm),
        ("/etc/passwd", "absolute", Errno::Perm),
        ("//", "absolute", Errno::Perm),
        ("", "empty-text", Errno::Noent),
        ("a\0b", "nul", Errno::Inval),
    ] {
        assert_eq!(guest.symlink(text, BOX, path), fails(errno), "{text:?} at {path}");
    }
    assert_eq!(guest.symlink(b"\xff", BOX, "ilseq"), fails(Errno::Ilseq));
    assert_eq!(guest.temp.tree("box"), before);
}

#[test]
fn the_text_of_a_link_is_cut_to_the_buffer() {
    let mut guest = world();
    for (len, text) in
        [(0, ""), (1, "m"), (6, "missin"), (7, "missing"), (8, "missing"), (5000, "missing")]
    {
        assert_eq!(guest.readlink(BOX, "dangling", len), Ok(text.as_bytes().to_vec()), "{len}");
    }
    for len in [0, 10] {
        for (path, errno) in [
            ("missing", Errno::Noent),
            ("file", Errno::Inval),
            ("dir", Errno::Inval),
            ("dir/", Errno::Inval),
            ("dirlink/", Errno::Inval),
            (".", Errno::Inval),
            ("dir/..", Errno::Inval),
            ("file/", Errno::Notdir),
            ("link/", Errno::Notdir),
            ("dangling/", Errno::Noent),
        ] {
            assert_eq!(guest.readlink(BOX, path, len), fails(errno), "{path} {len}");
        }
    }
    assert_eq!(guest.readlink(BOX, "dirlink/back", 9), Ok(b"../file".to_vec()));
}

#[test]
fn a_long_text_of_a_link_is_cut_to_the_buffer() {
    let mut guest = Guest::new();
    let text: String =
        (0..400)
            .map(|at| {
                if at % 80 == 79 { '/' } else { char::from(b'a' + u8::try_from(at % 23).unwrap()) }
            })
            .collect();
    guest.symlink(&text, BOX, "long").unwrap();
    for len in [1, 255, 256, 257, 399, 400, 401, 4095, 4096, 5000] {
        assert_eq!(
            guest.readlink(BOX, "long", len),
            Ok(text.as_bytes()[..len.min(400)].to_vec()),
            "{len}"
        );
    }
}

#[test]
fn opening_follows_a_link_at_the_end_where_asked_to() {
    let mut guest = world();
    for path in ["link", "dir/back", "dirlink/back"] {
        assert_eq!(guest.open(BOX, path, Open::reading()), fails(Errno::Loop), "{path}");
        let fd = guest.open(BOX, path, Open::reading().follow()).unwrap();
        assert_eq!(guest.read(fd, &[4]), Ok(b"0123".to_vec()), "{path}");
    }
    assert_eq!(guest.open(BOX, "dirlink", Open::reading()), fails(Errno::Loop));
    let refused = guest.open(BOX, "dirlink", Open::directory());
    assert!([fails(Errno::Loop), fails(Errno::Notdir)].contains(&refused), "{refused:?}");
    assert!(guest.open(BOX, "dirlink", Open::directory().follow()).is_ok());
    assert!(guest.open(BOX, "dirlink/", Open::directory()).is_ok(), "the slash follows it");
    assert_eq!(guest.open(BOX, "link", Open::directory().follow()), fails(Errno::Notdir));
    assert_eq!(guest.open(BOX, "dangling", Open::reading()), fails(Errno::Loop));
    assert_eq!(guest.open(BOX, "dangling", Open::reading().follow()), fails(Errno::Noent));
    assert_eq!(guest.open(BOX, "loop", Open::reading()), fails(Errno::Loop));
    assert_eq!(guest.open(BOX, "loop", Open::reading().follow()), fails(Errno::Loop));
}

#[test]
fn what_was_opened_is_what_it_is_however_it_was_opened() {
    const DIRECTORY: u8 = 3;
    const REGULAR: u8 = 4;
    let mut guest = world();
    #[cfg(unix)]
    guest.temp.fifo("box/fifo");
    let exclusive = Open::default().oflags(Oflags::CREAT | Oflags::EXCL);
    for (path, how, filetype) in [
        ("new", exclusive, REGULAR),
        ("dir/new", exclusive, REGULAR),
        ("newer", exclusive.follow(), REGULAR),
        ("newest", Open::creating(), REGULAR),
        ("new", Open::creating(), REGULAR),
        ("dir/new", Open::reading(), REGULAR),
        ("new", Open::default().oflags(Oflags::TRUNC), REGULAR),
        ("dir", Open::directory(), DIRECTORY),
        ("dir", Open::directory().oflags(Oflags::empty()), DIRECTORY),
        ("dir", Open::reading(), DIRECTORY),
        (".", Open::directory(), DIRECTORY),
        ("dirlink", Open::directory().follow(), DIRECTORY),
        // `EXCL` alone means nothing.
        ("dir", Open::directory().oflags(Oflags::DIRECTORY | Oflags::EXCL), DIRECTORY),
        ("new", Open::reading().oflags(Oflags::EXCL), REGULAR),
        #[cfg(unix)]
        ("fifo", Open::reading(), 6),
        #[cfg(unix)]
        ("fifo", Open::default().oflags(Oflags::CREAT), 6),
    ] {
        let fd = guest.open(BOX, path, how).unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(guest.fdstat(fd).unwrap().filetype, filetype, "{path}");
        let stat = guest.filestat(fd).unwrap();
        assert_eq!(
            (stat.filetype, stat),
            (filetype, guest.path_filestat(BOX, path, true).unwrap()),
            "{path}"
        );
        assert_eq!(
            guest.readdir(fd, 4096, 0).is_ok(),
            filetype == DIRECTORY && how.base.contains(Rights::FD_READDIR),
            "{path}"
        );
        if filetype == REGULAR && how.base.contains(Rights::FD_WRITE) {
            assert_eq!(guest.write(fd, &[b"abcd"]), Ok(4), "{path}");
            assert_eq!(guest.tell(fd), Ok(4), "{path}");
            assert_eq!(guest.pread(fd, &[4], 1), Ok(b"bcd".to_vec()), "{path}");
        }
    }
    for path in [
        "new",
        "link",
        #[cfg(unix)]
        "fifo",
    ] {
        assert_eq!(
            guest.open(BOX, path, Open::directory().follow()),
            fails(Errno::Notdir),
            "{path}"
        );
    }
}

#[test]
fn opening_says_what_is_wrong() {
    let mut guest = world();
    let write = Open::default();
    let (create, exclusive) =
        (Open::creating(), Open::default().oflags(Oflags::CREAT | Oflags::EXCL));
    let truncate = Open::default().oflags(Oflags::TRUNC);
    let both = Open::directory().base(Rights::FD_READ | Rights::FD_WRITE);
    let before = guest.temp.tree("box");
    for (path, how, errno) in [
        ("missing", write, Errno::Noent),
        ("file", exclusive, Errno::Exist),
        ("dir", exclusive, Errno::Exist),
        ("link", exclusive, Errno::Exist),
        ("dangling", exclusive, Errno::Exist),
        ("dangling", exclusive.follow(), Errno::Exist),
        (".", exclusive, Errno::Exist),
        ("dir/..", exclusive, Errno::Exist),
        ("dangling", create, Errno::Loop),
        ("link", create, Errno::Loop),
        ("link", truncate, Errno::Loop),
        ("dir", write, Errno::Isdir),
        ("dir", both, Errno::Isdir),
        (".", both, Errno::Isdir),
        ("dir", create, Errno::Isdir),
        (".", create, Errno::Isdir),
        ("dir/", create, Errno::Isdir),
        ("dir", truncate, Errno::Isdir),
        ("file/", write, Errno::Notdir),
        ("file///", write, Errno::Notdir),
        ("file", Open::directory(), Errno::Notdir),
        ("file/.", write, Errno::Notdir),
        ("missing", Open::directory(), Errno::Noent),
        ("new", Open::directory().oflags(Oflags::CREAT | Oflags::DIRECTORY), Errno::Inval),
    ] {
        assert_eq!(
            guest.open(BOX, path, how),
            fails(errno),
            "{path} {:?} {:?}",
            how.oflags,
            how.base
        );
    }
    // Nothing can be created under a name with a slash behind it.
    for path in ["new/", "file/"] {
        let result = guest.open(BOX, path, create);
        assert!(
            [fails(Errno::Isdir), fails(Errno::Noent), fails(Errno::Notdir)].contains(&result),
            "{path}: {result:?}"
        );
    }
    for (oflags, fdflags) in [(16, 0), (0x8000, 0), (0xffff, 0), (1, 32), (1, 0x8000), (1, 0xffff)]
    {
        guest.fresh();
        let (path, fd) = (guest.put(b"new"), guest.room(4));
        assert_eq!(
            guest.call("path_open", &[3, 0, path, 3, oflags, 2, 0, fdflags, fd]),
            fails(Errno::Inval),
            "{oflags:#x} {fdflags:#x}"
        );
    }
    assert_eq!(guest.temp.tree("box"), before);
}

#[test]
fn a_dangling_link_is_a_place_to_create_at() {
    let mut guest = world();
    let fd = guest.open(BOX, "dangling", Open::creating().follow()).unwrap();
    guest.write(fd, &[b"x"]).unwrap();
    assert_eq!(guest.temp.read("box/missing"), b"x");
    assert!(guest.temp.stat("box/dangling").is_symlink());
    // By way of a directory.
    guest.temp.symlink("../empty/made", "box/dir/maker");
    assert!(guest.open(BOX, "dirlink/maker", Open::creating().follow()).is_ok());
    assert!(guest.temp.there("box/empty/made"));
}

#[test]
fn a_directory_opens_with_any_rights_and_flags_that_make_sense() {
    let mut guest = world();
    for how in [
        Open::directory(),
        Open::directory().base(Rights::empty()),
        Open::directory().base(Rights::FD_READ),
        Open::directory().oflags(Oflags::empty()),
        Open::directory().oflags(Oflags::empty()).base(Rights::empty()),
        Open::directory().flags(Fdflags::NONBLOCK),
    ] {
        for path in [".", "dir", "dir/nested/", "dir/nested///", "dirlink/nested"] {
            let fd = guest.open(BOX, path, how).unwrap();
            assert_eq!(guest.fdstat(fd).unwrap().filetype, 3);
            guest.close(fd).unwrap();
        }
    }
}

#[test]
fn a_directory_stays_the_directory_when_it_is_renamed_or_removed() {
    let mut guest = world();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    guest.rename(BOX, "dir", BOX, "empty").unwrap();
    guest.mkdir(BOX, "dir").unwrap();
    assert!(guest.open(dir, "inner", Open::reading()).is_ok());
    assert!(guest.open(dir, "created", Open::creating()).is_ok());
    assert!(guest.temp.there("box/empty/created") && !guest.temp.there("box/dir/created"));
    let nested = guest.open(dir, "nested", Open::directory()).unwrap();
    guest.unlink(nested, "deep").unwrap();
    guest.rmdir(dir, "nested").unwrap();
    // Windows does not say why.
    let refusals = if cfg!(windows) { &[Errno::Noent, Errno::Acces][..] } else { &[Errno::Noent] };
    assert!(
        guest
            .open(nested, "new", Open::creating())
            .is_err_and(|stop| refusals.iter().any(|errno| stop == CallError::Errno(*errno)))
    );
    assert!(
        guest
            .mkdir(nested, "new")
            .is_err_and(|stop| refusals.iter().any(|errno| stop == CallError::Errno(*errno)))
    );
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut guest = world();
    guest.temp.symlink("file", "box/chain-1");
    guest.temp.symlink("dir", "box/dirs-1");
    for index in 2..=41 {
        guest.temp.symlink(&format!("chain-{}", index - 1), &format!("box/chain-{index}"));
        guest.temp.symlink(&format!("dirs-{}", index - 1), &format!("box/dirs-{index}"));
    }
    assert!(guest.open(BOX, "chain-40", Open::reading().follow()).is_ok());
    assert!(guest.path_filestat(BOX, "dirs-40/inner", true).is_ok());
    assert!(guest.path_set_times(BOX, "chain-40", true, 1, 1, 5).is_ok());
    assert_eq!(guest.open(BOX, "chain-41", Open::reading().follow()), fails(Errno::Loop));
    assert_eq!(guest.path_filestat(BOX, "dirs-41/inner", true), fails(Errno::Loop));
    assert_eq!(guest.path_set_times(BOX, "chain-41", true, 1, 1, 5), fails(Errno::Loop));
    assert_eq!(guest.mkdir(BOX, "dirs-41/new"), fails(Errno::Loop));
}

#[test]
fn links_that_multiply_end_in_time() {
    // Each stands for two of the one before it: 2^40 steps, if nobody counted.
    let mut guest = world();
    guest.temp.symlink("dir/../dir", "box/l0");
    for index in 1..40 {
        guest.temp.symlink(&format!("l{}/../l{}", index - 1, index - 1), &format!("box/l{index}"));
    }
    let start = std::time::Instant::now();
    for (name, act) in ACTS {
        assert_eq!(act(&mut guest, BOX, b"l39/x"), fails(Errno::Loop), "{name}");
    }
    // And one link of full length, forty times over.
    let long = "dir/../".repeat(500) + "dir";
    guest.temp.symlink(&long, "box/long");
    let path = "long/../".repeat(39) + "long/inner";
    let result = guest.path_filestat(BOX, path, true);
    assert!(result.is_ok() || result == fails(Errno::Nametoolong), "{result:?}");
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn permissions_of_the_host_hold() {
    let guest = world();
    guest.temp.write("box/unreadable", "x");
    guest.temp.chmod("box/unreadable", 0o200);
    guest.temp.write("box/unwritable", "x");
    guest.temp.chmod("box/unwritable", 0o400);
    guest.temp.create_dir("box/locked");
    guest.temp.write("box/locked/file", "x");
    guest.temp.chmod("box/locked", 0);
    guest.temp.create_dir("box/searched");
    guest.temp.write("box/searched/file", "x");
    guest.temp.create_dir("box/searched/sub");
    guest.temp.chmod("box/searched", 0o100);
    guest.temp.chmod("box/empty", 0o500);
    guest.temp.fifo("box/shut");
    guest.temp.chmod("box/shut", 0);
    // Of a directory with the sticky bit, only its owner and a file's may remove the file's name.
    guest.temp.create_dir("box/sticky");
    guest.temp.write("box/sticky/file", "x");
    guest.temp.create_dir("box/sticky/dir");
    guest.temp.chmod("box/sticky", 0o1777);
    let is_superuser = ["sticky", "sticky/file", "sticky/dir"].iter().all(|path| {
        let path = guest.temp.path(&format!("box/{path}"));
        std::os::unix::fs::chown(path, Some(1), Some(1)).is_ok()
    });
    let mut thread = guest.thread();
    crate::support::host::without_privileges(|| {
        let guest = &mut thread;
        assert_eq!(guest.open(BOX, "unreadable", Open::reading()), fails(Errno::Acces));
        assert_eq!(guest.open(BOX, "unwritable", Open::default()), fails(Errno::Acces));
        assert!(guest.open(BOX, "unwritable", Open::reading()).is_ok());
        assert_eq!(
            guest.open(BOX, "unwritable", Open::reading().oflags(Oflags::TRUNC)),
            fails(Errno::Acces)
        );
        for (name, act) in ACTS {
            assert_eq!(act(guest, BOX, b"locked/file"), fails(Errno::Acces), "{name}");
        }
        assert_eq!(guest.open(BOX, "empty/new", Open::creating()), fails(Errno::Acces));
        assert_eq!(guest.mkdir(BOX, "empty/new"), fails(Errno::Acces));
        assert_eq!(guest.symlink("x", BOX, "empty/new"), fails(Errno::Acces));
        assert_eq!(guest.rename(BOX, "file", BOX, "empty/new"), fails(Errno::Acces));
        // A directory that may be searched and not read is good for paths, not for listing.
        let searched = guest.open(BOX, "searched", Open::directory()).unwrap();
        assert!(guest.open(searched, "file", Open::reading()).is_ok());
        assert!(guest.path_filestat(searched, "sub/..", true).is_ok());
        assert!(guest.filestat(searched).is_ok());
        assert_eq!(guest.readdir(searched, 100, 0), fails(Errno::Acces));
        assert_eq!(guest.open(searched, ".", Open::reading()), fails(Errno::Acces));
        assert_eq!(guest.open(searched, "sub/..", Open::reading()), fails(Errno::Acces));
        let opened = guest.open(searched, "sub/..", Open::directory());
        assert!(opened.is_ok(), "{opened:?}");
        assert_eq!(guest.set_times(searched, 5, 6, 5), Ok(()));
        assert_eq!(guest.filestat(searched).unwrap().mtim, 6);
        // Permissions are checked first, so the error is not that of a pipe without a reader.
        assert_eq!(guest.open(BOX, "shut", Open::default()), fails(Errno::Acces));
        if is_superuser {
            assert_eq!(guest.unlink(BOX, "sticky/file"), fails(Errno::Perm));
            assert_eq!(guest.unlink(BOX, "sticky/dir"), fails(Errno::Isdir));
        } else {
            crate::support::host::skipped("no files of another user");
        }
    });
}

/// `ENXIO` also means a pipe without a reader, for which a call waits. A socket must not wait.
#[cfg(target_os = "linux")]
#[test]
fn a_socket_s_name_has_no_device() {
    let mut guest = world();
    let _socket = std::os::unix::net::UnixListener::bind(guest.temp.path("box/sock")).unwrap();
    for how in [Open::default(), Open::reading(), Open::default().flags(Fdflags::NONBLOCK)] {
        assert_eq!(guest.open(BOX, "sock", how), fails(Errno::Nxio));
        assert_eq!(guest.open(BOX, "dir/../sock", how), fails(Errno::Nxio));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_linked_or_renamed_across_file_systems() {
    use crate::support::TempDir;
    let here = TempDir::new();
    let Some(there) =
        TempDir::inside("/dev/shm").filter(|there| there.stat("").dev() != here.stat("").dev())
    else {
        return crate::support::host::skipped("no second file system");
    };
    let mut guest = world();
    there.write("other", "x");
    let object = wasi_rs_core::host::open_preopen(
        &there.path(""),
        wasi_rs_core::host::PreopenOptions::default(),
    )
    .unwrap();
    let fd = guest
        .ctx
        .table
        .insert(wasi_rs_core::descriptor::Descriptor::preopen(object, b"there"))
        .unwrap();
    assert_eq!(guest.link(BOX, "file", false, fd, "new"), fails(Errno::Xdev));
    assert_eq!(guest.rename(BOX, "file", fd, "new"), fails(Errno::Xdev));
    assert_eq!(guest.rename(fd, "other", BOX, "new"), fails(Errno::Xdev));
    assert!(guest.temp.there("box/file") && there.there("other") && !there.there("new"));
}
