//! Randomness, which is fit for keys unless the embedder has set a seed; also where the guest does
//! not ask for that.

use super::area::{Block, Lists, Seed};
use super::{Call, Result, Trap};
use crate::host;
use crate::memory::GuestMemory;

/// So many random bytes. The guest is asked for their memory before one of them is made.
pub(super) fn get_random_bytes(_: &Call<'_>, len: u64) -> Result<Lists<8>> {
    let len = u32::try_from(len).map_err(|_| Trap::TooLong)?;
    Lists::bytes(Block::Random(len as usize))
}

pub(super) fn get_random_u64(call: &Call<'_>) -> Result<u64> {
    let mut bytes = [0; 8];
    if let Ok(region) = GuestMemory::from_slice(&mut bytes).region(0, 8) {
        match &call.ctx.random {
            None => host::fill(region),
            Some(random) => random.fill(region),
        }
    }
    Ok(u64::from_le_bytes(bytes))
}

pub(super) fn insecure_seed(call: &Call<'_>) -> Result<Seed> {
    Ok(Seed(get_random_u64(call)?, get_random_u64(call)?))
}
