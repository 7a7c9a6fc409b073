//! Instances that suspend: a call that would have to wait says so at once.

use crate::support::{BOX, Guest, Open, Setup, Subscribe, fails};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wasi_rs_core::abi::{Errno, Fdflags, Rights};
use wasi_rs_core::descriptor::Descriptor;
use wasi_rs_core::host::Opened;
use wasi_rs_core::host::stream::{Input, Stream};
use wasi_rs_core::preview1::CallError;

const MS: u64 = 1_000_000;

fn suspending() -> (Guest, PipeWriter, PipeReader) {
    let ((stdin, writer), (reader, stdout)) = (pipe().unwrap(), pipe().unwrap());
    let mut guest = Setup {
        stdin: Some(stdin.into()),
        stdout: Some(stdout.into()),
        preopens: &[("box", "box")],
        ..Setup::default()
    }
    .guest();
    guest.ctx.suspends = true;
    (guest, writer, reader)
}

fn after(timeout: u64) -> Subscribe {
    Subscribe::Clock { id: 1, timeout, flags: 0 }
}

/// Whether a call waits for the host, and whether for the embedder's stream.
fn waits(guest: &Guest) -> (bool, bool) {
    let waiting = guest.ctx.waiting.take().unwrap();
    let kinds = (waiting.is_for_host(), waiting.input);
    guest.ctx.waiting.set(Some(waiting));
    kinds
}

#[test]
fn a_read_answers_at_once_and_goes_on_when_there_is_something() {
    let (mut guest, mut writer, _reader) = suspending();
    guest.fresh();
    let (list, _) = guest.vectors(&[b"....."]);
    let args = [0, list, 1, guest.room(4)];
    let took = (0..20).map(|_| {
        let start = Instant::now();
        assert_eq!(guest.slice("fd_read", &args), Err(CallError::WouldWait));
        start.elapsed()
    });
    assert!(took.min().unwrap() < Duration::from_millis(45), "less than a slice");
    assert_eq!(waits(&guest), (true, false));
    writer.write_all(b"abc").unwrap();
    guest.wait();
    assert_eq!(guest.slice("fd_read", &args), Ok(()));
}

#[test]
fn a_descriptor_that_does_not_block_is_no_reason_to_suspend() {
    let (mut guest, _writer, _reader) = suspending();
    assert_eq!(guest.set_flags(0, Fdflags::NONBLOCK), Ok(()));
    guest.fresh();
    let (list, _) = guest.vectors(&[b"....."]);
    let args = [0, list, 1, guest.room(4)];
    assert_eq!(guest.slice("fd_read", &args), fails(Errno::Again));
    assert!(guest.ctx.waiting.take().is_none());
}

#[test]
fn a_write_keeps_what_it_has_done() {
    let (mut guest, _writer, mut reader) = suspending();
    guest.memory.resize(1024 * 1024, 0);
    let large = vec![b'x'; 300_000];
    let read = thread::spawn(move || {
        let (mut total, mut bytes) = (0, vec![0; 10_000]);
        while total < 300_000 {
            thread::sleep(Duration::from_millis(1));
            total += reader.read(&mut bytes).unwrap();
        }
        total
    });
    assert_eq!(guest.write(1, &[&large]), Ok(300_000));
    assert_eq!(read.join().unwrap(), 300_000);
}

#[test]
fn a_poll_waits_for_the_first_of_all() {
    let (mut guest, mut writer, _reader) = suspending();
    let start = Instant::now();
    let events = guest.poll(&[Subscribe::Read(0), after(30 * MS)]).unwrap();
    assert_eq!(events.iter().map(|event| event.userdata).collect::<Vec<_>>(), [1001]);
    assert!(start.elapsed() >= Duration::from_millis(30));
    let later = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        writer.write_all(b"x").unwrap();
        writer
    });
    let events = guest.poll(&[Subscribe::Read(0), after(20_000 * MS)]).unwrap();
    assert_eq!(events.iter().map(|event| event.userdata).collect::<Vec<_>>(), [1000]);
    drop(later.join().unwrap());
    // A poll with a subscription that is ready or wrong does not wait.
    assert!(guest.poll_slice(&[Subscribe::Write(1), Subscribe::Read(0)]).is_ok());
    assert!(guest.poll_slice(&[Subscribe::Read(77), after(20_000 * MS)]).is_ok());
    assert!(guest.poll_slice(&[after(0)]).is_ok());
}

#[test]
fn a_named_pipe_that_nobody_reads_is_looked_at_again() {
    let (mut guest, _writer, _reader) = suspending();
    guest.temp.fifo("box/fifo");
    let path = guest.temp.path("box/fifo");
    let reader = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        std::fs::File::open(path).unwrap()
    });
    let opened = guest.open(BOX, "fifo", Open::default().base(Rights::FD_WRITE));
    assert!(opened.is_ok(), "{opened:?}");
    drop(reader.join().unwrap());
}

#[test]
fn the_embedders_stream_is_waited_for_by_its_name() {
    let (mut guest, _writer, _reader) = suspending();
    let input = Arc::new(Input::waiting());
    let stream = Opened::File(Box::new(Stream::Feed(Arc::clone(&input))));
    let fd = guest.ctx.table.insert(Descriptor::given(stream, Fdflags::empty())).unwrap();
    guest.fresh();
    let (list, _) = guest.vectors(&[b"....."]);
    let args = [u64::from(fd), list, 1, guest.room(4)];
    assert_eq!(guest.slice("fd_read", &args), Err(CallError::WouldWait));
    assert_eq!(waits(&guest), (false, true));
    assert_eq!(guest.poll_slice(&[Subscribe::Read(fd)]), Err(CallError::WouldWait));
    assert_eq!(waits(&guest), (false, true));
    assert_eq!(
        guest.poll_slice(&[Subscribe::Read(fd), after(1000 * MS)]),
        Err(CallError::WouldWait)
    );
    assert_eq!(waits(&guest), (true, true));
    guest.give_up();
    input.feed(Some(b"abc"));
    let events = guest.poll_slice(&[Subscribe::Read(fd)]).unwrap();
    assert_eq!((events[0].nbytes, events[0].flags), (3, 0));
    assert_eq!(guest.read(fd, &[5]), Ok(b"abc".to_vec()));
    input.feed(None);
    let events = guest.poll_slice(&[Subscribe::Read(fd)]).unwrap();
    assert_eq!((events[0].nbytes, events[0].flags), (0, 1), "it has hung up");
    assert_eq!(guest.read(fd, &[5]), Ok(Vec::new()));
}
