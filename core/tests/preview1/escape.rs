//! Ways out of a preopen: none is one. Run once more without `openat2`.

use crate::path::ACTS;
use crate::support::{BOX, Guest, Open, Setup, Tree, fails};
use wasi_rs_core::abi::{Errno, Rights};

/// `box` beside `outside`, with every kind of link from the one to the other.
fn world() -> Guest {
    let guest = Guest::new();
    let temp = &guest.temp;
    temp.write("box/file", "0123456789");
    temp.create_dir("box/dir");
    temp.create_dir("box/dir/nested");
    temp.create_dir("outside/dir");
    temp.write("outside/dir/deep", "deep secret");
    let outside = temp.path("outside").to_str().unwrap().to_owned();
    let inside = temp.path("box").to_str().unwrap().to_owned();
    for (text, link) in [
        ("../outside", "out"),
        (outside.as_str(), "absolute-out"),
        (inside.as_str(), "absolute-in"),
        ("out", "chained-out"),
        ("dir/../../outside", "roundabout-out"),
        ("..", "up"),
        ("../..", "upper"),
        (".", "here"),
        ("here/..", "composed"),
        ("../../outside", "dir/out"),
        ("../outside/secret", "out-file"),
        (&format!("{outside}/secret"), "absolute-file"),
        (&format!("{inside}/file"), "absolute-inside-file"),
        ("out-file", "chained-file"),
        ("../outside/new", "dangling-out"),
        (&format!("{outside}/new"), "absolute-dangling"),
        ("/", "slash"),
        ("/proc/self/cwd", "magic-directory"),
        ("/proc/self/fd/0", "magic-file"),
        ("../box/file", "out-and-in"),
    ] {
        temp.symlink(text, &format!("box/{link}"));
    }
    guest
}

/// Paths whose way leads outside, whatever is done at their end.
const WAYS_OUT: &[&str] = &[
    "..",
    "../",
    "../.",
    "./..",
    "../outside",
    "../outside/",
    "../outside/secret",
    "../outside/new",
    "../box/file",
    "../box/",
    "./../outside/secret",
    ".//..//outside//secret",
    "dir/../..",
    "dir/../../outside/secret",
    "dir/nested/../../../outside/secret",
    "../../../../../../../../../../../../etc/passwd",
    "out/secret",
    "out/new",
    "out/dir/deep",
    "out/.",
    "out/..",
    "out/../box/file",
    "absolute-out/secret",
    "absolute-in/file",
    "chained-out/secret",
    "roundabout-out/secret",
    "up/outside/secret",
    "up/.",
    "up/..",
    "upper/x",
    "composed/outside/secret",
    "here/../outside/secret",
    "here/here/here/../outside/secret",
    "dir/out/secret",
    "slash/etc/passwd",
    "magic-directory/x",
];

/// Where one function means the link, and another what it leads to.
const LINKS_WITH_A_SLASH: &[&str] = &[
    "out/",
    "absolute-out/",
    "chained-out///",
    "up/",
    "composed/",
    "slash/",
    "magic-directory/",
    "out-file/",
];

/// Links that lead outside, or count as if they did.
const LINKS_OUT: &[&str] = &[
    "out",
    "absolute-out",
    "absolute-in",
    "chained-out",
    "roundabout-out",
    "up",
    "upper",
    "composed",
    "dir/out",
    "out-file",
    "absolute-file",
    "absolute-inside-file",
    "chained-file",
    "dangling-out",
    "absolute-dangling",
    "slash",
    "magic-directory",
    "magic-file",
    "out-and-in",
];

#[test]
fn no_function_goes_a_way_that_leads_outside() {
    let mut guest = world();
    let before = guest.temp.tree("");
    for path in WAYS_OUT {
        for (name, act) in ACTS {
            assert_eq!(
                act(&mut guest, BOX, path.as_bytes()),
                fails(Errno::Notcapable),
                "{name} with {path}"
            );
        }
        assert_eq!(guest.temp.tree(""), before, "{path}");
    }
}

#[test]
fn no_function_does_anything_to_a_link_with_a_slash() {
    let mut guest = world();
    let before = guest.temp.tree("");
    for path in LINKS_WITH_A_SLASH {
        for (name, act) in ACTS {
            let result = act(&mut guest, BOX, path.as_bytes());
            assert!(result.is_err(), "{name} with {path}");
            // Whether a name with a slash can be created at all comes first.
            if name.contains("filestat") || (name.contains("open") && !name.contains("CREAT")) {
                assert_eq!(result, fails(Errno::Notcapable), "{name} with {path}");
            }
        }
        assert_eq!(guest.temp.tree(""), before, "{path}");
    }
}

