//! Clocks.

use super::{Result, sys};
use crate::abi::{Clockid, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The resolution of a clock in nanoseconds.
pub fn resolution(clock: Clockid) -> Result<Timestamp> {
    sys::clock_resolution(clock)
}

/// The time of a clock in nanoseconds since its epoch.
pub fn time(clock: Clockid) -> Result<Timestamp> {
    sys::clock_time(clock)
}

/// The monotonic clock in nanoseconds. It never fails.
#[must_use]
pub fn monotonic_now() -> Timestamp {
    sys::clock_time(Clockid::Monotonic).unwrap_or_default()
}

/// A clock that the embedder sets: it stands still, or goes on by a step each time it is read.
#[derive(Debug)]
pub struct SteppingClock {
    next: AtomicU64,
    step: u64,
}

impl SteppingClock {
    /// A clock that shows `start` first.
    #[must_use]
    pub fn new(start: Timestamp, step: u64) -> Self {
        Self { next: AtomicU64::new(start), step }
    }

    /// Reads it.
    pub fn time(&self) -> Timestamp {
        self.next.fetch_add(self.step, Relaxed)
    }

    /// Lets time pass without waiting: until `time`, if it is later.
    pub fn pass_until(&self, time: Timestamp) {
        if self.step > 0 {
            self.next.fetch_max(time, Relaxed);
        }
    }

    /// Lets time pass without waiting.
    pub fn pass(&self, duration: Timestamp) {
        if self.step > 0 {
            let _ =
                self.next.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_add(duration)));
        }
    }
}

/// The clocks that the embedder sets instead of the host's.
#[derive(Debug, Default)]
pub struct VirtualClocks {
    /// Instead of the host's realtime clock.
    pub realtime: Option<SteppingClock>,
    /// Instead of the host's monotonic clock and those of CPU time.
    pub monotonic: Option<SteppingClock>,
}

impl VirtualClocks {
    /// The clock that stands for one of the guest's, unless that is the host's.
    #[must_use]
    pub fn get(&self, clock: Clockid) -> Option<&SteppingClock> {
        match clock {
            Clockid::Realtime => self.realtime.as_ref(),
            Clockid::Monotonic | Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => {
                self.monotonic.as_ref()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_steps_and_a_standing_one_stands() {
        let clock = SteppingClock::new(5, 2);
        assert_eq!([clock.time(), clock.time()], [5, 7]);
        clock.pass(100);
        assert_eq!(clock.time(), 109);
        clock.pass_until(50);
        assert_eq!(clock.time(), 111);
        clock.pass_until(1000);
        assert_eq!(clock.time(), 1000);
        let standing = SteppingClock::new(5, 0);
        standing.pass(100);
        standing.pass_until(100);
        assert_eq!([standing.time(), standing.time()], [5, 5]);
    }
}
