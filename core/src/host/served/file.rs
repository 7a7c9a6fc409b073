//! Open files of a file system that the embedder serves.

use super::{Answer, NUMBER_LIMIT, Op, READ_MOST, Volume, done};
use crate::abi::{
    Advice, Clockid, Errno, Fdflags, Filesize, Filestat, Filetype, Timestamp, Whence,
};
use crate::host::offset::{check_offset, check_range, sought};
use crate::host::{self, File, Result, SetTime, SetTimes, Source};
use crate::memory::Region;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A regular file.
pub(super) struct ServedFile {
    volume: Volume,
    file: u64,
    read: bool,
    write: bool,
    append: AtomicBool,
    position: Mutex<u64>,
    /// The last known size, to say how much can be read.
    size: AtomicU64,
}

impl Drop for ServedFile {
    fn drop(&mut self) {
        self.volume.exchange.close(self.volume.number, self.file);
    }
}

/// The times to set, where they are not to be kept.
pub(super) fn times_of(
    times: SetTimes,
    stat: impl FnOnce() -> Result<Filestat>,
) -> Result<(Timestamp, Timestamp)> {
    let keeps = times.atim == SetTime::Keep || times.mtim == SetTime::Keep;
    let old = if keeps { stat().map(|stat| (stat.atim, stat.mtim))? } else { (0, 0) };
    let one = |time, old| match time {
        SetTime::Keep => Ok(old),
        SetTime::Now => host::time(Clockid::Realtime),
        SetTime::At(time) => Ok(time),
    };
    Ok((one(times.atim, old.0)?, one(times.mtim, old.1)?))
}

impl ServedFile {
    pub(super) fn new(
        volume: &Volume,
        file: u64,
        (read, write): (bool, bool),
        flags: Fdflags,
        size: u64,
    ) -> Self {
        Self {
            volume: volume.clone(),
            file,
            read,
            write,
            append: AtomicBool::new(flags.contains(Fdflags::APPEND)),
            position: Mutex::new(0),
            size: AtomicU64::new(size),
        }
    }

    fn position(&self) -> MutexGuard<'_, u64> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_at(&self, bufs: &[Region<'_>], position: u64) -> Result<usize> {
        if !self.read {
            return Err(Errno::Badf);
        }
        check_range(bufs, position)?;
        let total = bufs.iter().fold(0_usize, |sum, buf| sum.saturating_add(buf.len()));
        let length = total.min(READ_MOST);
        if length == 0 || position > NUMBER_LIMIT {
            return Ok(0);
        }
        let request = self.volume.request(Op::Read);
        let target = if let [buf] = bufs { Some(buf.as_ptr().addr()) } else { None };
        let request = super::Request { file: self.file, position, length, target, ..request };
        self.volume.ask(request, |answer| {
            let bytes = match answer {
                Answer::Bytes(bytes) => bytes,
                Answer::Number(read) => {
                    // It is in the memory already.
                    let read = usize::try_from(*read).map_err(|_| Errno::Io)?;
                    return if read <= length { Ok(read) } else { Err(Errno::Io) };
                }
                _ => return Err(Errno::Io),
            };
            let mut rest = bytes.get(..length).unwrap_or(bytes);
            let mut read = 0_usize;
            for buf in bufs {
                let (here, behind) = rest.split_at_checked(buf.len()).unwrap_or((rest, &[]));
                read = read.saturating_add(buf.write_at(0, here));
                rest = behind;
            }
            Ok(read)
        })
    }

    /// Writes, and returns how many bytes and the offset behind them.
    fn write_at(&self, bufs: &[Region<'_>], position: Option<u64>) -> Result<(usize, u64)> {
        if !self.write {
            return Err(Errno::Badf);
        }
        if let Some(position) = position {
            check_range(bufs, position)?;
        }
        let total = bufs.iter().fold(0_usize, |sum, buf| sum.saturating_add(buf.len()));
        let length = total.min(READ_MOST);
        let position = match position {
            Some(position) => position,
            None if length == 0 => 0,
            None => self.filestat()?.size,
        };
        if length == 0 {
            return Ok((0, position));
        }
        if position.checked_add(length as u64).is_none_or(|end| end > NUMBER_LIMIT) {
            return Err(Errno::Fbig);
        }
        let request = self.volume.request(Op::Write);
        let request = super::Request { file: self.file, position, length, ..request };
        let fill = |request: &mut super::Request| {
            request.bytes = vec![0; length];
            let mut at = 0_usize;
            for buf in bufs {
                let room = request.bytes.get_mut(at..).unwrap_or_default();
                at = at.saturating_add(buf.read_at(0, room));
            }
        };
        let written = self.volume.exchange.ask(request, fill, |answer| match answer {
            Answer::Number(written) => usize::try_from(*written).map_err(|_| Errno::Io),
            _ => Err(Errno::Io),
        })?;
        if written > length {
            return Err(Errno::Io);
        }
        let end = position.saturating_add(written as u64);
        self.size.fetch_max(end, Relaxed);
        Ok((written, end))
    }
}

