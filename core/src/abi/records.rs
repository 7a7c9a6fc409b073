//! Records, as bytes at literal offsets.

use super::{
    Clockid, Errno, Eventrwflags, Eventtype, Fd, Fdflags, Filesize, Filetype, Rights,
    Subclockflags, Timestamp,
};
use crate::memory::Record;

/// Writes a field's bytes at its offset.
fn put<const N: usize>(bytes: &mut [u8], offset: usize, field: [u8; N]) {
    if let Some(place) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *place = field;
    }
}

/// Reads a field's bytes from its offset.
fn take<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(<[u8]>::first_chunk::<N>).copied().unwrap_or([0; N])
}

macro_rules! record {
    ($name:ident, $size:literal) => {
        const SIZE: u32 = $size;
        type Bytes = [u8; $size];
        const ZERO: Self::Bytes = [0; $size];
    };
}

/// The state of a descriptor.
///
/// ```text
///  0 fs_filetype u8 |  2 fs_flags u16 | 8 fs_rights_base u64 | 16 fs_rights_inheriting u64 | 24
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fdstat>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fdstat {
    /// The type of the file.
    pub filetype: Filetype,
    /// The descriptor's flags.
    pub flags: Fdflags,
    /// Its rights.
    pub rights_base: Rights,
    /// The rights of descriptors opened through it.
    pub rights_inheriting: Rights,
}

impl Record for Fdstat {
    record!(Fdstat, 24);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        Self {
            filetype: Filetype::from_value(u8::from_le_bytes(take(bytes, 0)).into())
                .unwrap_or(Filetype::Unknown),
            flags: Fdflags::from_bits_truncate(u16::from_le_bytes(take(bytes, 2))),
            rights_base: Rights::from_bits_truncate(u64::from_le_bytes(take(bytes, 8))),
            rights_inheriting: Rights::from_bits_truncate(u64::from_le_bytes(take(bytes, 16))),
        }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, [self.filetype as u8]);
        put(&mut bytes, 2, self.flags.bits().to_le_bytes());
        put(&mut bytes, 8, self.rights_base.bits().to_le_bytes());
        put(&mut bytes, 16, self.rights_inheriting.bits().to_le_bytes());
        bytes
    }
}

/// The attributes of a file. Times are in nanoseconds since 1970-01-01T00:00:00Z.
///
/// ```text
///  0 dev u64 | 8 ino u64 | 16 filetype u8 | 24 nlink u64 | 32 size u64 | 40 atim u64 | 48 mtim u64 | 56 ctim u64 | 64
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#filestat>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filestat {
    /// The device.
    pub dev: u64,
    /// The serial number of the file within the device.
    pub ino: u64,
    /// The type of the file.
    pub filetype: Filetype,
    /// How many hard links there are.
    pub nlink: u64,
    /// The size in bytes; of a symbolic link, that of its text.
    pub size: Filesize,
    /// The last access.
    pub atim: Timestamp,
    /// The last modification of the data.
    pub mtim: Timestamp,
    /// The last change of the attributes.
    pub ctim: Timestamp,
}

impl Record for Filestat {
    record!(Filestat, 64);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        let number = |offset| u64::from_le_bytes(take(bytes, offset));
        Self {
            dev: number(0),
            ino: number(8),
            filetype: Filetype::from_value(u8::from_le_bytes(take(bytes, 16)).into())
                .unwrap_or(Filetype::Unknown),
            nlink: number(24),
            size: number(32),
            atim: number(40),
            mtim: number(48),
            ctim: number(56),
        }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, self.dev.to_le_bytes());
        put(&mut bytes, 8, self.ino.to_le_bytes());
        put(&mut bytes, 16, [self.filetype as u8]);
        put(&mut bytes, 24, self.nlink.to_le_bytes());
        put(&mut bytes, 32, self.size.to_le_bytes());
        put(&mut bytes, 40, self.atim.to_le_bytes());
        put(&mut bytes, 48, self.mtim.to_le_bytes());
        put(&mut bytes, 56, self.ctim.to_le_bytes());
        bytes
    }
}

/// A preopen: always a directory.
///
/// ```text
///  0 tag u8 = 0 | 4 pr_name_len u32 | 8
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#prestat>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prestat {
    /// The length of the guest's name for it, in bytes, without a terminator.
    pub name_len: u32,
}

