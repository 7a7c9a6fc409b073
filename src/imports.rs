//! The imports as functions of JavaScript, without arguments and results.

#![allow(
    unsafe_code,
    reason = "callbacks of Node-API, reached without the cost of its argument handling"
)]

use super::addon_instance::AddonInstance;
use super::frame::{Frame, outcome};
use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, Object, Unknown};
use napi::{Env, Result, check_status, sys};
use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use wasi_rs_core::preview1::{self, Call, CallError, Entry, Visitor, snapshot0};

/// The functions' names and callbacks.
struct Callbacks;

impl Visitor for Callbacks {
    type Made = (&'static str, Callback);

    fn visit<E: Entry>() -> Self::Made {
        (E::FUNCTION.name, import_callback::<E>)
    }
}

/// An object with the imports of preview1.
pub(super) fn functions<'env>(
    env: &'env Env,
    environment: &Rc<AddonInstance>,
) -> Result<Object<'env>> {
    object_of(env, environment, preview1::each::<Callbacks>())
}

/// An object with those imports of snapshot 0 that differ from preview1's.
pub(super) fn snapshot0_functions<'env>(
    env: &'env Env,
    environment: &Rc<AddonInstance>,
) -> Result<Object<'env>> {
    object_of(env, environment, snapshot0::each::<Callbacks>())
}

pub(super) fn object_of<'env>(
    env: &'env Env,
    environment: &Rc<AddonInstance>,
    callbacks: Vec<(&str, Callback)>,
) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    for (name, callback) in callbacks {
        object.set_named_property(
            name,
            create_function(env, name, callback, Rc::clone(environment))?,
        )?;
    }
    Ok(object)
}

/// The function that hands a view of the guest's memory over: `(id, view) => undefined`.
pub(super) fn set_memory(env: &Env, environment: &Rc<AddonInstance>) -> Result<Unknown<'static>> {
    create_function(env, "setMemory", set_memory_callback, Rc::clone(environment))
}

pub(super) type Callback =
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// A function whose callback gets `data`, which is dropped with the function.
pub(super) fn create_function<T: 'static>(
    env: &Env,
    name: &str,
    callback: Callback,
    data: T,
) -> Result<Unknown<'static>> {
    let data: *mut T = Box::into_raw(Box::new(data));
    let mut value = ptr::null_mut();
    let length = isize::try_from(name.len()).unwrap_or(0);
    // SAFETY: `env` is live, and the name is only read during the call.
    check_status!(unsafe {
        sys::napi_create_function(
            env.raw(),
            name.as_ptr().cast(),
            length,
            Some(callback),
            data.cast(),
            &raw mut value,
        )
    })?;
    // SAFETY: `value` is a live function of `env`, and `drop_data` fits `data`.
    check_status!(unsafe {
        sys::napi_add_finalizer(
            env.raw(),
            value,
            data.cast(),
            Some(drop_data::<T>),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    })?;
    // SAFETY: `value` is a live value of `env`.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

unsafe extern "C" fn drop_data<T>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `create_function` made `data` of a box, and the function that used it is gone.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// Makes the call that the frame describes.
// Monomorphised per import, so that a whole call is one stack frame: a system call evicts the return
// predictor (RATIONALE).
unsafe extern "C" fn import_callback<E: Entry>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: made by `object_of` with an environment, which lives as long as the function that is
    // being called.
    let environment = unsafe { AddonInstance::first(env).or_else(|| environment_of(env, info)) };
    if let Some(environment) = environment {
        call::<E>(environment);
    }
    ptr::null_mut()
}

/// The environment that a function was made with.
///
/// # Safety
/// The callback must have been made by [`create_function`] with an environment.
#[inline(never)]
pub(super) unsafe fn environment_of<'a>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> Option<&'a AddonInstance> {
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running callback.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut data,
        )
    };
    // SAFETY: the data live as long as the function, which is being called.
    (status == sys::Status::napi_ok)
        .then(|| unsafe { data.cast::<Rc<AddonInstance>>().as_ref() })
        .flatten()
        .map(Rc::as_ref)
}

fn call<E: Entry>(environment: &AddonInstance) {
    // SAFETY: JavaScript waits for the callback.
    let frame = unsafe { environment.frame() };
    let result = catch_unwind(AssertUnwindSafe(|| {
        environment.with_instance(frame.instance, |instance| {
            // SAFETY: JavaScript has handed a live memory over, and waits.
            let memory = unsafe { instance.memory() };
            let call = Call { ctx: &instance.ctx, memory, resume: frame.resume() };
            E::call(&call, &frame.slots)
        })
    }))
    .unwrap_or_else(forget);
    let outcome = match result {
        Some(Ok(())) => outcome::SUCCESS,
        Some(Err(CallError::Errno(errno))) => errno.code().into(),
        Some(Err(CallError::OutOfBounds)) => outcome::MEMORY,
        Some(Err(CallError::Again)) => outcome::AGAIN,
        Some(Err(CallError::WouldWait)) => outcome::WOULD_WAIT,
        Some(Err(CallError::Exit(_))) => outcome::EXIT,
        None => outcome::PANIC,
    };
    frame.outcome.set(outcome);
    if outcome >= outcome::ASK || frame.continues() {
        settle(environment, frame, outcome);
    }
}

/// A panic has told of itself on the standard error.
#[cold]
#[inline(never)]
fn forget<T>(_: Box<dyn Any + Send>) -> Option<T> {
    None
}

/// Does what follows few calls: those that wait, those that ask the embedder, and those that were
/// made again.
#[cold]
#[inline(never)]
fn settle(environment: &AddonInstance, frame: &Frame, outcome: u32) {
    if outcome == outcome::WOULD_WAIT {
        environment.tell_waits(frame.instance, frame);
    }
    if outcome == outcome::ASK {
        environment.take_served(frame.instance);
    } else if frame.continues() {
        environment.finish_served(frame.instance);
    }
    frame.end();
}

unsafe extern "C" fn set_memory_callback(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut args = [ptr::null_mut(); 2];
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
    // SAFETY: made by `set_memory` with an environment.
    let environment = unsafe { data.cast::<Rc<AddonInstance>>().as_ref() };
    let (Some(environment), true, 2) = (environment, status == sys::Status::napi_ok, count) else {
        return ptr::null_mut();
    };
    let [id_value, view] = args;
    let mut id = 0;
    let mut kind = 0;
    let mut len = 0;
    let mut base: *mut c_void = ptr::null_mut();
    // SAFETY: the values are arguments of the running callback. Unlike `napi_get_arraybuffer_info`,
    // this works for shared memories too.
    let read = unsafe {
        sys::napi_get_value_uint32(env, id_value, &raw mut id) == sys::Status::napi_ok
            && sys::napi_get_typedarray_info(
                env,
                view,
                &raw mut kind,
                &raw mut len,
                &raw mut base,
                ptr::null_mut(),
                ptr::null_mut(),
            ) == sys::Status::napi_ok
    };
    if read && kind == sys::TypedarrayType::uint8_array {
        environment.set_memory(id, base.cast(), len);
    } else {
        // SAFETY: `env` is live, and the strings end in NUL.
        unsafe {
            sys::napi_throw_type_error(
                env,
                ptr::null(),
                c"setMemory takes an instance and a Uint8Array".as_ptr(),
            )
        };
    }
    ptr::null_mut()
}
