//! Paths where the kernel has no `openat2`: the fallback is as good and as safe.

#![cfg(target_os = "linux")]
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

#[path = "preview1/advisories.rs"]
mod advisories;
#[path = "preview1/escape.rs"]
mod escape;
#[path = "preview1/mounts.rs"]
mod mounts;
#[path = "preview1/path.rs"]
mod path;
#[path = "preview1/read_only.rs"]
mod read_only;
#[path = "preview1/root.rs"]
mod root;
#[path = "support/seccomp.rs"]
mod seccomp;
mod support;

/// Before the first path is resolved, whichever test comes first.
fn prepare() {
    seccomp::refuse_openat2(libc::ENOSYS);
}

#[test]
fn openat2_is_asked_for_once_and_not_each_time() {
    seccomp::check_asked_once();
}
