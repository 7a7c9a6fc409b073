//! Regular files: reading, writing, offsets, sizes, times, flags.

use crate::support::host::{MetadataExt, TICK, nanoseconds};
#[cfg(target_os = "linux")]
use crate::support::host::{skipped, without_privileges};
use crate::support::{BOX, Guest, Open, Setup, fails};
use wasi_rs_core::abi::{Errno, Fdflags, Oflags, Rights};
#[cfg(target_os = "linux")]
use wasi_rs_core::descriptor::Descriptor;
#[cfg(target_os = "linux")]
use wasi_rs_core::host::{PreopenOptions, open_preopen};
use wasi_rs_core::preview1::CallError;

const CONTENTS: &[u8] = b"0123456789";
const SET: u32 = 0;
const CUR: u32 = 1;
const END: u32 = 2;

/// A guest with `file` open at the number it gives.
fn opened(how: Open) -> (Guest, u32) {
    let mut guest = Guest::new();
    guest.temp.write("box/file", CONTENTS);
    let fd = guest.open(BOX, "file", how).unwrap();
    (guest, fd)
}

fn contents(guest: &Guest) -> Vec<u8> {
    guest.temp.read("box/file")
}

#[test]
fn reading_moves_the_offset_and_ends_at_the_end() {
    let (mut guest, fd) = opened(Open::default());
    assert_eq!(guest.read(fd, &[3]), Ok(b"012".to_vec()));
    assert_eq!(guest.tell(fd), Ok(3));
    assert_eq!(guest.read(fd, &[2, 0, 3]), Ok(b"34567".to_vec()));
    assert_eq!(guest.read(fd, &[5, 5]), Ok(b"89".to_vec()));
    assert_eq!(guest.read(fd, &[5]), Ok(Vec::new()));
    assert_eq!(guest.tell(fd), Ok(10));
    assert_eq!(guest.read(fd, &[]), Ok(Vec::new()));
    assert_eq!(guest.read(fd, &[0, 0]), Ok(Vec::new()));
}

#[test]
fn writing_moves_the_offset_and_grows_the_file() {
    let (mut guest, fd) = opened(Open::default());
    assert_eq!(guest.write(fd, &[b"ab", b"", b"c"]), Ok(3));
    assert_eq!(contents(&guest), b"abc3456789");
    assert_eq!(guest.tell(fd), Ok(3));
    guest.seek(fd, 12, SET).unwrap();
    assert_eq!(guest.write(fd, &[b"z"]), Ok(1));
    assert_eq!(contents(&guest), b"abc3456789\0\0z");
    assert_eq!(guest.write(fd, &[]), Ok(0));
    guest.seek(fd, 50, SET).unwrap();
    assert_eq!(guest.write(fd, &[b""]), Ok(0));
    assert_eq!((contents(&guest).len(), guest.tell(fd)), (13, Ok(50)), "no bytes, no growth");
}

#[test]
fn an_empty_buffer_may_point_anywhere() {
    let (mut guest, fd) = opened(Open::default());
    for (name, counted) in [("fd_read", 3), ("fd_write", 3)] {
        guest.fresh();
        let list: Vec<u8> = [1, 0, u32::MAX, 0].into_iter().flat_map(u32::to_le_bytes).collect();
        let (list, count) = (guest.put(&list), guest.room(4));
        assert_eq!(counted, 3);
        assert_eq!(guest.call(name, &[fd.into(), list, 2, count]), Ok(()));
        assert_eq!(guest.u32(count), 0);
    }
}

#[test]
fn many_buffers_in_one_call() {
    let (mut guest, fd) = opened(Open::default());
    let bytes: Vec<[u8; 3]> =
        (0..1024_u32).map(|index| [index as u8, (index >> 8) as u8, 0x55]).collect();
    let buffers: Vec<&[u8]> = bytes.iter().map(<[u8; 3]>::as_slice).collect();
    assert_eq!(guest.write(fd, &buffers), Ok(3072));
    assert_eq!(contents(&guest), bytes.concat());
    guest.seek(fd, 0, SET).unwrap();
    assert_eq!(guest.read(fd, &[3; 1024]), Ok(bytes.concat()));
    // More than one call takes is a short write, of whole buffers.
    guest.seek(fd, 0, SET).unwrap();
    guest.memory.resize(128 * 1024, 0);
    let more: Vec<&[u8]> = (0..2000).map(|_| &b"ab"[..]).collect();
    assert_eq!(guest.write(fd, &more), Ok(2048));
    assert_eq!(guest.read(fd, &[1; 2000]).map(|bytes| bytes.len()), Ok(1024));
}

