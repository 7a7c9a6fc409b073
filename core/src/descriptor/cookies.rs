//! The cookies that a guest gets for the entries of one open directory.
//!
//! Many guests have 31 bits for a cookie, because `telldir` of a 32-bit C library returns a `long`.
//! Cookies of file systems are longer: those of ext4 are hashes of 63 bits. So a guest gets the
//! numbers of positions, from 1 on, and a table maps each number to the host's cookie. A number
//! keeps its position as long as the table exists, whatever is created or removed meanwhile.

use crate::abi::Errno;
use crate::host::{Budget, Lease, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest cookie of a guest.
const LAST: u32 = i32::MAX.unsigned_abs();

/// A table with more numbers than this is dropped when a listing begins anew, so that it does not
/// grow without end in a directory that changes all the time. A smaller one stays: threads may list
/// by one descriptor.
const KEPT: usize = if cfg!(miri) { 1 << 10 } else { 1 << 16 };

/// The first capacity of a table, in numbers.
const ROOM_LEAST: usize = 32;

/// The size of an entry in the map from the host's cookies to numbers, in bytes, with its share of
/// the slots that a hash map leaves free.
const PLACE_SIZE: usize = 40;

/// The cookies of one open directory.
#[derive(Default)]
pub struct Cookies {
    /// The first `same` numbers are the host's own cookies, as on hosts that count entries. They
    /// take no room in the table.
    same: u32,
    /// The host's cookies for the numbers after those.
    others: Vec<u64>,
    /// The numbers of the host's cookies in `others`. It is made when a listing first comes to
    /// other positions than the one before.
    places: Option<HashMap<u64, u32>>,
    lease: Option<Lease>,
}

impl Cookies {
    /// Begins a listing anew: a large table is dropped.
    pub fn restart(&mut self) {
        if self.others.len() > KEPT {
            *self = Self::default();
        }
    }

    /// The number of the last position.
    fn last(&self) -> u32 {
        self.same.saturating_add(u32::try_from(self.others.len()).unwrap_or(LAST))
    }

    /// The host's cookie for a guest's, if one was given that number. 0 is the start for both.
    #[inline]
    #[must_use]
    pub fn host(&self, number: u32) -> Option<u64> {
        if number <= self.same {
            return Some(number.into());
        }
        let index = usize::try_from(number.wrapping_sub(self.same)).ok()?.checked_sub(1)?;
        self.others.get(index).copied()
    }

    /// The number for the host's cookie behind an entry. `before` is the number of the entry's own
    /// position.
    ///
    /// # Errors
    /// - `nomem`: the listings of the instance have taken what they may.
    #[inline]
    pub fn after(&mut self, before: u32, host: u64, budget: &Arc<Budget>) -> Result<u32> {
        let next = before.wrapping_add(1);
        if self.host(next) == Some(host) {
            return Ok(next);
        }
        self.add(before, host, budget)
    }

    /// The number of a position that did not follow `before` until now.
    fn add(&mut self, before: u32, host: u64, budget: &Arc<Budget>) -> Result<u32> {
        let last = self.last();
        if (1..=u64::from(self.same)).contains(&host) {
            return u32::try_from(host).map_err(|_| Errno::Io);
        }
        if before != last || self.places.is_some() {
            // The position may have a number already: entries were created or removed, or the
            // listing began elsewhere.
            self.make_places(budget)?;
            if let Some(number) = self.places.as_ref().and_then(|places| places.get(&host)) {
                return Ok(*number);
            }
        }
        let number = last.checked_add(1).filter(|number| *number <= LAST).ok_or(Errno::Nomem)?;
        if self.others.is_empty() && host == u64::from(number) {
            self.same = number;
            return Ok(number);
        }
        if self.others.len() == self.others.capacity() {
            let room = self.others.capacity().saturating_mul(2).max(ROOM_LEAST);
            self.hold(room, self.places.is_some(), budget)?;
            self.others
                .try_reserve_exact(room.saturating_sub(self.others.len()))
                .map_err(|_| Errno::Nomem)?;
        }
        self.others.push(host);
        if let Some(places) = &mut self.places {
            places.try_reserve(1).map_err(|_| Errno::Nomem)?;
            places.insert(host, number);
        }
        Ok(number)
    }

    fn make_places(&mut self, budget: &Arc<Budget>) -> Result<()> {
        if self.places.is_some() {
            return Ok(());
        }
        self.hold(self.others.capacity(), true, budget)?;
        let mut places = HashMap::new();
        places.try_reserve(self.others.len()).map_err(|_| Errno::Nomem)?;
        let first = self.same.saturating_add(1);
        places.extend(self.others.iter().copied().zip(first..));
        self.places = Some(places);
        Ok(())
    }

    /// Takes from the budget the memory of a table with so much room.
    fn hold(&mut self, room: usize, places: bool, budget: &Arc<Budget>) -> Result<()> {
        let each =
            if places { PLACE_SIZE.saturating_add(size_of::<u64>()) } else { size_of::<u64>() };
        self.lease.get_or_insert_with(|| Lease::new(budget)).resize(room.saturating_mul(each))
    }
}

#[cfg(test)]
#[allow(clippy::many_single_char_names, clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use super::*;

    /// The numbers of a listing from a number on, of a host with these cookies.
    fn list(cookies: &mut Cookies, budget: &Arc<Budget>, from: u32, hosts: &[u64]) -> Vec<u32> {
        let mut number = from;
        hosts
            .iter()
            .map(|host| {
                number = cookies.after(number, *host, budget).unwrap();
                assert_eq!(cookies.host(number), Some(*host));
                number
            })
            .collect()
    }

    #[test]
    fn numbers_stay_while_the_directory_changes() {
        let (mut cookies, budget) = (Cookies::default(), Arc::default());
        let [a, b, c, d, e] = [1 << 62, 5, u64::MAX >> 1, 77, 1 << 40];
        assert_eq!(list(&mut cookies, &budget, 0, &[a, b, c, d]), [1, 2, 3, 4]);
        // The same again, from the start and from the middle.
        cookies.restart();
        assert_eq!(list(&mut cookies, &budget, 0, &[a, b, c, d]), [1, 2, 3, 4]);
        assert_eq!(list(&mut cookies, &budget, 2, &[c, d]), [3, 4]);
        // One was removed, one created.
        assert_eq!(list(&mut cookies, &budget, 0, &[a, c, e, d]), [1, 3, 5, 4]);
        assert_eq!(list(&mut cookies, &budget, 5, &[d]), [4]);
        assert_eq!(
            (1..=6).map(|number| cookies.host(number)).collect::<Vec<_>>(),
            [Some(a), Some(b), Some(c), Some(d), Some(e), None]
        );
    }

    #[test]
    fn what_counts_takes_no_room() {
        let (mut cookies, budget) = (Cookies::default(), Arc::new(Budget::new(0)));
        let counts: Vec<u64> = (1..=100_000).collect();
        assert_eq!(list(&mut cookies, &budget, 0, &counts).last(), Some(&100_000));
        // One that is missing is one that has to be noted.
        assert_eq!(cookies.after(100_000, 100_002, &budget), Err(Errno::Nomem));
        assert_eq!(list(&mut cookies, &budget, 5, &[8, 9]), [8, 9]);
        assert_eq!(
            (cookies.host(0), cookies.host(100_001), cookies.host(u32::MAX)),
            (Some(0), None, None)
        );
    }

    #[test]
    fn a_table_takes_of_the_budget_and_gives_it_back() {
        // Not enough for twice as many.
        let most = 16 * KEPT - 1;
        let budget = Arc::new(Budget::new(most));
        let mut cookies = Cookies::default();
        let hosts: Vec<u64> = (1..=KEPT as u64).map(|at| at << 32).collect();
        list(&mut cookies, &budget, 0, &hosts);
        assert_eq!(budget.left(), most - 8 * KEPT);
        assert_eq!(cookies.after(KEPT as u32, 1, &budget), Err(Errno::Nomem));
        assert_eq!(cookies.host(KEPT as u32 + 1), None, "what is refused leaves nothing");
        cookies.restart();
        assert_eq!(cookies.host(1), Some(1 << 32), "a table of this size stays");
        drop(cookies);
        assert_eq!(budget.left(), most);

        let (mut cookies, large) = (Cookies::default(), Arc::default());
        list(&mut cookies, &large, 0, &[&hosts[..], &[7]].concat());
        cookies.restart();
        assert_eq!((cookies.host(1), large.left()), (None, Budget::default().left()));
    }

    #[test]
    fn a_directory_that_changes_all_the_time_takes_no_more_and_more() {
        let (mut cookies, budget) = (Cookies::default(), Arc::new(Budget::new(16 << 20)));
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        for round in 1..rounds {
            cookies.restart();
            let hosts: Vec<u64> = (0..100).map(|at| (round * 1000 + at) << 20).collect();
            list(&mut cookies, &budget, 0, &hosts);
        }
    }
}
