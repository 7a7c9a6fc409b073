//! Values that every environment of the process finds by their numbers. Each value belongs to the
//! environment that added it, and goes with it at the latest: a Worker may be terminated at any
//! time, and then none of its JavaScript gives anything up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The environment that a value belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(pub(super) usize);

/// Values of one kind.
pub(super) struct Numbered<T>(Mutex<Entries<T>>);

struct Entries<T> {
    by_number: BTreeMap<u32, (Owner, T)>,
    last: u32,
}

impl<T> Numbered<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Entries { by_number: BTreeMap::new(), last: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a value and gives it a number.
    pub(super) fn add(&self, owner: Owner, value: T) -> u32 {
        let mut entries = self.lock();
        // No number comes again soon: who holds a removed one must not meet another value.
        loop {
            entries.last = entries.last.wrapping_add(1);
            if !entries.by_number.contains_key(&entries.last) {
                break;
            }
        }
        let number = entries.last;
        entries.by_number.insert(number, (owner, value));
        number
    }

    /// Does something with the value that has a number. No other value is found meanwhile.
    pub(super) fn with<R>(&self, number: u32, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.lock().by_number.get_mut(&number).map(|(_, value)| act(value))
    }

    /// Removes a value.
    pub(super) fn take(&self, number: u32) -> Option<T> {
        self.lock().by_number.remove(&number).map(|(_, value)| value)
    }

    /// Removes all values of an environment.
    pub(super) fn release(&self, owner: Owner) {
        let released: Vec<_> =
            self.lock().by_number.extract_if(.., |_, (of, _)| *of == owner).collect();
        // Closing descriptors may take its time: it comes after the lock.
        drop(released);
    }
}
