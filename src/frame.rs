//! The call frame: memory that an environment's JavaScript and Rust share.
//!
//! ```text
//!   0 argument slots, 10 x 8 bytes: an i32 in the lower half, an i64 in the whole
//!  80 instance u32 |  84 continues u32
//!  88 outcome u32  |  92 memory u32
//!  96 resume u64
//! 104 created: instance, arguments, their size, environment, its size (u32 each) | 124 waits u32
//! 104 left: value u64, or a pointer u32 and a size u32 | align u32, size u32
//! ```
//! JavaScript fills the slots and the instance and calls; Rust fills the outcome. `resume` is
//! Rust's own: it is still there when JavaScript makes the same call again, which it says by
//! `continues`. For a suspended call, JavaScript keeps `resume` and puts it back. A call of 0.2
//! names one of the instance's memories, and leaves a value or what the guest's `realloc` is to be
//! asked for.

use std::cell::Cell;
use wasi_rs_core::preview1::SLOTS;
use wasi_rs_core::preview2::Left;

/// The frame's layout.
#[repr(C)]
pub(super) struct Frame {
    pub(super) slots: [u64; SLOTS],
    pub(super) instance: u32,
    continues: Cell<u32>,
    pub(super) outcome: Cell<u32>,
    pub(super) memory: u32,
    resume: Cell<u64>,
    created: [Cell<u32>; 5],
    waits: Cell<u32>,
}

impl Frame {
    /// The function's progress in earlier slices. If this call continues none, the progress is
    /// cleared: an earlier call may have been abandoned between two slices, and this one must not
    /// take its progress for its own.
    pub(super) fn resume(&self) -> &Cell<u64> {
        if !self.continues() {
            self.resume.set(0);
        }
        &self.resume
    }

    /// Whether this call is not the first of its slices.
    pub(super) fn continues(&self) -> bool {
        self.continues.get() != 0
    }

    /// The call is over: the next one is the first of its slices unless JavaScript says otherwise.
    pub(super) fn end(&self) {
        self.continues.set(0);
    }

    /// Tells JavaScript what the call would wait for, as bits: the host, what the embedder's stream
    /// gives, and that it takes.
    pub(super) fn set_waits(&self, host: bool, input: bool, output: bool) {
        self.waits.set(u32::from(host) | u32::from(input) << 1 | u32::from(output) << 2);
    }

    /// Tells JavaScript of an instance that was made: its number, and the counts and sizes of
    /// arguments and environment.
    pub(super) fn set_created(&self, instance: u32, args: (u32, u32), environ: (u32, u32)) {
        for (place, value) in
            self.created.iter().zip([instance, args.0, args.1, environ.0, environ.1])
        {
            place.set(value);
        }
    }
}

impl Frame {
    /// Leaves what a function of 0.2 gives beside what it wrote.
    pub(super) fn set_left(&self, left: &Left) {
        let [pointer, old_size, align, size] = left.realloc;
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let (low, high) = (left.value as u32, (left.value >> u32::BITS) as u32);
        let words = if align == 0 { [low, high, 0, 0] } else { [pointer, old_size, align, size] };
        for (place, word) in self.created.iter().zip(words) {
            place.set(word);
        }
    }
}

/// The frame's size in bytes.
pub(super) const FRAME_SIZE: usize = size_of::<Frame>();

const _: () = assert!(FRAME_SIZE == 128);

/// The index of a field in the frame as a `Uint32Array`.
#[allow(clippy::cast_possible_truncation, reason = "the frame has 128 bytes")]
const fn word(offset: usize) -> u32 {
    assert!(offset.is_multiple_of(4));
    (offset / 4) as u32
}

/// The fields that JavaScript reads and writes, by their index in the frame as a `Uint32Array`.
pub(crate) const PLACES: [(&str, u32); 7] = [
    ("INSTANCE", word(std::mem::offset_of!(Frame, instance))),
    ("CONTINUES", word(std::mem::offset_of!(Frame, continues))),
    ("OUTCOME", word(std::mem::offset_of!(Frame, outcome))),
    ("WAITS_FOR", word(std::mem::offset_of!(Frame, waits))),
    ("RESUME", word(std::mem::offset_of!(Frame, resume))),
    ("CREATED", word(std::mem::offset_of!(Frame, created))),
    ("NAMED_MEMORY", word(std::mem::offset_of!(Frame, memory))),
];

/// Outcomes that are no errno. `lib/guest.js` acts on them.
pub(super) mod outcome {
    /// It worked.
    pub(crate) const SUCCESS: u32 = 0;
    /// Call again with the same frame.
    pub(crate) const AGAIN: u32 = 256;
    /// A pointer lies past the memory as it is known: look whether it has grown.
    pub(crate) const MEMORY: u32 = 257;
    /// The guest exits with the code in the first slot.
    pub(crate) const EXIT: u32 = 258;
    /// It would have to wait, and the instance suspends.
    pub(crate) const WOULD_WAIT: u32 = 261;
    /// A fault of this package.
    pub(crate) const PANIC: u32 = 259;

    /// A function of the embedder's file system is to be called, and then this again: an errno that
    /// is none.
    pub(crate) const ASK: u32 = wasi_rs_core::abi::Errno::Ask as u32;
    /// The guest has written more than is kept of its output, and is to be ended: likewise.
    pub(crate) const FULL: u32 = wasi_rs_core::abi::Errno::Full as u32;
    /// A function of 0.2 failed, and left the rep of its error.
    pub(crate) const FAILED: u32 = 1;
    /// From here on: a guest of 0.2 broke the contract, in the way with this number.
    pub(crate) const TRAPS: u32 = 512;

    /// Those that JavaScript knows by name.
    pub(crate) const ALL: [(&str, u32); 8] = [
        ("AGAIN", AGAIN),
        ("MEMORY", MEMORY),
        ("EXIT", EXIT),
        ("ASK", ASK),
        ("WOULD_WAIT", WOULD_WAIT),
        ("FULL", FULL),
        ("FAILED", FAILED),
        ("TRAPS", TRAPS),
    ];
}