#[test]
fn no_function_follows_a_link_that_leads_outside() {
    let follows = |name: &str| {
        name.contains("following") || name.contains("to write") || name.contains("to append")
    };
    let mut guest = world();
    let mut before = guest.temp.tree("");
    for path in LINKS_OUT {
        for (name, act) in ACTS {
            let result = act(&mut guest, BOX, path.as_bytes());
            let after = guest.temp.tree("");
            if follows(name) {
                assert_eq!(result, fails(Errno::Notcapable), "{name} with {path}");
                assert_eq!(after, before, "{name} with {path}");
            }
            assert!(
                result.is_err() || !name.starts_with("path_open"),
                "{name} with {path} opened something"
            );
            let outside = |tree: Tree| {
                tree.into_iter().filter(|(file, _)| !file.starts_with("box")).collect::<Tree>()
            };
            if after != before {
                // The link itself was changed, moved, removed or replaced: what is outside is not
                // touched.
                assert_eq!(outside(after), outside(before), "{name} with {path}");
                guest = world();
                before = guest.temp.tree("");
            }
        }
    }
}

#[test]
fn what_a_link_says_is_no_secret() {
    let mut guest = world();
    assert_eq!(guest.readlink(BOX, "out-file", 99), Ok(b"../outside/secret".to_vec()));
    assert_eq!(guest.path_filestat(BOX, "out-file", false).unwrap().filetype, 7);
}

#[test]
fn links_that_a_guest_makes_do_not_lead_outside() {
    let mut guest = Guest::new();
    guest.mkdir(BOX, "a").unwrap();
    guest.mkdir(BOX, "a/b").unwrap();
    for (text, path) in
        [(".", "x"), ("x/..", "y"), ("a/b", "deep"), ("deep/../../..", "z"), ("../outside", "w")]
    {
        guest.symlink(text, BOX, path).unwrap();
    }
    for path in [
        "y/outside/secret",
        "x/../outside/secret",
        "z/outside/secret",
        "w/secret",
        "deep/../../../outside/secret",
    ] {
        for follow in [Open::reading(), Open::reading().follow()] {
            assert_eq!(guest.open(BOX, path, follow), fails(Errno::Notcapable), "{path}");
        }
    }
    // A link that was harmless where it was made, and is moved up.
    guest.symlink("../../outside", BOX, "a/b/moved").unwrap();
    guest.rename(BOX, "a/b/moved", BOX, "a/moved").unwrap();
    assert_eq!(guest.open(BOX, "a/moved/secret", Open::reading()), fails(Errno::Notcapable));
    // Or linked there.
    guest.symlink("../..", BOX, "a/b/up").unwrap();
    if cfg!(windows) {
        assert_eq!(
            guest.link(BOX, "a/b/up", false, BOX, "a/up"),
            fails(Errno::Perm),
            "a link to a directory is a directory of a kind"
        );
        return;
    }
    guest.link(BOX, "a/b/up", false, BOX, "a/up").unwrap();
    assert_eq!(guest.open(BOX, "a/up/outside/secret", Open::reading()), fails(Errno::Notcapable));
}

#[test]
fn a_directory_below_is_a_sandbox_of_its_own() {
    let mut guest = world();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    for path in ["..", "../file", "nested/../../file", "out/secret", "../dir/nested", "/file"] {
        for (name, act) in ACTS {
            assert_eq!(
                act(&mut guest, dir, path.as_bytes()),
                fails(Errno::Notcapable),
                "{name} with {path}"
            );
        }
    }
    assert!(guest.open(dir, "nested/..", Open::directory()).is_ok());
}

#[cfg_attr(windows, ignore = "a directory cannot be moved while one below it is open")]
#[test]
fn a_directory_that_is_moved_outside_leads_nowhere_else() {
    let mut guest = world();
    let nested = guest.open(BOX, "dir/nested", Open::directory()).unwrap();
    std::fs::rename(guest.temp.path("box/dir"), guest.temp.path("outside/moved")).unwrap();
    for path in ["..", "../..", "../../secret", "../../../outside/secret"] {
        for (name, act) in ACTS {
            assert_eq!(
                act(&mut guest, nested, path.as_bytes()),
                fails(Errno::Notcapable),
                "{name} with {path}"
            );
        }
    }
    // And what was put in its place is another.
    guest.temp.symlink("../outside", "box/dir");
    assert_eq!(guest.open(BOX, "dir/secret", Open::reading()), fails(Errno::Notcapable));
    assert!(guest.open(nested, "new", Open::creating()).is_ok());
    assert!(
        guest.temp.there("outside/moved/nested/new"),
        "the directory is the one that was opened"
    );
}

