//! Waiting. Everything that waits does so in [`wait_for`] and [`wait_on`], in slices: between two of
//! them, whoever drives the call can stop it.
//!
//! A call of an instance that suspends does not wait: it leaves in [`Ctx::waiting`] what for, and
//! answers [`CallError::WouldWait`].
//!
//! [`Ctx::waiting`]: crate::ctx::Ctx::waiting

use super::area::Lists;
use super::glue::Bytes;
use super::resources::{OpenFile, PollableRep};
use super::streams::{Input, Output};
use super::{Call, CallError, Result, Trap};
use crate::abi::{Fd, Timestamp};
use crate::descriptor::Descriptor;
use crate::host::readiness::Waiting;
use crate::host::{self, Interest, Opened, Readiness, Source, Wait};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// How long a call waits at once, in nanoseconds. A fuzzer has no time to lose.
const SLICE: Timestamp = if cfg!(fuzzing) { 100_000 } else { 50_000_000 };

/// How many pollables one call takes: as many as there can be.
const MOST: usize = 1 << 18;

/// Something to wait for.
pub(super) enum Pollable {
    /// An instant of the host's monotonic clock.
    Instant(Timestamp),
    /// A clock that the embedder sets, which goes on when the pollable is found ready.
    Virtual { until: Timestamp, relative: bool, passed: Cell<bool> },
    /// A stream that can be read.
    Readable(Rc<Input>),
    /// A stream that can be written.
    Writable(Rc<Output>),
}

impl Pollable {
    pub(super) fn until(instant: Timestamp) -> Self {
        Self::Virtual { until: instant, relative: false, passed: Cell::new(false) }
    }

    pub(super) fn passing(duration: Timestamp) -> Self {
        Self::Virtual { until: duration, relative: true, passed: Cell::new(false) }
    }

    /// The file and what is to be possible with it, if the host has to be asked.
    fn source(&self) -> Option<(&OpenFile, Interest)> {
        match self {
            Self::Readable(stream) if stream.may_wait() => Some((stream.file(), Interest::Read)),
            Self::Writable(stream) if stream.may_wait() => Some((stream.file(), Interest::Write)),
            _ => None,
        }
    }

    /// Whether the pollable's stream is ready, by what the host's poll has found.
    fn is_stream_ready(&self, call: &Call<'_>, found: &Found) -> bool {
        let Some((file, interest)) = self.source() else { return true };
        match telling(call, file, interest) {
            Telling::Ready => true,
            Telling::Embedder => false,
            Telling::Host => found.get(&file.fd).is_none_or(|(readable, writable)| {
                if interest == Interest::Read { *readable } else { *writable }
            }),
        }
    }

    /// Lets a clock that the embedder sets go on, once.
    fn pass(&self, call: &Call<'_>) {
        let Self::Virtual { until, relative, passed } = self else { return };
        let clocks = call.ctx.clocks.as_ref();
        if let Some(clock) = clocks.and_then(|clocks| clocks.monotonic.as_ref())
            && !passed.replace(true)
        {
            if *relative {
                clock.pass(*until);
            } else {
                clock.pass_until(*until);
            }
        }
    }
}

/// Whether a descriptor's file tells by the host's poll when it is ready.
fn is_polled(descriptor: &Descriptor) -> bool {
    match descriptor.object() {
        Opened::File(file) => matches!(file.source(), Source::Host(_)),
        Opened::Directory(_) => false,
    }
}

/// Whose word says when a stream's file can be read or written.
enum Telling {
    /// It can be done now.
    Ready,
    /// The host's poll.
    Host,
    /// The embedder, whose stream has nothing to give yet, or has not taken what was written.
    Embedder,
}

