//! Holes of another host that were made public, as tests of this one. Run once more without
//! `openat2`.

use crate::support::{BOX, Guest, Open, Setup, fails, preopen};
use wasi_rs_core::abi::{Errno, Oflags, Rights};

/// A file with a secret, a read-only preopen and a writable one beside each other.
fn reader() -> Guest {
    let guest = Setup::default().guest();
    guest.temp.write("box/file", "contents");
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/dir/inner", "inner");
    guest.temp.symlink("file", "box/link");
    guest.temp.create_dir("writable");
    guest.ctx.table.insert(preopen("box", &guest.temp.path("box")).read_only()).unwrap();
    guest.ctx.table.insert(preopen("writable", &guest.temp.path("writable"))).unwrap();
    guest
}

const WRITABLE: u32 = 4;

/// A path or a link with slashes at its end leads outside: `GHSA-vqjp-4c8c-hfgg`.
#[test]
fn ghsa_vqjp_4c8c_hfgg_a_trailing_slash_leads_nowhere_else() {
    let mut guest = Guest::new();
    let outside = guest.temp.path("outside").to_str().unwrap().to_owned();
    let file = format!("{outside}/secret/");
    guest.temp.create_dir("outside/dir");
    guest.temp.create_dir("box/dir");
    // Those of the host, and those that a guest can make itself.
    for (text, link) in [
        ("../outside", "a"),
        ("../outside/", "b"),
        ("../outside//", "c"),
        ("..", "d"),
        ("../", "e"),
        ("dir/../../outside/", "f"),
    ] {
        guest.temp.symlink(text, &format!("box/{link}"));
        guest.symlink(text, BOX, format!("own-{link}")).unwrap();
    }
    for (text, link) in [(&*outside, "g"), (&format!("{outside}/"), "h"), (&file, "i"), ("/", "j")]
    {
        guest.temp.symlink(text, &format!("box/{link}"));
    }
    for (text, link) in [
        ("a/", "k"),
        ("own-b/", "l"),
        ("dir/../a//", "m"),
        ("../outside/secret/", "n"),
        ("a/dir/", "o"),
    ] {
        guest.symlink(text, BOX, link).unwrap();
    }
    let links: Vec<String> = ('a'..='o')
        .map(String::from)
        .chain(('a'..='f').map(|link| format!("own-{link}")))
        .collect();
    let before = guest.temp.tree("outside");
    for link in &links {
        for end in [
            "/",
            "//",
            "/.",
            "/./",
            "/secret",
            "//secret",
            "/secret/",
            "/dir/",
            "/new",
            "/../box",
            "/outside/secret",
        ] {
            let path = format!("{link}{end}");
            for how in [
                Open::reading(),
                Open::default(),
                Open::directory(),
                Open::creating(),
                Open::default().oflags(Oflags::CREAT | Oflags::EXCL),
                Open::default().oflags(Oflags::TRUNC),
                Open::reading().base(Rights::empty()),
            ] {
                for how in [how, how.follow()] {
                    assert!(guest.open(BOX, &path, how).is_err(), "{path} was opened with {how:?}");
                }
            }
            for follow in [false, true] {
                assert!(guest.path_filestat(BOX, &path, follow).is_err(), "{path}");
                assert!(guest.path_set_times(BOX, &path, follow, 1, 1, 5).is_err(), "{path}");
                assert!(guest.link(BOX, &path, follow, BOX, "taken").is_err(), "{path}");
            }
            assert!(guest.mkdir(BOX, &path).is_err(), "{path}");
            assert!(guest.rmdir(BOX, &path).is_err(), "{path}");
            assert!(guest.unlink(BOX, &path).is_err(), "{path}");
            assert!(guest.readlink(BOX, &path, 99).is_err(), "{path}");
            assert!(guest.symlink("x", BOX, &path).is_err(), "{path}");
            assert!(guest.rename(BOX, &path, BOX, "taken").is_err(), "{path}");
            assert!(guest.rename(BOX, "dir", BOX, &path).is_err(), "{path}");
        }
    }
    assert_eq!(guest.temp.tree("outside"), before);
    // Inside, a slash at the end is no hindrance.
    guest.symlink("dir/", BOX, "inside").unwrap();
    for path in ["inside", "inside/", "inside//", "dir/"] {
        assert!(guest.open(BOX, path, Open::directory().follow()).is_ok(), "{path}");
    }
}

