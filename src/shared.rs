//! Instances that other environments of the process can attach to: the threads of one guest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasi_rs_core::ctx::SharedCtx;

#[derive(Default)]
struct Shared {
    instances: HashMap<u32, SharedCtx>,
    last: u32,
}

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds an instance and gives it a number. It stays open until it is removed and every environment
/// has released it.
pub(super) fn add(instance: SharedCtx) -> u32 {
    let mut shared = lock();
    let shared = shared.get_or_insert_default();
    // No number comes again soon: who holds a removed one must not meet another instance.
    loop {
        shared.last = shared.last.wrapping_add(1);
        if !shared.instances.contains_key(&shared.last) {
            break;
        }
    }
    shared.instances.insert(shared.last, instance);
    shared.last
}

/// The instance with a number.
pub(super) fn get(number: u32) -> Option<SharedCtx> {
    lock().as_ref()?.instances.get(&number).cloned()
}

/// Removes an instance.
pub(super) fn remove(number: u32) {
    let removed = lock().as_mut().and_then(|shared| shared.instances.remove(&number));
    // Closing descriptors may take its time: it comes after the lock.
    drop(removed);
}
