//! Clocks and pollables.

use crate::component::{CREATE, Component, READ};
use crate::support::Setup;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasi_rs_core::host::{SteppingClock, VirtualClocks};
use wasi_rs_core::preview2::{CallError, Trap};

#[test]
fn clocks_go_on() {
    let mut component = Component::of(Setup::default());
    let one = component.call("monotonic_now", &[]).unwrap().value;
    let other = component.call("monotonic_now", &[]).unwrap().value;
    assert!(one > 0 && other >= one);
    assert!(component.call("monotonic_resolution", &[]).unwrap().value > 0);
    component.call("wall_now", &[]).unwrap();
    assert!(component.long(0) > 1_500_000_000 && component.word(8) < 1_000_000_000);
    component.call("wall_resolution", &[]).unwrap();
    assert!(component.long(0) > 0 || component.word(8) > 0);
}

#[test]
fn a_sleep_takes_its_time() {
    let mut component = Component::of(Setup::default());
    let start = Instant::now();
    let pollable = component.call("subscribe_duration", &[120_000_000]).unwrap().value;
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 0);
    component.call("block", &[pollable]).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 1);
    let past = component.call("subscribe_instant", &[1]).unwrap().value;
    component.call("block", &[past]).unwrap();
    let never = component.call("subscribe_duration", &[u64::MAX]).unwrap().value;
    assert_eq!(component.poll(&[never, past, never, pollable, past]), Ok(vec![1, 3, 4]));
    let soon = component.call("subscribe_duration", &[1_000_000]).unwrap().value;
    assert_eq!(component.poll(&[never, soon]), Ok(vec![1]));
}

#[test]
fn a_poll_of_nothing_is_a_trap() {
    let mut component = Component::of(Setup::default());
    assert_eq!(component.poll(&[]), Err(CallError::Trap(Trap::PollList)));
    assert_eq!(component.poll(&[0]), Err(CallError::Trap(Trap::UnknownHandle)));
    component.memory.resize(2 << 20, 0);
    let many = (1 << 18) * 4 + 4;
    assert_eq!(component.call("poll_list", &[0, many]), Err(CallError::Trap(Trap::PollList)));
}

#[test]
fn files_are_always_ready() {
    let (mut component, directory) = Component::new();
    let file = component.open(directory, "file", CREATE, READ).unwrap();
    let stream = component.fallible("read_via_stream", &[file, 0]).unwrap();
    let pollable = component.call("input_subscribe", &[stream]).unwrap().value;
    let never = component.call("subscribe_duration", &[u64::MAX]).unwrap().value;
    assert_eq!(component.poll(&[never, pollable]), Ok(vec![1]));
}

#[test]
fn nothing_waits_for_a_clock_that_is_set() {
    let mut component = Component::of(Setup::default());
    component.guest.ctx.clocks = Some(Arc::new(VirtualClocks {
        realtime: Some(SteppingClock::new(5_000_000_007, 0)),
        monotonic: Some(SteppingClock::new(100, 1)),
    }));
    component.call("wall_now", &[]).unwrap();
    assert_eq!((component.long(0), component.word(8)), (5, 7));
    assert_eq!(component.call("monotonic_now", &[]).unwrap().value, 100);
    let start = Instant::now();
    let day = 86_400_000_000_000;
    let pollable = component.call("subscribe_duration", &[day]).unwrap().value;
    component.call("block", &[pollable]).unwrap();
    component.call("block", &[pollable]).unwrap();
    assert_eq!(component.call("monotonic_now", &[]).unwrap().value, 101 + day, "once");
    let pollable = component.call("subscribe_instant", &[2 * day]).unwrap().value;
    assert_eq!(component.poll(&[pollable]), Ok(vec![0]));
    assert_eq!(component.call("monotonic_now", &[]).unwrap().value, 2 * day);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn what_suspends_says_what_it_would_wait_for() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut component = Component::of(Setup { stdin: Some(reader.into()), ..Setup::default() });
    component.guest.ctx.suspends = true;
    let start = Instant::now();
    let pollable = component.call("subscribe_duration", &[200_000_000]).unwrap().value;
    let stdin = component.call("get_stdin", &[]).unwrap().value;
    let readable = component.call("input_subscribe", &[stdin]).unwrap().value;
    let waiting = |component: &Component| {
        let waiting = component.guest.ctx.waiting.take().expect("nothing is left to wait for");
        (waiting.is_for_host(), waiting.input, waiting.output)
    };
    assert_eq!(component.call("block", &[pollable]), Err(CallError::WouldWait));
    assert_eq!(waiting(&component), (true, false, false));
    assert_eq!(component.poll(&[readable, pollable]), Err(CallError::WouldWait));
    assert_eq!(waiting(&component), (true, false, false));
    for native in ["blocking_read", "blocking_skip"] {
        assert_eq!(component.call(native, &[stdin, 10]), Err(CallError::WouldWait));
        assert_eq!(waiting(&component), (true, false, false), "{native}");
    }
    assert!(start.elapsed() < Duration::from_millis(200), "it has waited");
    writer.write_all(b"hello").unwrap();
    assert_eq!(component.poll(&[pollable, readable]), Ok(vec![1]));
    assert_eq!(component.stream_read("blocking_read", stdin, 10), Ok(b"hello".to_vec()));
    std::thread::sleep(Duration::from_millis(200));
    component.call("block", &[pollable]).unwrap();
    let never = component.call("subscribe_duration", &[u64::MAX]).unwrap().value;
    assert_eq!(component.call("block", &[never]), Err(CallError::WouldWait));
    assert_eq!(waiting(&component), (false, false, false), "nothing ends this wait");
}

