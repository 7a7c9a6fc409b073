//! Rights: every function needs its own, and they only ever shrink.

use crate::support::host::stream_pair;
use crate::support::{ALL, BOX, Guest, Open, Outcome, Setup, Subscribe, fails};
use wasi_rs_core::abi::{Errno, Fdflags, Oflags, Rights};
use wasi_rs_core::preview1::CallError;

/// A call by a descriptor.
type Act = fn(&mut Guest, u32) -> Outcome<()>;

/// A fresh directory for each call: `file`, `link`, an empty `dir`, and the descriptor that the
/// call is about.
fn world() -> Guest {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    guest.temp.symlink("file", "box/link");
    guest.temp.create_dir("box/dir");
    // A second descriptor of the directory, with all rights, for what takes two.
    assert_eq!(guest.open(BOX, ".", Open::directory()), Ok(4));
    guest
}

const FILE_CALLS: &[(&str, Rights, Act)] = &[
    ("fd_advise", Rights::FD_ADVISE, |guest, fd| guest.advise(fd, 0, 0, 0)),
    ("fd_allocate", Rights::FD_ALLOCATE, |guest, fd| guest.allocate(fd, 0, 20)),
    ("fd_datasync", Rights::FD_DATASYNC, Guest::datasync),
    ("fd_fdstat_set_flags", Rights::FD_FDSTAT_SET_FLAGS, |guest, fd| {
        guest.set_flags(fd, Fdflags::NONBLOCK)
    }),
    ("fd_filestat_get", Rights::FD_FILESTAT_GET, |guest, fd| guest.filestat(fd).map(drop)),
    ("fd_filestat_set_size", Rights::FD_FILESTAT_SET_SIZE, |guest, fd| guest.set_size(fd, 3)),
    ("fd_filestat_set_times", Rights::FD_FILESTAT_SET_TIMES, |guest, fd| {
        guest.set_times(fd, 1, 2, 5)
    }),
    ("fd_pread", Rights::FD_READ.union(Rights::FD_SEEK), |guest, fd| {
        guest.pread(fd, &[4], 0).map(drop)
    }),
    ("fd_pwrite", Rights::FD_WRITE.union(Rights::FD_SEEK), |guest, fd| {
        guest.pwrite(fd, &[b"x"], 0).map(drop)
    }),
    ("fd_read", Rights::FD_READ, |guest, fd| guest.read(fd, &[4]).map(drop)),
    ("fd_seek", Rights::FD_SEEK, |guest, fd| guest.seek(fd, 1, 0).map(drop)),
    ("fd_seek by 0 from the end", Rights::FD_SEEK, |guest, fd| guest.seek(fd, 0, 2).map(drop)),
    ("fd_sync", Rights::FD_SYNC, Guest::sync),
    ("fd_write", Rights::FD_WRITE, |guest, fd| guest.write(fd, &[b"x"]).map(drop)),
    ("poll_oneoff to read", Rights::POLL_FD_READWRITE.union(Rights::FD_READ), |guest, fd| {
        guest.poll(&[Subscribe::Read(fd)]).map(drop)
    }),
    ("poll_oneoff to write", Rights::POLL_FD_READWRITE.union(Rights::FD_WRITE), |guest, fd| {
        guest.poll(&[Subscribe::Write(fd)]).map(drop)
    }),
];

