//! The functions of preview1 through their raw ABI, without Node.
//!
//! Where Windows differs, a test says so by `cfg_attr(windows, ignore = ..)`, or by `cfg(unix)`
//! where it needs what only Unix has.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::too_many_lines,
    reason = "a test says what is wrong by failing"
)]

mod advisories;
mod clock;
mod descriptors;
mod escape;
mod file;
mod limits;
mod mounts;
mod path;
mod pointers;
mod poll;
mod process;
mod read_only;
mod readdir;
mod rights;
mod root;
mod signatures;
mod snapshot0;
mod sock;
mod sockets;
mod stdio;
mod strings;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod suspend;
#[cfg(target_os = "linux")]
mod waiting;
mod wrappers;
mod written_bytes;

/// Nothing about the host is changed for these tests.
fn prepare() {}
