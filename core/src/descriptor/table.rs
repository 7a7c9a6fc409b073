//! The table of descriptors.

use super::Descriptor;
use crate::abi::{Errno, Fd};
use crate::host::{Result, share_descriptors};
use std::cell::{Ref, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The most descriptors a guest can have, whatever the host would give.
const DESCRIPTOR_LIMIT: usize = 1 << 20;

/// Descriptors by number.
#[derive(Default)]
struct Slots {
    descriptors: Vec<Option<Arc<Descriptor>>>,
    /// The numbers below the end of the list that are free.
    free: BinaryHeap<Reverse<Fd>>,
    closed: bool,
    /// The most descriptors that may be open, if that is fewer than [`DESCRIPTOR_LIMIT`].
    limit: Option<usize>,
}

impl Slots {
    fn get(&self, fd: Fd) -> Result<&Arc<Descriptor>> {
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        self.descriptors.get(index).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    fn slot(&mut self, fd: Fd) -> Result<&mut Option<Arc<Descriptor>>> {
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        self.descriptors.get_mut(index).filter(|slot| slot.is_some()).ok_or(Errno::Badf)
    }

    /// Checks that there is a number for one more descriptor.
    fn check_room(&self) -> Result<()> {
        if self.closed {
            return Err(Errno::Badf);
        }
        // A reserved number counts: it is neither free nor behind the end of the list.
        let taken = self.descriptors.len().saturating_sub(self.free.len());
        if taken >= self.limit.unwrap_or(DESCRIPTOR_LIMIT).min(DESCRIPTOR_LIMIT) {
            Err(Errno::Mfile)
        } else {
            Ok(())
        }
    }

    /// Reserves the lowest free number. It is not open before [`Self::fill`], and nobody else gets
    /// it.
    fn reserve(&mut self) -> Result<Fd> {
        self.check_room()?;
        if let Some(Reverse(fd)) = self.free.pop() {
            return Ok(fd);
        }
        let fd = Fd::try_from(self.descriptors.len()).map_err(|_| Errno::Mfile)?;
        self.descriptors.push(None);
        Ok(fd)
    }

    /// Gives a reserved number to a descriptor.
    fn fill(&mut self, fd: Fd, descriptor: Descriptor) -> Result<Fd> {
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        // A table that was closed meanwhile has no slot for it.
        let slot = self.descriptors.get_mut(index).ok_or(Errno::Badf)?;
        *slot = Some(Arc::new(descriptor));
        Ok(fd)
    }

    /// Makes a reserved number a free one again.
    fn release(&mut self, fd: Fd) {
        if !self.closed {
            self.free.push(Reverse(fd));
        }
    }

    fn insert(&mut self, descriptor: Descriptor) -> Result<Fd> {
        let fd = self.reserve()?;
        self.fill(fd, descriptor)
    }

    fn remove(&mut self, fd: Fd) -> Result<Option<Arc<Descriptor>>> {
        let removed = self.slot(fd)?.take();
        self.free.push(Reverse(fd));
        Ok(removed)
    }

    fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Arc<Descriptor>>> {
        self.slot(to)?;
        self.slot(from)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(std::mem::replace(self.slot(to)?, moved))
    }

    fn close(&mut self) -> Vec<Option<Arc<Descriptor>>> {
        self.closed = true;
        self.free.clear();
        std::mem::take(&mut self.descriptors)
    }
}

/// A table that the threads of one guest share.
///
/// The lock is held to look a descriptor up, never while something is done with it: a call that
/// waits on one descriptor keeps no other call waiting, and a descriptor that is closed meanwhile
/// stays open until the call is done.
#[derive(Clone, Default)]
pub struct SharedTable(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How often the slots have been changed. It goes up under the lock, before the change.
    changes: AtomicU64,
    slots: Mutex<Slots>,
}

impl SharedTable {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        let mut slots = self.lock();
        self.0.changes.fetch_add(1, Release);
        change(&mut slots)
    }
}

/// A shared table as one thread sees it.
///
/// A lock that two threads take for each call moves between their processors each time. So a thread
/// remembers what it has looked up until somebody changes the table. It remembers weakly: what
/// another thread closes is closed at once, also if this thread makes no call any more.
struct View {
    table: SharedTable,
    known: RefCell<Known>,
}

/// The descriptors that a thread has looked up since the last change that it knows of.
#[derive(Default)]
struct Known {
    changes: u64,
    descriptors: Vec<Weak<Descriptor>>,
}

impl View {
    fn new(table: SharedTable) -> Self {
        Self { table, known: RefCell::default() }
    }

    // Out of line, so that the calls of guests with one thread stay short.
    #[cold]
    #[inline(never)]
    fn get(&self, fd: Fd) -> Result<Arc<Descriptor>> {
        let index = usize::try_from(fd).map_err(|_| Errno::Badf)?;
        let changes = &self.table.0.changes;
        let known = &mut *self.known.borrow_mut();
        // A change that is still under way counts as a later one, because the call overlaps it. A
        // finished change is seen: the guest's threads learn of it through atomics, which order this
        // load behind it.
        if known.changes == changes.load(Acquire)
            && let Some(found) = known.descriptors.get(index).and_then(Weak::upgrade)
        {
            return Ok(found);
        }
        let slots = self.table.lock();
        let present = changes.load(Relaxed);
        if known.changes != present {
            known.descriptors.clear();
            known.changes = present;
        }
        let found = Arc::clone(slots.get(fd)?);
        // The list gets no longer than the table, which has a descriptor at `index`.
        if known.descriptors.len() <= index {
            known.descriptors.resize_with(index.saturating_add(1), Weak::new);
        }
        if let Some(place) = known.descriptors.get_mut(index) {
            *place = Arc::downgrade(&found);
        }
        Ok(found)
    }
}

/// A guest's descriptors by number, as one thread sees them: its own, until it shares them.
///
/// The guest of one thread, which is nearly every guest, pays for no lock and no count of
/// references.
pub struct Table(RefCell<State>);

enum State {
    Own(Slots),
    Shared(View),
}

/// A number that is reserved for a descriptor before the descriptor is opened, so that a call fails
/// early if the guest can have no more. Dropping the reservation frees the number.
#[must_use]
pub struct Reservation<'a> {
    table: &'a Table,
    /// The number, in a shared table. A thread's own table does not change during a call, so there
    /// the reservation is only a check.
    fd: Option<Fd>,
}