const DIRECTORY_CALLS: &[(&str, Rights, Act)] = &[
    ("fd_filestat_get", Rights::FD_FILESTAT_GET, |guest, fd| guest.filestat(fd).map(drop)),
    ("fd_filestat_set_times", Rights::FD_FILESTAT_SET_TIMES, |guest, fd| {
        guest.set_times(fd, 1, 2, 5)
    }),
    ("fd_readdir", Rights::FD_READDIR, |guest, fd| guest.readdir(fd, 512, 0).map(drop)),
    ("fd_sync", Rights::FD_SYNC, Guest::sync),
    ("path_create_directory", Rights::PATH_CREATE_DIRECTORY, |guest, fd| guest.mkdir(fd, "new")),
    ("path_filestat_get", Rights::PATH_FILESTAT_GET, |guest, fd| {
        guest.path_filestat(fd, "file", false).map(drop)
    }),
    ("path_filestat_set_times", Rights::PATH_FILESTAT_SET_TIMES, |guest, fd| {
        guest.path_set_times(fd, "file", false, 1, 2, 5)
    }),
    ("path_link from", Rights::PATH_LINK_SOURCE, |guest, fd| {
        guest.link(fd, "file", false, 4, "new")
    }),
    ("path_link to", Rights::PATH_LINK_TARGET, |guest, fd| guest.link(4, "file", false, fd, "new")),
    ("path_open", Rights::PATH_OPEN, |guest, fd| guest.open(fd, "file", Open::default()).map(drop)),
    ("path_open with CREAT", Rights::PATH_OPEN.union(Rights::PATH_CREATE_FILE), |guest, fd| {
        guest.open(fd, "new", Open::creating()).map(drop)
    }),
    (
        "path_open with TRUNC",
        Rights::PATH_OPEN.union(Rights::PATH_FILESTAT_SET_SIZE),
        |guest, fd| {
            guest
                .open(fd, "file", Open::default().oflags(Oflags::TRUNC).base(Rights::FD_WRITE))
                .map(drop)
        },
    ),
    ("path_readlink", Rights::PATH_READLINK, |guest, fd| guest.readlink(fd, "link", 9).map(drop)),
    ("path_remove_directory", Rights::PATH_REMOVE_DIRECTORY, |guest, fd| guest.rmdir(fd, "dir")),
    ("path_rename from", Rights::PATH_RENAME_SOURCE, |guest, fd| {
        guest.rename(fd, "file", 4, "new")
    }),
    ("path_rename to", Rights::PATH_RENAME_TARGET, |guest, fd| guest.rename(4, "file", fd, "new")),
    ("path_symlink", Rights::PATH_SYMLINK, |guest, fd| guest.symlink("file", fd, "new")),
    ("path_unlink_file", Rights::PATH_UNLINK_FILE, |guest, fd| guest.unlink(fd, "file")),
];

const SOCKET_CALLS: &[(&str, Rights, Act)] = &[
    ("fd_read", Rights::FD_READ, |guest, fd| guest.read(fd, &[1]).map(drop)),
    ("fd_write", Rights::FD_WRITE, |guest, fd| guest.write(fd, &[b"x"]).map(drop)),
    ("sock_recv", Rights::FD_READ, |guest, fd| guest.recv(fd, &[1], 0).map(drop)),
    ("sock_send", Rights::FD_WRITE, |guest, fd| guest.send(fd, &[b"x"], 0).map(drop)),
    ("sock_shutdown", Rights::SOCK_SHUTDOWN, |guest, fd| guest.shutdown(fd, 2)),
];

/// Each call succeeds with exactly the rights it needs, and without any one of them is refused and
/// does nothing.
fn check(
    calls: &[(&str, Rights, Act)],
    most: Rights,
    inheriting: Rights,
    make: impl Fn() -> (Guest, u32),
) {
    for (name, needed, act) in calls {
        let (mut guest, fd) = make();
        assert_eq!(guest.set_rights(fd, *needed, inheriting), Ok(()), "{name}");
        assert_eq!(act(&mut guest, fd), Ok(()), "{name} with {needed:?} alone");

        for right in needed.iter() {
            let (mut guest, fd) = make();
            let without = most.difference(right);
            assert_eq!(guest.set_rights(fd, without, inheriting), Ok(()), "{name}");
            let before = (guest.temp.tree(""), guest.descriptors());
            assert_eq!(act(&mut guest, fd), fails(Errno::Notcapable), "{name} without {right:?}");
            assert_eq!(
                (guest.temp.tree(""), guest.descriptors()),
                before,
                "{name} without {right:?}"
            );
        }
    }
}