impl Record for Prestat {
    record!(Prestat, 8);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        Self { name_len: u32::from_le_bytes(take(bytes, 4)) }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 4, self.name_len.to_le_bytes());
        bytes
    }
}

/// The head of a directory entry; its name follows.
///
/// ```text
///  0 d_next u64 | 8 d_ino u64 | 16 d_namlen u32 | 20 d_type u8 | 24 name ...
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#dirent>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirent {
    /// The cookie of the entry after this one.
    pub next: u64,
    /// The serial number of the file.
    pub ino: u64,
    /// The length of the name in bytes.
    pub namlen: u32,
    /// The type of the file.
    pub filetype: Filetype,
}

impl Record for Dirent {
    record!(Dirent, 24);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        Self {
            next: u64::from_le_bytes(take(bytes, 0)),
            ino: u64::from_le_bytes(take(bytes, 8)),
            namlen: u32::from_le_bytes(take(bytes, 16)),
            filetype: Filetype::from_value(u8::from_le_bytes(take(bytes, 20)).into())
                .unwrap_or(Filetype::Unknown),
        }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, self.next.to_le_bytes());
        put(&mut bytes, 8, self.ino.to_le_bytes());
        // One number, so that the record can stay in registers.
        put(&mut bytes, 16, (u64::from(self.namlen) | (self.filetype as u64) << 32).to_le_bytes());
        bytes
    }
}

/// The condition that a subscription waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// A clock. The raw value of a clock that does not exist is kept: its event reports the error.
    Clock {
        /// The clock, or the number that names none.
        id: Result<Clockid, u32>,
        /// Nanoseconds: a duration, or a point in time with `ABSTIME`.
        timeout: Timestamp,
        /// How the timeout is read.
        flags: Subclockflags,
    },
    /// A descriptor that has data to read.
    FdRead(Fd),
    /// A descriptor that takes data.
    FdWrite(Fd),
}

/// A subscription.
///
/// ```text
///  0 userdata u64 | 8 tag u8 | 16 clock id u32 | 24 timeout u64 | 32 precision u64 | 40 flags u16 | 48
///                 | 8 tag u8 | 16 fd u32                                                       | 48
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#subscription>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The guest's own value, which the event carries back.
    pub userdata: u64,
    /// The condition to wait for; `None` for a tag that the specification does not have.
    pub kind: Option<SubscriptionKind>,
}

impl Record for Subscription {
    record!(Subscription, 48);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        let id = u32::from_le_bytes(take(bytes, 16));
        let kind =
            Eventtype::from_value(u8::from_le_bytes(take(bytes, 8)).into()).map(|tag| match tag {
                Eventtype::Clock => SubscriptionKind::Clock {
                    id: Clockid::from_value(id).ok_or(id),
                    timeout: u64::from_le_bytes(take(bytes, 24)),
                    flags: Subclockflags::from_bits_truncate(u16::from_le_bytes(take(bytes, 40))),
                },
                Eventtype::FdRead => SubscriptionKind::FdRead(id),
                Eventtype::FdWrite => SubscriptionKind::FdWrite(id),
            });
        Self { userdata: u64::from_le_bytes(take(bytes, 0)), kind }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, self.userdata.to_le_bytes());
        let (tag, id) = match self.kind {
            Some(SubscriptionKind::Clock { id, timeout, flags }) => {
                put(&mut bytes, 24, timeout.to_le_bytes());
                put(&mut bytes, 40, flags.bits().to_le_bytes());
                (Eventtype::Clock as u8, id.map_or_else(|raw| raw, |id| id as u32))
            }
            Some(SubscriptionKind::FdRead(fd)) => (Eventtype::FdRead as u8, fd),
            Some(SubscriptionKind::FdWrite(fd)) => (Eventtype::FdWrite as u8, fd),
            None => (u8::MAX, 0),
        };
        put(&mut bytes, 8, [tag]);
        put(&mut bytes, 16, id.to_le_bytes());
        bytes
    }
}

/// An event that happened.
///
/// ```text
///  0 userdata u64 | 8 error u16 | 10 type u8 | 16 nbytes u64 | 24 flags u16 | 32
/// ```
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#event>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The subscription's.
    pub userdata: u64,
    /// Why the subscription failed.
    pub error: Option<Errno>,
    /// The kind of the event.
    pub eventtype: Eventtype,
    /// How many bytes there are to read or there is room for, where the host knows.
    pub nbytes: Filesize,
    /// The result for the descriptor.
    pub flags: Eventrwflags,
}

