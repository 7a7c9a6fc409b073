//! `poll_oneoff`.

use crate::support::host::stream_pair;
use crate::support::{BOX, Event, Guest, Open, Setup, Subscribe, fails};
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::thread;
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Fdflags, Rights};
use wasi_rs_core::preview1::CallError;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const ABSTIME: u16 = 1;
const MS: u64 = 1_000_000;
const HANGUP: u16 = 1;

fn after(timeout: u64) -> Subscribe {
    Subscribe::Clock { id: MONOTONIC, timeout, flags: 0 }
}

fn clock_event(index: u64) -> Event {
    Event { userdata: 1000 + index, error: 0, kind: 0, nbytes: 0, flags: 0 }
}

fn read_event(index: u64, nbytes: u64, flags: u16) -> Event {
    Event { userdata: 1000 + index, error: 0, kind: 1, nbytes, flags }
}

fn write_event(index: u64, flags: u16) -> Event {
    Event { userdata: 1000 + index, error: 0, kind: 2, nbytes: 0, flags }
}

fn failed(index: u64, kind: u8, errno: Errno) -> Event {
    Event { userdata: 1000 + index, error: errno.code(), kind, nbytes: 0, flags: 0 }
}

fn with_pipes() -> (Guest, PipeWriter, PipeReader) {
    let ((stdin, writer), (reader, stdout)) = (pipe().unwrap(), pipe().unwrap());
    let setup = Setup {
        stdin: Some(stdin.into()),
        stdout: Some(stdout.into()),
        preopens: &[("box", "box")],
        ..Setup::default()
    };
    (setup.guest(), writer, reader)
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (act(), start.elapsed())
}

#[test]
fn a_relative_timeout_sleeps_that_long() {
    let mut guest = Guest::new();
    for id in [REALTIME, MONOTONIC] {
        for timeout in [0, 1, MS, 30 * MS, 130 * MS] {
            let wanted = [Subscribe::Clock { id, timeout, flags: 0 }];
            let (events, slept) = timed(|| guest.poll(&wanted));
            assert_eq!(events, Ok(vec![clock_event(0)]));
            assert!(
                slept >= Duration::from_nanos(timeout) && slept < Duration::from_secs(5),
                "{timeout} ns took {slept:?}"
            );
        }
    }
}

#[test]
fn an_absolute_timeout_sleeps_until_then() {
    let mut guest = Guest::new();
    for id in [REALTIME, MONOTONIC] {
        let until = guest.clock(id).unwrap() + 120 * MS;
        let wanted = [Subscribe::Clock { id, timeout: until, flags: ABSTIME }];
        assert_eq!(guest.poll(&wanted), Ok(vec![clock_event(0)]));
        let now = guest.clock(id).unwrap();
        assert!(now >= until && now < until + 5000 * MS);
    }
}

#[test]
fn a_time_in_the_past_is_there_at_once() {
    let mut guest = Guest::new();
    for id in [REALTIME, MONOTONIC] {
        for timeout in [0, 1, guest.clock(id).unwrap() - 1] {
            let wanted = [Subscribe::Clock { id, timeout, flags: ABSTIME }];
            assert_eq!(guest.poll_slice(&wanted), Ok(vec![clock_event(0)]), "{timeout}");
        }
    }
}

#[test]
fn no_timeout_is_too_long() {
    let mut guest = Guest::new();
    for (id, flags) in [(REALTIME, 0), (MONOTONIC, 0), (REALTIME, ABSTIME), (MONOTONIC, ABSTIME)] {
        for timeout in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let ever = Subscribe::Clock { id, timeout, flags };
            assert_eq!(guest.poll_slice(&[ever]), Err(CallError::Again), "{timeout}");
            assert_eq!(guest.poll(&[ever, after(MS)]), Ok(vec![clock_event(1)]), "{timeout}");
        }
    }
}

