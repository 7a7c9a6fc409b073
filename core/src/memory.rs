//! The guest's linear memory: the only code that touches guest bytes.
//!
//! A guest pointer is a number until [`GuestMemory`] has checked it. Bytes are copied, never
//! borrowed: another thread of the guest may write to a shared memory at any moment, so no `&[u8]`
//! over guest memory ever exists. Iovecs leave this module as checked raw pairs for `readv` and
//! `writev`.

#![allow(unsafe_code, reason = "raw copies to and from guest memory are this module's purpose")]

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

/// A pointer lies outside the memory, or a length reaches past its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBounds;

/// A record with a fixed layout in guest memory.
///
/// Records are converted to and from little-endian bytes, so no alignment is demanded of the guest.
pub trait Record: Sized {
    /// The size of the record in bytes.
    const SIZE: u32;
    /// The bytes of a record.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + Copy;
    /// Bytes that are all zero.
    const ZERO: Self::Bytes;
    /// Converts from the guest's bytes.
    fn from_bytes(bytes: &Self::Bytes) -> Self;
    /// Converts to the guest's bytes.
    fn to_bytes(&self) -> Self::Bytes;
}

macro_rules! number_records {
    ($($number:ty),*) => { $(
        impl Record for $number {
            #[allow(clippy::cast_possible_truncation, reason = "at most eight")]
            const SIZE: u32 = size_of::<$number>() as u32;
            type Bytes = [u8; size_of::<$number>()];
            const ZERO: Self::Bytes = [0; size_of::<$number>()];
            fn from_bytes(bytes: &Self::Bytes) -> Self {
                Self::from_le_bytes(*bytes)
            }
            fn to_bytes(&self) -> Self::Bytes {
                self.to_le_bytes()
            }
        }
    )* };
}
number_records!(u8, u16, u32, u64);

/// A guest's pointer to a `T`: an offset and nothing more until it is used with a [`GuestMemory`].
#[derive(Debug)]
pub struct GuestPtr<T> {
    offset: u32,
    kind: PhantomData<T>,
}

impl<T> Clone for GuestPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for GuestPtr<T> {}

impl<T> GuestPtr<T> {
    /// A pointer to the given offset.
    #[must_use]
    pub fn new(offset: u32) -> Self {
        Self { offset, kind: PhantomData }
    }

    /// The offset in bytes.
    #[must_use]
    pub fn offset(self) -> u32 {
        self.offset
    }
}

/// A range of guest memory that has been checked. `base` and `len` are laid out as a `struct
/// iovec`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Region<'m> {
    base: *mut u8,
    len: usize,
    memory: PhantomData<&'m ()>,
}

