//! The results of a guest that runs in another thread: its collected output and its trees in
//! memory. The thread that starts the guest reserves a place and gives the place's number to the
//! guest's thread. The guest's thread puts the streams there before the guest runs. They outlive
//! that thread, until the first thread takes them.

use super::addon_instance::{AddonInstance, Handle};
use super::function;
use super::numbered::{Numbered, Owner};
use super::options::JsStreams;
use napi::bindgen_prelude::{
    BufferSlice, Either, External, FunctionCallContext, JsObjectValue, Null, Object,
};
use napi::{Env, Result};
use std::rc::Rc;
use std::sync::Arc;
use wasi_rs_core::ctx::Ctx;
use wasi_rs_core::host::stream::Output;

/// The most bytes of output that are handed over as a string.
const SHORT_TEXT: usize = 64 * 1024;

static PLACES: Numbered<Option<JsStreams>> = Numbered::new();

/// Gives up the places of an environment.
pub(super) fn release(owner: Owner) {
    PLACES.release(owner);
}

/// Does something with one of the two outputs of a run.
fn with_output<T>(number: u32, stream: u32, act: impl FnOnce(&Output) -> T) -> Option<T> {
    let index = usize::try_from(stream.checked_sub(1)?).ok()?;
    let output = |place: &mut Option<JsStreams>| place.as_ref()?.outputs.get(index)?.clone();
    Some(act(&*PLACES.with(number, output)??))
}

fn remove(number: u32) -> Option<JsStreams> {
    PLACES.take(number).flatten()
}

/// Adds the functions to the addon's exports.
pub(super) fn export(
    env: &Env,
    exports: &mut Object<'_>,
    environment: &Rc<AddonInstance>,
) -> Result<()> {
    let owner = environment.owner();
    // () => number: a place.
    let reserve_place = move |_: FunctionCallContext<'_>| Ok(PLACES.add(owner, None));
    exports.set_named_property("reserveRun", function(env, "reserveRun", reserve_place)?)?;

    // (id, number) => boolean: puts an instance's streams into a place. False: the place was given
    // up, so the guest must not run.
    let here = Rc::clone(environment);
    let expose = move |call: FunctionCallContext<'_>| {
        let (id, number): (u32, u32) = (call.get(0)?, call.get(1)?);
        let Some(streams) = here.with_instance(id, |instance| instance.streams.clone()) else {
            return Ok(false);
        };
        Ok(PLACES.with(number, |place| *place = Some(streams)).is_some())
    };
    exports.set_named_property("exposeRun", function(env, "exposeRun", expose)?)?;

    // (number) => External | null: gives the place up, and an instance without descriptors that has
    // its streams.
    let here = Rc::clone(environment);
    let claim = move |call: FunctionCallContext<'_>| {
        Ok(match remove(call.first_arg()?) {
            Some(streams) => Either::A(External::new(Handle::new(&here, Ctx::default(), streams))),
            None => Either::B(Null),
        })
    };
    exports.set_named_property("claimRun", function(env, "claimRun", claim)?)?;

    // (number, stream) => string | null: what was collected; null if that is not ASCII, or is long.
    // A string of so few bytes takes less time than a buffer that is decoded.
    let text = |call: FunctionCallContext<'_>| {
        let (number, stream): (u32, u32) = (call.get(0)?, call.get(1)?);
        Ok(with_output(number, stream, |output| output.short_text(SHORT_TEXT)).flatten())
    };
    exports.set_named_property("runText", function(env, "runText", text)?)?;

    // (number, stream) => Buffer | null: a copy of what was collected; null if that is nothing.
    let output = |call: FunctionCallContext<'_>| {
        let (number, stream): (u32, u32) = (call.get(0)?, call.get(1)?);
        let bytes = with_output(number, stream, Output::copy).filter(|bytes| !bytes.is_empty());
        // A copy in V8's memory: memory of the addon's would need a finalizer.
        bytes.map(|bytes| BufferSlice::copy_from(call.env, bytes)).transpose()
    };
    exports.set_named_property("runOutput", function(env, "runOutput", output)?)?;

    // (number) => number: bits 0 and 1 for the streams of which the limit has refused something,
    // bits 2 and 3 for those that have collected something.
    let facts = |call: FunctionCallContext<'_>| {
        let number: u32 = call.first_arg()?;
        let of = |stream| {
            let facts = |output: &Output| {
                u32::from(output.is_truncated()) | (u32::from(!output.is_empty()) << 2)
            };
            with_output(number, stream, facts).unwrap_or_default()
        };
        Ok(of(1) | (of(2) << 1))
    };
    exports.set_named_property("runFacts", function(env, "runFacts", facts)?)?;

    // (number): gives the place up.
    let forget = |call: FunctionCallContext<'_>| {
        drop(remove(call.first_arg()?));
        Ok(())
    };
    exports.set_named_property("forgetRun", function(env, "forgetRun", forget)?)?;

    // (number) => boolean: whether the guest's thread still holds its instance.
    let is_running = |call: FunctionCallContext<'_>| {
        let number: u32 = call.first_arg()?;
        let is_held = |place: &mut Option<JsStreams>| {
            place.as_ref().is_some_and(|streams| Arc::strong_count(&streams.held) > 1)
        };
        Ok(PLACES.with(number, is_held).unwrap_or_default())
    };
    exports.set_named_property("isRunHeld", function(env, "isRunHeld", is_running)?)
}
