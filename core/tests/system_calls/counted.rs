//! The table "System calls" of bench/README.md is true: each row is run by this program in a
//! process of its own, and the test reads by `ptrace` what the call asks of the kernel.

use crate::support::host::stream_pair;
use crate::support::{BOX, Guest, Open, Setup, Subscribe};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use syscalls::Sysno;
use wasi_rs_core::abi::{Fdflags, Oflags};

/// Names the row for the process that runs it.
const ROW: &str = "WASI_RS_ROW";

/// Stands before and behind the call that is counted. Nothing else here asks for it.
const MARK: Sysno = Sysno::getppid;

/// The allocator's own calls are not counted.
const ALLOCATOR: [Sysno; 4] = [Sysno::brk, Sysno::mmap, Sysno::munmap, Sysno::madvise];

/// How many stops of the process are looked at.
const STOPS: u32 = 100_000;

/// Runs a row of the table.
fn run(row: &str) {
    let (ours, theirs) = stream_pair();
    let setup = Setup { preopens: &[("box", "box")], stdin: Some(ours.into()), ..Setup::default() };
    let mut guest = setup.guest();
    guest.temp.write("box/file", "0123456789");
    guest.temp.create_dir("box/a");
    guest.temp.create_dir("box/a/b");
    guest.temp.write("box/a/b/file", "");
    guest.temp.symlink("file", "box/link");
    let file = guest.open(BOX, "file", Open::default()).unwrap();
    let directory = guest.open(BOX, "a", Open::directory()).unwrap();
    let appending = guest.open(BOX, "file", Open::default().flags(Fdflags::APPEND)).unwrap();
    let clock = Subscribe::Clock { id: 1, timeout: 1_000_000, flags: 0 };
    let mut turn = 0;
    let mut call = |guest: &mut Guest| match row {
        "path_open of one name" => _ = guest.open(BOX, "file", Open::default()).unwrap(),
        "path_open of three names" => {
            _ = guest.open(BOX, "a/b/file", Open::default()).unwrap();
        }
        "path_open of a link" => {
            _ = guest.open(BOX, "link", Open::default().follow()).unwrap();
        }
        "path_open of a directory" => _ = guest.open(BOX, "a", Open::directory()).unwrap(),
        "path_open that makes a file" => {
            let flags = Oflags::CREAT.union(Oflags::EXCL);
            turn += 1;
            let name = format!("new{turn}");
            _ = guest.open(BOX, &name, Open::default().oflags(flags)).unwrap();
        }
        "path_filestat_get of one name" => _ = guest.path_filestat(BOX, "file", true).unwrap(),
        "path_filestat_get of three names" => {
            _ = guest.path_filestat(BOX, "a/b/file", true).unwrap();
        }
        "fd_read of a file" => drop(guest.read(file, &[2, 2]).unwrap()),
        "fd_read of a stream" => {
            std::io::Write::write_all(&mut &theirs, b"abcd").unwrap();
            mark();
            drop(guest.read(0, &[4]).unwrap());
        }
        "fd_write to a file" => _ = guest.write(file, &[b"ab", b"cd"]).unwrap(),
        "fd_write to a file that appends" => _ = guest.write(appending, &[b"ab"]).unwrap(),
        "fd_readdir of a whole directory" => {
            drop(guest.readdir_bytes(directory, 4096, 0).unwrap());
        }
        "poll_oneoff of a clock" => drop(guest.poll(&[clock]).unwrap()),
        "poll_oneoff of a clock and a stream" => {
            drop(guest.poll(&[clock, Subscribe::Read(0)]).unwrap());
        }
        _ => panic!("no such row: {row}"),
    };
    // The first call finds out what the kernel can, and makes room.
    call(&mut guest);
    mark();
    call(&mut guest);
    mark();
}

fn mark() {
    // SAFETY: the call has no arguments.
    unsafe { libc::syscall(MARK.id().into()) };
}

/// The system calls between the last two marks of the process that runs a row.
fn count(row: &str) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(ROW, row).stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: between fork and exec it makes one system call.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
    #[allow(clippy::zombie_processes, reason = "`waitpid` below sees its end")]
    let child = command.spawn().unwrap();
    let child = libc::pid_t::try_from(child.id()).unwrap();
    let mut calls = vec![Vec::new()];
    let mut options = Some(libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL);
    for _ in 0..STOPS {
        let mut status = 0;
        // SAFETY: `status` is there to be written to, and the child is this process's own.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{row}: {status:x}");
            let marked = calls.len().checked_sub(2).expect("the call stands between marks");
            return calls.swap_remove(marked);
        }
        if let Some(options) = options.take() {
            // SAFETY: the child is stopped, and the request has no pointer.
            assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, options) }, 0);
        }
        if libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80
            && let Some(call) = entered(child)
        {
            if call == MARK {
                calls.push(Vec::new());
            } else if !ALLOCATOR.contains(&call) {
                calls.last_mut().unwrap().push(call.name().to_owned());
            }
        }
        // SAFETY: the child is stopped, and the request has no pointer.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, child, 0, 0) }, 0);
    }
    panic!("{row}: the process does not end");
}

/// The system call that a stopped process enters. `None`: it leaves one.
fn entered(child: libc::pid_t) -> Option<Sysno> {
    // SAFETY: all of the record's fields may be zero.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes to `info`.
    let got = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, child, size, &raw mut info) };
    assert!(got > 0, "{}", std::io::Error::last_os_error());
    (info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then(|| {
        // SAFETY: `op` says which of the fields the kernel has written.
        let number = unsafe { info.u.entry.nr };
        Sysno::new(usize::try_from(number).unwrap()).unwrap()
    })
}

/// The test runner would run a row in a thread of its own, so this program does without one.
pub fn main() {
    match std::env::var(ROW) {
        Ok(row) => run(&row),
        Err(_) => compare(),
    }
}

fn compare() {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let (mode, resolve) = (rustix::fs::Mode::empty(), rustix::fs::ResolveFlags::BENEATH);
    if let Err(error) = rustix::fs::openat2(rustix::fs::CWD, ".", flags, mode, resolve) {
        println!("test the_table_of_system_calls_is_true ... skipped: no openat2 ({error})");
        return;
    }
    let text = std::fs::read_to_string("../bench/README.md").unwrap();
    let rows: Vec<(&str, &str)> = text
        .lines()
        .skip_while(|line| *line != "## System calls")
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split('|');
            (cells.next().unwrap().trim(), cells.next().unwrap().trim())
        })
        .collect();
    assert!(rows.len() >= 14, "the table has its rows: {rows:?}");
    let wrong: Vec<String> = rows
        .iter()
        .map(|(call, said)| {
            let row = call.replace('`', "");
            let counted: Vec<String> = count(&row).iter().map(|call| format!("`{call}`")).collect();
            (row, said, counted.join(", "))
        })
        .filter(|(_, said, counted)| *said != counted)
        .map(|(row, said, counted)| format!("{row}: {counted}, the table says {said}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("test the_table_of_system_calls_is_true ... ok ({} rows)", rows.len());
}
