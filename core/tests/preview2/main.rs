//! The functions of 0.2 through the canonical ABI, without Node: a byte vector is the memory of a
//! component.

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

mod component;
mod files;
mod layouts;
mod lists;
mod paths;
#[cfg(unix)]
mod races;
mod resources;
mod stdio;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

/// Nothing about the host is changed for these tests.
fn prepare() {}
