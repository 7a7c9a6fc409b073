//! Waiting for streams, in slices.
//!
//! A host file never blocks: it answers `again`. If the guest has not asked for that, the call waits for a slice of time and then
//! answers [`Stop::Again`], so that whoever drives it can stop it between two slices. No lock is held meanwhile.

use super::{Call, Result, Stop};
use crate::abi::{Errno, Fdflags, Timestamp};
use crate::descriptor::Descriptor;
use crate::host::{self, File, Interest, Readiness, Source, Wait};
use crate::memory::{IoVecs, Region};

/// How long a call waits at once, in nanoseconds. A fuzzer has no time to lose.
pub(super) const SLICE: Timestamp = if cfg!(fuzzing) { 100_000 } else { 50_000_000 };

/// Waits for a slice, or until the file is ready.
fn wait(file: &dyn File, interest: Interest) -> Result<()> {
    let Source::Host(handle) = file.source() else { return Ok(()) };
    let (read, write) = (interest == Interest::Read, interest == Interest::Write);
    let unknown = Readiness::default();
    host::wait(&mut [Wait { handle, read, write, readable: unknown, writable: unknown }], SLICE)?;
    Ok(())
}

/// Makes an attempt; where it would block, the answer is that of the descriptor's `NONBLOCK` flag.
pub(super) fn attempt<T>(descriptor: &Descriptor, file: &dyn File, interest: Interest, result: host::Result<T>) -> Result<T> {
    match result {
        Err(Errno::Again) if !descriptor.flags().contains(Fdflags::NONBLOCK) => {
            wait(file, interest)?;
            Err(Stop::Again)
        }
        result => Ok(result?),
    }
}

/// Moves all of the buffers' bytes, in as many slices as that takes, as a blocking call of POSIX would. An error after the
/// first byte is not lost: the next call meets it.
pub(super) fn all(
    call: &Call<'_>,
    descriptor: &Descriptor,
    file: &dyn File,
    interest: Interest,
    mut bufs: IoVecs<'_, '_>,
    mut transfer: impl FnMut(&[Region<'_>]) -> host::Result<usize>,
) -> Result<u32> {
    let nonblock = descriptor.flags().contains(Fdflags::NONBLOCK);
    let mut done = call.resume.get();
    bufs.advance(done);
    loop {
        match transfer(bufs.regions()) {
            Ok(moved) => {
                done = done.saturating_add(moved as u64);
                bufs.advance(moved as u64);
                if moved == 0 || bufs.regions().is_empty() {
                    break;
                }
            }
            Err(Errno::Again) if !nonblock => {
                call.resume.set(done);
                wait(file, interest)?;
                return Err(Stop::Again);
            }
            Err(_) if done > 0 => break,
            Err(errno) => return Err(errno.into()),
        }
        if nonblock {
            break;
        }
    }
    Ok(u32::try_from(done).unwrap_or(u32::MAX))
}
