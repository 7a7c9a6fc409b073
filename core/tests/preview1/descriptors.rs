//! The table of descriptors: numbers, closing, renumbering, preopens.

use crate::support::{BOX, Guest, Open, Setup, fails};
use wasi_rs_core::abi::{Errno, Fdflags, Rights};

fn world() -> Guest {
    let guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    guest.temp.write("box/other", "abcdef");
    guest.temp.create_dir("box/dir");
    guest
}

#[test]
fn a_new_descriptor_has_the_lowest_free_number() {
    let mut guest = world();
    for fd in 4..10 {
        assert_eq!(guest.open(BOX, "file", Open::default()), Ok(fd));
    }
    for fd in [7, 4, 8] {
        guest.close(fd).unwrap();
    }
    for fd in [4, 7, 8, 10] {
        assert_eq!(guest.open(BOX, "file", Open::default()), Ok(fd));
    }
    // Stdio's and the preopen's numbers are numbers like others.
    guest.close(1).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(1));
    guest.renumber(4, 6).unwrap();
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(4));
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(11));
}

#[test]
fn an_open_that_fails_takes_no_number() {
    let mut guest = world();
    assert_eq!(guest.open(BOX, "missing", Open::default()), fails(Errno::Noent));
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(4));
}

#[test]
fn a_closed_descriptor_is_gone() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    assert_eq!(guest.close(fd), Ok(()));
    assert_eq!(guest.close(fd), fails(Errno::Badf));
    assert_eq!(guest.fdstat(fd), fails(Errno::Badf));
    assert_eq!(guest.read(fd, &[1]), fails(Errno::Badf));
    guest.temp.assert_open_descriptors(1);
    for fd in [4, 5, 1000, 0x8000_0000, u32::MAX] {
        assert_eq!(guest.close(fd), fails(Errno::Badf), "{fd}");
    }
}

#[test]
fn a_closed_preopen_leaves_the_others_usable() {
    let mut guest = world();
    let dir = guest.open(BOX, "dir", Open::directory()).unwrap();
    assert_eq!(guest.close(BOX), Ok(()));
    assert_eq!(guest.fdstat(BOX), fails(Errno::Badf));
    assert_eq!(guest.prestat(BOX), fails(Errno::Badf));
    assert!(guest.open(dir, "new", Open::creating()).is_ok());
    assert!(guest.temp.there("box/dir/new"));
}

#[test]
fn renumbering_moves_a_descriptor_with_all_that_it_is() {
    let mut guest = world();
    let one = guest.open(BOX, "file", Open::default().flags(Fdflags::APPEND)).unwrap();
    let other = guest.open(BOX, "other", Open::default()).unwrap();
    guest.seek(one, 3, 0).unwrap();
    guest
        .set_rights(one, Rights::REGULAR_FILE.difference(Rights::FD_ADVISE), Rights::empty())
        .unwrap();
    let before = guest.fdstat(one).unwrap();
    assert_eq!(guest.renumber(one, other), Ok(()));
    assert_eq!(guest.fdstat(one), fails(Errno::Badf));
    assert_eq!(guest.fdstat(other), Ok(before));
    assert_eq!(guest.tell(other), Ok(3), "the offset moved with it");
    assert_eq!(guest.read(other, &[4]), Ok(b"3456".to_vec()));
    assert_eq!(guest.temp.read("box/other"), b"abcdef");
    guest.temp.assert_open_descriptors(2);
}

#[test]
fn renumbering_needs_two_open_descriptors() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    for missing in [5, 127, u32::MAX] {
        assert_eq!(guest.renumber(fd, missing), fails(Errno::Badf));
        assert_eq!(guest.renumber(missing, fd), fails(Errno::Badf));
        assert_eq!(guest.renumber(missing, missing), fails(Errno::Badf));
    }
    assert_eq!(guest.read(fd, &[2]), Ok(b"01".to_vec()));
}

#[test]
fn a_descriptor_stays_open_where_it_is_renumbered_onto_itself() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    for fd in [fd, 0, BOX] {
        let before = guest.fdstat(fd);
        assert_eq!(guest.renumber(fd, fd), Ok(()));
        assert_eq!(guest.fdstat(fd), before);
    }
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(5), "no number became free");
}