fn telling(call: &Call<'_>, file: &OpenFile, interest: Interest) -> Telling {
    if interest == Interest::Write && call.state.is_busy(file.fd) {
        return Telling::Embedder;
    }
    let Ok(descriptor) = call.ctx.table.get(file.fd) else { return Telling::Ready };
    let Opened::File(opened) = descriptor.object() else { return Telling::Ready };
    match opened.source() {
        Source::Host(_) => Telling::Host,
        Source::Input(input) if interest == Interest::Read && input.is_wanted() => {
            Telling::Embedder
        }
        Source::Input(_) | Source::Ready => Telling::Ready,
    }
}

/// The readiness of files, by their numbers: readable, and writable.
type Found = BTreeMap<Fd, (bool, bool)>;

/// Waits for files, `timeout` nanoseconds at most. A file that is not open, or is always ready, is
/// not found.
fn look(call: &Call<'_>, asked: &Found, timeout: Timestamp) -> Result<Found> {
    let held: Vec<(Fd, Arc<Descriptor>, bool, bool)> = asked
        .iter()
        .filter_map(|(fd, (read, write))| {
            let descriptor = call.ctx.table.get_arc(*fd).ok()?;
            is_polled(&descriptor).then_some((*fd, descriptor, *read, *write))
        })
        .collect();
    if held.len() < asked.len() {
        // One of them is ready already.
        return wait(&held, 0);
    }
    wait(&held, timeout)
}

fn wait(held: &[(Fd, Arc<Descriptor>, bool, bool)], timeout: Timestamp) -> Result<Found> {
    let unknown = Readiness::default();
    let mut waits: Vec<Wait<'_>> = held
        .iter()
        .filter_map(|(_, descriptor, read, write)| {
            let Opened::File(file) = descriptor.object() else { return None };
            let Source::Host(handle) = file.source() else { return None };
            let (read, write) = (*read, *write);
            Some(Wait { handle, read, write, readable: unknown, writable: unknown })
        })
        .collect();
    if !waits.is_empty() || timeout > 0 {
        host::wait(&mut waits, timeout)?;
    }
    let ready = |found: Readiness| found.ready || found.invalid;
    let found = held.iter().zip(&waits).map(|((fd, ..), wait)| {
        (*fd, (wait.read && ready(wait.readable), wait.write && ready(wait.writable)))
    });
    Ok(found.collect())
}

/// The indices of those that are ready. None: nothing is ready yet, and the call has waited for as
/// long as it may at once.
fn ready_of(call: &Call<'_>, pollables: &[Rc<Pollable>], longest: Timestamp) -> Result<Vec<u32>> {
    let mut asked = Found::new();
    let now = host::monotonic_now();
    let mut timeout = longest;
    for pollable in pollables {
        match &**pollable {
            Pollable::Instant(instant) => timeout = timeout.min(instant.saturating_sub(now)),
            Pollable::Virtual { .. } => timeout = 0,
            Pollable::Readable(_) | Pollable::Writable(_) => match pollable.source() {
                Some((file, interest)) => match telling(call, file, interest) {
                    Telling::Host => {
                        let (read, write) = asked.entry(file.fd).or_default();
                        *read |= interest == Interest::Read;
                        *write |= interest == Interest::Write;
                    }
                    Telling::Ready => timeout = 0,
                    Telling::Embedder => {}
                },
                None => timeout = 0,
            },
        }
    }
    let found = look(call, &asked, timeout)?;
    let now = host::monotonic_now();
    let mut ready = Vec::new();
    for (index, pollable) in (0_u32..).zip(pollables) {
        let is_ready = match &**pollable {
            Pollable::Instant(instant) => *instant <= now,
            Pollable::Virtual { .. } => true,
            Pollable::Readable(_) => pollable.is_stream_ready(call, &found),
            Pollable::Writable(stream) => {
                pollable.is_stream_ready(call, &found) && stream.is_drained(call)
            }
        };
        if is_ready {
            pollable.pass(call);
            ready.push(index);
        }
    }
    Ok(ready)
}