#[test]
fn a_long_wait_is_made_of_short_ones() {
    let mut guest = Guest::new();
    let (result, slept) = timed(|| guest.poll_slice(&[after(3_600_000 * MS)]));
    assert_eq!(result, Err(CallError::Again));
    assert!(slept >= Duration::from_millis(20) && slept < Duration::from_secs(2), "{slept:?}");
}

#[test]
fn all_timers_that_are_due_are_told() {
    let mut guest = Guest::new();
    let wanted = [after(20 * MS), after(60_000 * MS), after(20 * MS), after(0), after(1)];
    let events = guest.poll(&wanted).unwrap();
    assert!(events.contains(&clock_event(3)) && !events.contains(&clock_event(1)));
    let wanted = [after(20 * MS), after(60_000 * MS), after(20 * MS)];
    assert_eq!(guest.poll(&wanted), Ok(vec![clock_event(0), clock_event(2)]));
}

#[test]
fn a_clock_that_cannot_be_waited_for_is_an_event_with_an_error() {
    let mut guest = Guest::new();
    for flags in [0, ABSTIME] {
        for (id, errno) in
            [(2, Errno::Notsup), (3, Errno::Notsup), (4, Errno::Inval), (u32::MAX, Errno::Inval)]
        {
            let wanted = [after(60_000 * MS), Subscribe::Clock { id, timeout: 60_000 * MS, flags }];
            assert_eq!(guest.poll_slice(&wanted), Ok(vec![failed(1, 0, errno)]), "{id}");
        }
    }
}

#[test]
fn what_is_no_subscription_fails_the_call() {
    let mut guest = Guest::new();
    assert_eq!(guest.poll(&[]), fails(Errno::Inval));
    for tag in [3, 4, 128, 255] {
        assert_eq!(guest.poll(&[after(0), Subscribe::Raw { tag }]), fails(Errno::Inval), "{tag}");
    }
}

#[test]
fn the_exact_bytes_of_an_event() {
    let mut guest = Guest::new();
    guest.fresh();
    let subscription = guest.put(&after(0).bytes(0x0102_0304_0506_0708));
    let (events, count) = (guest.room(32), guest.room(4));
    guest.call("poll_oneoff", &[subscription, events, 1, count]).unwrap();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(guest.bytes(events, 32), bytes);
    assert_eq!(guest.bytes(count, 4), [1, 0, 0, 0]);
}

#[test]
fn a_pipe_is_ready_when_there_are_data() {
    let (mut guest, mut writer, _reader) = with_pipes();
    assert_eq!(guest.poll(&[Subscribe::Read(0), after(70 * MS)]), Ok(vec![clock_event(1)]));
    writer.write_all(b"hello").unwrap();
    assert_eq!(
        guest.poll(&[Subscribe::Read(0), after(60_000 * MS)]),
        Ok(vec![read_event(0, 5, 0)])
    );
    guest.read(0, &[2]).unwrap();
    assert_eq!(guest.poll(&[Subscribe::Read(0)]), Ok(vec![read_event(0, 3, 0)]));
    // Data that come while it waits.
    guest.read(0, &[3]).unwrap();
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(120));
        writer.write_all(b"late").unwrap();
        writer
    });
    let (events, waited) = timed(|| guest.poll(&[Subscribe::Read(0), after(60_000 * MS)]));
    assert_eq!(events, Ok(vec![read_event(0, 4, 0)]));
    assert!(waited < Duration::from_secs(10));
    late.join().unwrap();
}

#[test]
fn the_end_of_a_pipe_is_a_hangup() {
    let (mut guest, mut writer, reader) = with_pipes();
    writer.write_all(b"last").unwrap();
    drop(writer);
    // Windows tells it once there is nothing left to read.
    let flags = if cfg!(windows) { 0 } else { HANGUP };
    assert_eq!(guest.poll(&[Subscribe::Read(0)]), Ok(vec![read_event(0, 4, flags)]));
    guest.read(0, &[4]).unwrap();
    assert_eq!(guest.poll(&[Subscribe::Read(0)]), Ok(vec![read_event(0, 0, HANGUP)]));
    drop(reader);
    assert_eq!(guest.poll(&[Subscribe::Write(1)]), Ok(vec![write_event(0, flags)]));
}

