//! The Node-API binding: the only code that names napi.
//!
//! `index.js` builds the `WASI` class on what is exported here. The 46 functions of preview1 are
//! made once per environment (the main thread, a Worker) and take no arguments: both sides share a
//! [`frame`]. Everything else is called rarely.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "napi's own functions borrow the environment"
)]

mod addon_instance;
mod error;
mod frame;
mod imports;
mod numbered;
mod options;
mod overlay;
mod pipes;
mod preview2;
mod runs;
mod served;
mod shared;
mod sockets;
mod streams;
mod table;
mod waiting;

use addon_instance::{AddonInstance, Handle};
use napi::bindgen_prelude::{
    Either, External, Function, FunctionCallContext, JsObjectValue, JsValuesTupleIntoVec, Object,
    This, ToNapiValue,
};
use napi::{Env, Error, Property, Result};
use options::{InstanceOptions, JsStreams};
use std::rc::Rc;
use wasi_rs_core::abi::Clockid;
use wasi_rs_core::host;
use wasi_rs_core::host::sys::{self, end_process, library_path};

/// Fills the addon's exports.
#[napi_derive::napi(module_exports)]
#[allow(clippy::needless_pass_by_value, reason = "the macro's signature")]
pub(crate) fn exports(mut exports: Object<'_>, env: Env) -> Result<()> {
    let environment = AddonInstance::new(&env)?;
    exports.set_named_property("version", env!("CARGO_PKG_VERSION"))?;
    exports.set_named_property("frame", environment.frame_buffer(&env)?)?;
    exports.set_named_property("calls", imports::functions(&env, &environment)?)?;

    exports
        .set_named_property("snapshot0Calls", imports::snapshot0_functions(&env, &environment)?)?;

    // None has a resolution of more than a few milliseconds.
    let resolution =
        |clock| host::resolution(clock).ok().and_then(|ns| u32::try_from(ns).ok()).unwrap_or(0);
    let resolutions: Vec<u32> = (0..).map_while(Clockid::from_value).map(resolution).collect();
    exports.set_named_property("clockResolutions", resolutions)?;

    // Few programs serve a file system.
    let here = Rc::clone(&environment);
    define_when_read(&mut exports, "served", move |env| served::object(env, &here))?;
    // Only traces, the generator and tests read it.
    define_when_read(&mut exports, "table", table::object)?;
    // Few guests suspend.
    let here = Rc::clone(&environment);
    define_when_read(&mut exports, "suspension", move |env| waiting::object(env, &here))?;
    let here = Rc::clone(&environment);
    define_when_read(&mut exports, "preview2", move |env| preview2::object(env, &here))?;

    let here = Rc::clone(&environment);
    let create = move |call: FunctionCallContext<'_>| {
        Ok(match InstanceOptions::of_call(&call)?.into_ctx() {
            Ok((ctx, streams)) => Either::A(External::new(Handle::new(&here, ctx, streams))),
            Err(error) => Either::B(error.failure()),
        })
    };
    exports.set_named_property("createInstance", function(&env, "createInstance", create)?)?;

    let id = |call: FunctionCallContext<'_>| Ok(call.first_arg::<&External<Handle>>()?.id());
    exports.set_named_property("instanceId", function(&env, "instanceId", id)?)?;

    let here = Rc::clone(&environment);
    let close = move |call: FunctionCallContext<'_>| {
        here.close(call.first_arg()?);
        Ok(())
    };
    exports.set_named_property("closeInstance", function(&env, "closeInstance", close)?)?;

    let here = Rc::clone(&environment);
    let share = move |call: FunctionCallContext<'_>| {
        here.share(call.first_arg()?).ok_or_else(|| Error::from_reason("no such instance"))
    };
    exports.set_named_property("shareInstance", function(&env, "shareInstance", share)?)?;

    let here = Rc::clone(&environment);
    let attach = move |call: FunctionCallContext<'_>| {
        let shared = shared::get(call.first_arg()?)
            .ok_or_else(|| Error::from_reason("the instance is not shared"))?;
        Ok(External::new(Handle::new(&here, shared.into(), JsStreams::default())))
    };
    exports.set_named_property("attachInstance", function(&env, "attachInstance", attach)?)?;

    let unshare = |call: FunctionCallContext<'_>| {
        shared::remove(call.first_arg()?);
        Ok(())
    };
    exports.set_named_property("unshareInstance", function(&env, "unshareInstance", unshare)?)?;

    streams::export(&env, &mut exports, &environment)?;
    sockets::export(&env, &mut exports, &environment)?;
    pipes::export(&env, &mut exports, &environment)?;
    runs::export(&env, &mut exports, &environment)?;

    exports.set_named_property("setMemory", imports::set_memory(&env, &environment)?)?;

    Ok(())
}

/// Ends the process at once: for `proc_exit` in a Worker, whose own exit would end the thread
/// alone.
#[napi_derive::napi]
pub(crate) fn exit_process(code: i32) {
    end_process(code)
}

/// Lets the process have at most `more` bytes of memory of its own above what it has now; any, for
/// `undefined`. Only Linux keeps the bound.
#[napi_derive::napi]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and 2^64 bytes are no bound"
)]
pub(crate) fn bound_own_memory(more: Option<f64>) -> Result<()> {
    sys::bound_own_memory(more.map(|more| more as u64))
        .map_err(|error| Error::from_reason(error.to_string()))
}

/// Adds an object that is made when it is first read, and once. Copies of the package may share the
/// addon, as where a test runner loads modules anew, and another object would leave an earlier copy
/// with memory that nobody looks at any more.
fn define_when_read<F>(exports: &mut Object<'_>, name: &'static str, make: F) -> Result<()>
where
    F: 'static + Fn(&Env) -> Result<Object<'static>>,
{
    exports.define_properties(&[Property::new().with_utf8_name(name)?.with_getter_closure(
        move |env: Env, mut this: This<'_>| {
            let made = make(&env)?;
            this.define_properties(&[Property::new().with_utf8_name(name)?.with_value(&made)])?;
            Ok(made)
        },
    )])
}

fn function<'env, Return, F>(
    env: &'env Env,
    name: &str,
    callback: F,
) -> Result<Function<'env, (), Return>>
where
    (): JsValuesTupleIntoVec,
    Return: ToNapiValue,
    F: 'static + Fn(FunctionCallContext<'_>) -> Result<Return>,
{
    env.create_function_from_closure(name, callback)
}

/// How many milliseconds of a processor this thread has had.
#[napi_derive::napi]
#[allow(clippy::cast_precision_loss, reason = "nanoseconds of a century fit")]
pub(crate) fn thread_time() -> f64 {
    host::time(Clockid::ThreadCputimeId).map_or(0.0, |ns| ns as f64 / 1e6)
}

/// The system's number of this thread; 0 where it has none.
#[napi_derive::napi]
pub(crate) fn thread_id() -> u32 {
    sys::thread_id().unwrap_or(0)
}

/// The path of the file that the addon was loaded from: where another thread finds it.
#[napi_derive::napi]
pub(crate) fn addon_path() -> Option<String> {
    library_path().map(|path| path.to_string_lossy().into_owned())
}
