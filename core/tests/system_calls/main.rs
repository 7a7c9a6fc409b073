//! The system calls that each call of a guest makes. They are counted on Linux alone.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
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

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod counted;
#[path = "../support/mod.rs"]
mod support;

fn prepare() {}

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
fn main() {
    counted::main();
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
fn main() {}
