//! Every pointer of every function, where it must not point: no result, no byte written, nothing
//! done.

use super::signatures::SIGNATURES;
use crate::support::host::{Stream, stream_pair};
use crate::support::{BOX, Event, Fdstat, Guest, Open, Outcome, PAGE, Setup, Subscribe, Tree};
use wasi_rs_core::abi::{Errno, Oflags, Rights};
use wasi_rs_core::preview1::CallError;

/// The kind of an argument.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// No pointer.
    Value(u64),
    /// A pointer to this many bytes.
    Record(u64),
    /// A pointer to bytes; the next argument is their number.
    Bytes(&'static str),
    /// A pointer to this many bytes of room; the next argument is their number.
    Room(u64),
    /// A pointer to one iovec with these bytes; the next argument is 1.
    Iovecs(&'static str),
    /// A pointer to one subscription; the next but one argument is 1.
    Subscription,
    /// The number that goes with the pointer before it.
    Length,
    /// A pointer to room for one event.
    Events,
}

use Kind::{Bytes, Events, Iovecs, Length, Record, Room, Subscription, Value};

/// The descriptor of `file`, opened for everything.
const FILE: u64 = 4;
/// The preopen.
const DIR: u64 = BOX as u64;

/// Calls that succeed, with at least one pointer each.
const CALLS: &[(&str, &[Kind])] = &[
    ("args_get", &[Record(8), Record(8)]),
    ("args_sizes_get", &[Record(4), Record(4)]),
    ("clock_res_get", &[Value(1), Record(8)]),
    ("clock_time_get", &[Value(1), Value(0), Record(8)]),
    ("environ_get", &[Record(4), Record(4)]),
    ("environ_sizes_get", &[Record(4), Record(4)]),
    ("fd_fdstat_get", &[Value(FILE), Record(24)]),
    ("fd_filestat_get", &[Value(FILE), Record(64)]),
    ("fd_pread", &[Value(FILE), Iovecs("....."), Length, Value(2), Record(4)]),
    ("fd_prestat_get", &[Value(DIR), Record(8)]),
    ("fd_prestat_dir_name", &[Value(DIR), Room(3), Length]),
    ("fd_pwrite", &[Value(FILE), Iovecs("xyz"), Length, Value(2), Record(4)]),
    ("fd_read", &[Value(FILE), Iovecs("....."), Length, Record(4)]),
    ("fd_readdir", &[Value(DIR), Room(512), Length, Value(0), Record(4)]),
    ("fd_seek", &[Value(FILE), Value(3), Value(0), Record(8)]),
    ("fd_tell", &[Value(FILE), Record(8)]),
    ("fd_write", &[Value(FILE), Iovecs("xyz"), Length, Record(4)]),
    ("path_create_directory", &[Value(DIR), Bytes("new"), Length]),
    ("path_filestat_get", &[Value(DIR), Value(0), Bytes("file"), Length, Record(64)]),
    (
        "path_filestat_set_times",
        &[Value(DIR), Value(0), Bytes("file"), Length, Value(1), Value(2), Value(5)],
    ),
    ("path_link", &[Value(DIR), Value(0), Bytes("file"), Length, Value(DIR), Bytes("new"), Length]),
    (
        "path_open",
        &[
            Value(DIR),
            Value(0),
            Bytes("new"),
            Length,
            Value(1),
            Value(0x42),
            Value(0),
            Value(0),
            Record(4),
        ],
    ),
    ("path_readlink", &[Value(DIR), Bytes("link"), Length, Room(2), Length, Record(4)]),
    ("path_remove_directory", &[Value(DIR), Bytes("dir"), Length]),
    ("path_rename", &[Value(DIR), Bytes("file"), Length, Value(DIR), Bytes("new"), Length]),
    ("path_symlink", &[Bytes("file"), Length, Value(DIR), Bytes("new"), Length]),
    ("path_unlink_file", &[Value(DIR), Bytes("file"), Length]),
    ("poll_oneoff", &[Subscription, Events, Length, Record(4)]),
    ("random_get", &[Room(16), Length]),
    ("sock_accept", &[Value(0), Value(0), Record(4)]),
    ("sock_recv", &[Value(0), Iovecs("....."), Length, Value(0), Record(4), Record(2)]),
    ("sock_send", &[Value(0), Iovecs("xyz"), Length, Value(0), Record(4)]),
];

/// The files, the descriptors, how many bytes were sent, and what there is to receive.
type State = (Tree, Vec<(Outcome<Fdstat>, Outcome<u64>)>, usize, Vec<Event>);

struct World {
    guest: Guest,
    peer: Stream,
}

impl World {
    fn new() -> Self {
        let (socket, peer) = stream_pair();
        let setup = Setup {
            args: &["abc", "def"],
            environ: &["A=b"],
            stdin: Some(socket.into()),
            whole: true,
            preopens: &[("box", "box")],
            ..Setup::default()
        };
        let mut guest = setup.guest();
        guest.temp.write("box/file", "0123456789");
        guest.temp.symlink("file", "box/link");
        guest.temp.create_dir("box/dir");
        assert_eq!(guest.open(BOX, "file", Open::default()), Ok(FILE as u32));
        peer.set_nonblocking(true).unwrap();
        std::io::Write::write_all(&mut &peer, b"hello").unwrap();
        Self { guest, peer }
    }

    /// Puts a call together. A buffer of its own is at the end of the memory.
    fn args(&mut self, kinds: &[Kind]) -> Vec<u64> {
        self.guest.fresh();
        let mut args = Vec::new();
        let mut length = 0;
        for kind in kinds {
            args.push(match *kind {
                Value(value) => value,
                Record(size) => self.guest.room(size as usize),
                Events => self.guest.room(32),
                Bytes(bytes) => {
                    length = bytes.len() as u64;
                    self.guest.put(bytes.as_bytes())
                }
                Room(size) => {
                    length = size;
                    self.guest.room(size as usize)
                }
                Iovecs(bytes) => {
                    length = 1;
                    self.guest.vectors(&[bytes.as_bytes()]).0
                }
                Subscription => {
                    length = 1;
                    let now = Subscribe::Clock { id: 1, timeout: 0, flags: 0 };
                    self.guest.put(&now.bytes(7))
                }
                Length => length,
            });
        }
        args
    }

    /// All that a call could have done.
    fn state(&mut self) -> State {
        let tree = self.guest.temp.tree("");
        let mut sent = [0; 64];
        let sent = std::io::Read::read(&mut &self.peer, &mut sent).unwrap_or(0);
        // The event tells how many bytes there are to receive.
        (tree, self.guest.descriptors(), sent, self.guest.poll(&[Subscribe::Read(0)]).unwrap())
    }
}

const END: u64 = PAGE as u64;
const HALF: u64 = 1 << 31;
const LAST: u64 = u32::MAX as u64;

/// Pointers to `size` bytes that are not all inside.
fn bad_pointers(size: u64) -> Vec<u64> {
    let mut pointers = vec![END, END + 1, HALF, LAST, LAST - 1, LAST - size + 1];
    if size > 1 {
        pointers.extend([END - 1, END - size + 1, HALF - 1, LAST - size + 2]);
    }
    pointers
}

/// Pointers and lengths that are not all inside.
fn bad_ranges() -> Vec<(u64, u64)> {
    let mut ranges = vec![
        (0, END + 1),
        (1, END),
        (1, LAST),
        (LAST, 1),
        (LAST, LAST),
        (HALF, HALF),
        (HALF, 1),
        (END - 1, 2),
    ];
    // Also an empty range has to begin inside.
    ranges.extend([(END, 0), (END, 1), (LAST, 0), (HALF, 0)]);
    ranges
}

/// Pointers and counts of records of `size` bytes that are not all inside: also where the product
/// wraps around 2^32 to something small.
fn bad_arrays(at: u64, size: u64) -> Vec<(u64, u64)> {
    let wrapping = (1_u64 << 32).div_ceil(size);
    let mut arrays = vec![
        (at, END / size + 1),
        (at, wrapping),
        (at, wrapping + 1),
        (at, HALF),
        (at, LAST),
        (at, LAST / size),
    ];
    arrays.extend([
        (END - size + 1, 1),
        (END - 1, 1),
        (END, 1),
        (LAST, 1),
        (HALF, 1),
        (LAST - size + 2, 1),
        (END, 0),
        (LAST, 0),
    ]);
    arrays
}

#[test]
fn every_function_with_a_pointer_is_here() {
    for (name, signature) in SIGNATURES {
        let pointers = CALLS.iter().find(|(called, _)| *called == name);
        if let Some((_, kinds)) = pointers {
            assert_eq!(kinds.len(), signature.len(), "{name}");
        }
    }
    let without: Vec<&str> = SIGNATURES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !CALLS.iter().any(|(with, _)| with == name))
        .collect();
    assert_eq!(
        without,
        [
            "fd_advise",
            "fd_allocate",
            "fd_close",
            "fd_datasync",
            "fd_fdstat_set_flags",
            "fd_fdstat_set_rights",
            "fd_filestat_set_size",
            "fd_filestat_set_times",
            "fd_renumber",
            "fd_sync",
            "proc_exit",
            "proc_raise",
            "sched_yield",
            "sock_shutdown",
        ]
    );
}

