//! From the core parameters of a call to arguments, and from results to result areas.

use super::area::{Area, Payload, Stored};
use super::{Call, CallError, Result, Trap};
use crate::memory::{GuestMemory, Region};

/// How many argument slots a call has, as in preview1.
pub use crate::preview1::SLOTS;

/// A parameter of a function.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The specification's name, with `_` for `-`.
    pub name: &'static str,
    /// Its core parameters: `i` is an i32, `I` an i64, `h` a handle, `ii` a pointer with its
    /// length, and `T` the three of a `new-timestamp` (a case, seconds, nanoseconds), which lie in
    /// two slots: the case and the nanoseconds share the first.
    pub core_params: &'static str,
    /// Of a handle, the resource; of a pointer, `path` or `bytes`.
    pub kind: &'static str,
}

/// A function of 0.2.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its interface, without a version.
    pub interface: &'static str,
    /// Its name in the interface.
    pub name: &'static str,
    /// The name of the native function, which no other has.
    pub native: &'static str,
    /// Its parameters, without the pointer to the result area.
    pub parameters: &'static [Parameter],
    /// How its result travels.
    pub result: Shape,
    /// Calls it.
    pub call: fn(&Call<'_>, &[u64; SLOTS]) -> Result<Left>,
}

/// How a result travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The core result: `i`, `I`, or none.
    pub core: &'static str,
    /// The size of the result area in bytes, to which the last core parameter points; 0 if there is
    /// none.
    pub area: u32,
    /// Where in the result area a handle of the function's own lies, for which Rust leaves a rep.
    pub own: Option<u32>,
    /// Whether there are lists for which the guest has to be asked for memory.
    pub lists: bool,
    /// Whether an error is a resource, for which Rust leaves a rep, and where its handle lies.
    pub error: Option<u32>,
}

impl Shape {
    /// Nothing.
    pub const NONE: Self = Self { core: "", area: 0, own: None, lists: false, error: None };
}

/// The results of a call beside those in the memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// A core result, or a rep for which JavaScript makes a handle.
    pub value: u64,
    /// The memory that the guest is asked for: the arguments of `realloc`. Its alignment is 0 where
    /// nothing is asked for.
    pub realloc: [u32; 4],
    /// Whether `value` is the rep of an error.
    pub failed: bool,
}

impl Left {
    /// A value.
    #[must_use]
    pub fn value(value: u64) -> Self {
        Self { value, ..Self::default() }
    }
}

/// The argument slots of a call, taken one after the other.
pub(super) struct CoreParams<'a> {
    slots: std::slice::Iter<'a, u64>,
}

impl<'a> CoreParams<'a> {
    pub(super) fn new(slots: &'a [u64; SLOTS]) -> Self {
        Self { slots: slots.iter() }
    }

    pub(super) fn i64(&mut self) -> u64 {
        self.slots.next().copied().unwrap_or(0)
    }

    /// The upper half of an i32's slot holds nothing.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(super) fn i32(&mut self) -> u32 {
        self.i64() as u32
    }
}

/// A parameter of a handler.
pub(super) trait Param<'m>: Sized {
    const CORE_PARAMS: &'static str;
    const KIND: &'static str = "";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Self>;
}

impl Param<'_> for u32 {
    const CORE_PARAMS: &'static str = "i";
    fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
        Ok(core_params.i32())
    }
}

impl Param<'_> for u64 {
    const CORE_PARAMS: &'static str = "I";
    fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
        Ok(core_params.i64())
    }
}

/// A range of the memory. An empty one may begin anywhere.
fn region<'m>(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Region<'m>> {
    let (offset, len) = (core_params.i32(), core_params.i32());
    Ok(memory.region(if len == 0 { 0 } else { offset }, len)?)
}

/// A string of the guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'m>(pub(super) Region<'m>);

impl<'m> Param<'m> for Text<'m> {
    const CORE_PARAMS: &'static str = "ii";
    const KIND: &'static str = "path";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Self> {
        region(core_params, memory).map(Self)
    }
}

/// A list of bytes of the guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'m>(pub(super) Region<'m>);

impl<'m> Param<'m> for Bytes<'m> {
    const CORE_PARAMS: &'static str = "ii";
    const KIND: &'static str = "bytes";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Self> {
        region(core_params, memory).map(Self)
    }
}

/// A `new-timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    NoChange,
    Now,
    At { seconds: u64, nanoseconds: u32 },
}