#[test]
fn a_list_of_any_length_is_served_whole() {
    for count in [0_u8, 1, 2, 15, 16, 17, 18, 100, 255] {
        let (mut guest, fd) = opened(Open::default());
        guest.set_size(fd, 0).unwrap();
        let bytes: Vec<u8> = (0..count).collect();
        let buffers: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(guest.write(fd, &buffers), Ok(count.into()));
        assert_eq!(contents(&guest), bytes);
        assert_eq!(guest.pread(fd, &vec![1; count.into()], 0), Ok(bytes));
    }
}

#[test]
fn a_whole_memory_in_one_write() {
    let (mut guest, fd) = opened(Open::default());
    guest.memory.resize(256 * 1024, 0);
    let bytes: Vec<u8> = (0..200_000_u32).map(|index| (index * 7) as u8).collect();
    assert_eq!(guest.write(fd, &[&bytes]), Ok(200_000));
    assert_eq!(contents(&guest), bytes);
    assert_eq!(guest.pread(fd, &[200_000], 0), Ok(bytes));
}

#[test]
fn pread_and_pwrite_leave_the_offset() {
    let (mut guest, fd) = opened(Open::default());
    guest.seek(fd, 4, SET).unwrap();
    assert_eq!(guest.pread(fd, &[2, 3], 7), Ok(b"789".to_vec()));
    assert_eq!(guest.pread(fd, &[2], 10), Ok(Vec::new()));
    assert_eq!(guest.pread(fd, &[2], 1 << 40), Ok(Vec::new()));
    assert_eq!(guest.pwrite(fd, &[b"x", b"yz"], 8), Ok(3));
    assert_eq!(contents(&guest), b"01234567xyz");
    assert_eq!(guest.pwrite(fd, &[b""], 100), Ok(0));
    assert_eq!(contents(&guest).len(), 11);
    assert_eq!(guest.tell(fd), Ok(4));
    for offset in [1 << 63, u64::MAX] {
        assert_eq!(guest.pread(fd, &[2], offset), fails(Errno::Inval));
        assert_eq!(guest.pread(fd, &[1, 1], offset), fails(Errno::Inval));
        assert_eq!(guest.pwrite(fd, &[b"x"], offset), fails(Errno::Inval));
    }
}

#[test]
fn a_file_opened_for_one_thing_does_not_do_the_other() {
    let (mut guest, fd) = opened(Open::default().base(Rights::FD_READ | Rights::FD_SEEK));
    assert_eq!(guest.write(fd, &[b"x"]), fails(Errno::Notcapable));
    assert_eq!(guest.write(fd, &[b""]), fails(Errno::Notcapable));
    let fd =
        guest.open(BOX, "file", Open::default().base(Rights::FD_WRITE | Rights::FD_SEEK)).unwrap();
    assert_eq!(guest.read(fd, &[1]), fails(Errno::Notcapable));
    assert_eq!(guest.write(fd, &[b"x"]), Ok(1));
    assert_eq!(contents(&guest), b"x123456789");
}

#[test]
fn seeking_to_and_fro() {
    let (mut guest, fd) = opened(Open::default());
    assert_eq!(guest.seek(fd, 4, SET), Ok(4));
    assert_eq!(guest.seek(fd, 3, CUR), Ok(7));
    assert_eq!(guest.seek(fd, -6, CUR), Ok(1));
    assert_eq!(guest.seek(fd, 0, CUR), Ok(1));
    assert_eq!(guest.seek(fd, -1, END), Ok(9));
    assert_eq!(guest.seek(fd, 5, END), Ok(15));
    assert_eq!(guest.read(fd, &[1]), Ok(Vec::new()));
    assert_eq!(guest.seek(fd, i64::MAX, SET), Ok(i64::MAX.cast_unsigned()));
    assert_eq!(guest.tell(fd), Ok(i64::MAX.cast_unsigned()));
    assert_eq!(guest.seek(fd, 1, CUR), fails(Errno::Overflow));
    assert_eq!(guest.seek(fd, i64::MAX, END), fails(Errno::Overflow));
    assert_eq!(guest.seek(fd, 0, SET), Ok(0));
    for (delta, whence) in
        [(-1, SET), (-1, CUR), (-11, END), (i64::MIN, SET), (i64::MIN, CUR), (i64::MIN, END)]
    {
        assert_eq!(guest.seek(fd, delta, whence), fails(Errno::Inval), "{delta} {whence}");
    }
    assert_eq!(guest.tell(fd), Ok(0), "an offset that is refused is not taken");
    for whence in [3, 4, 128, 255] {
        assert_eq!(guest.seek(fd, 0, whence), fails(Errno::Inval), "{whence}");
    }
}

