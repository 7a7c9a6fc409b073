//! The table of preview1 as JavaScript reads it: `npm run generate` writes `lib/imports.js` from
//! it.

use crate::frame::{self, outcome};
use napi::bindgen_prelude::{JsObjectValue, Object};
use napi::{Env, Result};
use wasi_rs_core::abi::{
    Advice, Clockid, Errno, Fdflags, Fstflags, Lookupflags, Oflags, Riflags, Rights, Sdflags,
    Whence,
};
use wasi_rs_core::preview1::{Entry, Function, Visitor, each, snapshot0};

/// The functions themselves.
struct Functions;

impl Visitor for Functions {
    type Made = Function;

    fn visit<E: Entry>() -> Function {
        E::FUNCTION
    }
}

/// `{ functions, snapshot0, errnos, bits, values, frame, outcomes }`
pub(crate) fn object<'a>(env: &Env) -> Result<Object<'a>> {
    let mut table = Object::new(env)?;
    table.set_named_property("functions", functions(env, each::<Functions>())?)?;
    table.set_named_property("snapshot0", functions(env, snapshot0::each::<Functions>())?)?;
    table.set_named_property(
        "errnos",
        Errno::ALL.iter().map(|errno| errno.name()).collect::<Vec<_>>(),
    )?;
    table.set_named_property("bits", bits(env)?)?;
    table.set_named_property("values", values(env)?)?;
    table.set_named_property("frame", numbers(env, &frame::PLACES)?)?;
    table.set_named_property("outcomes", numbers(env, &outcome::ALL)?)?;
    Ok(table)
}

/// Of each function, its parameters as `[name, core types, kind]` and the names of its results.
fn functions<'a>(env: &Env, all: Vec<Function>) -> Result<Object<'a>> {
    let mut object = Object::new(env)?;
    for function in all {
        let parameters: Vec<Vec<&str>> = function
            .parameters
            .iter()
            .map(|parameter| vec![parameter.name, parameter.core_params, parameter.kind])
            .collect();
        let mut one = Object::new(env)?;
        one.set_named_property("parameters", parameters)?;
        one.set_named_property("results", function.results.to_vec())?;
        one.set_named_property("signature", function.signature())?;
        object.set_named_property(function.name, one)?;
    }
    Ok(object)
}

/// The names of flags, from bit 0 on.
fn bits<'a>(env: &Env) -> Result<Object<'a>> {
    fn names<F: bitflags::Flags>() -> Vec<String> {
        F::FLAGS.iter().map(|flag| flag.name().to_lowercase()).collect()
    }
    let mut object = Object::new(env)?;
    for (kind, names) in [
        ("fdflags", names::<Fdflags>()),
        ("fstflags", names::<Fstflags>()),
        ("lookupflags", names::<Lookupflags>()),
        ("oflags", names::<Oflags>()),
        ("riflags", names::<Riflags>()),
        ("rights", names::<Rights>()),
        ("sdflags", names::<Sdflags>()),
    ] {
        object.set_named_property(kind, names)?;
    }
    Ok(object)
}

/// The names of enumerations, from value 0 on.
fn values<'a>(env: &Env) -> Result<Object<'a>> {
    let mut object = Object::new(env)?;
    for (kind, names) in
        [("advice", Advice::NAMES), ("clockid", Clockid::NAMES), ("whence", Whence::NAMES)]
    {
        object.set_named_property(kind, names.to_vec())?;
    }
    Ok(object)
}

fn numbers<'a>(env: &Env, all: &[(&str, u32)]) -> Result<Object<'a>> {
    let mut object = Object::new(env)?;
    for (name, number) in all {
        object.set_named_property(name, *number)?;
    }
    Ok(object)
}
