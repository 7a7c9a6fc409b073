//! The resources that a component holds by handles: a slab for each instance.
//!
//! A handle is a number in one of the component's tables. The table maps it to a rep, a number of
//! ours. The rep has the kind of the resource, its place in the slab, and the generation of the
//! place. So a rep that is forged, dropped or of another kind is found out.
//!
//! ```text
//! 29    27 26        18 17                 0
//!  kind   | generation | place
//! ```
//!
//! Resources hold what they came from: a stream its file, a pollable its stream. So they can be
//! dropped in any order.

use super::area::{HashValue, Pending};
use super::glue::{CoreParams, Param};
use super::poll::Pollable;
use super::streams::{Held, Input, Output};
use super::{Call, Result, Trap};
use crate::abi::{Errno, Fd};
use crate::ctx::{Ctx, StringArray};
use crate::host::{Budget, Lease};
use crate::memory::GuestMemory;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

const PLACE_BITS: u32 = 18;
const GENERATION_BITS: u32 = 9;
const KIND_SHIFT: u32 = PLACE_BITS + GENERATION_BITS;

/// How many resources an instance has at most.
const MOST: usize = 1 << PLACE_BITS;

/// The kind of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// `wasi:io/error`
    Error = 1,
    /// `wasi:io/poll`
    Pollable = 2,
    /// `wasi:io/streams`
    InputStream = 3,
    /// `wasi:io/streams`
    OutputStream = 4,
    /// `wasi:filesystem/types`
    Descriptor = 5,
    /// `wasi:filesystem/types`
    DirectoryEntryStream = 6,
    /// `wasi:cli/terminal-input` and `wasi:cli/terminal-output`
    Terminal = 7,
}

/// A number of a descriptor in the instance's table, which only the slab knows. The descriptor is
/// closed when nothing holds the number any more.
pub(super) struct OpenFile {
    pub(super) fd: Fd,
    /// Whether the host's descriptor appends now: see `streams`.
    pub(super) appends: Cell<bool>,
    /// The serial number and the device, once they were told, of a file that keeps them.
    pub(super) identity: Cell<Option<HashValue>>,
    /// Where the number goes to be closed, unless it stays open as long as the instance.
    closed: Option<Rc<RefCell<Vec<Fd>>>>,
    /// The bytes that its streams have not written yet, from the first stream on that may have to wait.
    held: OnceCell<Rc<Held>>,
}

impl OpenFile {
    fn new(fd: Fd, closed: Option<Rc<RefCell<Vec<Fd>>>>) -> Self {
        let (appends, identity) = (Cell::new(false), Cell::new(None));
        Self { fd, appends, identity, closed, held: OnceCell::new() }
    }

    /// The bytes that its streams have not written yet.
    pub(super) fn held(&self, state: &State) -> &Rc<Held> {
        self.held.get_or_init(|| Rc::new(Held::new(&state.held)))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let Some(closed) = &self.closed {
            closed.borrow_mut().push(self.fd);
        }
    }
}

/// A listing of a directory.
pub(super) struct Listing {
    pub(super) file: Rc<OpenFile>,
    /// Where the host goes on.
    pub(super) cookie: Cell<u64>,
    /// Entries that the host has given and the guest has not taken: the type and the name.
    pub(super) entries: RefCell<std::collections::VecDeque<(u8, Box<[u8]>)>>,
    /// Their share of the instance's memory for listings.
    pub(super) lease: RefCell<Lease>,
    pub(super) ended: Cell<bool>,
}

pub(super) enum Resource {
    Error(Errno),
    Pollable(Rc<Pollable>),
    Input(Rc<Input>),
    Output(Rc<Output>),
    Descriptor(Rc<OpenFile>),
    Listing(Rc<Listing>),
    Terminal,
}

impl Resource {
    fn kind(&self) -> Kind {
        match self {
            Self::Error(_) => Kind::Error,
            Self::Pollable(_) => Kind::Pollable,
            Self::Input(_) => Kind::InputStream,
            Self::Output(_) => Kind::OutputStream,
            Self::Descriptor(_) => Kind::Descriptor,
            Self::Listing(_) => Kind::DirectoryEntryStream,
            Self::Terminal => Kind::Terminal,
        }
    }
}

