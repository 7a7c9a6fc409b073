//! Random bytes.

use super::sys;
use crate::memory::Region;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::Cell;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The size of a chunk on the stack, in bytes.
const CHUNK: usize = 1024;

/// The size of the small chunk, for requests of so many bytes or fewer: clearing the large one
/// takes longer than filling the small one.
const SMALL: usize = 64;

/// The number of a thread's small requests that the operating system answers itself, where that is
/// cheap. Setting up a generator takes as long as twenty of them, because it has to be seeded and
/// to find out what the processor can do. Most programs want one seed.
const FROM_SYSTEM: u32 = 4;

/// Fills a range with bytes from a `ChaCha` generator of the calling thread, seeded by the
/// operating system and reseeded from it as it runs; the first small ranges with bytes of the
/// operating system.
pub fn fill(region: Region<'_>) {
    if region.len() <= SMALL && is_early() {
        let mut bytes = [0; SMALL];
        if let Some(bytes) = bytes.get_mut(..region.len())
            && sys::random(bytes)
        {
            region.write_at(0, bytes);
            return;
        }
    }
    fill_from(&mut rand::rng(), region);
}

/// Counts the small requests of a thread and says whether this is one of the first.
fn is_early() -> bool {
    thread_local!(static LEFT: Cell<u32> = const { Cell::new(FROM_SYSTEM) });
    LEFT.with(|left| {
        let now = left.get();
        left.set(now.saturating_sub(1));
        now > 0
    })
}

/// A generator with a seed: it gives the same bytes each time.
pub struct SeededRandom(Mutex<StdRng>);

impl fmt::Debug for SeededRandom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SeededRandom")
    }
}

impl SeededRandom {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Mutex::new(StdRng::from_seed(seed)))
    }

    /// Fills a range with its next bytes.
    pub fn fill(&self, region: Region<'_>) {
        fill_from(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), region);
    }
}

fn fill_from(generator: &mut impl Rng, region: Region<'_>) {
    if region.len() <= SMALL {
        fill_by::<SMALL>(generator, region);
    } else {
        fill_by::<CHUNK>(generator, region);
    }
}

fn fill_by<const SIZE: usize>(generator: &mut impl Rng, region: Region<'_>) {
    let mut chunk = [0; SIZE];
    let mut at = 0_usize;
    while at < region.len() {
        let count = region.len().saturating_sub(at).min(SIZE);
        let Some(bytes) = chunk.get_mut(..count) else { return };
        generator.fill_bytes(bytes);
        region.write_at(at, bytes);
        at = at.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::GuestMemory;

    #[test]
    fn every_byte_is_filled_and_none_beside_it() {
        // On a thread of its own, so that the first of these come from the system.
        std::thread::spawn(|| {
            for len in
                [1, 8, SMALL, SMALL, SMALL, SMALL, SMALL + 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7]
            {
                let mut seen = vec![0_u8; len];
                let mut bytes = vec![0_u8; len + 2];
                for _ in 0..16 {
                    let region = GuestMemory::from_slice(&mut bytes)
                        .region(1, u32::try_from(len).unwrap())
                        .unwrap();
                    fill(region);
                    assert_eq!((bytes[0], bytes[len + 1]), (0, 0), "{len}");
                    for (seen, byte) in seen.iter_mut().zip(&bytes[1..]) {
                        *seen |= byte;
                    }
                }
                // That all 16 are zero where bytes are random does not happen.
                assert!(!seen.contains(&0), "{len}");
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_seed_gives_the_same_bytes_however_they_are_asked_for() {
        let get = |lens: &[u32]| {
            let generator = SeededRandom::new([7; 32]);
            let mut bytes = vec![0; 4096];
            let mut at = 0;
            for len in lens {
                generator.fill(GuestMemory::from_slice(&mut bytes).region(at, *len).unwrap());
                at += len;
            }
            bytes
        };
        assert_eq!(get(&[4096]), get(&[8, 64, 68, 1024, 1028, 1904]));
    }
}
