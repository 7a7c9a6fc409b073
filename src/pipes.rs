//! Pipes between JavaScript and a guest: JavaScript gets the host's end as a descriptor, and a
//! number for the guest's end, which any environment of the process can give to an instance.

#![allow(unsafe_code, reason = "a descriptor that is taken over by its number")]

use super::function;
use napi::bindgen_prelude::{Either, FunctionCallContext, JsObjectValue, Object};
use napi::{Env, Result};
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wasi_rs_core::host::sys::{self, PipeEnd};

#[derive(Default)]
struct Ends {
    by_number: HashMap<u32, PipeEnd>,
    last: u32,
}

static ENDS: Mutex<Option<Ends>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Ends>> {
    ENDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(end: PipeEnd) -> u32 {
    let mut ends = lock();
    let ends = ends.get_or_insert_default();
    loop {
        ends.last = ends.last.wrapping_add(1);
        if !ends.by_number.contains_key(&ends.last) {
            break;
        }
    }
    ends.by_number.insert(ends.last, end);
    ends.last
}

/// The guest's end with a number. It can be taken once.
pub(super) fn take(number: u32) -> Option<PipeEnd> {
    lock().as_mut()?.by_number.remove(&number)
}

/// The result of `openPipe`.
#[napi_derive::napi(object)]
pub(crate) struct Pipe {
    /// The host's end: a descriptor that belongs to who called.
    pub host: i32,
    /// The number of the guest's end.
    pub guest: u32,
}

/// Adds the functions to the addon's exports.
pub(super) fn export(env: &Env, exports: &mut Object<'_>) -> Result<()> {
    // (guestReads) => { host, guest } | string: a new pipe, or the system's reason against it.
    let open = |call: FunctionCallContext<'_>| {
        Ok(match sys::open_pipe(call.first_arg()?) {
            Ok((host, guest)) => Either::A(Pipe { host, guest: add(guest) }),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property("openPipe", function(env, "openPipe", open)?)?;

    // (descriptor) => number | string: a guest's end that this process was started with. The
    // descriptor belongs to the end from now on.
    let adopt = |call: FunctionCallContext<'_>| {
        // SAFETY: only a process that was started for a guest calls it, with what it was given for
        // that, once each.
        let inherited = unsafe { sys::inherited_pipe(call.first_arg()?) };
        Ok(match inherited {
            Ok(end) => Either::A(add(end)),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property("adoptPipeEnd", function(env, "adoptPipeEnd", adopt)?)?;

    // (number) => number | string: the same guest's end once more, for another stream.
    let share = |call: FunctionCallContext<'_>| {
        let number: u32 = call.first_arg()?;
        let shared = lock()
            .as_ref()
            .and_then(|ends| ends.by_number.get(&number))
            .map_or_else(|| Err(io::ErrorKind::NotFound.into()), PipeEnd::try_clone);
        Ok(match shared {
            Ok(end) => Either::A(add(end)),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property("sharePipeEnd", function(env, "sharePipeEnd", share)?)?;

    // (number): closes the guest's end, if no instance has it.
    let drop_end = |call: FunctionCallContext<'_>| {
        drop(take(call.first_arg()?));
        Ok(())
    };
    exports.set_named_property("dropPipeEnd", function(env, "dropPipeEnd", drop_end)?)
}

fn reason(error: &io::Error) -> String {
    error.to_string()
}
