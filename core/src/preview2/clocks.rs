//! Clocks.

use super::area::{Datetime, Owned};
use super::poll::Pollable;
use super::resources::Resource;
use super::{Call, Result};
use crate::abi::{Clockid, Timestamp};
use crate::host;
use std::rc::Rc;

fn time(call: &Call<'_>, clock: Clockid) -> Result<Timestamp> {
    if let Some(clock) = call.ctx.clocks.as_ref().and_then(|clocks| clocks.get(clock)) {
        return Ok(clock.time());
    }
    // The host's clocks do not fail; one that did would stand at its epoch.
    Ok(host::time(clock).unwrap_or_default())
}

pub(super) fn monotonic_now(call: &Call<'_>) -> Result<u64> {
    time(call, Clockid::Monotonic)
}

pub(super) fn monotonic_resolution(_: &Call<'_>) -> Result<u64> {
    Ok(host::resolution(Clockid::Monotonic).unwrap_or(1))
}

pub(super) fn wall_now(call: &Call<'_>) -> Result<Datetime> {
    time(call, Clockid::Realtime).map(Datetime)
}

pub(super) fn wall_resolution(_: &Call<'_>) -> Result<Datetime> {
    Ok(Datetime(host::resolution(Clockid::Realtime).unwrap_or(1)))
}

fn pollable(pollable: Pollable) -> Result<Owned> {
    Ok(Owned(Resource::Pollable(Rc::new(pollable))))
}

fn is_virtual(call: &Call<'_>) -> bool {
    call.ctx.clocks.as_ref().is_some_and(|clocks| clocks.monotonic.is_some())
}

/// A pollable that is ready from an instant of the monotonic clock on. Nothing waits for a clock
/// that the embedder sets: it goes on to the instant.
pub(super) fn subscribe_instant(call: &Call<'_>, when: u64) -> Result<Owned> {
    pollable(if is_virtual(call) { Pollable::until(when) } else { Pollable::Instant(when) })
}

/// The same, so many nanoseconds from now on.
pub(super) fn subscribe_duration(call: &Call<'_>, when: u64) -> Result<Owned> {
    pollable(if is_virtual(call) {
        Pollable::passing(when)
    } else {
        Pollable::Instant(host::monotonic_now().saturating_add(when))
    })
}
