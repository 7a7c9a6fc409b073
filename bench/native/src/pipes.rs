//! Pipes for the process that measures.

use rustix::io::{Errno, dup2};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use std::ffi::OsString;
use std::io::{Error, Result};
use std::mem::forget;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The size of the pipe that the guest holds both ends of: the most that Linux gives to any user.
pub const OWN_PIPE: usize = 1 << 20;
/// How much the other end reads or writes at once: what a pipe takes by default.
const CHUNK: usize = 1 << 16;

/// Runs a command with both ends of a pipe at 10 and 11, the read end of one that another process
/// fills at 12, and the write end of one that another process empties at 13.
pub fn run(mut args: impl Iterator<Item = OsString>) -> Result<()> {
    let program = args.next().ok_or_else(|| Error::other("no command"))?;
    let this = std::env::current_exe()?;

    let (own_read, own_write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&own_write, OWN_PIPE)?;
    let (filled, write_end) = pipe_with(PipeFlags::CLOEXEC)?;
    Command::new(&this).arg("fill").stdin(Stdio::null()).stdout(write_end).spawn()?;
    let (read_end, emptied) = pipe_with(PipeFlags::CLOEXEC)?;
    Command::new(&this).arg("empty").stdin(read_end).stdout(Stdio::null()).spawn()?;

    // First out of the way: a pipe may have one of the numbers.
    let ends =
        [own_read, own_write, filled, emptied].map(|end| rustix::io::fcntl_dupfd_cloexec(end, 20));
    for (number, end) in (10..).zip(ends) {
        place(&end?, number)?;
    }
    Err(Command::new(program).args(args).exec())
}

/// Puts a descriptor at a number where the command will find it.
fn place(fd: &OwnedFd, number: RawFd) -> Result<()> {
    // SAFETY: nothing in this process uses what has the number, and it is forgotten below: nobody
    // closes it.
    let mut at = unsafe { OwnedFd::from_raw_fd(number) };
    let result = dup2(fd.as_fd(), &mut at);
    forget(at);
    Ok(result?)
}

/// Writes to stdout until nobody reads it.
pub fn fill() -> Result<()> {
    let chunk = vec![b'x'; CHUNK];
    loop {
        match rustix::io::write(rustix::stdio::stdout(), &chunk) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::PIPE) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads stdin to its end.
pub fn empty() -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