impl Region<'_> {
    /// The host's address of the first byte.
    #[must_use]
    pub fn as_ptr(self) -> *mut u8 {
        self.base
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether the range is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Reads a record from `offset` in the range, unless it reaches past the end.
    #[inline]
    #[must_use]
    pub fn get<T: Record>(self, offset: usize) -> Option<T> {
        if self.len.saturating_sub(offset) < size_of::<T::Bytes>() {
            return None;
        }
        let mut bytes = T::ZERO;
        // SAFETY: the range holds that many bytes from `offset` on, and was checked against a live
        // memory. The number is known to the compiler, so that this is no call.
        unsafe {
            ptr::copy_nonoverlapping(
                self.base.add(offset),
                bytes.as_mut().as_mut_ptr(),
                size_of::<T::Bytes>(),
            );
        };
        Some(T::from_bytes(&bytes))
    }

    /// Writes a record to the start of the range, or nothing if the range is shorter than the
    /// record.
    #[inline]
    pub fn put<T: Record>(self, value: &T) {
        if self.len < size_of::<T::Bytes>() {
            return;
        }
        let bytes = value.to_bytes();
        // SAFETY: as above.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ref().as_ptr(), self.base, size_of::<T::Bytes>());
        };
    }

    /// Writes a record and then `behind` to `offset` within the range, up to its end, and returns
    /// the number of bytes written.
    #[inline]
    #[allow(clippy::must_use_candidate, reason = "what is known to fit is written without looking")]
    pub fn put_with<T: Record>(self, offset: usize, value: &T, behind: &[u8]) -> usize {
        let head = value.to_bytes();
        let size = size_of::<T::Bytes>().saturating_add(behind.len());
        if size > self.len.saturating_sub(offset) {
            let written = self.write_at(offset, head.as_ref());
            return written.saturating_add(self.write_at(offset.saturating_add(written), behind));
        }
        // SAFETY: `offset + size <= len`, and the region was checked against a live memory.
        unsafe {
            let place = self.base.add(offset);
            ptr::copy_nonoverlapping(head.as_ref().as_ptr(), place, size_of::<T::Bytes>());
            copy_name(behind, place.add(size_of::<T::Bytes>()));
        }
        size
    }

    /// The first `len` bytes of the range, or all of it.
    #[must_use]
    pub fn start(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// The range without its first `count` bytes, or an empty one at its end.
    #[must_use]
    pub fn from(self, count: usize) -> Self {
        let count = count.min(self.len);
        // SAFETY: `count <= len`, so the result is inside the checked region or at its end.
        Self { base: unsafe { self.base.add(count) }, len: self.len.wrapping_sub(count), ..self }
    }

    /// Copies `bytes` to `offset` within the range and returns how many fitted.
    #[allow(clippy::must_use_candidate, reason = "what is known to fit is written without looking")]
    pub fn write_at(self, offset: usize, bytes: &[u8]) -> usize {
        let room = self.len.saturating_sub(offset);
        let count = room.min(bytes.len());
        if count > 0 {
            // SAFETY: `offset + count <= len`, and the region was checked against a live memory.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), count) };
        }
        count
    }

    /// Copies the whole range to the start of `room`, which has at least its size, and returns the
    /// copy. With less room the copy is cut.
    pub fn read_into(self, room: &mut [MaybeUninit<u8>]) -> &[u8] {
        let count = self.len.min(room.len());
        // SAFETY: the region was checked against a live memory, and `room` is separate and has
        // `count` bytes; they are initialised by the copy before the slice is made of them.
        unsafe {
            ptr::copy_nonoverlapping(self.base, room.as_mut_ptr().cast::<u8>(), count);
            std::slice::from_raw_parts(room.as_ptr().cast::<u8>(), count)
        }
    }

    /// Copies from `offset` within the range into `bytes` and returns how many there were.
    #[allow(
        clippy::must_use_candidate,
        reason = "what is known to be there is read without looking"
    )]
    pub fn read_at(self, offset: usize, bytes: &mut [u8]) -> usize {
        let there = self.len.saturating_sub(offset);
        let count = there.min(bytes.len());
        if count > 0 {
            // SAFETY: `offset + count <= len`, and the region was checked against a live memory.
            unsafe { ptr::copy_nonoverlapping(self.base.add(offset), bytes.as_mut_ptr(), count) };
        }
        count
    }
}

/// Copies a few bytes, mostly 8 to 32, as names have. Two copies that overlap, each of a size that
/// the compiler knows, take the place of a call.
///
/// # Safety
/// `to` must be valid for writes of so many bytes, and lie elsewhere.
#[inline]
unsafe fn copy_name(bytes: &[u8], to: *mut u8) {
    /// # Safety
    /// As above; and `bytes` has at least `SIZE` bytes and at most twice as many.
    #[inline]
    unsafe fn copy_ends<const SIZE: usize>(bytes: &[u8], to: *mut u8) {
        let last = bytes.len().saturating_sub(SIZE);
        // SAFETY: both begin `SIZE` bytes or more before the end.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, SIZE);
            ptr::copy_nonoverlapping(bytes.as_ptr().add(last), to.add(last), SIZE);
        }
    }
    // SAFETY: the caller's promise, and the lengths.
    unsafe {
        match bytes.len() {
            8..16 => copy_ends::<8>(bytes, to),
            16..=32 => copy_ends::<16>(bytes, to),
            len => ptr::copy_nonoverlapping(bytes.as_ptr(), to, len),
        }
    }
}

