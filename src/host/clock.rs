//! Clocks.

use super::{Result, sys};
use crate::abi::{Clockid, Timestamp};

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
