//! The imports as functions of JavaScript, without arguments and results.

#![allow(unsafe_code, reason = "callbacks of Node-API, reached without the cost of its argument handling")]

use super::environment::Environment;
use super::frame::outcome;
use crate::preview1::{Call, FUNCTIONS, Function, Stop, snapshot0};
use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// What a callback finds behind its data pointer.
struct Import {
    environment: Rc<Environment>,
    function: &'static Function,
}

/// An object with the imports of preview1.
pub(super) fn functions<'env>(env: &'env Env, environment: &Rc<Environment>) -> Result<Object<'env>> {
    if environment.claim_first() {
        return object_of(env, environment, FUNCTIONS.iter().zip(FIRST_CALLBACKS.iter().copied()));
    }
    object_of(env, environment, FUNCTIONS.iter().map(|function| (function, import_callback as Callback)))
}

/// An object with those imports of snapshot 0 that differ from preview1's.
pub(super) fn snapshot0_functions<'env>(env: &'env Env, environment: &Rc<Environment>) -> Result<Object<'env>> {
    object_of(env, environment, snapshot0::FUNCTIONS.iter().map(|function| (function, import_callback as Callback)))
}

fn object_of<'env>(
    env: &'env Env,
    environment: &Rc<Environment>,
    functions: impl Iterator<Item = (&'static Function, Callback)>,
) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    for (function, callback) in functions {
        let import = Import { environment: Rc::clone(environment), function };
        object.set_named_property(function.name, create_function(env, function.name, callback, import)?)?;
    }
    Ok(object)
}

/// The function that hands a view of the guest's memory over: `(id, view) => undefined`.
pub(super) fn set_memory(env: &Env, environment: &Rc<Environment>) -> Result<Unknown<'static>> {
    create_function(env, "setMemory", set_memory_callback, Rc::clone(environment))
}

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// A function whose callback gets `data`, which is dropped with the function.
fn create_function<T: 'static>(env: &Env, name: &str, callback: Callback, data: T) -> Result<Unknown<'static>> {
    let data: *mut T = Box::into_raw(Box::new(data));
    let mut value = ptr::null_mut();
    let length = isize::try_from(name.len()).unwrap_or(0);
    // SAFETY: `env` is live, and the name is only read during the call.
    check_status!(unsafe {
        sys::napi_create_function(env.raw(), name.as_ptr().cast(), length, Some(callback), data.cast(), &raw mut value)
    })?;
    // SAFETY: `value` is a live function of `env`, and `drop_data` fits `data`.
    check_status!(unsafe {
        sys::napi_add_finalizer(env.raw(), value, data.cast(), Some(drop_data::<T>), ptr::null_mut(), ptr::null_mut())
    })?;
    // SAFETY: `value` is a live value of `env`.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

unsafe extern "C" fn drop_data<T>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `create_function` made `data` of a box, and the function that used it is gone.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// The data of a callback.
///
/// # Safety
/// The callback must have been made by [`create_function`] with data of type `T`.
unsafe fn data_of<'a, T>(env: sys::napi_env, info: sys::napi_callback_info) -> Option<&'a T> {
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running callback.
    let status = unsafe { sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &raw mut data) };
    // SAFETY: the data live as long as the function, which is being called.
    (status == sys::Status::napi_ok).then(|| unsafe { data.cast::<T>().as_ref() }).flatten()
}

unsafe extern "C" fn import_callback(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `functions` with an `Import`.
    if let Some(import) = unsafe { data_of::<Import>(env, info) } {
        call(&import.environment, import.function);
    }
    ptr::null_mut()
}

/// The callback of one function in the first environment of the process, which is nearly always the only one. It finds the environment
/// without asking Node-API for its data pointer, which takes a fifth of a short call.
unsafe extern "C" fn first_callback<const INDEX: usize>(_: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: only functions of the environment that claimed to be the first have this callback.
    if let (Some(environment), Some(function)) = (unsafe { Environment::first() }, FUNCTIONS.get(INDEX)) {
        call(environment, function);
    }
    ptr::null_mut()
}

macro_rules! first_callbacks {
    ($($index:literal)*) => {
        /// A callback for each function.
        static FIRST_CALLBACKS: &[Callback] = &[$(first_callback::<$index>,)*];
    };
}
first_callbacks! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45
}

/// Makes the call that the frame describes.
#[inline(always)]
#[allow(clippy::inline_always, reason = "so that each callback calls its function directly")]
fn call(environment: &Environment, function: &Function) {
    // SAFETY: JavaScript waits for the callback.
    let frame = unsafe { environment.frame() };
    let resume = frame.resume();
    let result = catch_unwind(AssertUnwindSafe(|| {
        environment.with_instance(frame.instance, |instance| {
            // SAFETY: JavaScript has handed a live memory over, and waits.
            let memory = unsafe { instance.memory() };
            let call = Call { ctx: &instance.ctx, memory, resume };
            (function.call)(&call, &frame.slots)
        })
    }));
    let outcome = match result {
        Ok(Some(Ok(()))) => outcome::SUCCESS,
        Ok(Some(Err(Stop::Errno(errno)))) => errno.code().into(),
        Ok(Some(Err(Stop::OutOfBounds))) => outcome::MEMORY,
        Ok(Some(Err(Stop::Again))) => outcome::AGAIN,
        Ok(Some(Err(Stop::Exit(_)))) => outcome::EXIT,
        Ok(None) | Err(_) => outcome::PANIC,
    };
    frame.outcome.set(outcome);
}

unsafe extern "C" fn set_memory_callback(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut args = [ptr::null_mut(); 2];
    let mut count = args.len();
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running callback, and the pointers are to locals.
    let status = unsafe { sys::napi_get_cb_info(env, info, &raw mut count, args.as_mut_ptr(), ptr::null_mut(), &raw mut data) };
    // SAFETY: made by `set_memory` with an environment.
    let environment = unsafe { data.cast::<Rc<Environment>>().as_ref() };
    let (Some(environment), true, 2) = (environment, status == sys::Status::napi_ok, count) else { return ptr::null_mut() };
    let [id_value, view] = args;
    let mut id = 0;
    let mut kind = 0;
    let mut len = 0;
    let mut base: *mut c_void = ptr::null_mut();
    // SAFETY: the values are arguments of the running callback. Unlike `napi_get_arraybuffer_info`, this works for shared memories too.
    let read = unsafe {
        sys::napi_get_value_uint32(env, id_value, &raw mut id) == sys::Status::napi_ok
            && sys::napi_get_typedarray_info(env, view, &raw mut kind, &raw mut len, &raw mut base, ptr::null_mut(), ptr::null_mut())
                == sys::Status::napi_ok
    };
    if read && kind == sys::TypedarrayType::uint8_array {
        environment.set_memory(id, base.cast(), len);
    } else {
        // SAFETY: `env` is live, and the strings end in NUL.
        unsafe { sys::napi_throw_type_error(env, ptr::null(), c"setMemory takes an instance and a Uint8Array".as_ptr()) };
    }
    ptr::null_mut()
}
