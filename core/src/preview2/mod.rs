//! The functions of WASI 0.2 (io, cli, clocks, random, filesystem), one file per interface family,
//! and the one table of their signatures.
//!
//! A function takes what the canonical ABI gives: core parameters, with a number of ours (a rep,
//! see [`resources`]) in the place of a handle, and the memory of the component that calls. Paths,
//! rights, quotas and read-only directories mean what they mean in preview1, whose code does the
//! work. What is new here are resources, streams that have a position, pollables, and results that
//! lie in memory of the guest that it has to allocate itself.
//!
//! Such a list is made in two steps, because only JavaScript can call the guest's `realloc`: the
//! function says how many bytes it has, JavaScript asks the guest for as many, and [`place`] copies
//! them there. See [`area`].

#![allow(
    clippy::unnecessary_wraps,
    reason = "handlers are of one shape, whether or not they can fail"
)]

mod area;
mod cli;
mod clocks;
mod filesystem;
mod glue;
mod poll;
mod random;
mod resources;
mod streams;

pub use area::{CODES, place};
pub use glue::{Entry, Function, Left, Parameter, SLOTS, Visitor};
pub use resources::{Kind, State};

use crate::abi::Errno;
use crate::ctx::Ctx;
use crate::memory::{GuestMemory, OutOfBounds};
use crate::preview1;
use area::{
    Code, Datetime, DirectorySeed, Fallible, HashValue, Lists, OptionCode, Owned, Streamed,
};
use area::{OptionTerminal, Seed, Stat};
use glue::{Bytes, Text, Times};
use resources::{DescriptorRep, ErrorRep, InputRep, ListingRep, OutputRep, PollableRep};
use std::cell::Cell;

/// One call of a function.
pub struct Call<'a> {
    /// The instance that calls.
    pub ctx: &'a Ctx,
    /// The instance's state for 0.2.
    pub state: &'a State,
    /// The memory that the call names.
    pub memory: GuestMemory<'a>,
    /// The progress of earlier slices, which the function has left when it answered
    /// [`CallError::Again`]; otherwise 0.
    pub resume: &'a Cell<u64>,
}

/// Why a function has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// It failed. Where the interface has no error for it, the call is a [`CallError::Trap`].
    Errno(Errno),
    /// The stream is closed.
    Closed,
    /// A pointer lies outside the memory as it is known here. Nothing has been done yet: if the
    /// memory has grown, the call can be made again.
    OutOfBounds,
    /// It has waited for a slice of time without result: call again with the same arguments and
    /// `resume`.
    Again,
    /// It would have to wait, and the instance suspends: [`Ctx::waiting`] says what for. Call again
    /// with the same arguments and `resume` when that has come.
    WouldWait,
    /// The guest wants to end with this code.
    Exit(u32),
    /// The guest broke the interface's contract.
    Trap(Trap),
}

/// A fault of the guest that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// It used a handle that stands for nothing, or for something of another kind.
    UnknownHandle,
    /// It has more handles than there may be.
    TooManyHandles,
    /// It polled an empty list, or one that is too long.
    PollList,
    /// It wrote more than `check-write` permitted.
    Permit,
    /// An argument is none of its type's values.
    Argument,
    /// It asked for a list that no memory holds.
    TooLong,
    /// Its `realloc` gave memory that it was not asked for.
    Realloc,
}

impl Trap {
    /// All of them and what they are to a reader, in the order of their numbers.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::UnknownHandle, "a handle stands for nothing of the kind"),
        (Self::TooManyHandles, "there are too many handles"),
        (Self::PollList, "a list of pollables is empty or too long"),
        (Self::Permit, "a write is longer than what was permitted"),
        (Self::Argument, "an argument is no value of its type"),
        (Self::TooLong, "a list would be longer than a memory"),
        (Self::Realloc, "realloc gave a pointer that is not aligned, or was not called for"),
    ];
}

impl From<Errno> for CallError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<OutOfBounds> for CallError {
    fn from(OutOfBounds: OutOfBounds) -> Self {
        Self::OutOfBounds
    }
}

impl From<Trap> for CallError {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

impl From<preview1::CallError> for CallError {
    fn from(error: preview1::CallError) -> Self {
        match error {
            preview1::CallError::Errno(errno) => Self::Errno(errno),
            preview1::CallError::OutOfBounds => Self::OutOfBounds,
            preview1::CallError::Again => Self::Again,
            preview1::CallError::WouldWait => Self::WouldWait,
            preview1::CallError::Exit(code) => Self::Exit(code),
        }
    }
}

/// The result of a function.
pub type Result<T> = std::result::Result<T, CallError>;

impl<'a> Call<'a> {
    /// The same call for preview1, whose code does what both have.
    fn preview1(&self) -> preview1::Call<'a> {
        preview1::Call { ctx: self.ctx, memory: self.memory, resume: self.resume }
    }
}

