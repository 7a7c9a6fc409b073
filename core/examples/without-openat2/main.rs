//! Runs a command on a kernel that seems to have no `openat2`: a seccomp filter answers for it.
//!
//! ```text
//! without-openat2 enosys|eperm [--count FILE] -- COMMAND...
//! ```
//! ENOSYS is what a kernel before Linux 5.6 says, EPERM what the filters of old container runtimes
//! say. With `--count`, this process answers each call in the filter's stead and at the end writes
//! to FILE how many there were.

#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod supervisor;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, ExitCode};

    let mut args = std::env::args_os().skip(1);
    let errno = match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("enosys") => libc::ENOSYS,
        Some("eperm") => libc::EPERM,
        _ => return usage(),
    };
    let mut next = args.next();
    let mut count = None;
    if next.as_deref().is_some_and(|arg| arg == "--count") {
        count = args.next();
        next = args.next();
    }
    let (Some("--"), Some(program)) =
        (next.as_deref().and_then(std::ffi::OsStr::to_str), args.next())
    else {
        return usage();
    };
    let mut command = Command::new(program);
    command.args(args);

    let result = match count {
        Some(file) => supervisor::run(command, errno, file.as_ref()),
        None => match filter::answer(errno) {
            // It returns only if it fails.
            Ok(()) => Err(command.exec()),
            Err(error) => Err(error),
        },
    };
    result.unwrap_or_else(|error| {
        eprintln!("without-openat2: {error}");
        ExitCode::from(125)
    })
}

#[cfg(target_os = "linux")]
fn usage() -> std::process::ExitCode {
    eprintln!("usage: without-openat2 enosys|eperm [--count FILE] -- COMMAND...");
    std::process::ExitCode::from(2)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("without-openat2: openat2 is Linux's own");
    std::process::exit(2);
}
