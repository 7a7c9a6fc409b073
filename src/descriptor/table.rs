//! The table of descriptors.

use super::Descriptor;
use crate::abi::{Errno, Fd};
use crate::host::Result;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most descriptors a guest can have, whatever the host would give.
const DESCRIPTOR_LIMIT: usize = 1 << 20;

/// A guest's descriptors by number. Threads of one guest share it.
///
/// The lock is held to look a descriptor up, never while something is done with it: a call that
/// waits on one descriptor keeps no other call waiting, and a descriptor that is closed meanwhile stays open until the call is done.
#[derive(Default)]
pub struct Table {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    descriptors: Vec<Option<Arc<Descriptor>>>,
    /// The numbers below the end of the list that are free.
    free: BinaryHeap<Reverse<Fd>>,
    closed: bool,
}

impl Slots {
    fn slot(&mut self, fd: Fd) -> Result<&mut Option<Arc<Descriptor>>> {
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        self.descriptors.get_mut(index).filter(|slot| slot.is_some()).ok_or(Errno::Badf)
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The descriptor with a number.
    ///
    /// # Errors
    /// - `badf`: none has it.
    #[inline]
    pub fn get(&self, fd: Fd) -> Result<Arc<Descriptor>> {
        let slots = self.lock();
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        slots.descriptors.get(index).and_then(Option::as_ref).map(Arc::clone).ok_or(Errno::Badf)
    }

    /// Gives a descriptor the lowest free number.
    ///
    /// # Errors
    /// - `mfile`: the guest has as many as it can have.
    /// - `badf`: the table is closed.
    pub fn insert(&self, descriptor: Descriptor) -> Result<Fd> {
        let mut slots = self.lock();
        if slots.closed {
            return Err(Errno::Badf);
        }
        let descriptor = Some(Arc::new(descriptor));
        if let Some(Reverse(fd)) = slots.free.pop() {
            let index = usize::try_from(fd).map_err(|_| Errno::Mfile)?;
            if let Some(slot) = slots.descriptors.get_mut(index) {
                *slot = descriptor;
                return Ok(fd);
            }
        }
        if slots.descriptors.len() >= DESCRIPTOR_LIMIT {
            return Err(Errno::Mfile);
        }
        let fd = Fd::try_from(slots.descriptors.len()).map_err(|_| Errno::Mfile)?;
        slots.descriptors.push(descriptor);
        Ok(fd)
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// - `badf`: there is none.
    pub fn remove(&self, fd: Fd) -> Result<()> {
        let mut slots = self.lock();
        let removed = slots.slot(fd)?.take();
        slots.free.push(Reverse(fd));
        // The host's close may take its time.
        drop(slots);
        drop(removed);
        Ok(())
    }

    /// Moves the descriptor `from` to the number `to`, whose own is closed.
    ///
    /// # Errors
    /// - `badf`: one of the two is not open.
    pub fn renumber(&self, from: Fd, to: Fd) -> Result<()> {
        let mut slots = self.lock();
        slots.slot(to)?;
        slots.slot(from)?;
        if from == to {
            return Ok(());
        }
        let moved = slots.slot(from)?.take();
        slots.free.push(Reverse(from));
        let replaced = std::mem::replace(slots.slot(to)?, moved);
        drop(slots);
        drop(replaced);
        Ok(())
    }

    /// Closes all descriptors, for good.
    pub fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        slots.free.clear();
        let descriptors = std::mem::take(&mut slots.descriptors);
        drop(slots);
        drop(descriptors);
    }
}
