//! The bytes of a file, in chunks; what was never written takes no memory.

use crate::memory::Region;
use std::collections::BTreeMap;

/// The size of a chunk in bytes.
const CHUNK: u64 = 64 * 1024;
const CHUNK_LEN: usize = 64 * 1024;

/// The least room that a first write makes, in bytes.
const ROOM_LEAST: usize = 64;

const ZEROS: [u8; 4096] = [0; 4096];

/// The bytes of a file.
///
/// A chunk holds bytes up to the last one written in it. What lies behind, and a chunk that is
/// missing, is zero. No chunk reaches beyond the size, so that a file that shrinks and grows again
/// shows no old bytes.
#[derive(Debug, Default)]
pub(super) struct Data {
    size: u64,
    /// The first chunk: all that most files have. A map of one takes more than many files do.
    first: Vec<u8>,
    /// The others.
    chunks: BTreeMap<u64, Vec<u8>>,
}

/// The chunk that an offset lies in, and where in it.
#[allow(clippy::cast_possible_truncation, reason = "the remainder is less than a chunk")]
fn locate(offset: u64) -> (u64, usize) {
    (offset / CHUNK, (offset % CHUNK) as usize)
}

impl Data {
    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a chunk that were written.
    fn chunk(&self, index: u64) -> &[u8] {
        if index == 0 {
            &self.first
        } else {
            self.chunks.get(&index).map(Vec::as_slice).unwrap_or_default()
        }
    }

    /// Gives up to `len` bytes from `offset` on to `put`, piece by piece, and returns how many
    /// there were. `put` gets the distance from `offset`.
    fn visit(&self, offset: u64, len: usize, mut put: impl FnMut(usize, &[u8])) -> usize {
        let there = self.size.saturating_sub(offset);
        let len = usize::try_from(there).map_or(len, |there| there.min(len));
        let mut done = 0_usize;
        while done < len {
            let (index, within) = locate(offset.saturating_add(done as u64));
            let step = CHUNK_LEN.saturating_sub(within).min(len.saturating_sub(done));
            let end = done.saturating_add(step);
            let stored = self.chunk(index).get(within..).unwrap_or_default();
            let stored = stored.get(..step).unwrap_or(stored);
            put(done, stored);
            done = done.saturating_add(stored.len());
            while done < end {
                let zeros = ZEROS.get(..end.saturating_sub(done)).unwrap_or(&ZEROS);
                put(done, zeros);
                done = done.saturating_add(zeros.len());
            }
        }
        done
    }

    /// Copies the bytes from `offset` on to the guest's buffers and returns how many there were.
    pub(super) fn read(&self, bufs: &[Region<'_>], offset: u64) -> usize {
        let mut total = 0_usize;
        for buf in bufs {
            let from = offset.saturating_add(total as u64);
            let done = self.visit(from, buf.len(), |at, bytes| {
                buf.write_at(at, bytes);
            });
            total = total.saturating_add(done);
            if done < buf.len() {
                break;
            }
        }
        total
    }

    /// All bytes, unless the host has no memory for them.
    pub(super) fn to_vec(&self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.size).ok()?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        self.visit(0, len, |_, piece| bytes.extend_from_slice(piece));
        Some(bytes)
    }

    /// Lets `fill` write `len` bytes from `offset` on, piece by piece, and returns how many it
    /// could: fewer if the host has no memory.
    fn fill(&mut self, offset: u64, len: usize, mut fill: impl FnMut(usize, &mut [u8])) -> usize {
        let mut done = 0_usize;
        while done < len {
            let (index, within) = locate(offset.saturating_add(done as u64));
            let step = CHUNK_LEN.saturating_sub(within).min(len.saturating_sub(done));
            let Some(room) = self.room(index, within, step) else { break };
            fill(done, room);
            done = done.saturating_add(step);
        }
        if done > 0 {
            self.size = self.size.max(offset.saturating_add(done as u64));
        }
        done
    }

    /// The bytes of a chunk to write to, made if they are not there.
    fn room(&mut self, index: u64, within: usize, len: usize) -> Option<&mut [u8]> {
        let end = within.checked_add(len)?;
        let chunk =
            if index == 0 { &mut self.first } else { self.chunks.entry(index).or_default() };
        if chunk.len() < end {
            if chunk.capacity() < end {
                // A file of one chunk doubles. A later chunk is no more than what the file has
                // already.
                let capacity = if index == 0 {
                    end.next_power_of_two().clamp(ROOM_LEAST, CHUNK_LEN)
                } else {
                    CHUNK_LEN
                };
                chunk.try_reserve_exact(capacity.saturating_sub(chunk.len())).ok()?;
            }
            chunk.resize(end, 0);
        }
        chunk.get_mut(within..end)
    }

    /// Copies at most `most` bytes of the guest's buffers to `offset` on and returns how many:
    /// fewer if the host has no memory.
    pub(super) fn write(&mut self, bufs: &[Region<'_>], offset: u64, most: u64) -> usize {
        let mut total = 0_usize;
        for buf in bufs {
            let left = most.saturating_sub(total as u64);
            let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
            let done = self.fill(offset.saturating_add(total as u64), len, |at, room| {
                buf.read_at(at, room);
            });
            total = total.saturating_add(done);
            if done < buf.len() {
                break;
            }
        }
        total
    }

    /// Makes `bytes` all that there is. Says whether the host had the memory.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> bool {
        self.set_size(0);
        let done = self.fill(0, bytes.len(), |at, room| {
            if let Some(piece) = bytes.get(at..).and_then(|rest| rest.get(..room.len())) {
                room.copy_from_slice(piece);
            }
        });
        done == bytes.len()
    }

    /// Sets the size. New bytes are zero and take no memory.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            let (index, within) = locate(size);
            drop(self.chunks.split_off(&index.saturating_add(u64::from(within > 0)).max(1)));
            let last = if index == 0 { Some(&mut self.first) } else { self.chunks.get_mut(&index) };
            if let Some(last) = last {
                last.truncate(within);
                if last.capacity() / 2 > within.max(ROOM_LEAST) {
                    shrink(last);
                }
            }
        }
        self.size = size;
    }

    /// How many bytes of memory the chunks take.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.chunks.values().map(Vec::capacity).fold(self.first.capacity(), usize::saturating_add)
    }
}

/// Gives the room of a chunk back that it does not need: all of it, for new room. What an allocator
/// cuts off a block in place is too short for the next chunk, and thousands of such pieces are
/// memory that nobody can use.
fn shrink(chunk: &mut Vec<u8>) {
    let mut smaller = Vec::new();
    if smaller.try_reserve_exact(chunk.len()).is_ok() {
        smaller.extend_from_slice(chunk);
        *chunk = smaller;
    }
}