#[test]
fn writing_at_the_very_end_of_what_an_offset_can_be_fails() {
    let (mut guest, fd) = opened(Open::default());
    guest.seek(fd, i64::MAX, SET).unwrap();
    let result = guest.write(fd, &[b"xy"]);
    assert!([fails(Errno::Fbig), fails(Errno::Inval)].contains(&result), "{result:?}");
    assert_eq!(guest.tell(fd), Ok(i64::MAX.cast_unsigned()));
    assert_eq!(contents(&guest), CONTENTS);
}

#[test]
fn two_descriptors_of_a_file_have_two_offsets() {
    let (mut guest, fd) = opened(Open::default());
    let other = guest.open(BOX, "file", Open::default()).unwrap();
    guest.read(fd, &[4]).unwrap();
    assert_eq!(guest.read(other, &[2]), Ok(b"01".to_vec()));
    guest.write(fd, &[b"x"]).unwrap();
    assert_eq!(guest.read(other, &[3]), Ok(b"23x".to_vec()));
}

#[test]
fn threads_that_read_one_descriptor_get_different_bytes() {
    let mut guest = Guest::new();
    let bytes: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    guest.temp.write("box/file", &bytes);
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    let mut seen: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut thread = guest.thread();
                thread.memory.truncate(1024);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    loop {
                        let bytes = thread.read(fd, &[8]).unwrap();
                        if bytes.is_empty() {
                            return seen;
                        }
                        seen.extend(
                            bytes
                                .chunks_exact(4)
                                .map(|number| u32::from_le_bytes(number.try_into().unwrap())),
                        );
                    }
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn appending_writes_at_the_end_and_leaves_the_offset_there() {
    let (mut guest, fd) = opened(Open::default().flags(Fdflags::APPEND));
    assert_eq!(guest.tell(fd), Ok(0));
    assert_eq!(guest.read(fd, &[3]), Ok(b"012".to_vec()));
    assert_eq!(guest.write(fd, &[b"ab", b"c"]), Ok(3));
    assert_eq!(contents(&guest), b"0123456789abc");
    assert_eq!(guest.tell(fd), Ok(13));
    guest.seek(fd, 2, SET).unwrap();
    assert_eq!(guest.write(fd, &[b"d"]), Ok(1));
    assert_eq!(contents(&guest), b"0123456789abcd");
    // Where another descriptor has grown the file meanwhile.
    let other = guest.open(BOX, "file", Open::default()).unwrap();
    guest.pwrite(other, &[b"!"], 19).unwrap();
    guest.write(fd, &[b"e"]).unwrap();
    assert_eq!(contents(&guest), b"0123456789abcd\0\0\0\0\0!e");
    assert_eq!(guest.tell(fd), Ok(21));
    assert_eq!(guest.fdstat(fd).unwrap().flags, 1);
}

#[test]
fn an_empty_append_leaves_the_offset_where_it_is() {
    let (mut guest, fd) = opened(Open::default().flags(Fdflags::APPEND));
    assert_eq!(guest.read(fd, &[4]), Ok(b"0123".to_vec()));
    assert_eq!(guest.write(fd, &[b""]), Ok(0));
    assert_eq!(guest.tell(fd), Ok(4));
}

#[test]
fn a_positioned_write_on_a_descriptor_that_appends_keeps_its_offset() {
    let (mut guest, fd) = opened(Open::default().flags(Fdflags::APPEND));
    guest.seek(fd, 4, SET).unwrap();
    assert_eq!(guest.pwrite(fd, &[b"ab"], 0), Ok(2));
    assert_eq!(guest.tell(fd), Ok(4));
    if cfg!(target_os = "linux") {
        assert_eq!(contents(&guest), b"0123456789ab");
    }
}

#[test]
fn append_can_be_turned_on_and_off() {
    let (mut guest, fd) = opened(Open::default().flags(Fdflags::APPEND | Fdflags::NONBLOCK));
    assert_eq!(guest.fdstat(fd).unwrap().flags, 5);
    assert_eq!(guest.set_flags(fd, Fdflags::empty()), Ok(()));
    assert_eq!(guest.fdstat(fd).unwrap().flags, 0);
    guest.seek(fd, 1, SET).unwrap();
    guest.write(fd, &[b"x"]).unwrap();
    assert_eq!(contents(&guest), b"0x23456789");
    assert_eq!(guest.tell(fd), Ok(2));
    assert_eq!(guest.set_flags(fd, Fdflags::APPEND), Ok(()));
    guest.write(fd, &[b"y"]).unwrap();
    assert_eq!(contents(&guest), b"0x23456789y");
    assert_eq!(guest.fdstat(fd).unwrap().flags, 1);
}

#[test]
fn flags_that_the_host_fixes_at_opening_cannot_change() {
    let (mut guest, fd) = opened(Open::default().flags(Fdflags::SYNC));
    assert_eq!(guest.fdstat(fd).unwrap().flags, 16);
    assert_eq!(guest.set_flags(fd, Fdflags::empty()), fails(Errno::Notsup));
    assert_eq!(guest.set_flags(fd, Fdflags::SYNC | Fdflags::DSYNC), fails(Errno::Notsup));
    assert_eq!(guest.set_flags(fd, Fdflags::SYNC | Fdflags::APPEND), Ok(()));
    assert_eq!(guest.fdstat(fd).unwrap().flags, 17);
    for flags in [32, 0x8000, 0xffff] {
        assert_eq!(
            guest.call("fd_fdstat_set_flags", &[fd.into(), flags]),
            fails(Errno::Inval),
            "{flags:#x}"
        );
    }
    // Of an i32 that stands for 16 bits, the upper ones mean nothing.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 0xffff_0010]), Ok(()));
    assert_eq!(guest.set_flags(BOX, Fdflags::empty()), fails(Errno::Badf), "a directory has none");
}

#[test]
fn every_flag_at_opening_is_reported() {
    for flags in [
        Fdflags::APPEND,
        Fdflags::DSYNC,
        Fdflags::NONBLOCK,
        Fdflags::RSYNC,
        Fdflags::SYNC,
        Fdflags::all(),
    ] {
        let (mut guest, fd) = opened(Open::default().flags(flags));
        assert_eq!(guest.fdstat(fd).unwrap().flags, flags.bits());
        assert_eq!(guest.write(fd, &[b"x"]), Ok(1), "{flags:?}");
    }
}

#[test]
fn fdstat_tells_the_type_and_the_rights() {
    let (mut guest, fd) = opened(Open::default());
    let file = guest.fdstat(fd).unwrap();
    assert_eq!(
        (file.filetype, file.flags, file.base, file.inheriting),
        (4, 0, Rights::REGULAR_FILE, Rights::empty())
    );
    assert_eq!(guest.fdstat(BOX).unwrap().filetype, 3);
    assert_eq!(guest.fdstat(BOX).unwrap().flags, 0);
    // The exact bytes.
    guest.fresh();
    guest.call("fd_fdstat_get", &[fd.into(), 0x201]).unwrap();
    let mut bytes = [0; 24];
    bytes[0] = 4;
    bytes[8..16].copy_from_slice(&Rights::REGULAR_FILE.bits().to_le_bytes());
    assert_eq!(guest.bytes(0x201, 24), bytes);
}

#[test]
fn filestat_is_the_hosts_to_the_nanosecond() {
    let (mut guest, fd) = opened(Open::default());
    guest.temp.create_dir("box/dir");
    for (fd, below, filetype) in [(fd, "box/file", 4), (BOX, "box", 3)] {
        let host = guest.temp.stat(below);
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.dev, stat.ino, stat.filetype), (host.dev(), host.ino(), filetype));
        assert_eq!((stat.nlink, stat.size), (host.nlink(), host.size()));
        assert_eq!(stat.atim, nanoseconds(host.atime(), host.atime_nsec()));
        assert_eq!(stat.mtim, nanoseconds(host.mtime(), host.mtime_nsec()));
        assert_eq!(stat.ctim, nanoseconds(host.ctime(), host.ctime_nsec()));
    }
}