#[test]
fn nothing_is_renamed_or_linked_out_of_one_preopen_through_another() {
    let setup = Setup { preopens: &[("one", "box"), ("two", "outside")], ..Setup::default() };
    let mut guest = setup.guest();
    guest.temp.write("box/file", "x");
    guest.temp.symlink("../outside/secret", "box/link");
    assert_eq!(guest.rename(3, "../outside/secret", 4, "moved"), fails(Errno::Notcapable));
    assert_eq!(guest.rename(3, "file", 4, "../box/moved"), fails(Errno::Notcapable));
    assert_eq!(guest.link(3, "link", true, 4, "linked"), fails(Errno::Notcapable));
    assert_eq!(guest.rename(3, "file", 4, "moved"), Ok(()), "from the one into the other it may");
    assert_eq!(guest.link(4, "secret", false, 3, "linked"), Ok(()));
    // A link that is moved says something else there.
    assert_eq!(guest.rename(3, "link", 4, "link"), Ok(()));
    assert_eq!(guest.open(4, "link", Open::reading().follow()), fails(Errno::Notcapable));
}

#[cfg(target_os = "linux")]
#[test]
fn links_of_proc_are_not_what_they_seem() {
    use crate::support::{Filestat, Outcome};
    let mut guest =
        Setup { preopens: &[("process", "/proc/self"), ("/", "/proc/self")], ..Setup::default() }
            .guest();
    // A root is what an absolute text starts at, so that of `root` leads to the preopen itself, as
    // may that of `cwd`.
    let itself = guest.filestat(4).unwrap().ino;
    for fd in [3, 4] {
        for path in ["cwd", "root", "exe", "fd/0", "task/../cwd"] {
            let inside =
                |stat: Outcome<Filestat>| stat.is_err() || (fd == 4 && stat.unwrap().ino == itself);
            for how in
                [Open::reading().follow(), Open::directory().follow(), Open::default().follow()]
            {
                if let Ok(opened) = guest.open(fd, path, how) {
                    assert!(inside(guest.filestat(opened)), "{path} was opened through {fd}");
                }
            }
            assert!(inside(guest.path_filestat(fd, path, true)), "{path} through {fd}");
            assert!(
                inside(guest.path_filestat(fd, format!("{path}/."), false)),
                "{path} through {fd}"
            );
            assert!(
                guest.readlink(fd, format!("{path}/etc/hostname"), 9).is_err(),
                "{path} through {fd}"
            );
        }
        assert!(guest.path_filestat(fd, "status", true).is_ok());
    }
}

/// Another process exchanges a directory and a file with links to outside, while the guest goes
/// there over and over.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
#[test]
fn a_race_is_not_won() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::{Duration, Instant};
    let guest = world();
    guest.temp.write("box/dir/secret", "harmless");
    guest.temp.write("box/plain", "harmless");
    let pairs = [("box/dir", "box/out"), ("box/plain", "box/out-file")]
        .map(|(one, other)| (guest.temp.path(one), guest.temp.path(other)));
    let outside = guest.temp.tree("outside");
    let over = AtomicBool::new(false);
    let (mut inside, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                for (one, other) in &pairs {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        let mut thread = guest.thread();
        thread.memory.truncate(4096);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1500) {
            for path in ["dir/secret", "plain", "dir/nested/../secret"] {
                match thread.open(BOX, path, Open::default().follow()) {
                    Ok(fd) => {
                        inside += 1;
                        assert_eq!(
                            thread.pread(fd, &[50], 0),
                            Ok(b"harmless".to_vec()),
                            "{path} led outside"
                        );
                        thread.close(fd).unwrap();
                    }
                    Err(_) => refused += 1,
                }
            }
            for path in ["dir/new", "dir/nested/../new"] {
                let created = thread.open(BOX, path, Open::creating());
                if let Ok(fd) = created {
                    thread.close(fd).unwrap();
                }
                let _ = thread.unlink(BOX, path);
                let _ = thread.mkdir(BOX, path);
                let _ = thread.rmdir(BOX, path);
            }
            let _ = thread.path_set_times(BOX, "plain", true, 1, 1, 5);
            let _ = thread.path_set_times(BOX, "dir/secret", true, 1, 1, 5);
            if let Ok(stat) = thread.path_filestat(BOX, "dir/secret", true) {
                assert_eq!(stat.size, 8, "the attributes of what is outside");
            }
        }
        over.store(true, Relaxed);
    });
    assert!(inside > 0 && refused > 0, "{inside} inside, {refused} refused: no race was run");
    let after = guest.temp.tree("outside");
    assert_eq!(after, outside);
}