#[test]
fn who_may_set_the_size_of_what_is_opened_may_cut_it_at_once() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", b"contents");
    let rights = guest.fdstat(BOX).unwrap();
    let base = rights.base.difference(Rights::PATH_FILESTAT_SET_SIZE).bits();
    let shrink = |guest: &mut Guest, inheriting: Rights| {
        guest.call("fd_fdstat_set_rights", &[BOX.into(), base, inheriting.bits()]).unwrap();
    };
    shrink(&mut guest, rights.inheriting);
    let cut = Open::default().oflags(Oflags::TRUNC);
    guest.open(BOX, "file", cut.base(Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE)).unwrap();
    assert_eq!(guest.temp.read("box/file"), b"");
    assert_eq!(guest.open(BOX, "file", cut.base(Rights::FD_WRITE)), fails(Errno::Notcapable));
    shrink(&mut guest, rights.inheriting.difference(Rights::FD_FILESTAT_SET_SIZE));
    assert_eq!(
        guest.open(BOX, "file", cut.base(Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE)),
        fails(Errno::Notcapable)
    );
}

#[test]
fn each_function_on_a_file_needs_its_rights_and_no_more() {
    check(FILE_CALLS, Rights::REGULAR_FILE, Rights::empty(), || {
        let mut guest = world();
        let fd = guest.open(BOX, "file", Open::default()).unwrap();
        (guest, fd)
    });
}

#[test]
fn each_function_on_a_directory_needs_its_rights_and_no_more() {
    let inheriting = Rights::DIRECTORY.union(Rights::REGULAR_FILE);
    check(DIRECTORY_CALLS, Rights::DIRECTORY, inheriting, || (world(), BOX));
}

#[test]
fn each_function_on_a_socket_needs_its_rights_and_no_more() {
    check(SOCKET_CALLS, Rights::SOCKET, ALL, || {
        let (socket, peer) = stream_pair();
        std::io::Write::write_all(&mut &peer, b"hello").unwrap();
        let guest = Setup {
            stdin: Some(socket.into()),
            stdout: Some(peer.into()),
            whole: true,
            ..Setup::default()
        }
        .guest();
        (guest, 0)
    });
}

#[test]
fn sock_accept_needs_its_right() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Setup { stdin: Some(listener.into()), ..Setup::default() }.guest();
    let _peer = std::net::TcpStream::connect(address).unwrap();
    let without = guest.fdstat(0).unwrap().base.difference(Rights::SOCK_ACCEPT);
    assert_eq!(guest.set_rights(0, without, ALL), Ok(()));
    assert_eq!(guest.accept(0, Fdflags::empty()), fails(Errno::Notcapable));
}

#[test]
fn telling_the_offset_needs_one_of_two_rights() {
    for (rights, wanted) in [
        (Rights::FD_TELL, Ok(0)),
        (Rights::FD_SEEK, Ok(0)),
        (Rights::FD_READ, fails(Errno::Notcapable)),
        (Rights::empty(), fails(Errno::Notcapable)),
    ] {
        let mut guest = world();
        let fd = guest.open(BOX, "file", Open::default()).unwrap();
        guest.set_rights(fd, rights, Rights::empty()).unwrap();
        assert_eq!(guest.seek(fd, 0, 1), wanted, "{rights:?}");
        assert_eq!(guest.tell(fd), wanted, "{rights:?}");
    }
}

#[test]
fn a_descriptor_has_the_rights_asked_for_that_make_sense() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default().base(Rights::FD_READ)).unwrap();
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.base, stat.inheriting), (Rights::FD_READ, Rights::empty()));

    // Rights of directories asked for a file, and the reverse, are dropped.
    let asked = Rights::FD_READ | Rights::FD_READDIR | Rights::PATH_OPEN;
    let fd = guest
        .open(BOX, "file", Open { base: asked, inheriting: asked, ..Open::default() })
        .unwrap();
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.base, stat.inheriting), (Rights::FD_READ, Rights::empty()));

    let asked = Rights::FD_SEEK | Rights::FD_READDIR | Rights::PATH_OPEN;
    let fd = guest
        .open(BOX, "dir", Open { base: asked, inheriting: asked, ..Open::directory() })
        .unwrap();
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!((stat.base, stat.inheriting), (Rights::FD_READDIR | Rights::PATH_OPEN, asked));

    let fd = guest.open(BOX, "file", Open::default().base(Rights::empty())).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().base, Rights::empty());
}