#[test]
fn sizes_grow_with_zeros_and_shrink() {
    let (mut guest, fd) = opened(Open::default());
    guest.seek(fd, 8, SET).unwrap();
    assert_eq!(guest.set_size(fd, 4), Ok(()));
    assert_eq!(contents(&guest), b"0123");
    assert_eq!(guest.set_size(fd, 6), Ok(()));
    assert_eq!(contents(&guest), b"0123\0\0");
    assert_eq!(guest.tell(fd), Ok(8), "the offset stays");
    assert_eq!(guest.filestat(fd).unwrap().size, 6);
    for size in [1 << 63, u64::MAX] {
        assert_eq!(guest.set_size(fd, size), fails(Errno::Inval));
    }
    assert_eq!(guest.set_size(fd, 0), Ok(()));
    assert_eq!(guest.set_size(BOX, 0), fails(Errno::Badf));
}

#[test]
fn a_size_beyond_what_the_host_has_files_of_is_refused() {
    let (mut guest, fd) = opened(Open::default());
    // Some file systems have files of any size.
    let result = guest.set_size(fd, i64::MAX.cast_unsigned());
    if result.is_ok() {
        assert_eq!(guest.filestat(fd).unwrap().size, i64::MAX.cast_unsigned());
        guest.set_size(fd, 0).unwrap();
    } else {
        assert_eq!(result, fails(Errno::Fbig));
        assert_eq!(contents(&guest), CONTENTS);
    }
}

