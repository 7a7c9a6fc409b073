//! The host side of WASI: preview1, and the interfaces of 0.2.
//!
//! A newcomer reads the modules in this order; each uses only those before it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test says what is wrong by failing"
    )
)]

pub mod memory;

pub mod abi;

pub mod host;

pub mod descriptor;

pub mod ctx;

pub mod preview1;

pub mod preview2;
