//! The waits of suspended guests, as an environment's JavaScript sees them.
//!
//! JavaScript begins a wait under a token. When it ends, the one thread of the process that waits
//! for all guests calls a threadsafe function, which gives the token back. That function keeps the
//! process alive while there is a wait, and no longer.

#![allow(unsafe_code, reason = "threadsafe functions, whose safe wrappers own more than is needed")]

use super::addon_instance::AddonInstance;
use super::frame::Frame;
use super::function;
use napi::bindgen_prelude::{
    FunctionCallContext, JsObjectValue, JsValue, Object, Uint8Array, Uint8ArraySlice, Unknown,
};
use napi::{Env, Result, check_status, sys};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasi_rs_core::host::monotonic_now;
use wasi_rs_core::host::readiness::{self, Ticket, Waiting, Waker};

/// How the waiting thread reaches an environment.
#[derive(Default)]
struct Bell(Mutex<Ringing>);

#[derive(Default)]
struct Ringing {
    /// While the environment lives.
    function: Option<ThreadsafeFunction>,
    /// Waits that have ended and of which JavaScript has not been told.
    ended: Vec<u32>,
}

/// Node-API's handle, which any thread may call.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ThreadsafeFunction(sys::napi_threadsafe_function);

// SAFETY: Node-API promises that it can be called from any thread, and `Bell` that it is not called
// after its release.
unsafe impl Send for ThreadsafeFunction {}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Ringing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waker for Bell {
    fn wake(&self, token: u32) {
        // Locked until the call has returned: the environment may be about to release the function.
        let mut ringing = self.lock();
        let Some(ThreadsafeFunction(function)) = ringing.function else { return };
        ringing.ended.push(token);
        if ringing.ended.len() > 1 {
            // The threadsafe function was called for an earlier end and has not run yet.
            return;
        }
        // SAFETY: the function has not been released.
        let status = unsafe {
            sys::napi_call_threadsafe_function(
                function,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
        if status == sys::Status::napi_closing {
            // The function must not be used any more, not even released.
            ringing.function = None;
        }
    }
}

/// The waits of one environment.
#[derive(Default)]
pub(super) struct Waits {
    bell: Arc<Bell>,
    function: Cell<Option<ThreadsafeFunction>>,
    tickets: RefCell<HashMap<u32, Ticket>>,
}

impl Waits {
    /// Begins a wait. False if the host has no room for it.
    fn begin(&self, env: sys::napi_env, token: u32, waiting: Waiting) -> bool {
        let Some(ThreadsafeFunction(function)) = self.function.get() else { return false };
        let waker: Arc<dyn Waker> = Arc::<Bell>::clone(&self.bell);
        let Some(ticket) = readiness::begin(waiting, token, waker) else { return false };
        let mut tickets = self.tickets.borrow_mut();
        if tickets.is_empty() {
            // SAFETY: this is the environment's thread, and the function has not been released.
            unsafe { sys::napi_ref_threadsafe_function(env, function) };
        }
        tickets.insert(token, ticket);
        true
    }

    /// Forgets a wait that has ended, or is given up.
    fn end(&self, env: sys::napi_env, token: u32) {
        let mut tickets = self.tickets.borrow_mut();
        let ended = tickets.remove(&token);
        let is_last = ended.is_some() && tickets.is_empty();
        drop((tickets, ended));
        if let (true, Some(ThreadsafeFunction(function))) = (is_last, self.function.get()) {
            // SAFETY: as above.
            unsafe { sys::napi_unref_threadsafe_function(env, function) };
        }
    }

    /// Gives all waits up: the environment ends.
    pub(super) fn close(&self) {
        drop(self.tickets.take());
        self.function.set(None);
        let function = self.bell.lock().function.take();
        if let Some(ThreadsafeFunction(function)) = function {
            // SAFETY: nobody has it any more.
            unsafe {
                sys::napi_release_threadsafe_function(
                    function,
                    sys::ThreadsafeFunctionReleaseMode::abort,
                )
            };
        }
    }
}

/// An object with the functions for suspended guests.
pub(super) fn object<'a>(env: &Env, environment: &Rc<AddonInstance>) -> Result<Object<'a>> {
    let mut functions = Object::new(env)?;
    // (tell: (token) => void): `tell` is called at the end of each wait.
    let here = Rc::clone(environment);
    let listen = move |call: FunctionCallContext<'_>| {
        let tell: Unknown<'_> = call.get(0)?;
        here.listen(call.env, &tell)
    };
    functions.set_named_property("onWaitEnd", function(env, "onWaitEnd", listen)?)?;

    // (id, token, most) => boolean: waits for that, and at most for so many milliseconds.
    let here = Rc::clone(environment);
    let begin = move |call: FunctionCallContext<'_>| {
        let (token, most): (u32, f64) = (call.get(1)?, call.get(2)?);
        let waiting = here.with_instance(call.get(0)?, |instance| instance.ctx.waiting.take());
        let mut waiting = waiting.flatten().map(|waiting| *waiting).unwrap_or_default();
        if most.is_finite() {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast saturates"
            )]
            let most = (most * 1e6).ceil() as u64;
            waiting.until(monotonic_now().saturating_add(most));
        }
        Ok(here.waits.begin(call.env.raw(), token, waiting))
    };
    functions.set_named_property("beginWait", function(env, "beginWait", begin)?)?;

    // (token): gives a wait up.
    let here = Rc::clone(environment);
    let end = move |call: FunctionCallContext<'_>| {
        here.waits.end(call.env.raw(), call.get(0)?);
        Ok(())
    };
    functions.set_named_property("endWait", function(env, "endWait", end)?)?;

    // (id): forgets what the last call would have to wait for.
    let here = Rc::clone(environment);
    let drop_wait = move |call: FunctionCallContext<'_>| {
        here.with_instance(call.get(0)?, |instance| instance.ctx.waiting.set(None));
        Ok(())
    };
    functions.set_named_property("dropWait", function(env, "dropWait", drop_wait)?)?;

    // (id, Uint8Array | null): what the standard input gives next, or its end.
    let here = Rc::clone(environment);
    let feed = move |call: FunctionCallContext<'_>| {
        let bytes: Option<Uint8ArraySlice<'_>> = call.get(1)?;
        here.with_instance(call.get(0)?, |instance| {
            if let Some(input) = &instance.streams.input {
                input.feed(bytes.as_deref());
            }
        });
        Ok(())
    };
    functions.set_named_property("feedStdin", function(env, "feedStdin", feed)?)?;

    // (id) => Uint8Array | null: takes out what the guest has not read of its standard input.
    let here = Rc::clone(environment);
    let unread = move |call: FunctionCallContext<'_>| {
        let bytes = here.with_instance(call.get(0)?, |instance| {
            instance.streams.input.as_ref().map(|input| input.take())
        });
        Ok(bytes.flatten().filter(|bytes| !bytes.is_empty()).map(Uint8Array::from))
    };
    functions.set_named_property("takeUnread", function(env, "takeUnread", unread)?)?;

    // (id, stream) => boolean: whether a descriptor of the guest still leads to the stream.
    let here = Rc::clone(environment);
    let is_open = move |call: FunctionCallContext<'_>| {
        let stream: u32 = call.get(1)?;
        let open = here.with_instance(call.get(0)?, |instance| {
            // The instance itself holds one reference.
            let outputs = &instance.streams.outputs;
            match stream.checked_sub(1).and_then(|index| usize::try_from(index).ok()) {
                None => instance.streams.input.as_ref().map(Arc::strong_count),
                Some(index) => outputs.get(index)?.as_ref().map(Arc::strong_count),
            }
        });
        Ok(open.flatten().is_some_and(|count| count > 1))
    };
    functions.set_named_property("isStreamOpen", function(env, "isStreamOpen", is_open)?)?;
    Ok(functions)
}

