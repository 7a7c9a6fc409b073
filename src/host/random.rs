//! Random bytes.

use crate::memory::Region;
use rand::Rng;

/// The bytes that are made at once on the stack.
const CHUNK: usize = 1024;

/// Fills a range with bytes from a ChaCha generator of the calling thread, seeded by the operating system and
/// reseeded from it as it runs.
pub fn fill(region: Region<'_>) {
    let mut generator = rand::rng();
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