impl Record for Event {
    record!(Event, 32);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        let code = u16::from_le_bytes(take(bytes, 8));
        Self {
            userdata: u64::from_le_bytes(take(bytes, 0)),
            error: Errno::ALL.iter().copied().find(|errno| errno.code() == code),
            eventtype: Eventtype::from_value(u8::from_le_bytes(take(bytes, 10)).into())
                .unwrap_or(Eventtype::Clock),
            nbytes: u64::from_le_bytes(take(bytes, 16)),
            flags: Eventrwflags::from_bits_truncate(u16::from_le_bytes(take(bytes, 24))),
        }
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, self.userdata.to_le_bytes());
        put(&mut bytes, 8, self.error.map_or(0, Errno::code).to_le_bytes());
        put(&mut bytes, 10, [self.eventtype as u8]);
        put(&mut bytes, 16, self.nbytes.to_le_bytes());
        put(&mut bytes, 24, self.flags.bits().to_le_bytes());
        bytes
    }
}

/// A [`Filestat`] as snapshot 0 has it: the count of links is shorter.
///
/// ```text
///  0 dev u64 | 8 ino u64 | 16 filetype u8 | 20 nlink u32 | 24 size u64 | 32 atim u64 | 40 mtim u64 | 48 ctim u64 | 56
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filestat0(pub Filestat);

impl Record for Filestat0 {
    record!(Filestat0, 56);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        let number = |offset| u64::from_le_bytes(take(bytes, offset));
        Self(Filestat {
            dev: number(0),
            ino: number(8),
            filetype: Filetype::from_value(u8::from_le_bytes(take(bytes, 16)).into())
                .unwrap_or(Filetype::Unknown),
            nlink: u32::from_le_bytes(take(bytes, 20)).into(),
            size: number(24),
            atim: number(32),
            mtim: number(40),
            ctim: number(48),
        })
    }
    fn to_bytes(&self) -> Self::Bytes {
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, self.0.dev.to_le_bytes());
        put(&mut bytes, 8, self.0.ino.to_le_bytes());
        put(&mut bytes, 16, [self.0.filetype as u8]);
        put(&mut bytes, 20, u32::try_from(self.0.nlink).unwrap_or(u32::MAX).to_le_bytes());
        put(&mut bytes, 24, self.0.size.to_le_bytes());
        put(&mut bytes, 32, self.0.atim.to_le_bytes());
        put(&mut bytes, 40, self.0.mtim.to_le_bytes());
        put(&mut bytes, 48, self.0.ctim.to_le_bytes());
        bytes
    }
}

/// A [`Subscription`] as snapshot 0 has it: that to a clock has an identifier of its own in front.
///
/// ```text
///  0 userdata u64 | 8 tag u8 | 16 identifier u64 | 24 clock id u32 | 32 timeout u64 | 40 precision u64 | 48 flags u16 | 56
///                 | 8 tag u8 | 16 fd u32                                                                              | 56
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription0(pub Subscription);

impl From<Subscription0> for Subscription {
    fn from(Subscription0(subscription): Subscription0) -> Self {
        subscription
    }
}

