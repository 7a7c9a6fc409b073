//! The rows, under the names that they have in `bench/rows.mjs`.

use crate::pipes::OWN_PIPE;
use rustix::fs::{
    Advice, AtFlags, CWD, Dir, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Timespec, Timestamps,
};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::path::Arg;
use std::ffi::OsString;
use std::hint::black_box;
use std::io::{Error, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const FILE_SIZE: usize = 16 * MIB;
const FILES_AT_ONCE: usize = 512;
/// How long one sample takes at least.
const SAMPLE: Duration = Duration::from_micros(500);

/// The files and descriptors that the rows use.
struct Setup {
    root: OwnedFd,
    scratch: OwnedFd,
    file: OwnedFd,
    null: OwnedFd,
    pipe_in: OwnedFd,
    pipe_out: OwnedFd,
    buffer: Vec<u8>,
    budget: Duration,
}

/// Prints the rows asked for that have bare system calls.
pub fn print(mut args: impl Iterator<Item = OsString>) -> Result<()> {
    let folder = args.next().ok_or_else(|| Error::other("no folder"))?;
    let budget = args
        .next()
        .and_then(|text| text.to_str()?.parse().ok())
        .ok_or_else(|| Error::other("no time"))?;
    let directory =
        |at: BorrowedFd<'_>, name: &str| open(at, name, OFlags::RDONLY | OFlags::DIRECTORY);
    let root = rustix::fs::open(
        &folder,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let (pipe_in, pipe_out) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::pipe::fcntl_setpipe_size(&pipe_out, OWN_PIPE)?;
    let mut setup = Setup {
        scratch: directory(root.as_fd(), "scratch")?,
        file: open(root.as_fd(), "file", OFlags::RDWR)?,
        null: open(CWD, "/dev/null", OFlags::RDWR)?,
        root,
        pipe_in,
        pipe_out,
        buffer: vec![b'x'; FILE_SIZE],
        budget: Duration::from_millis(budget),
    };
    // As in Node.js, which has threads: the kernel then counts who uses a descriptor, which takes
    // some 10 ns a call.
    std::thread::spawn(std::thread::park);
    for name in args {
        let name = name.into_string().map_err(|_| Error::other("a row's name is not UTF-8"))?;
        if let Some(ns) = setup.row(&name)? {
            println!("{name}\t{ns}");
        }
    }
    Ok(())
}

fn open(at: BorrowedFd<'_>, path: impl Arg, flags: OFlags) -> Result<OwnedFd> {
    Ok(rustix::fs::openat(at, path, flags | OFlags::CLOEXEC, Mode::empty())?)
}

/// As a sandboxed host has to open: never out of the directory.
fn open_beneath(at: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    Ok(rustix::fs::openat2(
        at,
        path,
        flags | OFlags::CLOEXEC,
        mode,
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    )?)
}

/// The bytes in `4 KiB`.
fn size(text: &str) -> Option<usize> {
    let (number, unit) = text.split_once(' ')?;
    let unit = match unit {
        "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        _ => return None,
    };
    number.parse().ok().map(|number: usize| number * unit)
}

/// A step before or after the timed turns of a sample.
type Step<'a> = &'a mut dyn FnMut(usize) -> Result<()>;

impl Setup {
    /// The ns of the best sample: the rest of the machine only ever makes one slower.
    fn best(&self, limit: usize, before: Step<'_>, turn: Step<'_>, after: Step<'_>) -> Result<f64> {
        let mut time = |turns: usize| -> Result<Duration> {
            before(turns)?;
            let start = Instant::now();
            for i in 0..turns {
                turn(i)?;
            }
            let spent = start.elapsed();
            after(turns)?;
            Ok(spent)
        };
        let mut turns = 1;
        let mut spent = time(turns)?;
        while spent < SAMPLE && turns < limit {
            turns = (turns * 2).min(limit);
            spent = time(turns)?;
        }
        let mut least = spent;
        let end = Instant::now() + self.budget;
        while Instant::now() < end {
            least = least.min(time(turns)?);
        }
        #[allow(clippy::cast_precision_loss)]
        Ok(least.as_nanos() as f64 / turns as f64)
    }

    /// Any number of turns with nothing before and after.
    fn turns(&self, turn: Step<'_>) -> Result<f64> {
        self.best(usize::MAX, &mut |_| Ok(()), turn, &mut |_| Ok(()))
    }

    /// The ns of a turn of a row; nothing where the row has no bare counterpart.
    fn row(&mut self, name: &str) -> Result<Option<f64>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.time_row(name, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn time_row(&self, name: &str, buffer: &mut [u8]) -> Result<Option<f64>> {
        let (call, rest) = name.split_once([' ', ',']).unwrap_or((name, ""));
        let rest = rest.trim_start();
        Ok(Some(match call {
            "fd_fdstat_get" if rest == "stdio" => self.turns(&mut |_| {
                black_box(rustix::io::fcntl_getfd(&self.null)?);
                Ok(())
            })?,
            "clock_time_get" => self.turns(&mut |_| {
                black_box(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic));
                Ok(())
            })?,
            "random_get" => {
                let Some(length) = size(rest) else { return Ok(None) };
                let room = &mut buffer[..length];
                self.turns(&mut |_| {
                    black_box(rustix::rand::getrandom(
                        &mut *room,
                        rustix::rand::GetRandomFlags::empty(),
                    )?);
                    Ok(())
                })?
            }
            "sched_yield" => self.turns(&mut |_| {
                rustix::thread::sched_yield();
                Ok(())
            })?,
            "fd_write" if rest.ends_with("/dev/null") => self.turns(&mut |_| {
                black_box(rustix::io::write(&self.null, &buffer[..64])?);
                Ok(())
            })?,
            "fd_seek" if rest == "end" => self.turns(&mut |_| {
                black_box(rustix::fs::seek(&self.file, SeekFrom::End(0))?);
                Ok(())
            })?,
            "fd_filestat_get" => self.turns(&mut |_| {
                black_box(rustix::fs::fstat(&self.file)?);
                Ok(())
            })?,
            "fd_filestat_set_size" => {
                self.turns(&mut |_| Ok(rustix::fs::ftruncate(&self.file, FILE_SIZE as u64)?))?
            }
            "fd_filestat_set_times" => {
                self.turns(&mut |_| Ok(rustix::fs::futimens(&self.file, &times())?))?
            }
            "fd_advise" => {
                self.turns(&mut |_| Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::Normal)?))?
            }
            "fd_pread" => {
                let Some(length) = size(rest) else { return Ok(None) };
                let room = &mut buffer[..length];
                self.turns(&mut |_| {
                    black_box(rustix::io::pread(&self.file, &mut *room, 0)?);
                    Ok(())
                })?
            }
            "fd_pwrite" => {
                let Some(length) = size(rest) else { return Ok(None) };
                self.turns(&mut |_| {
                    black_box(rustix::io::pwrite(&self.file, &buffer[..length], 0)?);
                    Ok(())
                })?
            }
            "fd_read" | "fd_write" => return self.transfer(call, rest, buffer),
            "fd_readdir" => return self.readdir(rest),
            _ => return self.path(call, rest, buffer),
        }))
    }

    fn transfer(&self, call: &str, rest: &str, buffer: &mut [u8]) -> Result<Option<f64>> {
        let Some((amount, place)) = rest.split_once(", ") else { return Ok(None) };
        let reads = call == "fd_read";
        if let Some((count, each)) = amount.split_once(" x ") {
            let (Ok(count), Some(each)) = (count.parse::<usize>(), size(each)) else {
                return Ok(None);
            };
            let limit = FILE_SIZE / (count * each);
            let rewind: Step<'_> =
                &mut |_| Ok(rustix::fs::seek(&self.file, SeekFrom::Start(0)).map(drop)?);
            return Ok(Some(if reads {
                let mut slices: Vec<_> =
                    buffer.chunks_mut(each).take(count).map(IoSliceMut::new).collect();
                let turn: Step<'_> =
                    &mut |_| Ok(rustix::io::readv(&self.file, &mut slices).map(drop)?);
                self.best(limit, rewind, turn, &mut |_| Ok(()))?
            } else {
                let slices: Vec<_> = buffer.chunks(each).take(count).map(IoSlice::new).collect();
                let turn: Step<'_> =
                    &mut |_| Ok(rustix::io::writev(&self.file, &slices).map(drop)?);
                self.best(limit, rewind, turn, &mut |_| Ok(()))?
            }));
        }
        let Some(length) = size(amount) else { return Ok(None) };
        let data = buffer[..length].to_vec();
        let room = &mut buffer[..length];
        Ok(Some(match place {
            "file" => {
                let rewind: Step<'_> =
                    &mut |_| Ok(rustix::fs::seek(&self.file, SeekFrom::Start(0)).map(drop)?);
                let turn: Step<'_> = if reads {
                    &mut |_| Ok(rustix::io::read(&self.file, &mut *room).map(drop)?)
                } else {
                    &mut |_| Ok(rustix::io::write(&self.file, &data).map(drop)?)
                };
                self.best(FILE_SIZE / length, rewind, turn, &mut |_| Ok(()))?
            }
            "pipe" => {
                let limit = (OWN_PIPE / length).min(4096);
                let write = |_: usize| -> Result<()> {
                    Ok(rustix::io::write(&self.pipe_out, &data).map(drop)?)
                };
                let mut read = |_: usize| -> Result<()> {
                    Ok(rustix::io::read(&self.pipe_in, &mut *room).map(drop)?)
                };
                if reads {
                    self.best(
                        limit,
                        &mut |turns| (0..turns).try_for_each(write),
                        &mut read,
                        &mut |_| Ok(()),
                    )?
                } else {
                    let empty: Step<'_> = &mut |turns| (0..turns).try_for_each(&mut read);
                    self.best(limit, &mut |_| Ok(()), &mut |turn| write(turn), empty)?
                }
            }
            _ => return Ok(None),
        }))
    }

    fn readdir(&self, rest: &str) -> Result<Option<f64>> {
        let Some((entries, length)) = rest.split_once(" entries, ") else { return Ok(None) };
        let Some(length) = length.strip_suffix(" buffer").and_then(size) else { return Ok(None) };
        let directory = open(
            self.root.as_fd(),
            format!("directory-{entries}").as_str(),
            OFlags::RDONLY | OFlags::DIRECTORY,
        )?;
        let mut room = vec![MaybeUninit::uninit(); length];
        let turn: Step<'_> = &mut |_| {
            rustix::fs::seek(&directory, SeekFrom::Start(0))?;
            let mut list = RawDir::new(&directory, &mut room);
            while let Some(entry) = list.next() {
                black_box(entry?.ino());
            }
            Ok(())
        };
        Ok(Some(self.turns(turn)?))
    }

    fn path(&self, call: &str, rest: &str, buffer: &mut [u8]) -> Result<Option<f64>> {
        let (root, scratch) = (self.root.as_fd(), self.scratch.as_fd());
        let path = if rest.ends_with("5 components") { "a/b/c/d/file" } else { "file" };
        let names: Vec<String> = (0..FILES_AT_ONCE).map(|i| format!("n{i:07}")).collect();
        let nothing: Step<'_> = &mut |_| Ok(());
        let empty: Step<'_> = &mut |_| self.empty();
        Ok(Some(match (call, rest) {
            // A single name cannot lead out.
            ("path_filestat_get", "1 component") => self.turns(&mut |_| {
                black_box(rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW)?);
                Ok(())
            })?,
            ("path_filestat_get", _) => self.turns(&mut |_| {
                let file = open_beneath(root, path, OFlags::PATH, Mode::empty())?;
                black_box(rustix::fs::fstat(&file)?);
                Ok(())
            })?,
            ("path_open", "+ fd_close, new file") => {
                let flags = OFlags::RDWR | OFlags::CREATE;
                let turn: Step<'_> = &mut |i| {
                    open_beneath(scratch, &names[i], flags, Mode::from_raw_mode(0o666)).map(drop)
                };
                self.best(FILES_AT_ONCE, nothing, turn, empty)?
            }
            ("path_open", _) => self.turns(&mut |_| {
                open_beneath(root, path, OFlags::RDONLY, Mode::empty()).map(drop)
            })?,
            ("path_create_directory", _) => self.turns(&mut |_| {
                rustix::fs::mkdirat(root, "new", Mode::from_raw_mode(0o777))?;
                Ok(rustix::fs::unlinkat(root, "new", AtFlags::REMOVEDIR)?)
            })?,
            ("path_rename", _) => {
                self.turns(&mut |_| {
                    rustix::fs::renameat(root, "old", root, "renamed")?;
                    Ok(rustix::fs::renameat(root, "renamed", root, "old")?)
                })? / 2.0
            }
            ("path_unlink_file", _) => {
                let fill: Step<'_> = &mut |turns| {
                    (0..turns).try_for_each(|i| {
                        let flags = OFlags::WRONLY | OFlags::CREATE;
                        open_beneath(scratch, &names[i], flags, Mode::from_raw_mode(0o666))
                            .map(drop)
                    })
                };
                let turn: Step<'_> = &mut |i| {
                    Ok(rustix::fs::unlinkat(scratch, names[i].as_str(), AtFlags::empty())?)
                };
                self.best(FILES_AT_ONCE, fill, turn, nothing)?
            }
            ("path_link", _) => {
                let turn: Step<'_> = &mut |i| {
                    Ok(rustix::fs::linkat(
                        root,
                        "old",
                        scratch,
                        names[i].as_str(),
                        AtFlags::empty(),
                    )?)
                };
                self.best(FILES_AT_ONCE, nothing, turn, empty)?
            }
            ("path_symlink", _) => {
                let turn: Step<'_> = &mut |i| {
                    rustix::fs::symlinkat("file", scratch, names[i].as_str())?;
                    black_box(rustix::fs::readlinkat_raw(
                        scratch,
                        names[i].as_str(),
                        &mut buffer[..256],
                    )?);
                    Ok(())
                };
                self.best(FILES_AT_ONCE, nothing, turn, empty)?
            }
            ("path_readlink", _) => self.turns(&mut |_| {
                black_box(rustix::fs::readlinkat_raw(root, "link", &mut buffer[..256])?);
                Ok(())
            })?,
            ("path_filestat_set_times", _) => self.turns(&mut |_| {
                Ok(rustix::fs::utimensat(root, "file", &times(), AtFlags::SYMLINK_NOFOLLOW)?)
            })?,
            _ => return Ok(None),
        }))
    }

    fn empty(&self) -> Result<()> {
        for entry in Dir::read_from(&self.scratch)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                rustix::fs::unlinkat(&self.scratch, entry.file_name(), AtFlags::empty())?;
            }
        }
        Ok(())
    }
}

fn times() -> Timestamps {
    let at = Timespec { tv_sec: 0, tv_nsec: 1 };
    Timestamps { last_access: at, last_modification: at }
}