#[test]
fn allocating_grows_and_never_shrinks() {
    let (mut guest, fd) = opened(Open::default());
    for (offset, len, size) in
        [(0, 5, 10), (0, 100, 100), (10, 10, 100), (90, 20, 110), (200, 50, 250), (500, 0, 250)]
    {
        assert_eq!(guest.allocate(fd, offset, len), Ok(()), "{offset} {len}");
        assert_eq!(guest.filestat(fd).unwrap().size, size, "{offset} {len}");
    }
    assert_eq!(contents(&guest)[..10], *CONTENTS);
    assert!(contents(&guest)[10..].iter().all(|byte| *byte == 0));
    for (offset, len, errno) in [
        (1 << 63, 1, Errno::Inval),
        (0, 1 << 63, Errno::Inval),
        (u64::MAX, u64::MAX, Errno::Inval),
        (1 << 62, 1 << 62, Errno::Fbig),
    ] {
        assert_eq!(guest.allocate(fd, offset, len), fails(errno), "{offset} {len}");
    }
    assert_eq!(guest.allocate(BOX, 0, 1), fails(Errno::Badf));
}

#[test]
fn advice_is_taken_and_changes_nothing() {
    let (mut guest, fd) = opened(Open::default());
    for advice in 0..6 {
        assert_eq!(guest.advise(fd, 0, 10, advice), Ok(()), "{advice}");
        assert_eq!(guest.advise(fd, 100, 0, advice), Ok(()), "{advice}");
    }
    for advice in [6, 7, 128, 255] {
        assert_eq!(guest.advise(fd, 0, 10, advice), fails(Errno::Inval), "{advice}");
    }
    for (offset, len) in [(1 << 63, 1), (1, 1 << 63), (u64::MAX, u64::MAX)] {
        assert_eq!(guest.advise(fd, offset, len, 0), fails(Errno::Inval), "{offset} {len}");
    }
    assert_eq!(guest.advise(BOX, 0, 0, 0), fails(Errno::Badf));
    assert_eq!(contents(&guest), CONTENTS);
}

#[test]
fn syncing_succeeds_for_files_and_directories() {
    let (mut guest, fd) = opened(Open::default());
    assert_eq!(guest.sync(fd), Ok(()));
    assert_eq!(guest.datasync(fd), Ok(()));
    assert_eq!(guest.sync(BOX), Ok(()));
    assert_eq!(guest.datasync(BOX), fails(Errno::Badf));
}

const ATIM: u32 = 1;
const ATIM_NOW: u32 = 2;
const MTIM: u32 = 4;
const MTIM_NOW: u32 = 8;

#[test]
fn times_are_set_to_the_nanosecond() {
    let (mut guest, fd) = opened(Open::default());
    let at = 1_234_567_890_123_456_789 / TICK * TICK;
    for fd in [fd, BOX] {
        assert_eq!(guest.set_times(fd, 5 * TICK, at, ATIM | MTIM), Ok(()));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), (5 * TICK, at));
        assert_eq!(guest.set_times(fd, 77, 99 * TICK, MTIM), Ok(()));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), (5 * TICK, 99 * TICK), "what no flag names stays");
        assert_eq!(guest.set_times(fd, 0, 0, ATIM), Ok(()));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), (0, 99 * TICK));
        assert_eq!(guest.set_times(fd, 1, 1, 0), Ok(()));
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), (0, 99 * TICK));
    }
    let host = guest.temp.stat("box/file");
    assert_eq!(nanoseconds(host.mtime(), host.mtime_nsec()), 99 * TICK);
}

