//! The system calls of the benchmark's rows, bare: what a row would cost if the host call itself
//! were free.
//!
//! - `native rows FOLDER MILLISECONDS ROW...` prints the name of each row that it knows, a tab and
//!   the ns of a turn.
//! - `native with-pipes COMMAND ARGUMENT...` runs a command with pipes at descriptors 10 to 13.
//! - `native threads FOLDER THREADS TURNS` prints the ms that so many threads take.
//! - `native fill`, `native empty`: the other end of two of these pipes.

#[cfg(target_os = "linux")]
mod pipes;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod threads;

#[cfg(target_os = "linux")]
fn main() {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let result = match command.to_str() {
        Some("rows") => rows::print(args),
        Some("with-pipes") => pipes::run(args),
        Some("threads") => threads::print(args),
        Some("fill") => pipes::fill(),
        Some("empty") => pipes::empty(),
        _ => Err(std::io::Error::other("usage: native rows|with-pipes|threads|fill|empty")),
    };
    if let Err(error) = result {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("error: the bare rows are those of Linux");
    std::process::exit(1);
}
