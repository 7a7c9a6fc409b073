//! Waiting for events.

use super::stream::{SLICE, would_wait};
use super::{Call, CallError, Result};
use crate::abi::{
    Clockid, Errno, Event, Eventrwflags, Eventtype, Fd, Rights, Subclockflags, Subscription,
    SubscriptionKind, Timestamp,
};
use crate::descriptor::Descriptor;
use crate::host::readiness::Waiting;
use crate::host::{self, File, Opened, Readiness, Source, VirtualClocks, Wait};
use crate::memory::{GuestPtr, Record, Region};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::marker::PhantomData;
use std::sync::Arc;

/// A descriptor that is waited on. There is one for each descriptor however many subscriptions name
/// it, so that what a call allocates is bounded by the guest's open descriptors, not by its
/// subscriptions.
struct Polled {
    descriptor: Arc<Descriptor>,
    read: bool,
    write: bool,
    readable: Readiness,
    writable: Readiness,
}

/// The most subscriptions that one slice goes through: millions take seconds, in which nobody could
/// end the guest.
const AT_ONCE: u32 = 65_536;

/// The time between two looks of a suspended call at the realtime clock, in nanoseconds: someone
/// may set that clock meanwhile, and no event tells of it.
const LOOK: Timestamp = 1_000_000_000;

/// The progress of a call: it notes the conditions of all subscriptions, waits, and writes the
/// events of those that have come true. If none has, it begins again.
#[derive(Default)]
struct Round {
    polled: BTreeMap<Fd, Polled>,
    /// When the first timer is due, by the monotonic clock. `None`: there is none yet.
    wake: Option<Timestamp>,
    /// The monotonic clock after the wait. `None`: the call has not waited yet, and `next` is the
    /// next subscription to note.
    waited: Option<Timestamp>,
    /// The next subscription to note or to tell.
    next: u32,
    /// How many events have been written.
    happened: u32,
}

impl Round {
    /// The state that the last slice of a call has left. The first slice of a call drops what an
    /// earlier, abandoned call has left. A call with few subscriptions keeps no state.
    fn resume(call: &Call<'_>, count: u32) -> Self {
        if count <= AT_ONCE {
            return Self::default();
        }
        let parked = call.ctx.parked.take();
        if call.resume.get() == 0 {
            return Self::default();
        }
        parked.and_then(|parked| parked.downcast().ok()).map_or_else(Self::default, |round| *round)
    }

    /// The answer if nothing has happened: `again`, or that the call of an instance that suspends
    /// would wait.
    fn nothing(&self, call: &Call<'_>, again: CallError) -> CallError {
        if !call.ctx.suspends {
            return again;
        }
        let mut waiting = Waiting::default();
        for polled in self.polled.values() {
            match file(&polled.descriptor).map(File::source) {
                Some(Source::Host(handle)) => waiting.watch(handle, polled.read, polled.write),
                Some(Source::Input(_)) => waiting.input |= polled.read,
                Some(Source::Ready) | None => {}
            }
        }
        if let Some(wake) = self.wake.filter(|wake| *wake < Timestamp::MAX) {
            waiting.until(wake);
        }
        would_wait(call, waiting)
    }

    /// Leaves the rest to the next slice.
    fn park(self, call: &Call<'_>) {
        call.ctx.parked.set(Some(Box::new(self)));
    }
}

/// The subscriptions of a call, read from memory each time they are gone through.
struct Subscriptions<'m, S> {
    array: Region<'m>,
    count: u32,
    layout: PhantomData<S>,
}

impl<S: Record + Into<Subscription>> Subscriptions<'_, S> {
    /// The subscriptions from `from` on, [`AT_ONCE`] at most.
    fn some(&self, from: u32) -> impl Iterator<Item = Subscription> {
        let mut at = (from as usize).saturating_mul(size_of::<S::Bytes>());
        (from..self.end(from)).map(move |_| {
            let mut bytes = S::ZERO;
            self.array.read_at(at, bytes.as_mut());
            at = at.saturating_add(bytes.as_ref().len());
            S::from_bytes(&bytes).into()
        })
    }

    /// Where [`Self::some`] ends.
    fn end(&self, from: u32) -> u32 {
        self.count.min(from.saturating_add(AT_ONCE))
    }
}

/// The clocks that a call's subscriptions are compared with.
struct Clocks<'a> {
    /// Those that the embedder sets.
    set: Option<&'a VirtualClocks>,
    /// The monotonic clock when the first slice of the call began.
    start: Timestamp,
    monotonic: Timestamp,
}

