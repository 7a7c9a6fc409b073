//! Decodes the core parameters of a call frame, and writes results to guest memory.

use super::{BufferArg, Call, IoVecsArg, PathArg, Result};
use crate::memory::{GuestMemory, GuestPtr, Record, Region};

/// How many argument slots a call has: `path_open` has nine parameters.
pub const SLOTS: usize = 10;

/// A parameter of a function, as the specification has it.
pub struct Parameter {
    /// The specification's name. The length of a pointer is called `NAME_len`.
    pub name: &'static str,
    /// The meaning of the value: `path`, or the name of a set of flags or an enumeration in
    /// [`crate::abi`], in lower case. Empty for a number.
    pub kind: &'static str,
    /// Its wasm parameters: `i` is an i32, `I` an i64; `ii` is a pointer with its length.
    pub core_params: &'static str,
}

/// A function of preview1.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, without the pointers to its results.
    pub parameters: &'static [Parameter],
    /// The names of its results. A pointer to each is passed after the parameters.
    pub results: &'static [&'static str],
    /// Its wasm parameters, piece by piece: `i` is an i32, `I` an i64. The result is always an i32.
    pub core_params: &'static [&'static str],
    /// Calls it with one slot per wasm parameter.
    pub call: fn(&Call<'_>, &[u64; SLOTS]) -> Result<()>,
}

impl Function {
    /// Its wasm parameters in one string.
    #[must_use]
    pub fn signature(&self) -> String {
        self.core_params.concat()
    }
}

/// The kind of a parameter: as its row in the table says, or else as its type says.
pub(super) const fn kind_of(said: &'static str, by_type: &'static str) -> &'static str {
    if said.is_empty() { by_type } else { said }
}

/// The argument slots of a call, taken one after the other.
pub(super) struct CoreParams<'a> {
    slots: std::slice::Iter<'a, u64>,
}

impl<'a> CoreParams<'a> {
    pub(super) fn new(slots: &'a [u64; SLOTS]) -> Self {
        Self { slots: slots.iter() }
    }

    fn i64(&mut self) -> u64 {
        self.slots.next().copied().unwrap_or(0)
    }

    /// The upper half of an i32's slot holds nothing.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    fn i32(&mut self) -> u32 {
        self.i64() as u32
    }
}

/// A parameter of a handler: one wasm parameter, or a pointer with its length.
pub(super) trait Param<'m>: Sized {
    const CORE_PARAMS: &'static str;
    /// As [`Parameter::kind`], where the type says it.
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

impl Param<'_> for i64 {
    const CORE_PARAMS: &'static str = "I";
    fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
        Ok(core_params.i64().cast_signed())
    }
}

impl<T> Param<'_> for GuestPtr<T> {
    const CORE_PARAMS: &'static str = "i";
    fn take(core_params: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<Self> {
        Ok(Self::new(core_params.i32()))
    }
}

fn region<'m>(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Region<'m>> {
    let (offset, len) = (core_params.i32(), core_params.i32());
    Ok(memory.region(offset, len)?)
}

impl<'m> Param<'m> for PathArg<'m> {
    const CORE_PARAMS: &'static str = "ii";
    const KIND: &'static str = "path";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Self> {
        region(core_params, memory).map(Self)
    }
}

impl<'m> Param<'m> for BufferArg<'m> {
    const CORE_PARAMS: &'static str = "ii";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'m>) -> Result<Self> {
        region(core_params, memory).map(Self)
    }
}

impl Param<'_> for IoVecsArg {
    const CORE_PARAMS: &'static str = "ii";
    fn take(core_params: &mut CoreParams<'_>, memory: GuestMemory<'_>) -> Result<Self> {
        let arg = Self { list: GuestPtr::new(core_params.i32()), len: core_params.i32() };
        memory.array(arg.list, arg.len)?;
        Ok(arg)
    }
}

/// A handler's results, and the pointers they go to: the last wasm parameters.
pub(super) trait Output<'m> {
    const CORE_PARAMS: &'static str;
    type OutPointers;
    fn out_pointers(
        core_params: &mut CoreParams<'_>,
        memory: GuestMemory<'m>,
    ) -> Result<Self::OutPointers>;
    fn write(&self, out_pointers: Self::OutPointers);
}

