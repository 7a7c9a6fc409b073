//! The call frame: memory that an environment's JavaScript and Rust share.
//!
//! ```text
//!   0 argument slots, 10 x 8 bytes: an i32 in the lower half, an i64 in the whole
//!  80 instance u32 |  84 -
//!  88 outcome u32  |  92 -
//!  96 resume u64   | 104 - | 128
//! ```
//! JavaScript fills the slots and the instance, clears `resume` and calls; Rust fills the outcome. From there on `resume` is Rust's own: it
//! is still there when JavaScript calls again.

use crate::preview1::SLOTS;
use std::cell::Cell;

/// The frame's layout.
#[repr(C)]
pub(super) struct Frame {
    pub(super) slots: [u64; SLOTS],
    pub(super) instance: u32,
    unused: u32,
    pub(super) outcome: Cell<u32>,
    unused_too: u32,
    pub(super) resume: Cell<u64>,
    reserved: [u64; 3],
}

/// The frame's size in bytes.
pub(super) const FRAME_SIZE: usize = size_of::<Frame>();

const _: () = assert!(FRAME_SIZE == 128);
const _: () = assert!(std::mem::offset_of!(Frame, instance) == 80);
const _: () = assert!(std::mem::offset_of!(Frame, outcome) == 88);
const _: () = assert!(std::mem::offset_of!(Frame, resume) == 96);

/// Outcomes that are no errno: what `index.js` does with them stands there.
pub(super) mod outcome {
    /// It worked.
    pub(in crate::binding) const SUCCESS: u32 = 0;
    /// Call again with the same frame.
    pub(in crate::binding) const AGAIN: u32 = 256;
    /// A pointer lies past the memory as it is known: look whether it has grown.
    pub(in crate::binding) const MEMORY: u32 = 257;
    /// The guest exits with the code in the first slot.
    pub(in crate::binding) const EXIT: u32 = 258;
    /// A fault of this package.
    pub(in crate::binding) const PANIC: u32 = 259;
}
