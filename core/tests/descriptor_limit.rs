//! A process that has no more descriptors to give. A program of its own, as the limit is the whole
//! process's.

#![cfg(unix)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::too_many_lines,
    reason = "a test says what is wrong by failing"
)]

mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{BOX, Guest, Open, fails};
use wasi_rs_core::abi::Errno;

fn prepare() {}

#[test]
fn a_guest_that_takes_all_gets_an_errno_and_gives_all_back() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123");
    guest.temp.create_dir("box/dir");
    guest.temp.symlink("dir", "box/link");
    // Which resolver there is has been found out, and the loader has loaded what it loads late.
    guest.open(BOX, "dir/../file", Open::reading()).unwrap();

    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), maximum: before.maximum }).unwrap();
    let mut opened = Vec::new();
    let full = loop {
        match guest.open(BOX, "file", Open::reading()) {
            Ok(fd) => opened.push(fd),
            full => break full,
        }
        assert!(opened.len() < 100);
    };
    assert_eq!(full, fails(Errno::Mfile));
    assert!(opened.len() > 50);

    // A call that needs a descriptor of the host fails, leaves nothing behind, and reports just
    // that.
    for result in [
        guest.open(BOX, "new", Open::creating()).map(drop),
        guest.open(BOX, "dir", Open::directory()).map(drop),
        guest.mkdir(BOX, "dir/new"),
        guest.unlink(BOX, "dir/../file"),
        guest.rename(BOX, "dir/../file", BOX, "new"),
        guest.path_filestat(BOX, "link", true).map(drop),
        guest.path_filestat(BOX, "dir/../file", false).map(drop),
    ] {
        assert_eq!(result, fails(Errno::Mfile));
    }
    assert!(!guest.temp.there("box/new") && guest.temp.there("box/file"));
    // Calls that need none go on.
    assert_eq!(guest.read(opened[0], &[2]), Ok(b"01".to_vec()));
    assert!(guest.path_filestat(BOX, "file", false).is_ok());
    assert!(guest.readdir(BOX, 1000, 0).is_ok());
    assert!(std::fs::File::open("/dev/null").is_err(), "the host has none either");

    // One given back is one to take.
    guest.close(opened[0]).unwrap();
    assert_eq!(guest.open(BOX, "dir/../file", Open::reading()), Ok(opened[0]));
    guest.ctx.table.close();
    assert!(std::fs::File::open("/dev/null").is_ok(), "the host can open files again");
    setrlimit(Resource::Nofile, before).unwrap();
}
