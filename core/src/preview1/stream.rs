//! Waiting for streams, in slices.
//!
//! A host file never blocks: it answers `again`. If the guest has not asked for that, the call
//! waits for a slice of time and then answers [`CallError::Again`], so that whoever drives it can
//! stop it between two slices. No lock is held meanwhile.
//!
//! A call of an instance that suspends does not wait: it leaves in [`Ctx::waiting`] what for, and
//! answers [`CallError::WouldWait`].
//!
//! [`Ctx::waiting`]: crate::ctx::Ctx::waiting

use super::{Call, CallError, Result};
use crate::abi::{Clockid, Errno, Fdflags, Timestamp};
use crate::descriptor::Descriptor;
use crate::host::readiness::Waiting;
use crate::host::{self, File, Interest, Readiness, Source, Wait};
use crate::memory::{IoVecs, Region};

/// How long a call waits at once, in nanoseconds. A fuzzer has no time to lose.
pub(super) const SLICE: Timestamp = if cfg!(fuzzing) { 100_000 } else { 50_000_000 };

/// The length of one sleep of a call that no event tells when to go on, in nanoseconds.
const NAP: Timestamp = if SLICE < 10_000_000 { SLICE } else { 10_000_000 };

/// The most bytes that are moved at once: a gigabyte takes a second or more, in which nobody could
/// end the guest.
const PIECE: u64 = 64 << 20;

/// The most bytes that a call moves, as on Linux. A list of buffers may name the same memory over
/// and over.
const MOST: u64 = 0x7fff_f000;

/// Cuts the buffers to the next piece: [`PIECE`] bytes behind the `done` bytes of earlier slices.
/// Returns the number of bytes if more follow.
#[inline]
fn next_piece(bufs: &mut IoVecs<'_, '_>, done: u64) -> Option<u64> {
    if done > 0 {
        bufs.advance(done);
    }
    let piece = PIECE.min(MOST.saturating_sub(done));
    let is_cut = usize::try_from(piece).is_ok_and(|piece| bufs.cut(piece));
    (is_cut && done.saturating_add(piece) < MOST).then_some(piece)
}