impl Reservation<'_> {
    /// Gives a descriptor the number.
    ///
    /// # Errors
    /// - `badf`: the table was closed meanwhile.
    pub fn fill(mut self, descriptor: Descriptor) -> Result<Fd> {
        match self.fd.take() {
            Some(fd) => self.table.change(|slots| slots.fill(fd, descriptor)),
            None => self.table.insert(descriptor),
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            self.table.change(|slots| slots.release(fd));
        }
    }
}

/// A descriptor that was looked up.
pub enum DescriptorRef<'a> {
    /// In the thread's own table, which does not change meanwhile.
    Own(Ref<'a, Descriptor>),
    /// In a shared table.
    Shared(Arc<Descriptor>),
}

impl Deref for DescriptorRef<'_> {
    type Target = Descriptor;

    #[inline]
    fn deref(&self) -> &Descriptor {
        match self {
            Self::Own(descriptor) => descriptor,
            Self::Shared(descriptor) => descriptor,
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self(RefCell::new(State::Own(Slots::default())))
    }
}

impl From<SharedTable> for Table {
    fn from(table: SharedTable) -> Self {
        share_descriptors();
        Self(RefCell::new(State::Shared(View::new(table))))
    }
}

impl Table {
    /// Makes the table one that other threads can use too.
    pub fn share(&self) -> SharedTable {
        share_descriptors();
        let mut state = self.0.borrow_mut();
        match &mut *state {
            State::Shared(view) => view.table.clone(),
            State::Own(slots) => {
                let slots = Mutex::new(std::mem::take(slots));
                let table = SharedTable(Arc::new(Shared { slots, ..Shared::default() }));
                *state = State::Shared(View::new(table.clone()));
                table
            }
        }
    }

