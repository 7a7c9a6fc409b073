//! Pipes between JavaScript and a guest: JavaScript gets the host's end as a descriptor, and a
//! number for the guest's end, which any environment of the process can give to an instance.

#![allow(unsafe_code, reason = "a descriptor that is taken over by its number")]

use super::addon_instance::AddonInstance;
use super::function;
use super::numbered::{Numbered, Owner};
use napi::bindgen_prelude::{Either, FunctionCallContext, JsObjectValue, Object};
use napi::{Env, Result};
use std::io;
use std::rc::Rc;
use wasi_rs_core::host::sys::{self, PipeEnd};

static ENDS: Numbered<PipeEnd> = Numbered::new();

/// The guest's end with a number. It can be taken once.
pub(super) fn take(number: u32) -> Option<PipeEnd> {
    ENDS.take(number)
}

/// Closes the ends of an environment that no instance has.
pub(super) fn release(owner: Owner) {
    ENDS.release(owner);
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
pub(super) fn export(
    env: &Env,
    exports: &mut Object<'_>,
    environment: &Rc<AddonInstance>,
) -> Result<()> {
    let owner = environment.owner();
    // (guestReads) => { host, guest } | string: a new pipe, or the system's reason against it.
    let open = move |call: FunctionCallContext<'_>| {
        Ok(match sys::open_pipe(call.first_arg()?) {
            Ok((host, guest)) => Either::A(Pipe { host, guest: ENDS.add(owner, guest) }),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property("openPipe", function(env, "openPipe", open)?)?;

    // (descriptor, least) => number | string: a descriptor for the same file, with a number from
    // `least` on. Who called closes it by `closeDuplicate`.
    let duplicate = |call: FunctionCallContext<'_>| {
        Ok(match sys::duplicate(call.get(0)?, call.get(1)?) {
            Ok(copy) => Either::A(copy),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property(
        "duplicateDescriptor",
        function(env, "duplicateDescriptor", duplicate)?,
    )?;

    // (number): closes what `duplicateDescriptor` gave. Deno's `fs` closes only what it has opened.
    let close = |call: FunctionCallContext<'_>| {
        // SAFETY: only who has the number from there calls it, once.
        unsafe { sys::close_duplicate(call.first_arg()?) };
        Ok(())
    };
    exports.set_named_property("closeDuplicate", function(env, "closeDuplicate", close)?)?;

    // (descriptor) => number | string: a guest's end that this process was started with. The
    // descriptor belongs to the end from now on.
    let adopt = move |call: FunctionCallContext<'_>| {
        // SAFETY: only a process that was started for a guest calls it, with what it was given for
        // that, once each.
        let inherited = unsafe { sys::inherited_pipe(call.first_arg()?) };
        Ok(match inherited {
            Ok(end) => Either::A(ENDS.add(owner, end)),
            Err(error) => Either::B(reason(&error)),
        })
    };
    exports.set_named_property("adoptPipeEnd", function(env, "adoptPipeEnd", adopt)?)?;

    // (number) => number | string: the same guest's end once more, for another stream.
    let share = move |call: FunctionCallContext<'_>| {
        let number: u32 = call.first_arg()?;
        let shared = ENDS
            .with(number, |end| end.try_clone())
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
        Ok(match shared {
            Ok(end) => Either::A(ENDS.add(owner, end)),
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
