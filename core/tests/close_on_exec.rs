//! A child that is started while a guest opens files and takes connections inherits none of them. A
//! program of its own, as the others of one program open what they open meanwhile.

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

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use support::host::{open_directory, stream_pair, without_privileges};
use support::{BOX, Open, Setup, TempDir};
use wasi_rs_core::abi::{Fdflags, Rights};
use wasi_rs_core::host::{PreopenOptions, open_exact, open_preopen};
use wasi_rs_core::preview1::CallError;

fn prepare() {}

/// How many children are started.
const CHILDREN: u32 = 2000;

/// The descriptors of this process that a child would inherit, standard streams aside.
fn inherited() -> BTreeSet<i32> {
    let numbers = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    numbers
        .filter(|fd| *fd > 2)
        .filter(|fd| {
            // The one that lists the others is closed by now.
            let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else {
                return false;
            };
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            i32::from_str_radix(flags, 8).unwrap() & libc::O_CLOEXEC == 0
        })
        .collect()
}

/// One after the other: what the first looks at, the second would open.
#[test]
fn no_descriptor_of_a_guest_is_inherited() {
    each_way_to_open_a_preopen();
    each_way_to_open();
    children_while_a_guest_accepts();
}

/// As without and as with the permission model.
fn each_way_to_open_a_preopen() {
    let before = inherited();
    let place = TempDir::new();
    // One that can be listed, and one in which only names can be looked up.
    for (name, mode) in [("dir", 0o700), ("unlisted", 0o300)] {
        place.create_dir(name);
        place.chmod(name, mode);
        let path = place.path(name).canonicalize().unwrap();
        without_privileges(|| {
            for no_access_times in [false, true] {
                let options = PreopenOptions { no_access_times, ..PreopenOptions::default() };
                let opened = place.open_descriptors();
                let _preopen = open_preopen(&path, options).unwrap();
                assert_eq!(inherited(), before, "{name}, {no_access_times}");
                let _exact = open_exact(&path, options).unwrap();
                assert_eq!(inherited(), before, "{name}, {no_access_times}, exact");
                assert_eq!(place.open_descriptors(), opened + 2, "both are looked at");
            }
        });
        place.chmod(name, 0o700);
    }
}

fn each_way_to_open() {
    let before = inherited();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Setup {
        stdin: Some(listener.into()),
        preopens: &[("box", "box"), ("/", "box")],
        ..Setup::default()
    }
    .guest();
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/dir/file", "text");
    guest.temp.fifo("box/fifo");
    guest.temp.symlink("dir/file", "box/link");
    let reading = Open::reading();
    for (path, how) in [
        ("dir", Open::directory()),
        ("dir/file", reading),
        ("dir/../dir/file", reading),
        ("link", reading.follow()),
        ("dir/file", Open::default()),
        ("dir/file", Open::default().flags(Fdflags::APPEND | Fdflags::SYNC)),
        ("new", Open::creating()),
        ("dir/new", Open::creating()),
        ("fifo", reading.flags(Fdflags::NONBLOCK)),
        ("fifo", Open::default().base(Rights::FD_READ | Rights::FD_WRITE)),
        (".", Open::directory()),
    ] {
        for preopen in [BOX, BOX + 1] {
            guest.open(preopen, path, how).unwrap();
            assert_eq!(inherited(), before, "{path} below {preopen}");
        }
    }
    let listed = guest.open(BOX, "dir", Open::directory()).unwrap();
    guest.list(listed, 100);
    let _peer = TcpStream::connect(address).unwrap();
    guest.accept(0, Fdflags::empty()).unwrap();
    assert_eq!(inherited(), before, "accepted");

    let lent = open_directory(&guest.temp.path("box"));
    let _directory = Setup { stdin: Some(lent.into()), ..Setup::default() }.guest();
    let (socket, _peer) = stream_pair();
    let _socket = Setup { stdin: Some(socket.into()), ..Setup::default() }.guest();
    assert_eq!(inherited(), before, "lent");
}

/// The descriptors that a child has open: its streams, the one that lists them, and those that this
/// program has inherited itself.
fn open_in_a_child() -> String {
    let child = Command::new("ls")
        .arg("/proc/self/fd")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(child.stdout).unwrap()
}

fn children_while_a_guest_accepts() {
    let alone = open_in_a_child();
    let place = TempDir::new();
    // Who connects waits while the listener has as many as it takes.
    let listener = UnixListener::bind(place.path("socket")).unwrap();
    // As Node's own, so that as much as possible is accepted meanwhile.
    listener.set_nonblocking(true).unwrap();
    // One that is opened anew for each write.
    place.fifo("fifo");
    let mut pipe =
        std::fs::OpenOptions::new().read(true).write(true).open(place.path("fifo")).unwrap();
    let stdout = std::fs::OpenOptions::new().write(true).open(place.path("fifo")).unwrap();
    let setup = Setup {
        stdin: Some(listener.into()),
        stdout: Some(stdout.into()),
        preopens: &[("box", "box")],
        ..Setup::default()
    };
    let guest = setup.guest();
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/file", "text");
    let (over, started, accepted) = &(AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                drop(UnixStream::connect(place.path("socket")));
            }
        });
        scope.spawn(move || {
            // Its listener is closed at the end: nobody waits for it any more.
            let mut guest = guest;
            while !over.load(Relaxed) {
                guest.fresh();
                let at = guest.room(4);
                match guest.slice("sock_accept", &[0, 0, at]) {
                    Ok(()) => {
                        let fd = guest.u32(at);
                        guest.close(fd).unwrap();
                        accepted.fetch_add(1, Relaxed);
                        let fd = guest.open(BOX, "file", Open::reading()).unwrap();
                        guest.close(fd).unwrap();
                        guest.path_filestat(BOX, "dir/../file", true).unwrap();
                        guest.unlink(BOX, "dir/none").unwrap_err();
                        guest.write(1, &[b"x"]).unwrap();
                        pipe.read_exact(&mut [0]).unwrap();
                    }
                    Err(CallError::Again) => {}
                    result => panic!("{result:?}"),
                }
            }
        });
        let children = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut seen = BTreeSet::new();
                while started.fetch_add(1, Relaxed) < CHILDREN {
                    seen.insert(open_in_a_child());
                }
                seen
            })
        });
        let seen: Vec<_> = children.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Relaxed);
        for outcome in seen {
            assert_eq!(outcome.unwrap(), BTreeSet::from([alone.clone()]));
        }
    });
    assert!(
        accepted.load(Relaxed) > CHILDREN,
        "{} connections were accepted",
        accepted.load(Relaxed)
    );
}