impl Output<'_> for () {
    const CORE_PARAMS: &'static str = "";
    type OutPointers = ();
    fn out_pointers(_: &mut CoreParams<'_>, _: GuestMemory<'_>) -> Result<()> {
        Ok(())
    }
    fn write(&self, (): ()) {}
}

impl<'m, T: Record> Output<'m> for T {
    const CORE_PARAMS: &'static str = "i";
    type OutPointers = Region<'m>;
    fn out_pointers(
        core_params: &mut CoreParams<'_>,
        memory: GuestMemory<'m>,
    ) -> Result<Region<'m>> {
        Ok(memory.region(core_params.i32(), T::SIZE)?)
    }
    fn write(&self, place: Region<'m>) {
        place.put(self);
    }
}

impl<'m, A: Record, B: Record> Output<'m> for (A, B) {
    const CORE_PARAMS: &'static str = "ii";
    type OutPointers = (Region<'m>, Region<'m>);
    fn out_pointers(
        core_params: &mut CoreParams<'_>,
        memory: GuestMemory<'m>,
    ) -> Result<Self::OutPointers> {
        Ok((memory.region(core_params.i32(), A::SIZE)?, memory.region(core_params.i32(), B::SIZE)?))
    }
    fn write(&self, (first, second): Self::OutPointers) {
        first.put(&self.0);
        second.put(&self.1);
    }
}

/// A function as a type, so that code can be compiled for it alone.
pub trait Entry {
    /// The function.
    const FUNCTION: Function;

    /// Calls it with one slot per wasm parameter.
    ///
    /// # Errors
    /// As the function.
    fn call(call: &Call<'_>, slots: &[u64; SLOTS]) -> Result<()>;
}

/// A computation over the functions, as types: see [`super::each`].
pub trait Visitor {
    /// The result for one function.
    type Made;

    /// Computes the result for one function.
    fn visit<E: Entry>() -> Self::Made;
}

/// Makes the table of functions. A row has the specification's names of parameters and results.
/// `as` names the flags or the enumeration that a number stands for.
macro_rules! functions {
    ($($name:ident = $family:ident :: $handler:ident
        ($($param:ident: $type:ty $(as $kind:ident)?),*) -> ($($result:ident: $output:ty),*);)*) => {
        #[allow(non_camel_case_types, reason = "the names of functions")]
        mod entry {
            $(pub(super) struct $name;)*
        }

        $(#[allow(unused_parens, reason = "one result makes no tuple")]
        impl glue::Entry for entry::$name {
            const FUNCTION: Function = Function {
                name: stringify!($name),
                parameters: &[$(glue::Parameter {
                    name: stringify!($param),
                    kind: glue::kind_of(concat!($(stringify!($kind))?), <$type as glue::Param<'_>>::KIND),
                    core_params: <$type as glue::Param<'_>>::CORE_PARAMS,
                },)*],
                results: &[$(stringify!($result),)*],
                core_params: &[$(<$type as glue::Param<'_>>::CORE_PARAMS,)* <($($output),*) as glue::Output<'_>>::CORE_PARAMS],
                call: Self::call,
            };

            fn call(call: &Call<'_>, slots: &[u64; glue::SLOTS]) -> Result<()> {
                #[allow(unused_mut, reason = "a function may have no parameters")]
                let mut core_params = glue::CoreParams::new(slots);
                $(let $param = <$type as glue::Param<'_>>::take(&mut core_params, call.memory)?;)*
                let out_pointers = <($($output),*) as glue::Output<'_>>::out_pointers(&mut core_params, call.memory)?;
                let output: ($($output),*) = $family::$handler(call, $($param),*)?;
                glue::Output::write(&output, out_pointers);
                Ok(())
            }
        })*

        /// All functions, to look one up by its name.
        pub static FUNCTIONS: &[Function] = &[$(<entry::$name as glue::Entry>::FUNCTION,)*];

        /// The results of a visitor for all functions, in the order of [`FUNCTIONS`].
        #[must_use]
        pub fn each<V: glue::Visitor>() -> Vec<V::Made> {
            vec![$(V::visit::<entry::$name>(),)*]
        }
    };
}

pub(super) use functions;