#[test]
fn a_stream_that_has_not_taken_what_was_written_is_waited_for() {
    let mut component = Component::of(Setup::default());
    component.guest.ctx.suspends = true;
    let stdout = component.call("get_stdout", &[]).unwrap().value;
    let writable = component.call("output_subscribe", &[stdout]).unwrap().value;
    component.state.set_busy(1 << 1);
    assert_eq!(component.call("ready", &[writable]).unwrap().value, 0);
    assert_eq!(component.streamed("check_write", &[stdout]), Ok(0));
    let [at, len] = component.bytes(b"x");
    let refused = Err(CallError::Trap(Trap::Permit));
    assert_eq!(component.call("output_write", &[stdout, at, len]), refused);
    let waits = |component: &mut Component, native, args: &[u64]| {
        assert_eq!(component.call(native, args), Err(CallError::WouldWait), "{native}");
        let waiting = component.guest.ctx.waiting.take().expect("nothing is left to wait for");
        assert!(waiting.output && !waiting.input && !waiting.is_for_host(), "{native}");
    };
    waits(&mut component, "block", &[writable]);
    waits(&mut component, "blocking_flush", &[stdout]);
    waits(&mut component, "blocking_write_and_flush", &[stdout, at, len]);
    waits(&mut component, "blocking_write_zeroes_and_flush", &[stdout, 9]);
    // The other stream has.
    let stderr = component.call("get_stderr", &[]).unwrap().value;
    assert!(component.streamed("check_write", &[stderr]).unwrap() > 0);
    component.state.set_busy(0);
    assert_eq!(component.call("ready", &[writable]).unwrap().value, 1);
    assert!(component.streamed("check_write", &[stdout]).unwrap() > 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_wait_takes_no_more_descriptors_than_there_are_files() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let pipe = {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap()
    };
    let open = || {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.filter(|target| *target == pipe).count()
    };
    let mut component = Component::of(Setup { stdin: Some(reader.into()), ..Setup::default() });
    component.guest.ctx.suspends = true;
    let before = open();
    let reps: Vec<u64> = (0..500)
        .map(|at| {
            // Some of one stream, and some of others of the same file.
            let stdin = component.call("get_stdin", &[]).unwrap().value;
            let readable = component.call("input_subscribe", &[stdin]).unwrap().value;
            if at % 2 == 0 {
                readable
            } else {
                component.call("input_subscribe", &[stdin]).unwrap().value
            }
        })
        .collect();
    assert_eq!(component.poll(&[&reps[..], &reps[..]].concat()), Err(CallError::WouldWait));
    let waiting = component.guest.ctx.waiting.take().expect("nothing is left to wait for");
    assert!(waiting.is_for_host());
    assert_eq!(open(), before + 1);
    drop(waiting);
    assert_eq!(open(), before);
}
