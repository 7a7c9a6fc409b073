//! Instances that other environments of the process can attach to: the threads of one guest.

use super::numbered::{Numbered, Owner};
use wasi_rs_core::ctx::SharedCtx;

static SHARED: Numbered<SharedCtx> = Numbered::new();

/// Adds an instance and gives it a number. It stays open until it is removed and every environment
/// has released it.
pub(super) fn add(owner: Owner, instance: SharedCtx) -> u32 {
    SHARED.add(owner, instance)
}

/// The instance with a number.
pub(super) fn get(number: u32) -> Option<SharedCtx> {
    SHARED.with(number, |instance| instance.clone())
}

/// Removes an instance.
pub(super) fn remove(number: u32) {
    drop(SHARED.take(number));
}

/// Removes the instances of an environment.
pub(super) fn release(owner: Owner) {
    SHARED.release(owner);
}
