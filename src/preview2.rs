//! The functions of WASI 0.2 as functions of JavaScript, without arguments and results: as in
//! `imports.rs`. They are made when JavaScript first asks for them.

#![allow(
    unsafe_code,
    reason = "callbacks of Node-API, reached without the cost of its argument handling"
)]

use super::addon_instance::{AddonInstance, Instance};
use super::error::ConstructionError;
use super::frame::outcome;
use super::function;
use super::imports::{Callback, create_function, environment_of, object_of};
use super::options::{PreopenOptions, add_preopens};
use napi::bindgen_prelude::{Either, FunctionCallContext, JsObjectValue, Object};
use napi::{Env, Result, sys};
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use wasi_rs_core::ctx::StringArray;
use wasi_rs_core::memory::GuestMemory;
use wasi_rs_core::preview2::{
    CODES, Call, CallError, Entry, Function, Kind, Left, SLOTS, State, Trap, Visitor, each, place,
};

/// The state of an instance for 0.2.
#[derive(Default)]
pub(super) struct Preview2 {
    pub(super) state: State,
    memories: RefCell<Vec<Memory>>,
}

/// A memory. Calls name it by its index.
#[derive(Clone, Copy)]
struct Memory {
    base: *mut u8,
    len: usize,
}

/// How many memories an instance has at most.
const MOST_MEMORIES: usize = 1 << 16;

impl Preview2 {
    fn set_memory(&self, place: u32, memory: Memory) -> bool {
        let mut memories = self.memories.borrow_mut();
        let place = place as usize;
        if place >= MOST_MEMORIES {
            return false;
        }
        if memories.len() <= place {
            let none = Memory { base: ptr::null_mut(), len: 0 };
            memories.resize(place.saturating_add(1), none);
        }
        if let Some(found) = memories.get_mut(place) {
            *found = memory;
        }
        true
    }

    /// A memory by its index; an empty one where there is none.
    ///
    /// # Safety
    /// As [`Instance::memory`].
    unsafe fn memory<'a>(&self, place: u32) -> GuestMemory<'a> {
        let none = Memory { base: ptr::dangling_mut(), len: 0 };
        let memory = self.memories.borrow().get(place as usize).copied().unwrap_or(none);
        // SAFETY: the caller's promise.
        unsafe { GuestMemory::from_raw(memory.base, memory.len) }
    }
}

/// The functions' names and callbacks.
struct Callbacks;

impl Visitor for Callbacks {
    type Made = (&'static str, Callback);

    fn visit<E: Entry>() -> Self::Made {
        (E::FUNCTION.native, import_callback::<E>)
    }
}

/// The functions themselves.
struct Functions;

impl Visitor for Functions {
    type Made = Function;

    fn visit<E: Entry>() -> Function {
        E::FUNCTION
    }
}

/// `{ calls, place, release, setMemory, live, sink, setBusy, setStrings, setPreopens,
/// functions, kinds, codes, traps }`
pub(super) fn object<'env>(env: &Env, environment: &Rc<AddonInstance>) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    object.set_named_property("calls", object_of(env, environment, each::<Callbacks>())?)?;
    for (name, callback) in [
        // With the guest's pointer in slot 0.
        ("place", place_callback as Callback),
        // With the rep in slot 0; leaves whether it stood for something.
        ("release", release_callback),
        // (id, place, view) => undefined
        ("setMemory", set_memory_callback),
    ] {
        object.set_named_property(
            name,
            create_function(env, name, callback, Rc::clone(environment))?,
        )?;
    }