#[derive(Default)]
struct Place {
    generation: u32,
    resource: Option<Resource>,
}

#[derive(Default)]
struct Slab {
    places: Vec<Place>,
    free: Vec<u32>,
}

/// The state of an instance for 0.2.
#[derive(Default)]
pub struct State {
    slab: RefCell<Slab>,
    /// Descriptors that nothing holds any more.
    closed: Rc<RefCell<Vec<Fd>>>,
    /// The results of the last call for which the guest is being asked for memory.
    pub(super) pending: RefCell<Option<Pending>>,
    /// The memory for what streams have not written yet.
    held: Arc<Budget>,
    /// The standard streams, from their first use on.
    standard: [OnceCell<Rc<OpenFile>>; 3],
    /// Standard streams whose embedder has not taken what was written, as bits by their numbers.
    busy: Cell<u32>,
    /// The buffer that streams read into.
    pub(super) buffer: RefCell<Vec<u8>>,
    /// Instead of the instance's own.
    args: RefCell<Option<Arc<StringArray>>>,
    environ: RefCell<Option<Arc<StringArray>>>,
    cwd: RefCell<Option<Box<str>>>,
    /// The numbers of the preopened directories, unless they are those that the instance began
    /// with.
    preopens: RefCell<Option<Vec<Fd>>>,
}

impl State {
    /// Gives a resource a rep.
    pub(super) fn add(&self, resource: Resource) -> Result<u32> {
        let slab = &mut *self.slab.borrow_mut();
        let kind = resource.kind() as u32;
        let place = match slab.free.pop() {
            Some(place) => place,
            None if slab.places.len() >= MOST => return Err(Trap::TooManyHandles.into()),
            None => {
                slab.places.push(Place::default());
                u32::try_from(slab.places.len().saturating_sub(1)).unwrap_or(u32::MAX)
            }
        };
        let Some(entry) = slab.places.get_mut(place as usize) else {
            return Err(Trap::TooManyHandles.into());
        };
        entry.resource = Some(resource);
        Ok(kind << KIND_SHIFT | entry.generation << PLACE_BITS | place)
    }

    /// Looks at the resource of a rep. What is looked at must not add or drop one.
    fn with<T>(&self, rep: u32, look: impl FnOnce(&Resource) -> Option<T>) -> Option<T> {
        let slab = self.slab.borrow();
        let entry = slab.places.get((rep & ((1 << PLACE_BITS) - 1)) as usize)?;
        let resource = entry.resource.as_ref()?;
        let expected = (resource.kind() as u32) << GENERATION_BITS | entry.generation;
        if rep >> PLACE_BITS == expected { look(resource) } else { None }
    }

    /// A rep of an output stream that forgets what it takes; none if there are too many resources.
    pub fn sink(&self) -> Option<u32> {
        self.add(Resource::Output(Rc::new(Output::sink()))).ok()
    }

    /// Drops a resource. A rep that stands for nothing is passed over: false.
    pub fn release(&self, ctx: &Ctx, rep: u32) -> bool {
        let found = self.with(rep, |_| Some(())).is_some();
        if found {
            let place = rep & ((1 << PLACE_BITS) - 1);
            let resource = {
                let slab = &mut *self.slab.borrow_mut();
                slab.places.get_mut(place as usize).and_then(|entry| {
                    entry.generation =
                        entry.generation.wrapping_add(1) & ((1 << GENERATION_BITS) - 1);
                    slab.free.push(place);
                    entry.resource.take()
                })
            };
            if let Some(Resource::Output(stream)) = &resource {
                super::streams::last_attempt(ctx, stream);
            }
            drop(resource);
            self.close_files(ctx);
        }
        found
    }

    /// Closes the descriptors that nothing holds any more.
    pub(super) fn close_files(&self, ctx: &Ctx) {
        loop {
            let Some(fd) = self.closed.borrow_mut().pop() else { return };
            // A closed table has closed it already.
            let _ = ctx.table.remove(fd);
        }
    }

