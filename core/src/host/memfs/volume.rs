//! The state that all files of a tree share: its device number, its clock, and the room that is
//! left.

use super::Clock;
use crate::abi::{Errno, Filesize, Filestat, Filetype, Timestamp};
use crate::host::{Result, SetTime, SetTimes};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The state that a tree's files share.
pub(super) struct Volume {
    pub(super) device: u64,
    pub(super) max_bytes: u64,
    used: AtomicU64,
    clock: Clock,
}

impl Volume {
    pub(super) fn new(max_bytes: u64, device: u64, clock: Clock) -> Self {
        Self { device, max_bytes, used: AtomicU64::new(0), clock }
    }

    /// The time in nanoseconds since 1970.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Takes all of `bytes`, or nothing and `nospc`.
    pub(super) fn reserve(&self, bytes: u64) -> Result<()> {
        let reserve = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.max_bytes);
        self.used.fetch_update(Relaxed, Relaxed, reserve).map(drop).map_err(|_| Errno::Nospc)
    }

    /// Takes all of `bytes`, whatever there is.
    pub(super) fn take(&self, bytes: u64) {
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_add(bytes)));
    }

    /// Takes as much of `bytes` as there is and returns it.
    pub(super) fn reserve_up_to(&self, bytes: u64) -> u64 {
        let mut taken = 0;
        // The closure always gives a value.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| {
            taken = bytes.min(self.max_bytes.saturating_sub(used));
            Some(used.saturating_add(taken))
        });
        taken
    }

    /// Gives back what was taken.
    pub(super) fn release(&self, bytes: u64) {
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(bytes)));
    }
}

/// The attributes that every kind of file has.
pub(super) struct Meta {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) links: u64,
    /// Set by readers, who share the lock.
    atim: AtomicU64,
    mtim: Timestamp,
    ctim: Timestamp,
}

impl Meta {
    pub(super) fn new(volume: &Volume, ino: u64, links: u64, now: Timestamp) -> Self {
        let dev = volume.device;
        Self { dev, ino, links, atim: AtomicU64::new(now), mtim: now, ctim: now }
    }

    /// The attributes of a file that lies below an overlay.
    pub(super) fn of(stat: &Filestat) -> Self {
        Self {
            dev: stat.dev,
            ino: stat.ino,
            links: stat.nlink,
            atim: AtomicU64::new(stat.atim),
            mtim: stat.mtim,
            ctim: stat.ctim,
        }
    }

    /// The data were read. Like file systems mounted with `relatime`, this notes the first access
    /// after a change: it says whether a file was read since it was written, and costs the later
    /// reads nothing.
    pub(super) fn accessed(&self, volume: &Volume) {
        let atim = self.atim.load(Relaxed);
        if atim <= self.mtim || atim <= self.ctim {
            self.atim.store(volume.now(), Relaxed);
        }
    }

    /// A directory has one directory less. One that exists has two links at least: itself and its
    /// name. File systems differ in that, which may lie below an overlay.
    pub(super) fn lose_directory(&mut self) {
        self.links = self.links.saturating_sub(1).max(2);
    }

    /// The data were changed.
    pub(super) fn modified(&mut self, now: Timestamp) {
        self.mtim = now;
        self.ctim = now;
    }

    /// The attributes were changed.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.ctim = now;
    }

    pub(super) fn set_times(&mut self, times: SetTimes, now: Timestamp) {
        let time = |time| match time {
            SetTime::Keep => None,
            SetTime::Now => Some(now),
            SetTime::At(time) => Some(time),
        };
        let (atim, mtim) = (time(times.atim), time(times.mtim));
        if let Some(atim) = atim {
            self.atim.store(atim, Relaxed);
        }
        if let Some(mtim) = mtim {
            self.mtim = mtim;
        }
        if atim.is_some() || mtim.is_some() {
            self.changed(now);
        }
    }

    pub(super) fn filestat(&self, filetype: Filetype, size: Filesize) -> Filestat {
        Filestat {
            dev: self.dev,
            ino: self.ino,
            filetype,
            nlink: self.links,
            size,
            atim: self.atim.load(Relaxed),
            mtim: self.mtim,
            ctim: self.ctim,
        }
    }
}
