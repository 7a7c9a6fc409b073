//! The seccomp filter. It stays with the process and with all that it starts.

#![allow(unsafe_code, reason = "seccomp has no safe interface")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "of constants and counts that fit, and of a descriptor"
)]

use std::io::{Error, Result};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The number of `openat2`, which is the same on every architecture but for x32's extra bit.
const OPENAT2: u32 = 437;

/// `openat2` fails with `errno`.
pub(crate) fn answer(errno: i32) -> Result<()> {
    install(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(), 0).map(drop)
}

/// `openat2` waits for whoever has the descriptor returned here.
pub(crate) fn ask() -> Result<OwnedFd> {
    let fd = install(libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn install(action: u32, flags: libc::c_ulong) -> Result<RawFd> {
    let statement = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The number of the system call is the first word of what a filter is given.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, OPENAT2, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, action, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: plain numbers. Without this only root may install a filter.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the program outlives the call, which copies it.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result as RawFd) }
}