/// A guest with a preopen that denies symbolic links and one that does not, in whose directories
/// the host has made some.
fn denied() -> Guest {
    use wasi_rs_core::descriptor::Descriptor;
    use wasi_rs_core::host::{PreopenOptions, open_preopen};
    let guest = Setup::default().guest();
    guest.temp.create_dir("scratch");
    guest.temp.create_dir("scratch/sub");
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/file", "x");
    guest.temp.symlink("../outside/secret", "scratch/link");
    guest.temp.symlink("../../outside/secret", "scratch/sub/link");
    guest.temp.symlink("../file", "box/dir/link");
    for (name, no_symlinks) in [("box", true), ("scratch", false), ("outside", true)] {
        let object = open_preopen(
            &guest.temp.path(name),
            PreopenOptions { no_symlinks, ..PreopenOptions::default() },
        )
        .unwrap();
        guest.ctx.table.insert(Descriptor::preopen(object, name.as_bytes())).unwrap();
    }
    guest
}

#[cfg_attr(windows, ignore = "a directory cannot be moved while one below it is open")]
#[test]
fn no_link_comes_in_where_links_are_denied() {
    const SCRATCH: u32 = 4;
    const OUTSIDE: u32 = 5;
    let mut guest = denied();
    let passed = guest.fdstat(BOX).unwrap().inheriting;
    let most = Open { base: Rights::DIRECTORY, inheriting: passed, ..Open::directory() };
    // Descriptors keep what they were opened with.
    let (sub, dir) =
        (guest.open(SCRATCH, "sub", most).unwrap(), guest.open(BOX, "dir", most).unwrap());
    let before = guest.temp.tree("");
    for to in [BOX, dir] {
        for from in [SCRATCH, sub] {
            assert_eq!(guest.link(from, "link", false, to, "new"), fails(Errno::Xdev));
            assert_eq!(guest.rename(from, "link", to, "new"), fails(Errno::Xdev));
        }
        // A directory that holds links, or below which someone makes one later.
        assert_eq!(guest.rename(SCRATCH, "sub", to, "new"), fails(Errno::Xdev));
        // Nor does a directory leave for where links are made, to come back with them.
        assert_eq!(guest.rename(BOX, "file", SCRATCH, "new"), fails(Errno::Xdev));
        assert_eq!(guest.link(BOX, "file", false, sub, "new"), fails(Errno::Xdev));
        assert_eq!(guest.rename(BOX, "dir", SCRATCH, "new"), fails(Errno::Xdev));
        assert_eq!(guest.symlink("file", to, "new"), fails(Errno::Perm));
    }
    // One that the host has made says something else under another name.
    for (from, old, to) in [
        (BOX, "dir/link", BOX),
        (dir, "link", BOX),
        (BOX, "dir/link", dir),
        (dir, "link", dir),
        (dir, "link", OUTSIDE),
    ] {
        assert_eq!(guest.rename(from, old, to, "new"), fails(Errno::Perm));
        assert_eq!(guest.link(from, old, false, to, "new"), fails(Errno::Perm));
    }
    assert_eq!(guest.link(dir, "link", true, BOX, "new"), fails(Errno::Loop));
    assert_eq!(guest.temp.tree(""), before);
    // All else goes on as before.
    assert_eq!(guest.rename(BOX, "file", OUTSIDE, "moved"), Ok(()), "where both deny links");
    assert_eq!(guest.link(OUTSIDE, "moved", false, dir, "linked"), Ok(()));
    assert_eq!(guest.rename(dir, "linked", dir, "renamed"), Ok(()));
    assert_eq!(guest.rename(BOX, "dir", BOX, "moved"), Ok(()));
    assert_eq!(guest.unlink(dir, "link"), Ok(()));
    assert_eq!(guest.symlink("x", dir, "new"), fails(Errno::Perm), "as where it was opened");
    assert_eq!(guest.rename(SCRATCH, "sub", SCRATCH, "moved"), Ok(()));
    assert_eq!(guest.symlink("x", sub, "new"), Ok(()));
    assert_eq!(guest.rename(sub, "new", SCRATCH, "new"), Ok(()));
}