#[cfg_attr(windows, ignore = "whether a pipe is full can only be tried")]
#[test]
fn a_full_pipe_takes_nothing() {
    let (mut guest, _writer, reader) = with_pipes();
    guest.memory.resize(512 * 1024, 0);
    assert_eq!(guest.poll(&[Subscribe::Write(1)]), Ok(vec![write_event(0, 0)]));
    guest.set_flags(1, Fdflags::NONBLOCK).unwrap();
    while guest.write(1, &[&vec![0; 100_000]]).is_ok() {}
    assert_eq!(guest.poll(&[Subscribe::Write(1), after(60 * MS)]), Ok(vec![clock_event(1)]));
    drop(reader);
}

#[test]
fn a_file_is_always_ready() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "0123456789");
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    guest.seek(fd, 4, 0).unwrap();
    let wanted = [Subscribe::Read(fd), after(60_000 * MS), Subscribe::Write(fd)];
    assert_eq!(guest.poll_slice(&wanted), Ok(vec![read_event(0, 6, 0), write_event(2, 0)]));
    guest.seek(fd, 100, 0).unwrap();
    assert_eq!(
        guest.poll_slice(&[Subscribe::Read(fd)]),
        Ok(vec![read_event(0, 0, 0)]),
        "also at its end"
    );
}

