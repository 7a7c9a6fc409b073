//! How much memory the listings of one instance may take, whatever the number of its open
//! directories.

use super::Result;
use crate::abi::Errno;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The memory for all listings of an instance, in bytes: the cookies of four million entries, or
/// about 900,000 sorted entries with names of twelve bytes.
const LIMIT: usize = 32 << 20;

/// The memory that is left for listings. All open directories of an instance, in all of its
/// threads, draw on it.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(LIMIT)
    }
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Relaxed)
    }

    fn reserve(&self, bytes: usize) -> Result<()> {
        self.left
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes))
            .map(drop)
            .map_err(|_| Errno::Nomem)
    }

    fn release(&self, bytes: usize) {
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_add(bytes)));
    }
}

/// The share of a budget that one holder has taken. Dropping the lease gives it back.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    taken: usize,
}

impl Lease {
    /// A lease of nothing.
    #[must_use]
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), taken: 0 }
    }

    /// Holds so many bytes from now on: all of them, or as many as before.
    ///
    /// # Errors
    /// - `nomem`: the budget has no more.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.taken {
            self.budget.reserve(bytes.saturating_sub(self.taken))?;
        } else {
            self.budget.release(self.taken.saturating_sub(bytes));
        }
        self.taken = bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.release(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_takes_all_or_nothing_and_gives_it_back() {
        let budget = Arc::new(Budget::new(10));
        let (mut one, mut two) = (Lease::new(&budget), Lease::new(&budget));
        assert_eq!((one.resize(6), two.resize(5), budget.left()), (Ok(()), Err(Errno::Nomem), 4));
        assert_eq!((two.resize(4), one.resize(7), budget.left()), (Ok(()), Err(Errno::Nomem), 0));
        assert_eq!((one.resize(2), two.resize(8), budget.left()), (Ok(()), Ok(()), 0));
        drop(one);
        assert_eq!(budget.left(), 2);
        drop(two);
        assert_eq!(budget.left(), 10);
    }
}
