//! A process whose first paths cannot be resolved, because it may not search the directory or has
//! no descriptor to give. That says nothing of `openat2`, which is used as soon as it can be. A
//! program of its own, as what is found out holds for the whole process.

#![cfg(target_os = "linux")]
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

#[path = "support/seccomp.rs"]
mod seccomp;
mod support;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::atomic::Ordering::Relaxed;
use support::host::without_privileges;
use support::{BOX, Guest, Open, fails};
use wasi_rs_core::abi::Errno;

fn prepare() {}

#[test]
fn another_error_does_not_mean_no_openat2() {
    let mut guest = Guest::new();
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/file", "text");
    // The first path that has to be resolved.
    guest.temp.chmod("box", 0o600);
    without_privileges(|| {
        assert_eq!(guest.open(BOX, "dir/../file", Open::reading()), fails(Errno::Acces));
    });
    guest.temp.chmod("box", 0o755);
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: before.maximum }).unwrap();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    assert_eq!(guest.open(BOX, "dir/../file", Open::reading()), fails(Errno::Mfile));
    taken.clear();
    setrlimit(Resource::Nofile, before).unwrap();

    // From now on each call is counted, and refused as a kernel without it does: one that is never
    // made was taken for absent.
    seccomp::refuse_openat2(libc::ENOSYS);
    let fd = guest.open(BOX, "dir/../file", Open::reading()).unwrap();
    assert_eq!(guest.read(fd, &[4]), Ok(b"text".to_vec()));
    assert!(seccomp::CALLS.load(Relaxed) > 0, "openat2 is tried again");
}