/// Moves the bytes that the file gives or takes at once, in pieces. `transfer` gets the next piece
/// and the number of bytes that were moved before. An error after the first piece is not lost: the
/// next call meets it.
#[inline]
pub(super) fn in_pieces<'m>(
    call: &Call<'_>,
    mut bufs: IoVecs<'_, 'm>,
    transfer: impl FnOnce(&[Region<'m>], u64) -> Result<usize>,
) -> Result<u32> {
    let done = call.resume.get();
    let piece = next_piece(&mut bufs, done);
    match transfer(bufs.regions(), done) {
        Ok(moved) if piece == Some(moved as u64) => {
            call.resume.set(done.saturating_add(moved as u64));
            Err(CallError::Again)
        }
        Ok(moved) => Ok(count(done.saturating_add(moved as u64))),
        Err(CallError::Errno(errno @ (Errno::Ask | Errno::Full))) => Err(errno.into()),
        Err(CallError::Errno(_) | CallError::Again) if done > 0 => Ok(count(done)),
        Err(CallError::WouldWait) if done > 0 => {
            call.ctx.waiting.set(None);
            Ok(count(done))
        }
        Err(stop) => Err(stop),
    }
}

/// Sleeps a little, and returns the answer of the call.
pub(super) fn nap(call: &Call<'_>) -> CallError {
    if call.ctx.suspends {
        let mut waiting = Waiting::default();
        waiting.nap();
        return would_wait(call, waiting);
    }
    host::wait(&mut [], NAP).err().map_or(CallError::Again, CallError::from)
}

/// Waits for `timeout` nanoseconds, or until the file is ready.
fn wait(file: &dyn File, interest: Interest, timeout: Timestamp) -> Result<()> {
    let Source::Host(handle) = file.source() else { return Ok(()) };
    let (read, write) = (interest == Interest::Read, interest == Interest::Write);
    let unknown = Readiness::default();
    host::wait(&mut [Wait { handle, read, write, readable: unknown, writable: unknown }], timeout)?;
    Ok(())
}

/// The answer of a call that would wait, of an instance that suspends.
pub(super) fn would_wait(call: &Call<'_>, waiting: Waiting) -> CallError {
    call.ctx.waiting.set(Some(Box::new(waiting)));
    CallError::WouldWait
}

/// The same for one file.
fn would_wait_for(call: &Call<'_>, file: &dyn File, interest: Interest) -> CallError {
    let mut waiting = Waiting::default();
    match file.source() {
        Source::Host(handle) => {
            waiting.watch(handle, interest == Interest::Read, interest == Interest::Write);
        }
        Source::Input(_) => waiting.input = true,
        // Nothing tells when it goes on.
        Source::Ready => waiting.nap(),
    }
    would_wait(call, waiting)
}

/// Makes an attempt; where it would block, the answer is that of the descriptor's `NONBLOCK` flag.
pub(super) fn attempt<T>(
    call: &Call<'_>,
    descriptor: &Descriptor,
    file: &dyn File,
    interest: Interest,
    result: host::Result<T>,
) -> Result<T> {
    match result {
        Err(Errno::Again) if !descriptor.flags().contains(Fdflags::NONBLOCK) => {
            if call.ctx.suspends {
                return Err(would_wait_for(call, file, interest));
            }
            wait(file, interest, SLICE)?;
            Err(CallError::Again)
        }
        result => Ok(result?),
    }
}

/// Moves all of the buffers' bytes, in as many slices as that takes, as a blocking call of POSIX
/// would. An error after the first byte is not lost: the next call meets it.
#[inline]
pub(super) fn all(
    call: &Call<'_>,
    descriptor: &Descriptor,
    file: &dyn File,
    interest: Interest,
    mut bufs: IoVecs<'_, '_>,
    mut transfer: impl FnMut(&[Region<'_>]) -> host::Result<usize>,
) -> Result<u32> {
    let done = call.resume.get();
    let piece = next_piece(&mut bufs, done);
    let result = transfer(bufs.regions());
    if let Ok(moved) = result
        && piece.is_none()
        && bufs.is_one_of(moved)
    {
        return Ok(count(done.saturating_add(moved as u64)));
    }
    let result = rest(call, descriptor, file, interest, bufs, &mut transfer, result);
    match (piece, result) {
        (Some(piece), Ok(moved)) if u64::from(moved) == done.saturating_add(piece) => {
            call.resume.set(moved.into());
            Err(CallError::Again)
        }
        (_, result) => result,
    }
}

/// Goes on after the first attempt, which nearly always is the only one.
fn rest(
    call: &Call<'_>,
    descriptor: &Descriptor,
    file: &dyn File,
    interest: Interest,
    mut bufs: IoVecs<'_, '_>,
    transfer: &mut dyn FnMut(&[Region<'_>]) -> host::Result<usize>,
    mut result: host::Result<usize>,
) -> Result<u32> {
    let once =
        descriptor.flags().contains(Fdflags::NONBLOCK) || matches!(file.source(), Source::Ready);
    let mut done = call.resume.get();
    let mut end = None;
    loop {
        match result {
            Ok(moved) => {
                done = done.saturating_add(moved as u64);
                bufs.advance(moved as u64);
                if once || moved == 0 || bufs.regions().is_empty() {
                    break;
                }
            }
            Err(Errno::Again) if !once => {}
            Err(errno) if done > 0 && !matches!(errno, Errno::Ask | Errno::Full) => break,
            Err(errno) => return Err(errno.into()),
        }
        // The file is full or empty now, because it took only a part: trying again at once would
        // find just that.
        call.resume.set(done);
        if call.ctx.suspends {
            return Err(would_wait_for(call, file, interest));
        }
        let now = host::time(Clockid::Monotonic)?;
        let end = *end.get_or_insert(now.saturating_add(SLICE));
        if now >= end {
            return Err(CallError::Again);
        }
        wait(file, interest, end.saturating_sub(now))?;
        result = transfer(bufs.regions());
    }
    Ok(count(done))
}

fn count(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