    /// Drops everything. Reps that were given before stand for nothing from now on.
    pub fn close(&self, ctx: &Ctx) {
        let places = {
            let slab = &mut *self.slab.borrow_mut();
            let mut dropped = Vec::new();
            slab.free.clear();
            for (place, entry) in slab.places.iter_mut().enumerate() {
                if entry.resource.is_some() {
                    entry.generation =
                        entry.generation.wrapping_add(1) & ((1 << GENERATION_BITS) - 1);
                }
                dropped.extend(entry.resource.take());
                slab.free.extend(u32::try_from(place));
            }
            dropped
        };
        for resource in &places {
            if let Resource::Output(stream) = resource {
                super::streams::last_attempt(ctx, stream);
            }
        }
        drop(places);
        // Streams that were dropped may have left something.
        for file in self.standard.iter().filter_map(OnceCell::get) {
            let stream = Output::of_stream(Rc::clone(file), self);
            super::streams::last_attempt(ctx, &stream);
            stream.forget();
        }
        drop(self.pending.take());
        self.close_files(ctx);
    }

    /// How many resources there are.
    #[must_use]
    pub fn live(&self) -> usize {
        let slab = self.slab.borrow();
        slab.places.len().saturating_sub(slab.free.len())
    }

    /// A descriptor that was opened, to be closed when nothing holds it any more.
    pub(super) fn opened(&self, fd: Fd) -> Rc<OpenFile> {
        Rc::new(OpenFile::new(fd, Some(Rc::clone(&self.closed))))
    }

    /// A descriptor that stays open as long as the instance.
    pub(super) fn lent(fd: Fd) -> Rc<OpenFile> {
        Rc::new(OpenFile::new(fd, None))
    }

    /// A standard stream, the same one for all who ask.
    pub(super) fn standard(&self, fd: Fd) -> Rc<OpenFile> {
        let file = usize::try_from(fd).ok().and_then(|index| self.standard.get(index));
        file.map_or_else(|| Self::lent(fd), |file| Rc::clone(file.get_or_init(|| Self::lent(fd))))
    }

    pub(super) fn args(&self, ctx: &Ctx) -> Arc<StringArray> {
        self.args.borrow().as_ref().map_or_else(|| Arc::clone(&ctx.args), Arc::clone)
    }

    pub(super) fn environ(&self, ctx: &Ctx) -> Arc<StringArray> {
        self.environ.borrow().as_ref().map_or_else(|| Arc::clone(&ctx.environ), Arc::clone)
    }

    pub(super) fn cwd(&self) -> Option<Box<str>> {
        self.cwd.borrow().clone()
    }

    /// Gives the guest other arguments from now on.
    pub fn set_args(&self, args: StringArray) {
        *self.args.borrow_mut() = Some(Arc::new(args));
    }

    /// Gives the guest another environment from now on.
    pub fn set_environ(&self, environ: StringArray) {
        *self.environ.borrow_mut() = Some(Arc::new(environ));
    }

    /// Says where the guest stands.
    pub fn set_cwd(&self, cwd: Option<String>) {
        *self.cwd.borrow_mut() = cwd.map(String::into_boxed_str);
    }

    /// Gives the guest these of the table's directories from now on. What it has of the others
    /// stays open.
    pub fn set_preopens(&self, numbers: Vec<Fd>) {
        *self.preopens.borrow_mut() = Some(numbers);
    }

    /// Says which standard streams have not taken what was written, as bits by their numbers. Until
    /// they have, nothing may be written to them.
    pub fn set_busy(&self, streams: u32) {
        self.busy.set(streams);
    }

    pub(super) fn is_busy(&self, fd: Fd) -> bool {
        self.busy.get().checked_shr(fd).is_some_and(|streams| streams & 1 != 0)
    }