// The names of interfaces and functions are those of the specification. A parameter that is a
// handle is passed as its rep.
glue::functions! {
    ["wasi:cli/environment"]
    "get-environment" get_environment = cli::get_environment() -> Lists<8>;
    "get-arguments" get_arguments = cli::get_arguments() -> Lists<8>;
    "initial-cwd" initial_cwd = cli::initial_cwd() -> Lists<12>;
    ["wasi:cli/exit"]
    "exit" exit = cli::exit(status: u32) -> ();
    "exit-with-code" exit_with_code = cli::exit_with_code(status_code: u32) -> ();
    ["wasi:cli/stdin"]
    "get-stdin" get_stdin = cli::get_stdin() -> Owned;
    ["wasi:cli/stdout"]
    "get-stdout" get_stdout = cli::get_stdout() -> Owned;
    ["wasi:cli/stderr"]
    "get-stderr" get_stderr = cli::get_stderr() -> Owned;
    ["wasi:cli/terminal-stdin"]
    "get-terminal-stdin" get_terminal_stdin = cli::get_terminal_stdin() -> OptionTerminal;
    ["wasi:cli/terminal-stdout"]
    "get-terminal-stdout" get_terminal_stdout = cli::get_terminal_stdout() -> OptionTerminal;
    ["wasi:cli/terminal-stderr"]
    "get-terminal-stderr" get_terminal_stderr = cli::get_terminal_stderr() -> OptionTerminal;
    ["wasi:clocks/monotonic-clock"]
    "now" monotonic_now = clocks::monotonic_now() -> u64;
    "resolution" monotonic_resolution = clocks::monotonic_resolution() -> u64;
    "subscribe-instant" subscribe_instant = clocks::subscribe_instant(when: u64) -> Owned;
    "subscribe-duration" subscribe_duration = clocks::subscribe_duration(when: u64) -> Owned;
    ["wasi:clocks/wall-clock"]
    "now" wall_now = clocks::wall_now() -> Datetime;
    "resolution" wall_resolution = clocks::wall_resolution() -> Datetime;
    ["wasi:filesystem/preopens"]
    "get-directories" get_directories = filesystem::get_directories() -> DirectorySeed;
    ["wasi:filesystem/types"]
    "[method]descriptor.read-via-stream" read_via_stream = filesystem::read_via_stream(descriptor: DescriptorRep, offset: u64) -> Fallible<Owned>;
    "[method]descriptor.write-via-stream" write_via_stream = filesystem::write_via_stream(descriptor: DescriptorRep, offset: u64) -> Fallible<Owned>;
    "[method]descriptor.append-via-stream" append_via_stream = filesystem::append_via_stream(descriptor: DescriptorRep) -> Fallible<Owned>;
    "[method]descriptor.advise" advise = filesystem::advise(descriptor: DescriptorRep, offset: u64, length: u64, advice: u32) -> Fallible<()>;
    "[method]descriptor.sync-data" sync_data = filesystem::sync_data(descriptor: DescriptorRep) -> Fallible<()>;
    "[method]descriptor.get-flags" get_flags = filesystem::get_flags(descriptor: DescriptorRep) -> Fallible<u8>;
    "[method]descriptor.get-type" get_type = filesystem::get_type(descriptor: DescriptorRep) -> Fallible<u8>;
    "[method]descriptor.set-size" set_size = filesystem::set_size(descriptor: DescriptorRep, size: u64) -> Fallible<()>;
    "[method]descriptor.set-times" set_times = filesystem::set_times(descriptor: DescriptorRep, data_access_timestamp: Times, data_modification_timestamp: Times) -> Fallible<()>;
    "[method]descriptor.read" descriptor_read = filesystem::read(descriptor: DescriptorRep, length: u64, offset: u64) -> Fallible<Lists<12>>;
    "[method]descriptor.write" descriptor_write = filesystem::write(descriptor: DescriptorRep, buffer: Bytes<'_>, offset: u64) -> Fallible<u64>;
    "[method]descriptor.read-directory" read_directory = filesystem::read_directory(descriptor: DescriptorRep) -> Fallible<Owned>;
    "[method]descriptor.sync" sync = filesystem::sync(descriptor: DescriptorRep) -> Fallible<()>;
    "[method]descriptor.create-directory-at" create_directory_at = filesystem::create_directory_at(descriptor: DescriptorRep, path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.stat" stat = filesystem::stat(descriptor: DescriptorRep) -> Fallible<Stat>;
    "[method]descriptor.stat-at" stat_at = filesystem::stat_at(descriptor: DescriptorRep, path_flags: u32, path: Text<'_>) -> Fallible<Stat>;
    "[method]descriptor.set-times-at" set_times_at = filesystem::set_times_at(descriptor: DescriptorRep, path_flags: u32, path: Text<'_>, data_access_timestamp: Times, data_modification_timestamp: Times) -> Fallible<()>;
    "[method]descriptor.link-at" link_at = filesystem::link_at(descriptor: DescriptorRep, old_path_flags: u32, old_path: Text<'_>, new_descriptor: DescriptorRep, new_path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.open-at" open_at = filesystem::open_at(descriptor: DescriptorRep, path_flags: u32, path: Text<'_>, open_flags: u32, flags: u32) -> Fallible<Owned>;
    "[method]descriptor.readlink-at" readlink_at = filesystem::readlink_at(descriptor: DescriptorRep, path: Text<'_>) -> Fallible<Lists<8>>;
    "[method]descriptor.remove-directory-at" remove_directory_at = filesystem::remove_directory_at(descriptor: DescriptorRep, path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.rename-at" rename_at = filesystem::rename_at(descriptor: DescriptorRep, old_path: Text<'_>, new_descriptor: DescriptorRep, new_path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.symlink-at" symlink_at = filesystem::symlink_at(descriptor: DescriptorRep, old_path: Text<'_>, new_path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.unlink-file-at" unlink_file_at = filesystem::unlink_file_at(descriptor: DescriptorRep, path: Text<'_>) -> Fallible<()>;
    "[method]descriptor.is-same-object" is_same_object = filesystem::is_same_object(descriptor: DescriptorRep, other: DescriptorRep) -> bool;
    "[method]descriptor.metadata-hash" metadata_hash = filesystem::metadata_hash(descriptor: DescriptorRep) -> Fallible<HashValue>;
    "[method]descriptor.metadata-hash-at" metadata_hash_at = filesystem::metadata_hash_at(descriptor: DescriptorRep, path_flags: u32, path: Text<'_>) -> Fallible<HashValue>;
    "[method]directory-entry-stream.read-directory-entry" read_directory_entry = filesystem::read_directory_entry(stream: ListingRep) -> Fallible<Lists<16>>;
    "filesystem-error-code" filesystem_error_code = filesystem::filesystem_error_code(err: ErrorRep) -> OptionCode;
    ["wasi:io/error"]
    "[method]error.to-debug-string" to_debug_string = streams::to_debug_string(error: ErrorRep) -> Lists<8>;
    ["wasi:io/poll"]
    "[method]pollable.ready" ready = poll::ready(pollable: PollableRep) -> bool;
    "[method]pollable.block" block = poll::block(pollable: PollableRep) -> ();
    "poll" poll_list = poll::poll(list: Bytes<'_>) -> Lists<8>;
    ["wasi:io/streams"]
    "[method]input-stream.read" input_read = streams::read(stream: InputRep, len: u64) -> Streamed<Lists<8>>;
    "[method]input-stream.blocking-read" blocking_read = streams::blocking_read(stream: InputRep, len: u64) -> Streamed<Lists<8>>;
    "[method]input-stream.skip" skip = streams::skip(stream: InputRep, len: u64) -> Streamed<u64>;
    "[method]input-stream.blocking-skip" blocking_skip = streams::blocking_skip(stream: InputRep, len: u64) -> Streamed<u64>;
    "[method]input-stream.subscribe" input_subscribe = streams::input_subscribe(stream: InputRep) -> Owned;
    "[method]output-stream.check-write" check_write = streams::check_write(stream: OutputRep) -> Streamed<u64>;
    "[method]output-stream.write" output_write = streams::write(stream: OutputRep, contents: Bytes<'_>) -> Streamed<()>;
    "[method]output-stream.blocking-write-and-flush" blocking_write_and_flush = streams::blocking_write_and_flush(stream: OutputRep, contents: Bytes<'_>) -> Streamed<()>;
    "[method]output-stream.flush" flush = streams::flush(stream: OutputRep) -> Streamed<()>;
    "[method]output-stream.blocking-flush" blocking_flush = streams::blocking_flush(stream: OutputRep) -> Streamed<()>;
    "[method]output-stream.subscribe" output_subscribe = streams::output_subscribe(stream: OutputRep) -> Owned;
    "[method]output-stream.write-zeroes" write_zeroes = streams::write_zeroes(stream: OutputRep, len: u64) -> Streamed<()>;
    "[method]output-stream.blocking-write-zeroes-and-flush" blocking_write_zeroes_and_flush = streams::blocking_write_zeroes_and_flush(stream: OutputRep, len: u64) -> Streamed<()>;
    "[method]output-stream.splice" splice = streams::splice(stream: OutputRep, src: InputRep, len: u64) -> Streamed<u64>;
    "[method]output-stream.blocking-splice" blocking_splice = streams::blocking_splice(stream: OutputRep, src: InputRep, len: u64) -> Streamed<u64>;
    ["wasi:random/insecure"]
    "get-insecure-random-bytes" get_insecure_random_bytes = random::get_random_bytes(len: u64) -> Lists<8>;
    "get-insecure-random-u64" get_insecure_random_u64 = random::get_random_u64() -> u64;
    ["wasi:random/insecure-seed"]
    "insecure-seed" insecure_seed = random::insecure_seed() -> Seed;
    ["wasi:random/random"]
    "get-random-bytes" get_random_bytes = random::get_random_bytes(len: u64) -> Lists<8>;
    "get-random-u64" get_random_u64 = random::get_random_u64() -> u64;
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code.0
    }
}