impl File for ServedFile {
    fn filetype(&self) -> Filetype {
        Filetype::RegularFile
    }

    fn is_terminal(&self) -> bool {
        false
    }

    fn is_socket(&self) -> bool {
        false
    }

    fn read(&self, bufs: &[Region<'_>]) -> Result<usize> {
        let mut position = self.position();
        let done = self.read_at(bufs, *position)?;
        *position = position.saturating_add(done as u64);
        Ok(done)
    }

    fn write(&self, bufs: &[Region<'_>], flags: Fdflags) -> Result<usize> {
        let mut position = self.position();
        let at = if flags.contains(Fdflags::APPEND) { None } else { Some(*position) };
        let (done, end) = self.write_at(bufs, at)?;
        if done > 0 {
            *position = end;
        }
        Ok(done)
    }

    fn pread(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        check_offset(offset)?;
        self.read_at(bufs, offset)
    }

    fn pwrite(&self, bufs: &[Region<'_>], offset: Filesize) -> Result<usize> {
        check_offset(offset)?;
        // As on Linux, a descriptor that appends does so whatever the offset.
        let offset = if self.append.load(Relaxed) { None } else { Some(offset) };
        self.write_at(bufs, offset).map(|(done, _)| done)
    }

    fn seek(&self, delta: i64, whence: Whence) -> Result<Filesize> {
        let mut position = self.position();
        *position = sought(*position, (delta, whence), || Ok(self.filestat()?.size))?;
        Ok(*position)
    }

    fn filestat(&self) -> Result<Filestat> {
        let request = self.volume.request(Op::StatFile);
        let request = super::Request { file: self.file, ..request };
        let stat = self.volume.ask(request, |answer| self.volume.filestat(answer))?;
        self.size.store(stat.size, Relaxed);
        // The descriptor is a file's, whatever has become of the path.
        Ok(Filestat { filetype: Filetype::RegularFile, ..stat })
    }

    fn set_size(&self, size: Filesize) -> Result<()> {
        check_offset(size)?;
        if !self.write {
            return Err(Errno::Inval);
        }
        if size > NUMBER_LIMIT {
            return Err(Errno::Fbig);
        }
        let request = self.volume.request(Op::SetSize);
        let request = super::Request { file: self.file, position: size, ..request };
        self.volume.ask(request, done)?;
        self.size.store(size, Relaxed);
        Ok(())
    }

    fn allocate(&self, offset: Filesize, len: Filesize) -> Result<()> {
        check_offset(offset)?;
        check_offset(len)?;
        let end = offset.saturating_add(len);
        if end > NUMBER_LIMIT {
            return Err(Errno::Fbig);
        }
        if len == 0 {
            return Ok(());
        }
        if !self.write {
            return Err(Errno::Badf);
        }
        if self.filestat()?.size < end { self.set_size(end) } else { Ok(()) }
    }

    fn advise(&self, offset: Filesize, len: Filesize, _: Advice) -> Result<()> {
        check_offset(offset)?;
        check_offset(len)
    }

    fn sync(&self) -> Result<()> {
        let request = self.volume.request(Op::Sync);
        self.volume.ask(super::Request { file: self.file, ..request }, done)
    }

    fn datasync(&self) -> Result<()> {
        let request = self.volume.request(Op::Sync);
        self.volume.ask(super::Request { file: self.file, position: 1, ..request }, done)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        let request = self.volume.request(Op::SetFileTimes);
        if times == (SetTimes { atim: SetTime::Keep, mtim: SetTime::Keep }) {
            return Ok(());
        }
        let times = times_of(times, || self.filestat())?;
        self.volume.ask(super::Request { file: self.file, times, ..request }, done)
    }

    fn set_flags(&self, old: Fdflags, new: Fdflags) -> Result<()> {
        if old.symmetric_difference(new).intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC)
        {
            return Err(Errno::Notsup);
        }
        self.append.store(new.contains(Fdflags::APPEND), Relaxed);
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        Source::Ready
    }

    fn available(&self) -> Filesize {
        let position = *self.position();
        self.size.load(Relaxed).saturating_sub(position)
    }
}
