//! Everything that one WASI instance owns.

use crate::descriptor::{SharedTable, Table};
use crate::host::readiness::Waiting;
use crate::host::{Budget, Quota, SeededRandom, VirtualClocks};
use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

/// The strings of `args_get` and `environ_get`: each with its terminator, one behind the other.
#[derive(Debug, Default)]
pub struct StringArray {
    bytes: Vec<u8>,
    /// The offset of each string.
    starts: Vec<u32>,
}

impl StringArray {
    /// Takes strings that each end in NUL. Bytes behind the last NUL are dropped, and so are
    /// strings that no guest memory could hold.
    #[must_use]
    pub fn from_terminated(mut bytes: Vec<u8>) -> Self {
        let end = bytes.iter().rposition(|byte| *byte == 0).map_or(0, |at| at.saturating_add(1));
        bytes.truncate(end);
        if u32::try_from(end).is_err() {
            bytes.clear();
        }
        let mut starts = Vec::new();
        let mut at = 0_u32;
        for string in bytes.split_inclusive(|byte| *byte == 0) {
            starts.push(at);
            at = at.saturating_add(u32::try_from(string.len()).unwrap_or(u32::MAX));
        }
        Self { bytes, starts }
    }

    /// The number of strings, and of their bytes with the terminators. Both are below 2^32, because
    /// [`Self::from_terminated`] drops the rest.
    #[must_use]
    pub fn sizes(&self) -> (u32, u32) {
        let number = |len| u32::try_from(len).unwrap_or(u32::MAX);
        (number(self.starts.len()), number(self.bytes.len()))
    }

    /// The offset of each string, in bytes.
    #[must_use]
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// All strings with their terminators.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A WASI instance as one thread sees it: arguments, environment and descriptors.
#[derive(Default)]
pub struct Ctx {
    /// The command-line arguments.
    pub args: Arc<StringArray>,
    /// The environment, as `NAME=value`.
    pub environ: Arc<StringArray>,
    /// The descriptors.
    pub table: Table,
    /// The memory that is left for listings of directories.
    pub listings: Arc<Budget>,
    /// The limits on what the guest writes and lists, if there are any.
    pub quota: Option<Arc<Quota>>,
    /// The clocks that the embedder sets.
    pub clocks: Option<Arc<VirtualClocks>>,
    /// The generator that the embedder seeds.
    pub random: Option<Arc<SeededRandom>>,
    /// State that a call keeps between two slices, beside its number in `resume`. The call may be
    /// abandoned between them, so the first slice of a call that uses this drops what it finds.
    pub parked: Cell<Option<Box<dyn Any + Send>>>,
    /// Whether a call that would have to wait leaves the condition in `waiting` and answers that it
    /// would wait.
    pub suspends: bool,
    /// The condition for which the last call would have had to wait.
    pub waiting: Cell<Option<Box<Waiting>>>,
}

/// The parts of an instance that the threads of one guest share.
#[derive(Clone)]
pub struct SharedCtx {
    args: Arc<StringArray>,
    environ: Arc<StringArray>,
    table: SharedTable,
    listings: Arc<Budget>,
    quota: Option<Arc<Quota>>,
    clocks: Option<Arc<VirtualClocks>>,
    random: Option<Arc<SeededRandom>>,
}

const _: () = {
    const fn goes_to_other_threads<T: Send + Sync>() {}
    goes_to_other_threads::<SharedCtx>();
};

impl Ctx {
    /// A handle by which another thread gets at the same instance.
    #[must_use]
    pub fn share(&self) -> SharedCtx {
        SharedCtx {
            args: Arc::clone(&self.args),
            environ: Arc::clone(&self.environ),
            table: self.table.share(),
            listings: Arc::clone(&self.listings),
            quota: self.quota.clone(),
            clocks: self.clocks.clone(),
            random: self.random.clone(),
        }
    }
}

impl From<SharedCtx> for Ctx {
    fn from(shared: SharedCtx) -> Self {
        Self {
            args: shared.args,
            environ: shared.environ,
            table: shared.table.into(),
            listings: shared.listings,
            quota: shared.quota,
            clocks: shared.clocks,
            random: shared.random,
            parked: Cell::default(),
            // Each thread of a guest with threads blocks when it waits.
            suspends: false,
            waiting: Cell::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_in_their_terminators() {
        for (bytes, kept, starts) in [
            (&b""[..], &b""[..], &[][..]),
            (b"\0", b"\0", &[0]),
            (b"a\0", b"a\0", &[0]),
            (b"a\0\0bc\0", b"a\0\0bc\0", &[0, 2, 3]),
            (b"a\0unfinished", b"a\0", &[0]),
            (b"unfinished", b"", &[]),
        ] {
            let made = StringArray::from_terminated(bytes.to_vec());
            assert_eq!((made.bytes(), made.starts()), (kept, starts));
        }
    }
}