    // (id) => number: how many resources there are.
    let here = Rc::clone(environment);
    let live = move |call: FunctionCallContext<'_>| {
        let live = here.with_instance(call.get(0)?, |instance| instance.preview2().state.live());
        Ok(u32::try_from(live.unwrap_or(0)).unwrap_or(u32::MAX))
    };
    object.set_named_property("live", function(env, "live", live)?)?;

    // (id) => number: the rep of an output stream that forgets what it takes, or 0 if there is room
    // for none.
    let here = Rc::clone(environment);
    let sink = move |call: FunctionCallContext<'_>| {
        let rep = here.with_instance(call.get(0)?, |instance| instance.preview2().state.sink());
        Ok(rep.flatten().unwrap_or(0))
    };
    object.set_named_property("sink", function(env, "sink", sink)?)?;

    // (id, streams) => undefined: which standard streams have not taken what was written, as bits.
    let here = Rc::clone(environment);
    let set_busy = move |call: FunctionCallContext<'_>| {
        let streams: u32 = call.get(1)?;
        here.with_instance(call.get(0)?, |instance| instance.preview2().state.set_busy(streams));
        Ok(())
    };
    object.set_named_property("setBusy", function(env, "setBusy", set_busy)?)?;

    // (id, which, text) => undefined: arguments (0) or an environment (1), each ending in NUL, or
    // the working directory (2).
    let here = Rc::clone(environment);
    let set_strings = move |call: FunctionCallContext<'_>| {
        let (which, text): (u32, Option<String>) = (call.get(1)?, call.get(2)?);
        here.with_instance(call.get(0)?, |instance| {
            let state = &instance.preview2().state;
            let array = |text: Option<String>| {
                StringArray::from_terminated(text.unwrap_or_default().into_bytes())
            };
            match which {
                0 => state.set_args(array(text)),
                1 => state.set_environ(array(text)),
                _ => state.set_cwd(text),
            }
        });
        Ok(())
    };
    object.set_named_property("setStrings", function(env, "setStrings", set_strings)?)?;

    // (id, preopens, keep) => undefined | failure: other preopens from now on, or more of them.
    let here = Rc::clone(environment);
    let set_preopens = move |call: FunctionCallContext<'_>| {
        let preopens: Vec<PreopenOptions> = call.get(1)?;
        let keep: bool = call.get(2)?;
        let made = here.with_instance(call.get(0)?, |instance| {
            let state = &instance.preview2().state;
            let mut numbers = state.preopens(&instance.ctx);
            if !keep {
                numbers.clear();
            }
            numbers.extend(add_preopens(preopens, &instance.ctx)?);
            state.set_preopens(numbers);
            Ok::<(), ConstructionError>(())
        });
        Ok(match made {
            Some(Err(error)) => Either::A(error.failure()),
            _ => Either::B(()),
        })
    };
    object.set_named_property("setPreopens", function(env, "setPreopens", set_preopens)?)?;

    object.set_named_property("functions", functions(env)?)?;
    let mut kinds = Object::new(env)?;
    for (name, kind) in [
        ("error", Kind::Error),
        ("pollable", Kind::Pollable),
        ("input-stream", Kind::InputStream),
        ("output-stream", Kind::OutputStream),
        ("descriptor", Kind::Descriptor),
        ("directory-entry-stream", Kind::DirectoryEntryStream),
        ("terminal", Kind::Terminal),
    ] {
        kinds.set_named_property(name, kind as u32)?;
    }
    object.set_named_property("kinds", kinds)?;
    object.set_named_property("codes", CODES.to_vec())?;
    object
        .set_named_property("traps", Trap::ALL.iter().map(|(_, text)| *text).collect::<Vec<_>>())?;
    Ok(object)
}

/// The table: of each function `[interface, name, native, parameters, result]`.
fn functions<'env>(env: &Env) -> Result<Vec<Object<'env>>> {
    each::<Functions>()
        .into_iter()
        .map(|row| {
            let mut object = Object::new(env)?;
            object.set_named_property("interface", row.interface)?;
            object.set_named_property("name", row.name)?;
            object.set_named_property("native", row.native)?;
            let parameters: Vec<Vec<&str>> = row
                .parameters
                .iter()
                .map(|parameter| vec![parameter.name, parameter.core_params, parameter.kind])
                .collect();
            object.set_named_property("parameters", parameters)?;
            object.set_named_property("core", row.result.core)?;
            object.set_named_property("area", row.result.area)?;
            object.set_named_property("own", row.result.own)?;
            object.set_named_property("lists", row.result.lists)?;
            object.set_named_property("error", row.result.error)?;
            Ok(object)
        })
        .collect()
}

/// Makes the call that the frame describes.
unsafe extern "C" fn import_callback<E: Entry>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: made with an environment, which lives as long as the function that is being called.
    unsafe { with_call(env, info, E::call) };
    ptr::null_mut()
}