/// The linear memory of a guest for the length of one call.
#[derive(Debug, Clone, Copy)]
pub struct GuestMemory<'m> {
    base: *mut u8,
    len: usize,
    memory: PhantomData<&'m ()>,
}

impl<'m> GuestMemory<'m> {
    /// A memory of `len` bytes at `base`.
    ///
    /// # Safety
    /// For all of `'m`, `base` must be valid for reads and writes of `len` bytes. Threads of the
    /// guest may write to the bytes meanwhile; no Rust reference to them may exist.
    #[must_use]
    pub unsafe fn from_raw(base: *mut u8, len: usize) -> Self {
        Self { base, len, memory: PhantomData }
    }

    /// The bytes as a memory, for hosts whose guest is not running.
    #[must_use]
    pub fn from_slice(bytes: &'m mut [u8]) -> Self {
        Self { base: bytes.as_mut_ptr(), len: bytes.len(), memory: PhantomData }
    }

    /// Checks a range. An empty range has to begin inside the memory, too, as in `node:wasi`.
    pub fn region(self, offset: u32, len: u32) -> Result<Region<'m>, OutOfBounds> {
        let (offset, len) = (offset as usize, len as usize);
        if offset >= self.len || len > self.len.wrapping_sub(offset) {
            return Err(OutOfBounds);
        }
        // SAFETY: `offset < self.len`.
        let base = unsafe { self.base.add(offset) };
        Ok(Region { base, len, memory: PhantomData })
    }

    /// Checks an array of `count` records.
    pub fn array<T: Record>(
        self,
        start: GuestPtr<T>,
        count: u32,
    ) -> Result<Region<'m>, OutOfBounds> {
        self.region(start.offset, count.checked_mul(T::SIZE).ok_or(OutOfBounds)?)
    }

    /// Reads a record.
    pub fn read<T: Record>(self, at: GuestPtr<T>) -> Result<T, OutOfBounds> {
        self.region(at.offset, T::SIZE)?.get(0).ok_or(OutOfBounds)
    }

    /// Writes a record.
    pub fn write<T: Record>(self, at: GuestPtr<T>, value: &T) -> Result<(), OutOfBounds> {
        self.region(at.offset, T::SIZE)?.put(value);
        Ok(())
    }
}

/// How many non-empty buffers one call hands to the host: POSIX's usual `IOV_MAX`. The rest is a
/// short read or write.
pub const IOVEC_LIMIT: usize = 1024;

/// How many bytes one call moves at most: Linux's own limit.
const TRANSFER_LIMIT: usize = 0x7fff_f000;

/// How many iovecs one call looks at in search of non-empty ones.
const IOVEC_SCAN_LIMIT: u32 = 1 << 20;

/// A list of buffers that a call refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IovecError {
    /// The array or one of its buffers lies outside the memory.
    OutOfBounds,
    /// None of the first 2^20 iovecs has a byte.
    TooMany,
}

impl From<OutOfBounds> for IovecError {
    fn from(OutOfBounds: OutOfBounds) -> Self {
        Self::OutOfBounds
    }
}

/// Room for the buffers of one call, on the stack. A list with more buffers is cut.
pub struct IoVecRoom<'m, const LIMIT: usize> {
    regions: [MaybeUninit<Region<'m>>; LIMIT],
}

impl<'m, const LIMIT: usize> IoVecRoom<'m, LIMIT> {
    /// Empty room.
    #[must_use]
    pub fn new() -> Self {
        Self { regions: [const { MaybeUninit::uninit() }; LIMIT] }
    }

