//! Whether the threads of a guest have to take turns.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set for good as soon as any guest of the process shares its descriptors between threads.
static SHARED: AtomicBool = AtomicBool::new(false);

/// Says that from now on several threads may use one descriptor. Called before the second of them can.
pub fn share_descriptors() {
    SHARED.store(true, Relaxed);
}

/// Whether several threads may use one descriptor. Nearly no process has such guests, and in all others a call knows that it is alone
/// with its descriptor.
pub(super) fn are_descriptors_shared() -> bool {
    SHARED.load(Relaxed)
}