#[test]
fn a_preopens_name_goes_with_the_descriptor() {
    let mut guest = world();
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    assert_eq!(guest.prestat(fd), fails(Errno::Badf));
    guest.renumber(BOX, fd).unwrap();
    assert_eq!(guest.prestat(BOX), fails(Errno::Badf));
    assert_eq!(guest.prestat_name(fd, 3), Ok(b"box".to_vec()));
    let fd = guest.open(fd, "file", Open::default()).unwrap();
    guest.renumber(fd, 4).unwrap();
    assert_eq!(guest.prestat(4), fails(Errno::Badf), "a file in a preopen's place is none");
}

#[test]
fn a_preopen_tells_its_name() {
    let setup = Setup {
        preopens: &[("box", "box"), ("/", "box"), ("ünï", "outside"), ("", "outside")],
        ..Setup::default()
    };
    let mut guest = setup.guest();
    for (fd, name) in (3..).zip(["box", "/", "ünï", ""]) {
        assert_eq!(guest.prestat(fd), Ok(name.len() as u32));
        assert_eq!(guest.prestat_name(fd, name.len()), Ok(name.as_bytes().to_vec()));
    }
    for fd in [0, 1, 2, 7, 99, u32::MAX] {
        assert_eq!(guest.prestat(fd), fails(Errno::Badf), "{fd}");
        assert_eq!(guest.prestat_name(fd, 10), fails(Errno::Badf), "{fd}");
    }
    for len in [0, 1, 2] {
        assert_eq!(guest.prestat_name(3, len), fails(Errno::Nametoolong), "{len}");
    }
    // A longer buffer keeps what is behind the name.
    assert_eq!(guest.prestat_name(3, 6), Ok(b"box\xaa\xaa\xaa".to_vec()));
}

#[test]
fn nothing_is_lost_in_many_rounds() {
    let mut guest = world();
    let keep = guest.open(BOX, "other", Open::default()).unwrap();
    for _ in 0..2000 {
        let fd = guest.open(BOX, "file", Open::default()).unwrap();
        assert_eq!(fd, 5);
        guest.renumber(fd, keep).unwrap();
    }
    guest.temp.assert_open_descriptors(2);
}

#[test]
fn a_closed_table_is_empty_for_good() {
    let mut guest = world();
    guest.open(BOX, "file", Open::default()).unwrap();
    guest.ctx.table.close();
    guest.temp.assert_open_descriptors(0);
    for fd in 0..6 {
        assert_eq!(guest.fdstat(fd), fails(Errno::Badf));
        assert_eq!(guest.close(fd), fails(Errno::Badf));
        assert_eq!(guest.open(fd, "file", Open::default()), fails(Errno::Badf));
        assert_eq!(guest.renumber(fd, fd), fails(Errno::Badf));
    }
    assert!(guest.clock(0).is_ok(), "what needs no descriptor goes on");
    guest.ctx.table.close();
}

#[test]
fn dropping_the_instance_closes_everything() {
    let mut guest = world();
    for _ in 0..10 {
        guest.open(BOX, "dir", Open::directory()).unwrap();
        guest.open(BOX, "file", Open::default()).unwrap();
    }
    let temp = guest.temp.clone();
    drop(guest);
    temp.assert_open_descriptors(0);
    assert!(temp.there("box/file"));
}

#[test]
fn threads_of_a_guest_share_the_table() {
    let mut guest = world();
    let opened: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut thread = guest.thread();
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for round in 0..200 {
                        let fd = thread.open(BOX, "file", Open::default()).unwrap();
                        if round % 10 == 0 {
                            kept.push(fd);
                        } else {
                            assert_eq!(
                                thread.read(fd, &[2]),
                                Ok(b"01".to_vec()),
                                "nobody else reads from it"
                            );
                            thread.close(fd).unwrap();
                        }
                    }
                    kept
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut numbers = opened.clone();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 80, "no number was given twice");
    for fd in numbers {
        assert_eq!(guest.close(fd), Ok(()));
    }
    assert_eq!(guest.open(BOX, "file", Open::default()), Ok(4));
}

#[test]
fn a_read_that_waits_learns_that_its_descriptor_was_closed() {
    let (read, write) = std::io::pipe().unwrap();
    let mut guest = Setup { stdin: Some(read.into()), ..Setup::default() }.guest();
    let mut thread = guest.thread();
    thread.fresh();
    let (list, _) = thread.vectors(&[&[0; 5]]);
    let count = thread.room(4);
    let args = [0, list, 1, count];
    assert_eq!(thread.slice("fd_read", &args), Err(wasi_rs_core::preview1::CallError::Again));
    assert_eq!(guest.close(0), Ok(()));
    std::io::Write::write_all(&mut &write, b"hello").unwrap();
    assert_eq!(thread.slice("fd_read", &args), fails(Errno::Badf));
}