    /// Reads and checks a guest's list. Every iovec is read once, so a thread that changes it
    /// cannot get a pointer past the check.
    ///
    /// ```text
    /// guest:  | buf: u32 | buf_len: u32 | buf: u32 | buf_len: u32 | ...
    /// ```
    #[inline]
    pub fn read(
        &mut self,
        memory: GuestMemory<'m>,
        list: GuestPtr<u64>,
        len: u32,
    ) -> Result<IoVecs<'_, 'm>, IovecError> {
        let array = memory.array(list, len)?;
        let (mut count, mut at, mut left) = (0_usize, 0_usize, TRANSFER_LIMIT);
        for index in 0..len {
            let pair: u64 = array.get(at).ok_or(OutOfBounds)?;
            at = at.wrapping_add(size_of::<u64>());
            #[allow(clippy::cast_possible_truncation, reason = "the two halves of the pair")]
            let (offset, len) = (pair as u32, (pair >> 32) as u32);
            if len == 0 {
                match (index < IOVEC_SCAN_LIMIT, count) {
                    (true, _) => continue,
                    (false, 0) => return Err(IovecError::TooMany),
                    (false, _) => break,
                }
            }
            let region = memory.region(offset, len)?.start(left);
            let Some(slot) = self.regions.get_mut(count).filter(|_| left > 0) else { break };
            slot.write(region);
            count = count.wrapping_add(1);
            left = left.wrapping_sub(region.len);
        }
        let regions = self.regions.get_mut(..count).unwrap_or_default();
        // SAFETY: the first `count` elements are written, and `MaybeUninit<T>` is laid out as `T`.
        let regions = unsafe { &mut *(ptr::from_mut(regions) as *mut [Region<'m>]) };
        Ok(IoVecs { regions })
    }

    /// [`read`](Self::read) out of line, for lists that are not the usual ones.
    #[inline(never)]
    pub(crate) fn read_list(
        &mut self,
        memory: GuestMemory<'m>,
        list: GuestPtr<u64>,
        len: u32,
    ) -> Result<IoVecs<'_, 'm>, IovecError> {
        self.read(memory, list, len)
    }
}

impl<const LIMIT: usize> Default for IoVecRoom<'_, LIMIT> {
    fn default() -> Self {
        Self::new()
    }
}

/// A guest's list of buffers, checked, as raw pairs, none of them empty.
#[derive(Debug)]
pub struct IoVecs<'a, 'm> {
    regions: &'a mut [Region<'m>],
}

impl<'m> IoVecs<'_, 'm> {
    /// The buffers.
    #[must_use]
    pub fn regions(&self) -> &[Region<'m>] {
        self.regions
    }

    /// Whether there is one buffer, of just this many bytes.
    #[inline]
    #[must_use]
    pub fn is_one_of(&self, bytes: usize) -> bool {
        matches!(&*self.regions, [one] if one.len == bytes)
    }

    /// Drops the bytes after the first `limit`, and returns whether there were any.
    #[inline]
    pub fn cut(&mut self, limit: usize) -> bool {
        match &*self.regions {
            [] => false,
            [one] if one.len <= limit => false,
            _ => self.cut_list(limit),
        }
    }

    fn cut_list(&mut self, mut limit: usize) -> bool {
        for (index, region) in self.regions.iter_mut().enumerate() {
            if region.len > limit {
                region.len = limit;
                let kept = index.wrapping_add(usize::from(limit > 0));
                self.regions =
                    std::mem::take(&mut self.regions).get_mut(..kept).unwrap_or_default();
                return true;
            }
            limit = limit.wrapping_sub(region.len);
        }
        false
    }