#[test]
fn now_is_the_hosts_time() {
    let (mut guest, fd) = opened(Open::default());
    guest.set_times(fd, 1, 1, ATIM | MTIM).unwrap();
    // The kernel stamps files with a coarser clock.
    let before = guest.clock(0).unwrap() - 20_000_000;
    assert_eq!(guest.set_times(fd, 5, 7 * TICK, ATIM_NOW | MTIM), Ok(()));
    let stat = guest.filestat(fd).unwrap();
    assert!(stat.atim >= before && stat.atim <= guest.clock(0).unwrap());
    assert_eq!(stat.mtim, 7 * TICK);
    assert_eq!(guest.set_times(fd, 5 * TICK, 7, ATIM | MTIM_NOW), Ok(()));
    let stat = guest.filestat(fd).unwrap();
    assert!(stat.mtim >= before);
    assert_eq!(stat.atim, 5 * TICK);
}

#[test]
fn a_read_notes_its_time_as_one_of_the_host_does() {
    let (mut guest, fd) = opened(Open::default());
    guest.temp.write("box/other", "0123456789");
    for path in ["file", "other"] {
        guest.path_set_times(BOX, path, false, 5 * TICK, 99 * TICK, ATIM | MTIM).unwrap();
    }
    guest.temp.read("box/other");
    let noted = |guest: &Guest, path: &str| guest.temp.stat(path).atime() > 5;
    let notes = noted(&guest, "box/other");
    guest.close(fd).unwrap();
    let fd = guest.open(BOX, "file", Open::reading()).unwrap();
    guest.read(fd, &[5]).unwrap();
    assert_eq!(noted(&guest, "box/file"), notes);
}