impl Param<'_> for Times {
    const CORE_PARAMS: &'static str = "T";
    fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
        let (first, seconds) = (core_params.i64(), core_params.i64());
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let (case, nanoseconds) = (first as u32, (first >> u32::BITS) as u32);
        match case {
            0 => Ok(Self::NoChange),
            1 => Ok(Self::Now),
            2 => Ok(Self::At { seconds, nanoseconds }),
            _ => Err(Trap::Argument.into()),
        }
    }
}

/// A result of a handler.
pub(super) trait Output: Sized {
    const SHAPE: Shape;
    /// `at` is the pointer to the result area, which has been checked.
    fn leave(result: Result<Self>, call: &Call<'_>, at: u32) -> Result<Left>;
}

/// An error for which the interface has no word.
pub(super) fn no_word(error: CallError) -> CallError {
    match error {
        CallError::Errno(_) | CallError::Closed => Trap::UnknownHandle.into(),
        error => error,
    }
}

impl Output for () {
    const SHAPE: Shape = Shape::NONE;
    fn leave(result: Result<Self>, _: &Call<'_>, _: u32) -> Result<Left> {
        result.map(|()| Left::default()).map_err(no_word)
    }
}

impl Output for u64 {
    const SHAPE: Shape = Shape { core: "I", ..Shape::NONE };
    fn leave(result: Result<Self>, _: &Call<'_>, _: u32) -> Result<Left> {
        result.map(Left::value).map_err(no_word)
    }
}

impl Output for bool {
    const SHAPE: Shape = Shape { core: "i", ..Shape::NONE };
    fn leave(result: Result<Self>, _: &Call<'_>, _: u32) -> Result<Left> {
        result.map(|value| Left::value(value.into())).map_err(no_word)
    }
}

/// Puts a payload into a result area, with what stands before it there.
#[inline]
pub(super) fn store<P: Payload>(
    payload: P,
    call: &Call<'_>,
    mut area: Area,
    at: usize,
) -> Result<Left> {
    match payload.store(call, &mut area, at)? {
        Stored::Now(left) => {
            area.write(call)?;
            Ok(left)
        }
        Stored::Later(pending) => area.ask(call, pending),
    }
}

/// A function as a type, for whoever wants code that is made for it alone.
pub trait Entry {
    /// The function.
    const FUNCTION: Function;

    /// Calls it with one slot per core parameter.
    ///
    /// # Errors
    /// As the function, where its interface has no error of its own.
    fn call(call: &Call<'_>, slots: &[u64; SLOTS]) -> Result<Left>;
}

/// A computation over the functions, as types: see [`super::each`].
pub trait Visitor {
    /// The result for one function.
    type Made;

    /// Makes it.
    fn visit<E: Entry>() -> Self::Made;
}

/// Makes the table of functions.
macro_rules! functions {
    ($([$interface:literal] $($name:literal $native:ident = $family:ident :: $handler:ident
        ($($param:ident: $type:ty),*) -> $output:ty;)*)*) => {
        #[allow(non_camel_case_types, reason = "the names of functions")]
        mod entry {
            $($(pub(super) struct $native;)*)*
        }

        $($(impl glue::Entry for entry::$native {
            const FUNCTION: Function = Function {
                interface: $interface,
                name: $name,
                native: stringify!($native),
                parameters: &[$(Parameter {
                    name: stringify!($param),
                    core_params: <$type as glue::Param<'_>>::CORE_PARAMS,
                    kind: <$type as glue::Param<'_>>::KIND,
                },)*],
                result: <$output as glue::Output>::SHAPE,
                call: Self::call,
            };

            fn call(call: &Call<'_>, slots: &[u64; SLOTS]) -> Result<Left> {
                #[allow(unused_mut, unused_variables, reason = "a function may have no parameters")]
                let mut core_params = glue::CoreParams::new(slots);
                $(let $param = <$type as glue::Param<'_>>::take(&mut core_params, call.memory)?;)*
                let shape = <$output as glue::Output>::SHAPE;
                let at = if shape.area == 0 { 0 } else { core_params.i32() };
                if shape.area != 0 {
                    call.memory.region(at, shape.area)?;
                }
                <$output as glue::Output>::leave($family::$handler(call, $($param),*), call, at)
            }
        })*)*

        /// All functions, to look one up by its name.
        pub static FUNCTIONS: &[Function] =
            &[$($(<entry::$native as glue::Entry>::FUNCTION,)*)*];

        /// The results of a visitor for all functions, in the order of [`FUNCTIONS`].
        #[must_use]
        pub fn each<V: glue::Visitor>() -> Vec<V::Made> {
            vec![$($(V::visit::<entry::$native>(),)*)*]
        }
    };
}

pub(super) use functions;