    /// Drops the first `bytes` bytes, which have been moved.
    pub fn advance(&mut self, mut bytes: u64) {
        let mut done = 0_usize;
        for region in self.regions.iter_mut() {
            if bytes < region.len as u64 {
                #[allow(clippy::cast_possible_truncation, reason = "less than `len`, a usize")]
                let step = bytes as usize;
                // SAFETY: `step < len`, so the result is inside the checked region.
                region.base = unsafe { region.base.add(step) };
                region.len = region.len.wrapping_sub(step);
                break;
            }
            bytes = bytes.wrapping_sub(region.len as u64);
            done = done.wrapping_add(1);
        }
        self.regions = std::mem::take(&mut self.regions).get_mut(done..).unwrap_or_default();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn memory(bytes: &mut [u8]) -> GuestMemory<'_> {
        GuestMemory::from_slice(bytes)
    }

    #[test]
    fn a_range_is_inside_or_refused() {
        let mut bytes = [0; 64];
        let memory = memory(&mut bytes);
        assert!(memory.region(0, 64).is_ok());
        assert!(memory.region(63, 1).is_ok());
        assert!(memory.region(63, 0).is_ok());
        for (offset, len) in [
            (0, 65),
            (63, 2),
            (64, 0),
            (65, 0),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
            (1, u32::MAX),
            (60, u32::MAX - 3),
        ] {
            assert_eq!(memory.region(offset, len).map(drop), Err(OutOfBounds), "{offset} {len}");
        }
    }

    #[test]
    fn no_byte_of_an_empty_memory_is_inside() {
        let memory = memory(&mut []);
        assert!(memory.region(0, 0).is_err());
        assert!(memory.read(GuestPtr::<u8>::new(0)).is_err());
    }

    #[test]
    fn a_list_of_buffers_is_cut_anywhere() {
        for limit in 0..12_usize {
            let mut bytes = [0; 64];
            // Buffers of 3, 5 and 2 bytes.
            for (at, number) in [32, 3, 40, 5, 50, 2].into_iter().enumerate() {
                bytes[4 * at] = number;
            }
            let mut room = IoVecRoom::<4>::new();
            let mut bufs = room.read(memory(&mut bytes), GuestPtr::new(0), 3).unwrap();
            assert_eq!(bufs.cut(limit), limit < 10, "{limit}");
            assert_eq!(
                bufs.regions().iter().map(|region| region.len()).sum::<usize>(),
                limit.min(10)
            );
            assert!(bufs.regions().iter().all(|region| !region.is_empty()));
            bufs.advance(2);
            assert_eq!(
                bufs.regions().iter().map(|region| region.len()).sum::<usize>(),
                limit.min(10).saturating_sub(2)
            );
        }
    }

    #[test]
    fn one_buffer_is_cut_beyond_the_limit_only() {
        for limit in 0..6_usize {
            let mut bytes = list(&[(100, 4)]);
            let mut room = IoVecRoom::<4>::new();
            let mut bufs = room.read(memory(&mut bytes), GuestPtr::new(0), 1).unwrap();
            assert!(bufs.is_one_of(4) && !bufs.is_one_of(3));
            assert_eq!(bufs.cut(limit), limit < 4, "{limit}");
            assert_eq!(lengths(&bufs).iter().sum::<usize>(), limit.min(4));
            assert_eq!(bufs.regions().is_empty(), limit == 0);
        }
    }

    #[test]
    fn a_record_is_put_whole_or_not_at_all() {
        for size in 0..=10_usize {
            let mut bytes = [0xff; 16];
            let region = memory(&mut bytes).region(3, u32::try_from(size).unwrap()).unwrap();
            assert_eq!(region.is_empty(), size == 0);
            assert_eq!(region.get::<u64>(0).is_some(), size >= 8);
            region.put(&0_u64);
            let count = if size < 8 { 0 } else { 8 };
            assert!(bytes[3..3 + count].iter().all(|byte| *byte == 0), "{size}");
            assert!(bytes[..3].iter().chain(&bytes[3 + count..]).all(|byte| *byte == 0xff));
        }
    }