    /// The numbers of the preopened directories.
    #[must_use]
    pub fn preopens(&self, ctx: &Ctx) -> Vec<Fd> {
        if let Some(numbers) = &*self.preopens.borrow() {
            return numbers.clone();
        }
        let is_preopen =
            |fd: &Fd| ctx.table.get(*fd).is_ok_and(|found| found.preopen_name().is_some());
        let numbers: Vec<Fd> = (3..Fd::MAX).take_while(is_preopen).collect();
        // Descriptors that are opened later get the numbers behind them.
        *self.preopens.borrow_mut() = Some(numbers.clone());
        numbers
    }
}

macro_rules! reps {
    ($($rep:ident $kind:literal $get:ident $resource:ident $type:ty, $missing:expr;)*) => { $(
        /// A rep of a resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $rep(pub(super) u32);

        impl Param<'_> for $rep {
            const CORE_PARAMS: &'static str = "h";
            const KIND: &'static str = $kind;
            fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
                Ok(Self(core_params.i32()))
            }
        }

        impl Call<'_> {
            /// The resource of a rep.
            #[inline]
            pub(super) fn $get(&self, rep: $rep) -> Result<$type> {
                self.state
                    .with(rep.0, |resource| match resource {
                        Resource::$resource(found) => Some(found.clone()),
                        _ => None,
                    })
                    .ok_or_else(|| $missing.into())
            }
        }
    )* };
}

reps! {
    DescriptorRep "descriptor" file Descriptor Rc<OpenFile>, Errno::Badf;
    InputRep "input-stream" input Input Rc<Input>, super::CallError::Closed;
    OutputRep "output-stream" output Output Rc<Output>, super::CallError::Closed;
    PollableRep "pollable" pollable Pollable Rc<Pollable>, Trap::UnknownHandle;
    ErrorRep "error" error Error Errno, Trap::UnknownHandle;
    ListingRep "directory-entry-stream" listing Listing Rc<Listing>, Errno::Badf;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Errno;

    #[test]
    fn a_rep_says_what_it_stands_for() {
        let (state, ctx) = (State::default(), Ctx::default());
        let one = state.add(Resource::Error(Errno::Io)).unwrap();
        let other = state.add(Resource::Terminal).unwrap();
        assert_ne!(one, other);
        assert_eq!(state.live(), 2);
        let is_there = |rep| state.with(rep, |_| Some(())).is_some();
        assert!(is_there(one) && is_there(other));
        for kind in 0..8 {
            let forged = one & !(7 << KIND_SHIFT) | kind << KIND_SHIFT;
            assert_eq!(is_there(forged), forged == one, "{kind}");
        }
        for forged in [0, 1, 2, 3, u32::MAX, one | 1 << 30, one ^ 1 << PLACE_BITS, one + 7] {
            assert!(!is_there(forged) && !state.release(&ctx, forged), "{forged:#x}");
        }
        assert!(state.release(&ctx, one));
        assert!(!is_there(one) && !state.release(&ctx, one), "dropped twice");
        let again = state.add(Resource::Error(Errno::Io)).unwrap();
        assert_ne!(again, one, "the place has another generation");
        assert!(!is_there(one) && is_there(again));
        state.close(&ctx);
        assert_eq!(state.live(), 0);
        assert!(!is_there(again) && !is_there(other));
    }

    #[test]
    fn a_slab_has_an_end_and_keeps_nothing() {
        let (state, ctx) = (State::default(), Ctx::default());
        let reps: Vec<u32> = (0..MOST).map(|_| state.add(Resource::Terminal).unwrap()).collect();
        assert!(reps.iter().all(|rep| rep >> 30 == 0 && *rep != 0));
        assert_eq!(
            state.add(Resource::Terminal),
            Err(super::super::CallError::Trap(Trap::TooManyHandles))
        );
        for rep in reps {
            assert!(state.release(&ctx, rep));
        }
        assert_eq!(state.live(), 0);
        for _ in 0..10_000 {
            let rep = state.add(Resource::Terminal).unwrap();
            assert!(state.release(&ctx, rep));
        }
        assert_eq!(state.slab.borrow().places.len(), MOST);
    }
}