#[test]
fn a_child_has_at_most_what_its_directory_passes_on() {
    let mut guest = world();
    let passed = Rights::FD_READ | Rights::PATH_OPEN | Rights::FD_READDIR;
    let dir = guest
        .open(
            BOX,
            "dir",
            Open {
                base: Rights::PATH_OPEN | Rights::PATH_CREATE_FILE,
                inheriting: passed,
                ..Open::directory()
            },
        )
        .unwrap();
    for asked in [Rights::FD_WRITE, Rights::FD_READ | Rights::FD_SEEK, ALL] {
        let base = Open { oflags: Oflags::CREAT, base: asked, ..Open::default() };
        assert_eq!(guest.open(dir, "new", base), fails(Errno::Notcapable), "{asked:?}");
        let inheriting = Open {
            oflags: Oflags::CREAT,
            base: Rights::FD_READ,
            inheriting: asked,
            ..Open::default()
        };
        assert_eq!(guest.open(dir, "new", inheriting), fails(Errno::Notcapable), "{asked:?}");
        let both =
            Open { oflags: Oflags::CREAT, base: asked, inheriting: asked, ..Open::default() };
        assert_eq!(guest.open(dir, "new", both), fails(Errno::Notcapable), "{asked:?}");
    }
    assert!(!guest.temp.there("box/dir/new"));
    let fd = guest
        .open(dir, "new", Open { oflags: Oflags::CREAT, base: Rights::FD_READ, ..Open::default() })
        .unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().base, Rights::FD_READ);
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Notcapable));

    // Nor does a grandchild get more.
    let again = guest
        .open(dir, ".", Open { base: passed, inheriting: passed, ..Open::directory() })
        .unwrap();
    assert_eq!(guest.fdstat(again).unwrap().inheriting, passed);
    assert_eq!(
        guest.open(again, ".", Open { base: Rights::PATH_UNLINK_FILE, ..Open::directory() }),
        fails(Errno::Notcapable)
    );
}

#[test]
fn flags_that_write_through_need_their_rights_passed_on() {
    for (flags, right) in [
        (Fdflags::DSYNC, Rights::FD_DATASYNC),
        (Fdflags::SYNC, Rights::FD_SYNC),
        (Fdflags::RSYNC, Rights::FD_SYNC),
    ] {
        let mut guest = world();
        let asked = Open { base: Rights::FD_READ, flags, ..Open::default() };
        assert!(guest.open(BOX, "file", asked).is_ok());
        let inheriting = Rights::DIRECTORY.union(Rights::REGULAR_FILE).difference(right);
        guest.set_rights(BOX, Rights::DIRECTORY, inheriting).unwrap();
        assert_eq!(guest.open(BOX, "file", asked), fails(Errno::Notcapable), "{flags:?}");
    }
}

#[test]
fn rights_only_shrink() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    let rights =
        |guest: &mut Guest, fd| guest.fdstat(fd).map(|stat| (stat.base, stat.inheriting)).unwrap();
    assert_eq!(
        guest.set_rights(fd, Rights::REGULAR_FILE, Rights::empty()),
        Ok(()),
        "the same again"
    );
    let few = Rights::FD_READ | Rights::FD_SEEK;
    assert_eq!(guest.set_rights(fd, few, Rights::empty()), Ok(()));
    assert_eq!(rights(&mut guest, fd), (few, Rights::empty()));
    for (base, inheriting) in [
        (Rights::REGULAR_FILE, Rights::empty()),
        (few | Rights::FD_WRITE, Rights::empty()),
        (Rights::FD_WRITE, Rights::empty()),
        (few, Rights::FD_READ),
        (ALL, ALL),
        (Rights::from_bits_retain(u64::MAX), Rights::empty()),
        (Rights::from_bits_retain(1 << 30), Rights::empty()),
        (few, Rights::from_bits_retain(1 << 63)),
    ] {
        assert_eq!(
            guest.set_rights(fd, base, inheriting),
            fails(Errno::Notcapable),
            "{base:?} {inheriting:?}"
        );
        assert_eq!(rights(&mut guest, fd), (few, Rights::empty()));
    }
    // The inheriting ones on their own.
    let (base, inheriting) = rights(&mut guest, BOX);
    assert_eq!(guest.set_rights(BOX, base, Rights::FD_READ), Ok(()));
    assert_eq!(rights(&mut guest, BOX), (base, Rights::FD_READ));
    assert_eq!(guest.set_rights(BOX, base, inheriting), fails(Errno::Notcapable));
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Notcapable));
    assert!(guest.open(BOX, "file", Open::default().base(Rights::FD_READ)).is_ok());
    // None at all.
    assert_eq!(guest.set_rights(fd, Rights::empty(), Rights::empty()), Ok(()));
    assert_eq!(rights(&mut guest, fd), (Rights::empty(), Rights::empty()));
    assert_eq!(guest.close(fd), Ok(()), "closing needs no right");
    assert_eq!(guest.set_rights(99, Rights::empty(), Rights::empty()), fails(Errno::Badf));
}

