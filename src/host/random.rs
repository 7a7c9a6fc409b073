//! Random bytes.

use crate::memory::Region;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The bytes that are made at once on the stack.
const CHUNK: usize = 1024;

/// Fills a range with bytes from a `ChaCha` generator of the calling thread, seeded by the operating system and
/// reseeded from it as it runs.
pub fn fill(region: Region<'_>) {
    fill_from(&mut rand::rng(), region);
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
    let mut chunk = [0; CHUNK];
    let mut at = 0_usize;
    while at < region.len() {
        let count = region.len().saturating_sub(at).min(CHUNK);
        let Some(bytes) = chunk.get_mut(..count) else { return };
        generator.fill_bytes(bytes);
        region.write_at(at, bytes);
        at = at.saturating_add(count);
    }
}
