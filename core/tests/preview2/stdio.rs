//! The standard streams.

use crate::component::Component;
use crate::support::{Lent, Setup};
use std::io::{Read, Write};
use wasi_rs_core::preview2::CallError;

#[allow(clippy::unnecessary_wraps, reason = "as `Setup` takes it")]
fn lent<T: Into<Lent>>(end: T) -> Option<Lent> {
    Some(end.into())
}

#[test]
fn input_is_read_as_it_comes() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdin: lent(reader), ..Setup::default() });
    let stream = component.call("get_stdin", &[]).unwrap().value;
    assert_eq!(component.stream_read("input_read", stream, 10), Ok(Vec::new()), "nothing yet");
    assert_eq!(component.streamed("skip", &[stream, 10]), Ok(0));
    let pollable = component.call("input_subscribe", &[stream]).unwrap().value;
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 0);
    writer.write_all(b"hello").unwrap();
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 1);
    component.call("block", &[pollable]).unwrap();
    assert_eq!(component.stream_read("input_read", stream, 2), Ok(b"he".to_vec()));
    assert_eq!(component.stream_read("blocking_read", stream, 10), Ok(b"llo".to_vec()));
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(120));
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(component.stream_read("blocking_read", stream, 10), Ok(b"late".to_vec()));
    thread.join().unwrap();
    assert_eq!(component.stream_read("blocking_read", stream, 10), Err("closed".to_owned()));
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 1, "the end is no wait");
}

#[test]
fn output_that_nobody_reads_is_not_permitted() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    let stream = component.call("get_stdout", &[]).unwrap().value;
    let mut written = 0_u64;
    let mut rounds = 0;
    loop {
        let room = component.streamed("check_write", &[stream]).unwrap();
        if room == 0 {
            break;
        }
        assert_eq!(room, 65_536);
        let bytes = vec![b'x'; 20_000];
        assert_eq!(component.stream_write("output_write", stream, &bytes), Ok(0));
        written += 20_000;
        rounds += 1;
        assert!(rounds < 100, "a pipe that nobody reads takes everything");
    }
    let pollable = component.call("output_subscribe", &[stream]).unwrap().value;
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 0);
    assert_eq!(component.streamed("flush", &[stream]), Ok(0), "a flush only begins");
    let mut bytes = vec![0; usize::try_from(written).unwrap()];
    let reading = std::thread::spawn(move || {
        reader.read_exact(&mut bytes).unwrap();
        (reader, bytes)
    });
    assert_eq!(component.streamed("blocking_flush", &[stream]), Ok(0));
    component.call("block", &[pollable]).unwrap();
    let (mut reader, bytes) = reading.join().unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'x'), "what was held is written once");
    assert_eq!(component.stream_write("blocking_write_and_flush", stream, b"end"), Ok(0));
    let mut end = [0; 3];
    reader.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"end");
    drop(reader);
    assert_eq!(
        component.stream_write("blocking_write_and_flush", stream, b"x"),
        Err("pipe (pipe)".to_owned())
    );
    assert_eq!(
        component.stream_write("blocking_write_and_flush", stream, b"x"),
        Err("closed".to_owned())
    );
    assert_eq!(component.streamed("check_write", &[stream]), Err("closed".to_owned()));
}

#[test]
fn a_write_beyond_what_was_permitted_is_a_trap() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    let stream = component.call("get_stdout", &[]).unwrap().value;
    component.memory.resize(1 << 20, 0);
    let trap = CallError::Trap(wasi_rs_core::preview2::Trap::Permit);
    assert_eq!(component.call("output_write", &[stream, 0, 65_537]), Err(trap));
    assert_eq!(component.call("write_zeroes", &[stream, u64::MAX]), Err(trap));
    // The pipe has room for one of these, and the stream holds the other.
    assert_eq!(component.streamed("write_zeroes", &[stream, 65_536]), Ok(0));
    assert_eq!(component.streamed("check_write", &[stream]), Ok(0));
    assert_eq!(component.call("output_write", &[stream, 0, 1]), Err(trap));
}

