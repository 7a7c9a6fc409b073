//! Clocks.

use crate::support::{Guest, fails};
use std::time::{SystemTime, UNIX_EPOCH};
use wasi_rs_core::abi::Errno;

#[test]
fn the_realtime_clock_is_the_hosts_in_nanoseconds() {
    let mut guest = Guest::new();
    let now =
        || u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let (before, time, after) = (now(), guest.clock(0).unwrap(), now());
    assert!((before..=after).contains(&time), "{before} {time} {after}");
}

#[test]
fn the_monotonic_clock_advances_and_is_not_cut() {
    let mut guest = Guest::new();
    let times: Vec<u64> = (0..1000).map(|_| guest.clock(1).unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(times.iter().any(|time| time % 1000 != 0));
}

#[test]
fn cpu_clocks_count_work_and_not_sleep() {
    let mut guest = Guest::new();
    for id in [2, 3] {
        let start = guest.clock(id).unwrap();
        let mut now = start;
        for _ in 0..10_000_000_u64 {
            now = guest.clock(id).unwrap();
            if now > start {
                break;
            }
        }
        assert!(now > start, "clock {id} stands still");
    }
    // The thread's own, which other tests do not add to.
    let start = guest.clock(3).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(120));
    let spent = guest.clock(3).unwrap() - start;
    assert!(spent < 100_000_000, "a sleeping thread used {spent} ns of CPU time");
}

#[test]
fn every_clock_has_a_resolution() {
    let mut guest = Guest::new();
    for id in 0..4 {
        let resolution = guest.clock_res(id).unwrap();
        // Windows counts CPU time every 64th part of a second.
        assert!((1..=16_000_000).contains(&resolution), "clock {id}: {resolution}");
    }
}

#[test]
fn any_precision_will_do() {
    let mut guest = Guest::new();
    for precision in [0, 1, 1_000_000_000, u64::MAX] {
        guest.fresh();
        let time = guest.room(8);
        assert_eq!(guest.call("clock_time_get", &[0, precision, time]), Ok(()));
        assert!(guest.u64(time) > 1_600_000_000_000_000_000);
    }
}

#[test]
fn there_are_four_clocks() {
    let mut guest = Guest::new();
    for id in [4, 5, 255, 256, 257, 0x8000_0000, u32::MAX] {
        assert_eq!(guest.clock(id), fails(Errno::Inval), "{id}");
        assert_eq!(guest.clock_res(id), fails(Errno::Inval), "{id}");
    }
}
