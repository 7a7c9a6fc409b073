//! Answers and counts the calls of a command's processes.

#![allow(unsafe_code, reason = "what runs between fork and exec, and seccomp's ioctls")]

use crate::filter;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::fs;
use std::io::{Error, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the command to its end.
pub(crate) fn run(mut command: Command, errno: i32, count: &Path) -> Result<ExitCode> {
    let (here, there) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let listen = move || {
        let listener = filter::ask()?;
        send(there.as_fd(), listener.as_fd())
    };
    // SAFETY: the closure makes system calls and allocates nothing.
    unsafe { command.pre_exec(listen) };
    let mut child = command.spawn()?;
    let calls = answer_all(&receive(&here)?, errno)?;
    let status = child.wait()?;
    fs::write(count, calls.to_string())?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(126)))
}

fn send(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(Error::other("the command's process did not hand its listener over"))
}

/// Answers with `errno` until the last process with the filter has ended, and returns how often.
fn answer_all(listener: &OwnedFd, errno: i32) -> Result<u64> {
    let mut calls = 0_u64;
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [fd] = fds;
        if !fd.revents().contains(PollFlags::IN) {
            return Ok(calls);
        }
        // SAFETY: all zero is what the kernel asks for.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is the listener, and the record has the kernel's layout.
        if unsafe {
            libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call)
        } != 0
        {
            // The caller has died meanwhile.
            continue;
        }
        calls = calls.saturating_add(1);
        let mut response =
            libc::seccomp_notif_resp { id: call.id, val: 0, error: errno.wrapping_neg(), flags: 0 };
        // SAFETY: as above. That the caller has died meanwhile is no matter.
        unsafe {
            libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response)
        };
    }
}