    /// The descriptor with a number. The table must not be changed while it is in use.
    ///
    /// # Errors
    /// - `badf`: none has it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: 13 ns a call")]
    pub fn get(&self, fd: Fd) -> Result<DescriptorRef<'_>> {
        let state = self.0.borrow();
        if let State::Shared(view) = &*state {
            return view.get(fd).map(DescriptorRef::Shared);
        }
        Ref::filter_map(state, |state| match state {
            State::Own(slots) => slots.get(fd).ok().map(|descriptor| &**descriptor),
            State::Shared(_) => None,
        })
        .map(DescriptorRef::Own)
        .map_err(|_| Errno::Badf)
    }

    /// The descriptor with a number, to keep while the table changes.
    ///
    /// # Errors
    /// - `badf`: none has it.
    pub fn get_arc(&self, fd: Fd) -> Result<Arc<Descriptor>> {
        match &*self.0.borrow() {
            State::Own(slots) => slots.get(fd).map(Arc::clone),
            State::Shared(view) => view.get(fd),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Slots) -> T) -> T {
        match &mut *self.0.borrow_mut() {
            State::Own(slots) => change(slots),
            State::Shared(view) => view.table.change(change),
        }
    }

    /// Reserves the lowest free number. The number is not open until it is filled.
    ///
    /// Descriptors that were looked up may stay in use; they have to be let go before the number is
    /// filled.
    ///
    /// # Errors
    /// - `mfile`: the guest has as many as it can have.
    /// - `badf`: the table is closed.
    #[inline]
    pub fn reserve(&self) -> Result<Reservation<'_>> {
        let fd = match &*self.0.borrow() {
            State::Own(slots) => slots.check_room().map(|()| None),
            // A reserved number is not open yet, so no thread has to look anything up again.
            State::Shared(view) => view.table.lock().reserve().map(Some),
        };
        fd.map(|fd| Reservation { table: self, fd })
    }

    /// Gives a descriptor the lowest free number.
    ///
    /// # Errors
    /// - `mfile`: the guest has as many as it can have.
    /// - `badf`: the table is closed.
    pub fn insert(&self, descriptor: Descriptor) -> Result<Fd> {
        self.change(|slots| slots.insert(descriptor))
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// - `badf`: there is none.
    pub fn remove(&self, fd: Fd) -> Result<()> {
        // The host's close may take its time: it comes after the lock.
        self.change(|slots| slots.remove(fd)).map(drop)
    }

    /// Moves the descriptor `from` to the number `to`, whose own is closed.
    ///
    /// # Errors
    /// - `badf`: one of the two is not open.
    pub fn renumber(&self, from: Fd, to: Fd) -> Result<()> {
        self.change(|slots| slots.renumber(from, to)).map(drop)
    }

    /// Limits how many descriptors may be open. Those that are stay open.
    pub fn limit(&self, limit: usize) {
        self.change(|slots| slots.limit = Some(limit));
    }

    /// Closes all descriptors, for good.
    pub fn close(&self) {
        drop(self.change(Slots::close));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Fdflags;
    use crate::host::Opened;
    use crate::host::stream::Stream;

    /// Any descriptor. The flags tell one from another.
    fn descriptor(flags: Fdflags) -> Descriptor {
        Descriptor::given(Opened::File(Box::new(Stream::Null)), flags)
    }

    fn flags_of(table: &Table, fd: Fd) -> Result<Fdflags> {
        table.get(fd).map(|descriptor| descriptor.flags())
    }

    #[test]
    fn what_one_thread_changes_another_sees_at_its_next_look() {
        let one = Table::default();
        for flags in [Fdflags::APPEND, Fdflags::NONBLOCK, Fdflags::SYNC] {
            one.insert(descriptor(flags)).unwrap();
        }
        let other = Table::from(one.share());
        let see = |fds: [Fd; 3]| fds.map(|fd| flags_of(&other, fd));
        let [append, nonblock, sync] = [Fdflags::APPEND, Fdflags::NONBLOCK, Fdflags::SYNC];
        assert_eq!(see([0, 1, 2]), [Ok(append), Ok(nonblock), Ok(sync)]);
        one.renumber(1, 0).unwrap();
        assert_eq!(see([0, 1, 2]), [Ok(nonblock), Err(Errno::Badf), Ok(sync)]);
        // A descriptor that is still in use elsewhere has lost its number all the same.
        let used = other.get_arc(2).unwrap();
        one.remove(2).unwrap();
        assert_eq!(see([0, 1, 2]), [Ok(nonblock), Err(Errno::Badf), Err(Errno::Badf)]);
        assert_eq!(one.insert(descriptor(append)), Ok(1));
        assert_eq!(one.insert(descriptor(append)), Ok(2));
        assert_eq!(see([0, 1, 2]), [Ok(nonblock), Ok(append), Ok(append)]);
        drop(used);
        other.close();
        assert_eq!([0, 1, 2].map(|fd| flags_of(&one, fd)), [Err(Errno::Badf); 3]);
        assert_eq!(see([0, 1, 2]), [Err(Errno::Badf); 3]);
    }

    #[test]
    fn what_one_thread_closes_is_closed_though_another_has_looked_it_up() {
        let one = Table::default();
        one.insert(descriptor(Fdflags::empty())).unwrap();
        let other = Table::from(one.share());
        let seen = Arc::downgrade(&other.get_arc(0).unwrap());
        assert!(seen.upgrade().is_some());
        one.remove(0).unwrap();
        assert!(seen.upgrade().is_none());
    }

    fn both() -> [Table; 2] {
        let shared = Table::default();
        shared.share();
        [Table::default(), shared]
    }

    #[test]
    fn numbers_are_the_lowest_that_are_free() {
        for table in both() {
            for fd in 0..20 {
                assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(fd));
            }
            for fd in [13, 2, 17, 5] {
                assert_eq!(table.remove(fd), Ok(()));
                assert_eq!(table.remove(fd), Err(Errno::Badf));
            }
            assert_eq!(table.renumber(3, 4), Ok(()));
            for fd in [2, 3, 5, 13, 17, 20] {
                assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(fd));
            }
        }
    }

    #[test]
    fn a_renumbered_descriptor_is_the_same_one() {
        for table in both() {
            table.insert(descriptor(Fdflags::APPEND)).unwrap();
            table.insert(descriptor(Fdflags::SYNC)).unwrap();
            let kept = table.get_arc(1).unwrap();
            assert_eq!(table.renumber(0, 0), Ok(()));
            assert_eq!(table.renumber(0, 2), Err(Errno::Badf));
            assert_eq!(table.renumber(2, 0), Err(Errno::Badf));
            assert_eq!(
                (flags_of(&table, 0), flags_of(&table, 1)),
                (Ok(Fdflags::APPEND), Ok(Fdflags::SYNC))
            );
            assert_eq!(table.renumber(0, 1), Ok(()));
            assert_eq!(
                (flags_of(&table, 0), flags_of(&table, 1)),
                (Err(Errno::Badf), Ok(Fdflags::APPEND))
            );
            assert_eq!(
                kept.flags(),
                Fdflags::SYNC,
                "who holds the one that was replaced still has it"
            );
            assert_eq!(Arc::strong_count(&kept), 1);
        }
    }

    #[test]
    fn a_closed_table_holds_nothing_and_takes_nothing() {
        for table in both() {
            table.insert(descriptor(Fdflags::empty())).unwrap();
            table.insert(descriptor(Fdflags::empty())).unwrap();
            table.remove(0).unwrap();
            let kept = table.get_arc(1).unwrap();
            table.close();
            assert_eq!(Arc::strong_count(&kept), 1);
            assert_eq!(flags_of(&table, 1), Err(Errno::Badf));
            assert_eq!(table.insert(descriptor(Fdflags::empty())), Err(Errno::Badf));
            assert_eq!(table.remove(1), Err(Errno::Badf));
            table.close();
        }
    }

    #[test]
    fn a_shared_table_is_one_table() {
        let table = Table::default();
        table.insert(descriptor(Fdflags::APPEND)).unwrap();
        let other = Table::from(table.share());
        assert_eq!(flags_of(&other, 0), Ok(Fdflags::APPEND));
        assert_eq!(other.insert(descriptor(Fdflags::SYNC)), Ok(1));
        assert_eq!(flags_of(&table, 1), Ok(Fdflags::SYNC));
        table.remove(0).unwrap();
        assert_eq!(flags_of(&other, 0), Err(Errno::Badf));
        other.close();
        assert_eq!(flags_of(&table, 1), Err(Errno::Badf));
    }

    #[test]
    fn a_limit_counts_what_is_open() {
        for table in both() {
            for _ in 0..3 {
                table.insert(descriptor(Fdflags::empty())).unwrap();
            }
            table.limit(2);
            assert_eq!(
                table.insert(descriptor(Fdflags::empty())),
                Err(Errno::Mfile),
                "those that are open stay open"
            );
            table.remove(0).unwrap();
            assert_eq!(table.insert(descriptor(Fdflags::empty())), Err(Errno::Mfile));
            table.remove(1).unwrap();
            assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(0));
            assert_eq!(table.insert(descriptor(Fdflags::empty())), Err(Errno::Mfile));
        }
    }

    #[test]
    fn a_reserved_number_is_nobody_elses() {
        let table = Table::default();
        table.share();
        table.insert(descriptor(Fdflags::empty())).unwrap();
        table.insert(descriptor(Fdflags::empty())).unwrap();
        table.remove(0).unwrap();
        let (lowest, next) = (table.reserve().unwrap(), table.reserve().unwrap());
        assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(3));
        for fd in [0, 2] {
            assert_eq!(flags_of(&table, fd), Err(Errno::Badf));
            assert_eq!(table.remove(fd), Err(Errno::Badf));
            assert_eq!(table.renumber(1, fd), Err(Errno::Badf));
            assert_eq!(table.renumber(fd, 1), Err(Errno::Badf));
        }
        assert_eq!(next.fill(descriptor(Fdflags::SYNC)), Ok(2));
        assert_eq!(flags_of(&table, 2), Ok(Fdflags::SYNC));
        drop(lowest);
        assert_eq!(
            table.insert(descriptor(Fdflags::empty())),
            Ok(0),
            "what was not used is free again"
        );
        assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(4), "and only once");
    }

    #[test]
    fn reserved_numbers_count_and_are_given_back() {
        for table in both() {
            table.limit(2);
            table.insert(descriptor(Fdflags::empty())).unwrap();
            for _ in 0..10 {
                drop(table.reserve().unwrap());
            }
            assert_eq!(table.reserve().unwrap().fill(descriptor(Fdflags::APPEND)), Ok(1));
            assert_eq!(table.reserve().map(drop), Err(Errno::Mfile));
            table.remove(0).unwrap();
            assert_eq!(table.reserve().unwrap().fill(descriptor(Fdflags::SYNC)), Ok(0));
            assert_eq!(
                (flags_of(&table, 0), flags_of(&table, 1)),
                (Ok(Fdflags::SYNC), Ok(Fdflags::APPEND))
            );
        }
        let table = Table::default();
        table.share();
        table.limit(1);
        let reserved = table.reserve().unwrap();
        assert_eq!(
            table.insert(descriptor(Fdflags::empty())),
            Err(Errno::Mfile),
            "another thread finds no room"
        );
        drop(reserved);
        assert_eq!(table.insert(descriptor(Fdflags::empty())), Ok(0));
    }

    #[test]
    fn a_table_that_is_closed_takes_back_nothing() {
        for table in both() {
            let (filled, dropped) = (table.reserve().unwrap(), table.reserve().unwrap());
            table.close();
            assert_eq!(filled.fill(descriptor(Fdflags::empty())), Err(Errno::Badf));
            drop(dropped);
            assert_eq!(table.reserve().map(drop), Err(Errno::Badf));
            assert_eq!(flags_of(&table, 0), Err(Errno::Badf));
        }
    }

    #[test]
    fn any_number_can_be_asked_for() {
        for table in both() {
            for fd in [0, 1, u32::MAX / 2, u32::MAX] {
                assert_eq!(flags_of(&table, fd), Err(Errno::Badf));
                assert_eq!(table.remove(fd), Err(Errno::Badf));
                assert_eq!(table.renumber(fd, fd), Err(Errno::Badf));
            }
        }
    }
}