impl Clocks<'_> {
    /// The time until a clock's subscription is due, in nanoseconds. A subscription to a clock that
    /// the embedder sets is due at once: nothing waits for such a clock.
    fn due_in(
        &self,
        id: std::result::Result<Clockid, u32>,
        timeout: Timestamp,
        flags: Subclockflags,
    ) -> host::Result<Timestamp> {
        let id = id.map_err(|_| Errno::Inval)?;
        if self.set.is_some_and(|clocks| clocks.get(id).is_some()) {
            return Ok(0);
        }
        match (id, flags.contains(Subclockflags::ABSTIME)) {
            (Clockid::Realtime, true) => Ok(timeout.saturating_sub(host::time(Clockid::Realtime)?)),
            (Clockid::Monotonic, true) => Ok(timeout.saturating_sub(self.monotonic)),
            // A duration does not change when the host's time is set.
            (Clockid::Realtime | Clockid::Monotonic, false) => {
                Ok(self.start.saturating_add(timeout).saturating_sub(self.monotonic))
            }
            // A thread that waits uses no CPU time.
            (Clockid::ProcessCputimeId | Clockid::ThreadCputimeId, _) => Err(Errno::Notsup),
        }
    }
}

/// Waits until at least one of the subscribed events has happened and writes those that have.
///
/// A regular file is always ready. A descriptor that is not open, and a clock that cannot be waited
/// for, are events with an error.
///
/// POSIX: `ppoll`, `clock_nanosleep`.
///
/// # Errors
/// - `inval`: there are no subscriptions, or one is of no known kind.
/// - `notcapable`: a descriptor lacks the right `poll_fd_readwrite`, or the one to read or write.
///
/// # Node
/// `node:wasi` fails for regular files, never returns for an absolute time in the past, and reports
/// one of two timers that are due.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#poll_oneoff>
pub(super) fn poll_oneoff(
    call: &Call<'_>,
    subscriptions: GuestPtr<Subscription>,
    events: GuestPtr<Event>,
    count: u32,
) -> Result<u32> {
    poll(call, subscriptions, events, count)
}

/// [`poll_oneoff`] for subscriptions of any layout.
pub(super) fn poll<S: Record + Into<Subscription>>(
    call: &Call<'_>,
    subscriptions: GuestPtr<S>,
    events: GuestPtr<Event>,
    count: u32,
) -> Result<u32> {
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    let subscriptions = Subscriptions {
        array: call.memory.array(subscriptions, count)?,
        count,
        layout: PhantomData::<S>,
    };
    let events = call.memory.array(events, count)?;

    let now = host::monotonic_now();
    let start = if call.resume.get() == 0 { now } else { call.resume.get() };
    let virtual_clocks = call.ctx.clocks.as_deref();
    let mut round = Round::resume(call, count);
    let again = || {
        // Zero says that there was no earlier slice; the monotonic clock is past it.
        call.resume.set(start.max(1));
        CallError::Again
    };

    let monotonic = if let Some(monotonic) = round.waited {
        monotonic
    } else {
        let clocks = Clocks { set: virtual_clocks, start, monotonic: now };
        let mut timeout = Timestamp::MAX;
        for subscription in subscriptions.some(round.next) {
            let due_in = match subscription.kind.ok_or(Errno::Inval)? {
                SubscriptionKind::Clock { id, timeout, flags } => {
                    let due_in = clocks.due_in(id, timeout, flags).unwrap_or(0);
                    let may_jump = call.ctx.suspends && is_of_day(id, flags);
                    if may_jump { due_in.min(LOOK) } else { due_in }
                }
                SubscriptionKind::FdRead(fd) => {
                    subscribe(call, &mut round.polled, fd, Rights::FD_READ)?
                }
                SubscriptionKind::FdWrite(fd) => {
                    subscribe(call, &mut round.polled, fd, Rights::FD_WRITE)?
                }
            };
            timeout = timeout.min(due_in);
        }
        let wake = now.saturating_add(timeout).min(round.wake.unwrap_or(Timestamp::MAX));
        round.next = subscriptions.end(round.next);
        if round.next < count {
            round.wake = Some(wake);
            round.park(call);
            return Err(again());
        }
        wait(&mut round.polled, wake.saturating_sub(now).min(slice_of(call)))?;
        round.wake = Some(wake);
        round.next = 0;
        *round.waited.insert(host::monotonic_now())
    };

    let clocks = Clocks { set: virtual_clocks, start, monotonic };
    let mut at = (round.happened as usize).saturating_mul(size_of::<<Event as Record>::Bytes>());
    for subscription in subscriptions.some(round.next) {
        // Another thread may have changed the subscription meanwhile: its present state counts.
        let event = match subscription.kind {
            None => None,
            Some(SubscriptionKind::Clock { id, timeout, flags }) => {
                match clocks.due_in(id, timeout, flags) {
                    Ok(0) => {
                        if let Some(clock) = id.ok().and_then(|id| virtual_clocks?.get(id)) {
                            if flags.contains(Subclockflags::ABSTIME) {
                                clock.pass_until(timeout);
                            } else {
                                clock.pass(timeout);
                            }
                        }
                        Some((Eventtype::Clock, Ok(Occurrence::default())))
                    }
                    Ok(_) => None,
                    Err(errno) => Some((Eventtype::Clock, Err(errno))),
                }
            }
            Some(SubscriptionKind::FdRead(fd)) => match round.polled.get(&fd) {
                Some(polled) => occurrence(polled, polled.readable, true)
                    .map(|found| (Eventtype::FdRead, found)),
                None => Some((Eventtype::FdRead, Err(Errno::Badf))),
            },
            Some(SubscriptionKind::FdWrite(fd)) => match round.polled.get(&fd) {
                Some(polled) => occurrence(polled, polled.writable, false)
                    .map(|found| (Eventtype::FdWrite, found)),
                None => Some((Eventtype::FdWrite, Err(Errno::Badf))),
            },
        };
        let Some((eventtype, result)) = event else { continue };
        let (Occurrence { nbytes, flags }, error) = match result {
            Ok(occurrence) => (occurrence, None),
            Err(errno) => (Occurrence::default(), Some(errno)),
        };
        let event = Event { userdata: subscription.userdata, error, eventtype, nbytes, flags };
        at = at.saturating_add(events.write_at(at, event.to_bytes().as_ref()));
        round.happened = round.happened.saturating_add(1);
    }
    round.next = subscriptions.end(round.next);
    if round.next < count {
        round.park(call);
        return Err(again());
    }
    match round.happened {
        0 => Err(round.nothing(call, again())),
        happened => Ok(happened),
    }
}