/// The data that a threadsafe function comes back with. It outlives the environment's own data.
struct Told {
    bell: Arc<Bell>,
    environment: Rc<AddonInstance>,
}

impl AddonInstance {
    /// Tells JavaScript what the last call of an instance would wait for.
    pub(super) fn tell_waits(&self, id: u32, frame: &Frame) {
        self.with_instance(id, |instance| {
            let waiting = instance.ctx.waiting.take();
            if let Some(waiting) = &waiting {
                frame.set_waits(waiting.is_for_host(), waiting.input, waiting.output);
            }
            instance.ctx.waiting.set(waiting);
        });
    }

    /// Makes the threadsafe function of this environment.
    fn listen(self: &Rc<Self>, env: &Env, tell: &Unknown<'_>) -> Result<()> {
        if self.waits.function.get().is_some() {
            return Ok(());
        }
        let told =
            Box::new(Told { bell: Arc::clone(&self.waits.bell), environment: Rc::clone(self) });
        let told: *mut c_void = Box::into_raw(told).cast();
        let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is live, the name ends after its nine bytes, and `told` is released by
        // `finalize` alone, after the last call of `tell_ended`.
        unsafe {
            check_status!(sys::napi_create_string_utf8(
                env.raw(),
                c"onWaitEnd".as_ptr(),
                9,
                &raw mut name
            ))?;
            check_status!(sys::napi_create_threadsafe_function(
                env.raw(),
                tell.raw(),
                ptr::null_mut(),
                name,
                0,
                1,
                told,
                Some(finalize),
                told,
                Some(tell_ended),
                &raw mut function
            ))?;
            // Nothing waits yet.
            check_status!(sys::napi_unref_threadsafe_function(env.raw(), function))?;
        }
        let function = ThreadsafeFunction(function);
        self.waits.function.set(Some(function));
        self.waits.bell.lock().function = Some(function);
        // Hooks run from the last one back: this one before that of the function itself.
        let ending = Rc::clone(self);
        env.add_env_cleanup_hook(ending, |ending| ending.waits.close())?;
        Ok(())
    }
}

unsafe extern "C" fn finalize(_: sys::napi_env, told: *mut c_void, _: *mut c_void) {
    // SAFETY: made by `listen`, and no call comes after this one.
    drop(unsafe { Box::from_raw(told.cast::<Told>()) });
}

/// Tells JavaScript of the waits that have ended. On the environment's thread.
unsafe extern "C" fn tell_ended(
    env: sys::napi_env,
    tell: sys::napi_value,
    told: *mut c_void,
    _: *mut c_void,
) {
    if env.is_null() || tell.is_null() {
        // The environment ends, and with it all waits.
        return;
    }
    // SAFETY: `finalize` has not been called.
    let told = unsafe { &*told.cast::<Told>() };
    let ended = std::mem::take(&mut told.bell.lock().ended);
    let mut this = ptr::null_mut();
    // SAFETY: `env` is live.
    unsafe { sys::napi_get_undefined(env, &raw mut this) };
    for token in ended {
        told.environment.waits.end(env, token);
        let mut value = ptr::null_mut();
        // SAFETY: `env` and `tell` are live for this callback. What `tell` throws stays pending,
        // and the runtime reports it.
        unsafe {
            sys::napi_create_uint32(env, token, &raw mut value);
            sys::napi_call_function(env, this, tell, 1, &raw const value, ptr::null_mut());
        }
    }
}
