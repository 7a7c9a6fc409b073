//! What the embedder takes away: writing, and numbers of descriptors.

use crate::path::ACTS;
use crate::support::{BOX, Guest, Open, Setup, fails, preopen};
use wasi_rs_core::abi::{Errno, Oflags, Rights};

/// A guest that may only read `box`.
fn reader() -> Guest {
    let guest = Setup::default().guest();
    guest.temp.write("box/file", "0123456789");
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/dir/inner", "inner");
    guest.temp.symlink("file", "box/link");
    let fd = guest.ctx.table.insert(preopen("box", &guest.temp.path("box")).read_only()).unwrap();
    assert_eq!(fd, BOX);
    guest
}

#[test]
fn nothing_below_a_read_only_preopen_is_changed() {
    let mut guest = reader();
    let before = guest.temp.tree("");
    for path in ["file", "link", "dir", "dir/inner", "new", "dir/new", "dir/../file"] {
        for (_, act) in ACTS {
            // Reading may succeed.
            let _ = act(&mut guest, BOX, path.as_bytes());
        }
    }
    assert_eq!(guest.temp.tree(""), before);
    for refused in [
        guest.mkdir(BOX, "new"),
        guest.rmdir(BOX, "dir"),
        guest.unlink(BOX, "file"),
        guest.symlink("file", BOX, "new"),
        guest.link(BOX, "file", false, BOX, "new"),
        guest.rename(BOX, "file", BOX, "new"),
        guest.path_set_times(BOX, "file", false, 1, 1, 5),
        guest.set_times(BOX, 1, 1, 5),
        guest.open(BOX, "new", Open::creating()).map(drop),
        guest.open(BOX, "new", Open::reading().oflags(Oflags::CREAT)).map(drop),
        guest.open(BOX, "file", Open::reading().oflags(Oflags::TRUNC)).map(drop),
        guest.open(BOX, "file", Open::default()).map(drop),
    ] {
        assert_eq!(refused, fails(Errno::Notcapable));
    }
    assert_eq!(guest.temp.tree(""), before);
}

#[test]
fn nor_below_a_directory_opened_there() {
    let mut guest = reader();
    let before = guest.temp.tree("");
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    assert!(!guest.fdstat(dir).unwrap().base.intersects(Rights::CHANGING));
    for (_, act) in ACTS {
        let _ = act(&mut guest, dir, b"inner");
        let _ = act(&mut guest, dir, b"new");
    }
    assert_eq!(guest.open(dir, "inner", Open::default()), fails(Errno::Notcapable));
    assert_eq!(guest.temp.tree(""), before);
    let fd = guest.open(dir, "inner", Open::reading()).unwrap();
    assert_eq!(guest.read(fd, &[9]), Ok(b"inner".to_vec()));
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Notcapable));
    assert_eq!(guest.set_times(fd, 1, 1, 5), fails(Errno::Notcapable));
    assert_eq!(guest.set_size(fd, 0), fails(Errno::Notcapable));
}

#[test]
fn a_file_does_not_become_writable_by_being_linked_elsewhere() {
    let mut guest = reader();
    let fd = guest.ctx.table.insert(preopen("outside", &guest.temp.path("outside"))).unwrap();
    let before = guest.temp.tree("box");
    assert_eq!(guest.link(BOX, "file", false, fd, "linked"), fails(Errno::Notcapable));
    assert_eq!(guest.rename(BOX, "file", fd, "moved"), fails(Errno::Notcapable));
    assert_eq!(guest.rename(fd, "secret", BOX, "moved"), fails(Errno::Notcapable));
    assert_eq!(guest.temp.tree("box"), before);
}

#[test]
fn a_guest_has_no_more_descriptors_than_it_may() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "x");
    guest.ctx.table.limit(6);
    for fd in [4, 5] {
        assert_eq!(guest.open(BOX, "file", Open::default()), Ok(fd));
    }
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Mfile));
    // One that is refused is closed, and one that failed after creating is not left open on the host.
    #[cfg(target_os = "linux")]
    assert_eq!(guest.temp.open_descriptors(), 3);
    guest.close(4).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(4));
    guest.close(0).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(0));
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Mfile));
}