/// A guest with `box` as a preopen below which no access times are noted.
#[cfg(target_os = "linux")]
fn quiet() -> Guest {
    let guest = Setup::default().guest();
    let options = PreopenOptions { no_access_times: true, ..PreopenOptions::default() };
    let object = open_preopen(&guest.temp.path("box"), options).unwrap();
    guest.ctx.table.insert(Descriptor::preopen(object, b"box")).unwrap();
    guest
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_notes_no_time_where_none_is_to_be_noted() {
    let mut guest = quiet();
    for dir in ["box/dir", "box/dir/sub"] {
        guest.temp.create_dir(dir);
    }
    guest.temp.write("box/file", CONTENTS);
    guest.temp.write("box/dir/file", CONTENTS);
    for path in ["dir", "dir/sub", "file", "dir/file"] {
        guest.path_set_times(BOX, path, false, 5 * TICK, 99 * TICK, ATIM | MTIM).unwrap();
    }
    let before = guest.temp.stat("box/file").atime();
    for path in ["file", "dir/file", "dir/../file"] {
        let fd = guest.open(BOX, path, Open::reading()).unwrap();
        guest.read(fd, &[5]).unwrap();
        guest.close(fd).unwrap();
    }
    for path in ["dir", "dir/sub", "dir/sub/.."] {
        let fd = guest.open(BOX, path, Open::directory()).unwrap();
        guest.list(fd, 1000);
        guest.close(fd).unwrap();
    }
    for path in ["file", "dir/file", "dir", "dir/sub"] {
        assert_eq!(guest.temp.stat(&format!("box/{path}")).atime(), before, "{path}");
    }
}

/// Linux lets only a file's owner open it with `O_NOATIME`.
#[cfg(target_os = "linux")]
#[test]
fn a_file_of_another_user_is_read_all_the_same() {
    let guest = quiet();
    guest.temp.create_dir("box/dir");
    guest.temp.write("box/dir/file", CONTENTS);
    for path in ["box/dir", "box/dir/file"] {
        if std::os::unix::fs::chown(guest.temp.path(path), Some(1), Some(1)).is_err() {
            return skipped("no files of another user");
        }
    }
    let mut thread = guest.thread();
    without_privileges(|| {
        let guest = &mut thread;
        for path in ["dir", "dir/.", "dir/../dir"] {
            let dir = guest.open(BOX, path, Open::directory()).unwrap();
            assert_eq!(guest.list(dir, 1000).len(), 3, "{path}");
            let fd = guest.open(dir, "file", Open::reading()).unwrap();
            assert_eq!(guest.read(fd, &[100]).unwrap(), CONTENTS);
        }
        assert!(guest.open(BOX, "dir/file", Open::reading()).is_ok());
        assert_eq!(guest.open(BOX, "none", Open::reading()), fails(Errno::Noent));
    });
}

#[test]
fn one_time_cannot_be_set_to_two_values() {
    let (mut guest, fd) = opened(Open::default());
    guest.set_times(fd, 11 * TICK, 12 * TICK, ATIM | MTIM).unwrap();
    for flags in [ATIM | ATIM_NOW, MTIM | MTIM_NOW, ATIM | MTIM | MTIM_NOW, 15, 16, 0x8000] {
        assert_eq!(guest.set_times(fd, 1, 2, flags), fails(Errno::Inval), "{flags}");
        let stat = guest.filestat(fd).unwrap();
        assert_eq!((stat.atim, stat.mtim), (11 * TICK, 12 * TICK));
    }
}

#[test]
fn times_can_be_set_through_a_descriptor_for_reading() {
    let (mut guest, fd) = opened(
        Open::default()
            .base(Rights::FD_READ | Rights::FD_FILESTAT_SET_TIMES | Rights::FD_FILESTAT_GET),
    );
    assert_eq!(guest.set_times(fd, 11 * TICK, 12 * TICK, ATIM | MTIM), Ok(()));
    assert_eq!(guest.filestat(fd).unwrap().mtim, 12 * TICK);
}

#[test]
fn the_latest_time_there_is_can_be_asked_for() {
    let (mut guest, fd) = opened(Open::default());
    // File systems end at different years; the call must not wrap.
    match guest.set_times(fd, u64::MAX, u64::MAX, ATIM | MTIM) {
        Ok(()) => assert!(guest.filestat(fd).unwrap().mtim > 4_000_000_000_000_000_000),
        result => assert_eq!(result, fails(Errno::Inval)),
    }
}

#[test]
fn creating_truncating_and_excluding() {
    let mut guest = Guest::new();
    let creating = Open::default().oflags(Oflags::CREAT);
    let fd = guest.open(BOX, "new", creating).unwrap();
    assert_eq!(guest.write(fd, &[b"hello"]), Ok(5));
    assert_eq!(
        guest.open(BOX, "new", creating.oflags(Oflags::CREAT | Oflags::EXCL)),
        fails(Errno::Exist)
    );
    let fd = guest.open(BOX, "new", creating).unwrap();
    assert_eq!(guest.read(fd, &[9]), Ok(b"hello".to_vec()), "creating leaves what is there");
    let fd = guest.open(BOX, "new", creating.oflags(Oflags::CREAT | Oflags::TRUNC)).unwrap();
    assert_eq!(guest.filestat(fd).unwrap().size, 0);
    assert!(guest.open(BOX, "newer", creating.oflags(Oflags::CREAT | Oflags::EXCL)).is_ok());
    // A new file is not executable, and others may not write more than the umask lets them.
    assert_eq!(guest.temp.stat("box/newer").mode() & 0o7111, 0);
    // Truncating needs neither the right to write nor to set the size of the new descriptor.
    guest.temp.write("box/new", "again");
    assert!(
        guest
            .open(
                BOX,
                "new",
                Open { oflags: Oflags::TRUNC, base: Rights::empty(), ..Open::default() }
            )
            .is_ok()
    );
    assert_eq!(guest.temp.read("box/new"), b"");
}

#[test]
fn an_open_file_outlives_its_name() {
    let (mut guest, fd) = opened(Open::default());
    guest.unlink(BOX, "file").unwrap();
    assert_eq!(guest.read(fd, &[3]), Ok(b"012".to_vec()));
    if cfg!(unix) {
        // Windows counts a name until the file is closed, or does not.
        assert_eq!(guest.filestat(fd).unwrap().nlink, 0);
    }
    assert_eq!(guest.write(fd, &[b"x"]), Ok(1));
}

#[test]
fn a_device_reads_and_writes() {
    let zero =
        if cfg!(unix) { Some(std::fs::File::open("/dev/zero").unwrap().into()) } else { None };
    let mut guest = Setup { stdin: zero, ..Setup::default() }.guest();
    assert_eq!(guest.read(0, &[3, 2]), Ok(if cfg!(unix) { vec![0; 5] } else { Vec::new() }));
    assert_eq!(guest.write(1, &[b"to nowhere"]), Ok(10));
    let mut other = Setup::default().guest();
    assert_eq!(other.read(0, &[3]), Ok(Vec::new()), "/dev/null is always at its end");
    let stat = guest.fdstat(0).unwrap();
    assert_eq!(stat.filetype, 2);
    // Not a terminal to the C library, which looks for the rights to seek and to tell.
    assert!(stat.base.contains(Rights::FD_TELL));
}

/// The number of bytes that a call moves at once.
const PIECE: usize = 64 << 20;

/// Makes a call to its end: what it has moved, and in how many slices.
fn moved_in_slices(guest: &mut Guest, name: &str, args: &[u64]) -> (Result<u32, CallError>, usize) {
    for slice in 1..100 {
        match guest.slice(name, args) {
            Err(CallError::Again) => {}
            result => return (result.map(|()| guest.u32(*args.last().unwrap())), slice),
        }
    }
    panic!("{name}{args:?} does not come to an end");
}

// Windows moves at most 1 MiB of several buffers by one call.
#[cfg(unix)]
#[test]
fn many_megabytes_are_moved_in_pieces() {
    let mut guest = Guest::new();
    guest.memory.resize(2 * PIECE + 65_536, 0);
    guest.fresh();
    let fd = u64::from(
        guest.open(BOX, "file", Open { oflags: Oflags::CREAT, ..Open::default() }).unwrap(),
    );
    guest.fresh();
    // Two buffers: the first piece ends in the second.
    let (first, second) = (1_000_003, 2 * PIECE - 1_000_000);
    let (one, other) = (guest.room(first), guest.room(second));
    let list: Vec<u8> = [one, first as u64, other, second as u64]
        .into_iter()
        .flat_map(|number| (number as u32).to_le_bytes())
        .collect();
    let (list, count, offset) = (guest.put(&list), guest.room(4), guest.room(8));
    let bytes: Vec<u8> = (0..first + second).map(|index| (index % 251) as u8).collect();
    let fill = |guest: &mut Guest, bytes: &[u8]| {
        guest.memory[one as usize..one as usize + first].copy_from_slice(&bytes[..first]);
        guest.memory[other as usize..other as usize + second].copy_from_slice(&bytes[first..]);
    };
    let is_there = |guest: &Guest, len: usize| {
        let there = [guest.bytes(one, first), guest.bytes(other, second)].concat();
        there[..len] == bytes[..len] && there[len..].iter().all(|byte| *byte == 0)
    };
    let all = (Ok(u32::try_from(bytes.len()).unwrap()), 3);
    fill(&mut guest, &bytes);
    assert_eq!(moved_in_slices(&mut guest, "fd_write", &[fd, list, 2, count]), all);
    assert!(guest.temp.read("box/file") == bytes);
    assert_eq!(moved_in_slices(&mut guest, "fd_pwrite", &[fd, list, 2, 7, count]), all);
    assert!(guest.temp.read("box/file")[7..] == bytes);
    fill(&mut guest, &vec![0; bytes.len()]);
    assert_eq!(moved_in_slices(&mut guest, "fd_pread", &[fd, list, 2, 7, count]), all);
    assert!(is_there(&guest, bytes.len()));
    // A file that ends with a piece, and one that ends within one.
    for (len, slices) in [(PIECE, 2), (PIECE + 5, 2), (PIECE - 1, 1)] {
        guest.temp.write("box/file", &bytes[..len]);
        fill(&mut guest, &vec![0; bytes.len()]);
        guest.call("fd_seek", &[fd, 0, SET.into(), offset]).unwrap();
        assert_eq!(
            moved_in_slices(&mut guest, "fd_read", &[fd, list, 2, count]),
            (Ok(len as u32), slices)
        );
        assert!(is_there(&guest, len), "{len}");
    }
}

#[test]
fn a_call_moves_as_much_as_one_of_linux_at_most() {
    let mut guest = Guest::new();
    guest.memory.resize(PIECE + 65_536, 0);
    guest.fresh();
    let buffer = guest.room(PIECE) as u32;
    let list: Vec<u8> =
        (0..40).flat_map(|_| [buffer, PIECE as u32]).flat_map(u32::to_le_bytes).collect();
    let (list, count) = (guest.put(&list), guest.room(4));
    assert_eq!(
        moved_in_slices(&mut guest, "fd_write", &[1, list, 40, count]),
        (Ok(0x7fff_f000), 32)
    );
}