/// How long a call may wait at once: one that suspends only looks.
fn slice_of(call: &Call<'_>) -> Timestamp {
    if call.ctx.suspends { 0 } else { SLICE }
}

/// Whether a subscription is to a point of the realtime clock.
fn is_of_day(id: std::result::Result<Clockid, u32>, flags: Subclockflags) -> bool {
    id == Ok(Clockid::Realtime) && flags.contains(Subclockflags::ABSTIME)
}

/// Notes a descriptor to wait on, and returns how long the wait may take for this one.
fn subscribe(
    call: &Call<'_>,
    polled: &mut BTreeMap<Fd, Polled>,
    fd: Fd,
    right: Rights,
) -> Result<Timestamp> {
    let entry = match polled.entry(fd) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(place) => {
            let Ok(descriptor) = call.ctx.table.get_arc(fd) else { return Ok(0) };
            place.insert(Polled {
                descriptor,
                read: false,
                write: false,
                readable: Readiness::default(),
                writable: Readiness::default(),
            })
        }
    };
    entry.descriptor.require(Rights::POLL_FD_READWRITE | right)?;
    if right == Rights::FD_READ {
        entry.read = true;
    } else {
        entry.write = true;
    }
    Ok(match file(&entry.descriptor).map(File::source) {
        Some(Source::Host(_)) => Timestamp::MAX,
        // An input can only be read.
        Some(Source::Input(input)) if right == Rights::FD_READ && input.is_wanted() => {
            Timestamp::MAX
        }
        Some(Source::Input(_) | Source::Ready) | None => 0,
    })
}

fn file(descriptor: &Descriptor) -> Option<&dyn File> {
    match descriptor.object() {
        Opened::File(file) => Some(&**file),
        Opened::Directory(_) => None,
    }
}

/// Waits for the descriptors, at most `timeout` nanoseconds.
fn wait(polled: &mut BTreeMap<Fd, Polled>, timeout: Timestamp) -> Result<()> {
    let mut waits = Vec::new();
    for (fd, entry) in &*polled {
        if let Some(Source::Host(handle)) = file(&entry.descriptor).map(File::source) {
            let unknown = Readiness::default();
            waits.push((
                *fd,
                Wait {
                    handle,
                    read: entry.read,
                    write: entry.write,
                    readable: unknown,
                    writable: unknown,
                },
            ));
        }
    }
    if waits.is_empty() && timeout == 0 {
        return Ok(());
    }
    let (fds, mut waits): (Vec<Fd>, Vec<Wait<'_>>) = waits.into_iter().unzip();
    host::wait(&mut waits, timeout)?;
    let found: Vec<(Fd, Readiness, Readiness)> =
        fds.into_iter().zip(waits).map(|(fd, wait)| (fd, wait.readable, wait.writable)).collect();
    for (fd, readable, writable) in found {
        if let Some(entry) = polled.get_mut(&fd) {
            (entry.readable, entry.writable) = (readable, writable);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Occurrence {
    nbytes: u64,
    flags: Eventrwflags,
}

/// The event of a descriptor, if it is ready.
fn occurrence(
    polled: &Polled,
    readiness: Readiness,
    read: bool,
) -> Option<host::Result<Occurrence>> {
    let Some(file) = file(&polled.descriptor) else { return Some(Err(Errno::Badf)) };
    let nbytes = || if read { file.available() } else { 0 };
    match file.source() {
        Source::Host(_) => {}
        Source::Input(input) if read && input.is_wanted() => return None,
        Source::Input(input) => {
            let flags =
                if input.is_at_end() { Eventrwflags::HANGUP } else { Eventrwflags::empty() };
            return Some(Ok(Occurrence { nbytes: nbytes(), flags }));
        }
        Source::Ready => {
            return Some(Ok(Occurrence { nbytes: nbytes(), flags: Eventrwflags::empty() }));
        }
    }
    if readiness.invalid {
        return Some(Err(Errno::Badf));
    }
    if !readiness.ready {
        return None;
    }
    let nbytes = nbytes();
    let flags = if readiness.hangup { Eventrwflags::HANGUP } else { Eventrwflags::empty() };
    Some(Ok(Occurrence { nbytes, flags }))
}