impl Record for Subscription0 {
    record!(Subscription0, 56);
    fn from_bytes(bytes: &Self::Bytes) -> Self {
        // But for the identifier, which nothing uses, it is the later record.
        let mut later = Subscription::ZERO;
        put(&mut later, 0, take::<16>(bytes, 0));
        let is_clock = u32::from(u8::from_le_bytes(take(bytes, 8))) == Eventtype::Clock as u32;
        put(&mut later, 16, take::<32>(bytes, if is_clock { 24 } else { 16 }));
        Self(Subscription::from_bytes(&later))
    }
    fn to_bytes(&self) -> Self::Bytes {
        let later = self.0.to_bytes();
        let mut bytes = Self::ZERO;
        put(&mut bytes, 0, take::<16>(&later, 0));
        let is_clock = matches!(self.0.kind, Some(SubscriptionKind::Clock { .. }));
        put(&mut bytes, if is_clock { 24 } else { 16 }, take::<32>(&later, 16));
        bytes
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn filestat_fills_its_64_bytes_where_the_specification_says() {
        let stat = Filestat {
            dev: 1,
            ino: 2,
            filetype: Filetype::RegularFile,
            nlink: 3,
            size: 4,
            atim: 5,
            mtim: 6,
            ctim: 0x0807_0605_0403_0201,
        };
        let bytes = stat.to_bytes();
        let at: Vec<(usize, u8)> =
            bytes.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect();
        assert_eq!(at[..7], [(0, 1), (8, 2), (16, 4), (24, 3), (32, 4), (40, 5), (48, 6)]);
        assert_eq!(bytes[56..], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Filestat::from_bytes(&bytes), stat);
    }

    #[test]
    fn fdstat_prestat_and_dirent_go_there_and_back() {
        let fdstat = Fdstat {
            filetype: Filetype::Directory,
            flags: Fdflags::APPEND | Fdflags::SYNC,
            rights_base: Rights::all(),
            rights_inheriting: Rights::FD_READ,
        };
        assert_eq!(Fdstat::from_bytes(&fdstat.to_bytes()), fdstat);
        assert_eq!(fdstat.to_bytes()[..4], [3, 0, 0x11, 0]);
        let prestat = Prestat { name_len: 7 };
        assert_eq!(prestat.to_bytes(), [0, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(Prestat::from_bytes(&prestat.to_bytes()), prestat);
        let dirent = Dirent { next: 1, ino: 2, namlen: 3, filetype: Filetype::SymbolicLink };
        assert_eq!(
            dirent.to_bytes(),
            [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0]
        );
        assert_eq!(Dirent::from_bytes(&dirent.to_bytes()), dirent);
    }

    #[test]
    fn snapshot_0_moves_what_follows_the_count_of_links_and_the_identifier() {
        let stat = Filestat {
            dev: 1,
            ino: 2,
            filetype: Filetype::RegularFile,
            nlink: u64::MAX,
            size: 4,
            atim: 5,
            mtim: 6,
            ctim: 7,
        };
        let bytes = Filestat0(stat).to_bytes();
        assert_eq!(
            (bytes[16], &bytes[20..24], bytes[24], bytes[32], bytes[40], bytes[48]),
            (4, &[0xff; 4][..], 4, 5, 6, 7)
        );
        let stat = Filestat0(Filestat { nlink: 3, ..stat });
        assert_eq!(Filestat0::from_bytes(&stat.to_bytes()), stat);

        let clock = SubscriptionKind::Clock {
            id: Ok(Clockid::Monotonic),
            timeout: 0x77,
            flags: Subclockflags::ABSTIME,
        };
        let bytes = Subscription0(Subscription { userdata: 9, kind: Some(clock) }).to_bytes();
        assert_eq!((bytes[0], bytes[8], bytes[24], bytes[32], bytes[48]), (9, 0, 1, 0x77, 1));
        for kind in [clock, SubscriptionKind::FdRead(5), SubscriptionKind::FdWrite(6)] {
            let subscription = Subscription0(Subscription { userdata: 1, kind: Some(kind) });
            assert_eq!(Subscription0::from_bytes(&subscription.to_bytes()), subscription);
        }
        assert_eq!(
            Subscription0(Subscription { userdata: 0, kind: Some(SubscriptionKind::FdRead(5)) })
                .to_bytes()[16],
            5
        );
    }

    #[test]
    fn subscriptions_and_events_go_there_and_back() {
        for kind in [
            None,
            Some(SubscriptionKind::FdRead(9)),
            Some(SubscriptionKind::FdWrite(u32::MAX)),
            Some(SubscriptionKind::Clock {
                id: Ok(Clockid::Monotonic),
                timeout: u64::MAX,
                flags: Subclockflags::ABSTIME,
            }),
            Some(SubscriptionKind::Clock {
                id: Err(77),
                timeout: 1,
                flags: Subclockflags::empty(),
            }),
        ] {
            let subscription = Subscription { userdata: 0xabcd, kind };
            assert_eq!(Subscription::from_bytes(&subscription.to_bytes()), subscription);
        }
        let event = Event {
            userdata: 1,
            error: Some(Errno::Badf),
            eventtype: Eventtype::FdWrite,
            nbytes: 5,
            flags: Eventrwflags::HANGUP,
        };
        assert_eq!(Event::from_bytes(&event.to_bytes()), event);
        assert_eq!(event.to_bytes()[8..11], [8, 0, 2]);
    }
}
