//! A preopen that the guest calls `/`: a root. Run once more without `openat2`.

use crate::support::host::{MetadataExt, TICK};
use crate::support::{BOX, Guest, Open, fails};
use wasi_rs_core::abi::{Errno, Oflags};

fn world() -> Guest {
    let guest = Guest::root();
    let temp = &guest.temp;
    temp.write("box/file", "0123456789");
    temp.create_dir("box/dir");
    temp.create_dir("box/dir/nested");
    temp.write("box/dir/inner", "inner");
    for (text, link) in [
        ("/file", "absolute-file"),
        ("/dir", "absolute-dir"),
        ("/", "top"),
        ("/dir/../../../file", "absolute-up"),
        ("../../../file", "up-file"),
        ("..", "up"),
        ("/made", "absolute-dangling"),
        ("../../made-above", "up-dangling"),
        ("/etc/passwd", "passwd"),
        ("/dir/nested", "dir/absolute-nested"),
        ("/proc/self/root/etc", "magic"),
    ] {
        temp.symlink(text, &format!("box/{link}"));
    }
    guest
}

#[test]
fn the_parent_of_the_top_is_the_top() {
    let mut guest = world();
    let top = guest.temp.stat("box").ino();
    for path in [
        "..",
        "../",
        "../..",
        "../../../..",
        "dir/../..",
        "dir/../../..",
        "up",
        "up/..",
        "top",
        "top/..",
        "./../.",
    ] {
        assert_eq!(guest.path_filestat(BOX, path, true).map(|stat| stat.ino), Ok(top), "{path}");
        let fd = guest.open(BOX, path, Open::directory().follow()).unwrap();
        assert_eq!(guest.filestat(fd).map(|stat| stat.ino), Ok(top), "{path}");
    }
    assert_eq!(guest.path_filestat(BOX, "../outside/secret", true), fails(Errno::Noent));
    assert_eq!(guest.path_filestat(BOX, "up/outside/secret", true), fails(Errno::Noent));
}

#[test]
fn absolute_links_lead_inside() {
    let mut guest = world();
    let file = guest.temp.stat("box/file").ino();
    for path in [
        "absolute-file",
        "absolute-up",
        "up-file",
        "../file",
        "../../dir/../file",
        "absolute-dir/../file",
        "top/file",
        "top/../file",
        "up/up/file",
        "dir/absolute-nested/../../absolute-file",
        "dir/absolute-nested/../../../../file",
    ] {
        assert_eq!(guest.path_filestat(BOX, path, true).map(|stat| stat.ino), Ok(file), "{path}");
        let fd = guest.open(BOX, path, Open::reading().follow()).unwrap();
        assert_eq!(guest.filestat(fd).map(|stat| stat.ino), Ok(file), "{path}");
        guest.close(fd).unwrap();
    }
    for path in ["passwd", "magic", "magic/passwd"] {
        assert_eq!(guest.open(BOX, path, Open::reading().follow()), fails(Errno::Noent), "{path}");
        assert_eq!(guest.path_filestat(BOX, path, true), fails(Errno::Noent), "{path}");
    }
}

#[test]
fn every_function_stays_inside() {
    let mut guest = world();
    let outside = guest.temp.tree("outside");
    assert_eq!(guest.mkdir(BOX, "../../made-dir"), Ok(()));
    assert_eq!(guest.mkdir(BOX, "absolute-dir/made"), Ok(()));
    assert_eq!(guest.symlink("x", BOX, "../link-above"), Ok(()));
    assert_eq!(guest.link(BOX, "../absolute-file", true, BOX, "up/linked"), Ok(()));
    assert_eq!(guest.rename(BOX, "absolute-dir/inner", BOX, "../moved"), Ok(()));
    assert_eq!(guest.path_set_times(BOX, "absolute-up", true, 7, 8 * TICK, 5), Ok(()));
    assert!(guest.open(BOX, "absolute-dangling", Open::creating().follow()).is_ok());
    assert!(guest.open(BOX, "up-dangling", Open::creating().follow()).is_ok());
    for there in ["made-dir", "dir/made", "link-above", "linked", "moved", "made", "made-above"] {
        assert!(guest.temp.there(&format!("box/{there}")), "{there}");
    }
    assert_eq!(guest.temp.stat("box/file").mtime_nsec().cast_unsigned(), 8 * TICK);
    assert_eq!(guest.temp.stat("box/file").ino(), guest.temp.stat("box/linked").ino());
    assert_eq!(guest.unlink(BOX, "../../moved"), Ok(()));
    assert_eq!(guest.rmdir(BOX, "top/made-dir"), Ok(()));
    assert_eq!(guest.readlink(BOX, "../link-above", 9), Ok(b"x".to_vec()));
    assert_eq!(guest.temp.tree("outside"), outside);
    assert!(
        guest.open(BOX, "passwd", Open::creating().follow()).is_err(),
        "there is no /etc inside"
    );
}

#[test]
fn a_link_at_the_end_is_still_left_alone_where_it_is_not_to_be_followed() {
    let mut guest = world();
    assert_eq!(guest.path_filestat(BOX, "absolute-file", false).unwrap().filetype, 7);
    assert_eq!(guest.open(BOX, "absolute-file", Open::reading()), fails(Errno::Loop));
    let exclusive = Open::creating().oflags(Oflags::CREAT | Oflags::EXCL).follow();
    assert_eq!(guest.open(BOX, "absolute-dangling", exclusive), fails(Errno::Exist));
    assert!(!guest.temp.there("box/made"));
}

#[test]
fn an_absolute_path_is_refused_as_everywhere() {
    let mut guest = world();
    for (name, act) in crate::path::ACTS {
        for path in ["/", "/file", "//file", "/../file"] {
            assert_eq!(
                act(&mut guest, BOX, path.as_bytes()),
                fails(Errno::Notcapable),
                "{name} with {path}"
            );
        }
    }
    for text in ["/", "/file", "//"] {
        assert_eq!(guest.symlink(text, BOX, "new"), fails(Errno::Perm), "{text}");
    }
}

#[test]
fn a_directory_below_is_no_root() {
    let mut guest = world();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    for path in ["..", "../file", "nested/../../dir/inner", "absolute-nested/x"] {
        assert_eq!(
            guest.open(dir, path, Open::reading().follow()),
            fails(Errno::Notcapable),
            "{path}"
        );
        assert_eq!(guest.path_filestat(dir, path, true), fails(Errno::Notcapable), "{path}");
        assert_eq!(guest.unlink(dir, path), fails(Errno::Notcapable), "{path}");
    }
    // Nor is the top itself, opened anew.
    let top = guest.open(BOX, ".", Open::directory()).unwrap();
    assert_eq!(guest.open(top, "../file", Open::reading()), fails(Errno::Notcapable));
    assert_eq!(
        guest.open(top, "absolute-file", Open::reading().follow()),
        fails(Errno::Notcapable)
    );
}