#[test]
fn a_new_descriptor_of_the_same_file_has_rights_of_its_own() {
    let mut guest = world();
    let (one, other) = (
        guest.open(BOX, "file", Open::default()).unwrap(),
        guest.open(BOX, "file", Open::default()).unwrap(),
    );
    guest.set_rights(one, Rights::empty(), Rights::empty()).unwrap();
    assert_eq!(guest.fdstat(other).unwrap().base, Rights::REGULAR_FILE);
}

#[test]
fn rights_that_do_not_exist_are_refused_at_opening() {
    let mut guest = world();
    for rights in [1 << 30, 1 << 63, u64::MAX] {
        let rights = Rights::from_bits_retain(rights);
        assert_eq!(guest.open(BOX, "file", Open::default().base(rights)), fails(Errno::Notcapable));
        assert_eq!(
            guest.open(BOX, "file", Open { inheriting: rights, ..Open::default() }),
            fails(Errno::Notcapable)
        );
    }
}

#[test]
fn what_is_given_has_the_rights_that_make_sense() {
    let mut guest = world();
    let preopen = guest.fdstat(BOX).unwrap();
    assert_eq!(
        (preopen.base, preopen.inheriting),
        (Rights::DIRECTORY, Rights::DIRECTORY.union(Rights::REGULAR_FILE))
    );
    // A right to write or to seek makes no sense for a directory.
    assert!(!preopen.base.intersects(
        Rights::FD_READ
            | Rights::FD_WRITE
            | Rights::FD_SEEK
            | Rights::FD_TELL
            | Rights::FD_FILESTAT_SET_SIZE
    ));
}

#[test]
fn a_path_function_on_a_file_lacks_the_right() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    for (name, _, act) in
        DIRECTORY_CALLS.iter().filter(|(name, ..)| !name.starts_with("fd_f") && *name != "fd_sync")
    {
        assert_eq!(act(&mut guest, fd), fails(Errno::Notcapable), "{name}");
    }
}

#[test]
fn a_function_on_files_does_not_take_a_directory() {
    let mut guest = world();
    for (name, _, act) in FILE_CALLS.iter().filter(|(name, ..)| {
        !matches!(
            *name,
            "fd_filestat_get"
                | "fd_filestat_set_times"
                | "fd_sync"
                | "poll_oneoff to read"
                | "poll_oneoff to write"
        )
    }) {
        // The error that programs report for reading a directory like a file.
        let errno =
            if matches!(*name, "fd_read" | "fd_pread") { Errno::Isdir } else { Errno::Badf };
        assert_eq!(act(&mut guest, BOX), fails(errno), "{name}");
    }
}

#[test]
fn a_descriptor_that_is_not_open_is_refused_before_anything_else() {
    let mut guest = world();
    for (name, _, act) in FILE_CALLS
        .iter()
        .chain(DIRECTORY_CALLS)
        .chain(SOCKET_CALLS)
        .filter(|(name, ..)| !name.starts_with("poll"))
    {
        for fd in [5, 127, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            assert_eq!(act(&mut guest, fd), Err(CallError::Errno(Errno::Badf)), "{name} on {fd}");
        }
    }
}