#[test]
fn streams_are_what_they_are_for() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    for (native, terminal) in
        [("get_terminal_stdin", 0), ("get_terminal_stdout", 0), ("get_terminal_stderr", 0)]
    {
        assert_eq!(component.call(native, &[]).unwrap().value, terminal);
        assert_eq!(component.byte(0), 0);
    }
    assert_eq!(component.call("exit", &[0]), Err(CallError::Exit(0)));
    assert_eq!(component.call("exit", &[1]), Err(CallError::Exit(1)));
    assert_eq!(component.call("exit_with_code", &[7]), Err(CallError::Exit(7)));
    assert!(matches!(component.call("exit", &[2]), Err(CallError::Trap(_))));
}

#[test]
fn what_is_held_is_written_when_the_stream_is_dropped() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    let stream = component.call("get_stdout", &[]).unwrap().value;
    assert_eq!(component.streamed("write_zeroes", &[stream, 60_000]), Ok(0));
    assert_eq!(component.stream_write("output_write", stream, &vec![b'x'; 20_000]), Ok(0));
    let mut bytes = vec![0; 60_000];
    reader.read_exact(&mut bytes).unwrap();
    assert!(component.drop(stream));
    let mut bytes = vec![0; 20_000];
    reader.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'x'));
}

/// Fills a pipe through a stream, until the stream holds what the pipe has no room for.
fn fill(component: &mut Component, stream: u64) -> usize {
    let mut written = 0;
    let bytes = vec![b'a'; 20_000];
    while component.streamed("check_write", &[stream]).unwrap() > 0 {
        assert_eq!(component.stream_write("output_write", stream, &bytes), Ok(0));
        written += 20_000;
        assert!(written < 10 << 20, "a pipe that nobody reads takes everything");
    }
    written
}

#[test]
fn what_was_written_first_comes_first_whichever_stream_it_was_written_to() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    let [one, other] = [(), ()].map(|()| component.call("get_stdout", &[]).unwrap().value);
    let written = fill(&mut component, one);
    let mut bytes = vec![0; written];
    // There is room now, but not for all that is held.
    reader.read_exact(&mut bytes[..4096]).unwrap();
    assert_eq!(component.streamed("check_write", &[other]), Ok(0), "the other stream waits, too");
    let reading = std::thread::spawn(move || {
        reader.read_exact(&mut bytes[4096..]).unwrap();
        let mut rest = [0; 3];
        reader.read_exact(&mut rest).unwrap();
        (bytes, rest)
    });
    assert_eq!(component.stream_write("blocking_write_and_flush", other, b"bbb"), Ok(0));
    let (bytes, rest) = reading.join().unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'a'));
    assert_eq!(&rest, b"bbb");
}

#[test]
fn what_a_dropped_stream_leaves_is_written_by_the_next() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    let one = component.call("get_stdout", &[]).unwrap().value;
    let written = fill(&mut component, one);
    assert!(component.drop(one));
    let mut bytes = vec![0; written];
    let half = written / 2;
    reader.read_exact(&mut bytes[..half]).unwrap();
    // The end of the instance is one more attempt.
    component.state.close(&component.guest.ctx);
    reader.read_exact(&mut bytes[half..]).unwrap();
    assert!(bytes.iter().all(|byte| *byte == b'a'));
}

#[test]
fn the_bytes_that_streams_hold_are_bounded() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdout: lent(writer), ..Setup::default() });
    component.memory.resize(256 << 10, 0);
    let trap = Err(CallError::Trap(wasi_rs_core::preview2::Trap::Permit));
    // All of them are permitted to write while there is room.
    let streams: Vec<u64> = (0..1000)
        .map(|_| {
            let stream = component.call("get_stdout", &[]).unwrap().value;
            assert_eq!(component.streamed("check_write", &[stream]), Ok(65_536));
            stream
        })
        .collect();
    let held = |component: &mut Component, stream| {
        component.call("output_write", &[stream, 128 << 10, 65_536]).map(drop)
    };
    let taken = streams.iter().take_while(|stream| held(&mut component, **stream).is_ok()).count();
    assert!((64..600).contains(&taken), "{taken} streams hold 64 KiB each");
    assert_eq!(held(&mut component, streams[999]), trap);
    // A stream that asks nothing before holds nothing more.
    let stream = component.call("get_stdout", &[]).unwrap().value;
    assert_eq!(component.call("output_write", &[stream, 128 << 10, 1]).map(drop), trap);
}