#[cfg_attr(
    windows,
    ignore = "the two are TCP sockets, of which one learns of the other's end in time"
)]
#[test]
fn a_socket_tells_both_of_its_sides() {
    let (socket, mut peer) = stream_pair();
    let mut guest = Setup { stdin: Some(socket.into()), whole: true, ..Setup::default() }.guest();
    let both = [Subscribe::Read(0), Subscribe::Write(0)];
    assert_eq!(guest.poll(&both), Ok(vec![write_event(1, 0)]));
    peer.write_all(b"abc").unwrap();
    assert_eq!(guest.poll(&both), Ok(vec![read_event(0, 3, 0), write_event(1, 0)]));
    drop(peer);
    assert_eq!(guest.poll(&both), Ok(vec![read_event(0, 3, HANGUP), write_event(1, HANGUP)]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_will_send_no_more_is_a_hangup() {
    let (socket, peer) = stream_pair();
    let mut guest = Setup { stdin: Some(socket.into()), whole: true, ..Setup::default() }.guest();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(
        guest.poll(&[Subscribe::Read(0), after(60_000 * MS)]),
        Ok(vec![read_event(0, 0, HANGUP)])
    );
    // It still takes data.
    assert_eq!(guest.poll(&[Subscribe::Write(0)]), Ok(vec![write_event(0, 0)]));
}

#[test]
fn several_descriptors_at_once() {
    let (mut guest, mut writer, _reader) = with_pipes();
    guest.temp.write("box/file", "0123");
    let fd = guest.open(BOX, "file", Open::default()).unwrap();
    // Stderr is /dev/null.
    let wanted = [
        Subscribe::Read(0),
        Subscribe::Write(1),
        Subscribe::Write(2),
        Subscribe::Read(fd),
        after(60_000 * MS),
    ];
    let quiet = vec![write_event(1, 0), write_event(2, 0), read_event(3, 4, 0)];
    assert_eq!(guest.poll(&wanted), Ok(quiet));
    writer.write_all(b"!").unwrap();
    let all = vec![read_event(0, 1, 0), write_event(1, 0), write_event(2, 0), read_event(3, 4, 0)];
    assert_eq!(guest.poll(&wanted), Ok(all));
    // One descriptor several times.
    let wanted = [Subscribe::Read(0), Subscribe::Read(0), after(0)];
    assert_eq!(
        guest.poll(&wanted),
        Ok(vec![read_event(0, 1, 0), read_event(1, 1, 0), clock_event(2)])
    );
}

#[test]
fn a_descriptor_that_is_not_open_is_an_event_with_an_error() {
    let mut guest = Guest::new();
    for fd in [4, 99, u32::MAX] {
        assert_eq!(
            guest.poll_slice(&[after(60_000 * MS), Subscribe::Read(fd)]),
            Ok(vec![failed(1, 1, Errno::Badf)])
        );
        assert_eq!(
            guest.poll_slice(&[Subscribe::Write(fd), after(60_000 * MS)]),
            Ok(vec![failed(0, 2, Errno::Badf)])
        );
    }
}

#[test]
fn a_directory_is_nothing_to_wait_for() {
    let mut guest = Guest::new();
    // It has neither the right to read nor the one to write.
    assert_eq!(guest.poll(&[Subscribe::Read(BOX)]), fails(Errno::Notcapable));
    assert_eq!(guest.poll(&[Subscribe::Write(BOX)]), fails(Errno::Notcapable));
}

#[test]
fn a_descriptor_needs_the_right_to_be_waited_for() {
    let (mut guest, _writer, _reader) = with_pipes();
    guest.set_rights(0, Rights::FD_READ, Rights::empty()).unwrap();
    guest
        .set_rights(1, Rights::FD_FILESTAT_GET | Rights::POLL_FD_READWRITE, Rights::empty())
        .unwrap();
    for wanted in [Subscribe::Read(0), Subscribe::Write(1)] {
        assert_eq!(guest.poll(&[after(0), wanted]), fails(Errno::Notcapable));
    }
}

#[cfg(unix)]
#[test]
fn a_fifo_is_ready_once_somebody_has_written() {
    let mut guest = Guest::new();
    guest.temp.fifo("box/fifo");
    let base = Rights::FD_READ | Rights::POLL_FD_READWRITE;
    let fd = guest.open(BOX, "fifo", Open::default().base(base)).unwrap();
    assert_eq!(
        guest.poll(&[Subscribe::Read(fd), after(60 * MS)]),
        Ok(vec![clock_event(1)]),
        "no writer yet is no hangup"
    );
    let mut writer =
        std::fs::OpenOptions::new().write(true).open(guest.temp.path("box/fifo")).unwrap();
    writer.write_all(b"ab").unwrap();
    assert_eq!(guest.poll(&[Subscribe::Read(fd)]), Ok(vec![read_event(0, 2, 0)]));
}

#[test]
fn a_thousand_subscriptions() {
    let (mut guest, _writer, _reader) = with_pipes();
    guest.memory.resize(256 * 1024, 0);
    let wanted: Vec<Subscribe> =
        (0..1000)
            .map(|index| {
                if index % 2 == 0 {
                    Subscribe::Read(0)
                } else {
                    after(index * 60_000 * MS + 30 * MS)
                }
            })
            .collect();
    assert_eq!(guest.poll_slice(&wanted), Err(CallError::Again));
    let wanted: Vec<Subscribe> = (0..1000)
        .map(|index| if index == 777 { Subscribe::Write(1) } else { Subscribe::Read(0) })
        .collect();
    assert_eq!(guest.poll(&wanted), Ok(vec![write_event(777, 0)]));
}

#[test]
fn a_poll_that_is_over_leaves_nothing_for_the_next() {
    let mut guest = Guest::new();
    for _ in 0..3 {
        let (events, slept) = timed(|| guest.poll(&[after(80 * MS)]));
        assert_eq!(events, Ok(vec![clock_event(0)]));
        assert!(slept >= Duration::from_millis(80));
    }
}

#[test]
fn many_polls_that_are_due_cost_no_time() {
    let mut guest = Guest::new();
    guest.memory.truncate(4096);
    let ((), took) = timed(|| {
        for _ in 0..3000 {
            assert_eq!(guest.poll_slice(&[after(0)]), Ok(vec![clock_event(0)]));
        }
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A guest with this many subscriptions in its memory: where they stand, the events, and the place
/// of their count.
fn with_many(guest: &mut Guest, count: u64, wanted: impl Fn(u64) -> Subscribe) -> [u64; 4] {
    guest.memory.resize(usize::try_from(count * 80 + 4096).unwrap(), 0);
    guest.fresh();
    let subscriptions: Vec<u8> = (0..count).flat_map(|index| wanted(index).bytes(index)).collect();
    let subscriptions = guest.put(&subscriptions);
    [subscriptions, guest.room(usize::try_from(32 * count).unwrap()), count, guest.room(4)]
}

/// Makes a call to its end: what it gives, and in how many slices.
fn slices(guest: &mut Guest, args: [u64; 4]) -> (Result<(), CallError>, usize) {
    for slice in 1..1000 {
        match guest.slice("poll_oneoff", &args) {
            Err(CallError::Again) => {}
            result => return (result, slice),
        }
    }
    panic!("the call does not come to an end");
}

/// The userdata of the events: none may be there twice.
fn told(guest: &Guest, [_, events, _, count]: [u64; 4]) -> Vec<u64> {
    (0..u64::from(guest.u32(count))).map(|index| guest.u64(events + 32 * index)).collect()
}

#[test]
fn a_million_subscriptions_are_gone_through_in_slices() {
    let mut guest = Guest::new();
    let count = 1_000_000;
    let args =
        with_many(
            &mut guest,
            count,
            |index| if index % 3 == 1 { after(0) } else { after(3_600_000 * MS) },
        );
    let (result, slices) = slices(&mut guest, args);
    assert_eq!(result, Ok(()));
    // Each is looked at twice, before the wait and after it.
    assert_eq!(slices, 2 * usize::try_from(count.div_ceil(65_536)).unwrap() - 1);
    assert!(told(&guest, args).into_iter().eq((0..count).filter(|index| index % 3 == 1)));
}

#[test]
fn a_wait_with_many_subscriptions_lasts_from_its_first_slice() {
    let mut guest = Guest::new();
    let args = with_many(&mut guest, 70_000, |index| {
        if index == 69_000 { after(600 * MS) } else { after(3_600_000 * MS) }
    });
    let ((result, slices), slept) = timed(|| slices(&mut guest, args));
    assert_eq!(result, Ok(()));
    assert!(slices > 3, "more than one round: {slices}");
    assert!(slept >= Duration::from_millis(600) && slept < Duration::from_secs(20), "{slept:?}");
    assert_eq!(told(&guest, args), [69_000]);
}

#[test]
fn many_subscriptions_that_were_given_up_leave_nothing_for_the_next_call() {
    for done in 1..6 {
        let (mut guest, mut writer, _reader) = with_pipes();
        writer.write_all(b"abc").unwrap();
        let args = with_many(&mut guest, 200_000, |_| Subscribe::Read(0));
        for _ in 0..done {
            assert_eq!(guest.slice("poll_oneoff", &args), Err(CallError::Again));
        }
        guest.give_up();
        let args = with_many(&mut guest, 200_000, |index| {
            if index < 100_000 { after(3_600_000 * MS) } else { Subscribe::Write(1) }
        });
        assert_eq!(slices(&mut guest, args).0, Ok(()));
        assert!(told(&guest, args).into_iter().eq(100_000..200_000), "after {done} slices");
        assert_eq!(guest.bytes(args[1] + 10, 1), [2]);
    }
}

#[test]
fn the_last_of_many_subscriptions_can_fail_the_call() {
    let mut guest = Guest::new();
    guest.temp.write("box/file", "");
    let fd = guest.open(BOX, "file", Open::default().base(Rights::FD_READ)).unwrap();
    let args = with_many(&mut guest, 200_000, |index| {
        if index == 199_999 { Subscribe::Read(fd) } else { after(0) }
    });
    let before = guest.memory.clone();
    let (result, slices) = slices(&mut guest, args);
    assert_eq!(result, fails(Errno::Notcapable));
    assert!(slices > 2);
    assert!(before == guest.memory, "no event was written");
}