#[test]
fn the_calls_succeed_as_they_are() {
    for (name, kinds) in CALLS {
        let mut world = World::new();
        let args = world.args(kinds);
        // No listener: what counts is that the call got that far.
        let wanted =
            if *name == "sock_accept" { Err(CallError::Errno(Errno::Inval)) } else { Ok(()) };
        let result = world.guest.slice(name, &args);
        assert!(
            result == wanted
                || (*name == "sock_accept"
                    && matches!(result, Err(CallError::Errno(_) | CallError::Again))),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn a_bad_pointer_leaves_no_trace() {
    for (name, kinds) in CALLS {
        let mut world = World::new();
        let before = world.state();
        for (index, kind) in kinds.iter().enumerate() {
            let cases: Vec<Vec<(usize, u64)>> = match *kind {
                Value(_) | Length => continue,
                Record(size) => {
                    bad_pointers(size).into_iter().map(|at| vec![(index, at)]).collect()
                }
                Events => bad_pointers(32).into_iter().map(|at| vec![(index, at)]).collect(),
                Bytes(_) | Room(_) => bad_ranges()
                    .into_iter()
                    .map(|(at, len)| vec![(index, at), (index + 1, len)])
                    .collect(),
                Iovecs(_) => bad_arrays(64, 8)
                    .into_iter()
                    .map(|(at, len)| vec![(index, at), (index + 1, len)])
                    .collect(),
                // The events are checked with the same count: what is too many for these may not be
                // for those, so the subscriptions decide. None at all is `inval` before anything
                // else.
                Subscription => bad_arrays(64, 48)
                    .into_iter()
                    .filter(|(_, count)| *count > 0)
                    .map(|(at, count)| vec![(index, at), (index + 2, count)])
                    .collect(),
            };
            for case in cases {
                let mut args = world.args(kinds);
                for (index, value) in &case {
                    args[*index] = *value;
                }
                assert_eq!(
                    world.guest.slice(name, &args),
                    Err(CallError::OutOfBounds),
                    "{name}{args:x?}, {case:x?}"
                );
            }
        }
        assert_eq!(world.state(), before, "{name}");
    }
}

#[test]
fn a_bad_iovec_leaves_no_trace() {
    for (name, kinds) in CALLS {
        let Some(index) = kinds.iter().position(|kind| matches!(kind, Iovecs(_))) else { continue };
        let mut world = World::new();
        let before = world.state();
        for (at, len) in bad_ranges().into_iter().filter(|(_, len)| *len > 0) {
            let mut args = world.args(kinds);
            // A good one before it and one behind it.
            let good = world.guest.put(b"good");
            let list: Vec<u8> = [good as u32, 4, at as u32, len as u32, good as u32, 4]
                .into_iter()
                .flat_map(u32::to_le_bytes)
                .collect();
            args[index] = world.guest.put(&list);
            args[index + 1] = 3;
            assert_eq!(
                world.guest.slice(name, &args),
                Err(CallError::OutOfBounds),
                "{name}, {at:x} {len:x}"
            );
        }
        assert_eq!(world.state(), before, "{name}");
    }
}

#[test]
fn a_record_may_stand_at_the_very_end() {
    for (name, kinds) in CALLS {
        for (index, kind) in kinds.iter().enumerate() {
            let size = match *kind {
                Record(size) | Room(size) => size,
                Events => 32,
                Bytes(bytes) => bytes.len() as u64,
                Iovecs(_) => 8,
                Subscription => 48,
                Value(_) | Length => continue,
            };
            let mut world = World::new();
            let mut args = world.args(kinds);
            let (from, to) = (args[index] as usize, PAGE - size as usize);
            world.guest.memory.copy_within(from..from + size as usize, to);
            args[index] = to as u64;
            let result = world.guest.slice(name, &args);
            if *name == "sock_accept" {
                assert_ne!(result, Err(CallError::OutOfBounds));
            } else {
                assert_eq!(result, Ok(()), "{name}, argument {index}");
            }
        }
    }
}

#[test]
fn a_memory_of_no_bytes_has_no_place_for_anything() {
    for (name, kinds) in CALLS {
        let mut world = World::new();
        let args = world.args(kinds);
        world.guest.memory = Vec::new();
        assert_eq!(world.guest.slice(name, &args), Err(CallError::OutOfBounds), "{name}");
    }
}

/// A bad pointer for the new descriptor's number must leave nothing behind.
#[test]
fn path_open_with_a_bad_pointer_opens_and_creates_nothing() {
    let mut guest = Guest::new();
    guest.fresh();
    let path = guest.put(b"new");
    let read = Rights::FD_READ.bits();
    for at in bad_pointers(4) {
        let args = [DIR, 0, path, 3, Oflags::CREAT.bits().into(), read, 0, 0, at];
        assert_eq!(guest.call("path_open", &args), Err(CallError::OutOfBounds));
    }
    assert!(!guest.temp.there("box/new"));
    guest.temp.assert_open_descriptors(1);
}

#[test]
fn results_may_overlap_each_other_and_the_arguments() {
    // The path stands where the result goes.
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    guest.fresh();
    let path = guest.put(b"file");
    let args = [DIR, 0, path, 4, 0, Rights::FD_READ.bits(), 0, 0, path];
    assert_eq!(guest.call("path_open", &args), Ok(()));
    assert_eq!(guest.u32(path), 4);

    // Two iovecs over the same bytes: the second wins.
    guest.fresh();
    let buffer = guest.room(4);
    let list: Vec<u8> =
        [buffer as u32, 4, buffer as u32 + 2, 2].into_iter().flat_map(u32::to_le_bytes).collect();
    let (list, count) = (guest.put(&list), guest.room(4));
    assert_eq!(guest.call("fd_read", &[4, list, 2, count]), Ok(()));
    assert_eq!((guest.u32(count), guest.bytes(buffer, 4)), (6, &b"0145"[..]));
}
