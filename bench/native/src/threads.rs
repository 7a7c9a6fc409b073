//! Threads that write and read 4 KiB of a file each, again and again, as the guest of
//! `bench/whole.mjs threads` does: by how much a second thread helps the bare system calls.

use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::OsString;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

/// Prints how many milliseconds a number of threads take, each for the same number of turns.
pub fn print(mut args: impl Iterator<Item = OsString>) -> Result<()> {
    let folder = PathBuf::from(args.next().ok_or_else(|| Error::other("no folder"))?);
    let mut number = || args.next()?.to_str()?.parse::<usize>().ok();
    let (Some(threads), Some(turns)) = (number(), number()) else {
        return Err(Error::other("no number of threads and turns"));
    };
    let before = Instant::now();
    thread::scope(|scope| {
        let work = |which| write_and_read(&folder, which, turns);
        let started: Vec<_> = (0..threads).map(|which| scope.spawn(move || work(which))).collect();
        // As in Node.js, this thread waits meanwhile.
        started.into_iter().try_for_each(|one| one.join().map_err(|_| Error::other("a panic"))?)
    })?;
    println!("{}", before.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn write_and_read(folder: &Path, which: usize, turns: usize) -> Result<()> {
    let path = folder.join(format!("native-{which}"));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
    let mut buffer = [b'x'; 4096];
    for _ in 0..turns {
        rustix::io::pwrite(&file, &buffer, 0)?;
        rustix::io::pread(&file, &mut buffer, 0)?;
    }
    Ok(())
}