unsafe extern "C" fn place_callback(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: as above.
    unsafe { with_call(env, info, |call, slots| place(call, first(slots))) };
    ptr::null_mut()
}

unsafe extern "C" fn release_callback(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: as above.
    unsafe {
        with_call(env, info, |call, slots| {
            Ok(Left::value(call.state.release(call.ctx, first(slots)).into()))
        });
    };
    ptr::null_mut()
}

#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
fn first(slots: &[u64; SLOTS]) -> u32 {
    slots.first().map_or(0, |slot| *slot as u32)
}

/// # Safety
/// The callback must have been made with an environment.
// Once for all functions: compiled into each of them, as preview1's are, they would take half as
// much room again.
#[inline(never)]
unsafe fn with_call(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    act: fn(&Call<'_>, &[u64; SLOTS]) -> wasi_rs_core::preview2::Result<Left>,
) {
    // SAFETY: the caller's promise.
    let environment = unsafe { AddonInstance::first(env).or_else(|| environment_of(env, info)) };
    let Some(environment) = environment else { return };
    // SAFETY: JavaScript waits for the callback.
    let frame = unsafe { environment.frame() };
    let resume = frame.resume();
    let result = catch_unwind(AssertUnwindSafe(|| {
        environment.with_instance(frame.instance, |instance: &Instance| {
            let preview2 = instance.preview2();
            // SAFETY: JavaScript has handed a live memory over, and waits.
            let memory = unsafe { preview2.memory(frame.memory) };
            act(&Call { ctx: &instance.ctx, state: &preview2.state, memory, resume }, &frame.slots)
        })
    }));
    let outcome = match result {
        Ok(Some(Ok(left))) => {
            frame.set_left(&left);
            if left.failed { outcome::FAILED } else { outcome::SUCCESS }
        }
        Ok(Some(Err(error))) => match error {
            CallError::OutOfBounds => outcome::MEMORY,
            CallError::Again => outcome::AGAIN,
            CallError::WouldWait => {
                environment.tell_waits(frame.instance, frame);
                outcome::WOULD_WAIT
            }
            CallError::Exit(code) => {
                frame.set_left(&Left::value(code.into()));
                outcome::EXIT
            }
            CallError::Trap(trap) => outcome::TRAPS.saturating_add(trap as u32),
            CallError::Errno(_) | CallError::Closed => outcome::PANIC,
        },
        Ok(None) | Err(_) => outcome::PANIC,
    };
    frame.outcome.set(outcome);
    frame.end();
}

unsafe extern "C" fn set_memory_callback(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut args = [ptr::null_mut(); 3];
    let mut count = args.len();
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running callback, and the pointers are to locals.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            args.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    // SAFETY: made with an environment.
    let environment = unsafe { data.cast::<Rc<AddonInstance>>().as_ref() };
    let (Some(environment), true, 3) = (environment, status == sys::Status::napi_ok, count) else {
        return ptr::null_mut();
    };
    let [id_value, place_value, view] = args;
    let (mut id, mut place, mut kind, mut len) = (0, 0, 0, 0);
    let mut base: *mut c_void = ptr::null_mut();
    // SAFETY: the values are arguments of the running callback.
    let read = unsafe {
        sys::napi_get_value_uint32(env, id_value, &raw mut id) == sys::Status::napi_ok
            && sys::napi_get_value_uint32(env, place_value, &raw mut place) == sys::Status::napi_ok
            && sys::napi_get_typedarray_info(
                env,
                view,
                &raw mut kind,
                &raw mut len,
                &raw mut base,
                ptr::null_mut(),
                ptr::null_mut(),
            ) == sys::Status::napi_ok
            && kind == sys::TypedarrayType::uint8_array
    };
    let memory = Memory { base: base.cast(), len };
    let is_set = read
        && environment
            .with_instance(id, |instance| instance.preview2().set_memory(place, memory))
            .unwrap_or(false);
    if !is_set {
        // SAFETY: `env` is live, and the strings end in NUL.
        unsafe {
            sys::napi_throw_type_error(
                env,
                ptr::null(),
                c"setMemory takes an instance, a place and a Uint8Array".as_ptr(),
            )
        };
    }
    ptr::null_mut()
}