/// A file that may only be read is linked or moved to where it may be written:
/// `GHSA-4ch3-9j33-3pmj`.
#[test]
fn ghsa_4ch3_9j33_3pmj_what_is_read_only_gets_no_name_where_it_could_be_written() {
    let mut guest = reader();
    let passed = guest.fdstat(BOX).unwrap().inheriting;
    let most = Open { base: Rights::DIRECTORY, inheriting: passed, ..Open::directory() };
    let (dir, top) = (guest.open(BOX, "dir", most).unwrap(), guest.open(BOX, ".", most).unwrap());
    let before = guest.temp.tree("");
    for (from, path) in [
        (BOX, "file"),
        (BOX, "link"),
        (BOX, "dir/inner"),
        (BOX, "dir/../file"),
        (BOX, "dir"),
        (dir, "inner"),
        (top, "file"),
    ] {
        for follow in [false, true] {
            assert_eq!(
                guest.link(from, path, follow, WRITABLE, "taken"),
                fails(Errno::Rofs),
                "{path}"
            );
        }
        assert_eq!(guest.rename(from, path, WRITABLE, "taken"), fails(Errno::Rofs), "{path}");
        assert_eq!(
            guest.link(WRITABLE, "missing", false, from, "new"),
            fails(Errno::Rofs),
            "{path}"
        );
        assert_eq!(guest.open(WRITABLE, "taken", Open::default().follow()), fails(Errno::Noent));
    }
    // Nor is there a way by a link, which leads outside from there.
    guest.symlink("../box/file", WRITABLE, "file").unwrap();
    guest.symlink("../box", WRITABLE, "box").unwrap();
    for path in ["file", "box/file", "box/", "../box/file"] {
        for oflags in [Oflags::empty(), Oflags::TRUNC, Oflags::CREAT] {
            let result = guest.open(WRITABLE, path, Open::default().oflags(oflags).follow());
            // No file is made under a name with a slash behind it, wherever that leads.
            let slash = path.ends_with('/') && result == fails(Errno::Isdir);
            assert!(result == fails(Errno::Notcapable) || slash, "{path}: {result:?}");
        }
    }
    guest.unlink(WRITABLE, "file").unwrap();
    guest.unlink(WRITABLE, "box").unwrap();
    let inside = |tree: crate::support::Tree| {
        tree.into_iter().filter(|(path, _)| path.starts_with("box")).collect::<Vec<_>>()
    };
    assert_eq!(inside(guest.temp.tree("")), inside(before));
}

/// A file that may only be read is cut as it is opened: `GHSA-2r75-cxrj-cmph`.
#[test]
fn ghsa_2r75_cxrj_cmph_what_is_read_only_is_not_cut() {
    let mut guest = reader();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    let before = guest.temp.tree("");
    for oflags in [Oflags::TRUNC, Oflags::TRUNC | Oflags::CREAT] {
        for base in [
            Rights::empty(),
            Rights::FD_READ,
            Rights::FD_WRITE,
            Rights::FD_READ | Rights::FD_WRITE,
            Rights::FD_FILESTAT_SET_SIZE,
            Rights::FD_ALLOCATE | Rights::FD_READ,
            Rights::REGULAR_FILE,
            Rights::REGULAR_FILE.difference(Rights::FD_WRITE),
        ] {
            for (fd, path) in [
                (BOX, "file"),
                (BOX, "link"),
                (BOX, "dir/inner"),
                (BOX, "dir/../file"),
                (dir, "inner"),
            ] {
                let how = Open { oflags, base, ..Open::default().follow() };
                assert_eq!(guest.open(fd, path, how), fails(Errno::Rofs), "{path} with {base:?}");
            }
        }
    }
    assert_eq!(guest.temp.tree(""), before);
}
