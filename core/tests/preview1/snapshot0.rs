//! The functions of snapshot 0 whose layouts are not preview1's.

use crate::support::host::MetadataExt;
use crate::support::{BOX, Guest, Open, fails};
use wasi_rs_core::abi::Errno;
use wasi_rs_core::preview1::snapshot0::FUNCTIONS;

fn opened() -> (Guest, u64) {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    guest.fresh();
    (guest, fd.into())
}

#[test]
fn four_functions_differ_and_have_the_same_signatures() {
    let table: Vec<(&str, String)> =
        FUNCTIONS.iter().map(|function| (function.name, function.signature())).collect();
    let wanted = ["fd_filestat_get", "fd_seek", "path_filestat_get", "poll_oneoff"].map(|name| {
        let later = super::signatures::SIGNATURES.iter().find(|(later, _)| *later == name).unwrap();
        (name, later.1.to_owned())
    });
    assert_eq!(table, wanted);
}

#[test]
fn attributes_have_a_short_count_of_links() {
    let (mut guest, fd) = opened();
    std::fs::hard_link(guest.temp.path("box/file"), guest.temp.path("box/second")).unwrap();
    let host = guest.temp.stat("box/file");
    let (path, by_path, by_fd) = (guest.put(b"file"), guest.room(56), guest.room(56));
    assert_eq!(guest.call_of(FUNCTIONS, "fd_filestat_get", &[fd, by_fd], &[(by_fd, 56)]), Ok(()));
    let args = [BOX.into(), 0, path, 4, by_path];
    assert_eq!(guest.call_of(FUNCTIONS, "path_filestat_get", &args, &[(by_path, 56)]), Ok(()));
    assert_eq!(guest.bytes(by_fd, 56), guest.bytes(by_path, 56));
    assert_eq!((guest.u64(by_fd), guest.u64(by_fd + 8)), (host.dev(), host.ino()));
    assert_eq!(guest.bytes(by_fd + 16, 4), [4, 0, 0, 0]);
    assert_eq!((guest.u32(by_fd + 20), guest.u64(by_fd + 24)), (2, 10));
    let mtim = u64::try_from(host.mtime() * 1_000_000_000 + host.mtime_nsec()).unwrap();
    assert_eq!(guest.u64(by_fd + 40), mtim);
}

#[test]
fn seeking_counts_from_other_places() {
    let (mut guest, fd) = opened();
    let at = guest.room(8);
    let mut seek = |delta: i64, whence: u64| {
        let result = guest.call_of(
            FUNCTIONS,
            "fd_seek",
            &[fd, delta.cast_unsigned(), whence, at],
            &[(at, 8)],
        );
        result.map(|()| guest.u64(at))
    };
    assert_eq!(seek(4, 2), Ok(4), "2 is the start");
    assert_eq!(seek(3, 0), Ok(7), "0 is where it stands");
    assert_eq!(seek(-1, 1), Ok(9), "1 is the end");
    for whence in [3, 4, 255] {
        assert_eq!(seek(0, whence), fails(Errno::Inval), "{whence}");
    }
}

#[test]
fn subscriptions_to_clocks_have_an_identifier() {
    let (mut guest, fd) = opened();
    let mut bytes = [0x77; 2 * 56];
    // A clock: userdata, tag, identifier, clock, timeout, precision, flags.
    bytes[..8].copy_from_slice(&11_u64.to_le_bytes());
    bytes[8] = 0;
    bytes[24..28].copy_from_slice(&1_u32.to_le_bytes());
    bytes[32..48].fill(0);
    bytes[48..50].fill(0);
    // A descriptor to read.
    bytes[56..64].copy_from_slice(&12_u64.to_le_bytes());
    bytes[64] = 1;
    bytes[72..76].copy_from_slice(&(fd as u32).to_le_bytes());
    let subscriptions = guest.put(&bytes);
    let (events, count) = (guest.room(64), guest.room(4));
    let args = [subscriptions, events, 2, count];
    assert_eq!(guest.call_of(FUNCTIONS, "poll_oneoff", &args, &[(events, 64), (count, 4)]), Ok(()));
    assert_eq!(guest.u32(count), 2);
    assert_eq!((guest.u64(events), guest.bytes(events + 8, 3)), (11, &[0, 0, 0][..]));
    assert_eq!(
        (guest.u64(events + 32), guest.bytes(events + 40, 3), guest.u64(events + 48)),
        (12, &[0, 0, 1][..], 10)
    );
    // The longer records are what is checked.
    let end = guest.memory.len() as u64;
    let args = [end - 48, events, 1, count];
    assert_eq!(
        guest.call_of(FUNCTIONS, "poll_oneoff", &args, &[]),
        Err(wasi_rs_core::preview1::CallError::OutOfBounds)
    );
}