    #[test]
    fn a_record_and_what_is_behind_it_are_cut_at_the_end() {
        let behind: Vec<u8> = (1..=64).collect();
        for len in 0..=behind.len() {
            let all = [&0x0102_0304_0506_0708_u64.to_le_bytes(), &behind[..len]].concat();
            for size in 1..=all.len() + 2 {
                let mut bytes = [0xff; 80];
                let region = memory(&mut bytes).region(3, u32::try_from(size).unwrap()).unwrap();
                let fits = all.len().min(size - 1);
                assert_eq!(region.put_with(1, &0x0102_0304_0506_0708_u64, &behind[..len]), fits);
                assert!(bytes[4..4 + fits] == all[..fits], "{len} in {size}");
                assert!(
                    bytes[..4].iter().chain(&bytes[4 + fits..]).all(|byte| *byte == 0xff),
                    "{len} in {size}"
                );
            }
        }
        let mut bytes = [0xff; 80];
        assert_eq!(memory(&mut bytes).region(3, 8).unwrap().put_with(9, &0_u64, &behind), 0);
    }

    #[test]
    fn the_size_of_an_array_does_not_wrap() {
        let mut bytes = [0; 64];
        let memory = memory(&mut bytes);
        assert!(memory.array(GuestPtr::<u64>::new(0), 8).is_ok());
        for count in [9, 0x2000_0000, 0x2000_0001, 0x8000_0000, u32::MAX] {
            assert!(memory.array(GuestPtr::<u64>::new(0), count).is_err(), "{count}");
        }
    }

    #[test]
    fn records_are_little_endian_and_need_no_alignment() {
        let mut bytes = [0xff; 16];
        memory(&mut bytes).write(GuestPtr::new(3), &0x0102_0304_u32).unwrap();
        assert_eq!(bytes[..8], [0xff, 0xff, 0xff, 4, 3, 2, 1, 0xff]);
        assert_eq!(memory(&mut bytes).read(GuestPtr::<u32>::new(3)), Ok(0x0102_0304));
        assert_eq!(memory(&mut bytes).write(GuestPtr::new(13), &0_u32), Err(OutOfBounds));
    }

