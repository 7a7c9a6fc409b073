//! The limit on the number of descriptors.

use crate::support::{BOX, Guest, Open, fails};
use wasi_rs_core::abi::{Errno, Oflags, Rights};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::{Opened, Tree};

#[test]
fn a_guest_has_no_more_descriptors_than_it_may() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "x");
    guest.ctx.table.limit(6);
    for fd in [4, 5] {
        assert_eq!(guest.open(BOX, "file", Open::default()), Ok(fd));
    }
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Mfile));
    // The host has opened nothing for it.
    guest.temp.assert_open_descriptors(3);
    guest.close(4).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(4));
    guest.close(0).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(0));
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Mfile));
}

/// Every call that would need a number is refused and does nothing if the guest has none left.
fn check_nothing_is_opened(guest: &mut Guest, fd: u32, look: &dyn Fn(&Guest) -> String) {
    let before = look(guest);
    for oflags in
        [Oflags::TRUNC, Oflags::CREAT, Oflags::CREAT | Oflags::TRUNC, Oflags::CREAT | Oflags::EXCL]
    {
        for path in ["file", "new", "dir/new", "link"] {
            let how = Open {
                oflags,
                base: Rights::FD_READ | Rights::FD_WRITE,
                ..Open::default().follow()
            };
            assert_eq!(guest.open(fd, path, how), fails(Errno::Mfile), "{path} with {oflags:?}");
            assert_eq!(look(guest), before, "{path} with {oflags:?}");
        }
    }
}

#[test]
fn an_open_that_finds_no_number_has_created_and_cut_nothing() {
    for shared in [false, true] {
        let mut guest = Guest::new();
        guest.temp.write("box/file", "precious");
        guest.temp.create_dir("box/dir");
        guest.temp.symlink("dangling", "box/link");
        let tree = Tree::new(1 << 20);
        tree.seed("file", b"precious").unwrap();
        tree.create_directories("dir").unwrap();
        let memory = Descriptor::preopen(Opened::Directory(tree.root_directory(false)), b"memory");
        let memory = guest.ctx.table.insert(memory).unwrap();
        guest.symlink("dangling", memory, "link").unwrap();
        guest.ctx.table.limit(5);
        if shared {
            guest = guest.thread();
        }
        check_nothing_is_opened(&mut guest, BOX, &|guest| format!("{:?}", guest.temp.tree("")));
        let look = move |_: &Guest| {
            format!("{:?} {:?}", tree.list_files("", &mut { usize::MAX }), tree.read_file("file"))
        };
        check_nothing_is_opened(&mut guest, memory, &look);
        // Errors of the call itself come first, because then there is nothing to open.
        assert_eq!(guest.open(BOX, "", Open::creating()), fails(Errno::Noent));
        assert_eq!(guest.open(99, "new", Open::creating()), fails(Errno::Badf));
        // With a number it goes on, and a call that failed for another reason keeps none.
        guest.close(2).unwrap();
        for _ in 0..3 {
            assert_eq!(guest.open(BOX, "missing", Open::reading()), fails(Errno::Noent));
            assert_eq!(guest.open(memory, "missing", Open::reading()), fails(Errno::Noent));
        }
        assert_eq!(guest.open(BOX, "new", Open::creating()), Ok(2));
        assert_eq!(guest.open(BOX, "other", Open::creating()), fails(Errno::Mfile));
    }
}

#[cfg(unix)]
#[test]
fn a_connection_waits_on_where_there_is_no_number_for_it() {
    use crate::support::Setup;
    use std::io::{Read, Write};
    use wasi_rs_core::abi::Fdflags;
    for shared in [false, true] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut guest = Setup { stdin: Some(listener.into()), ..Setup::default() }.guest();
        guest.ctx.table.limit(3);
        if shared {
            guest = guest.thread();
        }
        let mut peer = std::net::TcpStream::connect(address).unwrap();
        for _ in 0..3 {
            assert_eq!(guest.accept(0, Fdflags::empty()), fails(Errno::Mfile));
        }
        guest.close(2).unwrap();
        assert_eq!(guest.accept(0, Fdflags::empty()), Ok(2), "the same connection");
        peer.write_all(b"hello").unwrap();
        assert_eq!(guest.recv(2, &[9], 0), Ok((b"hello".to_vec(), 0)));
        guest.send(2, &[b"back"], 0).unwrap();
        let mut back = [0; 4];
        peer.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"back");
        // One that waits in vain holds no number between two slices.
        guest.close(2).unwrap();
        guest.fresh();
        let at = guest.room(4);
        assert_eq!(
            guest.slice("sock_accept", &[0, 0, at]),
            Err(wasi_rs_core::preview1::CallError::Again)
        );
        assert!(guest.ctx.table.reserve().is_ok());
    }
}

/// Threads that open and close at the edge of what may be open never get a number twice, nor lose
/// one.
#[test]
fn threads_share_the_last_numbers() {
    let guest = Guest::new();
    guest.temp.write("box/file", "precious");
    guest.ctx.table.limit(6);
    drop(guest.ctx.share());
    std::thread::scope(|scope| {
        for number in 0..4_u32 {
            let mut thread = guest.thread();
            scope.spawn(move || {
                thread.memory.truncate(4096);
                for round in 0..300 {
                    let name = format!("new-{number}-{round}");
                    match thread.open(BOX, &name, Open::creating()) {
                        Ok(fd) => {
                            assert!((4..6).contains(&fd), "{fd}");
                            assert_eq!(
                                thread.write(fd, &[name.as_bytes()]),
                                Ok(name.len() as u32),
                                "nobody else has it"
                            );
                            assert_eq!(thread.close(fd), Ok(()));
                            assert_eq!(thread.temp.read(&format!("box/{name}")), name.as_bytes());
                        }
                        refused => {
                            assert_eq!(refused, fails(Errno::Mfile));
                            assert!(!thread.temp.there(&format!("box/{name}")));
                        }
                    }
                }
            });
        }
    });
    let mut guest = guest;
    assert_eq!([4, 5].map(|_| guest.open(BOX, "file", Open::default())), [Ok(4), Ok(5)]);
    assert_eq!(guest.open(BOX, "file", Open::default()), fails(Errno::Mfile));
}