/// Waits until one of them is ready. The only place where a guest of 0.2 waits.
fn wait_for(call: &Call<'_>, pollables: &[Rc<Pollable>]) -> Result<Vec<u32>> {
    let ready = ready_of(call, pollables, if call.ctx.suspends { 0 } else { SLICE })?;
    if ready.is_empty() && call.ctx.suspends {
        let mut waiting = Waiting::default();
        // A file that is watched takes a descriptor of the host: two for each file at most, however many
        // pollables are of it.
        let mut noted = BTreeSet::new();
        for pollable in pollables {
            match (&**pollable, pollable.source()) {
                (Pollable::Instant(instant), _) if *instant < Timestamp::MAX => {
                    waiting.until(*instant);
                }
                (_, Some((file, interest)))
                    if noted.insert((file.fd, interest == Interest::Read)) =>
                {
                    note(call, &mut waiting, file, interest);
                }
                _ => {}
            }
        }
        return Err(would_wait(call, waiting));
    }
    if ready.is_empty() {
        // Where the host takes bytes one by one, a stream that is not drained is found ready to be
        // written: a wait that did not wait must not spin.
        call.resume.set(1);
        return Err(CallError::Again);
    }
    Ok(ready)
}

/// Adds to what a call waits for that something can be done with a stream's file.
fn note(call: &Call<'_>, waiting: &mut Waiting, file: &OpenFile, interest: Interest) {
    let is_read = interest == Interest::Read;
    match telling(call, file, interest) {
        Telling::Embedder => {
            waiting.input |= is_read;
            waiting.output |= !is_read;
        }
        Telling::Host => {
            if let Ok(descriptor) = call.ctx.table.get(file.fd)
                && let Opened::File(opened) = descriptor.object()
                && let Source::Host(handle) = opened.source()
            {
                waiting.watch(handle, is_read, !is_read);
            }
        }
        // Nothing tells when it goes on.
        Telling::Ready => waiting.nap(),
    }
}

/// The error of a call that would wait, in an instance that suspends.
fn would_wait(call: &Call<'_>, waiting: Waiting) -> CallError {
    call.ctx.waiting.set(Some(Box::new(waiting)));
    CallError::WouldWait
}

/// Waits until something can be done with a stream's file, or a slice of time has passed; and what
/// the call answers then.
pub(super) fn wait_on(call: &Call<'_>, file: &OpenFile, interest: Interest) -> CallError {
    if call.ctx.suspends {
        let mut waiting = Waiting::default();
        note(call, &mut waiting, file, interest);
        return would_wait(call, waiting);
    }
    let asked = [(file.fd, (interest == Interest::Read, interest == Interest::Write))];
    look(call, &asked.into(), SLICE).err().unwrap_or(CallError::Again)
}

/// Whether a stream's file has room now.
pub(super) fn has_room(call: &Call<'_>, file: &OpenFile) -> Result<bool> {
    let found = look(call, &[(file.fd, (false, true))].into(), 0)?;
    Ok(found.get(&file.fd).is_none_or(|(_, writable)| *writable))
}

pub(super) fn ready(call: &Call<'_>, pollable: PollableRep) -> Result<bool> {
    let pollable = call.pollable(pollable)?;
    ready_of(call, std::slice::from_ref(&pollable), 0).map(|ready| !ready.is_empty())
}

pub(super) fn block(call: &Call<'_>, pollable: PollableRep) -> Result<()> {
    let pollable = call.pollable(pollable)?;
    wait_for(call, std::slice::from_ref(&pollable)).map(drop)
}

/// The list holds reps, four bytes each: what called has looked the handles up.
pub(super) fn poll(call: &Call<'_>, list: Bytes<'_>) -> Result<Lists<8>> {
    let count = list.0.len().checked_div(size_of::<u32>()).unwrap_or(0);
    if count == 0 || count > MOST {
        return Err(Trap::PollList.into());
    }
    let mut pollables = Vec::with_capacity(count);
    for index in 0..count {
        let rep: u32 = list.0.get(index.saturating_mul(size_of::<u32>())).ok_or(Trap::PollList)?;
        pollables.push(call.pollable(PollableRep(rep))?);
    }
    Lists::numbers(&wait_for(call, &pollables)?)
}