    fn list(pairs: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = pairs
            .iter()
            .flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()])
            .flatten()
            .collect();
        bytes.resize(4096, 0);
        bytes
    }

    fn lengths(vecs: &IoVecs<'_, '_>) -> Vec<usize> {
        vecs.regions().iter().map(|region| region.len()).collect()
    }

    #[test]
    fn iovecs_leave_out_the_empty_ones() {
        let mut bytes = list(&[(100, 5), (u32::MAX, 0), (4095, 1), (0, 0), (200, 7)]);
        let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
        let vecs = room.read(memory(&mut bytes), GuestPtr::new(0), 5).unwrap();
        assert_eq!(lengths(&vecs), [5, 1, 7]);
    }

    #[test]
    fn one_iovec_outside_refuses_the_list() {
        let mut bytes = list(&[(100, 5), (4095, 2)]);
        assert_eq!(
            IoVecRoom::<IOVEC_LIMIT>::new().read(memory(&mut bytes), GuestPtr::new(0), 2).map(drop),
            Err(IovecError::OutOfBounds)
        );
        assert_eq!(
            IoVecRoom::<IOVEC_LIMIT>::new()
                .read(memory(&mut bytes), GuestPtr::new(4092), 1)
                .map(drop),
            Err(IovecError::OutOfBounds)
        );
        assert_eq!(
            IoVecRoom::<IOVEC_LIMIT>::new()
                .read(memory(&mut bytes), GuestPtr::new(0), 0x2000_0001)
                .map(drop),
            Err(IovecError::OutOfBounds)
        );
    }

    #[test]
    fn iovecs_advance_by_bytes() {
        let mut bytes = list(&[(100, 5), (200, 7), (300, 9)]);
        for (by, want) in [
            (0, vec![5, 7, 9]),
            (4, vec![1, 7, 9]),
            (5, vec![7, 9]),
            (13, vec![8]),
            (21, vec![]),
            (1000, vec![]),
        ] {
            let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
            let mut vecs = room.read(memory(&mut bytes), GuestPtr::new(0), 3).unwrap();
            vecs.advance(by);
            assert_eq!(lengths(&vecs), want, "advance {by}");
        }
    }

    #[test]
    fn many_iovecs_are_cut_to_the_limit() {
        let mut bytes = vec![0; 32 * 1024];
        for pair in bytes[..2000 * 8].chunks_exact_mut(8) {
            pair.copy_from_slice(&[0, 64, 0, 0, 1, 0, 0, 0]);
        }
        let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
        let vecs = room.read(memory(&mut bytes), GuestPtr::new(0), 2000).unwrap();
        assert_eq!(vecs.regions().len(), IOVEC_LIMIT);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri takes minutes for it")]
    fn a_million_empty_iovecs_are_looked_at_and_no_more() {
        const SCANNED: usize = 1 << 20;
        let mut bytes = vec![0; (SCANNED + 2) * size_of::<u64>()];
        let mut read = |len: u32| {
            let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
            room.read(memory(&mut bytes), GuestPtr::new(0), len).map(|vecs| lengths(&vecs))
        };
        assert_eq!(read(1 << 20), Ok(vec![]));
        assert_eq!(read((1 << 20) + 1), Err(IovecError::TooMany));
        // The first that is not among them.
        bytes[SCANNED * size_of::<u64>() + 4] = 3;
        let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
        let vecs = room.read(memory(&mut bytes), GuestPtr::new(0), (1 << 20) + 2).unwrap();
        assert_eq!(lengths(&vecs), [3]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri takes minutes for it")]
    fn a_call_moves_as_many_bytes_as_it_may_and_no_empty_buffer() {
        const LEN: usize = 4 << 20;
        let pair = [0, u32::try_from(LEN).unwrap()].map(u32::to_le_bytes).concat();
        let mut bytes = pair.repeat(600);
        bytes.resize(LEN, 0);
        let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
        let vecs = room.read(memory(&mut bytes), GuestPtr::new(0), 600).unwrap();
        let lengths = lengths(&vecs);
        assert_eq!(lengths.iter().sum::<usize>(), TRANSFER_LIMIT);
        assert_eq!((lengths.len(), lengths.last()), (512, Some(&(LEN - 4096))));
    }

    #[test]
    fn a_region_has_two_parts() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        let region = memory(&mut bytes).region(2, 4).unwrap();
        let content = |part: Region<'_>| {
            let mut back = [0; 8];
            let count = part.read_at(0, &mut back);
            back[..count].to_vec()
        };
        for (at, start, rest) in [
            (0, &[][..], &[2, 3, 4, 5][..]),
            (1, &[2], &[3, 4, 5]),
            (4, &[2, 3, 4, 5], &[]),
            (5, &[2, 3, 4, 5], &[]),
            (usize::MAX, &[2, 3, 4, 5], &[]),
        ] {
            assert_eq!(
                (content(region.start(at)), content(region.from(at))),
                (start.into(), rest.into())
            );
        }
    }

    #[test]
    fn a_region_copies_no_more_than_it_has() {
        let mut bytes = [0; 8];
        let region = memory(&mut bytes).region(2, 4).unwrap();
        assert_eq!(region.write_at(3, b"xyz"), 1);
        assert_eq!(region.write_at(4, b"xyz"), 0);
        assert_eq!(region.write_at(usize::MAX, b"xyz"), 0);
        let mut back = [9; 8];
        assert_eq!(region.read_at(3, &mut back), 1);
        assert_eq!(back, [b'x', 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(bytes, [0, 0, 0, 0, 0, b'x', 0, 0]);
    }
}
