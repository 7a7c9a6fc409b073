//! Takes a system call away from the whole test program, as an old kernel or a container's filter
//! does.

#![allow(unsafe_code, reason = "there is no other way to ask the kernel for a filter")]

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many calls of `openat2` the program has made.
pub static CALLS: AtomicU32 = AtomicU32::new(0);

/// How long the size of a `struct seccomp_notif` is taken to be: more than any kernel's.
const NOTICE: usize = 256;

/// Lets every `openat2` of this program fail with `errno`, from now on, in all threads.
///
/// A thread of its own answers each call and counts it, so that a test can say how many there were.
pub fn refuse_openat2(errno: i32) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        install(errno);
        let refused = openat2();
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(errno), "the filter is in force");
        CALLS.store(0, Relaxed);
    });
}

/// A call of `openat2` that would open the current directory.
fn openat2() -> io::Result<()> {
    // `struct open_how`: flags, mode and resolve.
    let how = [u64::try_from(libc::O_PATH).unwrap(), 0, 0];
    // SAFETY: the pointers are to a string that ends in NUL and to a local, whose size is given.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            c".".as_ptr(),
            how.as_ptr(),
            size_of_val(&how),
        )
    };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn install(errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: 0,
        k,
    };
    let call = u32::try_from(libc::SYS_openat2).unwrap();
    let filter = [
        // The number of the call, which `struct seccomp_data` begins with.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jt: 0,
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call)
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_ptr().cast_mut(),
    };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER
        | libc::SECCOMP_FILTER_FLAG_TSYNC
        | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    // SAFETY: the arguments are numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its statements are locals that outlive the call.
    let listener = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    assert!(listener >= 0, "seccomp: {}", io::Error::last_os_error());
    let listener = i32::try_from(listener).unwrap();
    std::thread::spawn(move || answer(listener, errno));
}

/// Answers the calls, one after the other, until the program ends.
fn answer(listener: i32, errno: i32) {
    loop {
        let mut notice = [0_u64; NOTICE / 8];
        // SAFETY: the kernel writes a `struct seccomp_notif`, which fits, and wants zeros there
        // before.
        if unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, notice.as_mut_ptr()) }
            != 0
        {
            continue;
        }
        CALLS.fetch_add(1, Relaxed);
        // Both structures begin with the number that says which call it is.
        let reply = libc::seccomp_notif_resp { id: notice[0], val: 0, error: -errno, flags: 0 };
        // SAFETY: the pointer is to a local.
        unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const reply) };
    }
}

/// Resolves many paths, and checks that `openat2` was asked for once and not for each.
#[allow(dead_code, reason = "not for openat2_after_emfile.rs")]
pub fn check_asked_once() {
    let mut guest = crate::support::Guest::new();
    guest.temp.create_dir("box/dir");
    for _ in 0..1000 {
        guest.path_filestat(crate::support::BOX, "dir/..", true).unwrap();
    }
    // Threads that start at once may each find out for themselves.
    let calls = CALLS.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=64).contains(&calls), "{calls} calls");
}
